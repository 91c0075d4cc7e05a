"""Moodle asked instead of waited for: by its enrolments or by a report, with a plugin beside it or without any.

The numbers of the cases are those of the pain list that the connector was built from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flow.rig import Answer, Rig, sample
from flow.rig_settings import WEBHOOK_TOKEN
from flow.rig_vendors_b import NOON, Place, moodle
from vendors.faults import Mode

import connectors.moodle.enrolments
from bridge.core.models import State
from bridge.demo.vendors.moodle import MoodleStandIn

Site = Place[MoodleStandIn]
JOSE, LI, ANA, SUE = 3, 4, 5, 8
NO_PLUGIN: dict[str, Any] = {"webhook_token": None}
REPORT: dict[str, Any] = {"poll": {"report": "Recent completions"}}
ENROLMENTS: dict[str, Any] = {"poll": {"courses": "all"}}
WAYS = pytest.mark.parametrize("way", [REPORT, ENROLMENTS], ids=["report", "enrolments"])


@pytest.fixture
def site(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A Moodle without a plugin. José completed a course the day before, and so did Li."""
    with moodle(rig, monkeypatch, **NO_PLUGIN, since="2026-11-22") as made:
        yield made


def completes(site: Site, user: int, course: int = 2, **ago: float) -> None:
    """Lets somebody complete a course of which no plugin tells."""
    with site.vendor.lock:
        site.vendor.site.complete(user, course, int(site.clock.ago(**(ago or {"hours": 1})).timestamp()))


def heard(site: Site, user: int, course: int = 2) -> Answer:
    """Lets the plugin tell of a completion as it stands in Moodle."""
    at = site.vendor.site.completions[user, course].completed_at
    body = json.dumps(site.vendor.completed_event(user, course, token=WEBHOOK_TOKEN, at=at)).encode()
    answer = site.rig.post("moodle", body)
    site.settle()
    return answer


# -- without any plugin --------------------------------------------------------------------------


@WAYS
def test_a_moodle_without_any_plugin_is_a_complete_first_road(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]
) -> None:
    settings = {**NO_PLUGIN, **way, "since": "2026-11-22", "poll_every": None}
    with moodle(any_rig, monkeypatch, **settings) as site:
        with site.running() as rig:
            # Nobody says a word; the bridge asks as soon as it runs.
            rig.wait(lambda: site.row().cursor.get("ended_at"))
            site.settle()
            site.assert_loop_closed(2)
            names = {hit.version.data.recipient.name: hit.version.data.completed_on for hit in rig.certificates()}
            assert names == {"José O'Brien & Sons": (NOON - timedelta(days=1)).date()} | {
                "Xiaolong Li": (NOON - timedelta(days=1)).date()
            }
            assert {(note.userid, note.courseid) for note in rig.notes()} == {(JOSE, 2), (LI, 3)}
            body, headers = sample("course_completed-by-learner")
            assert rig.post("moodle", body, headers).status == 401
        site.set("poll_every", "off")
        with site.running() as rig:
            site.clock.forward(minutes=15)
            assert site.poll().new == ()
            completes(site, ANA, minutes=3)
            assert len(site.poll().new) == 1
            site.assert_loop_closed(3)
            assert site.reconciled() == []


def test_what_was_there_before_the_first_contact_is_left_for_somebody_to_choose(site: Site) -> None:
    site.set("since", None)
    with site.running():
        assert site.poll().new == ()
        site.clock.forward(minutes=15)
        completes(site, ANA, minutes=1)
        assert len(site.poll().new) == 1
        listed = site.command("past", "moodle", "--since", "2026-11-22")
        assert "José O'Brien & Sons" in listed
        assert "Xiaolong Li" in listed
        site.command("past", "moodle", "--since", "2026-11-22", "--issue", "all", "--yes")
        site.assert_loop_closed(3)


def test_a_large_site_is_looked_through_in_parts_over_restarts_and_nobody_is_left_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connectors.moodle.enrolments, "LEARNERS_A_POLL", 2)
    site.set("since", "2026-11-01")
    site.set("poll", {"courses": ["4"]})
    found = []
    for _ in range(3):
        with site.running():
            found.append(len(site.poll().new))
    assert found == [2, 2, 0]
    with site.running():
        site.assert_loop_closed(4)


def test_a_look_into_the_past_of_a_large_site_goes_on_until_everybody_was_looked_at(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connectors.moodle.enrolments, "LEARNERS_A_POLL", 1)
    site.set("poll", {"courses": ["2", "3"]})
    site.set("since", None)
    with site.running():
        assert "Not everything was looked at yet" in site.command("poll", "moodle")
        listed = site.command("past", "moodle", "--since", "2026-11-22")
        assert "José O'Brien & Sons" in listed
        assert "Xiaolong Li" in listed
        assert "not whole" not in listed


# -- beside a plugin -----------------------------------------------------------------------------


@WAYS
def test_case_05_a_webhook_that_got_lost_is_found_by_the_poll_and_told_as_reconciled(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]
) -> None:
    with moodle(rig, monkeypatch, **way, since="2026-11-22") as site, site.running():
        heard(site, JOSE)
        site.poll()
        site.clock.forward(hours=2)
        completes(site, ANA)
        assert "moodle: 1 new (1 of them no webhook told of)" in site.command("poll", "moodle")
        site.assert_loop_closed(3)
        assert site.reconciled() == [{"source": "moodle", "events": [rig.events()[-1].id], "count": 1}]


@WAYS
def test_webhook_and_poll_in_any_order_and_a_restart_make_one_certificate(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]
) -> None:
    with moodle(rig, monkeypatch, **way, since="2026-11-22") as site:
        with site.running():
            heard(site, JOSE)
            polled = site.poll()
            assert (len(polled.new), polled.known) == (1, 1)
        with site.running():
            heard(site, LI, 3)
            assert rig.events()[-1].code == "already_issued"
            assert site.poll().new == ()
            site.assert_loop_closed(2)


@WAYS
def test_case_15_a_course_that_was_reset_and_completed_again_is_found_and_renewed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]
) -> None:
    with moodle(rig, monkeypatch, **NO_PLUGIN, **way, since="2026-11-22") as site:
        rig.mapping("moodle", "extends: moodle\nother_courses: issue\nevery_course: {again: renew}\n")
        with site.running():
            site.poll()
            site.vendor.site.reset(JOSE, 2)
            assert site.poll().new == ()
            site.clock.forward(days=20)
            completes(site, JOSE)
            assert len(site.poll().new) == 1
            site.assert_loop_closed(3)
            assert rig.renews(rig.certificates()[-1])


def test_a_webhook_that_moodles_cron_left_unconfirmed_is_overtaken_by_the_poll(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moodle(rig, monkeypatch, **ENROLMENTS, since="2026-11-22") as site, site.running():
        site.poll()
        heard(site, ANA)
        for _ in range(7):
            site.tried_again()
        early = rig.events()[-1]
        assert (early.state, early.code) == (State.HELD, "unconfirmed")
        completes(site, ANA)
        assert len(site.poll().new) == 1
        site.assert_loop_closed(3)
        # What was held does no harm: worked on again, it is the same completion.
        site.command("events", "replay", "--held", "--source", "moodle", "--yes")
        assert rig.event(early.id).code == "already_issued"
        site.assert_loop_closed(3)


@pytest.mark.parametrize(("way", "found"), [(REPORT, 1), (ENROLMENTS, 0)], ids=["report", "enrolments"])
def test_case_13_a_suspended_enrolment_is_in_the_report_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any], found: int
) -> None:
    with moodle(rig, monkeypatch, **NO_PLUGIN, **way, since="2026-11-22") as site, site.running():
        site.poll()
        completes(site, SUE)
        site.vendor.site.enrolments[SUE, 2].suspended = True
        assert len(site.poll().new) == found
        site.assert_loop_closed(2 + found)


# -- what an admin has set wrong -----------------------------------------------------------------


def test_a_report_in_another_language_and_zone_says_what_to_set_and_nothing_is_lost_or_doubled(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moodle(rig, monkeypatch, **REPORT, since="2026-11-22") as site, site.running():
        settings = site.vendor.settings
        settings.language, settings.zone = "de", ZoneInfo("Europe/Berlin")
        assert site.fails_to_poll().stable_code in ("report_language", "report_columns")
        assert "English" in site.command("doctor", "moodle", fails=True)
        settings.language = "en"
        assert len(site.poll().new) == 2
        assert "times in another zone than UTC" in site.command("doctor", "moodle")
        # The date is Moodle's own all the same, and the true time is the same completion.
        assert {hit.completion.completed_at.hour for hit in rig.certificates() if hit.completion.completed_at} == {13}
        settings.zone = ZoneInfo("UTC")
        assert site.poll().new == ()
        heard(site, JOSE)
        site.assert_loop_closed(2)


@pytest.mark.parametrize(
    ("way", "lacks"),
    [
        (REPORT, "moodle/reportbuilder:viewall"),
        (ENROLMENTS, "moodle/course:viewparticipants"),
        # Nobody teaches in course 4, so that nobody at all is shown.
        ({"poll": {"courses": ["4"]}}, "moodle/user:viewdetails"),
    ],
)
def test_case_28_a_right_that_is_missing_is_named_by_poll_and_doctor_and_the_next_poll_finds_everything(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any], lacks: str
) -> None:
    settings = {**NO_PLUGIN, **way, "since": "2026-11-01", "poll_every": "1 day"}
    with moodle(rig, monkeypatch, **settings) as site:
        site.vendor.settings.lacks = {lacks}
        with site.running():
            rig.wait(site.poll_error)
            assert lacks in (site.poll_error() or "")
            told = site.command("doctor", "moodle", fails=True)
            assert "The last poll failed" in told
            assert told.count(lacks) >= 2
            site.vendor.settings.lacks = set()
            found = len(site.poll().new)
            assert found >= 4
            site.assert_loop_closed(found)
            assert "The last poll failed" not in site.command("doctor", "moodle")


# -- Moodle in trouble ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "code"),
    [("503-html", "http_503"), ("dbconnectionfailed", "moodle_error"), ("debug-before-json", "not_json")],
)
def test_a_poll_that_breaks_off_half_way_keeps_what_it_found_and_finds_the_rest_later(
    site: Site, monkeypatch: pytest.MonkeyPatch, mode: Mode, code: str
) -> None:
    monkeypatch.setattr(connectors.moodle.enrolments, "_COMMIT_EVERY", 1)
    site.faults.next(1, mode, lambda call: call.name.endswith("users_courses") and b"userid=4&" in call.body)
    with site.running() as rig:
        assert site.fails_to_poll().stable_code == code
        assert len(rig.certificates()) == 1
    with site.running():
        assert not site.due()
        site.clock.forward(minutes=15)
        assert site.due()
        assert len(site.poll().new) == 1
        site.assert_loop_closed(2)


def test_too_many_requests_let_the_poll_rest_as_well(site: Site) -> None:
    site.faults.next(1, "429", "core_enrol_get_enrolled_users", seconds=1800)
    with site.running():
        assert site.fails_to_poll().stable_code == "http_429"
        assert 1790 < (site.rests_for() or 0) <= 1800
        site.clock.forward(minutes=20)
        assert not site.due()
        site.clock.forward(minutes=20)
        assert site.due()
        site.poll()
        site.assert_loop_closed(2)


# -- what people do at the command line ----------------------------------------------------------


def test_an_admin_lists_the_courses_asks_about_one_learner_and_tries_everything(site: Site) -> None:
    site.set("since", "2026-01-01")
    with site.running() as rig:
        listed = site.command("sources", "courses", "moodle")
        assert "2: Health & Safety Basics # SAFE101" in listed
        assert "Capture Site" not in listed
        told = site.command("doctor", "moodle")
        assert "Learners can be read, with their addresses." in told
        assert "Notes can be read." in told
        assert "Moodle has no API to register webhooks" in site.command("sources", "connect", "moodle", fails=True)
        site.command("sources", "ask", "moodle", str(JOSE))
        site.assert_loop_closed(2)
        for same in ("learner1", "jose.obrien@example.invalid"):
            site.command("sources", "ask", "moodle", same)
        site.assert_loop_closed(2)
        assert {note.courseid for note in rig.notes()} == {2, 4}
        assert "shows no user" in site.command("sources", "ask", "moodle", "nobody", fails=True)
        site.vendor.settings.missing = {"core_notes_create_notes"}
        assert "The token may not call core_notes_create_notes" in site.command("doctor", "moodle", fails=True)
