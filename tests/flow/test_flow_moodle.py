"""What only Moodle brings: events ahead of cron, suspended and deleted learners, guests, resets, old completions."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from flow.rig import Answer, Rig, changed, sample
from flow.rig_settings import MOODLE_MAPPING, WEBHOOK_TOKEN

from bridge.core import certificate_id
from bridge.core.models import State
from bridge.store import inbox

COMPLETED = "course_completed-by-learner"
MAY = int(datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC).timestamp())
NOVEMBER = int(datetime(2026, 11, 20, 9, 0, tzinfo=UTC).timestamp())


def completed(rig: Rig, user: int = 3, course: int = 2, at: int = NOVEMBER) -> Answer:
    """Lets Moodle's plugin report the completion as it stands there."""
    return rig.post("moodle", json.dumps(rig.moodle.completed_event(user, course, token=WEBHOOK_TOKEN, at=at)).encode())


def again(rig: Rig, at: int) -> Answer:
    """Resets the learner's course and lets them complete it once more."""
    rig.moodle.site.reset(3, 2)
    rig.moodle.site.complete(3, 2, at)
    return completed(rig, at=at)


# -- is it true, and who is it -------------------------------------------------------------------


def test_an_event_ahead_of_moodles_cron_waits_until_moodle_confirms(live: Rig) -> None:
    number = completed(live, user=5).event
    live.wait_settled()
    row = live.event(number)
    assert (row.state, row.code) == (State.RETRYING, "unconfirmed")
    assert row.reason
    assert "Moodle's cron has not run since" in row.reason
    live.later()
    assert live.event(number).state is State.RETRYING
    live.moodle.site.complete(5, 2, NOVEMBER)
    live.later()
    assert live.event(number).state is State.DONE
    assert live.certificate().version.data.recipient.name == 'Ana Bold "Quoted"'


def test_a_completion_that_moodle_never_confirms_is_held_for_a_person(live: Rig) -> None:
    number = completed(live, user=5).event
    live.wait_settled()
    for _ in range(10):
        if live.event(number).state is not State.RETRYING:
            break
        live.later()
    row = live.event(number)
    assert (row.state, row.code, row.attempts) == (State.HELD, "unconfirmed", 7)
    assert live.certificates() == []


def test_a_learner_suspended_since_gets_the_certificate_with_the_date_of_the_event(live: Rig) -> None:
    live.moodle.site.enrolments[3, 2].suspended = True
    completed(live, at=NOVEMBER)
    live.wait_settled()
    assert live.event().state is State.DONE, live.story()
    assert live.certificate().version.data.completed_on.isoformat() == "2026-11-20"
    record = live.event().record
    assert record is not None
    assert record.data["completion"]["note"] == "usernotenroled"


def test_a_learner_deleted_since_is_held_because_there_is_no_address_any_more(live: Rig) -> None:
    answer = completed(live)
    live.wait_settled()
    assert len(live.certificates()) == 1
    live.moodle.site.complete(4, 2, NOVEMBER)
    body = live.moodle.completed_event(4, 2, token=WEBHOOK_TOKEN, at=NOVEMBER)
    live.moodle.site.delete(4)
    number = live.post("moodle", json.dumps(body).encode()).event
    assert number != answer.event
    live.wait_settled()
    row = live.event(number)
    assert row.state is State.HELD
    assert row.reason
    assert "deleted in Moodle" in row.reason
    assert len(live.certificates()) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"relateduserid": "1"}, "This is Moodle's guest account, not a learner."),
        ({"relateduserid": "-1"}, "Moodle names no learner (user -1 is the system itself)."),
        ({"courseid": "1"}, "This is about the front page of the site, not a course."),
    ],
)
def test_guests_the_system_and_the_front_page_get_no_certificate(
    live: Rig, changes: dict[str, str], reason: str
) -> None:
    body, _ = sample(COMPLETED)
    assert live.post("moodle", changed(body, **changes)).json()["reason"] == reason
    live.wait_settled()
    assert (live.event().state, live.event().code, live.event().reason) == (State.IGNORED, "not_wanted", reason)
    assert live.moodle.calls == []


def test_an_event_that_names_no_learner_is_held(live: Rig) -> None:
    body, _ = sample(COMPLETED)
    live.post("moodle", changed(body, relateduserid=None))
    live.wait_settled()
    assert (live.event().state, live.event().code) == (State.HELD, "no_learner")


# -- the start line ------------------------------------------------------------------------------


def test_a_completion_before_the_start_line_is_ignored_until_the_line_is_moved(rig: Rig) -> None:
    rig.moodle.site.complete(3, 2, MAY)
    rig.set("sources.moodle.since", "2026-11-01")
    with rig.running():
        number = completed(rig).event
        rig.wait_settled()
        row = rig.event(number)
        assert (row.state, row.code) == (State.IGNORED, "before_start")
        assert row.reason
        assert "completed on 2026-05-28, before the start line of this source" in row.reason
        assert rig.certificates() == []
    rig.set("sources.moodle.since", "2026-01-01")
    with rig.running():
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.certificate().version.data.completed_on.isoformat() == "2026-05-28"


def test_without_a_start_line_a_source_begins_when_it_is_first_started(rig: Rig) -> None:
    rig.set("sources.moodle.since", None)
    rig.moodle.site.complete(3, 2, MAY)
    with rig.running():
        completed(rig)
        rig.wait_settled()
        assert rig.event().code == "before_start"


def test_moving_the_start_line_leaves_what_was_issued_alone(rig: Rig) -> None:
    rig.moodle.site.complete(3, 2, MAY)
    with rig.running():
        number = completed(rig).event
        rig.wait_settled()
    rig.set("sources.moodle.since", "2026-11-01")
    with rig.running():
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert (rig.event(number).state, rig.event(number).code) == (State.DONE, "already_issued")


# -- once more -----------------------------------------------------------------------------------


def policy(rig: Rig, again: str) -> None:
    rig.mapping("moodle", MOODLE_MAPPING.replace("every_course:\n", f"every_course:\n  again: {again}\n"))
    rig.moodle.site.complete(3, 2, MAY)


def test_again_reuse_keeps_the_certificate_there_is(rig: Rig) -> None:
    policy(rig, "reuse")
    with rig.running():
        completed(rig)
        rig.wait_settled()
        number = again(rig, NOVEMBER).event
        rig.wait_settled()
        assert (rig.event(number).state, rig.event(number).code) == (State.DONE, "reused")
        assert "the last time was 2026-05-28" in rig.event(number).reason
        assert "`again: reuse`, the default" in rig.event(number).reason
        assert rig.certificate().version.data.completed_on.isoformat() == "2026-05-28"
        assert len(rig.notes()) == len(rig.mails()) == 1


def test_again_renew_makes_a_new_certificate_that_names_the_old_one(any_rig: Rig) -> None:
    policy(any_rig, "renew")
    with any_rig.running() as rig:
        completed(rig)
        rig.wait_settled()
        number = again(rig, NOVEMBER).event
        rig.wait_settled()
        assert rig.event(number).code == "issued"
        old, new = rig.certificates()
        assert (old.completion.cycle, new.completion.cycle) == (1, 2)
        assert rig.renews(new) == old.certificate.id
        assert new.version.data.completed_on.isoformat() == "2026-11-20"
        assert len(rig.notes()) == len(rig.mails()) == 2
        assert certificate_id.grouped(new.certificate.id) in rig.page(old.certificate.id).text
        # The first event, worked on once more with what Moodle said then, is still about the first.
        first = rig.events()[0].id
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, first, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.event(first).completion_id == old.completion.id
        assert len(rig.certificates()) == 2


def test_again_hold_asks_a_person_who_lets_it_become_a_renewal(rig: Rig) -> None:
    policy(rig, "hold")
    with rig.running():
        completed(rig)
        rig.wait_settled()
        number = again(rig, NOVEMBER).event
        rig.wait_settled()
        row = rig.event(number)
        assert (row.state, row.code) == (State.HELD, "completed_again")
        assert row.reason == (
            "José O'Brien & Sons completed Health & Safety Basics again on 2026-11-20; the last time was 2026-05-28. "
            "The mapping says `again: hold`: release this event to issue a new certificate."
        )
        assert len(rig.certificates()) == 1
        rig.bridge.store.transact(
            lambda tx: inbox.release(tx, number, overrides={"released": "yes"}, actor="test", reason="yearly")
        )
        rig.bridge.workers.wake()
        rig.wait_settled()
        old, new = rig.certificates()
        assert rig.renews(new) == old.certificate.id


def test_the_same_completion_told_with_another_row_is_not_a_renewal(rig: Rig) -> None:
    policy(rig, "renew")
    with rig.running():
        completed(rig)
        rig.wait_settled()
        # A restored or rebuilt Moodle counts its rows anew; learner, course and second are the same.
        body = changed(sample(COMPLETED)[0], objectid="77", timecreated=MAY + 60)
        number = rig.post("moodle", body).event
        rig.wait_settled()
        assert rig.event(number).code == "already_issued"
        assert len(rig.certificates()) == 1


def test_the_same_completion_told_a_minute_apart_is_not_a_renewal(rig: Rig) -> None:
    policy(rig, "renew")
    with rig.running():
        completed(rig)
        rig.wait_settled()
        # Another row and another second, as a report that knows only minutes would tell it.
        number = again(rig, MAY + 60).event
        rig.wait_settled()
        assert rig.event(number).code == "already_issued"
        assert len(rig.certificates()) == 1
