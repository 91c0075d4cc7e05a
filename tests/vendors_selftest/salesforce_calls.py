"""Calls the Salesforce stand-in over HTTP, for its selftests."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from vendors.salesforce import SalesforceStandIn
from vendors.salesforce.ids import make_id
from vendors_selftest.calls import Found, exchange

DATA = "/services/data/v67.0"
ADA, BEN = make_id("003", 1), make_id("003", 2)
ADAS, BENS = make_id("a0X", 1), make_id("a0X", 2)


def sign_in(salesforce: SalesforceStandIn, headers: dict[str, str] | None = None, **form: str) -> Found:
    """Asks for a token, by default with client credentials in the body."""
    given = form or {
        "grant_type": "client_credentials",
        "client_id": salesforce.tokens.client_id,
        "client_secret": salesforce.tokens.client_secret,
    }
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return exchange(
        salesforce, "POST", "/services/oauth2/token", urlencode(given).encode(), {**kind, **(headers or {})}
    )


def send(
    salesforce: SalesforceStandIn,
    method: str,
    path: str,
    body: object = None,
    *,
    headers: dict[str, str] | None = None,
    **query: str,
) -> Found:
    """Sends one request with a session; `path` is below the version."""
    if not salesforce.tokens.sessions:
        sign_in(salesforce)
    token = next(iter(salesforce.tokens.sessions), "")
    sent = {"Authorization": f"Bearer {token}", **(headers or {})}
    target = (path if path.startswith("/services/") else DATA + path) + ("?" + urlencode(query) if query else "")
    return exchange(salesforce, method, target, body, sent)


def query(salesforce: SalesforceStandIn, soql: str, **more: Any) -> Any:
    """Runs a query that must succeed."""
    found = send(salesforce, "GET", "/query", q=soql, **more)
    assert found.status == 200, found.raw
    return found.body
