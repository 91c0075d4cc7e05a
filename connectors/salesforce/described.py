"""Reads how Salesforce describes an object: which fields there are, and which the integration user may write.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_describe.htm
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.core.answers import sections
from bridge.core.connector import Finding
from bridge.core.models import JsonObject


def fields_of(described: JsonObject) -> dict[str, JsonObject]:
    """Returns the fields by name, in small letters: names are the same whatever their case."""
    return {str(one.get("name")).lower(): one for one in sections(described.get("fields"))}


def writable(kind: str, fields: Mapping[str, JsonObject], name: str, needed: str) -> Finding:
    """Tells whether a field is there and is what is `needed` of it: updateable, or externalId."""
    found = fields.get(name.lower())
    if found is None:
        text = f"{kind} has no field {name}, or the integration user may not see it. certbridge's guide has a package."
        return Finding("error", text)
    if found.get(needed) is not True:
        what = "is no External ID" if needed == "externalId" else "may not be changed by the integration user"
        return Finding("error", f"{kind}.{name} {what}.")
    return Finding("ok", f"{kind}.{name} is there and {'is unique' if needed == 'externalId' else 'can be written'}.")
