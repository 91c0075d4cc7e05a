"""What tells that an event came in before: the vendor's keys, or learner, course and day; a poll leaves it out then."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select

from bridge.core.models import SourceEvent
from bridge.store import queue
from bridge.store.tables import event_keys, inbox
from bridge.store.transaction import Transaction
from bridge.store.types import key as stored_key

_QUESTION = "\x1fquestion\x1f"
"""No vendor's key begins with a control character."""


def note(tx: Transaction, source: str, test: bool, event: SourceEvent, inbox_id: int) -> None:
    """Remembers what tells that this event is in the inbox; a completion's own keys are kept with it as well."""
    days = [_day(event, event.occurred_at.date())] if event.occurred_at else []
    # In order, so that two transactions with the same keys wait for each other instead of locking each other out.
    for one in sorted({*event.keys, *filter(None, days)}):
        queue.insert_new(tx, event_keys, {"source": source, "test": test, "key": one, "inbox_id": inbox_id})


def question(tx: Transaction, source: str, test: bool, about: str, inbox_id: int) -> int:
    """Returns the event that asks a person about this: this one, unless another one asked before."""
    values = {"source": source, "test": test, "key": stored_key(_QUESTION + about), "inbox_id": inbox_id}
    if queue.insert_new(tx, event_keys, values) is not None:
        return inbox_id
    same = (event_keys.c[name] == values[name] for name in ("source", "test", "key"))
    return int(tx.connection.scalar(select(event_keys.c.inbox_id).where(*same)) or inbox_id)


def has(tx: Transaction, source: str, test: bool, event: SourceEvent) -> bool:
    """Tells whether this very event is in the inbox: by its id."""
    return bool(_by_id(tx, source, test, event))


def matches(tx: Transaction, source: str, test: bool, event: SourceEvent, within: timedelta) -> list[int]:
    """Returns the events that may be about the same: by id, one of the keys, or learner, course and time (`within`)."""
    wanted = [stored_key(one) for one in event.keys]
    noted = select(event_keys.c.inbox_id).where(event_keys.c.source == source, event_keys.c.test == test)
    keyed = tx.connection.execute(noted.where(event_keys.c.key.in_(wanted))).scalars() if wanted else ()
    at, days = event.occurred_at, _days(event, within)
    near = select(inbox.c.id, inbox.c.occurred_at).where(inbox.c.id.in_(noted.where(event_keys.c.key.in_(days))))
    dated = tx.connection.execute(near).all() if at is not None and days else ()
    close = (one.id for one in dated if one.occurred_at is not None and at and abs(one.occurred_at - at) <= within)
    return sorted({*_by_id(tx, source, test, event), *keyed, *close})


def _by_id(tx: Transaction, source: str, test: bool, event: SourceEvent) -> list[int]:
    same = select(inbox.c.id).where(inbox.c.source == source, inbox.c.test == test, inbox.c.event_id == event.event_id)
    return list(tx.connection.execute(same).scalars())


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
