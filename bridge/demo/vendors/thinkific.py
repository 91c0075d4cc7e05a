"""A stand-in for the Thinkific Admin API v1: users with custom profile fields, their definitions, enrolments, courses.

Built from the vendor's OpenAPI description and one real page of enrolments; https://developers.thinkific.com/api/api-documentation/.
What nobody has documented is a switch: whether a PUT keeps the fields it does not name (`put_replaces`), whether it
insists on required ones (`insists`). The body of a 401 is not documented either; ours is a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError, StandIn
from bridge.demo.vendors.thinkific_school import Enrolment, Person, School

BASE: Final = "/api/public/v1"
_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
_WRITABLE: Final = frozenset(
    {
        *("first_name", "last_name", "email", "password", "roles", "avatar_url", "bio", "company", "headline"),
        *("external_source", "affiliate_code", "affiliate_commission", "affiliate_commission_type"),
        *("affiliate_payout_email", "custom_profile_fields"),
    }
)
_TIMES: Final = ("on", "before", "on_or_before", "after")
_ENROLMENT_FILTERS: Final = frozenset(
    f"query[{name}]"
    for name in (
        *("user_id", "course_id", "email", "free_trial", "full", "completed", "expired", "created_on_or_after"),
        *(f"{what}_{when}" for what in ("created", "updated") for when in _TIMES),
    )
)
_USER_FILTERS: Final = frozenset(
    f"query[{name}]"
    for name in (
        "email",
        "role",
        "external_source",
        "custom_profile_field_label",
        "custom_profile_field_value",
        "group_id",
    )
)


class ThinkificStandIn(StandIn):
    """`school` holds the records; it may be changed while the stand-in runs."""

    title: ClassVar[str] = "Thinkific"

    def __init__(self, *, api_key: str = "sample-thinkific-key", subdomain: str = "acme") -> None:
        super().__init__()
        self.api_key = api_key
        self.subdomain = subdomain
        self.plan_has_api = True
        self.put_replaces = False
        self.insists = False
        self.school = School()

    @property
    def base_url(self) -> str:
        """The root of the Admin API."""
        return self.url + BASE

    def answer(self, call: Call) -> Answer:
        """Answers one call of the Admin API."""
        self._authenticate(call)
        if not self.plan_has_api:
            return _json(403, {"error": "Access to Apps is not available on your plan. Upgrade to gain access"})
        for method, pattern, handler in self._routes():
            found = re.fullmatch(BASE + pattern, call.path)
            if found and method == call.method:
                if method == "GET" and call.body:
                    raise RefusalError("a GET with a body", _json(400, {"error": "Bad request"}))
                return handler(call, *found.groups())
        raise RefusalError(f"no such route: {call.method} {call.path}", _json(404, {"error": "Record not found."}))

    def _routes(self) -> Iterable[tuple[str, str, Callable[..., Answer]]]:
        return (
            ("GET", "/enrollments", self._list_enrolments),
            ("GET", "/enrollments/([0-9]+)", self._get_enrolment),
            ("GET", "/users", self._list_users),
            ("GET", "/users/([0-9]+)", self._get_user),
            ("PUT", "/users/([0-9]+)", self._put_user),
            ("GET", "/courses", self._list_courses),
            ("GET", "/courses/([0-9]+)", self._get_course),
            ("GET", "/custom_profile_field_definitions", self._list_definitions),
        )

    def _authenticate(self, call: Call) -> None:
        key = (call.headers.get("x-auth-api-key"), call.headers.get("x-auth-subdomain"))
        bearer = call.headers.get("authorization")
        if bearer is not None and key != (None, None):
            raise RefusalError("two kinds of credentials at once", _json(401, {"error": "Unauthorized"}))
        if bearer != f"Bearer {self.api_key}" and key != (self.api_key, self.subdomain):
            raise RefusalError("wrong or missing credentials", _json(401, {"error": "Unauthorized"}))

    # -- enrolments --------------------------------------------------------------------------------

    def _list_enrolments(self, call: Call) -> Answer:
        query = _query(call, _ENROLMENT_FILTERS)
        found = [one for one in self.school.enrolments.values() if self._wanted(one, query)]
        return _page(query, [self._enrolment(one) for one in found])

    def _get_enrolment(self, call: Call, number: str) -> Answer:
        _query(call, frozenset())
        found = self.school.enrolments.get(int(number))
        return _json(200, self._enrolment(found)) if found else _NOT_FOUND

    def _wanted(self, one: Enrolment, query: Mapping[str, str]) -> bool:
        user = self.school.users.get(one.user_id)
        for name, value in query.items():
            if name in ("page", "limit"):
                continue
            word = name[len("query[") : -1]
            facts = {
                "user_id": str(one.user_id),
                "course_id": str(one.course_id),
                "email": user.email.lower() if user else "",
                "free_trial": _flag(one.is_free_trial),
                "full": _flag(not one.is_free_trial),
                "completed": _flag(one.completed_at is not None),
                "expired": _flag(one.expired),
            }
            if word in facts:
                if facts[word] != value.lower():
                    return False
            elif not _in_time(one, word, value):
                return False
        return True

    def _enrolment(self, one: Enrolment) -> dict[str, Any]:
        user = self.school.users.get(one.user_id)
        return {
            "id": one.id,
            "created_at": one.created_at,
            "user_email": user.email if user else None,
            "user_name": user.full_name if user else None,
            "expiry_date": one.expiry_date,
            "user_id": one.user_id,
            "course_name": self.school.courses[one.course_id],
            "course_id": one.course_id,
            "percentage_completed": one.percentage_completed,
            "completed_at": one.completed_at,
            "expired": one.expired,
            "is_free_trial": one.is_free_trial,
            "completed": one.completed_at is not None,
            "started_at": one.started_at,
            "activated_at": one.activated_at,
            "updated_at": one.updated_at,
        }

    # -- users -------------------------------------------------------------------------------------

    def _list_users(self, call: Call) -> Answer:
        query = _query(call, _USER_FILTERS)
        label = query.get("query[custom_profile_field_label]")
        value = query.get("query[custom_profile_field_value]")
        if (label is None) != (value is None):
            raise RefusalError("custom_profile_field_label and _value go together", _invalid(["must be combined"]))
        found = list(self.school.users.values())
        if (address := query.get("query[email]")) is not None:
            found = [one for one in found if one.email.lower() == address.lower()]
        if label is not None:
            numbers = [definition.id for definition in self.school.definitions.values() if definition.label == label]
            found = [one for one in found if any(one.fields.get(number) == value for number in numbers)]
        return _page(query, [self._user(one) for one in found])

    def _get_user(self, call: Call, number: str) -> Answer:
        _query(call, frozenset())
        found = self.school.users.get(int(number))
        return _json(200, self._user(found)) if found else _NOT_FOUND

    def _put_user(self, call: Call, number: str) -> Answer:
        _query(call, frozenset())
        change = _object(call, _WRITABLE)
        user = self.school.users.get(int(number))
        if user is None:
            return _NOT_FOUND
        fields = self._fields(change.get("custom_profile_fields", []))
        kept = {} if self.put_replaces and "custom_profile_fields" in change else user.fields
        merged = {number: value for number, value in (kept | fields).items() if value}
        if self.insists:
            empty = [one.label for one in self.school.definitions.values() if one.required and one.id not in merged]
            if empty:
                return _invalid({label: ["can't be blank"] for label in empty})
        user.fields = merged
        for name in ("first_name", "last_name", "email", "company"):
            if name in change:
                setattr(user, name, change[name])
        return Answer(204)

    def _fields(self, entries: object) -> dict[int, str]:
        if not isinstance(entries, list):
            raise RefusalError("custom_profile_fields must be a list", _invalid(["custom_profile_fields is invalid"]))
        found = {}
        for entry in entries:
            if not isinstance(entry, dict) or not set(entry) <= {"custom_profile_field_definition_id", "value"}:
                raise RefusalError(f"custom profile field {entry!r}", _invalid(["custom_profile_fields is invalid"]))
            number, value = entry.get("custom_profile_field_definition_id"), entry.get("value", "")
            if type(number) is not int or not isinstance(value, str):
                raise RefusalError(f"custom profile field {entry!r}", _invalid(["custom_profile_fields is invalid"]))
            if number not in self.school.definitions:
                raise RefusalError(
                    f"no custom profile field {number}",
                    _invalid(["Custom profile field definition could not be found."]),
                )
            found[number] = value
        return found

    def _user(self, one: Person) -> dict[str, Any]:
        return {
            "id": one.id,
            "created_at": one.created_at,
            "first_name": one.first_name,
            "last_name": one.last_name,
            "full_name": one.full_name,
            "company": one.company,
            "email": one.email,
            "roles": [],
            "avatar_url": None,
            "bio": None,
            "headline": None,
            "affiliate_code": None,
            "external_source": None,
            "affiliate_commission": None,
            "affiliate_commission_type": "%",
            "affiliate_payout_email": None,
            "administered_course_ids": None,
            "custom_profile_fields": [
                {
                    "id": 1000 * one.id + number,
                    "value": value,
                    "label": self.school.definitions[number].label,
                    "custom_profile_field_definition_id": number,
                }
                for number, value in sorted(one.fields.items())
            ],
        }

    # -- definitions and courses -------------------------------------------------------------------

    def _list_definitions(self, call: Call) -> Answer:
        return _page(_query(call, frozenset()), [dict(vars(one)) for one in self.school.definitions.values()])

    def _list_courses(self, call: Call) -> Answer:
        return _page(_query(call, frozenset()), [_course(number, name) for number, name in self.school.courses.items()])

    def _get_course(self, call: Call, number: str) -> Answer:
        _query(call, frozenset())
        name = self.school.courses.get(int(number))
        return _json(200, _course(int(number), name)) if name is not None else _NOT_FOUND


# -- requests and answers ------------------------------------------------------------------------


def _query(call: Call, known: frozenset[str]) -> dict[str, str]:
    """Returns the query. The real API ignores what it does not know, and then filters less than we meant."""
    query = dict(call.query)
    if len(query) != len(call.query):
        raise RefusalError("a parameter is there twice", _json(400, {"error": "Bad request"}))
    if unknown := set(query) - known - {"page", "limit"}:
        raise RefusalError(f"unknown parameters {sorted(unknown)}", _json(400, {"error": "Bad request"}))
    for name, highest in (("page", 1_000_000), ("limit", 250)):
        value = query.get(name, "1")
        if not value.isdigit() or not 1 <= int(value) <= highest:
            raise RefusalError(f"{name}={value}", _json(400, {"error": "Bad request"}))
    return query


def _object(call: Call, known: frozenset[str]) -> dict[str, Any]:
    kind = call.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise RefusalError(f"Content-Type {kind!r}", _json(415, {"error": "Unsupported media type"}))
    try:
        found = json.loads(call.body.decode("utf-8"))
    except ValueError as error:
        raise RefusalError(f"the body is no JSON: {error}", _json(400, {"error": "Bad request"})) from error
    if not isinstance(found, dict) or not found:
        raise RefusalError("the body is no object", _invalid(["is empty"]))
    if unknown := set(found) - known:
        raise RefusalError(f"unknown fields {sorted(unknown)}", _invalid({name: ["is unknown"] for name in unknown}))
    return found


def _page(query: Mapping[str, str], items: list[dict[str, Any]]) -> Answer:
    page, limit = int(query.get("page", "1")), int(query.get("limit", "25"))
    pages = max(1, -(-len(items) // limit))
    first = (page - 1) * limit
    shown = items[first : first + limit]
    pagination = {
        "current_page": page,
        "next_page": page + 1 if page < pages else None,
        "prev_page": page - 1 if page > 1 else None,
        "total_pages": pages,
        "total_items": len(items),
        "entries_info": f"{first + 1 if shown else 0}-{first + len(shown)} of {len(items)}",
    }
    return _json(200, {"items": shown, "meta": {"pagination": pagination}})


def _json(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode("utf-8"), _JSON)


def _invalid(errors: object) -> Answer:
    return _json(422, {"errors": errors})


_NOT_FOUND: Final = _json(404, {"error": "Record not found."})


def _course(number: int, name: str) -> dict[str, Any]:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())
    return {
        "id": number,
        "name": name,
        "slug": slug,
        "subtitle": None,
        "product_id": number + 1000,
        "description": None,
        "course_card_text": None,
        "intro_video_youtube": None,
        "contact_information": None,
        "keywords": None,
        "duration": None,
        "banner_image_url": None,
        "course_card_image_url": None,
        "intro_video_wistia_identifier": None,
        "administrator_user_ids": [],
        "chapter_ids": [number * 10],
        "reviews_enabled": False,
        "user_id": None,
        "instructor_id": 1,
    }


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _in_time(one: Enrolment, word: str, value: str) -> bool:
    """Compares `created_…` and `updated_…` filters; a date alone is its midnight in UTC."""
    what, _, when = word.partition("_")
    try:
        limit = datetime.fromisoformat(value)
    except ValueError:
        raise RefusalError(f"{word}={value} is no date", _json(400, {"error": "Bad request"})) from None
    limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
    at = datetime.fromisoformat(one.created_at if what == "created" else one.updated_at)
    results = {
        "on": at.date() == limit.date(),
        "before": at < limit,
        "on_or_before": at <= limit,
        "after": at > limit,
        "on_or_after": at >= limit,
    }
    return results[when]
