"""Reads how Salesforce describes an object: which fields there are, and which the integration user may write.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_describe.htm
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bridge.core.answers import sections
from bridge.core.connector import Finding
from bridge.core.errors import BridgeError
from bridge.core.models import JsonObject
from connectors.salesforce.rest import Rest


def fields_of(described: JsonObject) -> dict[str, JsonObject]:
    """Returns the fields by name, in small letters: names are the same whatever their case."""
    return {str(one.get("name")).lower(): one for one in sections(described.get("fields"))}


def writable(kind: str, fields: Mapping[str, JsonObject], name: str, needed: str) -> Finding:
    """Tells whether a field is there and is what is `needed` of it: updateable, createable, or externalId."""
    found = fields.get(name.lower())
    if found is None:
        text = (
            f"{kind} has no field {name}, or the integration user may not see it (Read Access, field-level security)."
        )
        return Finding("error", f"{text} certbridge's guide has a package.")
    if found.get(needed) is not True:
        missing = "is no External ID"
        if needed != "externalId":
            missing = "may not be written by the integration user: give it Edit Access (field-level security)"
        return Finding("error", f"{kind}.{name} {missing}.")
    return Finding("ok", f"{kind}.{name} is there and {'is unique' if needed == 'externalId' else 'can be written'}.")


def refused(kind: str, described: JsonObject, needed: str) -> Iterator[Finding]:
    """Yields what the integration user may not do with an object as a whole: updateable, or createable."""
    if described.get(needed) is not True:
        act, right = ("create", "Create") if needed == "createable" else ("edit", "Edit")
        yield Finding(
            "error", f"The integration user may not {act} {kind}: give it {right} in the object's permissions."
        )


def may_write(rest: Rest, kind: str, needed: str, name: str | None = None) -> Iterator[Finding]:
    """Yields whether an object, and a field of it, can be written."""
    try:
        described = rest.get(f"/sobjects/{kind}/describe")
    except BridgeError as error:
        yield Finding("error", f"{kind}: {error}")
        return
    yield from refused(kind, described, needed)
    if name is not None:
        yield writable(kind, fields_of(described), name, needed)
