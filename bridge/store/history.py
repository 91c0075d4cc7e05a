"""The audit trail: what happened to events and certificates, who did it, and when; rows are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, false, or_, select

from bridge.core.models import JsonObject
from bridge.store import queue
from bridge.store.tables import history
from bridge.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One thing that happened."""

    id: int
    at: datetime
    kind: str
    actor: str
    test: bool
    certificate_id: str | None
    inbox_id: int | None
    outbox_id: int | None
    data: JsonObject


def add(
    tx: Transaction,
    kind: str,
    *,
    actor: str,
    test: bool = False,
    certificate_id: str | None = None,
    inbox_id: int | None = None,
    outbox_id: int | None = None,
    data: JsonObject | None = None,
) -> int:
    """Adds a line of history, such as `certificate.issued`, and returns its number."""
    values: dict[str, Any] = {
        "at": tx.now,
        "kind": kind,
        "actor": actor,
        "test": test,
        "certificate_id": certificate_id,
        "inbox_id": inbox_id,
        "outbox_id": outbox_id,
        "data": data or {},
    }
    return queue.insert_id(tx, history, values)


def timeline(
    tx: Transaction, *, certificate_id: str | None = None, inbox_id: int | None = None, limit: int = 500
) -> list[HistoryRow]:
    """Returns what happened to a certificate or an event (or either, when both are given), oldest first."""
    wanted = []
    if certificate_id is not None:
        wanted.append(history.c.certificate_id == certificate_id)
    if inbox_id is not None:
        wanted.append(history.c.inbox_id == inbox_id)
    found = select(history).where(or_(false(), *wanted)).order_by(history.c.id).limit(limit)
    return [_row(row) for row in tx.connection.execute(found).mappings()]


def _row(row: RowMapping) -> HistoryRow:
    return HistoryRow(**dict(row))
