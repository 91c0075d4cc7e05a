"""Writes a certificate's number back to the contact: a custom field, a note, and last the tag that says "issued"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.answers import digits, line, section
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate, JsonObject, SourceEvent
from connectors.kajabi.rest import Rest, gone
from connectors.kajabi.tags import tag_id

FIELD: Final = "field"
NOTE: Final = "note"
ISSUED_TAG: Final = "issued_tag"
_LEFT: Final = "is right already"


def steps(
    certificate: Certificate, event: SourceEvent, *, field: str | None, note: bool, issued: str | None
) -> Sequence[Step]:
    """Plans what is switched on; the tag comes last, because it takes the contact out of the poll."""
    contact = event.subject
    if contact is None:
        return ()
    name, lock = certificate.data.recipient.name, f"contact:{contact}"
    planned = []
    if field:
        target = {"contact": contact, "field": field}
        planned.append(Step(FIELD, target, f"custom field {field!r} of {name}", lock_key=lock, latest=True))
    if note and certificate.state != "erased":
        planned.append(Step(NOTE, {"contact": contact}, f"note about {name}", lock_key=lock))
    if issued and certificate.state == "issued":
        target = {"contact": contact, "tag": issued}
        planned.append(Step(ISSUED_TAG, target, f"tag {issued!r} for {name}", lock_key=lock))
    return planned


def carry_out(step: Step, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """Makes one step true and reads it back. Raises PermanentError, TemporaryError, LookupError for a foreign step."""
    contact = step.target["contact"]
    if step.name == FIELD:
        return _field(contact, step.target["field"], certificate, rest)
    if step.name == NOTE:
        return _note(contact, certificate, memo, rest)
    if step.name == ISSUED_TAG:
        return _issued_tag(contact, step.target["tag"], certificate, rest)
    raise LookupError(f"Kajabi has no write-back step {step.name!r}")


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


def _field(contact: str, title: str, certificate: Certificate, rest: Rest) -> Receipt:
    """Holds the number of the latest certificate; emptied when that very certificate is revoked or erased."""
    number = certificate_id.grouped(certificate.id)
    wanted = number if certificate.state == "issued" else ""
    handle = handle_of(title, rest)
    before = _value(rest.contact(contact), handle)
    if before == wanted or (wanted == "" and before not in (number, None)):
        return Receipt(f"Kajabi custom field {title!r} of contact {contact} {_LEFT}", confirmed=True)
    if before is None and wanted == "":
        raise PermanentError(
            f"Kajabi does not show custom field {title!r} of contact {contact}, so it cannot be told whether {number} "
            "stands there. If it does, remove it by hand.",
            code="field_not_shown",
        )
    document = {"type": "contacts", "id": contact, "attributes": {handle: wanted}}
    answer = _sent("PATCH", f"/contacts/{contact}", document, contact, rest)
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


def _note(contact: str, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """One note for each state a certificate reaches. Kajabi would store it twice, so it is looked for first."""
    mark = f"Certificate {certificate_id.grouped(certificate.id)} {certificate.state}"
    note = _find_note(contact, mark, rest)
    if note is None and memo.get(mark) is None:
        document = {
            "type": "contact_notes",
            "attributes": {"body": f"{mark}: {certificate.url}"},
            "relationships": {"contact": {"data": {"type": "contacts", "id": contact}}},
        }
        created = section(_sent("POST", "/contact_notes", document, contact, rest).get("data"))
        memo.save(mark, digits(created.get("id")) or "?")
        note = _find_note(contact, mark, rest)
    if note is None:
        raise TemporaryError(
            f"Kajabi took note {memo.get(mark)} about contact {contact}, but does not show it. Usual cause: somebody "
            "deleted it.",
            code="not_confirmed",
        )
    return Receipt(f"Kajabi note {note} about contact {contact}", confirmed=True, details={"note": note})


def _find_note(contact: str, mark: str, rest: Rest) -> str | None:
    for row in rest.rows("/contact_notes", {"filter[contact_id]": contact}):
        if mark in str(section(row.get("attributes")).get("body")):
            return str(row.get("id"))
    return None


def _issued_tag(contact: str, wanted: str, certificate: Certificate, rest: Rest) -> Receipt:
    """Adds the tag; it stays when the certificate is revoked, because it says that certbridge has dealt with it."""
    tag = tag_id(wanted, rest)
    done = Receipt(f"Kajabi tag {tag} of contact {contact}", confirmed=True, details={"tag": tag})
    if certificate.state != "issued":
        return Receipt(f"Kajabi tag {tag} of contact {contact} is left as it is", confirmed=True)
    if tag in rest.tags_of(contact):
        return done
    _sent("POST", f"/contacts/{contact}/relationships/tags", [{"type": "contact_tags", "id": tag}], contact, rest)
    if tag not in rest.tags_of(contact):
        raise TemporaryError(
            f"Kajabi took the tag {tag} for contact {contact}, but does not show it.", code="not_confirmed"
        )
    return done


def _sent(method: str, path: str, data: object, contact: str, rest: Rest) -> JsonObject:
    try:
        return rest.send(method, path, data)
    except PermanentError as error:
        raise gone(error, contact) from error


def _value(document: JsonObject, handle: str) -> str | None:
    """Returns what the field holds, an empty text for null; None where Kajabi does not show the field."""
    attributes = section(section(document.get("data")).get("attributes"))
    return (line(attributes[handle]) or "") if handle in attributes else None
