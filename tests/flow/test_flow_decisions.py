"""What a person decided, and what was not asked yet; second completions, second attempts, second certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flow.rig import Rig
from flow.test_flow_moodle import MAY, NOVEMBER, again, completed, policy
from vendors.faults import Faults

from bridge.core import certificate_id
from bridge.core.errors import TemporaryError, UnconfirmedError
from bridge.core.models import State
from bridge.flow.clerk import _tries
from bridge.store import attempts, inbox, outbox, sources

ONE_WORD = (
    "extends: thinkific\nevery_course:\n  hold_if: {name: looks incomplete}\n  again: hold\ncourses:\n  68: Forklift\n"
)


def release(rig: Rig, number: int, **overrides: str) -> None:
    changes = {name.replace("__", "."): value for name, value in overrides.items()}
    rig.bridge.store.transact(
        lambda tx: inbox.release(tx, number, overrides=changes, actor="test", reason="asked by phone")
    )
    rig.bridge.workers.wake()
    rig.wait_settled()


def told(rig: Rig, event_id: str, **payload: Any) -> int:
    made = rig.thinkific.school.completed_event(97472, event_id=event_id)
    made["payload"].update(payload)
    number = rig.post_signed(made).event
    rig.wait_settled()
    return number


def test_a_release_answers_only_the_question_that_was_shown(rig: Rig) -> None:
    rig.mapping("thinkific", ONE_WORD)
    with rig.running():
        told(rig, "e-1", completed_at="2026-03-01T10:00:00Z")
        user = {"id": 123456, "email": "lukasz@example.invalid", "first_name": "", "last_name": "Ł"}
        number = told(rig, "e-2", completed_at="2026-10-01T10:00:00Z", user=user)
        assert (rig.event(number).state, rig.event(number).code) == (State.HELD, "hold_if")
        release(rig, number, recipient__name="Łukasz Ż")
        # The name is decided; whether a second certificate is wanted was not asked yet.
        assert (rig.event(number).state, rig.event(number).code) == (State.HELD, "completed_again")
        assert len(rig.certificates()) == 1
        release(rig, number)
        assert rig.event(number).state is State.DONE
        assert len(rig.certificates()) == 2
        assert rig.event(number).overrides["released"] == "hold_if,completed_again"


def test_a_completion_after_a_revocation_waits_for_a_person(rig: Rig) -> None:
    policy(rig, "reuse")
    with rig.running():
        completed(rig)
        rig.wait_settled()
        first = rig.certificate().certificate.id
        rig.bridge.amending.revoke(first, reason="Issued by mistake", actor="test", mail=False)
        number = again(rig, NOVEMBER).event
        rig.wait_settled()
        row = rig.event(number)
        assert (row.state, row.code) == (State.HELD, "completed_after_revocation")
        assert "release this event to issue a new one" in row.reason
        release(rig, number)
        assert rig.event(number).state is State.DONE
        assert sorted(hit.certificate.state for hit in rig.certificates()) == ["issued", "revoked"]


def test_a_renewed_certificate_does_not_write_over_its_renewal(rig: Rig) -> None:
    rig.mapping("thinkific", "extends: thinkific\nevery_course:\n  again: renew\ncourses:\n  68: Forklift\n")
    with rig.running():
        told(rig, "e-1", completed_at="2026-03-01T10:00:00Z")
        first = rig.certificate().certificate.id
        told(rig, "e-2", completed_at="2026-10-01T10:00:00Z")
        newest = rig.fields()["Certificate ID"]
        rig.bridge.amending.correct(first, {"recipient.name": "Łukasz Ż"}, reason="typo", actor="test", mail=False)
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.fields()["Certificate ID"] == newest
        told_why = [row for row in rig.deliveries("write_back") if "newest valid" in row.receipt["summary"]]
        assert len(told_why) == 1


def test_case_hostile_2b_an_older_completion_that_comes_later_leaves_page_field_and_learner_alone(rig: Rig) -> None:
    renewed = "every_course:\n  again: renew\n  valid_for: 2 months\ncourses:\n  68: Forklift\n"
    rig.mapping("thinkific", f"extends: thinkific\n{renewed}")
    with rig.running():
        told(rig, "e-1", completed_at="2026-11-20T10:00:00Z")
        newest = rig.certificate()
        told(rig, "e-2", completed_at="2026-03-01T10:00:00Z")
        older = next(hit for hit in rig.certificates() if hit.certificate.id != newest.certificate.id)
        assert rig.renews(newest) == older.certificate.id
        assert "renewed by a later certificate" not in rig.page(newest.certificate.id).text
        assert rig.fields()["Certificate ID"] == certificate_id.grouped(newest.certificate.id)
        assert len(rig.mails()) == 1, "nobody is congratulated on a certificate that is expired"
        assert {row.state for row in rig.deliveries("write_back")} == {State.DONE}


def test_a_correction_nobody_is_told_of_does_not_take_the_first_mail_away(rig: Rig) -> None:
    rig.set("mail.mode", "smtp")
    rig.set("mail.smtp", {"host": "127.0.0.1", "port": 1, "security": "none"})
    with rig.running():
        told(rig, "e-1")
        mail = rig.delivery("mail")
        assert mail.state is State.RETRYING
        identifier = rig.certificate().certificate.id
        rig.bridge.amending.correct(identifier, {"recipient.name": "Ł Ż"}, reason="typo", actor="test", mail=False)
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.read(lambda tx: outbox.get(tx, mail.id)).state is State.RETRYING
    rig.set("mail.smtp", None)
    rig.set("mail.mode", "folder")
    with rig.running():
        rig.later()
        (sent,) = rig.mails()
        assert "Ł Ż" in str(sent["To"])


def test_a_step_behind_a_refused_one_says_what_it_waits_for(rig: Rig) -> None:
    rig.set("sources.moodle.write_back", {"note": True, "profile_field": "certificateid"})
    with rig.running():
        rig.moodle.settings.notes = False
        completed(rig)
        rig.wait_settled()
        note, field = sorted(rig.deliveries("write_back"), key=lambda row: row.id)
        assert note.state is State.FAILED
        assert (field.state, field.code) == (State.HELD, "waits_for")
        rig.moodle.settings.notes = True
        rig.bridge.store.transact(lambda tx: outbox.replay(tx, note.id, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert {row.state for row in rig.deliveries("write_back")} == {State.DONE}
        assert rig.moodle.site.users[3].profile["certificateid"]


def test_a_source_that_asks_for_peace_is_left_in_peace(live: Rig) -> None:
    Faults(live.moodle).next(1, "429", "core_completion_get_course_completion_status", seconds=120)
    live.moodle.site.complete(4, 2, MAY)
    number = completed(live).event
    live.wait(lambda: live.event(number).state is State.RETRYING)
    other = completed(live, user=4).event
    assert live.event(other).state is State.READY
    assert live.read(lambda tx: inbox.due_sources(tx, ("moodle", "thinkific"))) == []
    paused = live.read(lambda tx: sources.get(tx, "moodle"))
    assert paused.paused_until - paused.last_request_at > timedelta(seconds=90)


@pytest.mark.parametrize(
    ("earlier", "error", "tries"),
    [
        ([], TemporaryError(), 1),
        (["temporary", "temporary"], TemporaryError(), 3),
        (["unconfirmed"] * 6, TemporaryError(code="http_503"), 1),
        (["http_503", "unconfirmed", "unconfirmed"], UnconfirmedError(), 3),
    ],
    ids=["first", "third", "another trouble", "its own schedule"],
)
def test_each_trouble_has_its_own_count_of_tries(earlier: list[str], error: TemporaryError, tries: int) -> None:
    rows: Any = [
        type("Row", (), {"id": n, "n": n, "outcome": "error", "code": code}) for n, code in enumerate(earlier, 1)
    ]
    assert _tries(error, len(earlier) + 1, rows) == tries


def test_a_replay_begins_a_new_count_of_tries() -> None:
    before: list[attempts.AttemptRow] = [
        type("Row", (), {"id": n, "n": n, "outcome": "error", "code": "temporary"}) for n in range(1, 9)
    ]  # type: ignore[assignment]
    assert _tries(TemporaryError(), 1, before) == 1
