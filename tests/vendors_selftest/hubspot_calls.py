"""Calls the HubSpot stand-in over HTTP, for its selftests."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from vendors.hubspot import HubSpotStandIn
from vendors_selftest.calls import Found, exchange

ADA, BEN, NOBODY = "70000000101", "70000000102", "70000000104"
CONTACTS = "/crm/v3/objects/contacts"
NOTES = "/crm/v3/objects/notes"


def ask(
    hubspot: HubSpotStandIn,
    method: str,
    path: str,
    body: object = None,
    *,
    headers: dict[str, str] | None = None,
    **query: str,
) -> Found:
    """Sends one request, with the token unless other headers are given."""
    sent = {"Authorization": f"Bearer {hubspot.token}"} if headers is None else headers
    return exchange(hubspot, method, path + ("?" + urlencode(query) if query else ""), body, sent)


def send(hubspot: HubSpotStandIn, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:
    """Sends one request and returns status and body."""
    found = ask(hubspot, method, path, body, **more)
    return found.status, found.body


def search(hubspot: HubSpotStandIn, *filters: dict[str, Any], path: str = CONTACTS, **more: Any) -> Any:
    body = {"filterGroups": [{"filters": list(filters)}] if filters else [], **more}
    status, found = send(hubspot, "POST", path + "/search", body)
    assert status == 200, found
    return found


def where(name: str, operator: str, **values: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, **values}


def ids(page: Any) -> list[str]:
    return [one["id"] for one in page["results"]]


def note(text: str = "Certificate CERT-1", contact: str | int = ADA, **more: Any) -> dict[str, Any]:
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}
    return {
        "properties": {"hs_timestamp": "2026-09-21T10:13:25Z", "hs_note_body": text, **more},
        "associations": [{"to": {"id": contact}, "types": [kind]}],
    }
