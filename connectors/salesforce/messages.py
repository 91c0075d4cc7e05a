"""Cuts what Salesforce pushes into our events: Outbound Messages, and the JSON of a Flow's HTTP Callout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from bridge.core.errors import PayloadError
from bridge.core.models import SourceEvent
from connectors.salesforce import ids
from connectors.salesforce.completion import COMPLETION, make_event
from connectors.salesforce.envelope import Message, Notification
from connectors.salesforce.settings import SalesforceSettings

_DELETED: Final = "The record was deleted before Salesforce could send it, so there is nothing to certify."
_NO_RECORD: Final = "The notification names no record: its field Id is missing or none of Salesforce's."
_NEWER: Final = "The same message holds a newer state of this completion; that one is used."

# Our word -> the name of it in the JSON, as the guide has it; extra fields go by their own word.
CALLOUT_WORDS: Final = MappingProxyType(
    {
        "learner": "contactId",
        "name": "name",
        "first_name": "firstName",
        "last_name": "lastName",
        "email": "email",
        "course": "courseId",
        "course_title": "courseName",
        "completed_at": "completedAt",
        "score": "score",
        "locale": "locale",
        "completed": "status",
    }
)


def of_message(message: Message, settings: SalesforceSettings) -> Sequence[SourceEvent]:
    """Returns one event for each notification; of several about the same completion only the last is not skipped."""
    events = [_of_notification(one, message, settings) for one in message.notifications]
    last = {key: place for place, event in enumerate(events) if event.skip is None for key in event.keys}
    return [
        event.model_copy(update={"skip": _NEWER})
        if event.skip is None and any(last[key] != place for key in event.keys)
        else event
        for place, event in enumerate(events)
    ]


def of_callout(body: dict[str, object], settings: SalesforceSettings) -> SourceEvent:
    """Returns the event of a callout. A Flow sends each change once, so the same content is the same event.

    Raises PayloadError where no record is named.
    """
    record_id = ids.normal(body.get("recordId"))
    if record_id is None:
        raise PayloadError("The body names no record: `recordId` must be an id of 15 or 18 characters.")

    def value(word: str) -> object:
        if word == "course":
            return body.get("courseId") or body.get("courseName")
        return body.get(CALLOUT_WORDS.get(word, word.removeprefix("fields.")))

    return make_event(settings, f"callout:{record_id}:{_digest(body)}", record_id, value, whole=not settings.url)


def _of_notification(one: Notification, message: Message, settings: SalesforceSettings) -> SourceEvent:
    event_id = f"{message.organization}:{one.id or _digest([one.object, *sorted(one.fields.items())])}"
    skip = None
    if one.object is None:
        skip = _DELETED
    elif one.object.lower() != settings.object.lower():
        skip = f"This is a record of {one.object[:80] or '?'}; this source is about {settings.object}."
    record_id = ids.normal(one.fields.get("id"))
    if skip is not None or record_id is None:
        return SourceEvent(event_id=event_id, event_type=COMPLETION, skip=skip or _NO_RECORD)
    paths = settings.paths()

    def value(word: str) -> object:
        return one.fields.get(paths.get(word, "").lower())

    return make_event(settings, event_id, record_id, value, whole=not settings.url)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()
