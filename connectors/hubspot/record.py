"""One documented shape for a completion, whether a webhook, a workflow or a poll told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.core.models import JsonObject, SourceEvent
from connectors.hubspot import values
from connectors.hubspot.settings import HubSpotSettings

CHANGED: Final = "contact.propertyChange"
NOT_COMPLETED: Final = "The workflow sent it, but the property that tells of completions says that it is not completed."
WORKFLOW: Final = "workflow"
_MOST_MERGED: Final = 50


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as HubSpot shows it."""

    id: str
    others: tuple[str, ...]
    """Ids under which it was known before other contacts were merged into it."""
    properties: Mapping[str, Any]
    """Plain values by internal name; null where a property is empty or hidden."""
    hidden: frozenset[str]
    """Properties that are filled, but not for our eyes."""

    def text(self, name: str | None) -> str | None:
        """Returns a property as short text, None where it is empty."""
        return values.word(self.properties.get(name)) if name else None


@dataclass(frozen=True, slots=True)
class Completed:
    """That a course was completed, as far as the properties tell."""

    course: str | None
    title: str | None
    at: str | None
    """A date, an instant, or text that is neither."""
    mark: str
    """What tells it from another completion of the same course."""
    score: str | None = None


def contact(answer: Mapping[str, Any], asked: str | None = None) -> Contact | None:
    """Reads a contact in the shape of the object API or of version 1; None where it has no id.

    A contact that was merged answers under its old ids with its new one; `asked` is the id that was asked for.
    """
    raw = answer.get("properties")
    properties = raw if isinstance(raw, dict) else {}
    found = {str(name): values.plain(value) for name, value in properties.items()}
    ids = (answer.get("canonical-vid"), answer.get("id"), answer.get("vid"), found.get("hs_object_id"))
    number = next((known for one in ids if (known := values.identifier(one))), None)
    if number is None:
        return None
    merged = str(found.get("hs_merged_object_ids") or "").split(";")
    old = answer.get("merged-vids")
    named = [asked, answer.get("vid"), *merged, *(old if isinstance(old, list) else [])][:_MOST_MERGED]
    others = dict.fromkeys(other for one in named if (other := values.identifier(one)) not in (None, number))
    hidden = frozenset(name for name in found if _shown(properties[name]) == values.REDACTED)
    return Contact(number, tuple(filter(None, others)), found, hidden)


def completions(found: Contact, settings: HubSpotSettings) -> Iterator[tuple[str, Completed]]:
    """Yields what a contact completed, each with the property that says so."""
    for name in settings.watched:
        if (done := completion(found, name, settings)) is not None:
            yield name, done


def completion(found: Contact, name: str, settings: HubSpotSettings) -> Completed | None:
    """Returns what the contact's property says was completed, None where it is empty or says no."""
    value = values.moment(found.properties.get(name))
    if not values.completed(value, settings.completed_value):
        return None
    dated = values.moment(found.properties.get(settings.completed_at_property or ""))
    at = values.completed_at(value, dated, settings.completed_value)
    course = settings.watched.get(name) or found.text(settings.course_property) or settings.course
    return Completed(course, course, at, at or value or "", found.text(settings.score_property))


def data(who: Contact, done: Completed, properties: Mapping[str, Any]) -> JsonObject:
    """Returns `contact`, `course`, `completed_at`, `score` and `properties`; null where HubSpot has nothing."""
    first, last = who.text("firstname"), who.text("lastname")
    return {
        "contact": {
            "id": who.id or None,
            "email": who.text("email"),
            "firstname": first,
            "lastname": last,
            "name": who.text("name") or " ".join(filter(None, (first, last))) or None,
            "language": who.text("hs_language"),
        },
        "course": {"id": done.course, "name": done.title},
        "completed_at": done.at,
        "score": done.score,
        "properties": dict(properties),
    }


def event(event_id: str, event_type: str, who: Contact, done: Completed, properties: Mapping[str, Any]) -> SourceEvent:
    """Returns a completion that is ready for the mapping."""
    return SourceEvent(
        event_id=event_id,
        event_type=event_type,
        subject=who.id or (who.text("email") or "").lower() or None,
        course=done.course,
        keys=keys(who, done),
        occurred_at=values.instant(done.at),
        data=data(who, done, properties),
    )


def keys(who: Contact, done: Completed) -> tuple[str, ...]:
    """Returns what stands for the completion: contact (under each of its ids), course and time.

    A checkbox without a date has only its "true" for that. A workflow that sends no time at all has nothing: the same
    words may tell of another completion next year.
    """
    if done.course is None or not done.mark:
        return ()
    return tuple(f"contact:{number}:{done.course}@{done.mark}" for number in (who.id, *who.others) if number)


def kept(properties: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """Returns the properties, each wanted one, without HubSpot's own bookkeeping, which changes by itself."""
    others = {
        name: value
        for name, value in properties.items()
        if not (name.startswith("hs_") or name in ("createdate", "lastmodifieddate"))
    }
    return {**others, **{name: properties.get(name) for name in wanted}}


def _shown(value: object) -> object:
    return value.get("value") if isinstance(value, Mapping) else value
