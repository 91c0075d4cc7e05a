"""Asks Teachable's API (v1), and says what its refusals mean."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bridge.core.answers import answered, check_known, digits, line, listed, section
from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_object

PER_PAGE: Final = "100"
SMALLEST_PAGE: Final = 20
"""Rows of a full page, whatever was asked for; fewer are the end of the list where the vendor says so too."""
MOST_PAGES: Final = 2_000
_HOUR: Final = 3600.0
_MONTH: Final = 31 * 24 * _HOUR

# Stays wrong until a person acts.
_PERMANENT: Final = MappingProxyType(
    {
        401: "Teachable refused the API key. Make a new one as owner of the school under Settings, API, and set "
        "`api_key`",
        403: "Teachable does not allow this; the plan of the school or the key does not include it",
        404: "Teachable has no such record (any more)",
        422: "Teachable refused the values",
    }
)


@dataclass(slots=True)
class Rest:
    """Calls Teachable's API and counts the calls (https://docs.teachable.com/reference)."""

    api: ApiClient
    calls: int = 0

    def get(self, path: str, **query: str) -> JsonObject:
        """Returns the answer. Raises PermanentError, TemporaryError."""
        self.calls += 1
        return answered(self.api.request("GET", path, query=query), "Teachable")

    def change(self, path: str, values: JsonObject) -> None:
        """Sends new values of a record. Raises PermanentError, TemporaryError."""
        self.calls += 1
        self.api.request("PATCH", path, json=values)

    def user(self, learner: str) -> JsonObject:
        """Returns the record of one learner; it comes bare, or inside `user`. Raises PermanentError (user_gone)."""
        try:
            answer = self.get(f"/users/{learner}")
        except PermanentError as error:
            if error.stable_code != "http_404":
                raise
            raise PermanentError(f"Teachable has no user {learner} (any more).", code="user_gone") from error
        return section(answer.get("user")) or answer

    def progress(self, course: str, learner: str) -> JsonObject:
        """Returns how far a learner is in a course; an empty object where Teachable knows nothing about the two."""
        try:
            answer = self.get(f"/courses/{course}/progress", user_id=learner)
        except PermanentError as error:
            if error.stable_code != "http_404":
                raise
            return {}
        return section(answer.get("course_progress"))

    def course_name(self, course: str) -> str | None:
        """Returns what a course is called, or None where Teachable does not say."""
        return line(section(self.get(f"/courses/{course}").get("course")).get("name"))

    def courses(self) -> Iterator[JsonObject]:
        """Yields the courses of the school. Raises TemporaryError where the list does not go on."""
        before: list[JsonObject] = []
        for page in range(1, MOST_PAGES + 1):
            answer = self.get("/courses", page=str(page), per=PER_PAGE)
            rows = listed(answer, "courses", "Teachable")
            if rows and rows == before:
                raise TemporaryError(
                    f"Teachable's list of courses does not go on: page {page} is the one before again.", code="list"
                )
            yield from (row for row in rows if digits(row.get("id")))
            if is_last(page, len(rows), answer.get("meta")):
                return
            before = rows
        raise TemporaryError(f"Teachable's list of courses has more than {MOST_PAGES:,} pages.", code="list")


def is_last(page: int, rows: int, meta: object) -> bool:
    """Tells whether this page of a list is its last one.

    `per_page` and `total` come back as 0 beside full pages (seen in practice), so that the end is an empty page, or one
    that is short, or holds the whole total, where the number of pages agrees.
    """
    told = section(meta)
    pages = told.get("number_of_pages")
    short = rows < SMALLEST_PAGE or (page == 1 and told.get("total") == rows)
    return rows == 0 or (short and isinstance(pages, int) and 1 <= pages <= page)


def check(response: ApiResponse) -> None:
    """Raises the error an answer stands for; PermanentError, or TemporaryError with the wait Teachable asks for."""
    if response.status == 429:
        raise _too_many(response)
    check_known(response, _PERMANENT, complaint)


def complaint(body: bytes) -> str:
    """Returns Teachable's words: `{"message": "text"}` or a list of texts."""
    try:
        message = read_object(body).get("message")
    except PayloadError:
        return ""
    parts = message if isinstance(message, list) else [message]
    return "; ".join(" ".join(part.split()) for part in parts[:10] if isinstance(part, str))[:300]


def _too_many(response: ApiResponse) -> TemporaryError:
    wait = _reset(response.headers)
    if wait is not None and wait > _HOUR:
        text = (
            f"Teachable takes no more requests for {wait / _HOUR:.0f} hours: the school's monthly quota is used up. "
            "Lower `calls_per_day`, or sweep fewer courses (`sweep_courses`)."
        )
    else:
        text = "Teachable asks to slow down (100 requests a minute)."
    return TemporaryError(text, code="http_429", retry_after=wait)


def _reset(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds to wait: `RateLimit-Reset` counts from now, unlike that of other vendors."""
    for name in ("ratelimit-reset", "x-ratelimit-reset", "retry-after"):
        try:
            wait = float(headers.get(name) or "nan")
        except ValueError:
            continue
        if math.isfinite(wait) and 0 <= wait <= _MONTH:
            return wait
    return None
