"""Finds completions by asking Salesforce: what was touched lately, and once a day what still has no certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from bridge.core.answers import moment
from bridge.core.connector import Page
from bridge.core.models import JsonObject
from connectors.salesforce import soql
from connectors.salesforce.lookup import at, events
from connectors.salesforce.rest import Rest
from connectors.salesforce.settings import SalesforceSettings

_LAG: Final = timedelta(minutes=1)
"""What is being written just now is left for the next poll."""
_OVERLAP: Final = timedelta(minutes=15)
"""A transaction may run for ten minutes, and its records carry the time at which it wrote them, not its end."""
_BACKLOG_EVERY: Final = timedelta(days=1)
_BACKLOG: Final = 2_000
"""Records: four requests a day at most, however many never get a certificate."""


def poll(
    settings: SalesforceSettings, rest: Rest, cursor: JsonObject, since: datetime, now: datetime
) -> Iterator[Page]:
    """Yields what was completed and touched since the cursor; each page's cursor allows to go on after it.

    Raises PermanentError, TemporaryError.
    """
    start, end = (moment(cursor.get("seen")) or since) - _OVERLAP, now - _LAG
    if end <= start:
        return
    # The first poll sees everything since the start line itself.
    looked = moment(cursor.get("looked")) or end
    window = (f"{soql.STAMP} >= {soql.instant(start)}", f"{soql.STAMP} < {soql.instant(end)}")
    query = soql.select(settings, *window, *soql.completed(settings), tail=f"ORDER BY {soql.STAMP}, Id")
    reached = start
    for found in rest.pages(query):
        reached = min(end, max([reached, *filter(None, map(_stamp, found))]))
        # Several records may share the last stamp; the next query asks for it again, and what is known is skipped.
        yield _page(settings, found, _cursor(reached, looked))
    if end - looked < _BACKLOG_EVERY:
        yield Page((), _cursor(end, looked))
    else:
        yield _page(settings, _backlog(settings, rest, since), _cursor(end, end))


def _backlog(settings: SalesforceSettings, rest: Rest, since: datetime) -> list[JsonObject]:
    """Returns completed records touched since the start line that have no certificate yet, the latest ones.

    A window misses what came to light without being touched: a sharing rule that was added, a formula whose other
    record changed. The number that is written back takes a record out of this list.
    """
    field = settings.write_back.certificate_field
    if field is None:
        return []
    conditions = (f"{field} = null", f"{soql.STAMP} >= {soql.instant(since)}", *soql.completed(settings))
    tail = f"ORDER BY {soql.STAMP} DESC, Id LIMIT {_BACKLOG}"
    pages = rest.pages(soql.select(settings, *conditions, tail=tail))
    return [record for found in pages for record in found]


def _page(settings: SalesforceSettings, found: Sequence[JsonObject], cursor: JsonObject) -> Page:
    told = [(event, _stamp(record)) for record in found for event in events(settings, [record])]
    touched = {event.event_id: stamp for event, stamp in told if stamp is not None}
    return Page([event for event, _ in told], cursor, touched=touched)


def _stamp(record: JsonObject) -> datetime | None:
    return moment(at(record, soql.STAMP))


def _cursor(reached: datetime, looked: datetime) -> JsonObject:
    return {"seen": soql.instant(reached), "looked": soql.instant(looked)}
