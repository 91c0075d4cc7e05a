"""What a poll sees of the Moodle stand-in: reports in every shape an admin gives them, participants, courses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vendors_selftest.captures import differences
from vendors_selftest.moodle_calls import TOKEN, call, replay

from bridge.demo.vendors.moodle import MoodleStandIn


@pytest.fixture
def moodle() -> Iterator[MoodleStandIn]:
    with MoodleStandIn(token=TOKEN, clock=lambda: 1795353993.0) as stand_in:
        yield stand_in


def report(moodle: MoodleStandIn, **asked: str) -> Any:
    return call(moodle, "core_reportbuilder_retrieve_report", reportid="1", **asked)["data"]


@pytest.mark.parametrize("name", ["get-courses", "activities-completion"])
def test_answers_exactly_as_the_real_one(moodle: MoodleStandIn, name: str) -> None:
    real, ours = replay(moodle, name)
    assert ours == real


def test_lists_all_courses_or_those_asked_for(moodle: MoodleStandIn) -> None:
    assert [one["id"] for one in call(moodle, "core_course_get_courses")] == [1, 2, 3, 4, 5]
    asked = {"options[ids][0]": "4", "options[ids][1]": "99"}
    assert [one["shortname"] for one in call(moodle, "core_course_get_courses", **asked)] == ["DATE1"]
    raw = call(moodle, "core_course_get_courses", **{"options[ids][0]": "2"}, moodlewssettingraw="true")
    assert raw[0]["fullname"].startswith("Health & Safety <span")


def test_the_report_pages_through_all_rows(moodle: MoodleStandIn) -> None:
    rows, page = [], 0
    while batch := report(moodle, page=str(page), perpage="4")["rows"]:
        rows += batch
        page += 1
    assert len(rows) == report(moodle)["totalrowcount"] == 6
    assert len({tuple(row["columns"]) for row in rows}) == 6


def test_a_new_completion_is_the_first_row(moodle: MoodleStandIn) -> None:
    moodle.site.complete(5, 3, at=1795400059)
    row = report(moodle)["rows"][0]["columns"]
    assert "/user/profile.php?id=5" in row[0]
    assert "/course/view.php?id=3" in row[4]
    assert row[8] == "Monday, 23 November 2026, 2:14 AM"  # the 19 seconds are gone


def test_the_report_is_written_in_the_accounts_language(moodle: MoodleStandIn) -> None:
    moodle.settings.language = "de"
    data = report(moodle)
    assert data["headers"][7:9] == ["Abgeschlossen", "Abschlusszeit"]
    assert data["rows"][0]["columns"][7:9] == ["Ja", "Sonntag, 22. November 2026, 13:24"]


def test_the_admin_chooses_the_columns(moodle: MoodleStandIn) -> None:
    moodle.settings.report_columns = ["Time completed", "Username"]
    data = report(moodle, perpage="1")
    assert data["headers"] == ["Time completed", "Username"]
    assert data["rows"] == [{"columns": ["Sunday, 22 November 2026, 1:24 PM", "learner1"]}]


def test_the_admin_may_forget_the_condition(moodle: MoodleStandIn) -> None:
    moodle.settings.report_everyone = True
    data = report(moodle, perpage="100")
    assert data["totalrowcount"] == len(moodle.site.enrolments)
    assert {tuple(row["columns"][7:9]) for row in data["rows"][6:]} == {("No", "")}


def test_deleted_users_vanish_from_the_report(moodle: MoodleStandIn) -> None:
    moodle.site.delete(8)
    assert not any("Suspended" in row["columns"][0] for row in report(moodle)["rows"])


def participants(moodle: MoodleStandIn, **options: str) -> list[int]:
    form: dict[str, str] = {}
    for number, (name, value) in enumerate(options.items()):
        form |= {f"options[{number}][name]": name, f"options[{number}][value]": value}
    return [one["id"] for one in call(moodle, "core_enrol_get_enrolled_users", courseid="4", **form)]


def test_participants_by_state_order_and_page(moodle: MoodleStandIn) -> None:
    moodle.site.enrolments[8, 4].suspended = True
    assert participants(moodle) == [3, 4, 5, 8]
    assert participants(moodle, onlyactive="1") == [3, 4, 5]
    assert participants(moodle, onlysuspended="1") == [8]
    assert participants(moodle, sortby="firstname") == [5, 3, 8, 4]
    assert participants(moodle, sortby="id", sortdirection="DESC", limitfrom="1", limitnumber="2") == [5, 4]


@pytest.mark.parametrize("name", ["susp-enrol-1-enrolled-active", "susp-enrol-1-courses"])
def test_a_suspended_enrolment_is_seen_as_the_real_one(moodle: MoodleStandIn, name: str) -> None:
    for courseid in (2, 3, 4):
        moodle.site.enrolments[8, courseid].suspended = True
    replay(moodle, "wb-profile-field")
    del moodle.site.enrolments[3, 5]  # the capture is older than the fifth course
    real, ours = replay(moodle, name)
    assert differences(real, ours) == []
    assert [one["id"] for one in ours] == [one["id"] for one in real]
