"""`certbridge outbox`: mails and write-backs, one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from bridge.cli.group import LazyGroup
from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import CertificateId, RowNumber, json_option, limit_option, reason_option
from bridge.core.errors import PermanentError
from bridge.core.models import State

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.cli.replaying import Replayed
    from bridge.store.outbox import OutboxRow
    from bridge.store.transaction import Transaction

NUMBER: Final = RowNumber("`certbridge outbox list`")


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
@click.option("--held", is_flag=True, help="All that are held, instead of numbers.")
@click.option("--failed", is_flag=True, help="All that failed, instead of numbers.")
@click.option("--destination", metavar="NAME", help="With --held and --failed: mail, test-mail or a source, only.")
@click.option("--yes", is_flag=True, help="With --held and --failed: do not ask.")
@json_option
@pass_session
def replay(
    session: Session,
    numbers: tuple[int, ...],
    held: bool,
    failed: bool,
    destination: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Send once more; a write-back first looks whether it is there, a mail carries the same Message-ID."""
    from bridge.cli import replaying
    from bridge.store import outbox as stored
    from bridge.store import stuck

    states = replaying.states(held=held, failed=failed)
    if bool(numbers) == bool(states):
        raise click.UsageError(
            "Name the deliveries (`certbridge outbox replay 12 13`), or take all that wait: --held, --failed or both."
        )
    if destination and not states:
        raise click.UsageError("--destination goes with --held and --failed; deliveries with a number need none.")
    wanted = _destination(session, destination) if destination else None
    with session.bridge() as bridge:
        if states:
            found = bridge.store.read(lambda tx: stuck.deliveries(tx, states, destination=wanted))
            numbers = replaying.confirmed(replaying.DELIVERIES, found, ask=not (yes or as_json))
        kind = replaying.DELIVERIES
        done = replaying.put_back(bridge, kind, numbers, lambda tx, row_id: stored.replay(tx, row_id, actor=actor()))
    tell(session, done, as_json=as_json, nothing=replaying.nothing("delivery", states))


def _destination(session: Session, name: str) -> str:
    from bridge.flow.plan import MAIL, TEST_MAIL

    return name if name in (MAIL, TEST_MAIL) else session.source(name)


def tell(session: Session, done: Replayed[OutboxRow], *, as_json: bool, nothing: str = "") -> None:
    """Says what became of deliveries. Raises BridgeError with what was refused."""
    from bridge.cli import replaying
    from bridge.cli.output import print_json
    from bridge.cli.shown import delivery

    if as_json:
        print_json({**done.as_json(), "deliveries": [delivery.as_json(row) for row in done.rows]})
    else:
        page = session.page()
        rows, in_all = replaying.to_list(done.rows)
        if rows:
            delivery.table(page, rows, certificate=True)
        done.say(page, in_all, nothing, look_again="certbridge outbox show NUMBER")
    done.end()


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
