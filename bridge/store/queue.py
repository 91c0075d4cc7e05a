"""What rows of the inbox and the outbox have in common: they fall due, are leased, and are settled under a fence."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Table, and_, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.core.errors import PermanentError
from bridge.core.models import CLAIMABLE, State
from bridge.store.tables import inbox, leases, outbox, sources
from bridge.store.transaction import Transaction

LEASE: Final = 45.0
"""Seconds a claim is good for unless it is renewed."""
REASON_LENGTH: Final = 2000
OPEN: Final = (State.READY, State.RUNNING, State.RETRYING, State.HELD, State.FAILED)
"""States that still want something done."""


@cache
def _insert(table: Table, dialect: str, returning: str | None) -> Any:
    """Returns an INSERT that takes its values when executed: built once, it is compiled once."""
    if returning is None:
        return insert(table)
    statement: Any = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
    columns = table.c if returning == "*" else [table.c[returning]]
    return statement.on_conflict_do_nothing().returning(*columns)


def insert_id(tx: Transaction, table: Table, values: dict[str, Any]) -> int:
    """Inserts a row and returns its number."""
    result: Any = tx.connection.execute(_insert(table, tx.dialect, None), values)
    return int(result.inserted_primary_key[0])


def insert_new(tx: Transaction, table: Table, values: dict[str, Any]) -> RowMapping | None:
    """Inserts a row and returns it, or None when one of its unique keys is taken."""
    row: RowMapping | None = tx.connection.execute(_insert(table, tx.dialect, "*"), values).mappings().one_or_none()
    return row


def insert_new_id(tx: Transaction, table: Table, values: dict[str, Any]) -> int | None:
    """Inserts a row and returns its number, or None when one of its unique keys is taken."""
    row_id: int | None = tx.connection.execute(_insert(table, tx.dialect, "id"), values).scalar()
    return row_id


def upsert(tx: Transaction, table: Table, keys: Sequence[str], values: dict[str, Any]) -> None:
    """Inserts a row, or gives the one with these `keys` the new values."""
    changes = {name: value for name, value in values.items() if name not in keys}
    statement: Any = (sqlite.insert if tx.dialect == "sqlite" else postgresql.insert)(table).values(values)
    tx.connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changes))


def due(table: Table, now: datetime) -> ColumnElement[bool]:
    """Matches rows a worker may take: due, or running under a lease that ran out."""
    return and_(table.c.due_at <= now, table.c.state.in_([state.value for state in CLAIMABLE]))


def not_paused(source: ColumnElement[str], now: datetime) -> ColumnElement[bool]:
    """Matches rows whose source is not paused right now."""
    return ~select(sources.c.name).where(sources.c.name == source, sources.c.paused_until > now).exists()


def any_of(tx: Transaction, table: Table, *conditions: ColumnElement[bool]) -> bool:
    """Tells whether any row matches, stopping at the first."""
    return tx.connection.execute(select(table.c.id).where(*conditions).limit(1)).first() is not None


def take(tx: Transaction, table: Table, ids: Sequence[int], *, node: str, lease: float) -> list[RowMapping]:
    """Leases rows this transaction has locked, and returns them in the order of `ids`."""
    if not ids:
        return []
    taken = tx.connection.execute(
        update(table)
        .where(table.c.id.in_(ids))
        .values(
            state=State.RUNNING.value,
            lease_token=secrets.token_hex(16),
            leased_by=node,
            attempts=table.c.attempts + 1,
            due_at=tx.now + timedelta(seconds=lease),
        )
        .returning(*table.c)
    ).mappings()
    rows = {row["id"]: row for row in taken}
    return [rows[row_id] for row_id in ids]


def forget_leases(tx: Transaction) -> int:
    """Ends every lease now and returns how many rows were running.

    Only for the one process that owns the database: whoever held these leases is dead, so nobody need wait for them
    to run out. The rows stay as a worker's death leaves them; whoever claims them next takes them over.
    """
    tx.connection.execute(delete(leases))
    running = 0
    for table in (inbox, outbox):
        ended = update(table).where(table.c.state == State.RUNNING.value).values(due_at=tx.now)
        running += tx.connection.execute(ended).rowcount
    return running


def mine(table: Table, row_id: int, lease_token: str) -> ColumnElement[bool]:
    """The fence: matches the row only while this lease is the one it runs under."""
    return and_(table.c.id == row_id, table.c.lease_token == lease_token, table.c.state == State.RUNNING.value)


def change(tx: Transaction, table: Table, condition: ColumnElement[bool], values: dict[str, Any]) -> bool:
    """Updates the row that matches; False when none does."""
    return tx.connection.execute(update(table).where(condition).values(values)).rowcount > 0


def standing(
    tx: Transaction, state: State, *, code: str | None, reason: str | None, due_in: float | None = None
) -> dict[str, Any]:
    """Returns the values of a row that nobody runs: state, reason, when it is due, and no lease."""
    waits = state in (State.READY, State.RETRYING)
    return {
        "state": state.value,
        "code": code,
        "reason": None if reason is None else reason[:REASON_LENGTH],
        "due_at": tx.now + timedelta(seconds=due_in or 0.0) if waits else None,
        "lease_token": None,
        "leased_by": None,
    }


def refuse_while_running(tx: Transaction, state: State, due_at: datetime | None, what: str) -> None:
    """Raises PermanentError while somebody holds a lease that has not run out."""
    if state is State.RUNNING and due_at is not None and due_at > tx.now:
        raise PermanentError(f"{what} is being worked on right now; try again in a minute.", code="running")


def unknown(what: str, row_id: int) -> PermanentError:
    """Returns the error for a number nothing has."""
    return PermanentError(f"There is no {what} {row_id}.", code="unknown")


def values_of(states: Collection[State]) -> list[str]:
    """Returns the states as the database knows them."""
    return [state.value for state in states]
