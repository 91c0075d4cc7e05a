"""Writes a certificate back into HubSpot: properties of the contact, a note on the timeline, a custom event."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate, SourceEvent
from connectors.hubspot import properties
from connectors.hubspot.crm import Crm
from connectors.hubspot.record import Contact
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.timeline import create_note, note_text, note_with
from connectors.hubspot.values import identifier

NOTE: Final = "note"
EVENT: Final = "custom_event"
# Any fixed number: an event with the same uuid is taken once a year at most.
_NAMESPACE: Final = uuid.UUID("f1c0b6a2-6f0e-5d4b-9a53-6d1f1f0c7e21")


def steps(certificate: Certificate, event: SourceEvent, settings: HubSpotSettings) -> Sequence[Step]:
    """Plans what is switched on; nothing where the contact's id is unknown or no token is set."""
    contact, back = identifier(event.subject), settings.write_back
    if contact is None or settings.token is None:
        return ()
    name, lock = certificate.data.recipient.name, f"contact:{contact}"
    planned = [
        replace(place, title=f"{', '.join(properties.names_of(place))} of {name}")
        for place in properties.places(contact, event.course, settings)
    ]
    if back.note and certificate.state != "erased":
        planned.append(Step(NOTE, {"contact": contact}, f"note about {name}", lock_key=lock))
    if back.event and certificate.state == "issued":
        target = {"contact": contact, "event": back.event, "property": back.event_property}
        planned.append(Step(EVENT, target, f"event {back.event} of {name}"))
    return planned


def carry_out(step: Step, certificate: Certificate, memo: Memo, crm: Crm) -> Receipt:
    """Makes one step true and reads it back. Raises PermanentError, TemporaryError, LookupError for a foreign step."""
    if step.name in (properties.NUMBER, properties.LINK):
        found = _contact(step, properties.names_of(step), crm)
        return properties.hold(step, certificate, found, crm)
    if step.name == NOTE:
        return _note(step, certificate, memo, crm)
    if step.name == EVENT:
        return _event(step, certificate, crm)
    raise LookupError(f"HubSpot has no write-back step {step.name!r}")


def _note(step: Step, certificate: Certificate, memo: Memo, crm: Crm) -> Receipt:
    """One note for each state a certificate reaches. HubSpot would store the same one twice, so it is looked for first.

    HubSpot shows notes as HTML, so what people wrote is escaped; the mark holds nothing of it.
    """
    mark = f"Certificate {certificate_id.grouped(certificate.id)} {certificate.state}"
    contact = _contact(step, [], crm).id
    note = note_with(mark, contact, crm)
    if note is None and memo.get(mark) is None:
        # Noon, so that the timeline shows the printed day nearly everywhere.
        when = f"{certificate.data.issued_on.isoformat()}T12:00:00Z"
        if certificate.revoked_at is not None:
            when = certificate.revoked_at.isoformat(timespec="seconds")
        memo.save(mark, create_note(note_text(mark, certificate), when, contact, crm) or "?")
        note = note_with(mark, contact, crm)
    if note is None:
        raise TemporaryError(
            f"HubSpot took note {memo.get(mark)} about contact {contact}, but does not show it. Usual cause: somebody "
            "deleted the note.",
            code="not_confirmed",
        )
    return Receipt(f"HubSpot note {note} about contact {contact}", confirmed=True, details={"note": note})


def _event(step: Step, certificate: Certificate, crm: Crm) -> Receipt:
    """Sends the event; HubSpot drops a repeated one by its uuid, and offers nothing to read it back with."""
    number = str(uuid.uuid5(_NAMESPACE, f"{certificate.id}:{certificate.version}"))
    body = {
        "eventName": step.target["event"],
        "objectId": _contact(step, [], crm).id,
        "uuid": number,
        "properties": {step.target["property"]: certificate_id.grouped(certificate.id)},
    }
    crm.api.request("POST", "/events/v3/send", json=body)
    return Receipt(f"HubSpot event {step.target['event']}", confirmed=False, details={"uuid": number})


def _contact(step: Step, names: Sequence[str], crm: Crm) -> Contact:
    """Returns the contact as it is now: under another id where it was merged since."""
    found = crm.contact(step.target["contact"], names)
    if found is None:
        raise PermanentError(
            f"HubSpot has no contact {step.target['contact']} any more to write to. The certificate stays valid.",
            code="contact_gone",
        )
    return found
