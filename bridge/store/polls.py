"""Where the poll of a source stands: the connector's own cursor, and how the last poll ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from bridge.core.models import JsonObject
from bridge.store import sources
from bridge.store.sources import SourceRow
from bridge.store.transaction import Transaction

REASON_LENGTH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PollState:
    """The standing of one source's poll in one mode."""

    test: bool
    cursor: JsonObject = field(default_factory=dict)
    """The connector's; empty before the first page was stored."""
    first: bool = True
    """No poll has come to its end yet: what the source shows without a date was there before us."""
    ended_at: datetime | None = None
    """When the last poll ended, well or not."""
    error: str | None = None
    """What went wrong with it; None: nothing."""
    new: int = 0
    """Events the last poll brought in."""


def state(row: SourceRow, *, test: bool) -> PollState:
    """Returns where the poll stands; a source that changed its mode begins anew, because nothing of a test is real."""
    kept = row.cursor
    if kept.get("test") is not test:
        return PollState(test=test)
    ended = kept.get("ended_at")
    return PollState(
        test=test,
        cursor=kept.get("cursor") or {},
        first=bool(kept.get("first", True)),
        ended_at=datetime.fromisoformat(ended) if ended else None,
        error=kept.get("error"),
        new=int(kept.get("new", 0)),
    )


def save(tx: Transaction, name: str, now: PollState) -> None:
    """Keeps where the poll stands, in the transaction that stores what it found."""
    kept = {
        "test": now.test,
        "cursor": now.cursor,
        "first": now.first,
        "ended_at": now.ended_at.isoformat() if now.ended_at else None,
        "error": now.error,
        "new": now.new,
    }
    sources.save_cursor(tx, name, kept)


def ended(tx: Transaction, name: str, now: PollState, *, error: str | None, new: int) -> PollState:
    """Notes how a poll ended; without an error the first contact is over."""
    said = error[:REASON_LENGTH] if error else None
    after = replace(now, first=now.first and error is not None, ended_at=tx.now, error=said, new=new)
    save(tx, name, after)
    return after
