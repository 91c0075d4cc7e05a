"""The plain APIs: a learning platform, attendees behind a pointer, a record store, and endpoints of a test's own."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from vendors.plain_api import PlainApi
from vendors.plain_records import COMPLETED, completed
from vendors_selftest.asking import ask

KEY = {"X-API-Key": "sample-lms-key"}
BEARER = {"Authorization": "Bearer sample-event-token"}
BASIC = {
    "Authorization": "Basic " + b64encode(b"sample-lrs-user:sample-lrs-password").decode(),
    "X-Experience-API-Version": "1.0.3",
}
AT = datetime(2026, 3, 1, 8, 30, 5, tzinfo=UTC)
EVENT = "/v3/events/1234567890/attendees/"


@pytest.fixture
def plain() -> Iterator[PlainApi]:
    with PlainApi() as stand_in:
        yield stand_in


def get(plain: PlainApi, target: str, headers: dict[str, str], **query: str) -> Any:
    answer = ask(plain, "GET", target, headers=headers, query=query)
    assert answer.status == 200
    return answer.body


def test_a_completion_is_found_by_users_updated_since_and_their_progress(plain: PlainApi) -> None:
    plain.complete(2, 68, AT)
    query = {"filter[last_updated][gte]": "2026-03-01T00:00:00"}
    (user,) = get(plain, "/api/v2/users", KEY, **query)["_data"]
    assert (user["id"], user["name"], user["surname"]) == (2, "Maria", "Silva")
    (course,) = get(plain, "/api/v2/users/2/courses", KEY)["_data"]["courses"]
    assert course == {"id": 68, "name": "Safety Basics"}
    plain.lists_progress = True
    (course,) = get(plain, "/api/v2/users/2/courses", KEY)["_data"]["courses"]
    assert (course["name"], course["completion_status"]) == ("Safety Basics", "completed")
    progress = get(plain, "/api/v2/course-progress", KEY, user_id="2", course_id="68")["_data"]
    assert (progress["completed_on"], progress["score"]) == ("2026-03-01T08:30:05+00:00", 93.0)


def test_users_come_in_pages_that_link_to_the_next(plain: PlainApi) -> None:
    target: str | None = "/api/v2/users?page%5Bsize%5D=1"
    names = []
    while target:
        parts = urlsplit(target)
        page = get(plain, parts.path, KEY, **dict(parse_qsl(parts.query)))
        names += [one["name"] for one in page["_data"]]
        target = page["_links"].get("next")
    assert names == ["Dana", "Maria", "Colin"]
    assert page["_meta"]["pagination"] == {"page": 3, "page_size": 1, "total_items": 3, "total_pages": 3}


def test_a_custom_field_of_a_user_is_written_by_a_batch_a_little_later(plain: PlainApi) -> None:
    plain.batch_takes = 1
    change = {"users": [{"id": 1, "custom_field_1": "CERT-1"}]}
    assert ask(plain, "POST", "/api/v2/batch/users", change, headers=KEY).status == 200
    for value in (None, "CERT-1"):
        (field,) = get(plain, "/api/v2/users/1", KEY)["_data"]["custom_fields"]
        assert (field["name"], field["value"]) == ("Certificate ID", value)
    plain.shows_custom_fields = False
    assert "custom_fields" not in get(plain, "/api/v2/users/1", KEY)["_data"]


def test_a_check_in_is_only_a_pointer_to_the_attendee(plain: PlainApi) -> None:
    delivery = plain.check_in("987654322", AT, "https://certificates.acme.example/hooks/events/TOKEN")
    body = delivery.json()
    assert set(body) == {"api_url", "config"}
    assert body["config"]["action"] == "barcode.checked_in"
    attendee = get(plain, urlsplit(body["api_url"]).path, BEARER)
    assert (attendee["checked_in"], attendee["profile"]["name"]) == (True, "Maria Silva")


def test_attendees_continue_until_there_are_no_more(plain: PlainApi) -> None:
    first = get(plain, EVENT, BEARER)
    assert first["pagination"]["has_more_items"] is True
    rest = get(plain, EVENT, BEARER, continuation=first["pagination"]["continuation"])
    assert rest["pagination"]["has_more_items"] is False
    assert [one["order_id"] for one in first["attendees"] + rest["attendees"]] == ["5001", "5002", "5002"]
    plain.check_in("987654321", AT, "https://x.example/")
    changed = get(plain, EVENT, BEARER, changed_since="2026-02-01T00:00:00Z")
    assert [one["id"] for one in changed["attendees"]] == ["987654321"]


def test_statements_are_followed_by_more(plain: PlainApi) -> None:
    for number in range(5):
        plain.state(completed(number, "dana@example.invalid", "Dana", f"https://lms.example/{number}", AT))
    plain.statements_per_page = 2
    answer = get(plain, "/xapi/statements", BASIC, verb=COMPLETED, ascending="true")
    seen = answer["statements"]
    while answer["more"]:
        answer = get(plain, answer["more"], BASIC)
        seen += answer["statements"]
    assert [one["object"]["id"][-1] for one in seen] == ["0", "1", "2", "3", "4"]


def test_statements_are_asked_by_verb_activity_and_when_they_were_stored(plain: PlainApi) -> None:
    for number in range(3):
        plain.state(completed(number, "d@example.invalid", "D", "https://x.example/1", AT + timedelta(hours=number)))
    plain.state(
        completed(9, "d@example.invalid", "D", "https://x.example/2", AT, verb={"id": "http://x.example/passed"})
    )
    found = get(plain, "/xapi/statements", BASIC, verb=COMPLETED, activity="https://x.example/1", limit="2")
    assert [one["id"][-1] for one in found["statements"]] == ["2", "1"]
    assert found["more"]
    found = get(plain, "/xapi/statements", BASIC, since="2026-03-01T08:30:05Z", until="2026-03-01T09:30:05Z")
    assert [one["id"][-1] for one in found["statements"]] == ["1"]


def test_a_test_may_add_endpoints_of_its_own(plain: PlainApi) -> None:
    plain.on("GET", "/reports/done", {"rows": [1, 2]})
    plain.on("POST", "/echo/([a-z]+)", lambda call, word: plain.json(201, {"word": word, "sent": len(call.body)}))
    assert ask(plain, "GET", "/reports/done").body == {"rows": [1, 2]}
    answer = ask(plain, "POST", "/echo/hello", {"a": 1})
    assert (answer.status, answer.body) == (201, {"word": "hello", "sent": 8})


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/api/v2/users", {}, 401),
        ("GET", "/api/v2/users", {"headers": BEARER}, 401),
        ("GET", "/api/v2/users", {"headers": KEY | BEARER}, 401),
        ("GET", "/api/v2/users", {"headers": KEY, "query": {"page[size]": "101"}}, 400),
        ("GET", "/api/v2/users", {"headers": KEY, "query": {"filter[last_updated][gte]": "soon"}}, 400),
        ("GET", "/api/v2/course-progress", {"headers": KEY, "query": {"user_id": "1"}}, 400),
        ("PATCH", "/api/v2/users/1", {"headers": KEY, "body": {"certificate": "x"}}, 422),
        ("PATCH", "/api/v2/users/1", {"headers": KEY, "body": {"name": "Dana"}}, 422),
        ("PATCH", "/api/v2/users/1", {"headers": KEY, "body": {"status": "active", "custom_fields": {}}}, 422),
        ("POST", "/api/v2/batch/users", {"headers": KEY, "body": {"users": [{"id": "1"}]}}, 422),
        ("POST", "/api/v2/batch/users", {"headers": KEY, "body": {"users": [{"id": 1, "custom_field_9": "x"}]}}, 422),
        ("POST", "/api/v2/batch/users", {"headers": KEY, "body": {"users": [{"id": 1, "custom_field_1": None}]}}, 422),
        ("GET", EVENT, {"headers": KEY}, 401),
        ("GET", "/xapi/statements", {"headers": {"Authorization": BASIC["Authorization"]}}, 400),
        ("GET", "/xapi/statements", {"headers": BASIC, "query": {"stored_since": "2026-03-01"}}, 400),
        ("DELETE", "/api/v2/users/1", {"headers": KEY}, 404),
    ],
)
def test_remembers_what_it_refused_and_why(
    plain: PlainApi, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    assert ask(plain, method, path, **options).status == status
    (refused,) = plain.refused
    assert refused.reason
    assert plain.calls == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v2/users/9", KEY),
        ("/api/v2/course-progress?user_id=1&course_id=68", KEY),
        (EVENT + "9/", BEARER),
        ("/v3/events/9/attendees/987654321/", BEARER),
        ("/xapi/more/page9", BASIC),
    ],
)
def test_what_is_not_there_is_a_404(plain: PlainApi, path: str, headers: dict[str, str]) -> None:
    assert ask(plain, "GET", path, headers=headers).status == 404
    assert plain.refused == []
