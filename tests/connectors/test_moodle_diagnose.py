"""What the doctor says about a Moodle: missing functions by name, missing capabilities by what reading gives away."""

from __future__ import annotations

from typing import Any

import pytest
from moodle_captures import COMPLETION, USERS, answer, captured, moodle
from scripted_api import Answer, ScriptedApi

from bridge.core.connector import Finding
from connectors.moodle import rights

INFO = "core_webservice_get_site_info"
ENROLLED, THEIRS = "core_enrol_get_enrolled_users", "core_enrol_get_users_courses"
ALL_COURSES = "core_course_get_courses_by_field"
NOTES, RETRIEVE = "core_notes_get_course_notes", "core_reportbuilder_retrieve_report"
SITE = (INFO, answer("site-info"))
COURSE = (ALL_COURSES, Answer({"courses": [{"id": 2, "enablecompletion": 1}]}))
PEOPLE = (ENROLLED, Answer([{"id": 2}, {"id": 3}]))
USER = (USERS, answer("users-by-id"))
COURSES = (THEIRS, answer("users-courses"))
DONE = (COMPLETION, answer("completion-complete"))
NO_NOTES = (NOTES, Answer({"coursenotes": []}))
FINE = (SITE, COURSE, PEOPLE, USER, COURSES, DONE, NO_NOTES)


def diagnosed(*script: tuple[str, Answer], **settings: Any) -> list[Finding]:
    connector = moodle(**{"write_back": {"note": True}, **settings})
    api = ScriptedApi(connector, *script)
    found = list(connector.diagnose(api))
    assert api.done
    return found


def troubles(*script: tuple[str, Answer], **settings: Any) -> list[str]:
    return [finding.message for finding in diagnosed(*script, **settings) if finding.level != "ok"]


def site_with(*functions: str) -> tuple[str, Answer]:
    return INFO, Answer({"sitename": "S", "release": "4.5", "functions": [{"name": name} for name in functions]})


def test_a_moodle_that_is_set_up_is_fine_and_its_capabilities_are_listed() -> None:
    found = diagnosed(*FINE)
    assert {finding.level for finding in found} == {"ok"}
    for need in (rights.CALL, rights.READ, rights.NOTE):
        assert all(name in found[-1].message for name in need.capabilities)


@pytest.mark.parametrize(
    ("settings", "need"),
    [
        ({"score": True}, rights.SCORE),
        ({"poll": {"report": "1"}}, rights.REPORT),
        ({"write_back": {"profile_list": "certificates"}}, rights.PROFILE),
        ({"write_back": {"activities": {"2": "31"}}}, rights.ACTIVITY),
        ({"write_back": {"message": True}}, rights.MESSAGE),
        ({}, rights.NOTE),
        ({}, rights.READ),
    ],
)
def test_each_missing_function_is_named_with_the_capabilities_it_needs(
    settings: dict[str, Any], need: rights.Need
) -> None:
    everything = {name for one in (*rights.ALWAYS, *rights.ON_REQUEST) for name in one.functions}
    told = troubles(site_with(*(everything - set(need.functions))), **settings)
    assert len(told) == len(need.functions)
    for function, message in zip(sorted(need.functions), told, strict=True):
        assert f"may not call {function}:" in message
        assert all(name in message for name in need.capabilities)


def test_functions_for_asking_are_a_warning_unless_enrolments_are_polled() -> None:
    others = [name for need in (rights.CALL, rights.READ, rights.NOTE) for name in need.functions]
    levels = [
        {finding.level for finding in diagnosed(site_with(*others), **settings)}
        for settings in ({}, {"poll": {"courses": "all"}})
    ]
    assert levels == [{"ok", "warning"}, {"ok", "error"}]


def test_a_wrong_token_is_reported_instead_of_failing() -> None:
    (finding,) = diagnosed((INFO, answer("err-bad-token")))
    assert finding.level == "error"


def test_case_28_empty_look_ups_are_an_error_of_configuration() -> None:
    (told,) = troubles(SITE, COURSE, PEOPLE, (USERS, answer("min-users")), COURSES, DONE, NO_NOTES)
    assert "moodle/user:viewdetails" in told
    (told,) = troubles(SITE, COURSE, PEOPLE, USER, (THEIRS, answer("min-userscourses")), DONE, NO_NOTES)
    assert "moodle/course:viewparticipants" in told


def test_learners_without_an_address_name_the_capability_and_the_setting() -> None:
    (told,) = troubles(SITE, COURSE, PEOPLE, (USERS, Answer([{"id": 3}])), COURSES, DONE, NO_NOTES)
    assert "moodle/site:viewuseridentity" in told
    assert "Show user identity" in told


@pytest.mark.parametrize(("name", "capability"), [("min-enrolled", "moodle/course:view")])
def test_a_course_that_may_not_be_entered_names_the_capability(name: str, capability: str) -> None:
    (told,) = troubles(SITE, COURSE, (ENROLLED, answer(name)))
    assert capability in told


def test_completions_that_may_not_be_read_name_the_capability() -> None:
    refused = {"exception": "x", "errorcode": "cannotviewreport", "message": "Cannot view report"}
    (told,) = troubles(SITE, COURSE, PEOPLE, USER, COURSES, (COMPLETION, Answer(refused)))
    assert "report/completion:view" in told


def test_a_site_without_courses_or_participants_says_what_that_may_mean() -> None:
    (told,) = troubles(SITE, (ALL_COURSES, Answer({"courses": [{"id": 1, "enablecompletion": 1}]})))
    assert "site level" in told
    (told,) = troubles(SITE, COURSE, (ENROLLED, Answer([{"id": 2}])))
    assert "no participants" in told


def test_the_report_is_read_and_its_zone_compared_with_what_moodle_stored() -> None:
    (told,) = troubles(*FINE, (RETRIEVE, answer("rb-retrieve")), DONE, poll={"report": "1"})
    assert "another zone than UTC" in told


UPDATE = "core_user_update_users"
WRITES = {"write_back": {"note": False, "profile_field": "certificateid", "profile_list": "certificates"}}
FIELDS = site_with(*(name for one in (*rights.ALWAYS, rights.PROFILE) for name in one.functions))


def test_the_rights_to_write_a_field_are_tried_on_a_user_that_does_not_exist() -> None:
    seen = (USERS, answer("wb-profile-field-readback"))
    found = diagnosed(
        FIELDS, COURSE, PEOPLE, seen, (UPDATE, answer("wb-profile-unknown-user")), COURSES, DONE, **WRITES
    )
    assert {finding.level for finding in found} == {"ok"}
    said = " ".join(finding.message for finding in found)
    assert "The profile field certificateid is there and can be seen." in said
    assert "Whether there is a profile field certificates shows when it is first written" in said


def test_a_field_that_may_not_be_written_or_seen_names_the_capability() -> None:
    refused = Answer({"exception": "x", "errorcode": "nopermissions", "message": "Sorry"})
    hidden = (USERS, Answer([{"id": 3, "email": "a@example.invalid"}]))
    told = troubles(FIELDS, COURSE, PEOPLE, hidden, (UPDATE, refused), COURSES, DONE, **WRITES)
    assert ["moodle/user:update" in told[0], "moodle/user:viewalldetails" in told[1], len(told)] == [True, True, 2]


def test_a_report_in_utc_is_fine() -> None:
    text = captured("rb-retrieve")["response"]["body_raw"].replace("2:24 PM", "1:24 PM")
    report = (RETRIEVE, Answer(text.encode()))
    assert troubles(*FINE, report, DONE, poll={"report": "1"}) == []


def test_a_report_that_may_not_be_seen_names_the_capability() -> None:
    (told,) = troubles(*FINE, (RETRIEVE, answer("rb-retrieve-noperm")), poll={"report": "1"})
    assert "moodle/reportbuilder:viewall" in told


def test_a_long_report_asks_for_a_condition() -> None:
    text = captured("rb-retrieve")["response"]["body_raw"].replace('"totalrowcount":6', '"totalrowcount":60000')
    report = (RETRIEVE, Answer(text.replace("2:24 PM", "1:24 PM").encode()))
    (told,) = troubles(*FINE, report, DONE, poll={"report": "1"})
    assert "last 30 days" in told
