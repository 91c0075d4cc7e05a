"""A stand-in for Thinkific: the Admin API v1 (users, profile fields, enrolments, courses) and the webhooks of API v2.

Built from the vendor's OpenAPI descriptions and one real page of enrolments; https://developers.thinkific.com/api/api-documentation/.
What nobody has documented is a switch: whether a PUT keeps the fields it does not name (`put_replaces`), whether it
insists on required ones (`insists`), whether time filters look at the day only (`filters_by_day`), and whether the key
sees the profile fields of a user (`shows_fields`). The body of a 401 is not documented either; ours is a guess.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import datetime
from typing import Any, ClassVar, Final

from bridge.demo.vendors import thinkific_shapes as shapes
from bridge.demo.vendors.json_vendor import Delivery, JsonStandIn, Route, Slice
from bridge.demo.vendors.stand_in import Answer, Call
from bridge.demo.vendors.thinkific_school import School
from bridge.demo.vendors.thinkific_webhooks import Webhooks, what_is_wrong

BASE: Final = "/api/public/v1"
V2: Final = "/api/v2"
_WRITABLE: Final = frozenset(
    {
        *("first_name", "last_name", "email", "password", "roles", "avatar_url", "bio", "company", "headline"),
        *("external_source", "affiliate_code", "affiliate_commission", "affiliate_commission_type"),
        *("affiliate_payout_email", "custom_profile_fields"),
    }
)
_PAGING: Final = frozenset({"page", "limit"})
_TEXTS: Final = {
    401: "Unauthorized",
    403: "Access to Apps is not available on your plan. Upgrade to gain access",
    404: "Record not found.",
    415: "Unsupported media type",
}


class ThinkificStandIn(JsonStandIn):
    """`school` and `webhooks` hold the records; they may be changed while the stand-in runs."""

    title: ClassVar[str] = "Thinkific"

    def __init__(
        self,
        *,
        api_key: str = "sample-thinkific-key",
        subdomain: str = "acme",
        signing_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.api_key = api_key
        self.subdomain = subdomain
        self.signing_secret = signing_secret
        """What signs webhooks; None: the API key, as the vendor does for a site's own integrations."""
        self.plan_has_api = True
        self.put_replaces = False
        self.insists = False
        self.filters_by_day = False
        self.shows_fields = True
        self.rights: set[str] | None = None
        """What the credentials may do, by part of the API (`users: read`, `webhooks: write`); None: everything."""
        self.school = School()
        self.webhooks = Webhooks(clock)

    @property
    def base_url(self) -> str:
        """The root of the Admin API."""
        return self.url + BASE

    @property
    def webhooks_url(self) -> str:
        """The root of API v2."""
        return self.url + V2

    def complete(self, enrolment_id: int, at: datetime, *, event_id: str | None = None) -> list[Delivery]:
        """Makes an enrolment reach 100 % and returns what is sent to each webhook that listens to it, signed."""
        with self.lock:
            self.school.complete(enrolment_id, at)
            event = self.school.completed_event(enrolment_id, event_id=event_id or self.webhooks.new_id(at))
            secret = self.signing_secret or self.api_key
            return self.webhooks.deliveries(event, secret=secret, subdomain=self.subdomain)

    def routes(self) -> Iterable[Route]:
        """Names everything that can be asked."""
        return (
            ("GET", BASE + "/enrollments", self._list_enrolments),
            ("GET", BASE + "/enrollments/([0-9]+)", self._get_enrolment),
            ("GET", BASE + "/users", self._list_users),
            ("GET", BASE + "/users/([0-9]+)", self._get_user),
            ("PUT", BASE + "/users/([0-9]+)", self._put_user),
            ("GET", BASE + "/courses", self._list_courses),
            ("GET", BASE + "/courses/([0-9]+)", self._get_course),
            ("GET", BASE + "/custom_profile_field_definitions", self._list_definitions),
            ("GET", V2 + "/webhooks", self._list_webhooks),
            ("POST", V2 + "/webhooks", self._post_webhook),
            ("GET", V2 + "/webhooks/([0-9]+)", self._get_webhook),
            ("PUT", V2 + "/webhooks/([0-9]+)", self._put_webhook),
            ("DELETE", V2 + "/webhooks/([0-9]+)", self._delete_webhook),
            ("GET", V2 + "/events/([0-9]+)", self._get_event),
        )

    def problem(self, status: int, reason: str) -> Answer:
        """Writes an error."""
        if status == 422:
            return self.json(422, {"errors": [reason]})
        return self.json(status, {"error": _TEXTS.get(status, "Bad request")})

    def admit(self, call: Call) -> Answer | None:
        """Wants the key with the subdomain, or a Bearer token; API v2 takes the token only."""
        key = (call.headers.get("x-auth-api-key"), call.headers.get("x-auth-subdomain"))
        bearer = call.headers.get("authorization")
        if bearer is not None and key != (None, None):
            self.refuse("two kinds of credentials at once", 401)
        by_key = key == (self.api_key, self.subdomain)
        if by_key and call.path.startswith(V2):
            self.refuse("API v2 wants Authorization: Bearer", 401)
        if bearer != f"Bearer {self.api_key}" and not by_key:
            self.refuse("wrong or missing credentials", 401)
        allowed = self.plan_has_api and (self.rights is None or _right(call) in self.rights)
        return None if allowed else self.problem(403, "the plan has no API")

    # -- enrolments --------------------------------------------------------------------------------

    def _list_enrolments(self, call: Call) -> Answer:
        query = self.query(call, shapes.ENROLMENT_FILTERS | _PAGING)
        filters: dict[str, str | datetime] = {}
        for name in sorted(set(query) - _PAGING):
            word = name[len("query[") : -1]
            timed = word.startswith(("created_", "updated_"))
            filters[word] = self.moment(word, query[name]) if timed else query[name]
        found = [
            one
            for one in self.school.enrolments.values()
            if shapes.wanted(self.school, one, filters, by_day=self.filters_by_day)
        ]
        return self._page(query, [shapes.enrolment(self.school, one) for one in found])

    def _get_enrolment(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.school.enrolments.get(int(number))
        return self.json(200, shapes.enrolment(self.school, found)) if found else self._missing()

    # -- users -------------------------------------------------------------------------------------

    def _list_users(self, call: Call) -> Answer:
        query = self.query(call, shapes.USER_FILTERS | _PAGING)
        label = query.get("query[custom_profile_field_label]")
        value = query.get("query[custom_profile_field_value]")
        if (label is None) != (value is None):
            self.refuse("custom_profile_field_label and _value must be combined", 422)
        found = list(self.school.users.values())
        if (address := query.get("query[email]")) is not None:
            found = [one for one in found if one.email.lower() == address.lower()]
        if label is not None:
            numbers = [definition.id for definition in self.school.definitions.values() if definition.label == label]
            found = [one for one in found if any(one.fields.get(number) == value for number in numbers)]
        return self._page(query, [shapes.person(self.school, one) for one in found])

    def _get_user(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.school.users.get(int(number))
        if found is None:
            return self._missing()
        hidden = set() if self.shows_fields else {"custom_profile_fields"}
        shown = {name: value for name, value in shapes.person(self.school, found).items() if name not in hidden}
        return self.json(200, shown)

    def _put_user(self, call: Call, number: str) -> Answer:
        self.query(call)
        change = self._body(call, _WRITABLE)
        user = self.school.users.get(int(number))
        if user is None:
            return self._missing()
        fields = self._fields(change.get("custom_profile_fields", []))
        kept = {} if self.put_replaces and "custom_profile_fields" in change else user.fields
        merged = {number: value for number, value in (kept | fields).items() if value}
        if self.insists:
            empty = [one.label for one in self.school.definitions.values() if one.required and one.id not in merged]
            if empty:
                return self._invalid({label: ["can't be blank"] for label in empty})
        user.fields = merged
        for name in ("first_name", "last_name", "email", "company"):
            if name in change:
                setattr(user, name, change[name])
        return Answer(204)

    def _fields(self, entries: object) -> dict[int, str]:
        if not isinstance(entries, list):
            self.refuse("custom_profile_fields is no list", 422)
        found = {}
        for entry in entries:
            if not isinstance(entry, dict) or not set(entry) <= {"custom_profile_field_definition_id", "value"}:
                self.refuse(f"custom profile field {entry!r} is invalid", 422)
            number, value = entry.get("custom_profile_field_definition_id"), entry.get("value", "")
            if type(number) is not int or not isinstance(value, str):
                self.refuse(f"custom profile field {entry!r} is invalid", 422)
            if number not in self.school.definitions:
                self.refuse("Custom profile field definition could not be found.", 422)
            found[number] = value
        return found

    # -- definitions and courses -------------------------------------------------------------------

    def _list_definitions(self, call: Call) -> Answer:
        return self._page(self.query(call, _PAGING), [dict(vars(one)) for one in self.school.definitions.values()])

    def _list_courses(self, call: Call) -> Answer:
        courses = [shapes.course(number, name) for number, name in self.school.courses.items()]
        return self._page(self.query(call, _PAGING), courses)

    def _get_course(self, call: Call, number: str) -> Answer:
        self.query(call)
        name = self.school.courses.get(int(number))
        return self.json(200, shapes.course(int(number), name)) if name is not None else self._missing()

    # -- webhooks ----------------------------------------------------------------------------------

    def _list_webhooks(self, call: Call) -> Answer:
        query = self.query(call, {"next", "limit"})
        limit, numbers = self.number(query, "limit", 25, 250), list(self.webhooks.all)
        if "next" in query and query["next"] not in numbers:
            self.refuse(f"next={query['next']}")
        first = numbers.index(query["next"]) if "next" in query else 0
        shown, rest = numbers[first : first + limit], numbers[first + limit :]
        page = {
            "has_next": bool(rest),
            "next_page": rest[0] if rest else "",
            "page_items": len(shown),
            "total_items": len(numbers),
        }
        items = [self.webhooks.all[number].shown() for number in shown]
        return self.json(200, {"items": items, "meta": {"page": page}})

    def _post_webhook(self, call: Call) -> Answer:
        self.query(call)
        wanted = self._webhook(call)
        if missing := {"topic", "target_url"} - set(wanted):
            self.refuse(f"{sorted(missing)} missing", 422, self._invalid(dict.fromkeys(missing, "can't be blank")))
        return self.json(201, self.webhooks.add(**wanted).shown())

    def _get_webhook(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.webhooks.all.get(number)
        return self.json(200, found.shown()) if found else self._missing()

    def _put_webhook(self, call: Call, number: str) -> Answer:
        self.query(call)
        change, found = self._webhook(call), self.webhooks.all.get(number)
        if found is None:
            return self._missing()
        self.webhooks.change(found, change)
        return self.json(200, found.shown())

    def _delete_webhook(self, call: Call, number: str) -> Answer:
        self.query(call)
        if call.body:
            self.refuse("a DELETE with a body")
        return Answer(204) if self.webhooks.all.pop(number, None) else self._missing()

    def _get_event(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.webhooks.events.get(number)
        if found is None:
            return self._missing()
        return self.json(200, {key: found[key] for key in ("id", "resource", "action", "created_at", "payload")})

    def _webhook(self, call: Call) -> dict[str, Any]:
        entries = self._body(call, {"topic", "target_url"})
        if wrong := what_is_wrong(entries):
            self.refuse(f"webhook {entries}: {wrong}", 422, self._invalid(wrong))
        return entries

    # -- requests and answers ----------------------------------------------------------------------

    def _body(self, call: Call, known: Set[str]) -> dict[str, Any]:
        found = self.entries(call)
        if unknown := set(found) - known:
            self.refuse(
                f"unknown fields {sorted(unknown)}", 422, self._invalid({key: ["is unknown"] for key in unknown})
            )
        return found

    def _page(self, query: Mapping[str, str], items: list[dict[str, Any]]) -> Answer:
        page = Slice(self.number(query, "page", 1), self.number(query, "limit", 25, 250), len(items))
        shown = page.of(items)
        pagination = {
            "current_page": page.number,
            "next_page": page.next,
            "prev_page": page.previous,
            "total_pages": page.pages,
            "total_items": page.total,
            "entries_info": f"{page.first + 1 if shown else 0}-{page.first + len(shown)} of {page.total}",
        }
        return self.json(200, {"items": shown, "meta": {"pagination": pagination}})

    def _invalid(self, errors: object) -> Answer:
        return self.json(422, {"errors": errors})

    def _missing(self) -> Answer:
        return self.problem(404, "no such record")


def _right(call: Call) -> str:
    part = call.path.removeprefix(BASE).removeprefix(V2).split("/")[1]
    return f"{part}: {'read' if call.method == 'GET' else 'write'}"
