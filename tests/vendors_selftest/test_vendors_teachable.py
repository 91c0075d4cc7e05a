"""The Teachable stand-in against its published contract and the shapes that client authors saw live."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from vendors.teachable import TeachableStandIn
from vendors.teachable_school import Student
from vendors_selftest.asking import Answered, ask
from vendors_selftest.captures import differences

KEY = {"apiKey": "sample-teachable-key"}
DANA, COURSE = 15747624, 302950
AT = datetime(2026, 3, 1, 8, 30, 5, tzinfo=UTC)
HOOK = "https://certificates.acme.example/hooks/school/SAMPLE-TOKEN"

# Keys and types as client authors noted them from live answers; the values are ours.
USER = {
    "id": 1, "email": "e", "name": "n", "src": None, "role": "student", "last_sign_in_at": "t", "last_sign_in_ip": None,
    "sign_in_count": 4, "tags": [{"name": "vip"}],
    "courses": [
        {
            "course_id": 1, "course_name": "n", "enrolled_at": "t", "percent_complete": 100, "completed_at": "t",
            "is_active_enrollment": True,
        },
    ],
}  # fmt: skip
META = {"total": 2, "page": 1, "from": 1, "to": 2, "per_page": 0, "number_of_pages": 1}
ENROLMENT = {"user_id": 1, "enrolled_at": "t", "expires_at": None, "completed_at": "t", "percent_complete": 100}
LECTURE = {"id": 11, "name": "Lesson 1", "is_completed": True, "completed_at": "t"}
PROGRESS = {
    "course_progress": {
        "id": 1, "certificate": {"page_id": 1, "issued_at": "t", "serial_number": "cert_abc"}, "completed_at": "t",
        "enrolled_at": "t", "percent_complete": 100,
        "lecture_sections": [{"id": 1, "name": "Module 1", "lectures": [LECTURE]}],
    },
    "meta": {"total": 0},
}  # fmt: skip
DELIVERY = {
    "id": 1, "workflow_state": "failed", "webhook_id": 77, "attempt_count": 5, "last_attempted_at": "t",
    "created_at": "t", "object_type": "Enrollment", "object_id": 1, "response_http_status": 503,
}  # fmt: skip
EVENT = {
    "type": "Sale.created", "id": 1, "livemode": True, "created": "2018-11-12T20:05:54+00:00", "hook_event_id": 1,
}  # fmt: skip


@pytest.fixture
def now() -> list[float]:
    return [1772354000.0]


@pytest.fixture
def teachable(now: list[float]) -> Iterator[TeachableStandIn]:
    with TeachableStandIn(clock=lambda: now[0]) as stand_in:
        yield stand_in


def send(teachable: TeachableStandIn, method: str, path: str, body: object = None, **options: Any) -> Answered:
    return ask(teachable, method, "/v1" + path, body, **{"headers": KEY} | options)


def test_a_user_is_not_wrapped(teachable: TeachableStandIn) -> None:
    published = {name: value for name, value in USER.items() if name != "src"}
    answer = send(teachable, "GET", f"/users/{DANA}")
    assert answer.status == 200
    assert differences(published, answer.body) == []
    teachable.shows_src = True
    assert differences(USER, send(teachable, "GET", f"/users/{DANA}").body) == []
    assert send(teachable, "GET", "/users/15747626").body["name"] is None


def test_finds_users_by_address_and_after_a_number(teachable: TeachableStandIn) -> None:
    found = send(teachable, "GET", "/users", query={"email": "DANA@example.invalid"}).body
    assert found["users"] == [{"id": DANA, "email": "dana@example.invalid", "name": "Dana Okafor"}]
    found = send(teachable, "GET", "/users", query={"search_after": str(DANA)}).body
    assert [one["id"] for one in found["users"]] == [15747625, 15747626]


def test_a_course_is_wrapped_and_a_list_of_them_is_not(teachable: TeachableStandIn) -> None:
    assert send(teachable, "GET", f"/courses/{COURSE}").body["course"]["name"] == "Safety Basics"
    listed = send(teachable, "GET", "/courses").body
    assert [one["name"] for one in listed["courses"]] == ["Safety Basics", "Forklift Operator"]


def test_lists_active_enrolments_by_the_day_they_began(teachable: TeachableStandIn) -> None:
    answer = send(teachable, "GET", f"/courses/{COURSE}/enrollments").body
    assert differences({"enrollments": [ENROLMENT], "meta": META}, answer) == []
    assert answer["meta"]["per_page"] == 0
    assert [one["user_id"] for one in answer["enrollments"]] == [15747624, 15747625, 15747626]
    teachable.school.unenrol(DANA, COURSE)
    query = {"sort_direction": "desc", "enrolled_in_after": "2026-01-01", "enrolled_in_before": "2026-01-07"}
    answer = send(teachable, "GET", f"/courses/{COURSE}/enrollments", query=query).body
    assert [one["user_id"] for one in answer["enrollments"]] == [15747625]


def test_a_page_is_never_longer_than_the_vendor_likes(teachable: TeachableStandIn) -> None:
    for number in range(50):
        teachable.school.add(Student(number + 1, "x", f"{number}@example.invalid"))
        teachable.school.enrol(number + 1, COURSE, AT + timedelta(minutes=number))
    teachable.totals_are_zero = True
    ignored = send(teachable, "GET", f"/courses/{COURSE}/enrollments", query={"page": "2", "per": "100"}).body
    assert [one["user_id"] for one in ignored["enrollments"]][:3] == [15747624, 15747625, 15747626]
    teachable.pages_enrolments = True
    seen: list[int] = []
    for page in range(1, 5):
        query = {"page": str(page), "per": "100"}
        answer = send(teachable, "GET", f"/courses/{COURSE}/enrollments", query=query).body
        seen += [one["user_id"] for one in answer["enrollments"]]
        assert (answer["meta"]["total"], answer["meta"]["per_page"]) == (0, 0)
    assert len(seen) == len(set(seen)) == 53


def test_progress_needs_the_user_and_knows_the_native_certificate(teachable: TeachableStandIn) -> None:
    answer = send(teachable, "GET", f"/courses/{COURSE}/progress", query={"user_id": str(DANA)})
    assert differences(PROGRESS, answer.body) == []
    fresh = send(teachable, "GET", f"/courses/{COURSE}/progress", query={"user_id": "15747626"}).body
    assert fresh["course_progress"]["lecture_sections"] == []
    assert set(fresh["course_progress"]["certificate"].values()) == {None}
    assert send(teachable, "GET", f"/courses/{COURSE}/progress").status == 400


def test_whoever_left_the_course_has_no_progress_but_is_still_known(teachable: TeachableStandIn) -> None:
    teachable.school.unenrol(DANA, COURSE)
    query = {"user_id": str(DANA)}
    assert send(teachable, "GET", f"/courses/{COURSE}/progress", query=query).status == 404
    assert send(teachable, "GET", f"/users/{DANA}").body["courses"][0]["is_active_enrollment"] is False
    teachable.forgets_unenrolled = False
    assert send(teachable, "GET", f"/courses/{COURSE}/progress", query=query).status == 200


def test_writes_the_source_of_a_user_and_nothing_else(teachable: TeachableStandIn) -> None:
    teachable.shows_src = True
    answer = send(teachable, "PATCH", f"/users/{DANA}", {"src": "cert:CERT-1"})
    assert (answer.status, answer.body["src"], answer.body["name"]) == (200, "cert:CERT-1", "Dana Okafor")
    assert teachable.school.users[DANA].src == "cert:CERT-1"
    for body in ({"tags": ["x"]}, {"src": None}, {"src": 5}):
        assert send(teachable, "PATCH", f"/users/{DANA}", body).status == 422


def test_a_completion_is_sent_as_object_or_as_array_and_never_signed(teachable: TeachableStandIn) -> None:
    teachable.school.add_webhook(HOOK)
    teachable.school.add_webhook(HOOK, "All events", as_array=True)
    teachable.school.add_webhook(HOOK, "Sale.created")
    single, batch = teachable.school.complete(15747625, COURSE, AT)
    assert single.headers == batch.headers == {"Content-Type": "application/json"}
    assert batch.json() == [single.json()]
    event = single.json()
    assert differences(EVENT, {key: event[key] for key in EVENT}) == []
    assert (event["created"], event["object"]["completed_at"]) == ("2026-03-01T08:30:05+00:00", "2026-03-01T08:30:05Z")
    assert event["object"]["user"]["name"] == "MARIA"
    teachable.school.bare_events = True
    told = teachable.school.complete(15747625, COURSE, AT)[0].json()["object"]
    assert not {"enrolled_at", "completed_at", "percent_complete"} & set(told)


def test_a_course_can_be_completed_again_after_new_content(teachable: TeachableStandIn) -> None:
    teachable.school.add_webhook(HOOK)
    teachable.school.reopen(DANA, COURSE)
    progress = send(teachable, "GET", f"/courses/{COURSE}/progress", query={"user_id": str(DANA)}).body
    assert progress["course_progress"]["completed_at"] is None
    assert len(teachable.school.complete(DANA, COURSE, AT)) == 1


def test_lost_deliveries_stand_in_the_history_of_the_webhook(teachable: TeachableStandIn) -> None:
    webhook = teachable.school.add_webhook(HOOK)
    assert send(teachable, "GET", "/webhooks").body["webhooks"][0]["workflow_state"] == "pending"
    teachable.school.complete(15747625, COURSE, AT)
    teachable.school.complete(15747626, COURSE, AT + timedelta(days=1), answered=503)
    (shown,) = send(teachable, "GET", "/webhooks").body["webhooks"]
    assert shown == {"id": webhook.id, "workflow_state": "failed", "url": HOOK,
                     "event_trigger": "Enrollment.completed", "webhook_events_count": 2}  # fmt: skip
    query = {"response_http_status_gte": "300", "created_after": "2026-03-01T09:00:00Z"}
    answer = send(teachable, "GET", f"/webhooks/{webhook.id}/events", query=query).body
    assert differences({"events": [DELIVERY], "meta": META}, answer) == []
    assert [one["response_http_status"] for one in answer["events"]] == [503]
    query = {"response_http_status_lte": "299", "created_before": "2026-03-02"}
    answer = send(teachable, "GET", f"/webhooks/{webhook.id}/events", query=query).body
    assert [one["response_http_status"] for one in answer["events"]] == [200]


def test_counts_a_hundred_requests_a_minute(teachable: TeachableStandIn, now: list[float]) -> None:
    teachable.per_minute = 3
    answers = [send(teachable, "GET", "/webhooks") for _ in range(4)]
    assert [one.headers["ratelimit-remaining"] for one in answers] == ["2", "1", "0", "0"]
    now[0] += 20
    last = send(teachable, "GET", "/webhooks")
    assert (last.status, last.headers["ratelimit-reset"]) == (429, "40")
    assert last.body == {"message": "API rate limit exceeded"}
    now[0] += 40
    assert send(teachable, "GET", "/webhooks").status == 200


def test_the_months_quota_ends_for_hours(teachable: TeachableStandIn) -> None:
    teachable.quota = 1
    assert [send(teachable, "GET", "/webhooks").status for _ in range(2)] == [200, 429]
    assert send(teachable, "GET", "/webhooks").headers["ratelimit-reset"] == str(6 * 3600)


@pytest.mark.parametrize("path", ["/users/9", "/courses/9", "/courses/9/enrollments", "/webhooks/9/events"])
def test_what_is_not_there_is_a_404_with_a_message(teachable: TeachableStandIn, path: str) -> None:
    answer = send(teachable, "GET", path)
    assert (answer.status, answer.body) == (404, {"message": "Not found"})
    assert teachable.refused == []


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/users", {"headers": {}}, 401),
        ("GET", "/users", {"headers": {"Authorization": "Bearer sample-teachable-key"}}, 401),
        ("GET", "/users", {"query": {"completed": "true"}}, 400),
        ("GET", "/users", {"query": {"page": "501", "per": "20"}}, 400),
        ("GET", f"/courses/{COURSE}/enrollments", {"query": {"completed_after": "2026-01-01"}}, 400),
        ("GET", f"/courses/{COURSE}/enrollments", {"query": {"sort_direction": "newest"}}, 400),
        ("GET", f"/courses/{COURSE}/enrollments", {"query": {"enrolled_in_after": "yesterday"}}, 400),
        ("GET", f"/courses/{COURSE}/enrollments/900000001", {}, 404),
        ("POST", "/webhooks", {"body": {"url": HOOK}}, 404),
        ("PUT", f"/users/{DANA}", {"body": {"src": "x"}}, 404),
        ("PATCH", f"/users/{DANA}", {"body": {"src": "x"}, "kind": "text/plain"}, 415),
        ("PATCH", f"/users/{DANA}", {"body": b"not json"}, 400),
    ],
)
def test_remembers_what_it_refused_and_why(
    teachable: TeachableStandIn, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = send(teachable, method, path, **options)
    assert answer.status == status
    assert "message" in answer.body
    (refused,) = teachable.refused
    assert refused.reason
    assert teachable.calls == []
