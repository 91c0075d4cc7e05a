"""Reads what vendors send and answer, where every value may be odd: ids, texts, times, sections and lists of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

from bridge.core.connector import ApiResponse
from bridge.core.domains import ascii_address
from bridge.core.errors import HeldError, PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_json
from bridge.core.retry import check_status

MAX_BYTES: Final = 8 * 1024 * 1024
"""Of one answer; what a vendor sends unasked is held shorter."""
_LONGEST_ID: Final = 20
_LONGEST_TEXT: Final = 1_000


def digits(value: object) -> str | None:
    """Returns a numeric id that came as a number or as text, as text; None for anything else.

    Only digits, so that it can stand in an address.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_LONGEST_ID:
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text if text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID else None


def line(value: object) -> str | None:
    """Returns a text, cut after 1,000 characters; None for anything else. Whoever prints it judges it."""
    return value[:_LONGEST_TEXT] if isinstance(value, str) else None


def moment(value: object) -> datetime | None:
    """Returns an ISO 8601 time as UTC (without an offset it is UTC); None for anything else."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def stamp(value: datetime) -> str:
    """Returns a time as UTC text to the second: `2026-01-31T08:00:00Z`."""
    return f"{value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def section(value: object) -> JsonObject:
    """Returns an object with named fields; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def sections(value: object) -> list[JsonObject]:
    """Returns the objects in a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def listed(answer: JsonObject, name: str, vendor: str) -> list[JsonObject]:
    """Returns the objects in the list that an answer has under a name.

    Raises TemporaryError where it shows no such list: that is not an empty one.
    """
    found = answer.get(name)
    if not isinstance(found, list):
        raise TemporaryError(
            f"{vendor}'s answer shows no list {name!r}, so nothing was concluded from it.", code="unexpected_answer"
        )
    return sections(found)


def seen(record: JsonObject, name: str) -> str | None:
    """Returns what a record shows under a name: an empty text for null, and None where it does not show the name."""
    if name not in record:
        return None
    value = record[name]
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def not_shown(vendor: str, what: str, advice: str) -> HeldError:
    """Returns the error for a value that has to be looked at before it is written, and that the vendor hides."""
    return HeldError(
        f"{vendor} does not show {what}, so nobody can tell what stands there, and nothing was written. {advice}",
        code="not_shown",
    )


def texts(value: object) -> list[str]:
    """Returns the texts in a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def answered(response: ApiResponse, vendor: str) -> JsonObject:
    """Returns the JSON object that a vendor answered. Raises TemporaryError when it is none."""
    try:
        answer = read_json(response.body, max_bytes=MAX_BYTES, mend=True)
    except PayloadError as error:
        raise TemporaryError(f"{vendor}'s answer cannot be read. {error}", code="not_json") from error
    if not isinstance(answer, dict):
        raise TemporaryError(f"{vendor}'s answer is JSON, but not what it should be.", code="unexpected_answer")
    return answer


def check_known(response: ApiResponse, permanent: Mapping[int, str], said: Callable[[bytes], str]) -> None:
    """Raises the error an answer stands for: PermanentError for a status that stays wrong until a person acts.

    `permanent` says for each such status what to do, without a full stop; `said` finds the vendor's own words in the
    body. Every other status is read as usual. Raises TemporaryError as `check_status` does.
    """
    advice = permanent.get(response.status)
    if advice is not None:
        words = said(response.body)
        raise PermanentError(f"{advice}: {words}" if words else f"{advice}.", code=f"http_{response.status}")
    check_status(response.status, response.headers)


def _service_address(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in url or parts.query or parts.fragment:
        raise ValueError("is no web address")
    return ascii_address(url.strip().rstrip("/"))


ServiceAddress = Annotated[str, AfterValidator(_service_address)]
"""A setting with the address of an API; without a slash at its end."""
