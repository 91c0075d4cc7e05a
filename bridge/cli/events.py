"""`certbridge events`: what the sources sent, and what a person decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from bridge.cli.group import LazyGroup
from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import Assignment, Reason, RowNumber, ask_about, json_option, limit_option, reason_option
from bridge.core.models import State

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.app import Bridge
    from bridge.cli.replaying import Replayed
    from bridge.cli.shown.event import ShownEvent
    from bridge.store.inbox import InboxRow
    from bridge.store.transaction import Transaction

NUMBER: Final = RowNumber("`certbridge events list`")


def words() -> tuple[str, ...]:
    """Returns what `release --set` may correct; `fields.NAME` besides."""
    from bridge.core.mapping_decision import OVERRIDES

    return tuple(word for word in OVERRIDES if word != "released")


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

        def look(tx: Transaction) -> tuple[list[ShownEvent], list[str]]:
            rows = inbox.search(tx, source=wanted, state=chosen, text=text, limit=limit, before_id=before)
            waiting = {row.source for row in rows if row.state is State.READY}
            return shown.look(tx, rows, shown.names_by(bridge)), _resting(tx, waiting)

        found, resting = bridge.store.read(look)
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
    for sentence in resting:
        page.say(sentence, style="yellow")
    if len(found) == limit:
        page.say(f"Older ones: certbridge events list --before {found[-1].row.id}", style="dim")


def _resting(tx: Transaction, names: Collection[str]) -> list[str]:
    """Says of each of these sources that rests until when and why: what came from it waits."""
    from bridge.store import sources

    return [
        f"{rests}: what came from it waits. To end that: certbridge sources resume {row.name}"
        for row in sources.listing(tx)
        if row.name in names and (rests := row.resting(tx.now)) is not None
    ]


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
@click.option("--held", is_flag=True, help="All that are held, instead of numbers.")
@click.option("--failed", is_flag=True, help="All that failed, instead of numbers.")
@click.option("--source", metavar="NAME", help="With --held and --failed: of this source only.")
@click.option("--yes", is_flag=True, help="With --held and --failed: do not ask.")
@click.option(
    "--refetch/--no-refetch",
    default=None,
    help="Ask the platform again, or use what it said before; by itself it is asked where nothing was issued yet.",
)
@click.option("--correct", is_flag=True, help="Make a new version of a certificate that says something else now.")
@click.option("--resend", is_flag=True, help="Have the mail and the write-back of the certificate once more.")
@click.option("--reason", type=Reason(), help="With --correct: why; it stands in the history.")
@click.option("--no-mail", is_flag=True, help="With --correct: do not write to the learner.")
@json_option
@pass_session
def replay(
    session: Session, /, numbers: tuple[int, ...], source: str | None, yes: bool, as_json: bool, **options: Any
) -> None:
    """Work on events once more; one that has its certificate is compared with it and never gets a second one."""
    from bridge.cli import replaying
    from bridge.cli.again import Again
    from bridge.store import stuck

    again = Again(**options)
    states = again.check(numbers, narrowed=source is not None)
    wanted = session.source(source) if source else None
    with session.bridge() as bridge:
        if states:
            found = bridge.store.read(lambda tx: stuck.events(tx, states, source=wanted))
            numbers = replaying.confirmed(replaying.EVENTS, found, ask=not (yes or as_json))
        done = again.replay(bridge, numbers)
        tell(session, bridge, done, as_json=as_json, nothing=replaying.nothing("event", states))


@events.command("release")
@click.argument("numbers", type=NUMBER, nargs=-1, metavar="[NUMBER]...")
@click.option("--code", metavar="CODE", help="All that are held for this reason (such as flood), instead of numbers.")
@click.option("--source", metavar="NAME", help="With --code: of this source only.")
@click.option("--yes", is_flag=True, help="Do not ask, neither with --code nor about a value that looks damaged.")
@click.option(
    "--set",
    "corrections",
    type=Assignment(words),
    multiple=True,
    metavar="WORD=VALUE",
    help="A corrected value, such as 'recipient.name=Maria Silva'. May be repeated.",
)
@reason_option
@json_option
@pass_session
def release(
    session: Session,
    numbers: tuple[int, ...],
    code: str | None,
    source: str | None,
    yes: bool,
    corrections: tuple[tuple[str, str], ...],
    reason: str,
    as_json: bool,
) -> None:
    """Let held events go on, as they are or with corrected values; who did it and why stands in the history."""
    from bridge.cli import replaying
    from bridge.store import inbox, stuck

    if bool(numbers) == bool(code) or (source and not code):
        raise click.UsageError("Name the events, or all of one reason: --code CODE, and --source NAME to narrow it.")
    overrides = dict(corrections)
    wanted = session.source(source) if source else None
    answered = ask_about(overrides, yes=yes, as_json=as_json)
    with session.bridge() as bridge:
        if code:
            found = bridge.store.read(lambda tx: stuck.events(tx, (State.HELD,), source=wanted, code=code))
            numbers = replaying.confirmed(replaying.EVENTS, found, ask=not (yes or as_json), act="Release")
        done = replaying.put_back(
            bridge,
            replaying.EVENTS,
            numbers,
            lambda tx, row_id: inbox.release(
                tx, row_id, overrides=overrides, actor=actor(), reason=reason, answered=answered
            ),
        )
        tell(session, bridge, done, as_json=as_json, nothing=f"No event is held as {code}." if code else "")


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


def tell(session: Session, bridge: Bridge, done: Replayed[InboxRow], *, as_json: bool, nothing: str = "") -> None:
    """Says what became of events. Raises BridgeError with what was refused."""
    from bridge.cli import replaying
    from bridge.cli.output import print_json
    from bridge.cli.shown import event as shown

    rows, in_all = (done.rows, "") if as_json else replaying.to_list(done.rows)
    found = bridge.store.read(lambda tx: shown.look(tx, rows, shown.names_by(bridge)))
    if as_json:
        print_json({**done.as_json(), "events": [shown.as_json(event) for event in found]})
    else:
        page = session.page()
        if found:
            page.table(shown.COLUMNS, [shown.line(event, page) for event in found])
        done.say(page, in_all, nothing, look_again="certbridge events show NUMBER")
    done.end()
