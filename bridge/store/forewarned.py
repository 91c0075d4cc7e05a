"""What a source told before a completion came: that it is taken back, and under which id its learner goes on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import delete, select

from bridge.core.models import SourceEvent
from bridge.store import queue
from bridge.store.tables import event_keys, history, inbox
from bridge.store.transaction import Transaction
from bridge.store.types import key as stored_key

_TAKEN_BACK, _GONE = "\x1ftaken back\x1f", "\x1fgone\x1f"
"""No vendor's key begins with a control character."""


def note_taken_back(
    tx: Transaction,
    source: str,
    test: bool,
    *,
    keys: Collection[str],
    subject: str | None,
    course: str | None,
    inbox_id: int,
) -> None:
    """Remembers that an event took back a completion (by its keys, learner and course) that has no certificate."""
    _note(tx, source, test, _marks(keys, subject, course), inbox_id)


def taken_back(
    tx: Transaction,
    source: str,
    test: bool,
    *,
    keys: Collection[str],
    subject: str,
    course: str,
    completed_at: datetime | None,
) -> int | None:
    """Returns the event that took this completion back before it was issued; None for one completed after that."""
    marks = [stored_key(mark) for mark in _marks(keys, subject, course)]
    found = select(inbox.c.id, inbox.c.payload).where(
        inbox.c.id.in_(
            select(event_keys.c.inbox_id).where(
                event_keys.c.source == source, event_keys.c.test == test, event_keys.c.key.in_(marks)
            )
        )
    )
    for number, payload in tx.connection.execute(found.order_by(inbox.c.id)):
        told = SourceEvent.model_validate(payload).received_at if payload else None
        if completed_at is None or told is None or completed_at <= told:
            return int(number)
    return None


def key_taken_back(tx: Transaction, source: str, test: bool, keys: Collection[str]) -> int | None:
    """Returns the event that took back a completion by one of these keys."""
    marks = [stored_key(mark) for mark in _marks(keys, None, None)]
    same = event_keys.c.source == source, event_keys.c.test == test, event_keys.c.key.in_(marks)
    number = tx.connection.scalar(select(event_keys.c.inbox_id).where(*same).limit(1)) if marks else None
    return None if number is None else int(number)


def note_gone(tx: Transaction, source: str, test: bool, *, into: str, gone: Collection[str], inbox_id: int) -> None:
    """Remembers that learners became `into`; the event's line `learner.merged` in the history says the same."""
    # Should it have been merged into another one before, it is back.
    back = stored_key(_GONE + into)
    tx.connection.execute(
        delete(event_keys).where(event_keys.c.source == source, event_keys.c.test == test, event_keys.c.key == back)
    )
    _note(tx, source, test, [_GONE + one for one in gone if one != into], inbox_id)


def goes_on_as(tx: Transaction, source: str, test: bool, subject: str) -> str:
    """Returns the id that a learner has by now: the same, or that of the record into which theirs was merged."""
    seen: set[str] = set()
    while subject not in seen:
        seen.add(subject)
        merges = (
            select(history.c.data)
            .join(event_keys, event_keys.c.inbox_id == history.c.inbox_id)
            .where(
                history.c.kind == "learner.merged",
                event_keys.c.source == source,
                event_keys.c.test == test,
                event_keys.c.key == stored_key(_GONE + subject),
            )
        )
        data = tx.connection.execute(merges.order_by(history.c.id.desc()).limit(1)).scalar()
        subject = str(data.get("into") or subject) if data else subject
    return subject


def _marks(keys: Collection[str], subject: str | None, course: str | None) -> Iterator[str]:
    yield from (_TAKEN_BACK + one for one in keys)
    if subject and course:
        yield f"{_TAKEN_BACK}\x1f{subject}\x1f{course}"


def _note(tx: Transaction, source: str, test: bool, marks: Collection[str] | Iterator[str], inbox_id: int) -> None:
    # In order, so that two transactions with the same marks wait for each other instead of locking each other out.
    for mark in sorted(set(marks)):
        values = {"source": source, "test": test, "key": mark, "inbox_id": inbox_id}
        same = [event_keys.c[name] == value for name, value in values.items() if name != "inbox_id"]
        # What was told later stands, whichever event is worked on first.
        later = tx.connection.scalar(select(event_keys.c.inbox_id).where(*same, event_keys.c.inbox_id > inbox_id))
        if later is None:
            queue.upsert(tx, event_keys, ["source", "test", "key"], values)
