"""Posts at a bridge what HubSpot posts: batches of webhook events and workflow bodies, signed in its three ways.

https://developers.hubspot.com/docs/api/webhooks/validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from vendors.hubspot.portal import APP_ID, PORTAL_ID
from vendors.hubspot.values import milliseconds
from vendors.reading import Posted, post

Version = Literal["v1", "v2", "v3"]
Kind = Literal["webhooks", "workflow"]

_DECODED: Final = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
"""What version 3 decodes in the address before signing; everything else stays escaped."""
_PATIENCE: Final = {"webhooks": 5.0, "workflow": 30.0}


@dataclass(frozen=True)
class Sent:
    """One request, ready to be posted."""

    kind: Kind
    method: str
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Delivery:
    """How a request fared, as HubSpot sees it."""

    answer: Posted | None
    """None when there was none in time."""
    delivered: bool
    retried: bool
    """Whether HubSpot would send it again; if neither, the event is lost."""
    wait: float | None = None
    """Seconds the answer asked for; HubSpot reads Retry-After of workflows in milliseconds."""


class HubSpotSender:
    """Signs with the app's client secret for the address that HubSpot was told."""

    def __init__(
        self,
        client_secret: str,
        public_url: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.client_secret = client_secret
        self.public_url = public_url
        self._clock = clock
        self._event_ids = iter(range(9_200_000_001, 9_999_999_999))

    # -- what is sent ------------------------------------------------------------------------------

    def event(self, kind: str, object_id: int | str, **more: Any) -> dict[str, Any]:
        """Returns one webhook event, e.g. `event("contact.propertyChange", 101, propertyName=…, propertyValue=…)`."""
        made = {
            "appId": APP_ID,
            "eventId": next(self._event_ids),
            "subscriptionId": 9001,
            "portalId": PORTAL_ID,
            "occurredAt": milliseconds(self._clock()),
            "subscriptionType": kind,
            "attemptNumber": 0,
            "objectId": int(object_id),
            "changeSource": "CRM_UI",
        }
        return made | more

    def webhooks(
        self, events: Sequence[Mapping[str, Any]], *, versions: Sequence[Version] = ("v1", "v3"), **options: Any
    ) -> Sent:
        """Returns a delivery of the Webhooks API: always an array, of 100 events at most."""
        if len(events) > 100:
            raise ValueError("HubSpot puts at most 100 events into one request")
        return self.signed("webhooks", "POST", _compact(list(events)), versions, **options)

    def workflow(
        self, body: Mapping[str, Any] | None, *, versions: Sequence[Version] = ("v2", "v3"), **options: Any
    ) -> Sent:
        """Returns the workflow action "Send a webhook" with a request signature; without a body it is a GET."""
        method, raw = ("GET", b"") if body is None else ("POST", _compact(body))
        return self.signed("workflow", method, raw, versions, **options)

    def workflow_with_key(self, body: Mapping[str, Any], *, header: str = "Authorization", value: str) -> Sent:
        """Returns the same action with an API key in a header instead of a signature."""
        plain = self.signed("workflow", "POST", _compact(body), ())
        return Sent(plain.kind, plain.method, plain.target, {**plain.headers, header: value}, plain.body)

    @staticmethod
    def retry(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Returns the same events as a later attempt carries them."""
        return [{**one, "attemptNumber": one["attemptNumber"] + 1} for one in events]

    # -- how it is signed --------------------------------------------------------------------------

    def signed(
        self, kind: Kind, method: str, body: bytes, versions: Sequence[Version], *, at: datetime | None = None
    ) -> Sent:
        """Signs raw bytes; `at` is the time of signing where it is not now."""
        headers = {"Content-Type": "application/json", "User-Agent": "HubSpot Connect 2.0 (http://dev.hubspot.com/)"}
        for version in versions:
            headers |= self._signature(version, method, body, at or self._clock())
        split = urlsplit(self.public_url)
        target = self.public_url.split(split.netloc, 1)[1] or "/"
        return Sent(kind, method, target, headers, body)

    def _signature(self, version: Version, method: str, body: bytes, at: datetime) -> dict[str, str]:
        secret, address = self.client_secret.encode(), self.public_url
        if version == "v3":
            stamp = str(milliseconds(at))
            for escaped, character in _DECODED.items():
                address = address.replace(escaped, character)
            message = method.encode() + address.encode() + body + stamp.encode()
            digest = hmac.digest(secret, message, "sha256")
            return {
                "X-HubSpot-Signature-v3": base64.b64encode(digest).decode("ascii"),
                "X-HubSpot-Request-Timestamp": stamp,
            }
        before = method.encode() + address.encode() if version == "v2" else b""
        return {
            "X-HubSpot-Signature": hashlib.sha256(secret + before + body).hexdigest(),
            "X-HubSpot-Signature-Version": version,
        }

    # -- how it is delivered -----------------------------------------------------------------------

    def deliver(self, sent: Sent, base: str) -> Delivery:
        """Posts to `http://127.0.0.1:port`, whatever the public address is, and judges as HubSpot does."""
        try:
            answer = post(base + sent.target, sent.method, sent.body, sent.headers, timeout=_PATIENCE[sent.kind])
        except (OSError, http.client.HTTPException):
            return Delivery(None, delivered=False, retried=True)
        if 200 <= answer.status < 300:
            return Delivery(answer, delivered=True, retried=False)
        final = sent.kind == "workflow" and 400 <= answer.status < 500 and answer.status != 429
        asked = answer.headers.get("retry-after", "") if sent.kind == "workflow" else ""
        return Delivery(answer, delivered=False, retried=not final, wait=int(asked) / 1000 if asked.isdigit() else None)


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
