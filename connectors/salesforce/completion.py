"""Makes our event of what one record says, the same from a message, a Flow's callout, a query and a poll."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Final

from bridge.core import dates
from bridge.core.dates import read_iso
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.text import as_text
from connectors.salesforce import ids
from connectors.salesforce.settings import SalesforceSettings

COMPLETION: Final = "completion"
"""Salesforce sends records, not events: this is what a record of the configured object stands for."""
_UNKNOWN: Final = "-"

Value = Callable[[str], object]
"""Gives what a record says for a word: `learner`, `email`, `fields.hours`, `completed`."""


def make_event(
    settings: SalesforceSettings, event_id: str, record_id: str, value: Value, *, whole: bool = True
) -> SourceEvent:
    """Returns the event about one record; `data` holds only what the configuration names.

    Stamps of the record and the certificate number in it stay out, so that a message that is sent again because of
    them (or because of certbridge's own update) is the same event. `whole`: what is missing is empty in Salesforce,
    too, and not merely left out of a message.
    """
    data = _data(settings, record_id, value)
    course, completed_at = data["course"]["id"], data["completed_at"]
    return SourceEvent(
        event_id=event_id,
        event_type=COMPLETION,
        subject=data["learner"]["id"],
        course=course,
        # The record alone is not enough: it may be completed again next year.
        keys=(f"{COMPLETION}:{record_id}:{course or _UNKNOWN}@{completed_at or _UNKNOWN}",),
        occurred_at=_instant(completed_at),
        data=data,
        skip=_not_completed(settings, data["status"], whole=whole),
    )


def _data(settings: SalesforceSettings, record_id: str, value: Value) -> JsonObject:
    first, last = _text(value("first_name")), _text(value("last_name"))
    course = settings.one_course or _text(value("course"))
    learner = _text(value("learner"))
    return {
        "object": settings.object,
        "id": record_id,
        "learner": {
            "id": ids.normal(learner) or learner,
            "name": _text(value("name")) or (f"{first} {last}" if first and last else None),
            "first_name": first,
            "last_name": last,
            "email": _text(value("email")),
        },
        "course": {"id": course, "title": _text(value("course_title")) or course},
        "completed_at": _moment(_text(value("completed_at"))),
        "score": _number(_text(value("score"))),
        "locale": _text(value("locale")),
        "status": _text(value("completed")),
        "fields": {word: _text(value(f"fields.{word}")) for word in settings.fields.extra},
    }


def _not_completed(settings: SalesforceSettings, status: str | None, *, whole: bool) -> str | None:
    if settings.completed_field is None or (status is None and not whole):
        return None
    if (status or "").lower() in {wanted.lower() for wanted in settings.completed_values}:
        return None
    shown = repr(status[:60]) if status else "empty"
    return f"{settings.completed_field} is {shown}, so this is not completed (yet)."


def _text(value: object) -> str | None:
    """Returns a value of a record as text: queries give numbers and true or false, messages text for everything."""
    try:
        return as_text(value).strip() or None
    except ValueError:
        return None


def _moment(text: str | None) -> str | None:
    """Returns a date as it is and a time in UTC to the second; what is neither stays, for the mapping to complain."""
    try:
        found = read_iso(text or "")
    except ValueError:
        return text
    if isinstance(found, datetime):
        return found.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return found.isoformat()


def _instant(moment: str | None) -> datetime | None:
    found = _read(moment)
    # Of a mere date, its last second, so that it stays the same day where nothing else is known.
    return found if found is None or isinstance(found, datetime) else datetime.combine(found, time(23, 59, 59), UTC)


def over(moment: str | None) -> datetime | None:
    """Returns when it was completed at the latest, from the `completed_at` of an event; None where that is no time."""
    found = _read(moment)
    return found if found is None or isinstance(found, datetime) else dates.over(found)


def _read(moment: str | None) -> datetime | date | None:
    try:
        return read_iso(moment or "")
    except ValueError:
        return None


def _number(text: str | None) -> str | None:
    """Returns 95.0 as 95, however it came."""
    try:
        return as_text(float(text)) if text else None
    except ValueError:
        return text
