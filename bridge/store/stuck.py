"""Rows that do not get on by themselves, held or failed: finds all of them, and tells which should ask anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Table, and_, func, or_, select

from bridge.core.models import State
from bridge.store import queue
from bridge.store.steps import WAITS
from bridge.store.tables import certificates, inbox, outbox
from bridge.store.transaction import Transaction

STATES: Final = (State.HELD, State.FAILED)
MOVING: Final = (State.READY, State.RUNNING)
REREAD: Final = "reread"
"""The code of a row whose request can be read by now; its events are rows of their own."""
_AT_ONCE: Final = 500
"""Numbers in one query; SQLite takes 32,766."""


class Stuck(NamedTuple):
    """One row that waits for a person."""

    id: int
    where: str
    """Source of an event, destination of a delivery."""
    state: State


def events(
    tx: Transaction, states: Collection[State] = STATES, *, source: str | None = None, code: str | None = None
) -> list[Stuck]:
    """Returns the events in these states (and with this code), oldest first."""
    same_code = [inbox.c.code == code] if code else []
    return _found(tx, inbox, inbox.c.source, states, source, *same_code)


def deliveries(tx: Transaction, states: Collection[State] = STATES, *, destination: str | None = None) -> list[Stuck]:
    """Returns the deliveries in these states, oldest first; a step behind a stuck one follows it by itself."""
    by_itself = or_(outbox.c.code.is_(None), outbox.c.code != WAITS)
    return _found(tx, outbox, outbox.c.destination, states, destination, by_itself)


def _found(
    tx: Transaction,
    table: Table,
    place: ColumnElement[str],
    states: Collection[State],
    where: str | None,
    *conditions: ColumnElement[bool],
) -> list[Stuck]:
    found = select(table.c.id, place, table.c.state).where(table.c.state.in_(queue.values_of(states)), *conditions)
    if where is not None:
        found = found.where(place == where)
    return [Stuck(row_id, at, State(state)) for row_id, at, state in tx.connection.execute(found.order_by(table.c.id))]


def events_moving(tx: Transaction, numbers: Sequence[int]) -> int:
    """Returns how many of these events are still to be worked on."""
    return _moving(tx, inbox, numbers)


def deliveries_moving(tx: Transaction, numbers: Sequence[int]) -> int:
    """Returns how many of these deliveries are still to be worked on."""
    return _moving(tx, outbox, numbers)


def _moving(tx: Transaction, table: Table, numbers: Sequence[int]) -> int:
    states = queue.values_of(MOVING)
    counts = (
        tx.connection.scalar(select(func.count()).where(table.c.id.in_(part), table.c.state.in_(states)))
        for part in parts(numbers, _AT_ONCE)
    )
    return sum(count or 0 for count in counts)


def parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yields the numbers in groups of at most `size`."""
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def asks_anew(tx: Transaction, state: State, completion_id: int | None) -> bool:
    """Tells whether a replay should forget what the vendor's API said: it did not lead to a certificate.

    Somebody may have corrected it there meanwhile; once there is a certificate, a replay compares with what made it.
    """
    if state not in STATES:
        return False
    issued = select(certificates.c.id).where(
        certificates.c.completion_id == completion_id, certificates.c.state != "draft"
    )
    return completion_id is None or tx.connection.execute(issued).first() is None


def read_at_last(tx: Transaction, numbers: Sequence[int]) -> list[int]:
    """Returns the events that came of these rows, whose requests nobody could read before."""
    row = inbox.alias("row")
    made = and_(inbox.c.request_id == row.c.request_id, inbox.c.id != row.c.id)
    found: list[int] = []
    for part in parts(numbers, _AT_ONCE):
        same = select(inbox.c.id).join(row, made).where(row.c.id.in_(part), row.c.code == REREAD)
        found += tx.connection.execute(same.order_by(inbox.c.id)).scalars()
    return found
