"""One row of the outbox (a mail, a write-back) as people and programs see it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from bridge.cli.output import Column, Page, lines, plain, state
from bridge.cli.shown.event import tone
from bridge.core import certificate_id
from bridge.core.models import JsonObject, State
from bridge.store import attempts
from bridge.store.outbox import OutboxRow
from bridge.store.transaction import Transaction

_NUMBER, _CERTIFICATE = Column("No", "right", fixed=True), Column("Certificate", fixed=True)
_REST = (Column("To"), Column("What, and its proof"), Column("State", fixed=True))


def as_json(row: OutboxRow) -> JsonObject:
    """Returns the stable shape for programs."""
    return {
        "id": row.id,
        "kind": row.kind,
        "destination": row.destination,
        "step": row.step,
        "test": row.test,
        "certificate": row.certificate_id,
        "version": row.version,
        "target": row.target,
        "state": row.state.value,
        "code": row.code,
        "reason": row.reason,
        "attempts": row.attempts,
        "due_at": row.due_at,
        "after": row.after_id,
        "receipt": row.receipt,
    }


def what(row: OutboxRow) -> str:
    """Returns what is done, for people: "mail to maria@example.org", "course note for Maria Silva"."""
    if row.kind == "mail":
        return plain(f"mail to {row.target.get('to') or 'nobody'}")
    return plain(row.target.get("title") or row.step)


def proof(row: OutboxRow) -> str:
    """Returns the receipt's line, or why there is none yet."""
    if row.state is State.DONE:
        return plain((row.receipt or {}).get("summary"))
    return row.reason or ""


def table(page: Page, rows: Sequence[OutboxRow], *, certificate: bool = False) -> None:
    """Prints deliveries; `certificate` adds the column that says whose they are."""
    columns = (_NUMBER, _CERTIFICATE, *_REST) if certificate else (_NUMBER, *_REST)
    page.table(columns, [_line(row, certificate=certificate) for row in rows])


def _line(row: OutboxRow, *, certificate: bool) -> list[object]:
    identifier = certificate_id.grouped(row.certificate_id) if row.certificate_id else "–"
    kind = plain(row.kind.replace("_", "-"))
    where = lines(plain(row.destination), kind if kind != row.destination else None)
    return [str(row.id), *([identifier] if certificate else []), where, cell(row), state(row.state.value)]


def cell(row: OutboxRow) -> Text:
    """Returns what is done, and below it the proof or the reason."""
    return lines(what(row), proof(row), style=tone(row.state))


def facts(row: OutboxRow, page: Page) -> list[tuple[str, object]]:
    """Returns everything about one delivery, name by name."""
    due = row.due_at if row.state in (State.RETRYING, State.READY) else None
    return [
        ("state", lines(state(row.state.value), row.reason, style="")),
        ("what", what(row)),
        ("where", f"{row.destination}, step {row.step}" if row.kind != "mail" else row.destination),
        ("certificate", certificate_id.grouped(row.certificate_id) if row.certificate_id else None),
        ("version", row.version),
        ("next try", page.when(due, seconds=True) if due else None),
        ("waits for", f"delivery {row.after_id}" if row.after_id and row.state is State.READY else None),
        ("receipt", plain((row.receipt or {}).get("summary")) or None),
        *_details(row),
    ]


def _details(row: OutboxRow) -> list[tuple[str, object]]:
    """Returns what the other side said about it: the number of a note, the Message-ID."""
    details = (row.receipt or {}).get("details")
    if not isinstance(details, dict):
        return []
    return [
        (plain(name).replace("_", "-"), plain(value)) for name, value in details.items() if isinstance(value, str | int)
    ]


def advice(row: OutboxRow) -> str | None:
    """Returns what a person can do about this delivery, or None when there is nothing to do."""
    if row.state in (State.HELD, State.FAILED):
        return f"When the cause is mended: certbridge outbox replay {row.id}"
    return None


def settled_at(tx: Transaction, row: OutboxRow) -> datetime | None:
    """Returns the end of the last attempt, or None when there was none."""
    tried = attempts.of(tx, outbox_id=row.id)
    return tried[-1].ended_at if tried else None
