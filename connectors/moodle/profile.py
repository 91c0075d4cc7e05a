"""Writes certificate numbers into profile fields: the latest one, and the list of all."""

from __future__ import annotations

import json

from bridge.core import certificate_id
from bridge.core.connector import Receipt, Step
from bridge.core.errors import HeldError, PayloadError
from bridge.core.latest import needs_writing
from bridge.core.models import Certificate, JsonObject
from bridge.core.payload import read_json
from bridge.core.text import shown
from connectors.moodle.profile_field import ProfileField
from connectors.moodle.rest import Rest


def write_latest(step: Step, certificate: Certificate, rest: Rest) -> Receipt:
    """Holds the number of the latest certificate, nothing once none is valid. Raises HeldError, PermanentError."""
    field = ProfileField(rest, step.target["user"], step.target["field"])
    before = field.read()
    wanted = certificate_id.grouped(certificate.id) if certificate.state == "issued" else ""
    if not needs_writing(before, wanted, certificate, where=str(field)):
        return Receipt(f"{field} is right already", confirmed=True)
    field.write(wanted, before)
    return Receipt(str(field), confirmed=True, details={"value": wanted})


def write_list(step: Step, certificate: Certificate, rest: Rest) -> Receipt:
    """Adds the certificate to the JSON list in a text area, by its day, or takes it out once revoked or erased.

    Everything else in the list stays. The entry holds nothing that a learner wrote: Moodle may show it as HTML.
    Raises HeldError, PermanentError.
    """
    field = ProfileField(rest, step.target["user"], step.target["field"])
    text, entry = field.read(), _entry(step, certificate)
    before = _entries(text)
    if before is None:
        return _beside_foreign_text(field, text, certificate)
    wanted = [one for one in before if one.get("certificate") != entry["certificate"]]
    if certificate.state == "issued":
        wanted.insert(_place(wanted, entry), entry)
    if wanted == before:
        return Receipt(f"{field} is right already", confirmed=True)
    field.write(json.dumps(wanted, ensure_ascii=False) if wanted else "", text)
    return Receipt(str(field), confirmed=True, details={"certificates": len(wanted)})


def _entry(step: Step, certificate: Certificate) -> JsonObject:
    return {
        "certificate": certificate_id.grouped(certificate.id),
        "course": step.target["course"],
        "on": f"{certificate.data.completed_on}",
        "url": certificate.url,
    }


def _place(entries: list[JsonObject], entry: JsonObject) -> int:
    """Returns where an entry belongs: before the first later one, so that the order of arrival does not show."""
    key = (entry["on"], entry["certificate"])
    later = (at for at, one in enumerate(entries) if (str(one.get("on")), str(one.get("certificate"))) > key)
    return next(later, len(entries))


def _entries(text: str) -> list[JsonObject] | None:
    """Returns the list that stands there; None for what is none of ours."""
    if not text.strip():
        return []
    try:
        value = read_json(text.encode())
    except PayloadError:
        return None
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else None


def _beside_foreign_text(field: ProfileField, text: str, certificate: Certificate) -> Receipt:
    if certificate.state != "issued" and certificate_id.grouped(certificate.id) not in text:
        return Receipt(f"{field} holds nothing of this certificate", confirmed=True)
    raise HeldError(
        f"{field} holds something else than certbridge's list (was it edited by hand?): {shown(text)}. Nothing was "
        "changed. Move that text elsewhere, or let the list go to another field, then replay this delivery.",
        code="foreign_text",
    )
