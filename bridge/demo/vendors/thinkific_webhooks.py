"""Thinkific's webhooks: the API v2 that registers them, and their bodies signed as the real ones are.

Built from the vendor's OpenAPI description "Webhooks API 2.0.1"; https://developers.thinkific.com/api/using-webhooks/.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import urlsplit

from bridge.demo.vendors.json_vendor import Delivery

TOPICS: Final = frozenset(
    {
        *(f"enrollment.{action}" for action in ("trial", "created", "progress", "completed")),
        *("lesson.completed", "quiz.attempted", "user.signup", "user.signin", "user.updated", "order.created"),
        *(f"{what}.{action}" for what in ("course", "product") for action in ("created", "updated", "deleted")),
        *("lead.created", "order_transaction.succeeded", "order_transaction.failed", "order_transaction.refunded"),
        *("subscription.cancelled", "plan.updated", "app.uninstalled"),
    }
)
_LOCAL: Final = timezone(timedelta(hours=-5))
"""Ids and times of this part of the API are written five hours behind UTC."""


@dataclass
class Webhook:
    """One registered address."""

    id: str
    topic: str
    target_url: str
    created_at: str
    updated_at: str
    status: str = "active"

    def shown(self) -> dict[str, Any]:
        """Returns what the API tells."""
        by = "156118"
        return {
            "id": self.id,
            "status": self.status,
            "topic": self.topic,
            "created_at": self.created_at,
            "created_by": by,
            "updated_at": self.updated_at,
            "updated_by": by,
            "target_url": self.target_url,
        }


class Webhooks:
    """The registered webhooks, and the events that went out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.all: dict[str, Webhook] = {}
        """By id, the oldest first."""
        self.events: dict[str, dict[str, Any]] = {}
        """Bodies by event id."""
        self._clock = clock
        self._count = 0

    def add(self, topic: str, target_url: str) -> Webhook:
        """Registers an address; the same one twice is two webhooks."""
        now = self._now()
        found = Webhook(self.new_id(now), topic, target_url, _moment(now), _moment(now))
        self.all[found.id] = found
        return found

    def change(self, webhook: Webhook, entries: Mapping[str, str]) -> None:
        """Changes topic or address."""
        for name, value in entries.items():
            setattr(webhook, name, value)
        webhook.updated_at = _moment(self._now())

    def new_id(self, at: datetime) -> str:
        """Returns an id of 23 digits; no two are equal, the later one is larger."""
        self._count += 1
        return at.astimezone(_LOCAL).strftime("%Y%m%d%H%M%S") + f"{self._count:09d}"

    def deliveries(self, event: dict[str, Any], *, secret: str, subdomain: str) -> list[Delivery]:
        """Keeps the event and returns one signed request per active webhook of its topic."""
        self.events[event["id"]] = event
        topic = f"{event['resource']}.{event['action']}"
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
        headers = {
            "Content-Type": "application/json",
            "X-Thinkific-Hmac-Sha256": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
            "X-Thinkific-Topic": topic,
            "X-Thinkific-Subdomain": subdomain,
        }
        wanted = (one for one in self.all.values() if one.topic == topic and one.status == "active")
        return [Delivery(one.target_url, headers, body) for one in wanted]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def what_is_wrong(entries: Mapping[str, Any]) -> dict[str, str]:
    """Returns the vendor's complaints about a webhook, by field; the address is called `url` in them."""
    found = {}
    if "topic" in entries and entries["topic"] not in TOPICS:
        found["topic"] = "invalid format"
    if "target_url" in entries and not _acceptable(entries["target_url"]):
        found["url"] = "is not valid"
    return found


def _acceptable(url: Any) -> bool:
    """Tells whether this is https and none of localhost, an example domain and thinkific.com."""
    parts = urlsplit(url if isinstance(url, str) else "")
    host = parts.hostname or ""
    refused = ("localhost", "example.com", "example.net", "example.org", "thinkific.com")
    elsewhere = not any(host == one or host.endswith("." + one) for one in refused)
    return parts.scheme == "https" and "." in host and elsewhere and not host.startswith("127.")


def _moment(at: datetime) -> str:
    """Writes a time as this part of the API does: nanoseconds and an offset."""
    local = at.astimezone(_LOCAL)
    return local.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000-05:00"
