"""What tells that an event came in before: the vendor's keys, or learner, course and day; a poll leaves it out then."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select

from bridge.core.models import SourceEvent
from bridge.store import queue
from bridge.store.tables import event_keys, inbox
from bridge.store.transaction import Transaction
from bridge.store.types import key as stored_key


def note(tx: Transaction, source: str, test: bool, event: SourceEvent, inbox_id: int) -> None:
    """Remembers what tells that this event is in the inbox; a completion's own keys are kept with it as well."""
    days = [_day(event, event.occurred_at.date())] if event.occurred_at else []
    # In order, so that two transactions with the same keys wait for each other instead of locking each other out.
    for one in sorted({*event.keys, *filter(None, days)}):
        queue.insert_new(tx, event_keys, {"source": source, "test": test, "key": one, "inbox_id": inbox_id})


def has(tx: Transaction, source: str, test: bool, event: SourceEvent) -> bool:
    """Tells whether this very event is in the inbox: by its id."""
    same = select(inbox.c.id).where(inbox.c.source == source, inbox.c.test == test, inbox.c.event_id == event.event_id)
    return tx.connection.execute(same.limit(1)).first() is not None


def knows(tx: Transaction, source: str, test: bool, event: SourceEvent, within: timedelta) -> bool:
    """Tells whether an event is in the inbox: by its id, one of its keys, or learner, course and time (`within`)."""
    if has(tx, source, test, event):
        return True
    wanted = {stored_key(one) for one in event.keys}
    noted = select(event_keys.c.inbox_id).where(event_keys.c.source == source, event_keys.c.test == test)
    if wanted and tx.connection.execute(noted.where(event_keys.c.key.in_(wanted)).limit(1)).first() is not None:
        return True
    at, days = event.occurred_at, _days(event, within)
    if at is None or not days:
        return False
    near = select(inbox.c.occurred_at).where(inbox.c.id.in_(noted.where(event_keys.c.key.in_(days))))
    return any(one is not None and abs(one - at) <= within for one in tx.connection.execute(near).scalars())


def _days(event: SourceEvent, within: timedelta) -> list[str]:
    at = event.occurred_at
    if at is None:
        return []
    try:
        first, last = (at - within).date(), (at + within).date()
    except OverflowError:  # the year 9999, which stands for "never" somewhere
        return []
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [found for day in days if (found := _day(event, day))]


def _day(event: SourceEvent, day: date) -> str | None:
    if event.subject is None or event.course is None:
        return None
    # No vendor's key begins with a control character.
    return stored_key(f"\x1f{event.subject}\x1f{event.course}\x1f{day.isoformat()}")
