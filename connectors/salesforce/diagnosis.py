"""Tries what a source of Salesforce needs, from the login to each field, and says in plain words what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from bridge.core.connector import ApiClient, Finding
from bridge.core.errors import BridgeError
from bridge.core.models import JsonObject
from connectors.salesforce import soql
from connectors.salesforce.rest import Rest, objects
from connectors.salesforce.settings import SalesforceSettings

_USAGE: Final = re.compile(r"api-usage=(\d{1,12})/(\d{1,12})")
_NEARLY: Final = 0.8


def diagnose(settings: SalesforceSettings, api: ApiClient) -> Iterator[Finding]:
    """Yields a line for each thing that works or does not; stops where nothing further can be tried."""
    if settings.url is None:
        yield Finding("warning", "No `url` is set: certbridge takes messages as they are and writes nothing back.")
        return
    rest = Rest(api, settings.api_version)
    try:
        response = api.request("GET", f"{rest.base}/limits")
    except BridgeError as error:
        yield Finding("error", str(error))
        return
    yield Finding("ok", f"The login at {settings.url} works, API version {settings.api_version}.")
    yield from _usage(response.headers)
    yield from _object(settings, rest)
    if settings.write_back.task != "no":
        yield from _task(settings, rest)


def _usage(headers: Mapping[str, str]) -> Iterator[Finding]:
    found = _USAGE.search(headers.get("sforce-limit-info", ""))
    if found and int(found[2]):
        used, total = int(found[1]), int(found[2])
        level, advice = ("warning", "; at the limit certbridge has to wait") if used > _NEARLY * total else ("ok", "")
        yield Finding(
            "warning" if level == "warning" else "ok", f"API requests of 24 hours: {used} of {total}{advice}."
        )


def _object(settings: SalesforceSettings, rest: Rest) -> Iterator[Finding]:
    try:
        described = rest.get(f"/sobjects/{settings.object}/describe")
        # One query tries every field at once, those of related records too.
        rest.first_page(soql.select(settings, *soql.completed(settings), tail="LIMIT 1"))
    except BridgeError as error:
        yield Finding("error", f"{settings.object}: {error}")
        return
    yield Finding("ok", f"{settings.object} and all fields of `fields` can be read.")
    wanted = settings.write_back
    for name in filter(None, (wanted.certificate_field, wanted.url_field)):
        yield _writable(settings.object, _fields(described), name, "updateable")


def _task(settings: SalesforceSettings, rest: Rest) -> Iterator[Finding]:
    try:
        described = rest.get("/sobjects/Task/describe")
    except BridgeError as error:
        yield Finding("error", f"Task: {error}")
        return
    if described.get("createable") is not True:
        yield Finding("error", "The integration user may not create tasks: give it Edit Tasks.")
    fields, key = _fields(described), settings.write_back.task_key_field
    if key is not None:
        yield _writable("Task", fields, key, "externalId")
    labels = [str(one.get("value")) for one in objects(fields.get("status", {}).get("picklistValues"))]
    if labels and settings.write_back.task_status not in labels:
        known = ", ".join(labels[:20])
        yield Finding("error", f"No task has the status {settings.write_back.task_status!r}; there are: {known}.")


def _fields(described: JsonObject) -> dict[str, JsonObject]:
    return {str(one.get("name")).lower(): one for one in objects(described.get("fields"))}


def _writable(kind: str, fields: Mapping[str, JsonObject], name: str, needed: str) -> Finding:
    found = fields.get(name.lower())
    if found is None:
        text = f"{kind} has no field {name}, or the integration user may not see it. certbridge's guide has a package."
        return Finding("error", text)
    if found.get(needed) is not True:
        what = "is no External ID" if needed == "externalId" else "may not be changed by the integration user"
        return Finding("error", f"{kind}.{name} {what}.")
    return Finding("ok", f"{kind}.{name} is there and {'is unique' if needed == 'externalId' else 'can be written'}.")
