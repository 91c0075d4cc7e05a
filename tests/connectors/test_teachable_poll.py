"""Sweeping Teachable for completions whose webhook got lost, within the calls that a school may make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract import NOW
from routed_api import Route, RoutedApi
from scripted_api import Answer, Asked
from test_teachable_confirm import USER, user
from test_teachable_connector import COURSE, LEARNER, TOKEN, outcome, parsed, teachable

from bridge.core.answers import moment, stamp
from bridge.core.connector import Page
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import JsonObject, SourceEvent
from connectors.teachable import Teachable

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
COURSES: dict[str, Any] = {
    "courses": [{"id": 302950, "name": "Safety Basics"}, {"id": 302951, "name": "Fire Safety"}],
    "meta": {"total": 0, "per_page": 0, "number_of_pages": 1},
}
ROW = {
    "user_id": 15747624,
    "enrolled_at": "2026-01-05T10:00:00Z",
    "expires_at": None,
    "completed_at": "2026-02-14T14:30:10Z",
    "percent_complete": 100,
}
FIRST, SECOND = "GET /courses/302950/enrollments", "GET /courses/302951/enrollments"
WEBHOOK = {"id": 77, "url": f"https://certificates.example/hooks/school/{TOKEN}", "workflow_state": "verified"}
LOST = {"events": [{"id": 1, "webhook_id": 77, "created_at": "2026-11-23T09:00:00Z", "response_http_status": 503}]}


def rows(*found: Any, **meta: Any) -> dict[str, Any]:
    return {"enrollments": list(found), "meta": {"total": 0, "per_page": 0, "number_of_pages": 1, **meta}}


def row(learner: int, **changes: Any) -> dict[str, Any]:
    return {**ROW, "user_id": learner, **changes}


def poll(
    cursor: JsonObject, routes: dict[str, Route], now: datetime = NOW, since: datetime = SINCE, **settings: Any
) -> tuple[list[Page], RoutedApi]:
    connector = teachable(**settings)
    api = RoutedApi(connector, {"GET /courses": COURSES, FIRST: rows(ROW), SECOND: rows(), **routes})
    return list(connector.poll(api, cursor, since, now)), api


def events_of(pages: list[Page]) -> list[SourceEvent]:
    return [event for page in pages for event in page.events]


def ids(pages: list[Page]) -> list[tuple[str | None, str | None]]:
    return [(event.subject, event.course) for event in events_of(pages)]


def test_finds_whoever_completed_and_nobody_else() -> None:
    pages, api = poll({}, {FIRST: rows(ROW, row(2, completed_at=None, percent_complete=55))})
    assert ids(pages) == [(LEARNER, COURSE)]
    assert api.paths() == ["GET /courses", FIRST, SECOND]
    assert api.asked[1].query == {"sort_direction": "asc"}


def test_a_swept_completion_is_the_same_as_one_that_came_by_webhook() -> None:
    pages, _ = poll({}, {})
    (swept,) = events_of(pages)
    api = RoutedApi(teachable(), {USER: user()})
    swept = teachable().enrich(swept, api)
    assert len(api.asked) == 1  # Teachable itself listed it: its progress is not asked for again
    sent = teachable().enrich(
        parsed(),
        RoutedApi(
            teachable(),
            {USER: user(), f"GET /courses/{COURSE}/progress": {"course_progress": ROW}},
        ),
    )
    assert swept.event_id == sent.event_id
    assert swept.data == sent.data
    assert outcome(swept) == outcome(sent)


def test_what_was_completed_before_the_start_line_is_left_out() -> None:
    pages, _ = poll({}, {FIRST: rows(ROW, row(2, completed_at="2025-12-31T23:59:59Z"))})
    assert ids(pages) == [(LEARNER, COURSE)]


def began(learner: int, apart: float = 60) -> str:
    """Returns when a learner was enrolled: the first one on 5 January at ten, the others after."""
    return stamp(datetime(2026, 1, 5, 10, tzinfo=UTC) + timedelta(seconds=apart * (learner - 1)))


def school_of(learners: int, *, part: int = 20, apart: float = 60, inclusive: bool = False, **meta: Any) -> Route:
    """Answers as Teachable describes it: the oldest enrolments after `enrolled_in_after`; other words are ignored."""
    everybody = [row(number, enrolled_at=began(number, apart)) for number in range(1, learners + 1)]

    def answer(asked: Asked) -> dict[str, Any]:
        limit = moment(asked.query.get("enrolled_in_after"))
        later = [one for one in everybody if limit is None or _after(one, limit, inclusive=inclusive)]
        counts = {"total": len(later), "number_of_pages": max(1, -(-len(later) // part))}
        return rows(*later[:part], **{**counts, **meta})

    return answer


def _after(one: dict[str, Any], limit: datetime, *, inclusive: bool) -> bool:
    time = moment(one["enrolled_at"])
    assert time is not None
    return time >= limit if inclusive else time > limit


@pytest.mark.parametrize("counts", [{}, {"total": 0, "number_of_pages": 0}])
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize(("apart", "part"), [(60, 20), (1, 20), (0.25, 20), (60, 7), (0.1, 20)])
def test_case_contracts_3_every_enrolment_is_looked_at_whatever_after_means(
    apart: float, part: int, inclusive: bool, counts: dict[str, int]
) -> None:
    pages, api = poll({}, {FIRST: school_of(60, part=part, apart=apart, inclusive=inclusive, **counts)})
    assert {event.subject for event in events_of(pages)} == {str(number) for number in range(1, 61)}
    assert "swept" in pages[-1].cursor
    assert all(not {"page", "per"} & set(asked.query) for asked in api.asked if asked.path.endswith("/enrollments"))


@pytest.mark.parametrize("counts", [{}, {"total": 0, "number_of_pages": 0}])
def test_case_contracts_3_a_list_that_does_not_heed_what_is_described_is_an_error_and_never_an_end(
    counts: dict[str, int],
) -> None:
    full = [row(number, enrolled_at=began(number)) for number in range(1, 21)]
    several = {"total": 60, "number_of_pages": 3, **counts}
    lists = {
        "begins anew": rows(*full, **several),
        "not in the order": rows(*full[::-1], **several),
        "does not say when": rows(*[{**one, "enrolled_at": None} for one in full], **several),
        "within one second": rows(*[row(number) for number in range(1, 21)], **several),
    }
    for reason, answer in lists.items():
        swept: list[Page] = []
        connector = teachable()
        api = RoutedApi(connector, {"GET /courses": COURSES, FIRST: answer, SECOND: rows(row(7))})
        with pytest.raises(TemporaryError, match=reason) as caught:
            swept.extend(connector.poll(api, {}, SINCE, NOW))
        assert caught.value.stable_code == "list"
        assert "302950" in str(caught.value)


def test_case_contracts_3_the_courses_after_a_list_that_does_not_go_on_are_swept_and_it_is_asked_for_again() -> None:
    stuck = rows(*[row(number) for number in range(1, 21)], number_of_pages=3)
    connector = teachable()
    api = RoutedApi(connector, {"GET /courses": COURSES, FIRST: stuck, SECOND: rows(row(7))})
    pages: list[Page] = []
    with pytest.raises(TemporaryError):
        pages.extend(connector.poll(api, {}, SINCE, NOW))
    assert ("7", "302951") in ids(pages)
    assert "swept" not in pages[-1].cursor
    later, api = poll(pages[-1].cursor, {FIRST: school_of(60)}, NOW + timedelta(hours=6))
    assert len({event.subject for event in events_of(later)}) == 61 - 1
    assert "swept" in later[-1].cursor


def test_more_learners_of_one_second_than_a_part_holds_are_found_where_teachable_counts_pages() -> None:
    crowd = [row(number) for number in range(1, 46)]

    def answer(asked: Asked) -> dict[str, Any]:
        late = [row(99, enrolled_at="2026-01-05T10:00:01Z")]
        limit = moment(asked.query.get("enrolled_in_after"))
        later = [one for one in [*crowd, *late] if limit is None or _after(one, limit, inclusive=False)]
        page = int(asked.query.get("page", "1"))
        return rows(*later[(page - 1) * 15 + (page - 1) * 5 :][:20], number_of_pages=0)

    pages, _ = poll({}, {FIRST: answer})
    assert {event.subject for event in events_of(pages)} == {*map(str, range(1, 46)), "99"}


@pytest.mark.parametrize("name", ["enrollments", "courses"])
def test_an_answer_that_shows_no_list_is_not_an_empty_one(name: str) -> None:
    with pytest.raises(TemporaryError, match=f"shows no list '{name}'"):
        poll({}, {FIRST: {"meta": {}}} if name == "enrollments" else {"GET /courses": {"meta": {}}})


def test_a_list_of_courses_that_repeats_itself_is_an_error() -> None:
    with pytest.raises(TemporaryError, match="page 2 is the one before again"):
        poll({}, {"GET /courses": {**COURSES, "meta": {"number_of_pages": 9}}})


@pytest.mark.parametrize("meta", [None, [], "x", {"number_of_pages": "1"}, {"number_of_pages": -1}])
def test_case_15_lists_end_without_any_counts(meta: Any) -> None:
    answers = [{"enrollments": [ROW], "meta": meta}, {"enrollments": [], "meta": meta}]
    pages, _ = poll({}, {FIRST: [*answers]})
    assert ids(pages) == [(LEARNER, COURSE)]


@pytest.mark.parametrize(
    "odd", [None, 3, {}, {"user_id": None}, {**ROW, "user_id": "../1"}, {**ROW, "completed_at": 5}]
)
def test_odd_rows_do_no_harm(odd: Any) -> None:
    pages, _ = poll({}, {FIRST: rows(odd, ROW)})
    assert ids(pages) == [(LEARNER, COURSE)]


def test_a_course_that_was_deleted_meanwhile_ends_with_itself() -> None:
    pages, _ = poll({}, {FIRST: Answer({"message": "Not found"}, 404), SECOND: rows(ROW)})
    assert ids(pages) == [(LEARNER, "302951")]


def test_a_sweep_begins_once_a_day() -> None:
    pages, _ = poll({}, {})
    cursor = dict(pages[-1].cursor)
    quiet: dict[str, Route] = {"GET /webhooks": {"webhooks": []}}
    _, api = poll(cursor, quiet, NOW + timedelta(hours=6))
    assert api.paths() == ["GET /webhooks"]
    pages, api = poll(cursor, quiet, NOW + timedelta(hours=24, seconds=-30))
    assert FIRST in api.paths()
    assert ids(pages) == [(LEARNER, COURSE)]  # again; the flow knows it already


def test_deliveries_that_failed_bring_the_next_sweep_forward() -> None:
    cursor = dict(poll({}, {})[0][-1].cursor)
    routes: dict[str, Route] = {"GET /webhooks": {"webhooks": [WEBHOOK]}, "GET /webhooks/77/events": LOST}
    pages, api = poll(cursor, routes, NOW + timedelta(hours=6))
    assert ids(pages) == [(LEARNER, COURSE)]
    asked = next(one for one in api.asked if one.path == "/webhooks/77/events")
    assert asked.query["response_http_status_gte"] == "300"
    assert asked.query["created_after"] == "2026-11-23T12:00:00Z"


def test_failed_deliveries_are_looked_for_between_two_sweeps_without_any_setting() -> None:
    cursor = dict(poll({}, {})[0][-1].cursor)
    routes: dict[str, Route] = {"GET /webhooks": {"webhooks": [WEBHOOK]}, "GET /webhooks/77/events": {"events": []}}
    _, api = poll(cursor, routes, NOW + Teachable.poll_every)
    assert api.paths() == ["GET /webhooks", "GET /webhooks/77/events"]


def test_each_failed_delivery_brings_one_sweep_only() -> None:
    cursor = dict(poll({}, {})[0][-1].cursor)
    routes: dict[str, Route] = {"GET /webhooks": {"webhooks": [WEBHOOK]}, "GET /webhooks/77/events": {"events": []}}
    cursor = dict(poll(cursor, routes, NOW + timedelta(hours=6))[0][-1].cursor)
    _, api = poll(cursor, routes, NOW + timedelta(hours=7))
    assert api.asked[-1].query["created_after"] == "2026-11-23T18:00:00Z"


@pytest.mark.parametrize("webhooks", [[], [{**WEBHOOK, "url": "https://elsewhere.example/x"}], [{"id": None}]])
def test_webhooks_that_are_not_ours_bring_no_sweep(webhooks: Any) -> None:
    cursor = dict(poll({}, {})[0][-1].cursor)
    _, api = poll(cursor, {"GET /webhooks": {"webhooks": webhooks}}, NOW + timedelta(hours=6))
    assert api.paths() == ["GET /webhooks"]


def test_a_key_that_may_not_read_webhooks_does_not_stop_the_poll() -> None:
    cursor = dict(poll({}, {})[0][-1].cursor)
    pages, _ = poll(cursor, {"GET /webhooks": Answer({"message": "no"}, 403)}, NOW + timedelta(hours=6))
    assert events_of(pages) == []


def test_a_key_that_is_refused_fails_the_poll_also_between_two_sweeps() -> None:
    cursor = dict(poll({}, {})[0][-1].cursor)
    with pytest.raises(PermanentError, match="Teachable refused the API key"):
        poll(cursor, {"GET /webhooks": Answer({"message": "Unauthorized"}, 401)}, NOW + timedelta(hours=6))


def test_case_16_a_sweep_stops_at_the_calls_of_a_day_and_goes_on_there_the_next_day() -> None:
    first, api = poll({}, {FIRST: school_of(250)}, calls_per_day=10)
    assert len(api.asked) == 10
    # Asked again on the same day, nothing is spent.
    idle, api = poll(first[-1].cursor, {FIRST: school_of(250)}, NOW + timedelta(hours=2), calls_per_day=10)
    assert api.asked == []
    second, api = poll(idle[-1].cursor, {FIRST: school_of(250)}, NOW + timedelta(days=1), calls_per_day=10)
    assert "GET /courses" not in api.paths()
    assert api.asked[0].query["enrolled_in_after"] > began(100)
    found = {event.subject for event in [*events_of(first), *events_of(second)]}
    assert len(found) == 250


def test_case_16_a_page_that_was_refused_is_asked_for_again_by_the_next_poll() -> None:
    busy = Answer({"message": "API rate limit exceeded"}, 429, {"ratelimit-reset": "9"})
    connector = teachable()
    api = RoutedApi(connector, {"GET /courses": COURSES, FIRST: rows(ROW), SECOND: busy})
    interrupted = connector.poll(api, {}, SINCE, NOW)
    kept = next(interrupted)
    with pytest.raises(TemporaryError):
        next(interrupted)
    pages, api = poll(kept.cursor, {SECOND: rows(row(7))})
    assert ids(pages) == [("7", "302951")]
    assert api.paths() == [SECOND]


def test_only_the_courses_of_the_setting_are_swept() -> None:
    pages, api = poll({}, {SECOND: rows(ROW)}, sweep_courses=["302951"])
    assert api.paths() == [SECOND]
    assert ids(pages) == [(LEARNER, "302951")]


@pytest.mark.parametrize(
    "cursor",
    [
        {"calls": "x", "page": -1, "started": 5, "courses": "y", "swept": "z"},
        {"calls": None, "day": None, "started": "2026-11-22T00:00:00Z", "courses": [{"id": "../x"}, 3]},
    ],
)
def test_an_odd_cursor_does_not_stop_the_source_for_ever(cursor: JsonObject) -> None:
    pages, _ = poll(cursor, {"GET /webhooks": {"webhooks": []}})
    _, api = poll(pages[-1].cursor, {"GET /webhooks": {"webhooks": []}}, NOW + timedelta(days=2))
    assert FIRST in api.paths()


def test_a_school_without_courses_has_nothing_to_sweep() -> None:
    pages, _ = poll({}, {"GET /courses": {"courses": []}})
    assert events_of(pages) == []
    assert "swept" in pages[-1].cursor


# -- asked by a person ---------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", [LEARNER, "Dana@Example.invalid"])
def test_one_learner_can_be_asked_about_by_id_or_address(learner: str) -> None:
    connector = teachable()
    found = {
        "users": [{"id": 1, "email": "other@example.invalid"}, {"id": int(LEARNER), "email": "dana@example.invalid"}]
    }
    api = RoutedApi(connector, {"GET /users": found, USER: user()})
    (event,) = connector.ask(api, learner)
    (swept,) = events_of(poll({}, {})[0])
    assert event.event_id == swept.event_id
    assert event.keys == swept.keys


def test_a_learner_teachable_does_not_know_has_no_completions() -> None:
    connector = teachable()
    assert connector.ask(RoutedApi(connector, {"GET /users": {"users": []}}), "nobody@example.invalid") == []


def test_courses_are_listed_over_all_pages() -> None:
    connector = teachable()
    full = [{"id": number, "name": f"Course {number}"} for number in range(1, 101)]
    pages: list[Any] = [{"courses": full}, {"courses": [{"id": 101, "name": None}, {"id": "x"}]}, {"courses": []}]
    found = list(connector.courses(RoutedApi(connector, {"GET /courses": pages})))
    assert len(found) == 101
    assert (found[-1].id, found[-1].title) == ("101", "?")


# -- what doctor says ----------------------------------------------------------------------------------


def findings(*webhooks: Any, events: Any = None) -> dict[str, str]:
    connector = teachable()
    routes: dict[str, Route] = {
        "GET /courses": COURSES,
        "GET /webhooks": {"webhooks": list(webhooks)},
        "GET /webhooks/77/events": events or {"events": []},
        "GET /webhooks/78/events": {"events": []},
    }
    found = list(connector.diagnose(RoutedApi(connector, routes)))
    assert TOKEN not in str(found)
    return {finding.message: finding.level for finding in found}


def test_a_working_webhook_is_fine() -> None:
    assert findings(WEBHOOK) == {"Teachable accepts the API key.": "ok", "Webhook 77 works.": "ok"}


def test_case_17_a_webhook_that_teachable_switched_off_is_an_error() -> None:
    text = next(
        message for message, level in findings({**WEBHOOK, "workflow_state": "failed"}).items() if level == "error"
    )
    assert "Webhook 77 is switched off by Teachable" in text


def test_case_17_beside_a_working_webhook_it_may_be_a_deleted_one() -> None:
    levels = findings(WEBHOOK, {**WEBHOOK, "id": 78, "workflow_state": "failed"})
    assert "error" not in levels.values()
    assert any("may be a deleted one" in message for message in levels)


def test_a_webhook_that_is_not_there_is_an_error() -> None:
    assert "error" in findings({**WEBHOOK, "url": "https://elsewhere.example/x"}).values()


def test_a_webhook_that_never_sent_anything_is_a_warning() -> None:
    assert "warning" in findings({**WEBHOOK, "workflow_state": "pending"}).values()


def test_deliveries_that_failed_are_named_with_their_time() -> None:
    assert any("2026-11-23T09:00:00" in message for message in findings(WEBHOOK, events=LOST))


def test_a_refused_key_is_said() -> None:
    connector = teachable()
    (finding,) = connector.diagnose(RoutedApi(connector, {"GET /courses": Answer({"message": "Unauthorized"}, 401)}))
    assert finding.level == "error"


def test_a_course_to_be_swept_that_is_not_there_is_an_error() -> None:
    connector = teachable(sweep_courses=["302951", "302999"])
    routes: dict[str, Route] = {"GET /courses": COURSES, "GET /webhooks": {"webhooks": []}}
    found = [one.message for one in connector.diagnose(RoutedApi(connector, routes)) if one.level == "error"]
    assert found[0] == "Teachable has no course 302999, which `sweep_courses` names."


@pytest.mark.parametrize(("shown", "level"), [(True, "ok"), (False, "error")])
def test_case_contracts_1_doctor_looks_whether_the_sign_up_source_is_shown(shown: bool, level: str) -> None:
    connector = teachable(write_back={"src": True})
    record = user(src=None) if shown else {name: value for name, value in user().items() if name != "src"}
    routes: dict[str, Route] = {
        "GET /courses": COURSES,
        "GET /webhooks": {"webhooks": [WEBHOOK]},
        "GET /webhooks/77/events": {"events": []},
        "GET /users": {"users": [{"id": int(LEARNER)}]},
        USER: record,
    }
    found = {one.level for one in connector.diagnose(RoutedApi(connector, routes)) if "(src)" in one.message}
    assert found == {level}
