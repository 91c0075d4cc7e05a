"""One event as people and programs see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from bridge.cli.output import Column, Page, lines, plain, short, state
from bridge.core import certificate_id
from bridge.core.models import Completion, JsonObject, State
from bridge.flow.receive import UNREADABLE
from bridge.store import certificates, requests
from bridge.store.certificates import CertificateRow
from bridge.store.inbox import InboxRow
from bridge.store.transaction import Transaction

Named = Callable[[InboxRow], str | None]
LISTED: Final = 200
"""Characters of a reason in a list; the event's own page has all of it."""
QUIET = (State.READY, State.RUNNING)
"""States that need no reason."""

if TYPE_CHECKING:
    from bridge.app import Bridge

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
    who: str
    """Learner and course: by name where the mapping can read them, else by the source's ids."""
    why: str | None
    """The reason, without who it is about."""


def look(tx: Transaction, rows: Sequence[InboxRow], named: Named) -> list[ShownEvent]:
    """Finds request and certificate of each row; `named` reads names from events that became no completion."""
    return [_shown(tx, row, named) for row in rows]


def _shown(tx: Transaction, row: InboxRow, named: Named) -> ShownEvent:
    who = _completion_of(row) or named(row) or _ids(row)
    reason = plain(row.reason) or None
    why = reason.removeprefix(f"{who}.").removeprefix(f"{who}:").strip() if reason else None
    return ShownEvent(row, _received_at(tx, row), _certificate(tx, row), who, why)


def names_by(bridge: Bridge) -> Named:
    """Returns a reader of names that asks each source's mapping; it issues and stores nothing."""

    def named(row: InboxRow) -> str | None:
        if row.source not in bridge.sources or row.event_type not in bridge.mappings.current(row.source).event_types():
            return None
        mapping = bridge.mappings.current(row.source)
        # As if released: what is held for a decision has all its names, with the title as it would be printed.
        overrides = {**row.overrides, "released": "yes"}
        decision = mapping.apply(row.record or row.event, defaults=bridge.defaults, overrides=overrides)
        if isinstance(decision.outcome, Completion):
            return plain(f"{decision.outcome.recipient.name}, {decision.outcome.course.title}")
        said = {line.word: line.value for line in decision.trace if line.value}
        return plain(", ".join(said[word] for word in ("name", "course title") if word in said)) or None

    return named


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
        "about": event.who,
        "completion": row.completion,
        "certificate": event.certificate.id if event.certificate else None,
    }
    if whole:
        shape["event"] = row.event.model_dump(mode="json")
        shape["record"] = row.record.model_dump(mode="json") if row.record else None
    return shape


def _completion_of(row: InboxRow) -> str | None:
    if row.completion is None:
        return None
    return plain(f"{row.completion['recipient']['name']}, {row.completion['course']['title']}")


def _ids(row: InboxRow) -> str:
    if row.event_type == UNREADABLE:
        return "a request that cannot be read"
    known = [
        f"{word} {value}" for word, value in (("learner", row.event.subject), ("course", row.event.course)) if value
    ]
    return plain(", ".join(known) or row.event_id)


def cell(event: ShownEvent) -> Text:
    """Returns who it is about, and below it what came or why it went no further."""
    row = event.row
    if row.state in QUIET or not event.why:
        return lines(event.who, plain(row.event_type))
    return lines(event.who, short(event.why, LISTED), style=tone(row.state))


def tone(word: State) -> str:
    """Returns how a reason looks: plain where a person should read it, pale where it only explains."""
    return "" if word in (State.HELD, State.FAILED, State.RETRYING) else "dim"


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
        ("state", lines(state(row.state.value), event.why, style="")),
        ("about", event.who),
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
                f"Corrected at the source or in the mapping: certbridge events replay {number}   (asks the source)\n"
                f"To leave it: certbridge events cancel {number} --reason TEXT"
            )
        case State.FAILED:
            return f"When the cause is mended: certbridge events replay {number}   (asks the source)"
        case State.IGNORED | State.CANCELLED if row.code not in ("event_type", "not_wanted"):
            return f"After a change of mind or of the mapping: certbridge events replay {number}"
        case State.READY | State.RUNNING:
            return f"A worker takes it on while `certbridge serve` runs: certbridge events show {number}"
        case _:
            return None
