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
from connectors.salesforce.error_codes import PERMANENT, TEMPORARY

_USED_UP_PAUSE: Final = 3600.0
_BUSY_PAUSE: Final = 60.0
"""Seconds: the allocation of a day comes back bit by bit over 24 hours, a slot for a long call in a minute."""
_SLOW_PAUSE: Final = 300.0
_LIMIT: Final = "REQUEST_LIMIT_EXCEEDED"


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
    if found.code in TEMPORARY:
        return TemporaryError(TEMPORARY[found.code] + said, code=found.code.lower(), retry_after=retry_after(headers))
    if found.code in PERMANENT:
        return PermanentError(PERMANENT[found.code] + said, code=found.code.lower())
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
