"""Cuts a batch of HubSpot's Webhooks API into events: ids and one property value each, everything else is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from bridge.core.models import JsonObject, SourceEvent
from connectors.hubspot.record import CHANGED
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import REDACTED, completed, identifier, moment, word

MERGED: Final = "contact.merge"
FORGOTTEN: Final = "contact.privacyDeletion"
_CONTACT: Final = "0-1"
# HubSpot's event -> why it brings no certificate. https://developers.hubspot.com/docs/api/webhooks
_NOT_A_COMPLETION: Final = MappingProxyType(
    {
        "contact.creation": "A contact was created. What its properties say is reported as changes of their own.",
        "contact.deletion": "A contact was deleted; its certificates stay valid until somebody erases them here.",
        "contact.restore": "A deleted contact was restored; a completion that is new here is found by the next poll.",
        "contact.associationChange": "A contact was connected to another record.",
    }
)
_OTHER_OBJECTS: Final = frozenset(
    f"object.{what}" for what in ("creation", "deletion", "merge", "restore", "propertyChange", "associationChange")
)
EVENT_TYPES: Final = frozenset({CHANGED, MERGED, FORGOTTEN, *_NOT_A_COMPLETION, *_OTHER_OBJECTS})
# Of each delivery, not of what happened: a retry differs in them. eventId is documented as not unique.
_VOLATILE: Final = frozenset({"eventId", "attemptNumber", "subscriptionId"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS: Final = 253_402_300_799_000


def cut(elements: Sequence[object], settings: HubSpotSettings) -> Iterator[SourceEvent]:
    """Yields one event for each element, in the order in which they occurred; never raises for one it cannot read.

    HubSpot sends a whole batch again for 24 hours unless it is answered with 2xx.
    """
    fields = [element if isinstance(element, dict) else {"element": element} for element in elements]
    return (_event(one, settings) for one in sorted(fields, key=lambda one: _milliseconds(one) or 0))


def _event(fields: JsonObject, settings: HubSpotSettings) -> SourceEvent:
    event_type = _type(fields)
    portal, subject = identifier(fields.get("portalId")), identifier(fields.get("objectId"))
    at = _milliseconds(fields)
    about = f"{portal or '-'}:{event_type}:{subject}:{word(fields.get('propertyName')) or '-'}@{at}"
    base = SourceEvent(
        event_id=about if subject and at is not None else f"{portal or '-'}:{event_type}:{_digest(fields)}",
        event_type=event_type,
        subject=subject,
        occurred_at=_EPOCH + timedelta(milliseconds=at) if at is not None else None,
    )
    if settings.portal_id and portal and portal != settings.portal_id:
        return base.model_copy(update={"skip": f"This is about the HubSpot account {portal}, not the one set here."})
    return base.model_copy(update=_content(fields, event_type, subject, settings))


def _content(fields: JsonObject, event_type: str, subject: str | None, settings: HubSpotSettings) -> JsonObject:
    if event_type == CHANGED:
        return _changed(fields, settings)
    if event_type == MERGED:
        return _merged(fields, subject)
    if event_type in _OTHER_OBJECTS:
        return {"skip": f"This is about records of the type {_kind(fields) or 'unknown'}; certbridge follows contacts."}
    return {"skip": _NOT_A_COMPLETION.get(event_type)}


def _changed(fields: JsonObject, settings: HubSpotSettings) -> JsonObject:
    name, raw = word(fields.get("propertyName")), fields.get("propertyValue")
    if name in settings.written:
        return {"skip": f"The property {name} changed; certbridge writes it itself."}
    if name not in settings.watched:
        known = ", ".join(settings.watched) or "none: set completed_property or courses"
        return {"skip": f"The property {name} changed; completions are told by others ({known})."}
    value = moment(raw)
    hidden = raw == REDACTED
    if not hidden and not completed(value, settings.completed_value):
        says = f"says {value!r}, which is not completed" if value else "was cleared"
        return {"skip": f"The property {name} {says}; certificates that were issued stay valid."}
    return {"data": {"change": {"property": name, "value": None if hidden else value}}}


def _merged(fields: JsonObject, subject: str | None) -> JsonObject:
    """Returns which record stays and which are gone: a merge may make a new one."""
    into = identifier(fields.get("newObjectId")) or identifier(fields.get("primaryObjectId")) or subject
    listed = fields.get("mergedObjectIds")
    named = [fields.get("primaryObjectId"), subject, *(listed if isinstance(listed, list) else [])]
    gone = [number for number in dict.fromkeys(map(identifier, named)) if number not in (None, into)]
    if into is None or not gone:
        return {"skip": "The event about merged contacts does not say which ones."}
    return {"subject": into, "data": {"merge": {"into": into, "merged": gone}}}


def _type(fields: Mapping[str, Any]) -> str:
    """Returns the event's type; HubSpot's pages call it eventType, what it sends subscriptionType."""
    named = word(fields.get("subscriptionType")) or word(fields.get("eventType")) or "unknown"
    # The general kind of subscription, about contacts.
    about_contact = named.startswith("object.") and _kind(fields) == _CONTACT
    return named.replace("object.", "contact.", 1) if about_contact else named


def _kind(fields: Mapping[str, Any]) -> str | None:
    return word(fields.get("objectTypeId"))


def _milliseconds(fields: Mapping[str, Any]) -> int | None:
    text = identifier(fields.get("occurredAt"))
    return int(text) if text and int(text) <= _LATEST_MS else None


def _digest(fields: Mapping[str, Any]) -> str:
    lasting = {name: value for name, value in fields.items() if name not in _VOLATILE}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()
