"""A stand-in for HubSpot's API: contacts, notes, deals, search, custom events, properties and the account's details.

Built from HubSpot's public documentation (https://developers.hubspot.com/docs/api-reference) and shapes seen in public
client code; no capture of a live account was at hand. What nobody has documented is a switch or said where it is done.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Literal

from vendors.hubspot.account import Account
from vendors.hubspot.answers import bad_request, error, rate_limited
from vendors.hubspot.contacts import Contacts
from vendors.hubspot.deals import Deals
from vendors.hubspot.notes import Notes
from vendors.hubspot.objects import Route
from vendors.hubspot.portal import Portal
from vendors.hubspot.values import Property
from vendors.reading import raw_path, refusing, unescaped

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError, StandIn

_NO_CREDENTIALS: Final = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details"
    " at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)


class HubSpotStandIn(StandIn):
    """`portal` holds the account; it may be changed while the stand-in runs.

    `api` is the root of the CRM objects, `properties_api` that of their properties: "/crm/v3/objects" and
    "/crm/v3/properties", or a dated version such as "/crm/objects/2026-09".
    """

    title: ClassVar[str] = "HubSpot"

    def __init__(
        self,
        *,
        token: str = "pat-na1-sample-hubspot-token",
        api: str = "/crm/v3/objects",
        properties_api: str = "/crm/v3/properties",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self.token = token
        self.scopes = {
            "crm.objects.contacts.read",
            "crm.objects.contacts.write",
            "crm.objects.deals.read",
            "analytics.behavioral_events.send",
        }
        self.sensitive_answers: Literal["forbidden", "left_out", "redacted"] = "forbidden"
        """What is said of sensitive values without the scope for them. As documented, the request is forbidden; old
        versions of the API leave them out, and webhooks call them REDACTED.
        https://developers.hubspot.com/docs/api-reference/latest/crm/properties/sensitive-data
        """
        self.portal = Portal(clock)
        self.search_lag = timedelta(0)
        """How long a change takes to be found."""
        self.search_cap = 10_000
        self.search_per_second: int | None = None
        """5 on a real account; None lets everything through."""
        self.per_ten_seconds = 190
        self.daily_limit = 625_000
        self.used_today = 0
        self._searches: deque[datetime] = deque()
        self._recent: deque[datetime] = deque()
        crm = (api, [*Contacts(self).routes(), *Notes(self).routes(), *Deals(self).routes()])
        account = Account(self)
        self._routes: list[tuple[str, Iterable[Route]]] = [
            crm,
            (properties_api, account.property_routes()),
            ("", account.routes()),
        ]

    def answer(self, call: Call) -> Answer:
        """Answers one call."""
        self._authenticate(call)
        path = raw_path(call.target)
        searching = path.endswith("/search")
        self._count(searching)
        answer = self._routed(call, path)
        return answer if searching else replace(answer, headers={**answer.headers, **self._rate_headers()})

    def _routed(self, call: Call, path: str) -> Answer:
        others = []
        for root, routes in self._routes:
            for route in routes:
                found = re.fullmatch(re.escape(root) + route.path, path)
                if found and route.method == call.method:
                    self._allowed(route.scope)
                    with refusing(bad_request()):
                        parts = [unescaped(part) for part in found.groups()]
                    return route.handler(call, *parts)
                others += [route.method] if found else []
        if others:
            raise RefusalError(f"{path} takes {others}", error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED"))
        raise RefusalError(f"no such route: {call.method} {path}", error(404, "resource not found", "NOT_FOUND"))

    def _authenticate(self, call: Call) -> None:
        given = call.headers.get("authorization")
        if given != f"Bearer {self.token}":
            reason = "no credentials" if given is None else "wrong credentials"
            raise RefusalError(reason, error(401, _NO_CREDENTIALS, "INVALID_AUTHENTICATION"))

    def sees(self, definition: Property, act: Literal["read", "write"] = "read") -> bool:
        """Tells whether the token has the scope for a property's sensitive data, if it holds any."""
        return definition.sensitivity == "non_sensitive" or _scope(definition, act) in self.scopes

    def check_sensitive(self, definitions: Iterable[Property], act: Literal["read", "write"]) -> None:
        """Refuses a request that names a property whose values the token may not read or write."""
        for one in definitions:
            if not self.sees(one, act) and (act == "write" or self.sensitive_answers == "forbidden"):
                self._allowed(_scope(one, act))

    def _allowed(self, scope: str | None) -> None:
        if scope is not None and scope not in self.scopes:
            answer = error(
                403,
                "One or more of the following scopes are required.",
                "MISSING_SCOPES",
                context={"requiredGranularScopes": [scope], "links": ["https://developers.hubspot.com/scopes"]},
            )
            raise RefusalError(f"the token lacks the scope {scope}", answer)

    # -- limits ------------------------------------------------------------------------------------

    def _count(self, searching: bool) -> None:
        now = self.portal.now()
        if self.used_today >= self.daily_limit:
            raise RefusalError("the daily limit is used up", rate_limited("DAILY"))
        self.used_today += 1
        _drop(self._recent, now - timedelta(seconds=10))
        _drop(self._searches, now - timedelta(seconds=1))
        if not searching:
            self._recent.append(now)
            if len(self._recent) > self.per_ten_seconds:
                raise RefusalError("too many requests in ten seconds", rate_limited("TEN_SECONDLY_ROLLING"))
        elif self.search_per_second is not None:
            if len(self._searches) >= self.search_per_second:
                raise RefusalError("too many searches in a second", rate_limited("SECONDLY"))
            self._searches.append(now)

    def _rate_headers(self) -> dict[str, str]:
        return {
            "X-HubSpot-RateLimit-Max": str(self.per_ten_seconds),
            "X-HubSpot-RateLimit-Remaining": str(max(0, self.per_ten_seconds - len(self._recent))),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Daily": str(self.daily_limit),
            "X-HubSpot-RateLimit-Daily-Remaining": str(self.daily_limit - self.used_today),
        }


def _drop(times: deque[datetime], until: datetime) -> None:
    while times and times[0] <= until:
        times.popleft()


def _scope(definition: Property, act: str) -> str:
    return f"crm.objects.contacts.{definition.sensitivity}.{act}"
