"""What the Moodle stand-in hides from an account that lacks a capability: mostly without a word, as the real one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from vendors_selftest.moodle_calls import TOKEN, call

from bridge.demo.vendors.moodle import MoodleStandIn

LEARNER = {"field": "id", "values[0]": "3"}
COMPLETION = ("core_completion_get_course_completion_status", {"courseid": "2", "userid": "3"})
ACTIVITIES = ("core_completion_get_activities_completion_status", {"courseid": "2", "userid": "3"})
PARTICIPANTS = ("core_enrol_get_enrolled_users", {"courseid": "2"})
COURSES = ("core_enrol_get_users_courses", {"userid": "3"})
NOTE = (
    "core_notes_create_notes",
    {
        "notes[0][userid]": "3",
        "notes[0][publishstate]": "course",
        "notes[0][courseid]": "2",
        "notes[0][text]": "x",
        "notes[0][format]": "2",
    },
)
OVERRIDE = (
    "core_completion_override_activity_completion_status",
    {"userid": "3", "cmid": "3", "newstate": "1"},
)


@pytest.fixture
def moodle() -> Iterator[MoodleStandIn]:
    with MoodleStandIn(token=TOKEN, clock=lambda: 1795353993.0) as stand_in:
        yield stand_in


@pytest.mark.parametrize(
    ("capability", "function", "errorcode"),
    [
        ("moodle/course:view", COMPLETION, "requireloginerror"),
        ("moodle/course:view", PARTICIPANTS, "errorcoursecontextnotvalid"),
        ("moodle/course:view", ("core_course_get_courses", {}), "errorcoursecontextnotvalid"),
        ("moodle/course:viewparticipants", PARTICIPANTS, "nopermissions"),
        ("report/completion:view", COMPLETION, "cannotviewreport"),
        ("report/completion:view", ACTIVITIES, "cannotviewreport"),
        ("moodle/grade:viewall", ("gradereport_overview_get_course_grades", {"userid": "3"}), "nopermissions"),
        ("moodle/reportbuilder:viewall", ("core_reportbuilder_retrieve_report", {"reportid": "1"}), "errorreportview"),
        ("moodle/notes:manage", NOTE, "nopermissions"),
        ("moodle/notes:view", ("core_notes_get_course_notes", {"courseid": "2", "userid": "3"}), "nopermissions"),
        (
            "gradereport/user:view",
            ("gradereport_user_get_grade_items", {"courseid": "5", "userid": "3"}),
            "nopermissions",
        ),
        ("moodle/user:update", ("core_user_update_users", {"users[0][id]": "0"}), "nopermissions"),
        ("moodle/course:overridecompletion", OVERRIDE, "nopermissions"),
    ],
)
def test_some_missing_capabilities_are_an_exception(
    moodle: MoodleStandIn, capability: str, function: tuple[str, dict[str, str]], errorcode: str
) -> None:
    assert "exception" not in call(moodle, function[0], **function[1])
    moodle.settings.lacks.add(capability)
    assert call(moodle, function[0], **function[1])["errorcode"] == errorcode
    assert moodle.refused == []


def test_without_viewdetails_nobody_is_found(moodle: MoodleStandIn) -> None:
    moodle.settings.lacks.add("moodle/user:viewdetails")
    assert call(moodle, "core_user_get_users_by_field", **LEARNER) == []
    (own,) = call(moodle, "core_user_get_users_by_field", field="id", **{"values[0]": "7"})
    assert own["email"] == "ws@example.invalid"


def test_without_viewdetails_learners_drop_out_of_the_list_and_teachers_stay(moodle: MoodleStandIn) -> None:
    assert len(call(moodle, PARTICIPANTS[0], **PARTICIPANTS[1])) == 5
    moodle.settings.lacks.add("moodle/user:viewdetails")
    assert [one["id"] for one in call(moodle, PARTICIPANTS[0], **PARTICIPANTS[1])] == [6]


def test_without_viewuseridentity_the_address_is_missing_rather_than_empty(moodle: MoodleStandIn) -> None:
    moodle.settings.lacks.add("moodle/site:viewuseridentity")
    (user,) = call(moodle, "core_user_get_users_by_field", **LEARNER)
    assert not {"email", "idnumber"} & set(user)
    by_address = {"field": "email", "values[0]": "jose.obrien@example.invalid"}
    assert call(moodle, "core_user_get_users_by_field", **by_address) == []


@pytest.mark.parametrize(("visible", "shown"), [("everyone", True), ("user", False), ("nobody", False)])
def test_without_viewalldetails_a_hidden_profile_field_looks_like_an_empty_one(
    moodle: MoodleStandIn, visible: Literal["everyone", "user", "nobody"], shown: bool
) -> None:
    moodle.site.profile_fields["certificateid"].visible = visible
    (empty,) = call(moodle, "core_user_get_users_by_field", **LEARNER)
    moodle.site.users[3].profile["certificateid"] = "x"
    (seen,) = call(moodle, "core_user_get_users_by_field", **LEARNER)
    assert ("customfields" in empty, "customfields" in seen) == (False, True)
    moodle.settings.lacks.add("moodle/user:viewalldetails")
    (user,) = call(moodle, "core_user_get_users_by_field", **LEARNER)
    assert ("customfields" in user) == shown
    assert not {"auth", "confirmed", "lang", "theme", "timezone", "mailformat"} & set(user)


def test_only_what_is_granted_is_allowed_where_that_is_said(moodle: MoodleStandIn) -> None:
    moodle.settings.granted = {"webservice/rest:use"}
    assert call(moodle, "core_user_get_users_by_field", **LEARNER) == []
    moodle.settings.granted = {"moodle/user:viewdetails"}
    assert call(moodle, "core_user_get_users_by_field", **LEARNER)["errorcode"] == "accessexception"


def test_without_viewparticipants_a_learner_has_no_courses(moodle: MoodleStandIn) -> None:
    assert len(call(moodle, COURSES[0], **COURSES[1])) == 4
    moodle.settings.lacks.add("moodle/course:viewparticipants")
    assert call(moodle, COURSES[0], **COURSES[1]) == []


def test_without_viewall_there_are_no_reports(moodle: MoodleStandIn) -> None:
    (report,) = call(moodle, "core_reportbuilder_list_reports")["reports"]
    assert (report["id"], report["name"]) == (1, "Recent completions")
    moodle.settings.lacks.add("moodle/reportbuilder:viewall")
    assert call(moodle, "core_reportbuilder_list_reports")["reports"] == []


def test_an_expired_token_is_deleted_by_its_first_use(moodle: MoodleStandIn) -> None:
    moodle.settings.token_expired = True
    answers = [call(moodle, "core_webservice_get_site_info")["errorcode"] for _ in range(3)]
    assert answers == ["accessexception", "invalidtoken", "invalidtoken"]
    assert moodle.refused == []
