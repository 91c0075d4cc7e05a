"""Reads Thinkific's Admin API: pages of a list, one record.

https://developers.thinkific.com/api/api-documentation/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_json

MOST_PAGES: Final = 4_000
"""A million records; a list that goes on is one that repeats itself."""
_PER_PAGE: Final = "250"
_MAX_BYTES: Final = 8 * 1024 * 1024


def pages(api: ApiClient, path: str, query: Mapping[str, str], *, most: int = MOST_PAGES) -> Iterator[list[JsonObject]]:
    """Yields the records of a list, page by page. Raises PermanentError, TemporaryError."""
    number = 1
    for _ in range(most):
        response = api.request("GET", path, query={**query, "page": str(number), "limit": _PER_PAGE})
        answer = read(response)
        yield objects(answer.get("items"))
        following = _at(answer, "meta", "pagination", "next_page")
        if not isinstance(following, int) or following <= number:
            return
        number = following
    raise TemporaryError(f"Thinkific's list has more than {most:,} pages; the rest was not looked at.", code="list")


def read(response: ApiResponse) -> JsonObject:
    """Returns the object in an answer. Raises TemporaryError when it is none (a page of a proxy)."""
    try:
        answer = read_json(response.body, max_bytes=_MAX_BYTES, mend=True)
    except PayloadError as error:
        raise TemporaryError(f"Thinkific's answer cannot be read. {error}", code="not_json") from error
    if not isinstance(answer, dict):
        raise TemporaryError("Thinkific's answer cannot be read: it is no object.", code="not_json")
    return answer


def objects(value: object) -> list[JsonObject]:
    """Returns the objects in a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
