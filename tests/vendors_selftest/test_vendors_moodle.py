"""The Moodle stand-in against what a real Moodle 4.5.6 answered, and its refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from vendors_selftest.captures import capture, differences
from vendors_selftest.moodle_calls import TOKEN, call, post, replay

from bridge.demo.vendors.moodle import MoodleStandIn
from bridge.demo.vendors.moodle_site import User


@pytest.fixture
def moodle() -> Iterator[MoodleStandIn]:
    with MoodleStandIn(token=TOKEN, clock=lambda: 1795353993.0) as stand_in:
        yield stand_in


SAME_SHAPE = [
    "users-by-id",
    "users-by-id-unknown",
    "users-by-email-case",
    "users-guest-admin",
    "course-by-id",
    "course-by-id-raw",
    "course-by-id-mlang",
    "course-by-id-unknown",
    "mlang-off-course2-raw",
    "completion-complete",
    "completion-incomplete",
    "completion-date-criterion",
    "completion-grade-criterion",
    "completion-nocriteria",
    "completion-not-enrolled",
    "err-bad-field",
    "err-missing-param",
    "err-param-type",
    "err-unknown-course",
    "err-unknown-function",
    "err-unknown-user",
    "enrolled-users",
    "enrolled-users-paged",
    "users-courses",
    "grade-items",
    "overview-grades",
    "rb-retrieve",
    "rb-retrieve-page2",
    "rb-retrieve-unknown",
    "site-info",
    "wb-note",
    "wb-note-unknown-user",
    "wb-profile-field",
    "wb-profile-field-unknown",
    "wb-profile-guest-user",
    "wb-profile-unknown-user",
    "wb-message",
    "wb-override-activity-completion",
]


@pytest.mark.parametrize("name", SAME_SHAPE)
def test_answers_with_the_keys_and_types_of_the_real_one(moodle: MoodleStandIn, name: str) -> None:
    if name == "users-guest-admin":
        moodle.settings.account = 2  # the capture was made by the admin
    moodle.site.grades.clear()  # these were captured before the one grade was given
    real, ours = replay(moodle, name)
    assert differences(real, ours) == []


EQUAL = [
    "users-by-id",
    "users-by-email-case",
    "completion-date-criterion",
    "completion-grade-criterion",
    "completion-not-enrolled",
    "err-bad-field",
    "err-missing-param",
    "err-unknown-course",
    "err-unknown-function",
    "err-unknown-user",
    "rb-retrieve-unknown",
    "wb-note",
    "wb-note-unknown-user",
    "wb-profile-field",
    "wb-profile-field-unknown",
    "wb-profile-guest-user",
    "wb-profile-unknown-user",
]


@pytest.mark.parametrize("name", EQUAL)
def test_answers_exactly_as_the_real_one(moodle: MoodleStandIn, name: str) -> None:
    moodle.site.root = "http://127.0.0.1:8080"
    real, ours = replay(moodle, name)
    assert _without_theme(ours) == _without_theme(real)


def _without_theme(value: Any) -> Any:
    return json.loads(json.dumps(value).replace("1795353874", "THEME"))


@pytest.mark.parametrize(
    "name",
    ["course-by-id", "course-by-id-raw", "course-by-id-mlang", "mlang-off-course2-raw", "mlang-on-course2-filter"],
)
def test_escapes_course_names_as_the_real_one(moodle: MoodleStandIn, name: str) -> None:
    moodle.settings.multilang = "mlang-on" in name
    real, ours = replay(moodle, name)
    for key in ("fullname", "displayname", "shortname", "categoryname", "summary"):
        assert ours["courses"][0][key] == real["courses"][0][key]


@pytest.mark.parametrize("name", ["rb-retrieve", "rb-retrieve-page2"])
def test_the_report_has_the_rows_of_the_real_one(moodle: MoodleStandIn, name: str) -> None:
    moodle.site.root = "http://127.0.0.1:8080"
    moodle.settings.zone = ZoneInfo("Europe/Paris")
    real, ours = replay(moodle, name)
    assert ours["data"] == real["data"]


def test_the_report_is_written_in_the_accounts_time_zone(moodle: MoodleStandIn) -> None:
    row = call(moodle, "core_reportbuilder_retrieve_report", reportid="1")["data"]["rows"][0]["columns"]
    assert row[8] == "Sunday, 22 November 2026, 1:24 PM"


@pytest.mark.parametrize(
    "name",
    ["min-users", "min-completion", "min-course", "min-enrolled", "min-notes", "min-updateusers", "min-overview",
     "min-message", "min-userscourses", "rb-retrieve-noperm"],
)  # fmt: skip
def test_an_account_without_rights_is_treated_as_the_real_one_did(moodle: MoodleStandIn, name: str) -> None:
    moodle.settings.rights = False
    real, ours = replay(moodle, name)
    assert differences(real, ours) == []
    if isinstance(real, dict) and "errorcode" in real:
        assert ours == real


def test_a_suspended_enrolment_is_not_enrolled(moodle: MoodleStandIn) -> None:
    moodle.site.enrolments[8, 4].suspended = True
    real, ours = replay(moodle, "susp-enrol-1-completion")
    assert ours == real


def test_a_deleted_user_is_still_there_without_an_address(moodle: MoodleStandIn) -> None:
    moodle.site.delete(8)
    real, ours = replay(moodle, "deleted-user")
    assert differences(real, ours) == []
    assert ours[0]["username"] == real[0]["username"]
    assert "@" not in ours[0]["email"]
    assert replay(moodle, "deleted-completion")[1] == replay(moodle, "deleted-completion")[0]


def test_the_site_can_be_down_in_three_ways(moodle: MoodleStandIn) -> None:
    body = urlencode({"wstoken": TOKEN, "wsfunction": "core_webservice_get_site_info", "moodlewsrestformat": "json"})
    moodle.settings.webservices = False
    real = capture("http-403-webservices-disabled")["response"]
    assert post(moodle, body)[::2] == (real["status"], real["body_raw"].encode())
    moodle.settings.maintenance = True
    status, headers, page = post(moodle, body)
    real = capture("http-503-maintenance")["response"]
    assert (status, headers["retry-after"]) == (real["status"], dict(real["headers"])["Retry-After"])
    assert page.startswith(b"<!DOCTYPE html>")


def test_knows_the_learner_of_the_captured_webhook(moodle: MoodleStandIn) -> None:
    event = capture("local_webhooks-3.0.5-course_completed-by-learner")["body_json"]
    ours = moodle.completed_event(3, 2, token=event["token"], at=event["timecreated"])
    assert ours | {"extra": event["extra"]} == event
    user = call(moodle, "core_user_get_users_by_field", field="id", **{"values[0]": event["relateduserid"]})[0]
    assert user["fullname"] == "José O'Brien & Sons"
    asked = {"courseid": event["courseid"], "userid": event["relateduserid"]}
    status = call(moodle, "core_completion_get_course_completion_status", **asked)
    assert status["completionstatus"]["completed"] is True


def test_a_new_learner_can_complete(moodle: MoodleStandIn) -> None:
    moodle.site.add(User(20, "new", "New", "Learner", "new@example.invalid"))
    moodle.site.enrol(20, 2)
    asked = {"courseid": "2", "userid": "20"}
    function = "core_completion_get_course_completion_status"
    assert call(moodle, function, **asked)["completionstatus"]["completed"] is False
    assert moodle.site.complete(20, 2, at=1795400000).id == 13
    assert call(moodle, function, **asked)["completionstatus"]["completions"][0]["timecompleted"] == 1795400000


def test_list_indexes_need_not_start_at_0(moodle: MoodleStandIn) -> None:
    real, ours = replay(moodle, "users-bulk")
    assert [user["id"] for user in ours] == [user["id"] for user in real]


def test_slashes_are_escaped_as_php_does(moodle: MoodleStandIn) -> None:
    body = post(moodle, urlencode({"wstoken": TOKEN, "wsfunction": "core_webservice_get_site_info",
                                   "moodlewsrestformat": "json"}))[2]  # fmt: skip
    assert b"http:\\/\\/127.0.0.1" in body


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "GET"}, "method"),
        ({"path": "/webservice/rest/server.php?wstoken=x"}, "URL"),
        ({"path": "/rest.php"}, "path"),
        ({"kind": "application/json"}, "Content-Type"),
        ({"form": {"moodlewsrestformat": "xml"}}, "XML"),
        ({"form": {"wstoken": "wrong"}}, "invalidtoken"),
        ({"form": {"wsfunction": "core_user_nosuch"}}, "external_functions"),
        ({"form": {"surprise": "1"}}, "no parameter surprise"),
        ({"form": {"field": ""}}, "not allowed"),
        ({"form": {"values[0][x]": "1"}}, "used as value and as list"),
        ({"form": {"values": "3"}}, "there twice"),
        ({"form": {"values[0": "3"}}, "form key"),
    ],
)
def test_remembers_what_it_refused_and_why(moodle: MoodleStandIn, changes: dict[str, Any], reason: str) -> None:
    form = {
        "wstoken": TOKEN,
        "wsfunction": "core_user_get_users_by_field",
        "moodlewsrestformat": "json",
        "field": "id",
        "values[0]": "3",
    }
    form |= changes.pop("form", {})
    post(moodle, urlencode(form), **changes)
    (refused,) = moodle.refused
    assert reason in refused.reason
    assert moodle.calls == []


def test_a_function_the_admin_forgot_is_an_access_exception(moodle: MoodleStandIn) -> None:
    moodle.settings.missing.add("core_notes_create_notes")
    real = capture("err-function-not-in-service")["response"]["body_json"]
    assert replay(moodle, "wb-note")[1] == real
    names = {entry["name"] for entry in call(moodle, "core_webservice_get_site_info")["functions"]}
    assert "core_notes_create_notes" not in names


def test_a_wrong_token_gets_the_real_answer(moodle: MoodleStandIn) -> None:
    form = {"wstoken": "x", "wsfunction": "core_webservice_get_site_info", "moodlewsrestformat": "json"}
    assert json.loads(post(moodle, urlencode(form))[2]) == capture("err-bad-token")["response"]["body_json"]


def test_names_accepted_calls(moodle: MoodleStandIn) -> None:
    call(moodle, "core_webservice_get_site_info")
    assert [one.name for one in moodle.calls] == ["core_webservice_get_site_info"]
    assert len(moodle.named("site_info")) == 1
    assert moodle.refused == []
