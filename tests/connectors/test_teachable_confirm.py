"""Nothing that a webhook of Teachable says counts before its API has said the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract import SAMPLES
from routed_api import Route, RoutedApi
from scripted_api import Answer
from test_teachable_connector import COURSE, LEARNER, events, outcome, parsed, sample, teachable

from bridge.core.errors import HeldError, PermanentError, TemporaryError, UnconfirmedError
from bridge.core.models import Completion, Held, Ignored, Outcome, SourceEvent

PROGRESS, USER = f"GET /courses/{COURSE}/progress", f"GET /users/{LEARNER}"
NOT_FOUND = Answer({"message": "Not found"}, 404)
_EXPECTED = json.loads((SAMPLES / "teachable" / "Enrollment.completed.SYNTHETIC" / "expected.json").read_text())


def progress(**changes: Any) -> dict[str, Any]:
    return {"course_progress": {**_EXPECTED["api"][PROGRESS]["course_progress"], **changes}, "meta": {"total": 0}}


def user(row: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Returns the learner's record; `row` changes the one course in it."""
    found = _EXPECTED["api"][USER]
    return {**found, "courses": [{**found["courses"][0], **(row or {})}], **changes}


def enriched(
    event: SourceEvent | None = None, /, settings: dict[str, Any] | None = None, **routes: Route
) -> SourceEvent:
    connector = teachable(**(settings or {}))
    known: dict[str, Route] = {PROGRESS: progress(), USER: user()}
    known |= {{"progress": PROGRESS, "user": USER}[name]: route for name, route in routes.items()}
    return connector.enrich(event or parsed(), RoutedApi(connector, known))


def test_case_03_a_course_that_is_55_percent_complete_is_not_confirmed_and_the_reason_says_so() -> None:
    with pytest.raises(UnconfirmedError, match=rf"learner {LEARNER} completed 55 % of course {COURSE}"):
        enriched(
            progress=progress(completed_at=None, percent_complete=55),
            user=user({"completed_at": None, "percent_complete": 55}),
        )


def test_case_03_the_progress_is_asked_for_this_learner() -> None:
    connector = teachable()
    api = RoutedApi(connector, {PROGRESS: progress(), USER: user()})
    connector.enrich(parsed(), api)
    assert api.asked[0].query == {"user_id": LEARNER}
    assert api.paths() == [PROGRESS, USER]


def test_case_03_name_address_and_title_are_those_of_the_api_not_of_whoever_sent_the_event() -> None:
    forged = {"id": LEARNER, "name": "Mallory", "email": "mallory@example.invalid"}
    event = enriched(parsed(user=forged, course={"id": COURSE, "name": "Brain Surgery"}))
    assert event.data == enriched().data
    assert event.data["user"]["name"] == "Dana Okafor"


def test_case_03_an_enrolment_nobody_knows_is_not_confirmed() -> None:
    with pytest.raises(UnconfirmedError, match="no enrolment"):
        enriched(progress=NOT_FOUND, user=user(courses=[]))


def test_case_08_a_name_that_teachable_does_not_have_holds_the_event() -> None:
    held = outcome(enriched(user=user(name=None)))
    assert isinstance(held, Held)
    assert "name" in held.reason


def test_case_08_capitals_stay_and_spaces_go() -> None:
    completion = outcome(enriched(user=user(name="  DANA   OKAFOR ")))
    assert isinstance(completion, Completion)
    assert completion.recipient.name == "DANA OKAFOR"


def test_case_10_a_thin_event_is_completed_over_the_api() -> None:
    thin = parsed(completed_at=..., course=..., user={"id": LEARNER, "email": "dana@example.invalid", "name": None})
    assert enriched(thin).data == enriched().data
    assert enriched(thin).keys == enriched().keys


def test_case_11_a_completed_course_stays_confirmed_when_new_lectures_lower_its_percents() -> None:
    event = enriched(progress=progress(percent_complete=90))
    assert event.data["enrollment"]["completed_at"] == "2026-02-14T14:30:10Z"


def test_case_11_hundred_percent_without_a_time_counts_from_the_event() -> None:
    event = enriched(progress=progress(completed_at=None), user=user({"completed_at": None}))
    assert event.data["enrollment"]["completed_at"] == "2026-02-14T14:30:10Z"


def test_case_12_a_learner_who_was_unenrolled_after_completing_waits_for_a_person() -> None:
    event = enriched(progress=NOT_FOUND, user=user({"is_active_enrollment": False}))
    held = outcome(event)
    assert isinstance(held, Held)
    assert held.code == "hold_if"  # a person may release it
    assert "unenrolled" in held.reason


@pytest.mark.parametrize(("policy", "kind"), [("issue", Completion), ("skip", Ignored)])
def test_case_12_the_setting_unenrolled_decides_otherwise(policy: str, kind: type[Outcome]) -> None:
    left = user({"is_active_enrollment": False})
    assert isinstance(outcome(enriched(None, {"unenrolled": policy}, progress=NOT_FOUND, user=left)), kind)


def test_case_12_no_policy_issues_for_a_course_that_was_never_completed() -> None:
    left = user({"is_active_enrollment": False, "completed_at": None, "percent_complete": 10})
    with pytest.raises(UnconfirmedError):
        enriched(None, {"unenrolled": "issue"}, progress=NOT_FOUND, user=left)


def test_a_learner_who_is_gone_is_named() -> None:
    with pytest.raises(PermanentError, match=f"no user {LEARNER}"):
        enriched(user=NOT_FOUND)


def test_an_event_without_a_learner_waits_for_a_person() -> None:
    with pytest.raises(HeldError, match="by hand"):
        enriched(parsed(user_id=..., user=...))


def test_a_course_that_the_learner_does_not_show_is_asked_for_its_name() -> None:
    connector = teachable()
    routes = {PROGRESS: progress(), USER: user(courses=[]), f"GET /courses/{COURSE}": {"course": {"name": "Asked"}}}
    assert connector.enrich(parsed(), RoutedApi(connector, routes)).data["course"]["name"] == "Asked"


@pytest.mark.parametrize("odd", [b"<html>", b"", b"[]", b"null"])
def test_an_answer_that_is_none_is_tried_again(odd: bytes) -> None:
    with pytest.raises(TemporaryError):
        enriched(progress=Answer(odd))


@pytest.mark.parametrize("odd", [None, 3, "x", [], {"course_id": {}}, [{"course_id": []}, 4]])
def test_odd_courses_of_a_learner_do_no_harm(odd: object) -> None:
    connector = teachable()
    routes = {PROGRESS: progress(), USER: user(courses=odd), f"GET /courses/{COURSE}": {"course": {"name": "Asked"}}}
    assert connector.enrich(parsed(), RoutedApi(connector, routes)).data["course"]["name"] == "Asked"


def test_unconfirmed_events_may_be_allowed_and_only_missing_names_are_asked_for() -> None:
    trusting = teachable(confirm=False)
    assert trusting.enrich(parsed(), RoutedApi(trusting, {})) == parsed()
    nameless = parsed(user={"id": LEARNER, "email": "other@example.invalid", "name": None})
    event = trusting.enrich(nameless, RoutedApi(trusting, {USER: user()}))
    assert event.data["user"]["name"] == "Dana Okafor"
    assert event.data["user"]["email"] == "other@example.invalid"
    assert not event.data["enrollment"]["confirmed"]


def test_events_of_no_interest_are_not_asked_about() -> None:
    connector = teachable()
    (event,) = events(sample("Enrollment.disabled"))
    assert connector.enrich(event, RoutedApi(connector, {})) == event
