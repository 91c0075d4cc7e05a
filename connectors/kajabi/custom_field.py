"""Holds a certificate's number in a custom field of the contact."""

from __future__ import annotations

from bridge.core import certificate_id
from bridge.core.answers import line, section
from bridge.core.connector import Receipt
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate, JsonObject
from connectors.kajabi.rest import Rest


def handle_of(title: str, rest: Rest) -> str:
    """Returns the handle (`custom_1`) of a custom field of this site. Raises PermanentError, TemporaryError."""
    fields = [section(row.get("attributes")) for row in rest.rows("/custom_fields")]
    named = [(str(one.get("title")), str(one.get("handle"))) for one in fields if one.get("archived") is not True]
    known = [(name, handle) for name, handle in named if handle.startswith("custom_")]
    handles = [handle for name, handle in known if name.strip().casefold() == title.strip().casefold()]
    if len(handles) == 1:
        return handles[0]
    if handles:
        raise PermanentError(
            f"Kajabi has {len(handles)} custom fields titled {title!r} on this site. Rename all but one.",
            code="field_ambiguous",
        )
    there = ", ".join(repr(name) for name, _ in sorted(known)[:20]) or "none"
    raise PermanentError(
        f"Kajabi has no custom field titled {title!r} on this site (there are: {there}). Create a text field under "
        "Settings, Custom fields, or correct `write_back: {field}`.",
        code="field_missing",
    )


def hold(contact: str, title: str, certificate: Certificate, rest: Rest) -> Receipt:
    """Holds the number of the latest certificate; emptied when that very certificate is revoked or erased."""
    number = certificate_id.grouped(certificate.id)
    wanted = number if certificate.state == "issued" else ""
    handle = handle_of(title, rest)
    before = _value(rest.contact(contact), handle)
    if before == wanted or (wanted == "" and before not in (number, None)):
        return Receipt(f"Kajabi custom field {title!r} of contact {contact} is right already", confirmed=True)
    if before is None and wanted == "":
        raise PermanentError(
            f"Kajabi does not show custom field {title!r} of contact {contact}, so it cannot be told whether {number} "
            "stands there. If it does, remove it by hand.",
            code="field_not_shown",
        )
    document = {"type": "contacts", "id": contact, "attributes": {handle: wanted}}
    answer = rest.send_about(contact, "PATCH", f"/contacts/{contact}", document)
    after = _value(rest.contact(contact), handle)
    after = _value(answer, handle) if after is None else after
    if after is not None and after != wanted:
        raise TemporaryError(
            f"Kajabi took the number for contact {contact}, but custom field {title!r} does not show it.",
            code="not_confirmed",
        )
    # Kajabi promises to show custom fields only where a site has them; without it, its 200 is all the proof there is.
    details = {"value": wanted, "handle": handle}
    return Receipt(f"Kajabi custom field {title!r} of contact {contact}", confirmed=after == wanted, details=details)


def _value(document: JsonObject, handle: str) -> str | None:
    """Returns what the field holds, an empty text for null; None where Kajabi does not show the field."""
    attributes = section(section(document.get("data")).get("attributes"))
    return (line(attributes[handle]) or "") if handle in attributes else None
