"""`certbridge sources pause` and `resume`: lets a source rest on a person's word."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import reason_option

if TYPE_CHECKING:
    from bridge.store.transaction import Transaction

_ALWAYS = timedelta(days=36_500)


class Length(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A length of time: 2 hours."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Reads `2 hours`."""
        from bridge.config.forms import OFF, duration

        try:
            length = duration(value)
        except ValueError as failure:
            self.fail(str(failure), param, ctx)
        if length == OFF:
            self.fail("To end a rest: certbridge sources resume SOURCE.", param, ctx)
        return length


@click.command("pause")
@click.argument("name", metavar="SOURCE")
@click.option("--for", "length", type=Length(), metavar="TIME", help="Such as '2 hours'; else until `resume`.")
@reason_option
@pass_session
def pause(session: Session, name: str, length: timedelta | None, reason: str) -> None:
    """Let a source rest: its webhooks are stored, but nothing is issued, written back or polled."""
    from bridge.cli.shown.source import length as in_words
    from bridge.store import history, sources

    source = session.source(name)

    def write(tx: Transaction) -> None:
        sources.known(tx, source)
        sources.pause(tx, source, tx.now + (length or _ALWAYS), f"{actor()}: {reason}")
        history.add(tx, "source.paused", actor=actor(), data={"source": source, "reason": reason})

    with session.bridge() as bridge:
        bridge.store.transact(write)
    until = f"until you say `certbridge sources resume {source}`" if length is None else f"for {in_words(length)}"
    session.page().say(f"{source} rests {until}. What it sends meanwhile is kept.")


@click.command("resume")
@click.argument("name", metavar="SOURCE")
@pass_session
def resume(session: Session, name: str) -> None:
    """End the rest of a source, whoever began it."""
    from bridge.store import history, sources

    source = session.source(name)

    def write(tx: Transaction) -> None:
        sources.resume(tx, source)
        history.add(tx, "source.resumed", actor=actor(), data={"source": source})

    with session.bridge() as bridge:
        bridge.store.transact(write)
        bridge.finish_work()
    session.page().say(f"{source} goes on.")
