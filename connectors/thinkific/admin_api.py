"""Reads Thinkific's Admin API: pages of a list, one record.

https://developers.thinkific.com/api/api-documentation/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.core.answers import digits, listed
from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_json

MOST_PAGES: Final = 4_000
"""A million records; a list that goes on is one that repeats itself."""
_PER_PAGE: Final = "250"
_SMALLEST_PAGE: Final = 25
"""Records of a full page, whatever was asked for."""
_MAX_BYTES: Final = 8 * 1024 * 1024


def pages(api: ApiClient, path: str, query: Mapping[str, str], *, most: int = MOST_PAGES) -> Iterator[list[JsonObject]]:
    """Yields the records of a list, page by page.

    Raises PermanentError, and TemporaryError also for a list that does not go on: that is not its end.
    """
    number, before = 1, list[JsonObject]()
    for _ in range(most):
        response = api.request("GET", path, query={**query, "page": str(number), "limit": _PER_PAGE})
        answer = read(response)
        rows = listed(answer, "items", "Thinkific")
        if rows and rows == before:
            raise _goes_on_nowhere(path, f"page {number} is the one before again")
        yield rows
        following = _following(answer, number, rows, path)
        if following is None:
            return
        number, before = following, rows
    raise TemporaryError(f"Thinkific's list has more than {most:,} pages; the rest was not looked at.", code="list")


def _following(answer: JsonObject, number: int, rows: list[JsonObject], path: str) -> int | None:
    """Returns the page after this one, or None at the end, which is where `next_page` is null."""
    told = _at(answer, "meta", "pagination")
    following = _at(told, "next_page")
    if (page := int(digits(following) or 0)) > number:
        return page
    if not rows or (following is None and ("next_page" in (told or {}) or len(rows) < _SMALLEST_PAGE)):
        return None
    raise _goes_on_nowhere(path, f"page {number} does not name the next one")


def _goes_on_nowhere(path: str, what: str) -> TemporaryError:
    return TemporaryError(f"Thinkific's list {path} does not go on: {what}. The rest was not looked at.", code="list")


def read(response: ApiResponse) -> JsonObject:
    """Returns the object in an answer. Raises TemporaryError when it is none (a page of a proxy)."""
    try:
        answer = read_json(response.body, max_bytes=_MAX_BYTES, mend=True)
    except PayloadError as error:
        raise TemporaryError(f"Thinkific's answer cannot be read. {error}", code="not_json") from error
    if not isinstance(answer, dict):
        raise TemporaryError("Thinkific's answer cannot be read: it is no object.", code="not_json")
    return answer


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
