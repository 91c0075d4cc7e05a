"""Every request at the door, accepted or not, so that "it never arrived" can be answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import RowMapping, func, select

from bridge.store import queue
from bridge.store.tables import requests
from bridge.store.transaction import Transaction

TEXT_LENGTH: Final = 2000
REJECTED_PER_HOUR: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A request that was answered; secrets in target and headers are already redacted."""

    source: str
    entry: str
    """`webhook`, `poll`, `api`, `csv` or `cli`."""
    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    """None for rejected requests: only the hash is kept."""
    body_sha256: str
    size: int
    peer: str
    outcome: str
    reason: str
    status: int
    received_at: datetime | None = None
    """None: the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request as stored."""

    id: int
    source: str
    entry: str
    received_at: datetime
    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    body_sha256: str
    size: int
    peer: str
    outcome: str
    reason: str
    status: int


def record(tx: Transaction, new: NewRequest) -> int:
    """Stores a request and returns its number."""
    values = {
        "source": new.source,
        "entry": new.entry,
        "received_at": new.received_at or tx.now,
        "method": new.method[:TEXT_LENGTH],
        "target": new.target[:TEXT_LENGTH],
        "headers": new.headers,
        "body": new.body,
        "body_sha256": new.body_sha256,
        "size": new.size,
        "peer": new.peer,
        "outcome": new.outcome,
        "reason": new.reason[:TEXT_LENGTH],
        "status": new.status,
    }
    return queue.insert_id(tx, requests, values)


def forget_body(tx: Transaction, request_id: int) -> None:
    """Forgets what came, but not that it came."""
    queue.change(tx, requests, requests.c.id == request_id, {"body": None})


def record_rejected(tx: Transaction, new: NewRequest, *, per_hour: int = REJECTED_PER_HOUR) -> int | None:
    """Stores a rejected request, unless its source had `per_hour` with this outcome in the last hour (None)."""
    recent = (
        select(requests.c.id)
        .where(
            requests.c.source == new.source,
            requests.c.outcome == new.outcome,
            requests.c.received_at > tx.now - timedelta(hours=1),
        )
        .limit(per_hour)
        .subquery()
    )
    if (tx.connection.scalar(select(func.count()).select_from(recent)) or 0) >= per_hour:
        return None
    return record(tx, new)


def get(tx: Transaction, request_id: int) -> RequestRow | None:
    """Returns one request."""
    row = tx.connection.execute(select(requests).where(requests.c.id == request_id)).mappings().one_or_none()
    return None if row is None else _row(row)


def search(
    tx: Transaction,
    *,
    source: str | None = None,
    outcome: str | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[RequestRow]:
    """Returns requests, newest first; `before_id` goes on to the next page."""
    found = select(requests).order_by(requests.c.id.desc()).limit(limit)
    if source is not None:
        found = found.where(requests.c.source == source)
    if outcome is not None:
        found = found.where(requests.c.outcome == outcome)
    if before_id is not None:
        found = found.where(requests.c.id < before_id)
    return [_row(row) for row in tx.connection.execute(found).mappings()]


def _row(row: RowMapping) -> RequestRow:
    values = dict(row)
    values["body"] = None if values["body"] is None else bytes(values["body"])
    return RequestRow(**values)
