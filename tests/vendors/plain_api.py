"""A stand-in for vendors that need no connector of their own: three small APIs, and whatever a test adds.

On one port: a learning platform like TalentLMS (key in a header), attendees like Eventbrite's (Bearer, found through
the `api_url` of a webhook), and an xAPI record store (Basic, pages linked by `more`). Shapes follow the vendors'
descriptions where there are any. TalentLMS describes that a learner's courses have id and name alone, that
/course-progress tells how far somebody is (in words: the names are those of its older API), that PATCH knows no custom
fields and that POST /batch/users writes them as `custom_field_N`, as a task of the background. Switches: others report
a list that says what is completed (`lists_progress`); custom fields may be hidden (`shows_custom_fields`), the task
may take a while (`batch_takes`), and N may be something else than the field's id (`field_keys`). Eventbrite's shapes
are known from guides only.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from vendors import plain_records as records

from bridge.demo.vendors.json_vendor import Delivery, JsonStandIn, Route, Slice
from bridge.demo.vendors.stand_in import Answer, Call

LMS: Final = "/api/v2"
EVENTS: Final = "/v3"
LRS: Final = "/xapi"
_PAGING: Final = frozenset({"page[number]", "page[size]"})
_USER_FILTERS: Final = _PAGING | {
    *("filter[last_updated][gte]", "filter[last_updated][lte]", "filter[email][eq]", "filter[status][eq]")
}
_STATEMENT_FILTERS: Final = frozenset({"verb", "activity", "since", "until", "limit", "ascending"})


class PlainApi(JsonStandIn):
    """`users`, `progress`, `attendees` and `statements` hold the records; change them while holding the lock."""

    title: ClassVar[str] = "Plain API"

    def __init__(self) -> None:
        super().__init__()
        self.api_key = "sample-lms-key"
        self.token = "sample-event-token"
        self.lrs_user, self.lrs_password = "sample-lrs-user", "sample-lrs-password"
        self.users: dict[int, dict[str, Any]] = records.users()
        self.courses: dict[int, dict[str, Any]] = {68: {"id": 68, "name": "Safety Basics", "code": "SAFE-1"}}
        self.progress: dict[tuple[int, int], dict[str, Any]] = {}
        """By user and course."""
        self.lists_progress = False
        self.shows_custom_fields = True
        self.pages_users = True
        """Heed page[number], which stands in examples and in no list of parameters."""
        self.batch_takes = 0
        """Looks at a learner until what was written shows."""
        self.field_keys: dict[str, int] = {"custom_field_1": 1}
        """Ids of custom fields by the key that writes them."""
        self._tasks: list[dict[str, Any]] = []
        self.attendees: dict[str, dict[str, Any]] = records.attendees()
        self.statements: list[dict[str, Any]] = []
        """In the order they were stored."""
        self.statements_per_page = 100
        self._more: dict[str, tuple[list[dict[str, Any]], int]] = {}
        self._extra: list[tuple[str, str, Callable[..., Answer]]] = []

    def on(self, method: str, path: str, answer: Callable[..., Answer] | object) -> None:
        """Adds an endpoint without credentials: a pattern of the path, and a JSON value or a function of the call."""
        handler = answer if callable(answer) else lambda _call, *_groups: self.json(200, answer)
        self._extra.append((method, path, handler))

    # -- what happens ------------------------------------------------------------------------------

    def complete(
        self, user_id: int, course_id: int, at: datetime, score: float = 93.0, *, updates: bool = True
    ) -> None:
        """Makes a learner complete a course on the platform; whether the user counts as updated then, nobody says."""
        with self.lock:
            self.progress[user_id, course_id] = records.progress(user_id, course_id, at, score)
            if updates:
                self.users[user_id]["last_updated"] = records.zoned(at)

    def check_in(self, attendee_id: str, at: datetime, target_url: str) -> Delivery:
        """Checks an attendee in; returns the webhook, which only points to the record."""
        with self.lock:
            attendee = self.attendees[attendee_id]
            attendee |= {"checked_in": True, "status": "Checked In", "changed": records.zoned(at)}
        return self.pointer(f"{self.url}{EVENTS}/events/{attendee['event_id']}/attendees/{attendee_id}/", target_url)

    def pointer(self, api_url: str, target_url: str, action: str = "barcode.checked_in") -> Delivery:
        """Returns a webhook that points anywhere."""
        config = {"action": action, "endpoint_url": target_url, "user_id": "111", "webhook_id": "222"}
        body = json.dumps({"api_url": api_url, "config": config}).encode()
        return Delivery(target_url, {"Content-Type": "application/json"}, body)

    def state(self, statement: dict[str, Any]) -> dict[str, Any]:
        """Stores a statement (see `plain_records.completed`)."""
        with self.lock:
            self.statements.append(statement)
        return statement

    # -- asking ------------------------------------------------------------------------------------

    def routes(self) -> Iterable[Route]:
        """Names everything that can be asked."""
        return (
            *self._extra,
            ("GET", LMS + "/users", self._list_users),
            ("GET", LMS + "/users/([0-9]+)", self._get_user),
            ("PATCH", LMS + "/users/([0-9]+)", self._patch_user),
            ("POST", LMS + "/batch/users", self._post_users),
            ("GET", LMS + "/users/([0-9]+)/courses", self._list_courses_of),
            ("GET", LMS + "/courses", self._list_courses),
            ("GET", LMS + "/course-progress", self._get_progress),
            ("GET", EVENTS + "/events/([0-9]+)/attendees/", self._list_attendees),
            ("GET", EVENTS + "/events/([0-9]+)/attendees/([0-9]+)/", self._get_attendee),
            ("GET", LRS + "/statements", self._list_statements),
            ("GET", LRS + "/more/([0-9a-z]+)", self._get_more),
        )

    def problem(self, status: int, reason: str) -> Answer:
        """Writes an error."""
        return self.json(status, {"error": {"type": "invalid_request_error", "message": reason}})

    def admit(self, call: Call) -> Answer | None:
        """Wants the credentials of the API that is asked, and no others."""
        if any(re.fullmatch(pattern, call.path) for _, pattern, _ in self._extra):
            return None
        basic = "Basic " + b64encode(f"{self.lrs_user}:{self.lrs_password}".encode()).decode()
        wanted = {
            LMS: ("x-api-key", self.api_key),
            EVENTS: ("authorization", f"Bearer {self.token}"),
            LRS: ("authorization", basic),
        }
        for root, (header, value) in wanted.items():
            if call.path.startswith(root + "/"):
                if call.headers.get(header) != value or len({"x-api-key", "authorization"} & set(call.headers)) != 1:
                    self.refuse(f"wrong or missing {header}", 401)
                if root == LRS and not call.headers.get("x-experience-api-version", "").startswith("1.0."):
                    self.refuse("X-Experience-API-Version is missing")
        return None

    # -- the learning platform ---------------------------------------------------------------------

    def _list_users(self, call: Call) -> Answer:
        query = self.query(call, _USER_FILTERS)
        found = list(self.users.values())
        for name, sign in (("filter[last_updated][gte]", 1), ("filter[last_updated][lte]", -1)):
            if name in query:
                limit = self.moment(name, query[name])
                found = [one for one in found if sign * (self._updated(one) - limit).total_seconds() >= 0]
        for key in ("email", "status"):
            found = [one for one in found if one[key] == query.get(f"filter[{key}][eq]", one[key])]
        shown = [{key: value for key, value in one.items() if key != "custom_fields"} for one in found]
        return self._page(call, query, shown)

    def _updated(self, user: Mapping[str, Any]) -> datetime:
        return self.moment("last_updated", user["last_updated"])

    def _get_user(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.users.get(int(number))
        if found is None:
            return self._missing()
        if self.batch_takes:
            self.batch_takes -= 1
        else:
            self._run_tasks()
        hidden = set() if self.shows_custom_fields else {"custom_fields"}
        return self.json(200, {"_data": {key: value for key, value in found.items() if key not in hidden}})

    def _patch_user(self, call: Call, number: str) -> Answer:
        self.query(call)
        change = self.entries(call)
        known = {"name", "surname", "login", "email", "description", "timezone", "locale", "status"}
        if unknown := set(change) - known:
            self.refuse(f"unknown fields {sorted(unknown)}", 422)
        if change.get("status") not in ("active", "inactive"):
            self.refuse("status is required", 422)
        if int(number) not in self.users:
            return self._missing()
        self.users[int(number)] |= change
        return Answer(204)

    def _post_users(self, call: Call) -> Answer:
        self.query(call)
        body = self.entries(call)
        users = body.get("users")
        if set(body) != {"users"} or not isinstance(users, list) or not 1 <= len(users) <= 100:
            self.refuse("the body must be {users: [...]} with up to 100 of them", 422)
        for one in users:
            if not isinstance(one, dict) or type(one.get("id")) is not int or one["id"] not in self.users:
                self.refuse(f"{one!r} is nobody who is there, and to make a new user more is needed", 422)
            fields = {key: value for key, value in one.items() if key != "id"}
            if unknown := set(fields) - set(self.field_keys):
                self.refuse(f"unknown fields {sorted(unknown)}", 422)
            if not all(isinstance(value, str) for value in fields.values()):
                self.refuse("custom fields must be texts", 422)
        self._tasks += users
        return self.json(200, {"_data": {"task_id": 41}})

    def _run_tasks(self) -> None:
        for task in self._tasks:
            written = {self.field_keys[key]: value for key, value in task.items() if key != "id"}
            user = self.users[task["id"]]
            user["custom_fields"] = [
                one | {"value": written.get(one["id"], one["value"])} for one in user["custom_fields"]
            ]
        self._tasks.clear()

    def _list_courses_of(self, call: Call, number: str) -> Answer:
        self.query(call)
        if int(number) not in self.users:
            return self._missing()
        found = [one for (user, _), one in self.progress.items() if user == int(number)]
        courses = [self.courses[one["course_id"]] | (one if self.lists_progress else {}) for one in found]
        shown = {"id", "name"} if not self.lists_progress else {*self.courses[68], *records.PROGRESS}
        listed = [{key: value for key, value in one.items() if key in shown} for one in courses]
        return self.json(200, {"_data": {"courses": listed}})

    def _list_courses(self, call: Call) -> Answer:
        return self._page(call, self.query(call, _PAGING), list(self.courses.values()))

    def _get_progress(self, call: Call) -> Answer:
        query = self.query(call, {"user_id", "course_id"})
        if set(query) != {"user_id", "course_id"}:
            self.refuse("user_id and course_id are required")
        found = self.progress.get((self.number(query, "user_id", 1), self.number(query, "course_id", 1)))
        return self.json(200, {"_data": found}) if found else self._missing()

    def _page(self, call: Call, query: Mapping[str, str], rows: list[dict[str, Any]]) -> Answer:
        if not self.pages_users:
            query = {name: value for name, value in query.items() if name not in _PAGING}
        size = self.number(query, "page[size]", 25, 100)
        cut = Slice(self.number(query, "page[number]", 1), size, len(rows))
        numbers = {"self": cut.number, "first": 1, "last": cut.pages, "prev": cut.previous, "next": cut.next}
        links = {
            key: f"{self.url}{call.path}?" + urlencode({**query, "page[number]": number, "page[size]": size})
            for key, number in numbers.items()
            if number is not None
        }
        pagination = {"page": cut.number, "page_size": size, "total_items": cut.total, "total_pages": cut.pages}
        return self.json(200, {"_data": cut.of(rows), "_links": links, "_meta": {"pagination": pagination}})

    # -- attendees ---------------------------------------------------------------------------------

    def _list_attendees(self, call: Call, event: str) -> Answer:
        query = self.query(call, {"status", "changed_since", "continuation"})
        if query.get("status", "attending") not in ("attending", "not_attending", "unpaid"):
            self.refuse(f"status={query['status']}")
        found = [one for one in self.attendees.values() if one["event_id"] == event]
        if "changed_since" in query:
            limit = self.moment("changed_since", query["changed_since"])
            found = [one for one in found if self.moment("changed", one["changed"]) >= limit]
        start, size = self.number(query, "continuation", 1) - 1, 2
        pagination: dict[str, Any] = {"object_count": len(found), "page_size": size, "has_more_items": False}
        if start + size < len(found):
            pagination |= {"has_more_items": True, "continuation": str(start + size + 1)}
        return self.json(200, {"pagination": pagination, "attendees": found[start : start + size]})

    def _get_attendee(self, call: Call, event: str, number: str) -> Answer:
        self.query(call)
        found = self.attendees.get(number)
        return self.json(200, found) if found and found["event_id"] == event else self._missing()

    # -- statements --------------------------------------------------------------------------------

    def _list_statements(self, call: Call) -> Answer:
        query = self.query(call, _STATEMENT_FILTERS)
        found = [one for one in self.statements if one["verb"]["id"] == query.get("verb", one["verb"]["id"])]
        found = [one for one in found if one["object"]["id"] == query.get("activity", one["object"]["id"])]
        for name, sign in (("since", 1), ("until", -1)):
            if name in query:
                limit = self.moment(name, query[name])
                # `since` means stored after, `until` stored at or before.
                found = [one for one in found if (self.moment("stored", one["stored"]) > limit) == (sign > 0)]
        if query.get("ascending", "false") not in ("true", "false"):
            self.refuse(f"ascending={query['ascending']}")
        found = found if query.get("ascending") == "true" else found[::-1]
        asked = query.get("limit", "0")  # 0: as many as the store likes
        size = self.statements_per_page if asked == "0" else self.number(query, "limit", 1)
        size = min(size, self.statements_per_page)
        return self._statements(found, size)

    def _get_more(self, call: Call, key: str) -> Answer:
        self.query(call)
        return self._statements(*self._more[key]) if key in self._more else self._missing()

    def _statements(self, found: list[dict[str, Any]], size: int) -> Answer:
        more = ""
        if len(found) > size:
            key = f"page{len(self._more) + 1}"
            self._more[key] = (found[size:], size)
            more = f"{LRS}/more/{key}"  # relative to the host, not to the API's root
        version = {"X-Experience-API-Version": "1.0.3"}
        return self.json(200, {"statements": found[:size], "more": more}, version)

    def _missing(self) -> Answer:
        return self.problem(404, "The requested resource does not exist")
