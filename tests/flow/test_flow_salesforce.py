"""Salesforce as the source: from a message, a Flow or the poll to the number in the record, and only once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import pytest
from flow.rig import Rig, to
from flow.rig_salesforce import (
    ADA,
    BEN,
    BENS_RECORD,
    CALLOUT_TOKEN,
    DONE_AT,
    RECORD,
    TITLE,
    TOKEN,
    Crm,
    connected,
    states,
)
from vendors.salesforce.sender import OutboundMessages

from bridge.core import certificate_id
from bridge.core.errors import UnavailableError
from bridge.core.models import State
from bridge.store import inbox


class Connect(Protocol):
    """Makes a bridge with changed settings."""

    def __call__(self, **settings: Any) -> AbstractContextManager[Crm]: ...


@pytest.fixture
def connect(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Connect:
    return partial(connected, rig, monkeypatch)


@pytest.fixture
def crm(connect: Connect, rig: Rig) -> Iterator[Crm]:
    """A running bridge on SQLite whose only source is an organisation of Salesforce."""
    with connect() as made, rig.running():
        yield made


@pytest.fixture
def any_crm(any_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """The same, once on SQLite and once on PostgreSQL."""
    with connected(any_rig, monkeypatch) as made, any_rig.running():
        yield made


# -- Outbound Messages ---------------------------------------------------------------------------


def test_a_message_becomes_a_certificate_a_mail_a_number_a_task_and_a_file(any_crm: Crm) -> None:
    crm = any_crm
    crm.complete(Score__c=92.5)
    crm.send(RECORD)
    crm.assert_one_of_each()
    said = crm.rig.certificate().version.data
    assert (said.recipient.name, said.course.title) == ("Ada Örnek-O'Neil & Co", TITLE)
    assert said.completed_on.isoformat() == "2026-11-20"
    (mail,) = crm.rig.mails()
    assert to(mail) == ["ada@example.org"]
    for row in crm.write_backs():
        assert row.receipt is not None
        assert row.receipt["confirmed"] is True
    assert crm.vendor.tokens.sign_ins == 1


def test_case_01_a_hundred_records_in_one_message_are_a_hundred_events_and_one_answer(connect: Connect) -> None:
    with connect() as crm:
        # Only two of them are about a course that is listed: this is about events, not about a hundred PDFs.
        crm.decide("other_courses: skip\ncourses:\n  SAFETY-1: Safety\n")
        records = [crm.add(BEN) for _ in range(98)]
        crm.complete()
        crm.complete(BENS_RECORD)
        with crm.rig.running():
            delivery = crm.send(*records, RECORD, BENS_RECORD)
            assert len(delivery.message.notification_ids) == 100
            assert crm.messages.waiting == {}
            assert [state for state, _ in states(crm)].count(State.IGNORED) == 98
            assert len(crm.rig.certificates()) == 2
            crm.assert_through()
            assert crm.record(RECORD)["Certificate_Id__c"] != crm.record(BENS_RECORD)["Certificate_Id__c"]


def test_case_02_a_message_is_sent_until_it_is_acknowledged_and_brings_one_certificate(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, tried = inbox.put, []

    def fails_once(tx: Any, new: Any) -> Any:
        tried.append(new)
        if len(tried) == 1:
            raise UnavailableError("The disk is full.")
        return put(tx, new)

    monkeypatch.setattr(inbox, "put", fails_once)
    crm.complete()
    crm.messages.fire(RECORD)
    refused = crm.messages.deliver(f"{crm.door}/{TOKEN}")
    assert not refused.acknowledged
    lost = crm.messages.judge(refused.message, None)
    assert not lost.acknowledged
    # This one is stored, but Salesforce never hears of it.
    answer = crm.rig.post("salesforce", crm.messages.message().body, {"Content-Type": "text/xml"}, TOKEN)
    assert answer.status == 200
    crm.settle()
    # By now the record is another one: it carries our number and a newer stamp.
    (last,) = crm.messages.deliver_all(f"{crm.door}/{TOKEN}")
    assert last.acknowledged
    assert last.message.body != refused.message.body
    crm.settle()
    crm.assert_one_of_each()
    assert crm.rig.event().deliveries == 2


def test_case_03_a_record_that_is_there_twice_brings_one_certificate(crm: Crm) -> None:
    crm.complete()
    crm.send(RECORD, RECORD)
    assert [state for state, _ in states(crm)] == [State.IGNORED, State.DONE]
    crm.assert_one_of_each()


def test_case_06_a_learner_without_an_address_is_acknowledged_and_held_until_there_is_one(crm: Crm) -> None:
    crm.org.change(ADA, Email=None)
    crm.complete()
    crm.send(RECORD)
    row = crm.rig.event()
    assert row.state is State.HELD
    assert "email" in (row.reason or "")
    assert crm.rig.certificates() == []
    crm.org.change(ADA, Email="ada.new@example.org")
    crm.replay(row.id)
    crm.assert_one_of_each()
    assert to(crm.rig.mails()[0]) == ["ada.new@example.org"]


def test_case_10_and_26_a_sandbox_has_a_source_of_its_own_and_reaches_no_other(crm: Crm) -> None:
    crm.complete()
    sandbox = OutboundMessages(crm.org, crm.messages.fields, organization_id="00D8d00000TesTiEAV")
    sandbox.fire(RECORD)
    refused = sandbox.deliver(f"{crm.door}/{TOKEN}")
    assert not refused.acknowledged
    assert refused.answer is not None
    assert refused.answer.status == 401
    assert crm.rig.events() == []
    (kept,) = crm.rig.requests()
    assert "make it a source of its own" in kept.reason
    crm.messages.fire(RECORD)
    assert not crm.messages.deliver(f"{crm.door}/another-token").acknowledged
    crm.send()
    crm.assert_one_of_each()


def test_case_14_our_own_change_fires_the_message_again_and_nothing_happens(crm: Crm) -> None:
    crm.complete()
    crm.send(RECORD)
    before = crm.org.snapshot()
    for _ in range(2):
        crm.send(RECORD)
    assert states(crm) == [(State.DONE, "issued"), (State.DONE, "already_issued"), (State.DONE, "already_issued")]
    crm.assert_one_of_each()
    assert crm.org.snapshot() == before, "it would fire the message for ever"


def test_case_25_a_record_deleted_meanwhile_is_acknowledged_and_said(crm: Crm) -> None:
    crm.complete()
    crm.messages.fire(RECORD)
    message = crm.messages.message()
    crm.org.delete(RECORD)
    crm.rig.post("salesforce", message.body, {"Content-Type": "text/xml"}, TOKEN)
    crm.send()
    told, gone = sorted(crm.rig.events(), key=lambda row: row.id)
    assert (told.state, told.code) == (State.FAILED, "record_not_shown")
    assert gone.state is State.IGNORED
    assert "deleted before Salesforce could send it" in (gone.reason or "")
    assert crm.rig.certificates() == []


def test_a_record_that_is_not_completed_yet_is_left_out_and_certified_when_it_is(crm: Crm) -> None:
    crm.send(RECORD)
    assert states(crm) == [(State.IGNORED, "not_wanted")]
    assert "Status__c is 'Enrolled', so this is not completed (yet)." in (crm.rig.event().reason or "")
    crm.complete()
    crm.send(RECORD)
    crm.assert_one_of_each()


def test_an_organisation_may_be_signed_in_to_with_a_key(connect: Connect, rig: Rig) -> None:
    with connect(client_secret=None) as crm:
        tokens = crm.vendor.tokens
        tokens._clock = lambda: datetime.now(UTC)  # the claim is made by the true time
        crm.set("private_key", tokens.private_key_pem)
        crm.set("username", tokens.username)
        with rig.running():
            crm.complete()
            crm.send(RECORD)
            crm.assert_one_of_each()
            line = tokens.private_key_pem.splitlines()[3]
            assert line not in rig.dump()


# -- a Flow's callout ----------------------------------------------------------------------------


@pytest.mark.parametrize("token_only", [True, False])
def test_a_flow_that_names_a_record_brings_the_same_certificate_as_the_poll(connect: Connect, token_only: bool) -> None:
    named = {} if token_only else {"organization_ids": ["00D8d000004xYzA"]}
    settings: dict[str, Any] = {"entry": "flow", "url_token": None, "organization_ids": [], **named}
    with connect(callout_token=CALLOUT_TOKEN, **settings) as crm, crm.rig.running():
        crm.complete()
        body = {"recordId": RECORD[:15], "organizationId": "00D8d000004xYzAEAU"}
        assert crm.call_out(body).json()["outcome"] == "accepted"
        assert crm.call_out(body).json()["outcome"] == "duplicate"
        crm.poll()
        crm.assert_one_of_each()
        assert crm.call_out(body, "another-token-00").status == 401


# -- the poll ------------------------------------------------------------------------------------


def test_what_no_message_told_is_polled_certified_and_written_back(any_crm: Crm) -> None:
    crm = any_crm
    crm.complete()
    polled = crm.poll()
    assert (len(polled.new), polled.lost) == (1, ())
    crm.assert_one_of_each()
    # Our own number moved the stamp of the record.
    crm.org.change(RECORD, at=crm.clock.ago(minutes=4))
    again = crm.poll()
    assert (again.new, again.known) == ((), 1)
    crm.assert_one_of_each()


@pytest.mark.parametrize("poll_first", [True, False])
def test_message_and_poll_of_one_completion_give_one_certificate(crm: Crm, poll_first: bool) -> None:
    crm.complete()
    tell = partial(crm.send, RECORD)
    for step in (crm.poll, tell) if poll_first else (tell, crm.poll):
        step()
        crm.org.change(RECORD, at=crm.clock.ago(minutes=4))
        crm.poll()
    crm.assert_one_of_each()


def test_a_completion_whose_message_was_lost_is_found_by_the_poll_and_told(crm: Crm) -> None:
    crm.complete()
    crm.send(RECORD)
    crm.poll()
    crm.complete(BENS_RECORD)
    polled = crm.poll()
    assert len(polled.new) == 1
    assert polled.lost == polled.new
    crm.assert_through()
    assert crm.record(BENS_RECORD)["Certificate_Id__c"]
    assert [one["count"] for one in crm.reconciled()] == [1]


def test_a_record_that_comes_to_light_without_being_touched_is_found_within_a_day(crm: Crm) -> None:
    crm.complete(at=crm.clock.ago(hours=2))
    with crm.vendor.lock:
        held = dict(crm.org.row(RECORD))
        crm.org.row(RECORD)["Status__c"] = "Enrolled"  # until a formula says otherwise
    assert crm.poll().new == ()
    with crm.vendor.lock:
        crm.org.row(RECORD).update(held)
    crm.clock.forward(hours=12)
    assert crm.poll().new == ()
    crm.clock.forward(hours=13)
    assert len(crm.poll().new) == 1
    crm.assert_one_of_each()


def test_case_22_pages_equal_stamps_and_records_without_a_learner_lose_nothing(connect: Connect) -> None:
    with connect() as crm:
        crm.decide("other_courses: skip\ncourses:\n  SAFETY-1: Safety\n")
        crm.vendor.rest.page_size = 10
        moment = crm.clock.ago(minutes=30)
        stamps = dict.fromkeys(("LastModifiedDate", "SystemModstamp"), moment)
        records = {crm.add(BEN if n % 10 else None, Course_Code__c=f"OTHER-{n}", **stamps) for n in range(25)}
        crm.complete(at=moment)
        crm.org.delete(crm.add(ADA, **stamps))
        with crm.rig.running():
            polled = crm.poll()
            assert len(polled.new) == 26
            assert {row.event.data["id"] for row in crm.rig.events()} == records | {RECORD}
            assert all(row.reason for row in crm.rig.events() if row.state is not State.DONE)
            crm.assert_one_of_each()
            assert crm.poll().new == ()


def test_a_list_whose_next_page_expired_is_read_on_by_the_next_poll(crm: Crm) -> None:
    crm.vendor.rest.page_size = 1
    crm.complete()
    crm.complete(BENS_RECORD, at=crm.clock.ago(minutes=4))
    crm.faults.next(1, "503-html-bare", "/query/01g")
    with pytest.raises(Exception, match="503"):
        crm.poll()
    crm.settle()
    crm.assert_one_of_each()
    crm.vendor.rest.expire_cursors()
    assert len(crm.poll().new) == 1
    assert len(crm.rig.certificates()) == 2


# -- more than one completion --------------------------------------------------------------------


def test_a_second_course_of_the_same_contact_brings_a_second_certificate_and_the_latest_number(crm: Crm) -> None:
    crm.complete()
    crm.send(RECORD)
    fire = crm.add(ADA, Completed_At__c=DONE_AT + timedelta(hours=1))
    crm.send(fire)
    crm.poll()
    first, second = (certificate_id.grouped(hit.certificate.id) for hit in crm.rig.certificates())
    assert (crm.record(RECORD)["Certificate_Id__c"], crm.record(fire)["Certificate_Id__c"]) == (first, second)
    assert crm.record(ADA)["Last_Certificate_Id__c"] == second
    assert len(crm.tasks()) == len(crm.org.content_versions) == 2


def test_a_record_that_is_completed_again_renews_and_its_number_is_the_new_one(crm: Crm) -> None:
    crm.complete(Completed_At__c=DONE_AT.replace(month=2))
    crm.send(RECORD)
    crm.complete()
    crm.send(RECORD)
    crm.poll()
    old, new = crm.rig.certificates()
    assert crm.rig.renews(new) == old.certificate.id
    crm.assert_through()
    number = certificate_id.grouped(new.certificate.id)
    assert crm.record()["Certificate_Id__c"] == crm.record(ADA)["Last_Certificate_Id__c"] == number
    assert len(crm.tasks()) == 2


def test_completions_may_be_fields_of_the_contact_itself(connect: Connect) -> None:
    settings: dict[str, Any] = {
        "object": "Contact",
        "completed_field": None,
        "fields": {
            "learner": "Id",
            "first_name": "FirstName",
            "last_name": "LastName",
            "email": "Email",
            "course": "Course_Name__c",
            "completed_at": "Course_Completed_At__c",
        },
        "write_back": {"certificate_field": "Last_Certificate_Id__c", "url_field": "Last_Certificate_URL__c"},
    }
    with connect(**settings) as crm, crm.rig.running():
        messages = OutboundMessages(crm.org, ("Course_Name__c", "Course_Completed_At__c", "Email"))
        for course, day in (("Safety", DONE_AT.date() - timedelta(days=1)), ("Fire", DONE_AT.date())):
            crm.org.change(ADA, at=crm.clock.ago(minutes=5), Course_Name__c=course, Course_Completed_At__c=day)
            messages.fire(ADA)
            assert messages.deliver(f"{crm.door}/{TOKEN}").acknowledged
            crm.settle()
            crm.poll()
        _, second = crm.rig.certificates()
        assert crm.record(ADA)["Last_Certificate_Id__c"] == certificate_id.grouped(second.certificate.id)
        assert {task["WhoId"] for task in crm.org.tasks} == {ADA}
        crm.assert_through()


# -- what a person has certbridge do -------------------------------------------------------------


def test_a_person_can_test_the_organisation_list_its_courses_and_ask_about_one_learner(crm: Crm) -> None:
    found = crm.rig.certbridge("sources", "test", "salesforce")
    assert "Course_Completion__c.Certificate_Id__c is there and can be written." in found
    assert "✗" not in found
    crm.add(Course_Code__c="FIRE-2")
    listed = crm.rig.certbridge("sources", "courses", "salesforce")
    assert "FIRE-2: Fire Safety" in listed
    assert "SAFETY-1: " in listed
    crm.complete(BENS_RECORD)
    crm.rig.certbridge("sources", "ask", "salesforce", "ben@example.org")
    crm.settle()
    crm.assert_one_of_each(BENS_RECORD, BEN)
    crm.send(BENS_RECORD)
    assert len(crm.rig.certificates()) == 1
