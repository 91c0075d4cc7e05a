"""Writes a certificate back into HubSpot: properties of the contact, a note on the timeline, a custom event."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate, SourceEvent
from connectors.hubspot.crm import Crm
from connectors.hubspot.record import Contact
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.timeline import create_note, note_text, note_with
from connectors.hubspot.values import identifier, moment

PROPERTY: Final = "contact_property"
NOTE: Final = "note"
EVENT: Final = "custom_event"
# Any fixed number: an event with the same uuid is taken once a year at most.
_NAMESPACE: Final = uuid.UUID("f1c0b6a2-6f0e-5d4b-9a53-6d1f1f0c7e21")
_DATA: Final = {"number": "property", "url": "url_property", "issued": "issued_property"}


def steps(certificate: Certificate, event: SourceEvent, settings: HubSpotSettings) -> Sequence[Step]:
    """Plans what is switched on; nothing where the contact's id is unknown or no token is set."""
    contact, back = identifier(event.subject), settings.write_back
    if contact is None or settings.token is None:
        return ()
    name, lock = certificate.data.recipient.name, f"contact:{contact}"
    planned = []
    named = {
        "property": settings.certificate_property(event.course),
        "url_property": back.url_property,
        "issued_property": back.issued_property,
    }
    properties = {key: value for key, value in named.items() if value}
    if properties:
        title = f"{', '.join(properties.values())} of {name}"
        planned.append(Step(PROPERTY, {"contact": contact, **properties}, title, lock_key=lock, latest=True))
    if back.note and certificate.state != "erased":
        planned.append(Step(NOTE, {"contact": contact}, f"note about {name}", lock_key=lock))
    if back.event and certificate.state == "issued":
        target = {"contact": contact, "event": back.event, "property": back.event_property}
        planned.append(Step(EVENT, target, f"event {back.event} of {name}"))
    return planned


def carry_out(step: Step, certificate: Certificate, memo: Memo, crm: Crm) -> Receipt:
    """Makes one step true and reads it back. Raises PermanentError, TemporaryError, LookupError for a foreign step."""
    if step.name == PROPERTY:
        return _properties(step, certificate, crm)
    if step.name == NOTE:
        return _note(step, certificate, memo, crm)
    if step.name == EVENT:
        return _event(step, certificate, crm)
    raise LookupError(f"HubSpot has no write-back step {step.name!r}")


def _properties(step: Step, certificate: Certificate, crm: Crm) -> Receipt:
    """Holds number, link and day of the latest certificate; emptied when that very certificate is revoked or erased."""
    names = {word: step.target[key] for word, key in _DATA.items() if key in step.target}
    ours = {
        "number": certificate_id.grouped(certificate.id),
        "url": certificate.url,
        "issued": certificate.data.issued_on.isoformat(),
    }
    contact = _contact(step, list(names.values()), crm)
    now = {word: _held(contact, name) for word, name in names.items()}
    issued = certificate.state == "issued"
    wanted = {word: ours[word] if issued else "" for word in names}
    # Whose certificate stands there now is told by its number, or its link.
    sign = "number" if "number" in names else "url"
    another = not issued and now.get(sign) != ours[sign]
    shown = f"{', '.join(names.values())} of HubSpot contact {contact.id}"
    if now == wanted or another:
        return Receipt(f"{shown}: right already", confirmed=True)
    crm.change(contact.id, {names[word]: value for word, value in wanted.items()})
    after = _contact(step, list(names.values()), crm)
    if {word: _held(after, name) for word, name in names.items()} != wanted:
        raise TemporaryError(
            f"HubSpot took the values, but does not show them in {shown}. Usual causes: a workflow in HubSpot that "
            "changes them, or a property of another type than single-line text (number, link) or date (day).",
            code="not_confirmed",
        )
    return Receipt(shown, confirmed=True, details={"contact": contact.id})


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


def _held(contact: Contact, name: str) -> str:
    return moment(contact.properties.get(name)) or ""


def _contact(step: Step, properties: Sequence[str], crm: Crm) -> Contact:
    """Returns the contact as it is now: under another id where it was merged since."""
    found = crm.contact(step.target["contact"], properties)
    if found is None:
        raise PermanentError(
            f"HubSpot has no contact {step.target['contact']} any more to write to. The certificate stays valid.",
            code="contact_gone",
        )
    return found
