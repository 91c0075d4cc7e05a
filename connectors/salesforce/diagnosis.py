"""Tries what a source of Salesforce needs, from the login to each field, and says in plain words what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from bridge.core.answers import sections
from bridge.core.connector import ApiClient, Finding
from bridge.core.errors import BridgeError
from bridge.core.models import JsonObject
from connectors.salesforce import ids, soql
from connectors.salesforce.described import fields_of, may_write, refused, writable
from connectors.salesforce.rest import Rest
from connectors.salesforce.settings import SalesforceSettings

_USAGE: Final = re.compile(r"api-usage=(\d{1,12})/(\d{1,12})")
_NEARLY: Final = 0.8
_NOT_FOUND: Final = "not_found"
_NAMES: Final = "`object` is the API name (Setup, Object Manager); those of your own end in __c."
_LISTED: Final = 20


def diagnose(settings: SalesforceSettings, api: ApiClient) -> Iterator[Finding]:
    """Yields a line for each thing that works or does not; stops where nothing further can be tried."""
    if settings.url is None:
        yield Finding("warning", "No `url` is set: certbridge takes messages as they are and writes nothing back.")
        return
    rest = Rest(api, settings.api_version)
    try:
        response = api.request("GET", f"{rest.base}/limits")
    except BridgeError as error:
        unknown = f"{settings.url} does not know the API version {settings.api_version}: leave `api_version` out."
        yield Finding("error", unknown if error.stable_code == _NOT_FOUND else str(error))
        return
    yield Finding("ok", f"The login at {settings.url} works, API version {settings.api_version}.")
    yield from _usage(response.headers)
    yield from _organization(settings, rest)
    yield from _object(settings, rest)
    if settings.write_back.task != "no":
        yield from _task(settings, rest)
    if settings.write_back.pdf != "no":
        yield from may_write(rest, "ContentVersion", "createable")


def _usage(headers: Mapping[str, str]) -> Iterator[Finding]:
    found = _USAGE.search(headers.get("sforce-limit-info", ""))
    if found and int(found[2]):
        used, total = int(found[1]), int(found[2])
        level, advice = ("warning", "; at the limit certbridge has to wait") if used > _NEARLY * total else ("ok", "")
        yield Finding(
            "warning" if level == "warning" else "ok", f"API requests of 24 hours: {used} of {total}{advice}."
        )


def _organization(settings: SalesforceSettings, rest: Rest) -> Iterator[Finding]:
    """Compares the organisation that is signed in to with those whose messages are taken."""
    if not settings.organization_ids:
        return
    try:
        found = [ids.normal(row.get("Id")) for row in rest.first_page("SELECT Id FROM Organization LIMIT 1")]
    except BridgeError as error:
        yield Finding("warning", f"Whether `organization_ids` is right could not be seen. {error}")
        return
    if found and found[0] not in settings.organization_ids:
        text = f"certbridge signs in to organisation {found[0]}, which is not in `organization_ids`: its messages are"
        yield Finding("error", f"{text} refused. Correct it; a sandbox is a source of its own.")


def _object(settings: SalesforceSettings, rest: Rest) -> Iterator[Finding]:
    try:
        described = rest.get(f"/sobjects/{settings.object}/describe")
    except BridgeError as error:
        unknown = f"{settings.object}: Salesforce has no such object, or the integration user may not see it. {_NAMES}"
        yield Finding("error", unknown if error.stable_code == _NOT_FOUND else f"{settings.object}: {error}")
        return
    try:
        # One query tries every field at once, those of related records too.
        rest.first_page(soql.select(settings, *soql.completed(settings), tail="LIMIT 1"))
    except BridgeError as error:
        yield Finding("error", f"{settings.object}: {error}")
        return
    yield Finding("ok", f"{settings.object} and all fields of `fields` can be read.")
    yield from _completions(settings, fields_of(described))
    wanted = settings.write_back
    if wanted.learner_field is not None:
        kinds = _kinds_of_learner(settings, fields_of(described))
        for kind in kinds:
            yield from may_write(rest, kind, "updateable", wanted.learner_field)
    written = [name for name in (wanted.certificate_field, wanted.url_field) if name]
    if written:
        yield from refused(settings.object, described, "updateable")
    for name in written:
        yield writable(settings.object, fields_of(described), name, "updateable")


def _completions(settings: SalesforceSettings, fields: Mapping[str, JsonObject]) -> Iterator[Finding]:
    """Says which completions would never be found, as far as the object's own fields tell."""
    at = settings.fields.completed_at
    kind = fields.get(at.lower(), {}).get("type")
    if kind is not None and kind not in ("date", "datetime"):
        yield Finding("warning", f"{settings.object}.{at} (completed_at) is of the type {kind}, which is no date.")
    status = settings.completed_field or ""
    field = fields.get(status.lower(), {})
    known = [str(one.get("value")) for one in sections(field.get("picklistValues"))]
    for value in settings.completed_values if known else ():
        if value not in known:
            text = f"{settings.object}.{status} has no value {value!r} (completed_values); there are:"
            # Where the list is only a proposal, records may hold other values.
            level: Literal["error", "warning"] = "error" if field.get("restrictedPicklist") is True else "warning"
            yield Finding(level, f"{text} {', '.join(known[:_LISTED])}.")


def _kinds_of_learner(settings: SalesforceSettings, fields: Mapping[str, JsonObject]) -> list[str]:
    """Returns the objects that a learner may be a record of; none where that cannot be told."""
    learner = settings.fields.learner.lower()
    if learner == "id":
        return [settings.object]
    to = fields.get(learner, {}).get("referenceTo")
    return [kind for kind in to if isinstance(kind, str)] if isinstance(to, list) else []


def _task(settings: SalesforceSettings, rest: Rest) -> Iterator[Finding]:
    try:
        described = rest.get("/sobjects/Task/describe")
    except BridgeError as error:
        yield Finding("error", f"Task: {error}")
        return
    if described.get("createable") is not True:
        yield Finding("error", "The integration user may not create tasks: give it Edit Tasks.")
    fields, key = fields_of(described), settings.write_back.task_key_field
    if key is not None:
        yield writable("Task", fields, key, "externalId")
        if key.lower() in fields:
            yield writable("Task", fields, key, "createable")
    labels = [str(one.get("value")) for one in sections(fields.get("status", {}).get("picklistValues"))]
    if labels and settings.write_back.task_status not in labels:
        known = ", ".join(labels[:_LISTED])
        yield Finding("error", f"No task has the status {settings.write_back.task_status!r}; there are: {known}.")
