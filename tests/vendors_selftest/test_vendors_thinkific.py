"""The Thinkific stand-in against the vendor's documented shapes, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from vendors_selftest.asking import ask
from vendors_selftest.captures import differences

from bridge.demo.vendors.thinkific import ThinkificStandIn

KEY = {"X-Auth-API-Key": "sample-thinkific-key", "X-Auth-Subdomain": "acme"}

# Keys and types of one enrolment as a live site gave it (values are ours): percentage is text, times may be null.
REAL_ENROLMENT = {
    "id": 1, "created_at": "t", "user_email": "e", "user_name": "n", "expiry_date": "t", "user_id": 1,
    "course_name": "c", "course_id": 1, "percentage_completed": "0.0", "completed_at": None, "expired": False,
    "is_free_trial": False, "completed": False, "started_at": None, "activated_at": "t", "updated_at": "t",
}  # fmt: skip
PAGINATION = {
    "current_page": 1, "next_page": None, "prev_page": None, "total_pages": 1, "total_items": 1,
    "entries_info": "1-1 of 1",
}  # fmt: skip


@pytest.fixture
def thinkific() -> Iterator[ThinkificStandIn]:
    with ThinkificStandIn() as stand_in:
        yield stand_in


def send(
    thinkific: ThinkificStandIn,
    method: str,
    path: str,
    body: object = None,
    *,
    headers: dict[str, str] | None = None,
    **query: str,
) -> tuple[int, Any]:
    sent = KEY if headers is None else headers
    answered = ask(thinkific, method, "/api/public/v1" + path, body, headers=sent, query=query)
    return answered.status, answered.body


def test_lists_enrolments_in_the_real_shape(thinkific: ThinkificStandIn) -> None:
    status, page = send(thinkific, "GET", "/enrollments", **{"query[user_id]": "193952525"})
    assert status == 200
    assert differences({"items": [REAL_ENROLMENT], "meta": {"pagination": PAGINATION}}, page) == []
    assert page["meta"]["pagination"] == PAGINATION
    assert page["items"][0]["user_name"] == "Colin"


def test_filters_completed_and_updated(thinkific: ThinkificStandIn) -> None:
    query = {"query[completed]": "true", "query[updated_after]": "2026-02-14T00:00:00Z"}
    _, page = send(thinkific, "GET", "/enrollments", **query)
    assert [one["id"] for one in page["items"]] == [97472]
    _, page = send(thinkific, "GET", "/enrollments", **query | {"query[updated_after]": "2026-02-15"})
    assert page["items"] == []
    assert page["meta"]["pagination"]["entries_info"] == "0-0 of 0"


def test_time_filters_may_look_at_the_day_only(thinkific: ThinkificStandIn) -> None:
    query = {"query[updated_after]": "2026-02-14T00:00:00Z"}
    thinkific.filters_by_day = True
    _, page = send(thinkific, "GET", "/enrollments", **query)
    assert page["items"] == []
    _, page = send(thinkific, "GET", "/enrollments", **query | {"query[updated_after]": "2026-02-13"})
    assert [one["id"] for one in page["items"]] == [97472]


def test_pages_until_there_is_no_next(thinkific: ThinkificStandIn) -> None:
    numbers, page = [], 1
    while page:
        _, answer = send(thinkific, "GET", "/enrollments", page=str(page), limit="2")
        numbers += [one["id"] for one in answer["items"]]
        page = answer["meta"]["pagination"]["next_page"]
    assert numbers == [97472, 97473, 479110111]


def test_an_enrolment_can_be_completed(thinkific: ThinkificStandIn) -> None:
    thinkific.school.complete(97473, datetime(2026, 3, 1, 8, 30, 0, 250000, tzinfo=UTC))
    status, found = send(thinkific, "GET", "/enrollments/97473")
    assert (status, found["completed"], found["completed_at"]) == (200, True, "2026-03-01T08:30:00.250Z")
    event = thinkific.school.completed_event(97473, event_id="20260301033000000000001")
    assert event["payload"]["user"] == {
        "email": "maria.silva@example.com",
        "first_name": "Maria",
        "id": 123457,
        "last_name": "Silva",
    }


def test_writes_a_profile_field_and_finds_by_it(thinkific: ThinkificStandIn) -> None:
    change = {"custom_profile_fields": [{"custom_profile_field_definition_id": 1, "value": "CERT-1"}]}
    assert send(thinkific, "PUT", "/users/123456", change) == (204, None)
    _, user = send(thinkific, "GET", "/users/123456")
    (entry,) = user["custom_profile_fields"]
    assert differences({"id": 1, "value": "v", "label": "l", "custom_profile_field_definition_id": 1}, entry) == []
    assert (entry["label"], entry["value"]) == ("Certificate ID", "CERT-1")
    query = {"query[custom_profile_field_label]": "Certificate ID", "query[custom_profile_field_value]": "CERT-1"}
    _, page = send(thinkific, "GET", "/users", **query)
    assert [one["id"] for one in page["items"]] == [123456]


@pytest.mark.parametrize(("replaces", "left"), [(False, {1: "CERT-1", 2: "555"}), (True, {1: "CERT-1"})])
def test_may_keep_or_drop_the_fields_a_put_does_not_name(
    thinkific: ThinkificStandIn, replaces: bool, left: dict[int, str]
) -> None:
    thinkific.put_replaces = replaces
    thinkific.school.users[123456].fields = {2: "555"}
    change = {"custom_profile_fields": [{"custom_profile_field_definition_id": 1, "value": "CERT-1"}]}
    send(thinkific, "PUT", "/users/123456", change)
    assert thinkific.school.users[123456].fields == left


def test_may_insist_on_required_fields(thinkific: ThinkificStandIn) -> None:
    thinkific.insists = True
    thinkific.school.definitions[2].required = True
    change = {"custom_profile_fields": [{"custom_profile_field_definition_id": 1, "value": "CERT-1"}]}
    assert send(thinkific, "PUT", "/users/123456", change) == (422, {"errors": {"Phone": ["can't be blank"]}})


def test_lists_definitions_and_courses(thinkific: ThinkificStandIn) -> None:
    _, page = send(thinkific, "GET", "/custom_profile_field_definitions")
    assert page["items"][0] == {"id": 1, "label": "Certificate ID", "field_type": "text", "required": False}
    _, course = send(thinkific, "GET", "/courses/68")
    assert course["name"] == "Safety Basics"


@pytest.mark.parametrize("path", ["/users/9", "/enrollments/9", "/courses/9"])
def test_what_is_not_there_is_a_404_in_the_vendors_words(thinkific: ThinkificStandIn, path: str) -> None:
    assert send(thinkific, "GET", path) == (404, {"error": "Record not found."})
    assert thinkific.refused == []


def test_accepts_a_bearer_token_too(thinkific: ThinkificStandIn) -> None:
    assert send(thinkific, "GET", "/users", headers={"Authorization": "Bearer sample-thinkific-key"})[0] == 200


def test_a_plan_without_api_is_a_403(thinkific: ThinkificStandIn) -> None:
    thinkific.plan_has_api = False
    status, body = send(thinkific, "GET", "/users")
    assert status == 403
    assert "not available on your plan" in body["error"]


FIELD = {"custom_profile_field_definition_id": 1, "value": "x"}


@pytest.mark.parametrize(
    ("method", "path", "body", "options", "status"),
    [
        ("GET", "/users", None, {"headers": {}}, 401),
        ("GET", "/users", None, {"headers": {"X-Auth-API-Key": "sample-thinkific-key"}}, 401),
        ("GET", "/users", None, {"headers": {**KEY, "Authorization": "Bearer sample-thinkific-key"}}, 401),
        ("GET", "/nowhere", None, {}, 404),
        ("POST", "/users/123456", {}, {}, 404),
        ("GET", "/enrollments", None, {"query[completed_on_or_after]": "2026-01-01"}, 400),
        ("GET", "/enrollments", None, {"query[updated_on_or_after]": "2026-01-01"}, 400),
        ("GET", "/enrollments", None, {"query[updated_after]": "yesterday"}, 400),
        ("GET", "/enrollments", None, {"limit": "251"}, 400),
        ("GET", "/enrollments", None, {"page": "0"}, 400),
        ("GET", "/users", None, {"query[custom_profile_field_label]": "x"}, 422),
        ("PUT", "/users/123456", b"not json", {}, 400),
        (
            "PUT",
            "/users/123456",
            {"custom_profile_fields": [FIELD]},
            {"headers": {**KEY, "Content-Type": "text/plain"}},
            415,
        ),
        ("PUT", "/users/123456", {"certificate": "x"}, {}, 422),
        ("PUT", "/users/123456", {"custom_profile_fields": {"1": "x"}}, {}, 422),
        ("PUT", "/users/123456", {"custom_profile_fields": [{**FIELD, "label": "x"}]}, {}, 422),
        ("PUT", "/users/123456", {"custom_profile_fields": [{"value": "x"}]}, {}, 422),
        ("PUT", "/users/123456", {"custom_profile_fields": [{**FIELD, "value": 5}]}, {}, 422),
        (
            "PUT",
            "/users/123456",
            {"custom_profile_fields": [{**FIELD, "custom_profile_field_definition_id": 9}]},
            {},
            422,
        ),
    ],
)
def test_remembers_what_it_refused_and_why(
    thinkific: ThinkificStandIn, method: str, path: str, body: object, options: dict[str, Any], status: int
) -> None:
    assert send(thinkific, method, path, body, **options)[0] == status
    (refused,) = thinkific.refused
    assert refused.reason
    assert thinkific.calls == []
    assert thinkific.school.users[123456].fields == {}
