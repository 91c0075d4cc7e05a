"""Reads a workflow's body that an admin put together: each value under whatever name people use for it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from bridge.core.errors import PayloadError
from bridge.core.models import JsonObject, SourceEvent
from connectors.hubspot import record, values
from connectors.hubspot.record import NOT_COMPLETED, WORKFLOW, Completed, Contact
from connectors.hubspot.settings import HubSpotSettings

# Our word -> what people call it in a body of their own, written without signs and capitals. The plain "Record ID"
# (hs_object_id) is none of them: in a workflow about deals it is the deal's.
_NAMES: Final = MappingProxyType(
    {
        "id": ("contactid", "contactrecordid", "vid"),
        "email": ("email", "emailaddress", "mail"),
        "firstname": ("firstname", "givenname"),
        "lastname": ("lastname", "surname", "familyname"),
        "name": ("name", "fullname", "learner"),
        "hs_language": ("language", "locale", "hslanguage", "preferredlanguage"),
        "course": ("courseid", "courseslug", "coursecode", "course", "coursename", "coursetitle"),
        "title": ("coursetitle", "coursename", "course"),
        "completed_at": (
            "completedat",
            "completedon",
            "coursecompletedat",
            "completiondate",
            "datecompleted",
            "completed",
        ),
        "score": ("score", "grade", "coursescore"),
        "portal": ("portalid", "hubid"),
    }
)
_KNOWN: Final = frozenset(name for names in _NAMES.values() for name in names)
_LONGEST_NAME: Final = 100


def flat(body: JsonObject, settings: HubSpotSettings) -> SourceEvent:
    """Returns the completion it tells of. Raises PayloadError when it names neither learner nor course."""
    fields = {name: plain for name, value in body.items() if (plain := values.plain(value)) is not None}
    known = by_names(fields)
    own = {word: named(known, word) for word in ("email", "firstname", "lastname", "name", "hs_language")}
    who = Contact(values.identifier(named(known, "id")) or "", (), own, frozenset())
    course = _setting(fields, settings.course_property) or named(known, "course") or settings.course
    title = _setting(fields, settings.course_property) or named(known, "title") or course
    dated = _setting(fields, settings.completed_at_property) or _setting(fields, settings.completed_property)
    value = values.moment(dated or named(known, "completed_at"))
    at = values.completed_at(value, None, None)
    score = _setting(fields, settings.score_property) or named(known, "score")
    if not (who.id or who.text("email") or course):
        raise PayloadError("The body names no learner (email or contact_id) and no course.")
    if value is not None and not values.completed(value, None):
        return SourceEvent(event_id=event_id(body), event_type=WORKFLOW, subject=who.id or None, skip=NOT_COMPLETED)
    return record.event(event_id(body), WORKFLOW, who, Completed(course, title, at, at or "", score), fields)


def by_names(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields by their names without signs and capitals, those alone that people use for one of our words.

    Made once for a body, which may have a hundred thousand fields.
    """
    tidied = ((re.sub(r"[^a-z]", "", name[:_LONGEST_NAME].lower()), value) for name, value in fields.items())
    return {name: value for name, value in tidied if name in _KNOWN}


def named(known: Mapping[str, Any], our_word: str) -> str | None:
    """Returns the first value that is called by one of the names people use for our word."""
    return next((found for name in _NAMES[our_word] if (found := values.word(known.get(name)))), None)


def event_id(body: JsonObject, name: str = "") -> str:
    """Returns the hash of the body: HubSpot gives these webhooks no number, and repeats them byte by byte."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f"{WORKFLOW}:{digest}{':' if name else ''}{name}"


def _setting(fields: Mapping[str, Any], name: str | None) -> str | None:
    return values.word(fields.get(name)) if name else None
