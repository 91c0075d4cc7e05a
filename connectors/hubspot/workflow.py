"""Reads the four bodies of the workflow action "Send a webhook": your own, a contact in two shapes, a deal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.core.errors import PayloadError
from bridge.core.models import JsonObject, SourceEvent
from connectors.hubspot import record, values
from connectors.hubspot.own_body import by_names, event_id, flat, named
from connectors.hubspot.record import NOT_COMPLETED, WORKFLOW, Completed, Contact
from connectors.hubspot.settings import HubSpotSettings

_DEAL: Final = "0-3"
_CONTACT: Final = "0-1"
_OF_CONTACTS: Final = frozenset({"email", "firstname", "lastname"})


def cut(body: JsonObject, settings: HubSpotSettings) -> list[SourceEvent]:
    """Returns the completions of one workflow webhook. Raises PayloadError for the body of another kind of record.

    That the workflow sent it means: completed. So it needs no property that says when; then the time it came counts.
    """
    portal = values.identifier(_first(body, ("portal-id", "portalId"))) or values.identifier(
        named(by_names(body), "portal")
    )
    if settings.portal_id and portal and portal != settings.portal_id:
        reason = f"This is about the HubSpot account {portal}, not the one set here."
        return [SourceEvent(event_id=event_id(body), event_type=WORKFLOW, skip=reason)]
    if not isinstance(body.get("properties"), dict):
        return [flat(body, settings)]
    if _is_deal(body):
        return [_deal(body)]
    if not _is_contact(body):
        raise PayloadError(
            "The body holds the properties of a record that is neither a contact nor a deal. Enrol contacts in the "
            "workflow, or customise the request body (guide: HubSpot)."
        )
    return _contact(body, settings)


def done_from(found: Contact, settings: HubSpotSettings) -> Completed | None:
    """Returns what a record says about course and time, the workflow having said that it is completed.

    None where the record itself says that it is not (a checkbox that is off, another status).
    """
    name = settings.completed_property
    if name and found.properties.get(name) not in (None, ""):
        return record.completion(found, name, settings)
    course = found.text(settings.course_property) or settings.course
    return Completed(course, course, None, "", found.text(settings.score_property))


def _contact(body: JsonObject, settings: HubSpotSettings) -> list[SourceEvent]:
    found = record.contact(body)
    if found is None:
        raise PayloadError("The body holds a contact without an id.")
    properties = record.kept(found.properties, settings.read_properties)
    if settings.courses:
        named = list(record.completions(found, settings))
        return [record.event(event_id(body, name), WORKFLOW, found, done, properties) for name, done in named]
    done = done_from(found, settings)
    if done is None:
        return [SourceEvent(event_id=event_id(body), event_type=WORKFLOW, subject=found.id, skip=NOT_COMPLETED)]
    return [record.event(event_id(body), WORKFLOW, found, done, properties)]


def _deal(body: JsonObject) -> SourceEvent:
    """Returns a thin event: the learner is the contact of the deal; what the deal says about the course goes along."""
    found = record.contact({"id": _first(body, ("dealId", "id")), "properties": body["properties"]})
    if found is None:
        raise PayloadError("The body holds a deal without an id.")
    associated = body.get("associations")
    listed = associated.get("associatedVids") if isinstance(associated, dict) else None
    contacts = [number for one in _list(listed) if (number := values.identifier(one))]
    properties = record.kept(found.properties, ())
    data = {"deal": {"id": found.id, "contacts": contacts, "properties": properties}}
    return SourceEvent(event_id=event_id(body), event_type=WORKFLOW, data=data)


def _is_deal(body: JsonObject) -> bool:
    return "dealId" in body or body.get("objectTypeId") == _DEAL or "dealname" in body["properties"]


def _is_contact(body: JsonObject) -> bool:
    # Numbers of contacts and of companies overlap: what is not surely a contact is not looked up as one.
    sure = body.get("is-contact") is True or body.get("objectTypeId") == _CONTACT
    return sure or bool(_OF_CONTACTS & body["properties"].keys())


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((fields[name] for name in names if name in fields), None)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
