"""Events that were ignored because they are older than the start line of their source."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from bridge.core.models import State
from bridge.store.inbox import BEFORE_START
from bridge.store.inbox_rows import InboxRow, read_row
from bridge.store.tables import inbox
from bridge.store.transaction import Transaction


def events(tx: Transaction, source: str, test: bool, *, limit: int) -> list[InboxRow]:
    """Returns them, oldest first."""
    found = select(inbox).where(*_ignored(source, test)).order_by(inbox.c.id).limit(limit)
    return [read_row(row) for row in tx.connection.execute(found).mappings()]


def number(tx: Transaction, source: str, test: bool, event_id: str) -> int | None:
    """Returns the number of such an event, if there is one."""
    found = select(inbox.c.id).where(*_ignored(source, test), inbox.c.event_id == event_id)
    row_id: int | None = tx.connection.scalar(found.order_by(inbox.c.revision.desc()).limit(1))
    return row_id


def _ignored(source: str, test: bool) -> tuple[ColumnElement[bool], ...]:
    state = inbox.c.state == State.IGNORED.value
    return inbox.c.source == source, inbox.c.test == test, state, inbox.c.code == BEFORE_START
