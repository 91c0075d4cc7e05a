"""Asks Salesforce for completions: one record, one learner's, and the courses there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.core.connector import CourseFound
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.text import as_text
from connectors.salesforce import ids, soql
from connectors.salesforce.completion import make_event, over
from connectors.salesforce.rest import Rest
from connectors.salesforce.settings import SalesforceSettings

_ASKED: Final = "record:"
"""Begins the id of every event that was made from a query, and so needs no second one."""
_FIRST: Final = "LIMIT 500"


def complete(event: SourceEvent, settings: SalesforceSettings, rest: Rest) -> SourceEvent:
    """Returns the event with what Salesforce says of its record now; what the message said no longer counts.

    Raises PermanentError when Salesforce shows no such record.
    """
    record_id = ids.normal(event.data.get("id"))
    if record_id is None or event.event_id.startswith(_ASKED):
        return event
    found = rest.first_page(soql.select(settings, f"Id = {soql.quoted(record_id)}"))
    if not found:
        raise PermanentError(
            f"Salesforce shows no {settings.object} {record_id}. It was deleted since, or the integration user may "
            "not see it (sharing). If every record is missing, it is that; when it is mended, replay the event.",
            code="record_not_shown",
        )
    return _event(settings, record_id, found[0], event.event_id)


def ask(settings: SalesforceSettings, rest: Rest, learner: str) -> Sequence[SourceEvent]:
    """Returns the completions of one learner. Raises PermanentError where neither id nor address was given."""
    number, fields = ids.normal(learner), settings.fields
    if number is not None:
        condition = f"{fields.learner} = {soql.quoted(number)}"
    elif "@" in learner and fields.email is not None:
        condition = f"{fields.email} = {soql.quoted(learner.strip())}"
    else:
        raise PermanentError(
            f"{learner.strip()[:60]!r} is neither an e-mail address nor an id of Salesforce. Name the learner by one of"
            f" them (the id: {fields.learner}, 15 or 18 characters, copied with their capitals).",
            code="no_ask",
        )
    query = soql.select(settings, condition, *soql.completed(settings), tail=f"ORDER BY {soql.STAMP}, Id {_FIRST}")
    return [event for page in rest.pages(query) for event in events(settings, page)]


def courses(settings: SalesforceSettings, rest: Rest) -> Iterator[CourseFound]:
    """Yields each value that the course's field holds. Raises PermanentError where it cannot be grouped by."""
    if settings.one_course is not None:
        yield CourseFound(settings.one_course, settings.one_course)
        return
    course = settings.fields.course
    title = settings.fields.course_title or course
    columns = {"course": course} | ({"title": title} if title != course else {})
    shown = [*(f"{path} {alias}" for alias, path in columns.items()), "COUNT(Id) completions"]
    tail = f"GROUP BY {', '.join(columns.values())} LIMIT 2000"
    for row in rest.groups(soql.query(shown, settings.object, f"{course} != null", tail=tail)):
        number = _plain(row.get("course"))
        if number is not None:
            yield CourseFound(number, _plain(row.get("title")) or number)


def events(settings: SalesforceSettings, found: Sequence[JsonObject]) -> list[SourceEvent]:
    """Returns what records say was completed, each as a poll tells of it."""
    known = [(number, record) for record in found if (number := ids.normal(at(record, "Id")))]
    return [_event(settings, number, record) for number, record in known]


def _event(settings: SalesforceSettings, number: str, record: JsonObject, event_id: str | None = None) -> SourceEvent:
    paths = settings.paths()
    event = make_event(settings, event_id or _ASKED, number, lambda word: at(record, paths.get(word, "")))
    if event_id:
        return event
    # What a poll finds is measured by the start line before the mapping knows in which zone its date was one.
    when = over(event.data["completed_at"])
    return event.model_copy(update={"event_id": f"{_ASKED}{event.keys[0]}", "occurred_at": when})


def at(record: object, path: str) -> object:
    """Returns what stands at a path such as Contact__r.Email; None where a part of it is missing or null."""
    for name in path.split("."):
        if not isinstance(record, dict):
            return None
        # Names are the same whatever their case; Salesforce answers in its own.
        record = next((value for key, value in record.items() if key.lower() == name.lower()), None)
    return record


def _plain(value: object) -> str | None:
    try:
        return as_text(value).strip() or None
    except ValueError:
        return None
