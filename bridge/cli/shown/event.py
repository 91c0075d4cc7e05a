"""One event as people and programs see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.text import Text

from bridge.cli.output import Column, Page, lines, plain, state
from bridge.core import certificate_id
from bridge.core.models import JsonObject, State
from bridge.store import certificates, requests
from bridge.store.certificates import CertificateRow
from bridge.store.inbox import InboxRow
from bridge.store.transaction import Transaction

QUIET = (State.DONE, State.READY, State.RUNNING)
"""States that need no reason."""

COLUMNS = (
    Column("No", "right", fixed=True),
    Column("Received", fixed=True),
    Column("Source"),
    Column("Learner, course, and what came of it"),
    Column("State", fixed=True),
)


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A row of the inbox with what it belongs to."""

    row: InboxRow
    received_at: datetime | None
    """None when the request was forgotten (they are kept for a while only)."""
    certificate: CertificateRow | None


def look(tx: Transaction, rows: Sequence[InboxRow]) -> list[ShownEvent]:
    """Finds request and certificate of each row."""
    return [ShownEvent(row, _received_at(tx, row), _certificate(tx, row)) for row in rows]


def _received_at(tx: Transaction, row: InboxRow) -> datetime | None:
    request = requests.get(tx, row.request_id) if row.request_id is not None else None
    return request.received_at if request is not None else row.occurred_at


def _certificate(tx: Transaction, row: InboxRow) -> CertificateRow | None:
    return certificates.of_completion(tx, row.completion_id) if row.completion_id is not None else None


def as_json(event: ShownEvent, *, whole: bool = False) -> JsonObject:
    """Returns the stable shape for programs; `whole` adds what the source sent and what was fetched."""
    row = event.row
    shape: JsonObject = {
        "id": row.id,
        "source": row.source,
        "test": row.test,
        "event_type": row.event_type,
        "event_id": row.event_id,
        "revision": row.revision,
        "received_at": event.received_at,
        "occurred_at": row.occurred_at,
        "subject": row.event.subject,
        "course": row.event.course,
        "state": row.state.value,
        "code": row.code,
        "reason": row.reason,
        "stage": row.stage,
        "attempts": row.attempts,
        "due_at": row.due_at,
        "deliveries": row.deliveries,
        "overrides": row.overrides,
        "completion": row.completion,
        "certificate": event.certificate.id if event.certificate else None,
    }
    if whole:
        shape["event"] = row.event.model_dump(mode="json")
        shape["record"] = row.record.model_dump(mode="json") if row.record else None
    return shape


def who(row: InboxRow) -> str:
    """Returns learner and course by name where they are known, else by the source's ids."""
    if row.completion is not None:
        return plain(f"{row.completion['recipient']['name']}, {row.completion['course']['title']}")
    known = [
        f"{word} {value}" for word, value in (("learner", row.event.subject), ("course", row.event.course)) if value
    ]
    return plain(", ".join(known) or row.event_id)


def cell(event: ShownEvent) -> Text:
    """Returns who it is about, and below it what came or why it went no further."""
    row = event.row
    quiet = row.state in QUIET or not row.reason
    return lines(who(row), plain(row.event_type) if quiet else row.reason)


def line(event: ShownEvent, page: Page) -> list[object]:
    """Returns the row of a table; its columns are COLUMNS."""
    row = event.row
    source = lines(plain(row.source), "test" if row.test else None)
    return [str(row.id), page.when(event.received_at), source, cell(event), state(row.state.value)]


def facts(event: ShownEvent, page: Page) -> list[tuple[str, object]]:
    """Returns everything about one event, name by name."""
    row = event.row
    certificate = event.certificate
    return [
        ("state", lines(state(row.state.value), row.reason, style="")),
        ("about", who(row)),
        ("source", row.source + (" (test)" if row.test else "")),
        ("event", f"{row.event_type}  {row.event_id}"),
        ("received", page.when(event.received_at, seconds=True) + _times(row)),
        ("happened", page.when(row.occurred_at, seconds=True)),
        ("next try", page.when(row.due_at, seconds=True) if row.state is State.RETRYING else None),
        ("set by hand", _set(row.overrides)),
        ("certificate", f"{certificate_id.grouped(certificate.id)}, {certificate.state}" if certificate else None),
    ]


def _times(row: InboxRow) -> str:
    times = f", delivered {row.deliveries} times" if row.deliveries > 1 else ""
    return times + (f", revision {row.revision}" if row.revision > 1 else "")


def _set(overrides: dict[str, Any]) -> str:
    return "\n".join(f"{word} = {plain(value)}" for word, value in sorted(overrides.items()) if word != "released")


def advice(row: InboxRow) -> str | None:
    """Returns what a person can do about this event, or None when there is nothing to do."""
    number = row.id
    match row.state:
        case State.HELD:
            return (
                f"To issue it: certbridge events release {number} --reason TEXT   (--set recipient.name=… corrects)\n"
                f"After a change in the mapping or at the source: certbridge events replay {number}\n"
                f"To leave it: certbridge events cancel {number} --reason TEXT"
            )
        case State.FAILED:
            return f"When the cause is mended: certbridge events replay {number}"
        case State.IGNORED | State.CANCELLED if row.code not in ("event_type", "not_wanted"):
            return f"After a change of mind or of the mapping: certbridge events replay {number}"
        case State.READY | State.RUNNING:
            return f"A worker takes it on while `certbridge serve` runs: certbridge events show {number}"
        case _:
            return None
