"""Reads contacts: is the tag really there, who is it, and who has it without a certificate yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from bridge.core.answers import digits, line, section, sections, stamp, texts
from bridge.core.connector import Page
from bridge.core.errors import HeldError, PermanentError, UnconfirmedError
from bridge.core.models import JsonObject, SourceEvent
from connectors.kajabi.events import ADDED, REMOVED, named, shape, site_of, tag_event
from connectors.kajabi.rest import Rest
from connectors.kajabi.tags import CourseTag, Wanted, configured, course_tags, found, no_tag

_HAD_IT_BEFORE: Final = (
    "The contact had this tag before it was added to `tags`, so this counts as older than the start of the course "
    "here. For a certificate ask Kajabi about this learner: certbridge sources ask."
)


def confirmed(event: SourceEvent, rest: Rest, tags: Wanted) -> SourceEvent:
    """Returns the event as Kajabi's API tells it: nobody signs the webhook, so it is no more than a hint.

    Raises UnconfirmedError while the contact does not have the tag (of tag_removed: still has it), HeldError for an
    event that names no contact or tag, PermanentError and TemporaryError.
    """
    learner, course = event.subject, event.course
    if learner is None or course is None:
        raise HeldError(
            "Kajabi's event names no contact or no tag. Look it up in Kajabi and issue the certificate by hand.",
            code="no_learner",
        )
    try:
        document = rest.contact(learner, with_tags=True)
    except PermanentError as error:
        if error.stable_code == "contact_gone" and event.event_type == REMOVED:
            return event
        raise
    contact = section(document.get("data"))
    _check_tag(event.event_type, learner, course, _tags(document, learner, rest))
    if site_of(contact) not in (None, rest.site):
        raise UnconfirmedError(f"Contact {learner} belongs to another site of the account than {rest.site}.")
    name = _name(document, course)
    if name is None and event.event_type == ADDED:
        # Not what the webhook calls it: anybody who knows the address could give a tag the name of a course.
        name = next((tag.title for tag in found(rest) if tag.id == course), None)
    elif name is None:
        name = event.data["tag"]["name"]
    if configured(tags, course, name) is None:
        raise UnconfirmedError(f"Tag {course} is called {name!r} in Kajabi, which is none of those under `tags`.")
    data = {"contact": {**shape(contact), "id": learner}, "tag": {"id": course, "name": name}}
    return event.model_copy(update={"data": data})


def waiting(rest: Rest, tags: Wanted, cursor: JsonObject, now: datetime) -> Iterator[Page]:
    """Yields the contacts that have the tag of a completed course and not the one that marks it as issued.

    Kajabi knows no time of a tag, so `occurred_at` is open. Raises PermanentError when one of the configured tags is
    missing (later than at the first contact: after the others were looked at), and TemporaryError.
    """
    ready, missing = course_tags(tags, found(rest))
    # At the first contact the flow knows that everybody is older; of a tag that joins later only we know it.
    known = texts(cursor.get("known")) if cursor else [tag.id for tag in ready]
    if missing and not cursor:
        raise no_tag(missing)  # a first contact that failed at its end would never be over
    for tag in ready:
        old = tag.id not in known
        for page in rest.pages("/contacts", _filter(tag)):
            events = [event for row in page if (event := _waits(row, tag, rest.site, old=old)) is not None]
            yield Page(events, {"known": known, "polled": stamp(now)})
        known = [*dict.fromkeys([*known, tag.id])]
        yield Page((), {"known": known, "polled": stamp(now)})
    if missing:
        raise no_tag(missing)


def of_learner(learner: str, rest: Rest, tags: Wanted) -> Sequence[SourceEvent]:
    """Returns the completions of one contact, named by id or e-mail address."""
    number = digits(learner) or _number_of(learner, rest)
    if number is None:
        return ()
    document = rest.contact(number, with_tags=True)
    contact = {**section(document.get("data")), "id": number}
    has = _tags(document, number, rest)
    ready, _ = course_tags(tags, found(rest))
    events = [tag_event(ADDED, rest.site, contact, {"id": tag.id, "name": tag.name}) for tag in ready if tag.id in has]
    return [event for event in events if event is not None]


def _number_of(address: str, rest: Rest) -> str | None:
    # Kajabi searches loosely, and keeps addresses in small letters.
    wanted = address.strip().casefold()
    for row in rest.rows("/contacts", {"filter[search]": wanted}):
        if str(section(row.get("attributes")).get("email")).strip().casefold() == wanted:
            return digits(row.get("id"))
    return None


def _filter(tag: CourseTag) -> dict[str, str]:
    query = {"filter[has_tag_id]": tag.id, "sort": "created_at"}
    return {**query, "filter[has_no_tag_id]": tag.issued} if tag.issued else query


def _waits(row: JsonObject, tag: CourseTag, site: str, *, old: bool) -> SourceEvent | None:
    event = tag_event(ADDED, site, row, {"id": tag.id, "name": tag.name})
    return event.model_copy(update={"skip": _HAD_IT_BEFORE}) if event is not None and old else event


def _check_tag(event_type: str, learner: str, course: str, has: set[str]) -> None:
    if event_type == REMOVED and course in has:
        raise UnconfirmedError(f"Contact {learner} still has the tag {course} in Kajabi.")
    if event_type == ADDED and course not in has:
        raise UnconfirmedError(
            f"Contact {learner} does not have the tag {course} in Kajabi. Usual causes: it was taken away again, or "
            "the event did not come from Kajabi."
        )


def _tags(document: JsonObject, learner: str, rest: Rest) -> set[str]:
    relation = section(section(section(document.get("data")).get("relationships")).get("tags")).get("data")
    if isinstance(relation, list):
        return {str(tag.get("id")) for tag in sections(relation)}
    return rest.tags_of(learner)


def _name(document: JsonObject, tag: str) -> str | None:
    included = [item for item in sections(document.get("included")) if item.get("type") == "contact_tags"]
    return next((line(one["name"]) for one in map(named, included) if one["id"] == tag), None)
