"""Completions: one per learner, course and cycle, with every vendor key that stands for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import RowMapping, select

from bridge.core.person import family
from bridge.store import queue
from bridge.store.tables import completion_keys, completions
from bridge.store.transaction import Transaction
from bridge.store.types import key as stored_key


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRow:
    """One completion."""

    id: int
    source: str
    test: bool
    subject: str
    course: str
    cycle: int
    """From 1; only a renewal makes the next."""
    completed_at: datetime | None
    completed_on: date


def get(tx: Transaction, completion_id: int) -> CompletionRow | None:
    """Returns one completion."""
    found = select(completions).where(completions.c.id == completion_id)
    row = tx.connection.execute(found).mappings().one_or_none()
    return None if row is None else _row(row)


def by_keys(tx: Transaction, source: str, test: bool, keys: Collection[str]) -> CompletionRow | None:
    """Returns the completion that the first known of these keys points to."""
    if not keys:
        return None
    found = (
        select(completion_keys.c.key, *completions.c)
        .join(completions, completions.c.id == completion_keys.c.completion_id)
        .where(completion_keys.c.source == source, completion_keys.c.test == test, completion_keys.c.key.in_(keys))
    )
    rows = {row["key"]: row for row in tx.connection.execute(found).mappings()}
    known = (rows[stored_key(one)] for one in keys if stored_key(one) in rows)
    first = next(known, None)
    return None if first is None else _row(first)


def all_cycles(tx: Transaction, source: str, test: bool, subject: str, course: str) -> list[CompletionRow]:
    """Returns every completion of a learner in a course, oldest cycle first."""
    found = (
        select(completions)
        .where(
            completions.c.source == source,
            completions.c.test == test,
            completions.c.subject == subject,
            completions.c.course == course,
        )
        .order_by(completions.c.cycle)
    )
    return [_row(row) for row in tx.connection.execute(found).mappings()]


def further_people(tx: Transaction, source: str, test: bool, subject: str) -> list[str]:
    """Returns the subjects of those who share the address `subject` and were said to be other people."""
    shared = completions.c.subject.startswith(family(subject), autoescape=True)
    found = select(completions.c.subject).where(completions.c.source == source, completions.c.test == test, shared)
    return sorted(set(tx.connection.execute(found).scalars()))


def at(
    tx: Transaction, source: str, test: bool, subject: str, course: str, moment: datetime, within: timedelta
) -> CompletionRow | None:
    """Returns a learner's completion of a course at this moment, give or take `within`."""
    for known in all_cycles(tx, source, test, subject, course):
        if known.completed_at is not None and abs(known.completed_at - moment) <= within:
            return known
    return None


def create(
    tx: Transaction,
    *,
    source: str,
    test: bool,
    subject: str,
    course: str,
    cycle: int,
    completed_at: datetime | None,
    completed_on: date,
) -> CompletionRow | None:
    """Stores a completion; None when somebody else just did (read it again with `all_cycles`)."""
    values = {
        "source": source,
        "test": test,
        "subject": subject,
        "course": course,
        "cycle": cycle,
        "completed_at": completed_at,
        "completed_on": completed_on,
    }
    row = queue.insert_new(tx, completions, values)
    return None if row is None else _row(row)


def unknown_keys(tx: Transaction, source: str, test: bool, keys: Collection[str]) -> list[str]:
    """Returns those of the keys that point to no completion yet."""
    names = {stored_key(one): one for one in keys}
    found = select(completion_keys.c.key).where(
        completion_keys.c.source == source, completion_keys.c.test == test, completion_keys.c.key.in_(names)
    )
    known = set(tx.connection.execute(found).scalars()) if names else set()
    return [one for name, one in names.items() if name not in known]


def add_keys(tx: Transaction, completion: CompletionRow, keys: Collection[str]) -> tuple[str, ...]:
    """Points keys to a completion; returns those that already point to another one, which are not moved."""
    elsewhere = []
    # In order, so that two transactions with the same keys wait for each other instead of locking each other out.
    for one in sorted(set(keys)):
        same = {"source": completion.source, "test": completion.test, "key": one}
        values = {**same, "completion_id": completion.id}
        if queue.insert_new(tx, completion_keys, values) is not None:
            continue
        conditions = (completion_keys.c[name] == value for name, value in same.items())
        owner = tx.connection.scalar(select(completion_keys.c.completion_id).where(*conditions))
        if owner != completion.id:
            elsewhere.append(one)
    return tuple(elsewhere)


def _row(row: RowMapping) -> CompletionRow:
    return CompletionRow(**{name: row[name] for name in CompletionRow.__slots__})
