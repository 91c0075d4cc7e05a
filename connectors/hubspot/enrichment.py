"""Completes a thin event from HubSpot: the contact as it is now, which course, since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from bridge.core.errors import HeldError, PermanentError
from bridge.core.models import SourceEvent
from connectors.hubspot import record, values
from connectors.hubspot.crm import Crm
from connectors.hubspot.record import CHANGED, NOT_COMPLETED, WORKFLOW, Completed, Contact
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.workflow import done_from

_CANNOT_ASK: Final = (
    "HubSpot sent an id only, and there is no `token` to ask for the rest. Set it, then replay this event."
)


def complete(event: SourceEvent, crm: Crm, settings: HubSpotSettings) -> SourceEvent:
    """Returns the event with everything its mapping needs, as HubSpot has it now, whatever order events came in.

    Raises HeldError where a person has to decide or something is not set, PermanentError when the contact is gone.
    """
    if "change" in event.data:
        return _changed(event, crm, settings)
    if "deal" in event.data:
        return _deal(event, crm, settings)
    return _filled(event, crm, settings)


def found(who: Contact, settings: HubSpotSettings) -> Iterator[SourceEvent]:
    """Yields what a contact completed, as a poll tells of it."""
    properties = record.kept(who.properties, settings.read_properties)
    for name, done in record.completions(who, settings):
        event_id = f"{CHANGED}:{who.id}:{name}:{done.course}@{done.mark}"
        one = record.event(event_id, CHANGED, who, done, properties)
        yield one.model_copy(update={"occurred_at": values.over(done.at)})
    for name in settings.watched.keys() & who.hidden:
        # Left to `complete`, which asks again and says why nothing can be issued.
        change = {"property": name, "value": None}
        yield SourceEvent(
            event_id=f"{CHANGED}:{who.id}:{name}:hidden", event_type=CHANGED, subject=who.id, data={"change": change}
        )


def _changed(event: SourceEvent, crm: Crm, settings: HubSpotSettings) -> SourceEvent:
    who = _contact(event.subject or "", crm, settings)
    name = str(event.data["change"]["property"])
    if name in who.hidden:
        raise HeldError(
            f"HubSpot hides the property {name} of contact {who.id}: it holds sensitive data. Give the app the scope "
            "crm.objects.contacts.sensitive.read, then replay this event.",
            code="hidden",
        )
    if name not in who.properties:
        # HubSpot shows an empty property as null, and leaves out what it does not have.
        raise PermanentError(
            f"HubSpot has no contact property {name} any more, or hides it from this token, so nobody can say what "
            f"contact {who.id} completed. Compare its internal name with the settings of this source, then replay "
            "this event.",
            code="no_property",
        )
    done = record.completion(who, name, settings) if name in settings.watched else None
    if done is None:
        return event.model_copy(update={"skip": f"Contact {who.id} no longer says in {name} that it is completed."})
    fresh = record.event(
        event.event_id, event.event_type, who, done, record.kept(who.properties, settings.read_properties)
    )
    return fresh.model_copy(update={"occurred_at": event.occurred_at or fresh.occurred_at})


def _deal(event: SourceEvent, crm: Crm, settings: HubSpotSettings) -> SourceEvent:
    """The learner is the deal's contact; what the deal says about the course counts more than what the contact says."""
    deal = event.data["deal"]
    if settings.token is None:
        raise HeldError(_CANNOT_ASK, code="no_token")
    contacts = deal["contacts"] or crm.contacts_of_deal(deal["id"])
    if len(contacts) != 1:
        raise HeldError(
            f"Deal {deal['id']} has {len(contacts)} contacts, so nobody can tell who completed the course. Leave one, "
            "or enrol contacts in the workflow instead of deals.",
            code="no_learner",
        )
    who = _contact(contacts[0], crm, settings)
    told = {name: value for name, value in deal["properties"].items() if value not in (None, "")}
    properties = {**record.kept(who.properties, settings.read_properties), **told}
    done = done_from(Contact(who.id, who.others, properties, frozenset()), settings)
    if done is None:
        return event.model_copy(update={"skip": NOT_COMPLETED})
    return record.event(event.event_id, WORKFLOW, who, done, properties)


def _filled(event: SourceEvent, crm: Crm, settings: HubSpotSettings) -> SourceEvent:
    """Fills what a workflow's own body left out; what it says itself stays."""
    said = event.data["contact"]
    known_by = said["id"] or (event.subject if "@" in str(event.subject) else None)
    complete = said["id"] and said["email"] and said["name"] and event.course
    # Without a time it would be another completion than the one that a poll finds.
    dated = event.data["completed_at"] is not None or not settings.watched
    if settings.token is None or (complete and dated) or not known_by:
        return event
    who = crm.contact(known_by, settings.read_properties)
    if who is None:
        return event
    own = {name: said[name] for name in ("email", "firstname", "lastname", "name") if said[name]}
    merged = Contact(who.id, who.others, {**who.properties, **_language(said), **own}, who.hidden)
    done = _told(event)
    if event.course is None and (known := done_from(who, settings)) is not None:
        # Course and time go together: the contact's date belongs to the contact's course.
        done = known if done.at is None else Completed(known.course, known.title, done.at, done.mark, done.score)
    elif done.at is None:
        own_time = (one for _, one in record.completions(who, settings) if one.course == done.course)
        done = next((replace(done, at=one.at, mark=one.mark) for one in own_time), done)
    return record.event(event.event_id, WORKFLOW, merged, done, event.data["properties"])


def _told(event: SourceEvent) -> Completed:
    data = event.data
    at = data["completed_at"]
    return Completed(event.course, data["course"]["name"], at, at or "", data["score"])


def _language(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"hs_language": said["language"]} if said["language"] else {}


def _contact(who: str, crm: Crm, settings: HubSpotSettings) -> Contact:
    if settings.token is None:
        raise HeldError(_CANNOT_ASK, code="no_token")
    known = crm.contact(who, settings.read_properties)
    if known is None:
        raise PermanentError(
            f"HubSpot has no contact {who} (any more), so nobody can say whose certificate it would be.",
            code="contact_gone",
        )
    return known
