"""HubSpot in trouble, renamed properties, contacts that merge or must be forgotten: nothing twice, nothing silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flow.rig import Rig
from flow.rig_hubspot import ADA, BEN, COMPLETED, FLAT, MAPPING, TOKEN, Hub, Record, connected
from vendors.faults import Mode
from vendors.hubspot.values import Property

from bridge.core import certificate_id
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import State

READ = "GET /crm/v3/objects/contacts/"
CHANGE = "PATCH /crm/v3/objects/contacts/"
ADD_NOTE = "POST /crm/v3/objects/notes"
SEND_EVENT = "POST /events/v3/send"
SEARCH = "POST /crm/v3/objects/contacts/search"
EVENT = "pe50100100_certificate_issued"


@pytest.fixture
def made(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A HubSpot account whose bridge is not started yet; it also sends a custom event."""
    rig.set("limits.read_seconds", 3)
    write_back = {"url_property": "certificate_url", "issued_property": "certificate_issued_at", "event": EVENT}
    with connected(rig, monkeypatch, write_back=write_back) as hub:
        yield hub


@pytest.fixture
def hub(made: Hub) -> Iterator[Hub]:
    with made.rig.running():
        yield made


def told(hub: Hub, number: str = ADA, **more: str) -> None:
    """Completes the course and lets the app say so."""
    hub.complete(number, **more)
    hub.report(hub.happened(COMPLETED))


# -- while certbridge asks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "code", "rests"),
    [
        ("429-rolling", "http_429", 10),
        ("429-daily", "http_429", 3600),  # case 18
        ("423", "http_423", 0),
        ("477", "http_477", 0),
        ("500", "http_500", 0),
        ("503-html", "http_503", 0),
        ("html-200", "not_json", 0),
        ("drop", "connection", 0),
        ("slow", "timeout", 0),
    ],
)
def test_trouble_while_asking_is_waited_out_and_then_the_certificate_comes(
    hub: Hub, mode: Mode, code: str, rests: float
) -> None:
    hub.faults.next(1, mode, READ, seconds=60)
    told(hub)
    row = hub.rig.event()
    assert (row.state, row.code) == (State.RETRYING, code), row.reason
    assert row.reason
    assert hub.rig.certificates() == []
    assert (hub.rests_for() or 0) == pytest.approx(rests, rel=0.25)
    hub.tried_again()
    hub.assert_one_of_each()


def test_a_source_that_hubspot_throttles_rests_as_a_whole(hub: Hub) -> None:
    hub.faults.next(1, "429-daily", READ)
    told(hub)
    calls = len(hub.vendor.calls)
    hub.complete(BEN)
    hub.deliver(hub.sender.webhooks(hub.happened(COMPLETED)))  # still taken in, and answered 200
    assert not hub.due()
    waiting = hub.rig.events()[1]
    assert waiting.state is State.READY
    assert len(hub.vendor.calls) == calls
    hub.tried_again()
    assert len(hub.rig.certificates()) == 2
    hub.assert_through()


def test_one_401_is_answered_by_one_more_try(hub: Hub) -> None:
    hub.faults.next(1, "401", READ)
    told(hub)
    hub.assert_one_of_each()
    assert [row.outcome for row in hub.rig.attempts(inbox_id=hub.rig.event().id)] == ["ok"]


def test_a_rotated_token_fails_with_advice_and_goes_on_with_the_new_one(made: Hub) -> None:
    made.vendor.token = "pat-na1-rotated-0009"
    with made.rig.running():
        told(made)
        row = made.rig.event()
        assert (row.state, row.code) == (State.FAILED, "http_401")
        assert "set `token` anew" in (row.reason or "")
        assert made.refusals() == ["wrong credentials"] * 2
        made.tried_again()
        assert made.refusals() == [], "nobody tries again by itself"
        assert TOKEN not in made.rig.dump()
    made.set("token", made.vendor.token)
    with made.rig.running():
        made.replay(row.id)
        made.assert_one_of_each()


def test_a_poll_that_is_throttled_half_way_goes_on_where_it_was(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.hubspot.polling.PAGE", 1)
    hub.complete(changed=hub.clock.ago(minutes=30))
    hub.complete(BEN, changed=hub.clock.ago(minutes=30))
    hub.faults.next(1, "429-rolling", lambda call: call.name == SEARCH and bool(hub.vendor.named(SEARCH)))
    with pytest.raises(TemporaryError, match="limit of requests is reached"):
        hub.poll()
    assert hub.poll_error()
    assert (hub.rests_for() or 0) == pytest.approx(10, rel=0.01)
    hub.tried_again()
    again = hub.poll()
    assert (len(again.new), again.known) == (1, 0)
    assert hub.poll_error() is None
    assert len(hub.rig.certificates()) == 2
    hub.assert_through()


# -- while certbridge writes ---------------------------------------------------------------------

WRITES = {"contact_property": CHANGE, "note": ADD_NOTE, "custom_event": SEND_EVENT}


@pytest.mark.parametrize(
    ("step", "mode"),
    [
        *((step, "commit-then-drop") for step in WRITES),
        ("note", "slow"),
        ("contact_property", "503-html"),
        ("custom_event", "429-rolling"),
    ],
)
def test_case_20_a_write_whose_answer_was_lost_is_there_once(hub: Hub, step: str, mode: Mode) -> None:
    hub.faults.next(1, mode, WRITES[step], seconds=60)
    told(hub)
    row = hub.step(step)
    assert row.state is State.RETRYING, hub.rig.story()
    hub.tried_again()
    hub.assert_one_of_each()
    assert [(one.object_id, one.properties) for one in hub.portal.sent_events] == [
        (ADA, {"certificate_id": hub.number()})
    ]
    # HubSpot drops a repeated event itself, by its uuid.
    assert len(hub.portal.dropped_events) == (1 if (step, mode) == ("custom_event", "commit-then-drop") else 0)


@pytest.mark.parametrize("lost", [False, True])
def test_case_20_a_note_on_a_timeline_of_very_many_is_found_again(hub: Hub, lost: bool) -> None:
    for number in range(1100):
        hub.portal.add_note([ADA], hs_timestamp="2026-11-20T10:13:20Z", hs_note_body=f"Call {number}")
    if lost:
        hub.faults.next(1, "commit-then-drop", ADD_NOTE)
    told(hub)
    hub.tried_again()
    hub.assert_through()
    assert len([note for note in hub.notes() if hub.number() in note]) == 1


def test_a_note_that_could_not_be_read_back_is_not_written_again(hub: Hub) -> None:
    hub.faults.next(1, "drop", "POST /crm/v3/objects/notes/batch/read")
    told(hub)
    assert hub.step("note").state is State.RETRYING
    assert len(hub.notes()) == 1
    hub.tried_again()
    hub.assert_one_of_each()


def test_case_19_a_renamed_property_fails_once_with_its_name_and_goes_on_when_it_is_back(hub: Hub) -> None:
    definition = hub.portal.contact_properties.pop("certificate_id")
    told(hub)
    row = hub.step("contact_property")
    assert (row.state, row.code, row.attempts) == (State.FAILED, "no_property", 1)
    assert "no contact property with the internal name certificate_id" in (row.reason or "")
    hub.tried_again()
    assert hub.refusals() == [], "it is reported once and not tried again by itself"
    # Everything at once or nothing.
    assert (hub.shown("certificate_url"), hub.notes()) == ("", [])
    assert len(hub.rig.mails()) == 1, "the learner has the certificate all the same"
    with pytest.raises(PermanentError, match="certificate_id"):
        hub.poll()
    assert len(hub.refusals()) == 1
    hub.portal.contact_properties["certificate_id"] = definition
    hub.resend(row.id)
    hub.assert_one_of_each()
    hub.poll()
    assert len(hub.rig.certificates()) == 1


def test_the_property_that_tells_of_completions_being_renamed_is_said_and_not_taken_for_an_empty_one(hub: Hub) -> None:
    hub.complete()
    event = hub.happened(COMPLETED)
    definition = hub.portal.contact_properties.pop("course_completed_at")
    hub.report(event)
    row = hub.rig.event()
    assert (row.state, row.code) == (State.FAILED, "no_property"), row.reason
    assert "course_completed_at" in (row.reason or "")
    hub.portal.contact_properties["course_completed_at"] = definition
    hub.replay(row.id)
    hub.assert_one_of_each()


def test_a_missing_scope_is_named(hub: Hub) -> None:
    hub.vendor.scopes.discard("crm.objects.contacts.write")
    told(hub)
    row = hub.step("contact_property")
    assert (row.state, row.code) == (State.FAILED, "http_403")
    assert "crm.objects.contacts.write" in (row.reason or "")
    assert len(hub.refusals()) == 1
    hub.vendor.scopes.add("crm.objects.contacts.write")
    hub.resend(row.id)
    hub.assert_one_of_each()


def test_a_property_of_the_wrong_kind_is_said(hub: Hub) -> None:
    hub.portal.contact_properties["certificate_id"] = Property("certificate_id", "Certificate ID", "number", "number")
    told(hub)
    row = hub.step("contact_property")
    assert (row.state, row.code) == (State.FAILED, "http_400")
    assert "was not a valid number" in (row.reason or "")
    assert len(hub.refusals()) == 1


def test_a_contact_deleted_before_the_number_could_be_written_is_reported_once(hub: Hub) -> None:
    hub.faults.next(1, "503-html", CHANGE)
    told(hub)
    hub.portal.archive(ADA)
    hub.tried_again()
    row = hub.step("contact_property")
    assert (row.state, row.code) == (State.FAILED, "contact_gone")
    assert hub.rig.certificate().certificate.state == "issued"


def test_case_24_markup_in_the_course_or_in_the_reason_is_shown_and_not_obeyed(hub: Hub) -> None:
    told(hub)
    hub.revoke(hub.rig.certificate().certificate.id, reason="<script>alert(1)</script> & more")
    issued, revoked = hub.notes()
    assert "Intro to &quot;Safety&quot; &lt;Level 1&gt;" in issued
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in revoked
    assert "<script" not in issued + revoked


def test_a_revoked_certificate_leaves_the_contact_and_a_second_note_says_why(hub: Hub) -> None:
    told(hub)
    number = hub.number()
    hub.faults.next(1, "commit-then-drop", CHANGE)
    hub.revoke(hub.rig.certificate().certificate.id)
    hub.faults.next(1, "commit-then-drop", ADD_NOTE)
    hub.tried_again()
    hub.tried_again()
    hub.assert_through()
    assert [hub.shown(name) for name in ("certificate_id", "certificate_url", "certificate_issued_at")] == [""] * 3
    issued, revoked = hub.notes()
    assert f"Certificate {number} issued" in issued
    assert f"Certificate {number} revoked" in revoked
    assert "Reason: Issued by mistake" in revoked
    # Now HubSpot shows a completion without a certificate again: it has had one, and only a person gives another.
    hub.report()
    hub.poll()
    assert len(hub.rig.certificates()) == 1


def test_a_revoked_certificate_leaves_the_number_of_a_later_one_alone(hub: Hub) -> None:
    told(hub)
    told(hub, at="2026-11-22T09:00:00.000Z", course_id="fire-2")
    first, second = hub.rig.certificates()
    hub.revoke(first.certificate.id)
    hub.assert_through()
    assert hub.shown("certificate_id") == certificate_id.grouped(second.certificate.id)


# -- contacts that became one --------------------------------------------------------------------


def merged(hub: Hub, new_id: str | None = None) -> Record:
    with hub.vendor.lock:
        return hub.portal.merge(ADA, BEN, new_id=new_id)


def test_case_06_a_contact_that_was_merged_before_certbridge_asked_gets_one_certificate(hub: Hub) -> None:
    hub.complete()
    hub.complete(BEN)
    merged(hub)
    hub.report()
    hub.assert_one_of_each()
    assert hub.rig.certificate().completion.subject == ADA
    hub.poll()
    assert len(hub.rig.certificates()) == 1


@pytest.mark.parametrize("new_id", [None, "70000000777"])
@pytest.mark.parametrize("webhook", [True, False])
def test_case_06_contacts_merged_later_keep_their_certificates_and_get_no_more(
    hub: Hub, new_id: str | None, webhook: bool
) -> None:
    told(hub, BEN)
    hub.complete(BEN, at="2026-11-20T10:13:20.123Z")
    with hub.vendor.lock:
        hub.portal.merge(ADA, BEN, new_id=new_id)
        # As HubSpot does: what only the record that went away had, the one that stays has now.
        hub.portal.set(ADA, course_completed_at="2026-11-20T10:13:20.123Z", at=hub.clock.ago(minutes=5))
    events = hub.happened()
    if webhook:
        hub.report(events)
        gone = [row for row in hub.rig.events() if row.event.event_type == "contact.deletion"]
        assert {row.state for row in gone} == {State.IGNORED}
        assert hub.rig.certificate().completion.subject == (new_id or ADA)
    hub.poll()
    hub.poll()
    (only,) = hub.rig.certificates()
    # Whatever is written from now on reaches the record that stays.
    hub.revoke(only.certificate.id)
    hub.assert_through()
    assert f"Certificate {certificate_id.grouped(only.certificate.id)} revoked" in hub.notes(new_id or ADA)[-1]


def test_case_06_two_certificates_of_contacts_that_became_one_both_stay_valid(hub: Hub) -> None:
    told(hub)
    told(hub, BEN)
    merged(hub)
    hub.report()
    hub.poll()
    states = [(hit.certificate.state, hit.completion.subject, hit.completion.cycle) for hit in hub.rig.certificates()]
    assert states == [("issued", ADA, 1), ("issued", ADA, 2)]
    assert len(hub.rig.mails()) == 2


# -- to be forgotten -----------------------------------------------------------------------------


def forgotten(hub: Hub, *, turned: bool) -> None:
    with hub.vendor.lock:
        hub.portal.forget(ADA)
    events = hub.happened("contact.deletion", "contact.privacyDeletion")
    # In one batch or in two, in either order.
    for event in reversed(events) if turned else events:
        hub.report([event])


def remembered(hub: Hub) -> list[str]:
    known = hub.rig.dump()
    return [word for word in ("ada@example.org", "Örnek-O'Neil", "\\xd6rnek") if word in known]


@pytest.mark.parametrize("turned", [False, True])
def test_case_07_a_privacy_deletion_asks_first_and_then_forgets_the_learner_once(hub: Hub, turned: bool) -> None:
    told(hub)
    for _ in range(2):
        hub.deliver(hub.sender.workflow(FLAT))  # brings name and address itself
    hub.settle()
    first = hub.rig.certificate().certificate.id
    assert remembered(hub)
    forgotten(hub, turned=turned)
    (asking,) = (row for row in hub.rig.events() if row.event_type == "contact.privacyDeletion")
    assert (asking.state, asking.code) == (State.HELD, "erasure")
    assert hub.rig.certificate().certificate.state == "issued"
    hub.release(asking.id)
    assert hub.rig.event(asking.id).code == "erased"
    assert hub.rig.certificate().certificate.state == "erased"
    assert remembered(hub) == []
    page = hub.rig.page(first)
    assert page.status in (200, 410)
    assert "Ada" not in page.text
    # The contact is gone, so nothing is written to it any more.
    hub.poll()
    hub.report([hub.sender.event(COMPLETED, ADA, propertyName="course_completed_at", propertyValue="1795169600123")])
    assert hub.rig.events()[-1].code == "contact_gone"
    # A workflow may repeat itself for three days.
    hub.deliver(hub.sender.workflow(FLAT))
    hub.settle()
    assert remembered(hub) == []
    assert len(hub.rig.certificates()) == 1


def test_case_07_a_mapping_may_forget_at_once_and_what_was_still_to_be_written_is_left(made: Hub) -> None:
    made.decide(MAPPING + "events:\n  contact.privacyDeletion:\n    erasure: {policy: erase}\n")
    with made.rig.running() as rig:
        made.faults.next(1, "503-html", ADD_NOTE)
        told(made)
        forgotten(made, turned=False)
        assert rig.certificate().certificate.state == "erased"
        assert made.step("note").state is State.CANCELLED
        assert remembered(made) == []
        calls: list[Any] = list(made.vendor.calls)
        made.tried_again()
        assert made.vendor.calls == calls
