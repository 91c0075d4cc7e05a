"""Notes on a contact's timeline: found by what they say, or made; HubSpot would take the same one twice."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final
from urllib.parse import unquote

from bridge.core.answers import section, sections
from bridge.core.errors import PermanentError
from bridge.core.models import Certificate
from connectors.hubspot.answers import read
from connectors.hubspot.crm import Crm, ids
from connectors.hubspot.values import identifier, plain, word

_AT_ONCE: Final = 100
_MOST_PAGES: Final = 40
_NOTE_TO_CONTACT: Final = 202


def note_with(mark: str, number: str, crm: Crm) -> str | None:
    """Returns the id of the note on a contact's timeline that holds this text, looking through the newest first.

    The search would know a note only after a while; what a contact is associated with is known at once.
    """
    newest = sorted(_notes(number, crm), key=int, reverse=True)
    for start in range(0, len(newest), _AT_ONCE):
        inputs = [{"id": note} for note in newest[start : start + _AT_ONCE]]
        # The published contract has propertiesWithHistory among what is required.
        asked = {"properties": ["hs_note_body"], "propertiesWithHistory": [], "inputs": inputs}
        answer = read(crm.api.request("POST", crm.path("notes", "batch/read"), json=asked))
        found = [identifier(note.get("id")) for note in sections(answer.get("results")) if mark in _body(note)]
        if found:
            return found[-1]
    return None


def create_note(text: str, when: str, number: str, crm: Crm) -> str | None:
    """Adds a note about a contact and returns its id."""
    kinds = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _NOTE_TO_CONTACT}]
    note = {
        "properties": {"hs_timestamp": when, "hs_note_body": text},
        "associations": [{"to": {"id": number}, "types": kinds}],
    }
    return identifier(read(crm.api.request("POST", crm.path("notes"), json=note)).get("id"))


def note_text(mark: str, certificate: Certificate) -> str:
    """Returns the note about a certificate as HTML; what people wrote is escaped, the mark holds nothing of it."""
    data = certificate.data
    reason = f"<p>Reason: {escape(certificate.revoke_reason)}</p>" if certificate.revoke_reason else ""
    link = escape(certificate.url)
    return (
        f"<p>{mark}: {escape(data.course.title)}, completed on {data.completed_on.isoformat()}.</p>{reason}"
        f'<p><a href="{link}">{link}</a></p>'
    )


def _notes(number: str, crm: Crm) -> list[str]:
    """Returns the ids of a contact's notes. Its own answer shows the oldest hundred; the newest are on the last page.

    https://developers.hubspot.com/changelog/announcing-a-change-to-how-v3-crm-apis-return-association-data
    """
    path = crm.path("contacts", number)
    answer = read(crm.api.request("GET", path, query={"associations": "notes"}))
    listed = section(section(answer.get("associations")).get("notes"))
    found = ids(listed)
    for _ in range(_MOST_PAGES):
        after = _following(listed)
        if after is None:
            return list(dict.fromkeys(found))
        query = {"limit": "500", "after": after}
        listed = read(crm.api.request("GET", f"{path}/associations/notes", query=query))
        found += ids(listed)
    raise PermanentError(
        f"HubSpot contact {number} has more than {len(found)} notes: too many to see whether the one about the "
        "certificate is there, so none was added. Set `write_back: {note: no}`, or remove some.",
        code="too_many_notes",
    )


def _following(listed: Mapping[str, Any]) -> str | None:
    after = word(section(section(listed.get("paging")).get("next")).get("after"))
    # HubSpot writes it as it stands in an address: MC0yLTc1MDI%3D.
    return unquote(after) if after else None


def _body(note: Mapping[str, Any]) -> str:
    return str(plain(section(note.get("properties")).get("hs_note_body")) or "")
