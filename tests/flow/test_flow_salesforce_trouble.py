"""Salesforce in trouble, fields that may not be written, records that are gone: nothing twice, nothing silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flow.rig import Rig
from flow.rig_salesforce import ADA, BEN, BENS_RECORD, DONE_AT, OBJECT, RECORD, TOKEN, WRITE_BACK, Crm, connected
from vendors.faults import Mode

from bridge.core import certificate_id
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import State
from bridge.demo.vendors.stand_in import Call

READ = "/query"
SIGN_IN = "/services/oauth2/token"
FILE = "POST /services/data/v67.0/sobjects/ContentVersion"


@pytest.fixture
def made(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """An organisation whose bridge is not started yet."""
    rig.set("limits.read_seconds", 3)
    with connected(rig, monkeypatch) as crm:
        yield crm


@pytest.fixture
def crm(made: Crm) -> Iterator[Crm]:
    with made.rig.running():
        yield made


def told(crm: Crm, record: str = RECORD, **values: Any) -> None:
    """Completes the course and lets the message say so."""
    crm.complete(record, **values)
    crm.send(record)


def writes(call: Call) -> bool:
    """A composite that changes something, and not one that only looks."""
    return call.path.endswith("/composite") and (b'"PATCH"' in call.body or b'"POST"' in call.body)


# -- while certbridge asks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "code", "rests"),
    [
        ("REQUEST_LIMIT_EXCEEDED", "http_429", 3600),
        ("429", "http_429", 60),
        ("SERVER_UNAVAILABLE", "server_unavailable", 0),
        ("500", "http_500", 0),
        ("503-html-bare", "http_503", 0),
        ("html-200", "not_json", 0),
        ("drop", "connection", 0),
        ("slow", "timeout", 0),
    ],
)
def test_trouble_while_asking_is_waited_out_and_then_the_certificate_comes(
    crm: Crm, mode: Mode, code: str, rests: float
) -> None:
    crm.faults.next(1, mode, READ, seconds=60)
    told(crm)
    row = crm.rig.event()
    assert (row.state, row.code) == (State.RETRYING, code), row.reason
    assert crm.rig.certificates() == []
    assert (crm.rests_for() or 0) == pytest.approx(rests, rel=0.25)
    crm.tried_again()
    crm.assert_one_of_each()


def test_case_16_when_the_allocation_is_used_up_the_whole_source_rests_and_messages_are_still_taken(crm: Crm) -> None:
    crm.vendor.api_used = crm.vendor.api_total
    told(crm)
    assert crm.rig.event().code == "http_429"
    assert "Setup, System Overview" in (crm.rig.event().reason or "")
    assert len(crm.refusals()) == 1
    crm.complete(BENS_RECORD)
    crm.messages.fire(BENS_RECORD)
    assert crm.messages.deliver(f"{crm.door}/{TOKEN}").acknowledged
    assert not crm.due()
    assert crm.rig.events()[1].state is State.READY
    assert crm.refusals() == []
    crm.vendor.api_used = 0
    crm.tried_again()
    assert len(crm.rig.certificates()) == 2
    crm.assert_through()


def test_case_15_a_token_that_ended_is_renewed_once_and_nobody_notices(crm: Crm) -> None:
    told(crm)
    crm.vendor.end_sessions()
    told(crm, BENS_RECORD)
    crm.assert_through()
    assert crm.vendor.tokens.sign_ins == 2
    assert crm.refusals() == ["INVALID_SESSION_ID: Session expired or invalid"]
    crm.faults.next(1, "INVALID_SESSION_ID", writes)
    crm.send(crm.add())
    crm.assert_through()
    assert crm.vendor.tokens.sign_ins == 3
    assert len(crm.rig.certificates()) == 3


def test_trouble_while_signing_in_is_waited_out(crm: Crm) -> None:
    crm.faults.next(1, "503-html-bare", SIGN_IN)
    told(crm)
    assert (crm.rig.event().state, crm.rig.event().code) == (State.RETRYING, "http_503")
    crm.tried_again()
    crm.assert_one_of_each()


def test_a_secret_that_was_changed_fails_once_with_advice_and_goes_on_with_the_new_one(made: Crm) -> None:
    secret, made.vendor.tokens.client_secret = made.vendor.tokens.client_secret, "another-consumer-secret"
    with made.rig.running():
        told(made)
        row = made.rig.event()
        assert (row.state, row.code) == (State.FAILED, "login_refused")
        assert "not that of the app" in (row.reason or "")
        assert len(made.refusals()) == 1
        made.tried_again()
        assert made.refusals() == []
        assert secret not in made.rig.dump()
    made.set("client_secret", made.vendor.tokens.client_secret)
    with made.rig.running():
        made.replay(row.id)
        made.assert_one_of_each()


def test_a_poll_in_trouble_is_noted_and_the_next_one_finds_everything(crm: Crm) -> None:
    crm.complete()
    crm.faults.next(1, "REQUEST_LIMIT_EXCEEDED", READ)
    with pytest.raises(TemporaryError, match="limit of API requests"):
        crm.poll()
    assert "limit of API requests" in (crm.poll_error() or "")
    assert (crm.rests_for() or 0) == pytest.approx(3600, rel=0.01)
    crm.tried_again()
    assert len(crm.poll().new) == 1
    crm.assert_one_of_each()


# -- while certbridge writes ---------------------------------------------------------------------


def writes_task(call: Call) -> bool:
    return writes(call) and b"/sobjects/Task" in call.body


WRITES = {
    "record": writes,
    "task": writes_task,
    "learner": lambda call: writes(call) and b"Contact/" in call.body,
    "file": FILE,
}


@pytest.mark.parametrize(
    ("step", "mode"),
    [
        *((step, "commit-then-drop") for step in WRITES),
        ("file", "slow"),
        ("record", "503-html-bare"),
        ("learner", "REQUEST_LIMIT_EXCEEDED"),
    ],
)
def test_a_write_whose_answer_was_lost_is_there_once(crm: Crm, step: str, mode: Mode) -> None:
    crm.faults.next(1, mode, WRITES[step], seconds=60)
    told(crm)
    assert crm.step(step).state is State.RETRYING, crm.rig.story()
    crm.tried_again()
    crm.assert_one_of_each()


@pytest.mark.parametrize("upsert_status", [200, 204])
def test_case_19_a_task_with_a_key_is_there_once_and_again_only_for_the_revocation(
    made: Crm, upsert_status: int
) -> None:
    crm, rig = made, made.rig
    crm.set("write_back", {**WRITE_BACK, "task_key_field": "Certificate_Key__c"})
    with crm.running():
        crm.vendor.rest.upsert_status = upsert_status
        crm.faults.next(1, "commit-then-drop", writes_task)
        told(crm)
        assert crm.step("task").state is State.RETRYING
        crm.tried_again()
        crm.assert_one_of_each()
        crm.faults.next(1, "commit-then-drop", writes_task)
        crm.revoke(rig.certificate().certificate.id)
        crm.tried_again()
        crm.assert_through()
        identifier = rig.certificate().certificate.id
        assert [task["Certificate_Key__c"] for task in crm.org.tasks] == [identifier, f"{identifier}R"]


def test_what_was_written_but_could_not_be_read_back_is_not_written_again(crm: Crm) -> None:
    seen: list[bytes] = []

    def third_composite(call: Call) -> bool:
        """Look, write, look: the second look."""
        if call.path.endswith("/composite"):
            seen.append(call.body)
        return len(seen) == 3 and call.path.endswith("/composite")

    crm.faults.next(1, "drop", third_composite)
    told(crm)
    assert crm.step("record").state is State.RETRYING
    assert crm.record()["Certificate_Id__c"] == crm.number()
    crm.tried_again()
    crm.assert_one_of_each()


def test_a_write_that_comes_late_leaves_the_number_of_the_renewal_in_the_record(crm: Crm) -> None:
    crm.faults.next(1, "503-html-bare", writes)
    told(crm, Completed_At__c=DONE_AT.replace(month=2))
    told(crm)
    old, new = crm.rig.certificates()
    crm.tried_again()
    number = certificate_id.grouped(new.certificate.id)
    assert crm.record()["Certificate_Id__c"] == number
    assert crm.record()["Certificate_URL__c"].endswith(number)
    assert {row.state for row in crm.write_backs()} == {State.DONE}, crm.rig.story()
    assert len(crm.tasks()) == len(crm.org.content_versions) == 2
    # Somebody takes the older one back: the newer one stays.
    crm.revoke(old.certificate.id)
    assert crm.record()["Certificate_Id__c"] == number
    assert len(crm.tasks()) == 3


def test_case_17_a_locked_record_is_tried_again_and_its_task_waits(crm: Crm) -> None:
    crm.org.fail_next(1, "UNABLE_TO_LOCK_ROW", OBJECT)
    told(crm)
    row = crm.step("record")
    assert (row.state, row.code) == (State.RETRYING, "unable_to_lock_row")
    assert crm.tasks() == []
    crm.tried_again()
    crm.assert_one_of_each()


def test_case_18_and_20_a_field_that_may_not_be_written_fails_once_with_its_name(crm: Crm) -> None:
    field = crm.org.types[OBJECT].fields["Certificate_Id__c"]
    field.updateable = False
    told(crm)
    row = crm.step("record")
    assert (row.state, row.code, row.attempts) == (State.FAILED, "invalid_field_for_insert_update", 1)
    assert "Edit Access" in (row.reason or "")
    assert "Certificate_Id__c" in (row.reason or "")
    assert len(crm.refusals()) == 1
    assert len(crm.rig.mails()) == 1, "the learner has the certificate all the same"
    crm.tried_again()
    assert crm.refusals() == [], "it is reported once and not tried again by itself"
    field.updateable = True
    crm.resend(row.id)
    crm.assert_one_of_each()


def test_a_renamed_field_for_the_number_fails_once_with_its_name(crm: Crm) -> None:
    field = crm.org.types[OBJECT].fields["Certificate_Id__c"]
    field.hidden = True
    told(crm)
    row = crm.step("record")
    assert (row.state, row.code, row.attempts) == (State.FAILED, "invalid_field", 1)
    assert "Certificate_Id__c" in (row.reason or "")
    crm.tried_again()
    assert len(crm.refusals()) == 1
    assert crm.tasks() == []
    field.hidden = False
    crm.resend(row.id)
    crm.assert_one_of_each()


def test_a_renamed_field_of_the_completion_fails_event_and_poll_once_with_its_name(crm: Crm) -> None:
    field = crm.org.types[OBJECT].fields["Course_Code__c"]
    field.hidden = True
    told(crm)
    row = crm.rig.event()
    assert (row.state, row.code) == (State.FAILED, "invalid_field")
    assert "Course_Code__c" in (row.reason or "")
    crm.tried_again()
    assert len(crm.refusals()) == 1
    with pytest.raises(PermanentError, match="Course_Code__c"):
        crm.poll()
    assert len(crm.refusals()) == 1
    field.hidden = False
    crm.replay(row.id)
    crm.poll()
    crm.assert_one_of_each()


def test_a_number_that_stands_in_another_record_is_reported_and_not_moved(crm: Crm) -> None:
    crm.faults.next(1, "503-html-bare", writes)
    told(crm)
    crm.org.change(BENS_RECORD, Certificate_Id__c=crm.number())
    crm.tried_again()
    row = crm.step("record")
    assert (row.state, row.code) == (State.FAILED, "duplicate_value")
    assert "another record holds this number" in (row.reason or "")
    assert crm.record(BENS_RECORD)["Certificate_Id__c"] == crm.number()


def test_case_24_a_record_deleted_before_the_number_could_be_written_is_reported_once(crm: Crm) -> None:
    crm.faults.next(1, "503-html-bare", "/composite")
    told(crm)
    crm.org.delete(RECORD)
    crm.tried_again()
    row = crm.step("record")
    assert (row.state, row.code) == (State.FAILED, "entity_is_deleted")
    assert "deleted, or merged or converted" in (row.reason or "")
    crm.tried_again()
    assert crm.step("record").attempts == row.attempts
    assert crm.rig.certificate().certificate.state == "issued"


def test_case_24_a_contact_merged_into_another_keeps_the_number_in_the_record_and_says_what_is_missing(
    crm: Crm,
) -> None:
    crm.faults.next(1, "503-html-bare", "/composite")
    told(crm)
    # Salesforce moves the records of a contact that is merged away, and deletes it.
    crm.org.change(RECORD, Contact__c=BEN, at=crm.clock.ago(minutes=4))
    crm.org.delete(ADA)
    crm.tried_again()
    row = crm.step("task")
    assert (row.state, row.code) == (State.FAILED, "entity_is_deleted")
    assert crm.record()["Certificate_Id__c"] == crm.number()
    # The completion is the same, whoever it belongs to now.
    crm.send(RECORD)
    crm.poll()
    assert len(crm.rig.certificates()) == len(crm.rig.mails()) == 1


def test_a_task_that_was_archived_since_is_found_and_not_made_again(crm: Crm) -> None:
    told(crm)
    (task,) = crm.org.tasks
    crm.org.change(task["Id"], IsArchived=True)
    crm.rig.certbridge("certificates", "replay", crm.number(), "--write-back")
    crm.settle()
    crm.assert_through()
    assert len(crm.tasks()) == 1


def test_a_flow_that_changes_the_number_back_is_noticed(crm: Crm) -> None:
    field = crm.org.types[OBJECT].fields["Certificate_Id__c"]
    update = crm.org.update

    def undone(kind: Any, row: Any, body: Any) -> None:
        update(kind, row, body)
        if kind.name == OBJECT:
            row[field.name] = None

    crm.org.update = undone  # type: ignore[method-assign]
    told(crm)
    row = crm.step("record")
    assert (row.state, row.code) == (State.RETRYING, "not_confirmed")
    assert "changes it back" in (row.reason or "")
    crm.org.update = update  # type: ignore[method-assign]
    crm.tried_again()
    crm.assert_one_of_each()


def test_a_revoked_certificate_leaves_record_and_contact_and_a_second_task_says_so(crm: Crm) -> None:
    told(crm)
    number = crm.number()
    crm.faults.next(1, "commit-then-drop", writes)
    crm.revoke(crm.rig.certificate().certificate.id)
    crm.tried_again()
    crm.assert_through()
    held = crm.record()
    assert (held["Certificate_Id__c"], held["Certificate_URL__c"]) == (None, None)
    assert crm.record(ADA)["Last_Certificate_Id__c"] is None
    assert [subject.split(":")[0] for subject in crm.tasks()] == [
        f"Certificate {number} issued",
        f"Certificate {number} revoked",
    ]
    # Now the record is one without a number again: it has had one, and only a person gives another.
    crm.send(RECORD)
    crm.org.change(RECORD, at=crm.clock.ago(minutes=4))
    crm.poll()
    assert len(crm.rig.certificates()) == 1


def test_a_revoked_certificate_leaves_the_number_of_a_later_one_alone(crm: Crm) -> None:
    told(crm)
    crm.send(crm.add(ADA))
    first, second = crm.rig.certificates()
    crm.revoke(first.certificate.id)
    crm.assert_through()
    assert crm.record()["Certificate_Id__c"] is None
    assert crm.record(ADA)["Last_Certificate_Id__c"] == certificate_id.grouped(second.certificate.id)
