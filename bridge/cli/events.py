"""`certbridge events`: what the sources sent, and what a person decides about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.group import LazyGroup
from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import Assignment, RowNumber, json_option, limit_option, reason_option
from bridge.core.errors import BridgeError, PermanentError
from bridge.core.models import State

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.cli.shown.event import ShownEvent
    from bridge.store.inbox import InboxRow
    from bridge.store.transaction import Transaction

NUMBER: Final = RowNumber("`certbridge events list`")
WORDS: Final = ("recipient.name", "recipient.email", "course.title", "completed_on")
"""What `release --set` may correct; `fields.NAME` besides."""
MOST: Final = 1000
"""Events that one `replay --failed` takes on."""


@click.group("events", cls=LazyGroup)
def events() -> None:
    """What the sources sent: list, show, replay, release, cancel."""


@events.command("list")
@click.option("--source", metavar="NAME", help="Of this source only.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="In this state only.")
@click.option("--text", metavar="WORDS", help="With these words: a name, an address, an id, a course.")
@click.option("--before", type=NUMBER, help="Older than this event: the next page.")
@limit_option
@json_option
@pass_session
def list_events(
    session: Session,
    source: str | None,
    state: str | None,
    text: str | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """List events, newest first, with the reason of those that went no further."""
    from bridge.cli.output import print_json
    from bridge.cli.shown import event as shown
    from bridge.store import inbox

    wanted = session.source(source) if source else None

    with session.bridge() as bridge:
        chosen = State(state) if state else None

        def look(tx: Transaction) -> list[ShownEvent]:
            rows = inbox.search(tx, source=wanted, state=chosen, text=text, limit=limit, before_id=before)
            return shown.look(tx, rows, shown.names_by(bridge))

        found = bridge.store.read(look)
    if as_json:
        print_json([shown.as_json(event) for event in found])
        return
    page = session.page()
    if not found:
        narrowed = source or state or text or before
        page.say(
            "No such events." if narrowed else "No events yet. `certbridge sources list` shows where to send them."
        )
        return
    page.table(shown.COLUMNS, [shown.line(event, page) for event in found])
    page.clock()
    if len(found) == limit:
        page.say(f"Older ones: certbridge events list --before {found[-1].row.id}", style="dim")


@events.command("show")
@click.argument("number", type=NUMBER, metavar="NUMBER")
@click.option("--payload", is_flag=True, help="Also what the source sent, and what its API added.")
@json_option
@pass_session
def show_event(session: Session, number: int, payload: bool, as_json: bool) -> None:
    """Show one event: where it stands and why, every attempt, its certificate, its history."""
    from bridge.cli.shown.event_page import EventPage

    with session.bridge() as bridge:
        seen = EventPage.read(bridge, number)
    if as_json:
        seen.print_json()
    else:
        seen.print(session.page(), payload=payload)


@events.command("replay")
@click.argument("numbers", type=NUMBER, nargs=-1, metavar="[NUMBER]...")
@click.option("--failed", is_flag=True, help="All that failed, instead of numbers.")
@click.option("--source", metavar="NAME", help="With --failed: of this source only.")
@click.option("--refetch", is_flag=True, help="Ask the platform again instead of using what it said before.")
@json_option
@pass_session
def replay(
    session: Session, numbers: tuple[int, ...], failed: bool, source: str | None, refetch: bool, as_json: bool
) -> None:
    """Work on events once more; a completion that has its certificate never gets a second one."""
    from bridge.store import inbox

    if bool(numbers) == failed:
        raise click.UsageError("Name the events (`certbridge events replay 12 13`), or all that failed with --failed.")
    if source and not failed:
        raise click.UsageError("--source goes with --failed; events with a number need no source.")
    wanted = session.source(source) if source else None
    with session.bridge() as bridge:
        chosen = numbers or _failed(bridge, wanted)
        queue(
            session,
            bridge,
            chosen,
            lambda tx, number: inbox.replay(tx, number, refetch=refetch, actor=actor()),
            as_json=as_json,
        )


def _failed(bridge: Bridge, source: str | None) -> tuple[int, ...]:
    from bridge.store import inbox

    rows = bridge.store.read(lambda tx: inbox.search(tx, source=source, state=State.FAILED, limit=MOST))
    return tuple(row.id for row in reversed(rows))


@events.command("release")
@click.argument("number", type=NUMBER, metavar="NUMBER")
@click.option(
    "--set",
    "corrections",
    type=Assignment(WORDS),
    multiple=True,
    metavar="WORD=VALUE",
    help="A corrected value, such as 'recipient.name=Maria Silva'. May be repeated.",
)
@reason_option
@json_option
@pass_session
def release(
    session: Session, number: int, corrections: tuple[tuple[str, str], ...], reason: str, as_json: bool
) -> None:
    """Let a held event go on, as it is or with corrected values; who did it and why stands in the history."""
    from bridge.store import inbox

    overrides = {**dict(corrections), "released": "yes"}
    with session.bridge() as bridge:
        queue(
            session,
            bridge,
            (number,),
            lambda tx, row_id: inbox.release(tx, row_id, overrides=overrides, actor=actor(), reason=reason),
            as_json=as_json,
        )


@events.command("cancel")
@click.argument("number", type=NUMBER, metavar="NUMBER")
@reason_option
@pass_session
def cancel(session: Session, number: int, reason: str) -> None:
    """Stop an event that is not finished; it can be replayed later."""
    from bridge.store import inbox

    with session.bridge() as bridge:
        bridge.store.transact(lambda tx: inbox.cancel(tx, number, actor=actor(), reason=reason))
    session.page().say(f"Event {number} is cancelled. Changed your mind? certbridge events replay {number}")


def queue(
    session: Session,
    bridge: Bridge,
    numbers: Sequence[int],
    change: Callable[[Transaction, int], InboxRow],
    *,
    as_json: bool,
) -> None:
    """Changes rows one by one, has them worked on, and says what became of each. Raises PermanentError at the end."""
    from bridge.cli.follow import wait_for
    from bridge.cli.output import print_json
    from bridge.cli.shown import event as shown
    from bridge.store import inbox

    refused: list[str] = []
    queued: list[int] = []
    for number in numbers:
        try:
            bridge.store.transact(lambda tx, number=number: change(tx, number))  # type: ignore[misc]
            queued.append(number)
        except PermanentError as error:
            refused.append(str(error))
    finished = not queued or bridge.finish_work() or wait_for(bridge, lambda tx: _settled(tx, queued))

    def look(tx: Transaction) -> list[shown.ShownEvent]:
        rows = [row for number in queued if (row := inbox.get(tx, number)) is not None]
        return shown.look(tx, rows, shown.names_by(bridge))

    found = bridge.store.read(look)
    if as_json:
        print_json({"finished": finished, "events": [shown.as_json(event) for event in found], "refused": refused})
    else:
        _say_queued(session, found, finished=finished, any_asked=bool(numbers))
    if refused:
        raise BridgeError("\n".join(refused))


def _settled(tx: Transaction, numbers: Sequence[int]) -> bool:
    from bridge.store import inbox

    rows = [inbox.get(tx, number) for number in numbers]
    return all(row is None or row.state not in (State.READY, State.RUNNING) for row in rows)


def _say_queued(session: Session, found: Sequence[ShownEvent], *, finished: bool, any_asked: bool) -> None:
    from bridge.cli.shown import event as shown

    page = session.page()
    if not any_asked:
        page.say("No event has failed.")
    if not found:
        return
    page.table(shown.COLUMNS, [shown.line(event, page) for event in found])
    if not finished:
        page.say("The running certbridge takes this on now. Look again: certbridge events show NUMBER", style="dim")
