"""Reads what Salesforce answers when something is wrong: which error it is, and when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bridge.core.connector import ApiResponse
from bridge.core.errors import BridgeError, PayloadError, PermanentError, TemporaryError
from bridge.core.payload import read_json
from bridge.core.retry import check_status, retry_after
from bridge.core.text import one_line
from connectors.salesforce import login_errors

_USED_UP_PAUSE: Final = 3600.0
_BUSY_PAUSE: Final = 60.0
"""Seconds: the allocation of a day comes back bit by bit over 24 hours, a slot for a long call in a minute."""
_SLOW_PAUSE: Final = 300.0
_LIMIT: Final = "REQUEST_LIMIT_EXCEEDED"

_GONE: Final = "Salesforce has no such record any more (deleted, or merged or converted into another one)."
_RIGHTS: Final = "The integration user may not do this: compare its permission set with certbridge's guide."
# errorCode -> what an admin can do. These stay wrong until a person acts. Messages are translated; codes are not.
# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
_PERMANENT: Final = MappingProxyType(
    {
        "INVALID_FIELD": "Salesforce has no such field, or the integration user may not see it (field-level security). "
        "Compare the API names in the configuration with Setup, Object Manager.",
        "INVALID_FIELD_FOR_INSERT_UPDATE": "The integration user may not write this field: give it Edit Access in the "
        "permission set (field-level security). Formula fields cannot be written at all.",
        "INVALID_TYPE": "Salesforce has no such object, or the integration user may not see it. Compare `object` with "
        "its API name (custom ones end in __c).",
        "MALFORMED_QUERY": "Salesforce does not understand the query: a name in the configuration is of another kind "
        "than its place needs.",
        "INVALID_QUERY_FILTER_OPERATOR": "A value in the configuration is of another kind than its field (a text for a "
        "checkbox or an id).",
        "REQUIRED_FIELD_MISSING": "Your organisation requires another field here, which certbridge does not fill.",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION": "A validation rule of your organisation refused this. Let it pass the "
        "integration user.",
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "A trigger or Flow of your organisation failed on this change.",
        "FIELD_INTEGRITY_EXCEPTION": "A value does not fit its field. For a task: Allow Activities must be switched on "
        "for the object, or set `write_back: {task: learner}`.",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "The picklist has no such value; set `write_back: {task_status}` to "
        "one of yours.",
        "STRING_TOO_LONG": "The field is too short; make it at least 32 characters long (255 for an address).",
        "INSUFFICIENT_ACCESS_OR_READONLY": _RIGHTS,
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _RIGHTS,
        "INVALID_CROSS_REFERENCE_KEY": _GONE,
        "ENTITY_IS_DELETED": _GONE,
        "NOT_FOUND": f"{_GONE} Or the address is wrong: `api_version`, `object`.",
        "MALFORMED_ID": "This is an id of another kind of record.",
        "DUPLICATES_DETECTED": "A duplicate rule of your organisation refused this. Let it pass the integration user.",
        "API_DISABLED_FOR_ORG": "The edition has no API, or the integration user lacks API Enabled.",
        "INVALID_SESSION_ID": "Salesforce refuses even a fresh token. Check the session settings and login IP ranges "
        "of the integration user.",
        "UNSUPPORTED_API_VERSION": "Your organisation does not know this `api_version`.",
    }
)
# errorCode -> why another attempt may help.
_TEMPORARY: Final = MappingProxyType(
    {
        "UNABLE_TO_LOCK_ROW": "Somebody else is changing this record.",
        "DUPLICATE_VALUE": "This value is there already: another writer was a moment faster. Looking again.",
        "SERVER_UNAVAILABLE": "Salesforce is not available.",
        "QUERY_TIMEOUT": "The query took too long.",
        "REQUEST_RUNNING_TOO_LONG": "The request took too long.",
        "UNKNOWN_EXCEPTION": "Salesforce had a fault of its own.",
        "API_CURRENTLY_DISABLED": "The API is switched off for the moment.",
        "INVALID_QUERY_LOCATOR": "Salesforce forgot the next page of a long list; the poll goes on where it was.",
        "PROCESSING_HALTED": "Another part of the same request failed.",
    }
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """The first error of an answer, in Salesforce's words."""

    code: str
    message: str
    fields: tuple[str, ...] = ()


def check(response: ApiResponse) -> None:
    """Raises the error an answer stands for; a composite answer is always 200 and its parts are judged apart.

    Raises TemporaryError with code http_429 when the API allocation is used up, so that the whole source rests.
    """
    if 200 <= response.status < 300:
        return
    body = _body(response.body)
    if isinstance(body, dict) and "error" in body:  # only signing in answers so; the API lists its errors
        raise login_errors.refusal(response.status, body, response.headers)
    raise refusal(response.status, body, response.headers)


def refusal(status: int, body: object, headers: Mapping[str, str] = MappingProxyType({})) -> BridgeError:
    """Returns the error that a status of 300 and more with this body (as JSON) stands for."""
    found = complaint(body)
    said = _said(found)
    if found.code == _LIMIT or status == 429:
        wait = retry_after(headers) or (_BUSY_PAUSE if "concurrent" in found.message.lower() else _USED_UP_PAUSE)
        text = "Salesforce's limit of API requests is reached; this source rests. See Setup, System Overview."
        return TemporaryError(text + said, code="http_429", retry_after=wait)
    if status == 300:
        text = "Salesforce has several records with this key, so none was changed. Delete the doubles in Salesforce."
        return PermanentError(text, code="several_records")
    if found.code in _TEMPORARY:
        return TemporaryError(_TEMPORARY[found.code] + said, code=found.code.lower(), retry_after=retry_after(headers))
    if found.code in _PERMANENT:
        return PermanentError(_PERMANENT[found.code] + said, code=found.code.lower())
    return _by_status(status, headers, said)


def not_unique(body: object) -> PermanentError:
    """Returns the error for a number that may stand once only and stands in another record."""
    text = "The field is unique, and another record holds this number already. Empty it there, or switch Unique off."
    return PermanentError(text + _said(complaint(body)), code="duplicate_value")


def complaint(body: object) -> Complaint:
    """Reads `[{errorCode, message, fields}]`, also under `errors` and with `statusCode` for the code; else empty."""
    found = body.get("errors") if isinstance(body, dict) and isinstance(body.get("errors"), list) else body
    first = found[0] if isinstance(found, list) and found else found
    if not isinstance(first, dict):
        return Complaint("", "")
    code, message, fields = first.get("errorCode") or first.get("statusCode"), first.get("message"), first.get("fields")
    return Complaint(
        code if isinstance(code, str) else "",
        message if isinstance(message, str) else "",
        tuple(one for one in fields if isinstance(one, str)) if isinstance(fields, list) else (),
    )


def _by_status(status: int, headers: Mapping[str, str], said: str) -> BridgeError:
    if status == 420:  # edge routing, in Salesforce's own numbering
        return TemporaryError(f"Salesforce could not route the request.{said}", retry_after=_SLOW_PAUSE)
    try:
        check_status(status, headers)
    except TemporaryError as error:
        wait = error.retry_after
        return TemporaryError(f"Salesforce {error}.{said}", code=error.stable_code, retry_after=wait)
    except PermanentError as error:
        return PermanentError(f"Salesforce {error}.{said}", code=error.stable_code)
    return TemporaryError(f"Salesforce answered HTTP {status} where it should not.{said}", code="unexpected_answer")


def _said(found: Complaint) -> str:
    if not (found.code or found.message):
        return ""
    named = f" (fields: {', '.join(found.fields[:10])})" if found.fields else ""
    return f" Salesforce says: {one_line(found.message)[:200]}{named[:200]} [{found.code[:60]}]"


def _body(raw: bytes) -> object:
    try:
        return read_json(raw)
    except PayloadError:
        return None  # a maintenance page is HTML; the status says enough
