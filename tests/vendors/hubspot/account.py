"""The rest of HubSpot's API that certbridge may call: the account, the properties of contacts, custom events."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from vendors.hubspot.answers import bad_request, not_found, ok, refuse
from vendors.hubspot.objects import READ, Route
from vendors.hubspot.portal import SentEvent
from vendors.hubspot.values import Property, instant
from vendors.reading import json_object, query_of, refusing

from bridge.demo.vendors.stand_in import Answer, Call

if TYPE_CHECKING:
    from vendors.hubspot import HubSpotStandIn

_EVENT = frozenset({"eventName", "objectId", "email", "utk", "occurredAt", "properties", "uuid"})


class Account:
    """What belongs to the account as a whole."""

    def __init__(self, stand_in: HubSpotStandIn) -> None:
        self._stand_in = stand_in

    def property_routes(self) -> Iterable[Route]:
        """Below /crm/v3/properties."""
        return [
            Route("GET", "/contacts", READ, self.list_properties),
            Route("GET", "/contacts/([^/]+)", READ, self.get_property),
        ]

    def routes(self) -> Iterable[Route]:
        """Below the root."""
        return [
            Route("GET", "/account-info/v3/details", None, self.details),
            Route("POST", "/oauth/v2/private-apps/get/access-token-info", None, self.token_info),
            Route("POST", "/events/v3/send", "analytics.behavioral_events.send", self.send_event),
        ]

    def details(self, call: Call) -> Answer:
        """GET /account-info/v3/details."""
        _no_query(call)
        portal = self._stand_in.portal
        offset = portal.now().astimezone(ZoneInfo(portal.time_zone)).utcoffset() or timedelta(0)
        minutes = int(offset.total_seconds()) // 60
        return ok(
            {
                "portalId": portal.id,
                "accountType": "STANDARD",
                "timeZone": portal.time_zone,
                "companyCurrency": "USD",
                "additionalCurrencies": [],
                "utcOffset": f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}",
                "utcOffsetMilliseconds": minutes * 60_000,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )

    def token_info(self, call: Call) -> Answer:
        """POST /oauth/v2/private-apps/get/access-token-info: whose a token is, and what it may do.

        https://developers.hubspot.com/docs/apps/legacy-apps/private-apps/overview
        """
        _no_query(call)
        with refusing(bad_request("Invalid input JSON")):
            body = json_object(call)
        if body != {"tokenKey": self._stand_in.token}:
            refuse("the body is the tokenKey of an app of this account, and nothing else", 404, "NOT_FOUND")
        portal = self._stand_in.portal
        scopes = sorted(self._stand_in.scopes)
        return ok({"userId": 12345, "hubId": portal.id, "appId": portal.app_id, "scopes": scopes})

    def list_properties(self, call: Call) -> Answer:
        """GET /crm/v3/properties/contacts."""
        _no_query(call)
        return ok({"results": [_described(one) for one in self._stand_in.portal.contact_properties.values()]})

    def get_property(self, call: Call, name: str) -> Answer:
        """GET /crm/v3/properties/contacts/{name}."""
        _no_query(call)
        found = self._stand_in.portal.contact_properties.get(name)
        return ok(_described(found)) if found else not_found(f"Property {name} does not exist")

    def send_event(self, call: Call) -> Answer:
        """POST /events/v3/send: 204, also for a uuid that was there before; then the first one stands."""
        _no_query(call)
        with refusing(bad_request("Invalid input JSON")):
            body = json_object(call)
        portal = self._stand_in.portal
        if problem := _event_problem(body, portal.id):
            refuse(problem)
        event = SentEvent(
            body["eventName"],
            body.get("objectId"),
            body.get("email"),
            body["properties"],
            body.get("occurredAt"),
            body.get("uuid"),
        )
        known = {(one.name, one.uuid) for one in portal.sent_events if one.uuid}
        (portal.dropped_events if (event.name, event.uuid) in known else portal.sent_events).append(event)
        return Answer(204)


def _no_query(call: Call) -> None:
    with refusing(bad_request()):
        query_of(call)


def _event_problem(body: dict[str, Any], portal_id: int) -> str:
    """Returns what is wrong with a custom event, or nothing."""
    if unknown := set(body) - _EVENT:
        return f"unknown parts of an event: {sorted(unknown)}"
    if not re.fullmatch(rf"pe{portal_id}_[a-z0-9_]+", str(body.get("eventName"))):
        return f"eventName {body.get('eventName')!r} is no event of this account"
    if not isinstance(body.get("properties"), dict):
        return "an event has properties"
    who = [body[name] for name in ("objectId", "email", "utk") if name in body]
    if not who or not all(isinstance(one, str) and one for one in who):
        return "an event names its contact by objectId, email or utk, as text"
    try:
        if "uuid" in body:
            uuid.UUID(body["uuid"])
        if "occurredAt" in body:
            instant(body["occurredAt"])
    except (ValueError, TypeError, AttributeError) as fault:
        return f"uuid or occurredAt: {fault}"
    return ""


def _described(one: Property) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label,
        "type": one.type,
        "fieldType": one.field_type,
        "description": "",
        "groupName": "contactinformation",
        "options": [
            {"label": name.capitalize(), "value": name, "displayOrder": place, "hidden": False}
            for place, name in enumerate(one.options)
        ],
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "hasUniqueValue": one.unique,
        "dataSensitivity": one.sensitivity,
        "hidden": False,
        "archived": False,
        "formField": not one.read_only,
        "modificationMetadata": {"archivable": True, "readOnlyDefinition": False, "readOnlyValue": one.read_only},
    }
