"""Events that change a completion: taken back, the learner forgotten, two records that became one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flow.harbour_site import AT, MAPPING, Site, block
from flow.rig import Rig
from vendors.harbour_lms import HarbourStandIn

from bridge.core import certificate_id
from bridge.core.connector import Page
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import JsonObject, SourceEvent, State
from bridge.demo.vendors.stand_in import Answer, Call, Wire
from bridge.issuing.job import RenderJob
from bridge.store import completions, erase, outbox

NAME = "Zdenka Osobnova"
ADDRESS = "zdenka@osobni.example.invalid"


def person(site: Site, learner: str = "7", **more: object) -> JsonObject:
    """Somebody whose name and address stand nowhere else, who completed a course."""
    site.vendor.learners[learner] = {"id": learner, "name": NAME, "email": ADDRESS}
    return site.vendor.complete(learner, AT, **more)  # type: ignore[arg-type]


def took_back(site: Site, number: int | str = "r-1", **data: object) -> None:
    site.told(site.vendor.event(number, "completion.revoked", **{"reason": "It was a mistake.", **data}))


# -- taken back ------------------------------------------------------------------------------------


def test_a_completion_taken_back_by_its_key_revokes_its_certificate_and_the_learner_is_told(any_harbour: Site) -> None:
    site = any_harbour
    site.told(site.vendor.completed(1, person(site, enrolment="e-7")))
    took_back(site, enrolment="e-7")
    hit = site.rig.certificate()
    assert (hit.certificate.state, hit.certificate.revoke_reason) == ("revoked", "It was a mistake.")
    assert site.codes()[-1] == ("done", "revoked")
    assert "It was a mistake." in site.rig.page(hit.certificate.id).text
    assert [line.actor for line in site.rig.timeline(certificate_id=hit.certificate.id)][-1] == "source:harbour"
    assert len(site.rig.mails()) == 2
    assert site.vendor.learners["7"]["certificate"] == ""


def test_a_poll_that_tells_of_it_takes_back_as_a_webhook_does_and_once(any_harbour: Site) -> None:
    site = any_harbour
    site.told(site.vendor.completed(1, person(site, enrolment="e-7")))
    about = {"subject": "7", "course": "68", "keys": ("enrolment:e-7",), "occurred_at": AT}
    event = SourceEvent(event_id="r-1", event_type="completion.revoked", data={"reason": "A mistake."}, **about)  # type: ignore[arg-type]
    site.source.connector.poll = lambda *_: iter([Page([event], {})])  # type: ignore[method-assign]
    assert len(site.poll().new) == 1
    assert site.rig.certificate().certificate.revoke_reason == "A mistake."
    again = site.poll()
    assert (again.new, again.known) == ((), 1)


def test_without_a_key_learner_and_course_mean_the_latest_completion(harbour: Site) -> None:
    harbour.rig.mapping("harbour", MAPPING + "every_course: {again: renew}\n")
    harbour.rig.take_over_mappings()
    harbour.told(harbour.vendor.completed(1, person(harbour)))
    later = {**harbour.vendor.completions[0], "enrolment": "e-9", "completed_at": (AT + timedelta(days=9)).isoformat()}
    harbour.told(harbour.vendor.completed(2, later))
    took_back(harbour, learner={"id": "7"}, course={"id": "68"})
    assert [hit.certificate.state for hit in harbour.rig.certificates()] == ["issued", "revoked"]


def test_a_completion_taken_back_again_is_taken_back_once(harbour: Site) -> None:
    harbour.told(harbour.vendor.completed(1, person(harbour, enrolment="e-7")))
    took_back(harbour, enrolment="e-7")
    took_back(harbour, enrolment="e-7")
    took_back(harbour, "r-2", enrolment="e-7", reason="Once more.")
    assert harbour.codes()[1:] == [("done", "revoked"), ("done", "already_revoked")]
    assert harbour.rig.certificate().certificate.revoke_reason == "It was a mistake."
    assert harbour.rig.certificate().certificate.version == 2
    assert len(harbour.rig.mails()) == 2


def test_taken_back_before_its_completion_came_it_waits_and_then_takes_it_back(harbour: Site) -> None:
    said = person(harbour, enrolment="e-7")
    took_back(harbour, enrolment="e-7")
    assert harbour.codes() == [("retrying", "unconfirmed")]
    harbour.told(harbour.vendor.completed(1, said))
    harbour.rig.later()
    assert harbour.rig.certificate().certificate.state == "revoked"
    assert harbour.codes()[0] == ("done", "revoked")


def test_taken_back_without_a_completion_it_is_ignored_in_the_end_with_the_reason(harbour: Site) -> None:
    took_back(harbour, enrolment="e-7", learner={"id": "7"}, course={"id": "68"})
    for _ in range(3):
        assert harbour.codes() == [("retrying", "unconfirmed")]
        harbour.rig.later()
    assert harbour.codes() == [("ignored", "nothing_to_revoke")]
    assert "learner 7, course 68" in (harbour.rig.event().reason or "")


def _vendor_is_down(site: Site) -> None:
    site.vendor.interceptor = lambda call, respond, wire: site.vendor.problem(503, "down")


def _given_up(site: Site) -> None:
    """Nothing was there to be taken back, however long it waited."""
    for _ in range(3):
        site.rig.later()
    assert ("ignored", "nothing_to_revoke") in site.codes()


def test_taken_back_while_the_vendor_was_down_for_hours_the_completion_is_held(site: Site) -> None:
    site.rig.set("sources.harbour.thin", True)
    with site.rig.running():
        said = person(site, enrolment="e-7")
        _vendor_is_down(site)
        site.told(site.vendor.completed(1, said))
        took_back(site, enrolment="e-7")
        _given_up(site)
        site.vendor.interceptor = None
        site.rig.later()
        assert site.codes()[0] == ("held", "taken_back")
        assert "event 2" in (site.rig.events()[0].reason or "")
        assert site.rig.certificates() == []
        site.rig.certbridge("events", "release", str(site.rig.events()[0].id), "--reason", "he paid after all")
        site.rig.wait_settled()
        assert site.rig.certificate().certificate.state == "issued"


@pytest.mark.parametrize(
    "named", [{"enrolment": "e-7"}, {"learner": {"id": "7"}, "course": {"id": "68"}}], ids=["by key", "by learner"]
)
def test_a_completion_that_comes_long_after_it_was_taken_back_is_held(any_harbour: Site, named: JsonObject) -> None:
    site = any_harbour
    took_back(site, **named)
    _given_up(site)
    site.told(site.vendor.completed(1, person(site, enrolment="e-7")))
    site.told(site.vendor.completed(2, person(site, "8", enrolment="e-8")))
    assert site.codes()[1:] == [("held", "taken_back"), ("done", "issued")]
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    again = {**site.vendor.completions[0], "completed_at": later, "enrolment": "e-9"}
    site.told(site.vendor.completed(3, again))
    assert site.codes()[-1] == ("done", "issued"), "completed anew after that"


def test_what_was_held_when_it_was_taken_back_asks_again_before_it_is_issued(harbour: Site) -> None:
    harbour.rig.mapping("harbour", "extends: harbour\nother_courses: hold\n")
    harbour.rig.take_over_mappings()
    harbour.told(harbour.vendor.completed(1, person(harbour, enrolment="e-7")))
    took_back(harbour, enrolment="e-7")
    _given_up(harbour)
    harbour.rig.mapping("harbour", MAPPING)
    harbour.rig.take_over_mappings()
    harbour.rig.certbridge("events", "replay", "--held", "--yes")
    harbour.rig.wait_settled()
    assert harbour.codes()[0] == ("held", "taken_back")


def test_a_draft_that_a_crash_left_is_held_when_it_was_taken_back(
    harbour: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TemporaryError("no renderer")

    monkeypatch.setattr(type(harbour.rig.bridge.templates), "job", broken)
    harbour.told(harbour.vendor.completed(1, person(harbour, enrolment="e-7")))
    took_back(harbour, enrolment="e-7")
    _given_up(harbour)
    monkeypatch.undo()
    harbour.rig.later()
    assert harbour.codes()[0] == ("held", "taken_back")
    assert harbour.rig.certificate().certificate.state == "draft"


def test_after_it_was_taken_back_neither_webhook_nor_poll_issues_it_again(harbour: Site) -> None:
    said = person(harbour, enrolment="e-7")
    harbour.told(harbour.vendor.completed(1, said))
    took_back(harbour, enrolment="e-7")
    assert len(harbour.poll().new) == 0
    harbour.told(harbour.vendor.completed(2, said))
    assert harbour.codes()[-1] == ("ignored", "revoked")
    assert len(harbour.rig.certificates()) == 1


def test_a_revocation_that_says_neither_what_nor_why_is_held(harbour: Site) -> None:
    harbour.told(harbour.vendor.event(1, "completion.revoked", reason="x"))
    harbour.told(harbour.vendor.event(2, "completion.revoked", enrolment="e-7", reason=""))
    harbour.told(harbour.vendor.event(3, "completion.revoked", enrolment="e-7"))
    harbour.told(harbour.vendor.event(4, "completion.revoked", enrolment="e-7", reason=["x"]))
    assert harbour.codes() == [("held", "missing_value")] * 3 + [("held", "bad_value")]


# -- forgotten -------------------------------------------------------------------------------------


def forget(site: Site, number: str = "d-1", learner: str = "7") -> None:
    site.told(_deleted(number, learner))


def _deleted(number: str, learner: str) -> bytes:
    # Platforms put name and address of the learner into this very event.
    return HarbourStandIn.event(number, "learner.deleted", learner={"id": learner, "name": NAME, "email": ADDRESS})


def assert_forgotten(site: Site) -> None:
    """Nothing in the database tells who it was."""
    dump = site.rig.dump()
    for part in ("Zdenka", "Osobnov", "osobni"):
        assert part not in dump, dump[max(0, dump.index(part) - 200) : dump.index(part) + 200]


def test_a_learner_who_is_forgotten_leaves_no_personal_text_and_a_page_that_says_so(any_harbour: Site) -> None:
    site = any_harbour
    said = person(site, enrolment="e-7")
    site.told(site.vendor.completed(1, said))
    site.told(site.vendor.completed(1, said))  # delivered twice: its body was kept once
    identifier = site.rig.certificate().certificate.id
    site.rig.bridge.amending.correct(
        identifier, {"recipient.name": NAME + " Mladsi"}, reason="Osobnova asked", actor="ana", mail=True
    )
    site.rig.wait_settled()
    forget(site)
    assert_forgotten(site)
    assert site.codes() == [("done", "issued"), ("done", "erased")]
    page, pdf = site.rig.page(identifier), site.rig.request("GET", f"/c/{certificate_id.grouped(identifier)}.pdf")
    assert (page.status, pdf.status) == (200, 410)
    assert "personal details were erased" in page.text
    assert NAME not in page.text + pdf.text
    assert site.rig.certificate().certificate.state == "erased"
    assert "certificate.erased" in [line.kind for line in site.rig.timeline(certificate_id=identifier)]


def test_after_that_neither_poll_nor_webhook_issues_again_or_brings_the_person_back(any_harbour: Site) -> None:
    site = any_harbour
    said = person(site, enrolment="e-7")
    site.told(site.vendor.completed(1, said))
    forget(site)
    assert site.poll().new == ()
    site.told(site.vendor.completed(1, said))
    site.told(site.vendor.completed(2, said))
    assert_forgotten(site)
    forget(site)
    forget(site, "d-2")
    assert {hit.certificate.state for hit in site.rig.certificates()} == {"erased"}
    assert site.codes() == [("done", "issued"), ("done", "erased"), ("ignored", "erased"), ("done", "erased")]
    assert len(site.rig.mails()) == 1
    assert_forgotten(site)


@pytest.mark.parametrize("enrolment", ["e-7", None])
def test_what_was_held_or_ignored_is_forgotten_too_and_is_not_brought_in_anew(
    any_harbour: Site, enrolment: str | None
) -> None:
    site = any_harbour
    site.rig.mapping("harbour", "extends: harbour\nother_courses: hold\ncourses: {69: Fire}\n")
    site.rig.take_over_mappings()
    site.told(site.vendor.completed(1, person(site, enrolment=enrolment)))
    old = site.vendor.complete("7", AT - timedelta(days=900), course="69", enrolment=enrolment and "e-8")
    site.told(site.vendor.completed(2, old))
    number = site.rig.events()[0].id
    site.rig.certbridge(
        "events", "release", str(number), "--set", "recipient.name=Zdenka O", "--reason", "Osobnova called"
    )
    forget(site)
    assert_forgotten(site)
    assert ("ignored", "before_start") not in site.codes()
    assert site.poll().new == ()
    since = AT - timedelta(days=2000)
    assert [one.number for one in site.rig.bridge.past.look(site.source, since).candidates if one.number] == []


def test_what_an_api_told_goes_with_it_and_work_in_hand_ends(site: Site) -> None:
    site.rig.set("sources.harbour.thin", True)
    with site.rig.running():
        said = person(site)
        site.told(site.vendor.completed(1, said))
        assert NAME in site.rig.dump()
        site.vendor.interceptor = lambda call, respond, wire: site.vendor.problem(503, f"{NAME} is down")
        later = {**said, "course": {"id": "70", "title": "More"}, "enrolment": "e-70"}
        site.told(site.vendor.completed(2, later))
        assert site.codes()[-1][0] == "retrying"
        site.vendor.interceptor = None
        forget(site)
        assert site.codes()[1] == ("cancelled", "erased")
        assert {row.state for row in site.rig.deliveries()} <= {State.DONE, State.CANCELLED}
        assert_forgotten(site)
        site.rig.later()
        assert len(site.rig.certificates()) == 1


def test_a_call_that_is_under_way_meanwhile_brings_nothing_back(any_harbour: Site) -> None:
    site = any_harbour
    said = person(site)

    def slow(call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
        if call.method == "PUT":
            site.vendor.interceptor = None
            assert site.webhook(_deleted("d-1", "7")).status == 200
            site.rig.wait(lambda: [hit.certificate.state for hit in site.rig.certificates()] == ["erased"])
        return respond()

    site.vendor.interceptor = slow
    site.told(site.vendor.completed(1, said))
    site.rig.wait(lambda: len(site.rig.attempts(outbox_id=site.rig.delivery("write_back").id)) == 1)
    assert site.rig.delivery("write_back").state is State.CANCELLED
    assert_forgotten(site)


def test_a_correction_that_is_being_drawn_meanwhile_is_refused(harbour: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    harbour.told(harbour.vendor.completed(1, person(harbour)))
    amending = harbour.rig.bridge.amending
    render = amending.renderer().render

    def slow(job: RenderJob) -> bytes:
        forget(harbour)
        drawn: bytes = render(job)
        return drawn

    monkeypatch.setattr(amending.renderer(), "render", slow)
    identifier = harbour.rig.certificate().certificate.id
    with pytest.raises(PermanentError, match="became erased meanwhile"):
        amending.correct(identifier, {"recipient.name": "Zdenka II"}, reason="x", actor="ana", mail=True)
    assert_forgotten(harbour)
    assert len(harbour.rig.mails()) == 1


def test_what_was_being_sent_when_the_learner_was_forgotten_is_not_kept(any_harbour: Site) -> None:
    site = any_harbour

    def forget_meanwhile(call: Any, respond: Any, wire: Any) -> Any:
        answer = respond()
        if call.name.startswith("GET"):
            site.transact(lambda tx: erase.erase(tx, "harbour", False, "7", actor="ana", reason="the law"))
        return answer

    site.vendor.interceptor = forget_meanwhile
    site.told(site.vendor.completed(1, person(site)))
    site.rig.wait(lambda: site.rig.attempts(outbox_id=_written_back(site).id))
    assert _written_back(site).state is State.CANCELLED
    assert_forgotten(site)


def test_what_was_being_revoked_when_the_learner_was_forgotten_stays_forgotten(
    any_harbour: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = any_harbour
    site.told(site.vendor.completed(1, person(site, enrolment="e-7")))
    templates = type(site.rig.bridge.templates)
    job = templates.job

    def forget_meanwhile(*words: Any, **more: Any) -> Any:
        made = job(*words, **more)
        site.transact(lambda tx: erase.erase(tx, "harbour", False, "7", actor="ana", reason="the law"))
        return made

    monkeypatch.setattr(templates, "job", forget_meanwhile)
    took_back(site, enrolment="e-7")
    site.rig.later()
    assert site.codes()[-1] == ("done", "already_revoked")
    assert_forgotten(site)
    assert site.rig.certificate().certificate.state == "erased"


def _written_back(site: Site) -> outbox.OutboxRow:
    return site.rig.delivery("write_back")


def test_asked_first_a_person_decides_about_forgetting(harbour: Site) -> None:
    harbour.rig.mapping("harbour", MAPPING + "events: {learner.deleted: {erasure: {policy: ask}}}\n")
    harbour.rig.take_over_mappings()
    harbour.told(harbour.vendor.completed(1, person(harbour)))
    forget(harbour)
    assert harbour.codes()[-1] == ("held", "erasure")
    assert "forget learner 7" in (harbour.rig.events()[-1].reason or "")
    assert harbour.rig.certificate().certificate.state == "issued"
    harbour.rig.certbridge("events", "release", str(harbour.rig.events()[-1].id), "--reason", "the law")
    harbour.rig.wait_settled()
    assert harbour.rig.certificate().certificate.state == "erased"
    assert_forgotten(harbour)


def test_forgetting_in_live_mode_covers_what_test_mode_kept_of_the_same_person(site: Site) -> None:
    site.rig.set("sources.harbour.mode", "test")
    with site.rig.running():
        site.told(site.vendor.completed(1, person(site)))
        assert NAME in site.rig.dump()
    site.rig.set("sources.harbour.mode", "live")
    with site.rig.running():
        forget(site)
        assert_forgotten(site)
        assert site.rig.certificate().certificate.state == "erased"


def test_a_test_source_forgets_nothing_that_is_real(site: Site) -> None:
    with site.rig.running():
        site.told(site.vendor.completed(1, person(site)))
    site.rig.set("sources.harbour.mode", "test")
    with site.rig.running():
        forget(site)
        assert site.codes()[-1] == ("done", "erased")
        assert site.rig.certificate().certificate.state == "issued"


def test_others_keep_theirs_when_one_learner_is_forgotten(harbour: Site) -> None:
    harbour.told(harbour.vendor.completed(1, person(harbour)))
    # Ids that begin alike, or that a pattern would match.
    for number, learner in enumerate(("77", "_", "%"), start=2):
        harbour.told(
            harbour.vendor.completed(number, harbour.vendor.complete(learner, AT, name=f"Nora Berg{'x' * number}"))
        )
    forget(harbour)
    assert [hit.certificate.state for hit in harbour.rig.certificates()] == ["erased", "issued", "issued", "issued"]
    forget(harbour, "d-2", "%")
    assert [hit.certificate.state for hit in harbour.rig.certificates()] == ["erased", "issued", "issued", "erased"]


def test_another_source_keeps_what_it_has_about_the_same_id(site: Site) -> None:
    site.rig.settings["sources"]["second"] = block(site.vendor)
    with site.rig.running():
        said = person(site)
        site.told(site.vendor.completed(1, said))
        site.rig.post_signed(site.vendor.completed(1, said), "second")
        site.rig.wait_settled()
        forget(site)
        assert sorted(hit.certificate.state for hit in site.rig.certificates()) == ["erased", "issued"]


def test_a_deleted_learner_without_an_id_is_held(harbour: Site) -> None:
    harbour.told(harbour.vendor.event(1, "learner.deleted", learner={"name": NAME}))
    assert harbour.codes() == [("held", "missing_value")]


# -- records that became one -----------------------------------------------------------------------


def merge(site: Site, into: str, *merged: str, number: str = "m-1") -> None:
    site.told(site.vendor.event(number, "learner.merged", learner={"id": into}, merged=list(merged)))


def _cycles(rig: Rig, learner: str, course: str = "68") -> list[tuple[int, str]]:
    found = rig.read(lambda tx: completions.all_cycles(tx, "harbour", False, learner, course))
    return [(one.cycle, one.completed_on.isoformat()) for one in found]


def test_what_two_records_had_belongs_to_the_one_that_stays_and_nothing_is_issued_again(any_harbour: Site) -> None:
    site = any_harbour
    kept = site.vendor.complete("1", AT, course="68")
    gone = site.vendor.complete("2", AT - timedelta(days=5), course="68")
    other = site.vendor.complete("2", AT, course="70")
    for number, said in enumerate((kept, gone, other), start=1):
        site.told(site.vendor.completed(number, said))
    merge(site, "1", "2", "1", "2")
    assert site.codes()[-1] == ("done", "merged")
    assert (_cycles(site.rig, "1"), _cycles(site.rig, "1", "70")) == (
        [(1, "2026-11-20"), (2, "2026-11-15")],
        [(1, "2026-11-20")],
    )
    assert _cycles(site.rig, "2") == []
    # The vendor tells all of it anew, under the record that stays, as poll and as webhook.
    with site.vendor.lock:
        for said in site.vendor.completions:
            said["learner"] = site.vendor.completions[0]["learner"]
    assert site.poll().new == ()
    site.told(site.vendor.completed(9, {**gone, "learner": kept["learner"]}))
    assert site.codes()[-1] == ("done", "already_issued")
    merge(site, "1", "2", number="m-2")
    assert len(site.rig.certificates()) == 3
    assert [line["completions"] for line in site.history("learner.merged")] == [2, 0]


def test_without_keys_the_merged_completion_is_known_by_its_time(any_harbour: Site) -> None:
    site = any_harbour
    said = site.vendor.complete("2", AT, enrolment=None)
    site.told(site.vendor.completed(1, said))
    merge(site, "1", "2")
    site.vendor.complete("1", AT, enrolment=None)
    with site.vendor.lock:
        del site.vendor.completions[0]
    assert site.poll().new == ()
    assert len(site.rig.certificates()) == 1


def test_what_waits_under_an_id_that_is_merged_meanwhile_belongs_to_the_record_that_stays(site: Site) -> None:
    site.rig.set("sources.harbour.thin", True)
    with site.rig.running():
        said = site.vendor.complete("3", AT, enrolment=None)
        _vendor_is_down(site)
        site.told(site.vendor.completed(1, said))
        merge(site, "2", "3")
        merge(site, "1", "2", number="m-2")
        site.vendor.interceptor = None
        site.rig.later()
        assert len(_cycles(site.rig, "1")) == 1
        site.vendor.complete("1", AT, enrolment=None)
        with site.vendor.lock:
            del site.vendor.completions[0]
        assert site.poll().new == ()
        took_back(site, learner={"id": "3"}, course={"id": "68"})
        assert site.rig.certificate().certificate.state == "revoked"


def test_records_that_are_merged_to_and_fro_end_as_the_last_merge_says(harbour: Site) -> None:
    merge(harbour, "1", "2")
    merge(harbour, "2", "1", number="m-2")
    harbour.told(harbour.vendor.completed(1, harbour.vendor.complete("1", AT)))
    assert (len(_cycles(harbour.rig, "1")), len(_cycles(harbour.rig, "2"))) == (0, 1)


def test_after_a_merge_the_latest_completion_is_the_latest_by_date(harbour: Site) -> None:
    harbour.told(harbour.vendor.completed(1, harbour.vendor.complete("1", AT)))
    harbour.told(harbour.vendor.completed(2, harbour.vendor.complete("2", AT - timedelta(days=50))))
    merge(harbour, "1", "2")
    took_back(harbour, learner={"id": "1"}, course={"id": "68"})
    states = {hit.completion.completed_on.isoformat(): hit.certificate.state for hit in harbour.rig.certificates()}
    assert states == {"2026-11-20": "revoked", "2026-10-01": "issued"}


def test_who_was_merged_and_is_forgotten_is_forgotten_under_every_id(harbour: Site) -> None:
    harbour.rig.mapping("harbour", "extends: harbour\nother_courses: hold\ncourses: {68: Fire}\n")
    harbour.rig.take_over_mappings()
    harbour.told(harbour.vendor.completed(1, person(harbour, "7")))
    harbour.told(harbour.vendor.completed(2, person(harbour, "8")))
    harbour.told(harbour.vendor.completed(3, person(harbour, "9", course="99")))
    assert harbour.codes()[-1] == ("held", "course_not_listed")
    merge(harbour, "8", "9")
    merge(harbour, "7", "8", number="m-2")
    forget(harbour)
    assert_forgotten(harbour)
    assert {hit.certificate.state for hit in harbour.rig.certificates()} == {"erased"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"merged": "2"}, "missing_value"),
        ({"learner": {"id": "1"}}, "missing_value"),
        ({"learner": {"id": "1"}, "merged": [["2"]]}, "bad_value"),
        ({"learner": {"id": "1"}, "merged": {"id": "2"}}, "bad_value"),
        ({"learner": {"id": "1"}, "merged": [str(number) for number in range(101)]}, "too_long"),
    ],
    ids=["no learner", "no records", "a list in the list", "a section", "too many"],
)
def test_a_merge_that_cannot_be_understood_is_held(harbour: Site, data: JsonObject, code: str) -> None:
    harbour.told(json.dumps({"id": 1, "type": "learner.merged", "data": data}).encode())
    assert harbour.codes() == [("held", code)]


def test_a_merge_with_itself_moves_nothing(harbour: Site) -> None:
    harbour.told(harbour.vendor.completed(1, harbour.vendor.complete("1", AT)))
    merge(harbour, "1", "1")
    assert _cycles(harbour.rig, "1") == [(1, "2026-11-20")]
    assert harbour.rig.read(lambda tx: outbox.search(tx, limit=10))


def test_who_was_merged_is_forgotten_under_every_id_after_the_source_got_another_name(site: Site) -> None:
    site.rig.mapping("harbour", "extends: harbour\nother_courses: hold\n")
    with site.rig.running():
        site.told(site.vendor.completed(1, person(site, "9")))
        merge(site, "7", "9")
    renamed = {**site.rig.settings["sources"].pop("harbour"), "formerly": ["harbour"]}
    site.rig.settings["sources"]["port"] = renamed
    with site.rig.running():
        site.rig.post_signed(site.vendor.event("d-1", "learner.deleted", learner={"id": "7"}), "port")
        site.rig.wait_settled()
        assert_forgotten(site)
