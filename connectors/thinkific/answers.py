"""Reads what Thinkific's API answers when something is wrong: which error it is, and when to try again."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from bridge.core.answers import check_known
from bridge.core.connector import ApiResponse
from bridge.core.errors import PayloadError, TemporaryError
from bridge.core.payload import read_json
from bridge.core.retry import reset_after

# Stays wrong until a person acts.
_PERMANENT: Final = MappingProxyType(
    {
        401: "Thinkific refused the key. If the API key was renewed, set both `api_key` and `signing_secret` anew",
        403: "Thinkific does not allow this; the plan or the rights of the key do not include it",
        404: "Thinkific has no such record (any more)",
        422: "Thinkific refused the values",
    }
)


def check(response: ApiResponse) -> None:
    """Raises the error an answer stands for. Raises TemporaryError for 429 and all of 5xx (Cloudflare's 520 to 527
    too), with the wait Thinkific asks for; PermanentError otherwise.
    """
    if response.status == 429:
        wait = reset_after(response.headers, ("RateLimit-Reset", "X-RateLimit-Reset"))
        raise TemporaryError("Thinkific asks to slow down (120 requests a minute).", code="http_429", retry_after=wait)
    check_known(response, _PERMANENT, complaint)


def complaint(body: bytes) -> str:
    """Returns Thinkific's words: `{"error": …}`, or `{"errors": …}` as a list, lists by field, or texts by field."""
    try:
        answer = read_json(body)
    except PayloadError:
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors", answer.get("error"))
    if isinstance(errors, dict):
        parts = [f"{field} {_joined(text)}" for field, text in errors.items()]
    else:
        parts = [_joined(errors)]
    return "; ".join(part for part in parts if part)[:300]


def _joined(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_joined(item) for item in value[:10])
    return " ".join(value.split()) if isinstance(value, str) else ""
