"""Reads what Teachable itself knows about its webhooks to us: their state, and deliveries that failed.

https://docs.teachable.com/docs/add-and-manage-webhooks (the API lists webhooks and deliveries, and changes neither)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import SecretStr

from bridge.core.answers import digits, line, listed, stamp
from bridge.core.connector import Finding
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject
from connectors.teachable.rest import Rest


def any_lost(rest: Rest, tokens: Sequence[SecretStr], since: datetime) -> bool:
    """Tells whether Teachable lists a failed delivery to us since then.

    A delivery that ran into a time-out has no status and is not found here; the next sweep finds what it was about.
    Raises TemporaryError, and PermanentError for a key that is refused.
    """
    try:
        return any(_failed(rest, webhook, created_after=stamp(since)) for webhook in _ours(rest, tokens))
    except PermanentError as error:
        if error.stable_code == "http_401":
            raise  # without its key nothing is ever found again, whatever the webhooks say
        return False  # a key that may not read webhooks; `certbridge doctor` says so


def findings(rest: Rest, tokens: Sequence[SecretStr]) -> Iterator[Finding]:
    """Says how our webhooks stand at Teachable. Raises PermanentError, TemporaryError."""
    ours = _ours(rest, tokens)
    if not ours:
        yield Finding(
            "error",
            "Teachable has no webhook with the address of this source. Add it under Settings, Webhooks; until then "
            "only the daily sweep finds completions.",
        )
    # Deleted webhooks stay in this list for ever, so that one that works is enough.
    working = any(webhook.get("workflow_state") == "verified" for webhook in ours)
    for webhook in ours:
        yield _state(webhook, working=working)
        failed = _failed(rest, webhook)
        if failed:
            latest = max(line(event.get("created_at")) or "" for event in failed)
            yield Finding(
                "warning",
                f"Webhook {webhook['id']}: {len(failed)} or more deliveries failed, the latest on {latest[:19] or '?'}."
                " The next sweep finds what they were about, if it was a completion.",
            )


def _state(webhook: JsonObject, *, working: bool) -> Finding:
    number, state = webhook["id"], line(webhook.get("workflow_state"))
    if state == "verified":
        return Finding("ok", f"Webhook {number} works.")
    if state == "pending":
        return Finding("warning", f"Webhook {number} never sent anything yet; let a test learner complete a course.")
    text = (
        f"Webhook {number} is switched off by Teachable because its deliveries failed (state {state or 'unknown'}). "
        "Mend the cause, then switch it on again under Settings, Webhooks."
    )
    return (
        Finding("warning", f"{text} Another one works; it may be a deleted one.") if working else Finding("error", text)
    )


def _ours(rest: Rest, tokens: Sequence[SecretStr]) -> list[JsonObject]:
    webhooks = listed(rest.get("/webhooks"), "webhooks", "Teachable")
    known = [{**webhook, "id": digits(webhook.get("id"))} for webhook in webhooks if digits(webhook.get("id"))]
    return [
        webhook for webhook in known if any(token.get_secret_value() in str(webhook.get("url")) for token in tokens)
    ]


def _failed(rest: Rest, webhook: JsonObject, **more: str) -> list[JsonObject]:
    query = {"response_http_status_gte": "300", "per": "20", **more}
    return listed(rest.get(f"/webhooks/{webhook['id']}/events", **query), "events", "Teachable")
