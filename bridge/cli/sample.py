"""Which event a command looks at: a stored one, the latest one, or one from a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from bridge.cli.send import read_sample
from bridge.core.errors import PermanentError
from bridge.core.models import InboundRequest, SourceEvent
from bridge.core.source import Source
from bridge.store import inbox
from bridge.store.inbox import InboxRow
from bridge.store.transaction import Transaction

if TYPE_CHECKING:
    from bridge.app import Bridge

NOT_FOR_US = ("event_type", "not_wanted")
"""Codes of events that no mapping ever sees."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An event to look at, as complete as it is known."""

    source: str
    event: SourceEvent
    overrides: dict[str, str]
    origin: str
    """For people: where it comes from, and what is missing from it."""
    thin: bool = False
    """The platform's API was not asked, though this connector asks it."""


def stored(bridge: Bridge, number: int) -> Chosen:
    """Returns a stored event with what the API said about it. Raises PermanentError for an unknown number."""
    row = bridge.store.read(lambda tx: inbox.get(tx, number))
    if row is None:
        raise PermanentError(f"There is no event {number}. `certbridge events list` shows the numbers.", code="unknown")
    return _of_row(bridge, row)


def latest(bridge: Bridge, source: str) -> Chosen:
    """Returns the latest event of a source that a mapping sees. Raises PermanentError when there is none."""
    rows = bridge.store.read(lambda tx: inbox.search(tx, source=source, limit=500))
    if not rows:
        raise PermanentError(f"Nothing has come from {source} yet. Use a sample: certbridge try {source} FILE.")
    mapped = bridge.mappings.current(source).event_types()
    seen = [row for row in rows if row.event_type in mapped and row.code not in NOT_FOR_US]
    return _of_row(bridge, (seen or rows)[0])


def _of_row(bridge: Bridge, row: InboxRow) -> Chosen:
    source = bridge.sources.get(row.source)
    if source is None:
        raise PermanentError(f"Event {row.id} came from {row.source}, which is not in the configuration any more.")
    fetched = row.record is not None
    said = ", with what its API said" if fetched else ""
    thin = not fetched and source.connector.enriches()
    return Chosen(row.source, row.record or row.event, row.overrides, f"event {row.id}{said}", thin)


def from_file(bridge: Bridge, source: Source, path: Path) -> list[Chosen]:
    """Reads a webhook's body (unverified, headers.json beside it) or a SourceEvent as JSON. Raises PayloadError."""
    body, headers = read_sample(path)
    record = _as_record(body)
    if record is not None:
        return [Chosen(source.name, record, {}, f"{path}, a record as it stands")]
    request = InboundRequest(
        method="POST",
        url=f"{bridge.config.public_url}/hooks/{source.name}",
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        received_at=datetime.now(UTC),
    )
    events = list(source.connector.parse(request))
    if not events:
        raise PermanentError(f"{path} holds no event that {source.connector.title} understands.")
    came = [event.model_copy(update={"received_at": request.received_at}) for event in events]
    return [_known_or_thin(bridge, source, event, str(path)) for event in came]


def _as_record(body: bytes) -> SourceEvent | None:
    try:
        return SourceEvent.model_validate_json(body)
    except ValidationError:
        return None


def _known_or_thin(bridge: Bridge, source: Source, event: SourceEvent, path: str) -> Chosen:
    if not source.connector.enriches():
        return Chosen(source.name, event, {}, path)

    def look(tx: Transaction) -> Iterator[InboxRow]:
        rows = inbox.search(tx, source=source.name, text=event.event_id, limit=20)
        return iter([row for row in rows if row.event_id == event.event_id and row.record is not None])

    known = next(bridge.store.read(look), None)
    if known is not None and known.record is not None:
        return Chosen(source.name, known.record, {}, f"{path}, with what the API said about event {known.id}")
    return Chosen(source.name, event, {}, path, thin=True)


def fetched(bridge: Bridge, chosen: Chosen) -> Chosen:
    """Asks the platform's API now; nothing is stored. Raises what the connector raises."""
    source = bridge.sources[chosen.source]
    record = source.connector.enrich(chosen.event, bridge.api(chosen.source))
    return Chosen(chosen.source, record, chosen.overrides, f"{chosen.origin}, with what the API says now")


def choose_one(*, file: object, event: object, last: bool) -> None:
    """Raises a usage error unless exactly one of the three ways to name an event was used."""
    if sum([file is not None, event is not None, last]) != 1:
        raise click.UsageError(
            "Say which event: a FILE (`certbridge try school body.json`), a stored one (`--event 12`), or the "
            "latest one (`certbridge try school --last`)."
        )
