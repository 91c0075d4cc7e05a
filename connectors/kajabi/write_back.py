"""Writes a certificate's number back to the contact: a custom field, a note, and last the tag that says "issued"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.answers import digits, not_shown, section, seen
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import TemporaryError
from bridge.core.models import Certificate, SourceEvent
from connectors.kajabi import custom_field
from connectors.kajabi.rest import Rest
from connectors.kajabi.tags import tag_id

FIELD: Final = "field"
NOTE: Final = "note"
ISSUED_TAG: Final = "issued_tag"


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
    """Makes one step true and reads it back.

    Raises HeldError for what is not shown and for text that is not ours, PermanentError, TemporaryError, and
    LookupError for a foreign step.
    """
    contact = step.target["contact"]
    if step.name == FIELD:
        return custom_field.hold(contact, step.target["field"], certificate, rest)
    if step.name == NOTE:
        return _note(contact, certificate, memo, rest)
    if step.name == ISSUED_TAG:
        return _issued_tag(contact, step.target["tag"], certificate, rest)
    raise LookupError(f"Kajabi has no write-back step {step.name!r}")


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
        created = section(rest.send_about(contact, "POST", "/contact_notes", document).get("data"))
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
        body = seen(section(row.get("attributes")), "body")
        if body is None:
            advice = "A note of ours could be among them, and would stand there twice. Replay this delivery later."
            raise not_shown("Kajabi", f"the text of the notes about contact {contact}", advice)
        if mark in body:
            return str(row.get("id"))
    return None


def _issued_tag(contact: str, wanted: str, certificate: Certificate, rest: Rest) -> Receipt:
    """Adds the tag; it stays when the certificate is revoked, because it says that certbridge has dealt with it."""
    tag = tag_id(wanted, rest)
    done = Receipt(f"Kajabi tag {tag} of contact {contact}", confirmed=True, details={"tag": tag})
    if certificate.state != "issued":
        return Receipt(f"Kajabi tag {tag} of contact {contact} is left as it is", confirmed=False)
    if tag in rest.tags_of(contact):
        return done
    rest.send_about(contact, "POST", f"/contacts/{contact}/relationships/tags", [{"type": "contact_tags", "id": tag}])
    if tag not in rest.tags_of(contact):
        raise TemporaryError(
            f"Kajabi took the tag {tag} for contact {contact}, but does not show it.", code="not_confirmed"
        )
    return done
