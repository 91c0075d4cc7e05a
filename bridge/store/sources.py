"""What the store knows about each configured source: where it starts, where its poll stands, whether it rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from bridge.core.errors import ConfigError, PermanentError
from bridge.core.models import JsonObject
from bridge.store import queue
from bridge.store.tables import completion_keys, completions, event_keys, history, inbox, outbox, requests, sources
from bridge.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One source."""

    name: str
    connector: str | None
    since: datetime
    """Completions before this instant are not issued."""
    cursor: JsonObject
    paused_until: datetime | None
    pause_reason: str | None
    last_request_at: datetime | None
    last_event_at: datetime | None
    added_at: datetime | None
    """When a certbridge was first started with it; None for those from before this was noted."""

    def resting(self, now: datetime) -> str | None:
        """Says until when it rests and why, without a full stop; None where it does not."""
        if self.paused_until is None or self.paused_until <= now:
            return None
        return (
            f"{self.name} rests until {self.paused_until:%Y-%m-%d %H:%M} UTC ({(self.pause_reason or '').rstrip('.')})"
        )


def ensure(
    tx: Transaction, name: str, connector: str | None, *, since: datetime | None, formerly: Sequence[str] = ()
) -> SourceRow:
    """Makes sure a configured source is known, and takes over the rows of its former names.

    The first start stores `since` (or now); later a configured `since` replaces the stored one, None leaves it.
    Raises ConfigError when a former name has rows that this name has as well.
    """
    past = [row for old in formerly if old != name and (row := _take_over(tx, old, name)) is not None]
    before = get(tx, name)
    if before is None:
        stored = min((row.since for row in past), default=tx.now)
        cursor = past[0].cursor if past else {}
        values = {"name": name, "connector": connector, "since": since or stored, "cursor": cursor, "added_at": tx.now}
        # Another node may be starting as well; whoever comes second finds the row.
        queue.insert_new(tx, sources, values)
    else:
        stored = min(row.since for row in (*past, before))
        values = {"connector": connector, "since": since or stored}
        queue.change(tx, sources, sources.c.name == name, values)
    row = get(tx, name)
    assert row is not None
    return row


def _take_over(tx: Transaction, old: str, name: str) -> SourceRow | None:
    """Gives every row of a former name the new one; returns what was known about the source."""
    row = get(tx, old)
    try:
        with tx.connection.begin_nested():
            for table in (requests, inbox, completions, completion_keys, event_keys):
                tx.connection.execute(update(table).where(table.c.source == old).values(source=name))
            written_back = and_(outbox.c.kind == "write_back", outbox.c.destination == old)
            tx.connection.execute(update(outbox).where(written_back).values(destination=name))
            tx.connection.execute(delete(sources).where(sources.c.name == old))
            _take_over_merges(tx, old, name)
    except IntegrityError as error:
        raise ConfigError(
            f"sources: {name} cannot take over the past of {old} (formerly), because both received the same events. "
            f"Remove {old} from formerly, or give the source a new name."
        ) from error
    return row


def _take_over_merges(tx: Transaction, old: str, name: str) -> None:
    """Gives the new name to what says which learners became one: whoever is to be forgotten is found by it."""
    merges = select(history.c.id, history.c.data).where(history.c.kind == "learner.merged")
    for number, data in tx.connection.execute(merges).all():
        if data.get("source") == old:
            queue.change(tx, history, history.c.id == number, {"data": {**data, "source": name}})


def get(tx: Transaction, name: str) -> SourceRow | None:
    """Returns one source."""
    row = tx.connection.execute(select(sources).where(sources.c.name == name)).mappings().one_or_none()
    return None if row is None else _row(row)


def known(tx: Transaction, name: str) -> SourceRow:
    """Returns one source. Raises PermanentError for one that no certbridge was started with yet."""
    row = get(tx, name)
    if row is None:
        raise PermanentError(f"{name} is new in the configuration: restart certbridge serve first.", code="new_source")
    return row


def listing(tx: Transaction) -> list[SourceRow]:
    """Returns every source the store has ever known, by name."""
    return [_row(row) for row in tx.connection.execute(select(sources).order_by(sources.c.name)).mappings()]


def saw(tx: Transaction, name: str, *, event: bool) -> None:
    """Notes that something was received just now, and whether it held an event."""
    _set(tx, name, last_request_at=tx.now, **({"last_event_at": tx.now} if event else {}))


def heard(tx: Transaction, name: str) -> None:
    """Notes that asking the source brought something new just now."""
    _set(tx, name, last_event_at=tx.now)


def save_cursor(tx: Transaction, name: str, cursor: JsonObject) -> None:
    """Keeps where the poll stands, in the transaction that stores what it found."""
    _set(tx, name, cursor=cursor)


def pause(tx: Transaction, name: str, until: datetime, reason: str) -> None:
    """Lets a source's events and write-backs rest until then."""
    _set(tx, name, paused_until=until, pause_reason=reason)


def rest(tx: Transaction, name: str, until: datetime, reason: str) -> None:
    """Lets it rest at least until then: a vendor asks for it, which does not cut short what a person decided."""
    shorter = or_(sources.c.paused_until.is_(None), sources.c.paused_until < until)
    values = {"paused_until": until, "pause_reason": reason}
    queue.change(tx, sources, and_(sources.c.name == name, shorter), values)


def resume(tx: Transaction, name: str) -> None:
    """Ends a pause."""
    _set(tx, name, paused_until=None, pause_reason=None)


def start_line(tx: Transaction, name: str, since: datetime) -> None:
    """Moves the start line; a `since` in the configuration moves it back at the next start."""
    _set(tx, name, since=since)


def _set(tx: Transaction, name: str, **values: Any) -> None:
    queue.change(tx, sources, sources.c.name == name, values)


def _row(row: RowMapping) -> SourceRow:
    return SourceRow(**dict(row))
