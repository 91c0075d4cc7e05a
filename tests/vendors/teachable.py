"""A stand-in for Teachable's API v1 as it is published; webhooks can be read there, not made.

https://docs.teachable.com/reference: no answer has the sign-up source (`src`), and the list of enrolments knows neither
`page` nor `per`, so that it ignores them. Client authors tell of both, so these are switches (`shows_src`,
`pages_enrolments`), as is what nobody has documented: the largest page (`largest_page`), whether totals can be trusted
(`totals_are_zero`), whether the progress of somebody no longer enrolled is still told (`forgets_unenrolled`), whether
a user comes inside `user` (`wraps_users`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from vendors import teachable_shapes as shapes
from vendors.teachable_school import Student, TeachableSchool

from bridge.demo.vendors.json_vendor import JsonStandIn, Route, Slice
from bridge.demo.vendors.stand_in import Answer, Call

BASE: Final = "/v1"
_PAGING: Final = frozenset({"page", "per"})
_ENROLMENT_FILTERS: Final = _PAGING | {"enrolled_in_after", "enrolled_in_before", "sort_direction"}
_EVENT_FILTERS: Final = _PAGING | {
    *("response_http_status_gte", "response_http_status_lte", "created_before", "created_after")
}
_SEARCHABLE: Final = 10_000
_TEXTS: Final = {401: "Invalid API key", 404: "Not found", 415: "Unsupported media type"}


class TeachableStandIn(JsonStandIn):
    """`school` holds the records; it may be changed while the stand-in runs."""

    title: ClassVar[str] = "Teachable"

    def __init__(self, *, api_key: str = "sample-teachable-key", clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.api_key = api_key
        self.school = TeachableSchool()
        self.largest_page = 20
        """Rows a page has at most, whatever `per` asks for; some say 20, some 100."""
        self.totals_are_zero = False
        self.shows_src = False
        self.wraps_users = False
        self.pages_enrolments = False
        self.forgets_unenrolled = True
        self.per_minute = 100
        self.quota: int | None = None
        """Requests left in this month; None: not counted."""
        self.quota_ends_in = 6 * 3600
        """Seconds until the quota is renewed."""
        self._clock = clock
        self._window = (0.0, 0)
        """When the minute began, and requests in it."""

    @property
    def base_url(self) -> str:
        """The root of the API."""
        return self.url + BASE

    def routes(self) -> Iterable[Route]:
        """Names everything that can be asked."""
        return (
            ("GET", BASE + "/users", self._list_users),
            ("GET", BASE + "/users/([0-9]+)", self._get_user),
            ("PATCH", BASE + "/users/([0-9]+)", self._patch_user),
            ("GET", BASE + "/courses", self._list_courses),
            ("GET", BASE + "/courses/([0-9]+)", self._get_course),
            ("GET", BASE + "/courses/([0-9]+)/enrollments", self._list_enrolments),
            ("GET", BASE + "/courses/([0-9]+)/progress", self._get_progress),
            ("GET", BASE + "/webhooks", self._list_webhooks),
            ("GET", BASE + "/webhooks/([0-9]+)/events", self._list_events),
        )

    def problem(self, status: int, reason: str) -> Answer:
        """Writes an error: one text, or a list of them."""
        if status in (400, 422):
            return self.json(status, {"message": [reason]})
        return self.json(status, {"message": _TEXTS[status]})

    def admit(self, call: Call) -> Answer | None:
        """Wants the key, and counts."""
        if call.headers.get("apikey") != self.api_key:
            self.refuse("wrong or missing apiKey", 401)
        left, seconds = self._count()
        if left < 0 or (self.quota is not None and self.quota < 0):
            wait = seconds if left < 0 else self.quota_ends_in
            return self.json(429, {"message": "API rate limit exceeded"}, self._limits(0, wait))
        return None

    def answer(self, call: Call) -> Answer:
        """Answers one call; every answer says how many more are allowed in this minute."""
        found = super().answer(call)
        return Answer(
            found.status, found.body, {**self._limits(self.per_minute - self._window[1], 60), **found.headers}
        )

    def _count(self) -> tuple[int, int]:
        """Counts one request; returns what is left of the minute's (below 0: too many) and the seconds to its end."""
        began, count = self._window
        now = self._clock()
        if now - began >= 60:
            began, count = now, 0
        self._window = (began, count + 1)
        if self.quota is not None:
            self.quota -= 1
        return self.per_minute - count - 1, max(1, round(began + 60 - now))

    def _limits(self, left: int, seconds: int) -> dict[str, str]:
        """Returns the headers; the reset is seconds to wait, not a time."""
        return {
            "RateLimit-Limit": str(self.per_minute),
            "RateLimit-Remaining": str(max(0, left)),
            "RateLimit-Reset": str(seconds),
        }

    # -- users -------------------------------------------------------------------------------------

    def _list_users(self, call: Call) -> Answer:
        query = self.query(call, _PAGING | {"email", "search_after"})
        after = self.number(query, "search_after", 1) if "search_after" in query else 0
        found = [user for user in sorted(self.school.users.values(), key=lambda user: user.id) if user.id > after]
        if "email" in query:
            found = [user for user in found if user.email.lower() == query["email"].lower()]
        if self.number(query, "page", 1) * self._per(query) > _SEARCHABLE:
            self.refuse("beyond 10000 rows only search_after goes on")
        return self._page("users", query, [{"id": one.id, "email": one.email, "name": one.name} for one in found])

    def _get_user(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.school.users.get(int(number))
        return self._user(found) if found else self._missing()

    def _user(self, one: Student) -> Answer:
        shown = shapes.user(self.school, one)
        if not self.shows_src:
            del shown["src"]
        return self.json(200, {"user": shown} if self.wraps_users else shown)

    def _patch_user(self, call: Call, number: str) -> Answer:
        self.query(call)
        change = self.entries(call)
        if unknown := set(change) - {"name", "src"}:
            self.refuse(f"{sorted(unknown)} cannot be written", 422)
        if not all(isinstance(value, str) for value in change.values()):
            self.refuse("name and src must be text", 422)
        user = self.school.users.get(int(number))
        if user is None:
            return self._missing()
        user.name, user.src = change.get("name", user.name), change.get("src", user.src)
        return self._user(user)

    # -- courses -----------------------------------------------------------------------------------

    def _list_courses(self, call: Call) -> Answer:
        courses = [shapes.course(one) for one in self.school.courses.values()]
        return self._page("courses", self.query(call, _PAGING), courses)

    def _get_course(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.school.courses.get(int(number))
        return self.json(200, {"course": shapes.full_course(found)}) if found else self._missing()

    def _list_enrolments(self, call: Call, number: str) -> Answer:
        query = self.query(call, _ENROLMENT_FILTERS)
        if int(number) not in self.school.courses:
            return self._missing()
        direction = query.get("sort_direction", "asc")
        if direction not in ("asc", "desc"):
            self.refuse(f"sort_direction={direction}")
        found = [one for one in self.school.enrolments.values() if one.course_id == int(number) and one.active]
        for name, sign in (("enrolled_in_after", 1), ("enrolled_in_before", -1)):
            if name in query:
                limit = self.moment(name, query[name])
                found = [
                    one for one in found if sign * (self.moment(name, one.enrolled_at) - limit).total_seconds() > 0
                ]
        found.sort(key=lambda one: (one.enrolled_at, one.id), reverse=direction == "desc")
        if not self.pages_enrolments:
            query = {name: value for name, value in query.items() if name not in _PAGING}
        return self._page("enrollments", query, [shapes.enrolment(one) for one in found], per_page=0)

    def _get_progress(self, call: Call, number: str) -> Answer:
        query = self.query(call, _PAGING | {"user_id"})
        if "user_id" not in query:
            self.refuse("user_id is required")
        found = self.school.enrolments.get((self.number(query, "user_id", 1), int(number)))
        if found is None or (not found.active and self.forgets_unenrolled):
            return self._missing()
        return self.json(200, shapes.progress(self.school.courses[int(number)], found))

    # -- webhooks ----------------------------------------------------------------------------------

    def _list_webhooks(self, call: Call) -> Answer:
        self.query(call)
        return self.json(200, {"webhooks": [shapes.webhook(one) for one in self.school.webhooks.values()]})

    def _list_events(self, call: Call, number: str) -> Answer:
        query = self.query(call, _EVENT_FILTERS)
        if int(number) not in self.school.webhooks:
            return self._missing()
        found = [one for one in self.school.events if one.webhook_id == int(number)]
        for name, sign in (("response_http_status_gte", 1), ("response_http_status_lte", -1)):
            if name in query:
                limit = self.number(query, name, 1, 599)
                found = [one for one in found if one.status is not None and sign * (one.status - limit) >= 0]
        for name, sign in (("created_after", 1), ("created_before", -1)):
            if name in query:
                moment = self.moment(name, query[name])
                found = [
                    one for one in found if sign * (self.moment(name, one.created_at) - moment).total_seconds() > 0
                ]
        return self._page("events", query, [shapes.event(one) for one in found])

    # -- answers -----------------------------------------------------------------------------------

    def _per(self, query: Mapping[str, str]) -> int:
        return min(self.number(query, "per", 20), self.largest_page)

    def _page(
        self, name: str, query: Mapping[str, str], rows: Sequence[dict[str, Any]], per_page: int | None = None
    ) -> Answer:
        page = Slice(self.number(query, "page", 1), self._per(query), len(rows))
        shown = page.of(rows)
        meta = {
            "total": page.total,
            "page": page.number,
            "from": page.first + 1 if shown else 0,
            "to": page.first + len(shown),
            "per_page": page.size if per_page is None else per_page,
            "number_of_pages": page.pages,
        }
        if self.totals_are_zero:
            meta |= {"total": 0, "number_of_pages": 0}
        return self.json(200, {name: shown, "meta": meta})

    def _missing(self) -> Answer:
        return self.problem(404, "no such record")
