"""One configured source as people and programs see it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from rich.text import Text

from bridge.cli.output import Page, plain, state
from bridge.core.connector import Connector
from bridge.core.models import JsonObject, State
from bridge.flow.schedule import Rhythm, silent
from bridge.parts import rhythms
from bridge.store import inbox, polls, requests, sources
from bridge.store.polls import PollState
from bridge.store.requests import RequestRow
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
    rhythm: Rhythm
    silent_since: datetime | None
    test: bool
    refused: RequestRow | None
    """The last request that was refused at the door."""

    @property
    def last_request_at(self) -> datetime | None:
        """When something last came to its webhook address, refused or not."""
        came = (self.row.last_request_at if self.row else None, self.refused.received_at if self.refused else None)
        return max(filter(None, came), default=None)

    @property
    def refusal(self) -> RequestRow | None:
        """Why its last request was refused; None when nothing came, or something was accepted since."""
        return self.refused if self.refused and self.refused.received_at == self.last_request_at else None

    @property
    def poll(self) -> PollState | None:
        """Where its poll stands; None when it is not polled."""
        return polls.state(self.row, test=self.test) if self.row and self.rhythm.poll_every else None


def look(bridge: Bridge) -> list[ShownSource]:
    """Reads every configured source, in the order of the configuration."""
    rhythm = rhythms(bridge.config, bridge.sources)
    now, rows, counted, quiet, refused = bridge.store.read(
        lambda tx: (
            tx.now,
            sources.listing(tx),
            inbox.counts(tx),
            dict(silent(tx, rhythm)),
            {name: requests.search(tx, source=name, outcome="rejected", limit=1) for name in bridge.sources},
        )
    )
    known = {row.name: _present(row, now) for row in rows}
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
                rhythm=rhythm[name],
                silent_since=quiet.get(name),
                test=source.test,
                refused=next(iter(refused[name]), None),
            )
        )
    return found


def _present(row: SourceRow, now: datetime) -> SourceRow:
    """Leaves out a rest that is over."""
    over = row.paused_until is not None and row.paused_until <= now
    return replace(row, paused_until=None, pause_reason=None) if over else row


def webhook_url(public_url: str, name: str, connector: Connector[Any], *, hidden: bool = True) -> str:
    """Returns where this source's webhooks go; a token in the address is shown as *** unless it is not `hidden`."""
    token, parameters = connector.address_secrets()
    end = "" if token is None else "/***" if hidden else f"/{quote(token, safe='')}"
    behind = "&".join(f"{key}=***" for key in parameters) if hidden else urlencode(parameters)
    return f"{public_url.rstrip('/')}/hooks/{name}{end}{'?' if behind else ''}{behind}"


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
        "last_request_at": one.last_request_at,
        "last_refused": _refused_json(one),
        "last_event_at": row.last_event_at if row else None,
        "poll": _poll_json(one),
        "silent_since": one.silent_since,
        "paused_until": row.paused_until if row else None,
        "pause_reason": row.pause_reason if row else None,
        "events": one.counts,
    }


def _refused_json(one: ShownSource) -> JsonObject | None:
    if one.refused is None:
        return None
    return {"at": one.refused.received_at, "status": one.refused.status, "reason": one.refused.reason}


def _poll_json(one: ShownSource) -> JsonObject | None:
    if one.poll is None or one.rhythm.poll_every is None:
        return None
    said = {"ended_at": one.poll.ended_at, "new": one.poll.new, "error": one.poll.error}
    return {"every_seconds": one.rhythm.poll_every.total_seconds(), **said}


def _poll_text(one: ShownSource, page: Page) -> str:
    if one.poll is None:
        return "not polled" if not one.connector.polls() else "off"
    every = f"every {length(one.rhythm.poll_every)}" if one.rhythm.poll_every else ""
    if one.poll.ended_at is None:
        return f"{every}; not yet"
    ended = f"the last one, {page.when(one.poll.ended_at)}, "
    return f"{every}; {ended}{f'failed: {one.poll.error}' if one.poll.error else f'found {one.poll.new} new'}"


def length(time: timedelta) -> str:
    """Returns a length of time in words: "15 minutes"."""
    seconds = round(time.total_seconds())
    for word, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {word}{'' if seconds == size else 's'}"
    return f"{seconds} seconds"


def title(one: ShownSource) -> Text:
    """Returns name, kind and mode."""
    mode = Text(one.mode, style="green" if one.mode == "live" else "yellow")
    return Text.assemble((plain(one.name), "bold"), f"  {one.connector.title}, ", mode)


def facts(one: ShownSource, page: Page) -> list[tuple[str, object]]:
    """Returns what there is to know, name by name."""
    row = one.row
    silence = Text(f"since {page.when(one.silent_since)}", style="bold red") if one.silent_since else None
    refused = Text(f"the last one, HTTP {one.refusal.status}: {plain(one.refusal.reason)}") if one.refusal else None
    paused = f"until {page.when(row.paused_until)}: {row.pause_reason}" if row and row.paused_until else None
    return [
        ("webhook", one.webhook),
        ("mapping", one.mapping),
        ("problem", Text(one.mapping_problem, style="bold red") if one.mapping_problem else None),
        ("start line", page.when(row.since) if row else None),
        ("paused", paused),
        ("poll", _poll_text(one, page)),
        ("silent", silence),
        ("last request", page.when(one.last_request_at) if one.last_request_at else "none yet"),
        ("refused", refused),
        ("last event", page.when(row.last_event_at) if row and row.last_event_at else "none yet"),
        ("events", _counts(one.counts)),
    ]


def _counts(counts: dict[str, int]) -> Text:
    parts = [Text.assemble(f"{counts[one.value]} ", state(one.value)) for one in State if counts.get(one.value)]
    return Text(", ").join(parts) if parts else Text("none yet")
