"""What stands in a row of the inbox: as it comes in, as it is read, and how an event becomes JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import RowMapping

from bridge.core.models import JsonObject, SourceEvent, State


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event at the door."""

    source: str
    test: bool
    event: SourceEvent
    body_sha256: str
    """Of the part of the body this event was cut from; tells a repeat from a change."""
    request_id: int | None = None
    state: State = State.READY
    code: str | None = None
    reason: str | None = None
    batch_id: str | None = None
    row_key: str | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    """What a person decided about it beforehand."""


@dataclass(frozen=True, slots=True)
class Put:
    """What became of an event at the door."""

    inbox_id: int
    result: Literal["new", "duplicate", "revised", "revived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """One row of the inbox."""

    id: int
    request_id: int | None
    source: str
    test: bool
    event_id: str
    revision: int
    body_sha256: str
    event_type: str
    occurred_at: datetime | None
    event: SourceEvent
    """As parsed at the door."""
    record: SourceEvent | None
    """As completed over the vendor's API."""
    stage: str
    state: State
    due_at: datetime | None
    lease_token: str | None
    leased_by: str | None
    attempts: int
    code: str | None
    reason: str | None
    completion: JsonObject | None
    overrides: dict[str, str]
    completion_id: int | None
    mapping_sha: str | None
    batch_id: str | None
    row_key: str | None
    deliveries: int


def read_row(row: RowMapping) -> InboxRow:
    """Returns a row of the table as a value."""
    values = dict(row)
    payload = values.pop("payload")
    basics = {name: values[name] for name in ("event_id", "event_type", "occurred_at")}
    values["event"] = _event(payload) if payload is not None else SourceEvent(**basics)
    values["record"] = _event(values["record"]) if values["record"] is not None else None
    values["state"] = State(values["state"])
    return InboxRow(**values)


def stored(event: SourceEvent) -> JsonObject:
    """Returns an event as the table keeps it."""
    # Pydantic raises UnicodeEncodeError for a lone surrogate in a dictionary's key; our column type replaces it.
    return {**event.model_dump(mode="json", exclude={"data"}), "data": event.data}


def _event(stored: JsonObject) -> SourceEvent:
    # Rows outlive releases: a field that a later SourceEvent no longer has must not make the row unreadable.
    return SourceEvent.model_validate(
        {name: value for name, value in stored.items() if name in SourceEvent.model_fields}
    )
