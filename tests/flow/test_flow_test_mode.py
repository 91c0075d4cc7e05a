"""Test mode: everything is shown, nothing is real, and none of it mixes with what is."""

from __future__ import annotations

from flow.rig import Rig
from flow.test_flow_mapping import event, held, release

from bridge.core import certificate_id
from bridge.core.models import State
from bridge.store import outbox

COMPLETED = "course_completed-by-learner"


def test_in_test_mode_the_certificate_says_test_and_nobody_outside_is_told(any_rig: Rig) -> None:
    any_rig.set("sources.moodle.mode", "test")
    with any_rig.running() as rig:
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        hit = rig.certificate()
        assert hit.certificate.test is True
        page = rig.page(hit.certificate.id)
        assert page.status == 200
        assert "Test – certifies nothing" in page.text
        assert "This certificate is genuine" not in page.text
        assert "TEST" in rig.pdf_text(hit.certificate.id)
        assert rig.mails() == []
        (mail,) = rig.mails("mail-test")
        assert "TEST" in mail["Subject"]
        delivery = rig.delivery("write_back")
        assert (delivery.state, delivery.code) == (State.IGNORED, "test_mode")
        assert delivery.reason == (
            "Test mode: nothing is written to the source. Live, this would be: "
            "note about José O'Brien & Sons in course 2."
        )
        assert rig.notes() == []
        assert rig.moodle.named("core_notes") == []


def test_the_same_completion_gets_a_real_certificate_once_the_source_is_live(rig: Rig) -> None:
    rig.set("sources.moodle.mode", "test")
    with rig.running():
        rig.post_sample(COMPLETED)
        rig.wait_settled()
    rig.set("sources.moodle.mode", "live")
    with rig.running():
        assert rig.post_sample(COMPLETED).json()["outcome"] == "accepted"
        rig.wait_settled()
        test, real = rig.certificates()
        assert (test.certificate.test, real.certificate.test) == (True, False)
        assert test.certificate.id != real.certificate.id
        assert rig.renews(real) is None
        assert len(rig.mails("mail-test")) == len(rig.mails()) == 1
        (note,) = rig.notes()
        assert certificate_id.grouped(real.certificate.id) in note.content
        assert "certifies nothing" in rig.page(test.certificate.id).text
        assert "certifies nothing" not in rig.page(real.certificate.id).text


def test_a_test_event_released_after_going_live_stays_a_test(rig: Rig) -> None:
    rig.set("sources.thinkific.mode", "test")
    with rig.running():
        number = held(rig, free_trial=True).id
    rig.set("sources.thinkific.mode", "live")
    with rig.running():
        release(rig, number)
        assert rig.certificate().certificate.test is True
        assert rig.mails() == []
        assert "Certificate ID" not in rig.fields()
        # The real completion is still to come, and is not taken for a repeat.
        rig.post_signed(event(rig, "e-2"))
        rig.wait_settled()
        assert [hit.certificate.test for hit in rig.certificates()] == [True, False]


def test_a_real_event_that_waits_while_the_source_is_set_back_to_test_stays_real(rig: Rig) -> None:
    with rig.running():
        number = held(rig, free_trial=True).id
    rig.set("sources.thinkific.mode", "test")
    with rig.running():
        release(rig, number)
        assert rig.certificate().certificate.test is False
        assert len(rig.mails()) == 1
        assert rig.fields()["Certificate ID"]


def test_a_write_back_left_out_in_test_mode_can_not_be_sent_by_replaying_it(rig: Rig) -> None:
    rig.set("sources.moodle.mode", "test")
    with rig.running():
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        number = rig.delivery("write_back").id
        rig.bridge.store.transact(lambda tx: outbox.replay(tx, number, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.notes() == []
        assert (rig.delivery("write_back").state, rig.delivery("write_back").code) == (State.IGNORED, "test_mode")
