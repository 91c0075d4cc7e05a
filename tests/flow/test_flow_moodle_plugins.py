"""Moodle's plugins through a whole bridge: each dialect from the webhook to what stands in Moodle afterwards.

The numbers of the cases are those of the pain list that the connector was built from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flow.rig import Answer, Rig, changed, sample
from flow.rig_settings import WEBHOOK_TOKEN
from flow.rig_vendors_b import NOON, Place, moodle, number

from bridge.core import certificate_id
from bridge.core.models import SignedRequest, State
from bridge.demo.vendors.moodle import MoodleStandIn
from bridge.demo.vendors.moodle_site import Course, User

Site = Place[MoodleStandIn]
JOSE, LI, ANA = 3, 4, 5
COMPLETED = "course_completed-by-learner"
EVERYTHING = {
    "note": True,
    "profile_field": "certificateid",
    "profile_list": "certificates",
    "activities": {"2": "3"},
    "message": True,
}
STEPS = ["note", "profile_field", "profile_list", "activity", "message"]
SIGNING = "whsec_bW9vZGxlLXNhbXBsZS1zaWduaW5nLWtl"


@dataclass(frozen=True)
class Plugin:
    """One way in which a Moodle tells of a completion."""

    sample: str
    settings: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    """What the plugin puts behind the address."""
    signed_now: bool = False
    """Its proof holds for minutes only, so that the sample is signed anew."""

    def send(self, site: Site, *, forged: bool = False) -> Answer:
        """Posts the sample, with the secret or with another one, and waits until it is through."""
        body, headers = sample(self.sample)
        if self.signed_now:
            connector = site.rig.bridge.sources["moodle"].connector
            signed: SignedRequest = connector.sign(body, headers, datetime.now(UTC))
            body, headers = signed.body, dict(signed.headers)
        if forged:
            body = body.replace(WEBHOOK_TOKEN.encode(), b"another-token-of-theirs")
            headers = {name: _other(name, value) for name, value in headers.items()}
        answer = site.rig.post("moodle", body, headers, self.path)
        site.settle()
        return answer


def _other(name: str, value: str) -> str:
    others = {
        "X-Bridge-Token": "another-token-of-theirs",
        "Authorization": "Basic bHJzdXNlcjphbm90aGVyLXBhc3M=",
        "webhook-signature": "v1," + "A" * 43 + "=",
    }
    return others.get(name, value)


TRIGGER = {"plugin": "tool_trigger", "token_header": "X-Bridge-Token"}
PLUGINS = {
    "local_webhooks-3": Plugin(COMPLETED),
    "local_webhooks-5": Plugin("course_completed-local_webhooks-5.SYNTHETIC"),
    "tool_trigger-form": Plugin("tool_trigger/form", TRIGGER),
    "tool_trigger-json": Plugin("tool_trigger/json-corrupted-by-ampersand", TRIGGER),
    "logstore_xapi": Plugin(
        "xapi/statements-default-actor", {"plugin": "logstore_xapi", "webhook_token": "lrspass-"}, "statements"
    ),
    "local_webhookengine": Plugin(
        "webhookengine/course_completed-by-teacher.SYNTHETIC",
        {"plugin": "local_webhookengine", "webhook_token": SIGNING},
        signed_now=True,
    ),
}


@pytest.fixture
def site(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A Moodle with local_webhooks into which everything is written that can be."""
    with moodle(rig, monkeypatch, write_back=EVERYTHING) as made:
        yield made


def told(site: Site, user: int = JOSE, course: int = 2) -> bytes:
    """Returns what local_webhooks posts of a completion as it stands in Moodle."""
    at = site.vendor.site.completions[user, course].completed_at
    return json.dumps(site.vendor.completed_event(user, course, token=WEBHOOK_TOKEN, at=at)).encode()


def completes(site: Site, user: int = JOSE, course: int = 2, **ago: float) -> None:
    """Lets somebody complete a course, and the plugin tell of it."""
    site.vendor.site.complete(user, course, int(site.clock.ago(**(ago or {"minutes": 1})).timestamp()))
    assert site.rig.post("moodle", told(site, user, course)).status == 200
    site.settle()


def profile(site: Site, user: int = JOSE) -> dict[str, Any]:
    """Returns the two profile fields, the list as what it holds."""
    with site.vendor.lock:
        kept = dict(site.vendor.site.users[user].profile)
    return {"latest": kept.get("certificateid"), "all": json.loads(kept.get("certificates") or "[]")}


# -- every plugin --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_brings_the_same_certificate_and_closes_the_loop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plugin = PLUGINS[name]
    with moodle(rig, monkeypatch, **plugin.settings) as site, site.running():
        assert plugin.send(site, forged=True).status == 401
        assert plugin.send(site).status == 200
        # Every plugin may send the same once more, and only 200 ends it for all of them (7).
        again = plugin.send(site)
        assert again.status == 200
        site.assert_loop_closed()
        said = rig.certificate().version.data
        assert (said.recipient.name, said.course.title) == ("José O'Brien & Sons", "Health & Safety Basics")
        assert said.completed_on == (NOON - timedelta(days=1)).date()
        (note,) = rig.notes()
        assert (note.userid, note.courseid) == (JOSE, 2)
        assert number(rig) in note.content
        assert [row.deliveries for row in rig.events()] == [2]
        if plugin.path == "statements":
            assert again.json() == [str(rig.event().id)]


def test_everything_that_can_be_written_is_written_in_order_and_read_back(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moodle(any_rig, monkeypatch, write_back=EVERYTHING) as site, site.running() as rig:
        PLUGINS["local_webhooks-3"].send(site)
        site.assert_loop_closed()
        assert [step for step, _, _ in site.steps()] == STEPS
        url = rig.bridge.publisher.url(rig.certificate().certificate.id)
        entry = {"certificate": number(rig), "course": "2", "on": "2026-11-22", "url": url}
        assert profile(site) == {"latest": number(rig), "all": [entry]}
        with site.vendor.lock:
            assert site.vendor.site.activities[3, JOSE].state == 1
            ((learner, text),) = site.vendor.site.messages
        assert (learner, url in text) == (JOSE, True)


# -- one dialect at a time -----------------------------------------------------------------------


def test_case_29_a_batch_of_statements_sent_whole_again_brings_each_learner_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, headers = sample("xapi/statements-default-actor")
    course, activity = json.loads(body)
    other = json.loads(json.dumps(course))
    other["actor"]["account"]["name"] = str(LI)
    batch = json.dumps([course, activity, other]).encode()
    with moodle(rig, monkeypatch, **PLUGINS["logstore_xapi"].settings) as site, site.running():
        site.vendor.site.complete(LI, 2, int(NOON.timestamp()) - 3600)
        for _ in range(2):
            answer = rig.post("moodle", batch, headers, "statements")
            assert (answer.status, len(answer.json())) == (200, 2)
            site.settle()
        site.assert_loop_closed(2)
        assert {hit.version.data.recipient.name for hit in rig.certificates()} == {"José O'Brien & Sons", "Xiaolong Li"}


def test_case_09_an_id_that_the_workflow_does_not_know_is_answered_200_and_says_what_to_change(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, headers = sample("tool_trigger/form")
    body = b"eventname=%5Ccore%5Cevent%5Ccourse_completed&objectid={nosuchfield}&relateduserid=3&courseid=2"
    with moodle(rig, monkeypatch, **TRIGGER) as site, site.running():
        answer = rig.post("moodle", body, headers)
        assert (answer.status, answer.json()["outcome"]) == (200, "unreadable")
        assert rig.event().state is State.FAILED
        assert "objectid={objectid}" in (rig.event().reason or "")


def test_case_21_two_moodles_on_one_host_are_two_sources_and_their_numbers_do_not_mix(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        site = stack.enter_context(moodle(rig, monkeypatch))
        other = stack.enter_context(MoodleStandIn(token="token-of-the-other-moodle"))
        other.site.add(User(JOSE, "mila", "Mila", "Novak", "mila@example.invalid"), Course(2, "Welding", "WELD"))
        both = dict(rig.settings["sources"]["moodle"])
        rig.set(
            "sources.other", {**both, "url": other.url, "token": other.token, "webhook_token": "token-of-the-other"}
        )
        with site.running():
            completes(site)
            body = changed(told(site), token="token-of-the-other")
            assert rig.post("moodle", body).status == 401
            assert rig.post("other", body).status == 200
            site.settle()
            site.assert_loop_closed(2)
            titles = {hit.version.data.recipient.name: hit.version.data.course.title for hit in rig.certificates()}
            assert titles == {"José O'Brien & Sons": "Health & Safety Basics", "Mila Novak": "Welding"}
            assert len(other.site.notes) == 1


# -- once more, and taken back -------------------------------------------------------------------


def test_case_15_a_course_that_was_reset_renews_and_every_place_shows_what_it_should(site: Site) -> None:
    site.rig.mapping("moodle", "extends: moodle\nother_courses: issue\nevery_course: {again: renew}\n")
    with site.running() as rig:
        completes(site, days=300)
        site.vendor.site.reset(JOSE, 2)
        completes(site)
        site.assert_loop_closed(2)
        old, new = number(rig, 0), number(rig, 1)
        assert rig.renews(rig.certificates()[1]) == rig.certificates()[0].certificate.id
        shown = profile(site)
        assert shown["latest"] == new
        assert [entry["certificate"] for entry in shown["all"]] == [old, new]
        assert len(rig.notes()) == 2
        assert len(site.vendor.site.messages) == 2


def test_a_bundle_of_courses_completed_at_once_leaves_every_number_in_the_list(site: Site) -> None:
    site.set("write_back", {"note": False, "profile_list": "certificates", "profile_field": "certificateid"})
    moment = int(NOON.timestamp()) - 60
    with site.running() as rig:
        bodies = []
        for course in (2, 3, 4):
            site.vendor.site.complete(JOSE, course, moment)
            bodies.append(told(site, JOSE, course))
        assert {answer.status for answer in rig.post_at_once(bodies)} == {200}
        site.settle()
        site.assert_loop_closed(3)
        ours = {certificate_id.grouped(hit.certificate.id) for hit in rig.certificates()}
        assert {entry["certificate"] for entry in profile(site)["all"]} == ours
        assert profile(site)["latest"] in ours


def test_a_revoked_certificate_is_taken_back_everywhere(site: Site) -> None:
    with site.running() as rig:
        completes(site)
        site.command("certificates", "revoke", number(rig), "--yes", "--reason", "Issued to the wrong person")
        assert all(row.state is State.DONE for row in rig.deliveries()), rig.story()
        assert profile(site) == {"latest": "", "all": []}
        assert [note.content.split(":")[0].split()[-1] for note in rig.notes()] == ["issued", "revoked"]
        with site.vendor.lock:
            assert site.vendor.site.activities[3, JOSE].state == 0
            assert len(site.vendor.site.messages) == 1


# -- many at once, and people who are not there any more -----------------------------------------


def test_case_18_and_19_a_burst_from_cron_is_held_above_the_usual_number(site: Site) -> None:
    site.set("hold_above", 2)
    site.rig.set("limits.workers", 1)
    with site.running() as rig:
        rig.post_at_once([told(site, user, 4) for user in (3, 4, 5, 8)])
        site.settle()
        assert sorted(str(row.code) for row in rig.events()) == ["flood", "flood", "issued", "issued"]
        site.command("events", "release", "--code", "flood", "--source", "moodle", "--yes", "--reason", "an exam day")
        assert [row.code for row in rig.events()].count("issued") + [row.code for row in rig.events()].count(
            "glyphs"
        ) == 4


def test_case_13_a_suspended_learner_gets_the_certificate_and_the_note(site: Site) -> None:
    with site.running() as rig:
        at = int(site.clock.ago(minutes=1).timestamp())
        site.vendor.site.complete(JOSE, 2, at)
        site.vendor.site.enrolments[JOSE, 2].suspended = True
        site.vendor.site.users[JOSE].suspended = True
        rig.post("moodle", told(site))
        site.settle()
        site.assert_loop_closed()


def test_case_14_a_learner_who_is_deleted_before_the_write_back_keeps_the_certificate(site: Site) -> None:
    site.faults.next(1, "503-html", "core_notes_get_course_notes")
    with site.running() as rig:
        completes(site)
        site.vendor.site.delete(JOSE)
        site.tried_again()
        assert site.steps()[0] == ("note", State.FAILED, "note_refused")
        assert {state for _, state, _ in site.steps()[1:]} == {State.HELD}
        assert rig.certificate().certificate.state == "issued"
        assert len(rig.mails()) == 1


# -- Moodle in trouble ---------------------------------------------------------------------------

WRITES = {
    "core_notes_create_notes": "note",
    "core_user_update_users": "profile_field",
    "core_completion_override_activity_completion_status": "activity",
}


@pytest.mark.parametrize("function", WRITES)
def test_what_was_written_while_the_connection_broke_is_not_written_twice(site: Site, function: str) -> None:
    site.faults.next(1, "commit-then-drop", function)
    with site.running():
        completes(site)
        broken = next(row for row in site.write_backs() if row.state is not State.DONE)
        assert (broken.step, broken.state, broken.code) == (WRITES[function], State.RETRYING, "connection")
    with site.running() as rig:
        site.tried_again()
        site.assert_loop_closed()
        assert len(rig.notes()) == len(site.vendor.site.messages) == 1
        assert profile(site)["latest"] == number(rig)
        assert len(profile(site)["all"]) == 1


@pytest.mark.parametrize("mode", ["commit-then-drop", "drop"])
def test_a_message_of_which_nobody_knows_whether_it_arrived_is_not_sent_twice(site: Site, mode: Any) -> None:
    site.faults.next(1, mode, "core_message_send_instant_messages")
    with site.running():
        completes(site)
        assert site.steps()[-1] == ("message", State.RETRYING, "connection")
    with site.running():
        site.tried_again()
        row = site.write_backs()[-1]
        assert row.state is State.DONE
        assert (row.receipt or {})["confirmed"] is False
        assert "not sent twice" in (row.receipt or {})["summary"]
        assert len(site.vendor.site.messages) == (1 if mode == "commit-then-drop" else 0)


def test_a_right_that_is_missing_is_named_and_what_waits_goes_on_once_it_is_there(site: Site) -> None:
    site.vendor.settings.lacks = {"moodle/notes:manage"}
    with site.running() as rig:
        completes(site)
        first, *later = site.write_backs()
        assert (first.state, first.code) == (State.FAILED, "nopermissions")
        assert "moodle/notes:manage" in (first.reason or "")
        assert {row.code for row in later} == {"waits_for"}
        assert len(rig.mails()) == 1
        site.vendor.settings.lacks = set()
        site.command("outbox", "replay", "--failed", "--yes")
        site.assert_loop_closed()


def test_case_28_a_learner_whom_the_account_may_not_see_fails_with_the_name_of_the_right(site: Site) -> None:
    site.vendor.settings.lacks = {"moodle/user:viewdetails"}
    with site.running() as rig:
        completes(site)
        assert (rig.event().state, rig.event().code) == (State.FAILED, "user_not_shown")
        assert "moodle/user:viewdetails" in (rig.event().reason or "")
        site.vendor.settings.lacks = set()
        site.command("events", "replay", "--failed", "--yes")
        site.assert_loop_closed()


def test_case_27_a_token_that_ended_says_so_in_both_words_that_moodle_has_for_it(site: Site) -> None:
    site.vendor.settings.token_expired = True
    with site.running() as rig:
        completes(site)
        assert rig.event().code == "accessexception"
        assert "expiry date" in (rig.event().reason or "")
        site.command("events", "replay", "--failed", "--yes")
        assert rig.event().code == "invalidtoken"
        assert "Make a new one" in (rig.event().reason or "")
        assert "Make a new one" in site.command("doctor", "moodle", fails=True)


def test_case_24_and_25_what_moodle_swallows_without_a_word_is_noticed(site: Site) -> None:
    site.set("write_back", {"note": False, "profile_field": "nosuchfield", "message": True})
    site.vendor.settings.unwilling = {JOSE}
    with site.running() as rig:
        completes(site)
        assert site.steps() == [("profile_field", State.FAILED, "field_missing"), ("message", State.HELD, "waits_for")]
        assert "no profile field with the short name 'nosuchfield'" in (site.write_backs()[0].reason or "")
    site.set("write_back.profile_field", "certificateid")
    with site.running() as rig:
        completes(site, ANA)
        assert [row.state for row in site.write_backs()[2:]] == [State.DONE, State.DONE]
        completes(site, JOSE, 3)
        assert site.steps()[-1] == ("message", State.FAILED, "message_refused")
        assert len(rig.mails()) == 3


def test_too_many_requests_let_the_source_rest(site: Site) -> None:
    site.faults.next(1, "429", "core_completion_get_course_completion_status", seconds=120)
    with site.running() as rig:
        completes(site)
        assert rig.event().code == "http_429"
        assert 110 < (site.rests_for() or 0) <= 120
        site.tried_again(seconds=121)
        site.assert_loop_closed()


def test_a_moodle_that_is_silent_is_asked_again(site: Site) -> None:
    site.rig.set("limits.read_seconds", 2)
    site.faults.next(1, "slow", "core_course_get_courses_by_field", seconds=5)
    with site.running() as rig:
        completes(site)
        assert (rig.event().state, rig.event().code) == (State.RETRYING, "timeout")
        site.tried_again()
        site.assert_loop_closed()


# -- the number of the latest certificate ----------------------------------------------------------


def _two_courses(site: Site) -> tuple[str, str]:
    """One learner completes two courses; the numbers of both certificates, the older completion first."""
    site.vendor.site.add(Course(9, "Welding", "WELD"))
    site.rig.mapping("moodle", "extends: moodle\nother_courses: issue\n")
    completes(site, days=20)
    completes(site, course=9)
    return number(site.rig, 0), number(site.rig, 1)


def test_case_moodle_3_the_field_for_the_latest_certificate_never_goes_back_to_an_older_one(site: Site) -> None:
    site.set("write_back", {"note": True, "profile_field": "certificateid"})
    with site.running() as rig:
        old, new = _two_courses(site)
        assert profile(site)["latest"] == new
        rig.certbridge("certificates", "correct", old, "--set", "recipient.name=J. O'Brien", "--reason", "shorter")
        rig.certbridge("certificates", "replay", old, "--write-back")
        older = [row for row in rig.deliveries("write_back") if row.certificate_id == old.replace("-", "")]
        for row in older[-2:]:
            rig.certbridge("outbox", "replay", str(row.id))
            rig.wait_settled()
            assert profile(site)["latest"] == new, rig.story()
        assert len({row.step for row in older[-2:]}) == 2


def test_case_moodle_3_revoking_the_newest_leaves_the_newest_valid_one_and_nothing_when_there_is_none(
    site: Site,
) -> None:
    site.set("write_back", {"note": False, "profile_field": "certificateid"})
    with site.running() as rig:
        old, new = _two_courses(site)
        for identifier, left in ((new, old), (old, None)):
            rig.certbridge("certificates", "revoke", identifier, "--reason", "by mistake", "--yes")
            rig.wait_settled()
            assert profile(site)["latest"] in (left, "" if left is None else left)
        assert {row.state for row in rig.deliveries("write_back")} == {State.DONE}
