"""`certbridge outbox`: mails and write-backs, one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from bridge.cli.group import LazyGroup
from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import CertificateId, RowNumber, json_option, limit_option, reason_option
from bridge.core.errors import BridgeError, PermanentError
from bridge.core.models import State

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.store.outbox import OutboxRow
    from bridge.store.transaction import Transaction

NUMBER: Final = RowNumber("`certbridge outbox list`")
MOST: Final = 1000


@click.group("outbox", cls=LazyGroup)
def outbox() -> None:
    """Mails and write-backs: list, show, replay, cancel."""


@outbox.command("list")
@click.option("--certificate", type=CertificateId(), help="Of this certificate only.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="In this state only.")
@click.option("--kind", type=click.Choice(["mail", "write_back"]), help="Of this kind only.")
@click.option("--before", type=NUMBER, help="Older than this delivery: the next page.")
@limit_option
@json_option
@pass_session
def list_deliveries(
    session: Session,
    certificate: str | None,
    state: str | None,
    kind: str | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries, newest first, with their proof or the reason there is none."""
    from bridge.cli.output import print_json
    from bridge.cli.shown import delivery
    from bridge.store import outbox as stored

    def look(tx: Transaction) -> list[OutboxRow]:
        wanted = State(state) if state else None
        return stored.search(tx, certificate_id=certificate, kind=kind, state=wanted, limit=limit, before_id=before)

    with session.bridge() as bridge:
        found = bridge.store.read(look)
    if as_json:
        print_json([delivery.as_json(row) for row in found])
        return
    page = session.page()
    if not found:
        page.say("No such deliveries." if certificate or state or kind or before else "No deliveries yet.")
        return
    delivery.table(page, found, certificate=True)
    if len(found) == limit:
        page.say(f"Older ones: certbridge outbox list --before {found[-1].id}", style="dim")


@outbox.command("show")
@click.argument("number", type=NUMBER, metavar="NUMBER")
@json_option
@pass_session
def show(session: Session, number: int, as_json: bool) -> None:
    """Show one delivery: where it stands and why, what was sent, what came back."""
    from bridge.cli.output import print_json
    from bridge.cli.shown import attempt, delivery
    from bridge.store import attempts

    with session.bridge() as bridge:
        row = _get(bridge, number)
        tried = bridge.store.read(lambda tx: attempts.of(tx, outbox_id=number))
    if as_json:
        print_json({**delivery.as_json(row), "attempts_made": [attempt.as_json(one) for one in tried]})
        return
    page = session.page()
    page.title(f"Delivery {row.id}")
    page.facts(delivery.facts(row, page))
    if tried:
        page.heading("Attempts")
        attempt.table(page, tried)
    advice = delivery.advice(row)
    if advice:
        page.heading("What you can do")
        page.say(advice)
    page.clock()


def _get(bridge: Bridge, number: int) -> OutboxRow:
    from bridge.store import outbox as stored

    row = bridge.store.read(lambda tx: stored.get(tx, number))
    if row is None:
        raise PermanentError(
            f"There is no delivery {number}. `certbridge outbox list` shows the numbers.", code="unknown"
        )
    return row


@outbox.command("replay")
@click.argument("numbers", type=NUMBER, nargs=-1, metavar="[NUMBER]...")
@click.option("--failed", is_flag=True, help="All that failed, instead of numbers.")
@json_option
@pass_session
def replay(session: Session, numbers: tuple[int, ...], failed: bool, as_json: bool) -> None:
    """Send once more; a write-back first looks whether it is there, a mail carries the same Message-ID."""
    from bridge.cli.follow import wait_for
    from bridge.cli.output import print_json
    from bridge.cli.shown import delivery
    from bridge.store import outbox as stored

    if bool(numbers) == failed:
        raise click.UsageError(
            "Name the deliveries (`certbridge outbox replay 12 13`), or all that failed with --failed."
        )
    refused: list[str] = []
    queued: list[int] = []
    with session.bridge() as bridge:
        for number in numbers or _failed(bridge):
            try:
                bridge.store.transact(lambda tx, number=number: stored.replay(tx, number, actor=actor()))  # type: ignore[misc]
                queued.append(number)
            except PermanentError as error:
                refused.append(str(error))
        finished = not queued or bridge.finish_work() or wait_for(bridge, lambda tx: _settled(tx, queued))
        found = [_get(bridge, number) for number in queued]
    if as_json:
        print_json({"finished": finished, "deliveries": [delivery.as_json(row) for row in found], "refused": refused})
    else:
        _say(session, found, finished=finished, any_asked=bool(numbers))
    if refused:
        raise BridgeError("\n".join(refused))


def _settled(tx: Transaction, numbers: list[int]) -> bool:
    from bridge.store import outbox as stored

    rows = [stored.get(tx, number) for number in numbers]
    return all(row is None or row.state not in (State.READY, State.RUNNING) for row in rows)


def _failed(bridge: Bridge) -> tuple[int, ...]:
    from bridge.store import outbox as stored

    rows = bridge.store.read(lambda tx: stored.search(tx, state=State.FAILED, limit=MOST))
    return tuple(row.id for row in reversed(rows))


def _say(session: Session, found: list[OutboxRow], *, finished: bool, any_asked: bool) -> None:
    from bridge.cli.shown import delivery

    page = session.page()
    if not found:
        page.say("" if any_asked else "No delivery has failed.")
        return
    delivery.table(page, found, certificate=True)
    if not finished:
        page.say("The running certbridge takes this on now. Look again: certbridge outbox show NUMBER", style="dim")


@outbox.command("cancel")
@click.argument("number", type=NUMBER, metavar="NUMBER")
@reason_option
@pass_session
def cancel(session: Session, number: int, reason: str) -> None:
    """Stop a delivery that is not finished; it can be replayed later."""
    from bridge.store import outbox as stored

    with session.bridge() as bridge:
        bridge.store.transact(lambda tx: stored.cancel(tx, number, actor=actor(), reason=reason))
    session.page().say(f"Delivery {number} is cancelled. Changed your mind? certbridge outbox replay {number}")
