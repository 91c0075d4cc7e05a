"""Registers the webhook at Thinkific through version 2 of its API: only those are sure to be signed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.core.answers import listed
from bridge.core.connector import ApiClient, Finding
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import JsonObject
from connectors.thinkific.admin_api import MOST_PAGES, read
from connectors.thinkific.events import COMPLETED
from connectors.thinkific.settings import ThinkificSettings

_PER_PAGE: Final = "100"


def connect(api: ApiClient, settings: ThinkificSettings, address: str) -> Iterator[Finding]:
    """Registers `address` for enrollment.completed unless it is there already; says what will not work.

    https://support.thinkific.dev/hc/en-us/articles/4422685850775-Using-Webhooks. Raises PermanentError, TemporaryError.
    """
    if not settings.has_api:
        raise PermanentError("Set api_key and subdomain (or access_token): the webhook is registered with them.")
    if not address.startswith("https://"):
        raise PermanentError(f"Thinkific sends to https addresses only, not to {address}. Check public_url.")
    same = [hook for hook in _registered(api, settings) if _leads_to(hook, address)]
    active = [hook for hook in same if hook.get("status") == "active"]
    for hook in same:
        if hook not in active:
            yield Finding("warning", _inactive(hook))
    if active:
        yield Finding("ok", f"Thinkific sends {COMPLETED} to this address already (webhook {active[0].get('id')}).")
    elif not same:
        hook = _register(api, settings, address)
        yield Finding("ok", f"Registered: Thinkific sends {COMPLETED} to this address (webhook {hook.get('id')}).")
    yield from _signing(settings)


def _registered(api: ApiClient, settings: ThinkificSettings) -> Iterator[JsonObject]:
    following, headers = "", settings.webhook_headers()
    for _ in range(MOST_PAGES):
        query = {"limit": _PER_PAGE} | ({"next": following} if following else {})
        answer = read(api.request("GET", settings.webhooks_url, query=query, headers=headers))
        yield from listed(answer, "items", "Thinkific")
        meta = answer.get("meta")
        page = meta.get("page") if isinstance(meta, dict) else None
        last, following = following, str(page.get("next_page") or "") if isinstance(page, dict) else ""
        if not following:
            return
        if following == last:
            raise TemporaryError("Thinkific's list of webhooks names the same page again and again.", code="list")


def _register(api: ApiClient, settings: ThinkificSettings, address: str) -> JsonObject:
    wanted = {"topic": COMPLETED, "target_url": address}
    hook = read(api.request("POST", settings.webhooks_url, json=wanted, headers=settings.webhook_headers()))
    if hook.get("status") not in ("active", None):
        raise PermanentError(_inactive(hook), code="webhook_inactive")
    return hook


def _leads_to(hook: JsonObject, address: str) -> bool:
    target, topic = hook.get("target_url"), hook.get("topic")
    return topic == COMPLETED and isinstance(target, str) and target.rstrip("/") == address.rstrip("/")


def _inactive(hook: JsonObject) -> str:
    return (
        f"Thinkific has a webhook to this address, but it is {hook.get('status') or 'not active'} (webhook "
        f"{hook.get('id')}). Delete it in Thinkific (Settings, Code & Analytics, Webhooks), then run this again."
    )


def _signing(settings: ThinkificSettings) -> Iterator[Finding]:
    by_key = settings.access_token is None and settings.api_key is not None
    if by_key and settings.signing_secret != settings.api_key:
        yield Finding(
            "warning",
            "Thinkific signs these webhooks with the API key they were registered with, but signing_secret is another. "
            "Set both to the same key, unless you know better.",
        )
