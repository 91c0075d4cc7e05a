"""The vendor's keys of events that led to no certificate (yet), so that a poll does not bring them in once more."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from bridge.store import queue
from bridge.store.inbox_rows import InboxRow
from bridge.store.tables import event_keys, inbox
from bridge.store.transaction import Transaction
from bridge.store.types import key as stored_key


def note(tx: Transaction, row: InboxRow) -> None:
    """Remembers the keys of an event; a completion's own keys are kept with it."""
    note_event(tx, row.source, row.test, (row.record or row.event).keys, row.id)


def note_event(tx: Transaction, source: str, test: bool, keys: Collection[str], inbox_id: int) -> None:
    """Remembers the keys of an event that was stored and needs no work."""
    for one in sorted(set(keys)):
        queue.insert_new(tx, event_keys, {"source": source, "test": test, "key": one, "inbox_id": inbox_id})


def knows(tx: Transaction, source: str, test: bool, event_id: str, keys: Collection[str]) -> bool:
    """Tells whether this event is in the inbox, or another one with one of its keys that led to no certificate."""
    same = select(inbox.c.id).where(inbox.c.source == source, inbox.c.test == test, inbox.c.event_id == event_id)
    if tx.connection.execute(same.limit(1)).first() is not None:
        return True
    wanted = [stored_key(one) for one in keys]
    noted = select(event_keys.c.key).where(
        event_keys.c.source == source, event_keys.c.test == test, event_keys.c.key.in_(wanted)
    )
    return bool(wanted) and tx.connection.execute(noted.limit(1)).first() is not None
