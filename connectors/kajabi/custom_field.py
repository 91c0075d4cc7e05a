"""Holds a certificate's number in a custom field of the contact."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.core import certificate_id
from bridge.core.answers import digits, not_shown, section, seen
from bridge.core.connector import Finding, Receipt
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.latest import needs_writing
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
    """Holds the number of the latest certificate, and no longer holds it once that one is revoked or erased.

    Raises HeldError where Kajabi does not show the field of this contact, or text of somebody else stands there;
    PermanentError, TemporaryError.
    """
    handle = handle_of(title, rest)
    where = f"Kajabi custom field {title!r} of contact {contact}"
    wanted = certificate_id.grouped(certificate.id) if certificate.state == "issued" else ""
    if not needs_writing(_shown(rest.contact(contact), handle, where), wanted, certificate, where=where):
        return Receipt(f"{where} is right already", confirmed=True)
    document = {"type": "contacts", "id": contact, "attributes": {handle: wanted}}
    rest.send_about(contact, "PATCH", f"/contacts/{contact}", document)
    if _shown(rest.contact(contact), handle, where) != wanted:
        raise TemporaryError(
            f"Kajabi took the number for contact {contact}, but custom field {title!r} does not show it.",
            code="not_confirmed",
        )
    return Receipt(where, confirmed=True, details={"value": wanted, "handle": handle})


def visible(title: str, rest: Rest) -> Iterator[Finding]:
    """Looks at one contact and says whether it shows the custom field. Raises what `handle_of` raises."""
    handle = handle_of(title, rest)
    yield Finding("ok", f"Custom field {title!r} has the handle {handle}.")
    first = next((digits(row.get("id")) for row in rest.rows("/contacts")), None)
    if first is None:
        yield Finding("warning", f"Whether custom field {title!r} is shown cannot be told: there is no contact yet.")
    elif _value(rest.contact(first), handle) is None:
        yield Finding("error", str(_hidden(f"custom field {title!r} ({handle}) of a contact")))
    else:
        yield Finding("ok", f"Custom field {title!r} is shown.")


def _shown(document: JsonObject, handle: str, where: str) -> str:
    held = _value(document, handle)
    if held is None:
        raise _hidden(where.removeprefix("Kajabi "))
    return held.strip()


def _value(document: JsonObject, handle: str) -> str | None:
    """Returns what the field holds, an empty text for null; None where Kajabi does not show the field."""
    return seen(section(section(document.get("data")).get("attributes")), handle)


def _hidden(what: str) -> HeldError:
    return not_shown(
        "Kajabi",
        what,
        "By its description contacts show custom fields where a site has them. If this one never does, switch the "
        "field off (remove `write_back: {field}`; notes and tags go on), and take an earlier number out by hand.",
    )
