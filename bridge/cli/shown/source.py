"""One configured source as people and programs see it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from bridge.cli.output import Page, plain, state
from bridge.core.connector import Connector
from bridge.core.models import JsonObject, State
from bridge.store import inbox, sources
from bridge.store.sources import SourceRow

if TYPE_CHECKING:
    from bridge.app import Bridge


@dataclass(frozen=True, slots=True)
class ShownSource:
    """A source with what the store knows about it."""

    name: str
    connector: Connector[Any]
    mode: str
    webhook: str
    mapping: str
    mapping_problem: str | None
    row: SourceRow | None
    counts: dict[str, int]


def look(bridge: Bridge) -> list[ShownSource]:
    """Reads every configured source, in the order of the configuration."""
    rows, counted = bridge.store.read(lambda tx: (sources.listing(tx), inbox.counts(tx)))
    known = {row.name: row for row in rows}
    found = []
    for name, source in bridge.sources.items():
        settings = bridge.config.sources[name]
        counts = Counter({state.value: number for (owner, state), number in counted.items() if owner == name})
        found.append(
            ShownSource(
                name=name,
                connector=source.connector,
                mode=settings.mode,
                webhook=webhook_url(bridge.config.public_url, name, source.connector),
                mapping=settings.mapping or f"{settings.connector} (as shipped)",
                mapping_problem=bridge.mappings.problems.get(name),
                row=known.get(name),
                counts=dict(counts),
            )
        )
    return found


def webhook_url(public_url: str, name: str, connector: Connector[Any]) -> str:
    """Returns where this source's webhooks go; a token in the address is shown as ***."""
    # What the connector does to a sample tells whether its address ends in a token.
    token = connector.sign(b"{}", {}, datetime.now(UTC)).path_token
    return f"{public_url.rstrip('/')}/hooks/{name}" + ("/***" if token else "")


def as_json(one: ShownSource) -> JsonObject:
    """Returns the stable shape for programs."""
    row = one.row
    return {
        "name": one.name,
        "connector": one.connector.name,
        "mode": one.mode,
        "webhook_url": one.webhook,
        "mapping": one.mapping,
        "mapping_problem": one.mapping_problem,
        "since": row.since if row else None,
        "last_request_at": row.last_request_at if row else None,
        "last_event_at": row.last_event_at if row else None,
        "paused_until": row.paused_until if row else None,
        "pause_reason": row.pause_reason if row else None,
        "events": one.counts,
    }


def title(one: ShownSource) -> Text:
    """Returns name, kind and mode."""
    mode = Text(one.mode, style="green" if one.mode == "live" else "yellow")
    return Text.assemble((plain(one.name), "bold"), f"  {one.connector.title}, ", mode)


def facts(one: ShownSource, page: Page) -> list[tuple[str, object]]:
    """Returns what there is to know, name by name."""
    row = one.row
    paused = f"until {page.when(row.paused_until)}: {row.pause_reason}" if row and row.paused_until else None
    return [
        ("webhook", one.webhook),
        ("mapping", one.mapping),
        ("problem", Text(one.mapping_problem, style="bold red") if one.mapping_problem else None),
        ("start line", page.when(row.since) if row else None),
        ("paused", paused),
        ("last request", page.when(row.last_request_at) if row and row.last_request_at else "none yet"),
        ("last event", page.when(row.last_event_at) if row and row.last_event_at else "none yet"),
        ("events", _counts(one.counts)),
    ]


def _counts(counts: dict[str, int]) -> Text:
    parts = [Text.assemble(f"{counts[one.value]} ", state(one.value)) for one in State if counts.get(one.value)]
    return Text(", ").join(parts) if parts else Text("none yet")
