"""Reads what HubSpot's API answers when something is wrong: which error it is, and when to try again."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from bridge.core.answers import answered, check_known, sections
from bridge.core.connector import ApiResponse
from bridge.core.errors import TemporaryError
from bridge.core.models import JsonObject
from bridge.core.retry import retry_after

# Seconds, by the name of the limit that was reached. HubSpot documents no Retry-After for them. The day ends at the
# account's midnight, which the answer does not tell: an hour costs 24 refusals a day at most.
_WAITS: Final = MappingProxyType({"DAILY": 3600.0, "TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0})
_ROLLING: Final = 10.0
_LOCKED_WAIT: Final = 2.0
# Stays wrong until a person acts. https://developers.hubspot.com/docs/api-reference/error-handling
_PERMANENT: Final = MappingProxyType(
    {
        400: "HubSpot refused the request",
        401: "HubSpot refused the token. If it was rotated or its app was deleted, set `token` anew",
        403: "HubSpot does not allow this with the token",
        404: "HubSpot has no such record (any more)",
        409: "HubSpot says that this is in conflict with another record",
        414: "HubSpot says that the address is too long: name fewer `properties`",
    }
)


def check(response: ApiResponse) -> None:
    """Raises the error an answer stands for.

    Raises TemporaryError for 423, 429 (with a wait that depends on the limit), 477 (it names its wait, up to a day)
    and 5xx, PermanentError otherwise.
    """
    status = response.status
    if status == 429:
        policy = str(_fields(response).get("policyName"))
        wait = retry_after(response.headers) or _WAITS.get(policy, _ROLLING)
        limit = "for today" if policy == "DAILY" else "for the moment"
        raise TemporaryError(f"HubSpot's limit of requests is reached {limit}.", code="http_429", retry_after=wait)
    if status in (423, 477):
        why = "is locked" if status == 423 else "is being moved by HubSpot"
        wait = retry_after(response.headers) or _LOCKED_WAIT
        raise TemporaryError(f"The record or account {why} for a while.", code=f"http_{status}", retry_after=wait)
    check_known(response, _PERMANENT, lambda _: complaint(response))


def read(response: ApiResponse) -> JsonObject:
    """Returns the object in an answer. Raises TemporaryError when there is none."""
    return answered(response, "HubSpot")


def complaint(response: ApiResponse) -> str:
    """Returns HubSpot's words; every field of its errors may be missing."""
    fields = _fields(response)
    told = [str(error["message"]) for error in sections(fields.get("errors")) if error.get("message")]
    missing = _named(fields, "requiredGranularScopes") + _named(fields, "requiredScopes")
    parts = [*dict.fromkeys(told)] or [str(fields.get("message") or "")]
    if missing:
        parts.append(f"Scopes to add to the app or key: {', '.join(dict.fromkeys(missing))}.")
    text = " ".join(" ".join(parts).split())[:400]
    number = fields.get("correlationId")
    return f"{text} (HubSpot's correlationId {number})" if text and isinstance(number, str) else text


def _fields(response: ApiResponse) -> dict[str, Any]:
    try:
        return read(response)
    except TemporaryError:
        return {}


def _named(fields: dict[str, Any], name: str) -> list[str]:
    """Returns a list of names from the context of the error or of its parts."""
    contexts = [fields.get("context"), *(error.get("context") for error in sections(fields.get("errors")))]
    lists = [context.get(name) for context in contexts if isinstance(context, dict)]
    return [item for found in lists if isinstance(found, list) for item in found if isinstance(item, str)]
