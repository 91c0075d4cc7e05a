"""Finds completions by HubSpot's contact search: what changed lately, and what still has no certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bridge.core.connector import Page
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import JsonObject, SourceEvent
from connectors.hubspot.crm import Crm
from connectors.hubspot.enrichment import found
from connectors.hubspot.record import Contact
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import instant, moment

# A contact that changed is not found by the search at once.
LAG: Final = timedelta(seconds=60)
OVERLAP: Final = timedelta(minutes=10)
PAGE: Final = 200
_LONGEST: Final = 3_000
"""Characters in the body of a search."""
_ID: Final = "hs_object_id"
_CHANGED: Final = "lastmodifieddate"
_OF_HUBSPOT: Final = frozenset({_ID, _CHANGED})


@dataclass(frozen=True, slots=True)
class _Run:
    """One look at everything: a closed window of time, and how far it has come. Times in milliseconds."""

    start: int
    end: int
    name: str | None
    """The property that is looked at; None: begin with the first."""
    after: int
    """The contact after which it goes on; ids only grow, so no page is skipped or repeated while contacts change."""


def poll(crm: Crm, settings: HubSpotSettings, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
    """Yields the completions that the contacts' properties tell of. Raises PermanentError, TemporaryError.

    A window is read to its end, also by a later poll where this one breaks off; the next one overlaps it.
    https://developers.hubspot.com/docs/api-reference/crm-search-v3/guide
    """
    run = _run(cursor, since, now)
    names = list(settings.watched)
    todo = names[names.index(run.name) :] if run.name in names else names
    if run.end <= run.start:
        return
    for name in todo:
        after = run.after if name == run.name else 0
        more = True
        while more:
            contacts, after, more = _page(crm, _query(name, after, run, since, settings), after)
            events = [(event, contact) for contact in contacts for event in found(contact, settings)]
            ended = not more and name == todo[-1]
            cursor = {"end": run.end} if ended else _cursor(run, name, after)
            yield Page([event for event, _ in events], cursor, touched=_touched(events))


def _touched(events: Sequence[tuple[SourceEvent, Contact]]) -> dict[str, datetime]:
    changes = {event.event_id: instant(moment(contact.properties.get(_CHANGED))) for event, contact in events}
    return {event: at for event, at in changes.items() if at is not None}


def _page(crm: Crm, query: Mapping[str, Any], after: int) -> tuple[list[Contact], int, bool]:
    """Returns the contacts after one, the last of them, and whether there are more."""
    fits = len(json.dumps(query, ensure_ascii=False)) <= _LONGEST
    found, more = _search(crm, query if fits else {**query, "properties": [_ID]})
    last = max((int(contact.id) for contact in found), default=after)
    if found and last <= after:
        raise TemporaryError("HubSpot's search sent a page again instead of the next one.", code="no_progress")
    # A school with a property for each of very many courses: the search tells who, and they are read apart.
    return found if fits else crm.many([contact.id for contact in found], query["properties"]), last, more


def _search(crm: Crm, query: Mapping[str, Any]) -> tuple[list[Contact], bool]:
    try:
        return crm.search(query)
    except PermanentError as error:
        if error.stable_code != "http_400":
            raise
        # Of a filter for a property it does not have, HubSpot says no more than that there was a problem.
        filters = [one["propertyName"] for group in query["filterGroups"] for one in group["filters"]]
        named = ", ".join(name for name in dict.fromkeys(filters) if name not in _OF_HUBSPOT)
        raise PermanentError(
            f"{error} Usual cause: a contact property that the search needs ({named}) was renamed or deleted in "
            "HubSpot. `certbridge doctor` says which one; until it is mended, nothing is found by asking.",
            code="search_refused",
        ) from error


def _run(cursor: JsonObject, since: datetime, now: datetime) -> _Run:
    start, end, after = (cursor.get(key) for key in ("start", "end", "after"))
    name = cursor.get("property")
    if isinstance(start, int) and isinstance(end, int) and isinstance(after, int) and isinstance(name, str):
        return _Run(start, end, name, after)
    begin = end - _ms(OVERLAP) if isinstance(end, int) else _epoch(since)
    return _Run(begin, _epoch(now - LAG), None, 0)


def _cursor(run: _Run, name: str, after: int) -> JsonObject:
    return {"start": run.start, "end": run.end, "property": name, "after": after}


def _query(name: str, after: int, run: _Run, since: datetime, settings: HubSpotSettings) -> Mapping[str, Any]:
    """Returns the search: contacts that changed in the window or (they are found again until it is mended) that were
    completed since the start line and have no certificate.
    """
    filled = _filter(name, "HAS_PROPERTY")
    further = _filter(_ID, "GT", after)
    window = [_filter(_CHANGED, "GTE", run.start), _filter(_CHANGED, "LT", run.end)]
    groups = [{"filters": [filled, *window, further]}]
    empty = settings.certificate_property(settings.watched[name])
    if empty is not None:
        groups.append(
            {"filters": [filled, *_since(name, since, settings), _filter(empty, "NOT_HAS_PROPERTY"), further]}
        )
    return {
        "filterGroups": groups,
        "sorts": [{"propertyName": _ID, "direction": "ASCENDING"}],
        "properties": settings.read_properties,
        "limit": PAGE,
    }


def _since(name: str, since: datetime, settings: HubSpotSettings) -> list[dict[str, str]]:
    # A status or a checkbox says nothing about when. A date is midnight UTC, and may be today's where people live
    # when it is tomorrow already in UTC; whoever takes the page in looks more closely.
    dated = settings.completed_at_property or (None if settings.completed_value else name)
    return [_filter(dated, "GTE", _epoch(since - timedelta(hours=36)))] if dated else []


def _filter(name: str, operator: str, value: int | None = None) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, **({} if value is None else {"value": str(value)})}


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
