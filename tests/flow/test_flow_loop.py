"""The main job: a completion goes in, a certificate comes out, its number goes back; and only ever one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from flow.rig import Rig, changed, sample, to
from flow.rig_settings import PUBLIC

from bridge.core import certificate_id
from bridge.core.models import State
from bridge.demo.vendors.stand_in import Answer, Call, Wire
from bridge.issuing.job import RenderJob
from bridge.store import inbox

COMPLETED = "course_completed-by-learner"

NOT_A_COMPLETION = {
    "course_module_completion_updated": "One activity was completed (or reopened), not the course",
    "user_updated-echo-of-write-back": "A user's profile changed",
    "user_enrolment_created": "A learner was enrolled",
    "user_graded-by-teacher": "A grade was given",
    "user_graded-userid-minus-1": "A grade was given",
}


def assert_one_of_each(rig: Rig) -> None:
    """One certificate, one mail with one Message-ID, one note."""
    hit = rig.certificate()
    assert hit.certificate.state == "issued", rig.story()
    (mail,) = rig.mails()
    grouped = certificate_id.grouped(hit.certificate.id)
    assert mail["Message-ID"] == f"<{grouped.lower()}.v1.issued@certificates.acme.example>"
    (note,) = rig.notes()
    assert grouped in note.content
    assert all(row.state is State.DONE for row in rig.deliveries()), rig.story()
    assert len(rig.moodle.named("core_notes_create_notes")) == 1


def test_a_completion_in_moodle_becomes_a_certificate_a_mail_and_a_note(any_rig: Rig) -> None:
    with any_rig.running() as rig:
        answer = rig.post_sample(COMPLETED)
        assert (answer.status, answer.json()["outcome"]) == (200, "accepted")
        rig.wait_settled()
        assert_one_of_each(rig)
        hit = rig.certificate()
        said = hit.version.data
        assert said.recipient.name == "José O'Brien & Sons"
        assert said.course.title == "Health & Safety Basics"
        # The latest criterion (13:24:31 UTC), not the event, in the issuer's zone.
        assert (said.completed_on.isoformat(), said.expires_on and said.expires_on.isoformat()) == (
            "2026-11-22",
            "2028-11-22",
        )
        (mail,) = rig.mails()
        assert to(mail) == ["jose.obrien@example.invalid"]
        url = f"{PUBLIC}/c/{certificate_id.grouped(hit.certificate.id)}"
        assert url in mail.get_body(("plain",)).get_content()
        (attached,) = mail.iter_attachments()
        assert attached.get_content_type() == "application/pdf"
        (note,) = rig.notes()
        assert (note.userid, note.courseid) == (3, 2)
        assert note.content == f"Certificate {certificate_id.grouped(hit.certificate.id)} issued: {url}"
        page = rig.page(hit.certificate.id)
        assert page.status == 200
        assert "José O&#39;Brien &amp; Sons" in page.text
        assert "José O'Brien & Sons" in rig.pdf_text(hit.certificate.id)
        assert not rig.moodle.refused


def test_a_signed_completion_in_thinkific_becomes_a_certificate_a_mail_and_a_field_beside_the_others(
    any_rig: Rig,
) -> None:
    with any_rig.running() as rig:
        answer = rig.post_signed(rig.thinkific.school.completed_event(97472, event_id="e-1"))
        assert (answer.status, answer.json()["outcome"]) == (200, "accepted")
        rig.wait_settled()
        hit = rig.certificate()
        assert hit.version.data.recipient.name == "Łukasz Żółć-Dziewulski"
        assert hit.version.data.completed_on.isoformat() == "2026-11-20"
        assert rig.fields() == {"Team": "Warehouse North", "Certificate ID": certificate_id.grouped(hit.certificate.id)}
        (mail,) = rig.mails()
        assert to(mail) == ["lukasz@example.invalid"]
        assert all(row.state is State.DONE for row in rig.deliveries()), rig.story()
        assert rig.delivery("write_back").receipt["confirmed"] is True
        assert not rig.thinkific.refused


def test_fifty_redeliveries_a_restart_and_other_events_about_it_leave_one_certificate(any_rig: Rig) -> None:
    body, _ = sample(COMPLETED)
    with any_rig.running() as rig:
        answers = rig.post_at_once([body] * 50)
        assert {answer.status for answer in answers} == {200}
        assert len({answer.event for answer in answers}) == 1
        rig.wait_settled()
        assert_one_of_each(rig)
        assert rig.event().deliveries == 50
    with any_rig.running() as rig:
        assert {answer.json()["outcome"] for answer in rig.post_at_once([body] * 10)} == {"duplicate"}
        # The same row of Moodle told again at another time, and a capture with another row and as a form.
        assert rig.post("moodle", changed(body, timecreated=1795353999)).json()["outcome"] == "accepted"
        assert rig.post_sample("course_completed-form-content-type").status == 200
        rig.wait_settled()
        assert_one_of_each(rig)
        first, told_again, as_form = rig.events()
        assert (first.deliveries, first.code) == (60, "issued")
        assert (told_again.event_id, told_again.revision) == (first.event_id, 2)
        assert (told_again.state, told_again.code) == (State.DONE, "already_issued")
        assert (as_form.state, as_form.code) == (State.DONE, "already_issued")


def test_fifty_different_events_about_one_completion_at_once_make_one_certificate(any_rig: Rig) -> None:
    body, _ = sample(COMPLETED)
    bodies = [changed(body, objectid=str(100 + number), timecreated=1795353524 + number) for number in range(50)]
    with any_rig.running() as rig:
        answers = rig.post_at_once(bodies)
        assert len({answer.event for answer in answers}) == 50
        rig.wait(lambda: all(row.state is State.DONE for row in rig.events()))
        rig.wait_settled()
        assert_one_of_each(rig)
        codes = [row.code for row in rig.events()]
        assert (codes.count("issued"), codes.count("already_issued")) == (1, 49)
        assert {row.completion_id for row in rig.events()} == {rig.certificate().completion.id}


def test_a_replayed_event_compares_and_issues_nothing(live: Rig) -> None:
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    live.bridge.store.transact(lambda tx: inbox.replay(tx, number, refetch=True, actor="test"))
    live.bridge.workers.wake()
    live.wait_settled()
    assert (live.event().state, live.event().code) == (State.DONE, "already_issued")
    assert_one_of_each(live)


@pytest.mark.parametrize("name", NOT_A_COMPLETION)
def test_other_events_of_moodle_issue_nothing_and_say_why(live: Rig, name: str) -> None:
    answer = live.post_sample(name)
    assert (answer.status, answer.json()["outcome"]) == (200, "ignored")
    assert answer.json()["reason"].startswith(NOT_A_COMPLETION[name])
    live.wait_settled()
    row = live.event()
    assert (row.state, row.code) == (State.IGNORED, "not_wanted")
    assert row.reason
    assert row.reason.startswith(NOT_A_COMPLETION[name])
    assert live.certificates() == []
    assert live.deliveries() == []
    assert live.moodle.calls == [], "nobody needs to be asked about it"
    # "Why did user 3 get none?"
    learner = str(json.loads(sample(name)[0])["relateduserid"])
    (found,) = live.find(learner)
    assert found.reason == row.reason
    answered = live.certbridge("find", learner)
    assert f"event {row.id} is ignored" in answered
    assert " ".join(NOT_A_COMPLETION[name].split()) in answered


def test_two_events_that_render_the_same_certificate_at_the_same_time_issue_it_once(any_rig: Rig) -> None:
    body, _ = sample(COMPLETED)
    with any_rig.running() as rig:
        asked, go, both = threading.Event(), threading.Event(), threading.Barrier(2)
        renderer = rig.bridge.renderer()

        def hold_the_first(call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
            if not asked.is_set():
                asked.set()
                go.wait(20)
            return respond()

        class Together:
            def render(self, job: RenderJob) -> bytes:
                drawn: bytes = renderer.render(job)
                both.wait(20)
                return drawn

            def drawn(self, job: RenderJob) -> tuple[bytes, list[str]]:
                return renderer.drawn(job)

            def close(self) -> None:
                renderer.close()

        rig.bridge.renderer._made = Together()
        rig.moodle.interceptor = hold_the_first
        # The older event waits for Moodle while the younger one reserves the draft; then the older one joins in.
        rig.post("moodle", changed(body, objectid="101"))
        assert asked.wait(20)
        rig.post("moodle", changed(body, objectid="102"))
        rig.wait(lambda: both.n_waiting == 1)
        go.set()
        rig.wait_settled()
        assert sorted(str(row.code) for row in rig.events()) == ["already_issued", "issued"]
        kinds = [line.kind for line in rig.timeline(certificate_id=rig.certificate().certificate.id)]
        assert kinds.count("certificate.issued") == 1
        assert_one_of_each(rig)
