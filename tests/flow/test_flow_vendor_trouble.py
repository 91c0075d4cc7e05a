"""Vendors in trouble: what is tried again and when, what needs a person, and that none holds up another."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flow.rig import PATIENCE, Rig, changed, sample
from flow.test_flow_mapping import event
from vendors.faults import Faults, Mode

from bridge.core.models import State
from bridge.demo.vendors.stand_in import Answer, Call, Wire
from bridge.store import inbox, outbox

COMPLETED = "course_completed-by-learner"
CONFIRM = "core_completion_get_course_completion_status"
CREATE_NOTE = "core_notes_create_notes"


@pytest.mark.parametrize(
    ("mode", "code", "says"),
    [
        ("503-html", "http_503", "answered HTTP 503"),
        ("500", "http_500", "answered HTTP 500"),
        ("dbconnectionfailed", "moodle_error", "Database connection failed"),
        ("html-200", "not_json", "not pure JSON"),
        ("debug-before-json", "not_json", "debugging messages"),
        ("drop", "connection", "broke off"),
    ],
)
def test_a_platform_in_trouble_is_asked_again_and_then_the_certificate_comes(
    live: Rig, mode: Mode, code: str, says: str
) -> None:
    faults = Faults(live.moodle)
    faults.next(1, mode, CONFIRM)
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    row = live.event(number)
    assert (row.state, row.code) == (State.RETRYING, code), live.story()
    assert row.reason
    assert says in row.reason
    assert row.due_at is not None
    assert live.certificates() == []
    live.later()
    assert live.event(number).state is State.DONE
    assert live.certificate().certificate.state == "issued"
    assert not faults.pending
    failed, succeeded = live.attempts(inbox_id=number)
    assert (failed.n, failed.outcome, failed.code) == (1, "error", code)
    assert (succeeded.n, succeeded.outcome) == (2, "ok")
    assert failed.started_at < failed.ended_at


def test_a_platform_that_names_a_time_is_not_asked_before(live: Rig) -> None:
    Faults(live.moodle).next(1, "429", CONFIRM, seconds=120)
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    row = live.event(number)
    assert (row.state, row.code) == (State.RETRYING, "http_429")
    assert row.due_at is not None
    # The schedule alone would have said five seconds.
    assert timedelta(seconds=60) < row.due_at - datetime.now(UTC) <= timedelta(seconds=120)


def test_a_token_that_moodle_deleted_fails_at_once_with_advice_and_can_be_replayed(live: Rig) -> None:
    Faults(live.moodle).next(1, "invalidtoken", CONFIRM)
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    row = live.event(number)
    assert (row.state, row.code, row.due_at) == (State.FAILED, "invalidtoken", None)
    assert row.reason
    assert "Make a new one under Site administration, Server, Web services, Manage tokens" in row.reason
    live.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test"))
    live.bridge.workers.wake()
    live.wait_settled()
    assert live.event(number).state is State.DONE


def test_the_platform_sending_a_failed_event_again_revives_it(live: Rig) -> None:
    Faults(live.moodle).next(1, "invalidtoken", CONFIRM)
    live.post_sample(COMPLETED)
    live.wait_settled()
    assert live.event().state is State.FAILED
    live.post_sample(COMPLETED)
    live.wait_settled()
    assert (live.event().state, live.event().deliveries) == (State.DONE, 2)


def test_a_note_that_was_written_before_the_connection_broke_is_not_written_twice(any_rig: Rig) -> None:
    with any_rig.running() as rig:
        faults = Faults(rig.moodle)
        faults.next(1, "commit-then-drop", CREATE_NOTE)
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        row = rig.delivery("write_back")
        assert (row.state, row.code) == (State.RETRYING, "connection")
        assert len(rig.notes()) == 1
        # The certificate does not depend on it, nor does the mail.
        assert rig.certificate().certificate.state == "issued"
        assert len(rig.mails()) == 1
        rig.later()
        done = rig.delivery("write_back")
        assert done.state is State.DONE
        assert done.receipt is not None
        assert done.receipt["confirmed"] is True
        assert len(rig.notes()) == 1
        assert len(rig.moodle.named(CREATE_NOTE)) == 1
        assert not faults.pending


def test_notes_switched_off_in_moodle_fail_with_advice_and_replaying_writes_the_note(live: Rig) -> None:
    live.moodle.settings.notes = False
    live.post_sample(COMPLETED)
    live.wait_settled()
    row = live.delivery("write_back")
    assert (row.state, row.code) == (State.FAILED, "notesdisabled")
    assert row.reason
    assert "Advanced features" in row.reason
    live.moodle.settings.notes = True
    live.bridge.store.transact(lambda tx: outbox.replay(tx, row.id, actor="test"))
    live.bridge.workers.wake()
    live.wait_settled()
    assert live.delivery("write_back").state is State.DONE
    assert len(live.notes()) == 1


def test_a_learner_who_is_gone_at_the_platform_keeps_a_valid_certificate(live: Rig) -> None:
    body = event(live)
    del live.thinkific.school.users[123456]
    live.post_signed(body)
    live.wait_settled()
    row = live.delivery("write_back")
    assert (row.state, row.code) == (State.FAILED, "user_gone")
    assert row.reason == "Thinkific has no user 123456 any more to write the number to. The certificate stays valid."
    hit = live.certificate()
    assert hit.certificate.state == "issued"
    assert "This certificate is genuine and in force." in live.page(hit.certificate.id).text
    assert len(live.mails()) == 1


def test_two_write_backs_follow_each_other_and_the_second_waits_for_the_first(rig: Rig) -> None:
    rig.set("sources.moodle.write_back", {"note": True, "profile_field": "certificateid"})
    with rig.running():
        Faults(rig.moodle).next(1, "503-html", "core_notes_get_course_notes")
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        note, field = rig.deliveries("write_back")
        assert (note.step, note.state) == ("note", State.RETRYING)
        assert (field.step, field.state, field.attempts) == ("profile_field", State.READY, 0)
        rig.later()
        assert [row.state for row in rig.deliveries("write_back")] == [State.DONE, State.DONE]
        assert rig.moodle.site.users[3].profile["certificateid"].replace("-", "") == rig.certificate().certificate.id


def test_the_echo_of_our_own_write_back_issues_nothing(rig: Rig) -> None:
    rig.set("sources.moodle.write_back", {"note": False, "profile_field": "certificateid"})
    with rig.running():
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        assert rig.post_sample("user_updated-echo-of-write-back").json()["outcome"] == "ignored"
        rig.wait_settled()
        assert len(rig.certificates()) == 1
        assert len(rig.deliveries()) == 2


def test_a_moodle_that_is_down_holds_up_neither_the_receiver_nor_thinkific_nor_the_mail(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    rig.set("sources.moodle.url", f"http://127.0.0.1:{port}")
    body, _ = sample(COMPLETED)
    with rig.running():
        bodies = [changed(body, objectid=str(number)) for number in range(1, 31)]
        assert {answer.status for answer in rig.post_at_once(bodies)} == {200}
        rig.post_signed(event(rig))
        rig.wait_settled()
        assert {row.state for row in rig.deliveries()} == {State.DONE}
        assert len(rig.mails()) == 1
        waiting = [row for row in rig.events() if row.source == "moodle"]
        assert {(row.state, row.code) for row in waiting} == {(State.RETRYING, "connection")}
        assert waiting[0].reason == "127.0.0.1 refused the connection. Is the server running?"


def test_a_moodle_that_never_answers_holds_up_only_itself(rig: Rig) -> None:
    rig.set("limits.read_seconds", 30)
    rig.set("limits.workers", 2)
    body, _ = sample(COMPLETED)
    asked, over = threading.Semaphore(0), threading.Event()

    def silent(call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
        asked.release()
        over.wait(PATIENCE)
        return respond()

    rig.moodle.interceptor = silent
    with rig.running():
        rig.post_at_once([changed(body, objectid=str(number)) for number in range(1, 11)])
        # Every thread that Moodle may have is waiting for it now.
        assert all(asked.acquire(timeout=PATIENCE) for _ in range(2))
        rig.post_signed(event(rig))
        rig.wait(lambda: rig.deliveries() and all(row.state is State.DONE for row in rig.deliveries()))
        assert len(rig.mails()) == 1
        stuck = [row.state for row in rig.events() if row.source == "moodle"]
        assert (stuck.count(State.RUNNING), stuck.count(State.READY)) == (2, 8)
        over.set()
