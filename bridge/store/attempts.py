"""What each attempt at an event or a delivery did, with request and answer for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from bridge.core.models import JsonObject
from bridge.store import queue
from bridge.store.tables import attempts
from bridge.store.transaction import Transaction
from bridge.store.types import to_json

SHOWN_LENGTH: Final = 16 * 1024
"""Characters of JSON kept of a request or an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt."""

    id: int
    inbox_id: int | None
    outbox_id: int | None
    n: int
    node: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    code: str | None
    reason: str | None
    request: JsonObject | None
    response: JsonObject | None


def record(
    tx: Transaction,
    *,
    inbox_id: int | None = None,
    outbox_id: int | None = None,
    n: int,
    node: str,
    started_at: datetime,
    outcome: str,
    code: str | None,
    reason: str | None,
    request: JsonObject | None,
    response: JsonObject | None,
) -> int:
    """Stores an attempt that ends now; exactly one of the two ids names what was attempted."""
    if (inbox_id is None) == (outbox_id is None):
        raise ValueError("an attempt belongs to an event or to a delivery, not to both or neither")
    values = {
        "inbox_id": inbox_id,
        "outbox_id": outbox_id,
        "n": n,
        "node": node,
        "started_at": started_at,
        "ended_at": tx.now,
        "outcome": outcome,
        "code": code,
        "reason": None if reason is None else reason[: queue.REASON_LENGTH],
        "request": _capped(request),
        "response": _capped(response),
    }
    return queue.insert_id(tx, attempts, values)


def of(
    tx: Transaction, *, inbox_id: int | None = None, outbox_id: int | None = None, limit: int = 500
) -> list[AttemptRow]:
    """Returns the attempts at one event or one delivery, oldest first."""
    same = attempts.c.inbox_id == inbox_id if inbox_id is not None else attempts.c.outbox_id == outbox_id
    found = select(attempts).where(same).order_by(attempts.c.id).limit(limit)
    return [AttemptRow(**dict(row)) for row in tx.connection.execute(found).mappings()]


def _capped(shown: JsonObject | None) -> JsonObject | None:
    if shown is None:
        return None
    text = to_json(shown)
    return shown if len(text) <= SHOWN_LENGTH else {"cut": text[:SHOWN_LENGTH], "characters": len(text)}
