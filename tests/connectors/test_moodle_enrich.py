"""What certbridge asks Moodle about a completion, what it makes of the answers, and of Moodle's ways to refuse."""

from __future__ import annotations

from typing import Any

import pytest
from contract import DEFAULTS, ConnectorContract
from moodle_captures import COMPLETION, COURSES, GRADES, USERS, answer, moodle, parsed
from scripted_api import Answer, ScriptedApi

from bridge.core.errors import HeldError, PermanentError, TemporaryError, UnconfirmedError
from bridge.core.models import Completion, Held, SourceEvent


class Shipped(ConnectorContract):
    """The shipped mapping, with an admin's file on top."""

    connector = "moodle"


def enriched(*script: tuple[str, Answer], event: SourceEvent | None = None, **settings: Any) -> SourceEvent:
    connector = moodle(**settings)
    api = ScriptedApi(connector, *script)
    result = connector.enrich(event or parsed(), api)
    assert api.done
    return result


def completion(name: str) -> tuple[str, Answer]:
    return COMPLETION, answer(name)


USER = (USERS, answer("users-by-id"))
COURSE = (COURSES, answer("mlang-off-course2-raw"))


# -- what Moodle adds --------------------------------------------------------------------------------


def test_case_10_and_11_names_are_asked_for_as_they_are_stored() -> None:
    connector = moodle()
    api = ScriptedApi(connector, completion("completion-complete"), USER, COURSE)
    event = connector.enrich(parsed(), api)
    assert api.asked[2].form["moodlewssettingraw"] == "true"
    assert event.data["course"]["fullname"].startswith("Health & Safety <span")
    assert event.data["user"]["lastname"] == "O'Brien & Sons"


def test_case_13_a_suspended_learner_falls_back_to_the_time_of_the_event() -> None:
    event = enriched(completion("susp-enrol-1-completion"), USER, COURSE)
    assert event.data["completion"] == {"time": 1795353524, "source": "event", "note": "usernotenroled"}
    assert not event.data["user"]["deleted"]


@pytest.mark.parametrize("status", ["deleted-completion", "susp-enrol-1-completion"])
def test_case_14_a_deleted_account_is_marked_and_its_hash_is_no_address(status: str) -> None:
    event = enriched(
        completion(status),
        (USERS, answer("deleted-user")),
        COURSE,
        event=parsed(relateduserid="8"),
    )
    assert (event.data["user"]["deleted"], event.data["user"]["email"]) == (True, None)


def test_case_14_an_account_without_an_address_is_not_taken_for_deleted() -> None:
    user = {"id": 3, "username": "maria.1234567890", "firstname": "Maria", "lastname": "Silva", "email": ""}
    event = enriched(completion("completion-complete"), (USERS, Answer([user])), COURSE)
    assert (event.data["user"]["deleted"], event.data["user"]["email"]) == (False, None)


def test_case_17_the_date_is_that_of_the_latest_criterion_met() -> None:
    met = [{"complete": True, "timecompleted": 100}, {"complete": True, "timecompleted": "300"}]
    unmet = [{"complete": False, "timecompleted": 900}, {"complete": True, "timecompleted": None}]
    status = {"completionstatus": {"completed": True, "completions": met + unmet}}
    event = enriched((COMPLETION, Answer(status)), USER, COURSE)
    assert event.data["completion"] == {"time": 300, "source": "criteria", "note": None}
    assert event.keys == ("completion:1:3:2", "completed:3:2:300")


def test_case_19_a_completion_that_an_upgrade_or_import_fires_again_is_the_one_it_was() -> None:
    script = (completion("completion-complete"), USER, COURSE)
    first, again = enriched(*script), enriched(*script, event=parsed(timecreated=1800000000))
    imported = enriched(*script, event=parsed(objectid="977", timecreated=1800000000))
    assert first.event_id == again.event_id
    assert set(first.keys) & set(imported.keys)
    assert imported.data["completion"] == first.data["completion"]


@pytest.mark.parametrize("status", ["completion-incomplete", "completion-grade-criterion"])
def test_a_completion_that_moodle_does_not_confirm_is_tried_again(status: str) -> None:
    with pytest.raises(UnconfirmedError, match="cron"):
        enriched(completion(status))


def test_a_completion_without_a_learner_is_held() -> None:
    with pytest.raises(HeldError, match="relateduserid"):
        enriched(event=parsed(relateduserid=None))


@pytest.mark.parametrize("users", ["min-users", "users-by-id-unknown"])
def test_case_28_no_user_at_all_names_the_missing_permission(users: str) -> None:
    with pytest.raises(PermanentError, match="moodle/user:viewdetails"):
        enriched(completion("completion-complete"), (USERS, answer(users)))


def test_a_course_that_moodle_does_not_show_is_named() -> None:
    with pytest.raises(PermanentError, match="shows no course 2"):
        enriched(completion("completion-complete"), USER, (COURSES, answer("course-by-id-unknown")))


def test_the_score_is_fetched_only_when_it_is_asked_for() -> None:
    base = (completion("completion-complete"), USER, COURSE)
    event = enriched(*base, (GRADES, answer("grade-items-with-grade")), score=True)
    assert event.data["grade"] == {"raw": 100, "min": 0, "max": 100, "percent": 100.0, "text": "100.00"}
    assert "grade" not in enriched(*base).data


def test_a_learner_without_a_grade_has_no_percentage() -> None:
    base = (completion("completion-complete"), USER, COURSE)
    assert enriched(*base, (GRADES, answer("grade-items")), score=True).data["grade"]["percent"] is None


def test_fields_of_the_profile_are_found_by_their_short_name() -> None:
    users = (USERS, answer("wb-profile-field-readback"))
    event = enriched(completion("completion-complete"), users, COURSE)
    assert event.data["user"]["fields"] == {"certificateid": "CERT-2026-000123"}


# -- what the shipped mapping makes of it --------------------------------------------------------------


def decided(event: SourceEvent, admin: str = "other_courses: issue\n") -> Any:
    contract = Shipped()
    contract.admin = admin  # type: ignore[misc]
    return contract.mapping().apply(event, defaults=DEFAULTS).outcome


@pytest.mark.parametrize(("language", "title"), [("en", "Health & Safety Basics"), ("fr", "Health & Safety Bases")])
def test_case_10_and_11_the_title_is_in_the_language_of_the_learner(language: str, title: str) -> None:
    user = {"id": 3, "firstname": "Maria", "lastname": "Silva", "email": "maria@example.invalid", "lang": language}
    outcome = decided(enriched(completion("completion-complete"), (USERS, Answer([user])), COURSE))
    assert isinstance(outcome, Completion)
    assert (outcome.course.title, outcome.locale) == (title, language)


def test_case_10_and_11_mlang_tags_and_quotes_are_resolved() -> None:
    course = (COURSES, answer("course-by-id-raw"))
    outcome = decided(enriched(completion("completion-complete"), USER, course, event=parsed(courseid="3")))
    assert isinstance(outcome, Completion)
    assert (outcome.course.title, outcome.course.short_name) == ('R&D "Advanced" Course – été', "R&D-2")


def test_case_13_a_suspended_learner_gets_the_certificate_dated_by_the_event() -> None:
    outcome = decided(enriched(completion("susp-enrol-1-completion"), USER, COURSE))
    assert isinstance(outcome, Completion)
    assert outcome.completed_at == parsed().occurred_at


def test_case_14_a_deleted_account_is_held_and_the_reason_is_said() -> None:
    event = enriched(
        completion("deleted-completion"), (USERS, answer("deleted-user")), COURSE, event=parsed(relateduserid="8")
    )
    outcome = decided(event)
    assert isinstance(outcome, Held)
    assert "deleted" in outcome.reason or "address" in outcome.reason


def test_a_score_that_is_needed_but_missing_holds_and_one_that_is_there_counts() -> None:
    admin = "other_courses: issue\nevery_course: {issue_if: {score: at least 80}}\n"
    base = (completion("completion-complete"), USER, COURSE)
    assert isinstance(decided(enriched(*base), admin), Held)
    graded = enriched(*base, (GRADES, answer("grade-items-with-grade")), score=True)
    assert isinstance(decided(graded, admin), Completion)


# -- how Moodle refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "advice"),
    [
        ("err-bad-token", "invalidtoken", "deletes tokens that have expired"),
        ("err-function-not-in-service", "accessexception", "external service"),
        ("err-missing-param", "invalidparameter", "value"),
        ("err-unknown-course", "invalidrecord", "no such record"),
        ("err-unknown-user", "invaliduser", "no such record"),
        ("min-completion", "requireloginerror", "permission"),
        ("http-403-webservices-disabled", "http_403", "switched off"),
    ],
)
def test_case_26_and_27_what_a_person_must_mend_is_permanent(name: str, code: str, advice: str) -> None:
    with pytest.raises(PermanentError, match=advice) as caught:
        enriched(completion(name))
    assert caught.value.stable_code == code
    assert COMPLETION in str(caught.value)
    assert "SAMPLE-TOKEN" not in str(caught.value)


def test_case_26_a_database_that_is_down_is_temporary_despite_status_200() -> None:
    with pytest.raises(TemporaryError, match="Database connection failed"):
        enriched(completion("http-200-database-down"))


def test_case_26_maintenance_waits_as_long_as_moodle_says() -> None:
    with pytest.raises(TemporaryError) as caught:
        enriched(completion("http-503-maintenance"))
    assert caught.value.retry_after == 300


@pytest.mark.parametrize(
    "junk",
    [b"", b"<html>", b'<br /><b>Notice</b>: x in y on line 3{"completionstatus":{"completed":true}}', b"[" * 500],
)
def test_case_26_an_answer_that_is_not_pure_json_is_temporary(junk: bytes) -> None:
    with pytest.raises(TemporaryError, match="ebugging"):
        enriched((COMPLETION, Answer(junk)))


@pytest.mark.parametrize("odd", [None, [], "x", 3, {}, {"completionstatus": None}, {"completionstatus": []}], ids=str)
def test_an_answer_of_another_shape_is_never_taken_for_a_completion(odd: object) -> None:
    with pytest.raises(UnconfirmedError):
        enriched((COMPLETION, Answer(odd)))


@pytest.mark.parametrize("time", ["soon", True, 1.5, [3]])
def test_a_time_that_is_no_number_is_temporary(time: object) -> None:
    status = {"completionstatus": {"completed": True, "completions": [{"complete": True, "timecompleted": time}]}}
    with pytest.raises(TemporaryError, match="timecompleted"):
        enriched((COMPLETION, Answer(status)))
