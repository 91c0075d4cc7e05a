"""An integration user with no more than the guide's rights: what is not seen is neither written over nor confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from xml.etree import ElementTree

import pytest
from flow.guide_rights import PERMISSION_SET, needed
from flow.rig import Rig
from flow.rig_salesforce import ADA, OBJECT, RECORD, Crm, connected
from flow.test_flow_amend import correct
from vendors.salesforce.org import Org

from bridge.core import certificate_id
from bridge.core.models import State

RIGHTS = needed("salesforce", "right")
PACKAGE = {right for right, what in RIGHTS.items() if not what.startswith("only")}
METADATA = "{http://soap.sforce.com/2006/04/metadata}"
NUMBER, LINK, LATEST = "Certificate_Id__c", "Certificate_URL__c", "Last_Certificate_Id__c"
REMARK = "HR remark: keep me"
SETTINGS = {
    "fields": {},
    "write_back": {"url_field": LINK, "task_key_field": "Certificate_Key__c", "pdf": "record"},
}
WITH_LEARNER = {**SETTINGS, "write_back": {**SETTINGS["write_back"], "learner_field": LATEST}}

Connect = Callable[..., AbstractContextManager[Crm]]


def allow(org: Org, rights: set[str]) -> None:
    """Lets the integration user do this and nothing more; standard fields need no right of their own."""
    for kind in (org.types[name] for name in (OBJECT, "Contact", "Task")):
        task = kind.name == "Task"
        kind.hidden = not (task or {f"Read {kind.name}", f"Edit {kind.name}"} & rights)
        kind.updateable = kind.createable = "EditTask" in rights if task else f"Edit {kind.name}" in rights
        for field in kind.fields.values():
            if field.name.endswith("__c") or field.name == "Email":
                edit = f"Edit {kind.name}.{field.name}" in rights
                field.hidden = not (edit or f"Read {kind.name}.{field.name}" in rights)
                field.createable = field.updateable = edit


@pytest.fixture
def connect(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """A connected organisation whose integration user has these rights and no others."""

    @contextmanager
    def made(rights: set[str], **settings: Any) -> Iterator[Crm]:
        with connected(rig, monkeypatch, **{**SETTINGS, **settings}) as crm:
            allow(crm.org, rights)
            yield crm

    return made


def both_courses_corrected_and_taken_back(crm: Crm) -> None:
    crm.complete()
    crm.send(RECORD)
    other = crm.add(ADA, Course_Name__c="Fire Safety")
    crm.send(other)
    crm.assert_through()
    older, newer = (hit.certificate.id for hit in crm.rig.certificates())
    numbers = [certificate_id.grouped(one) for one in (older, newer)]
    assert [crm.record(one)[NUMBER] for one in (RECORD, other)] == numbers
    correct(crm.rig, newer, recipient__name="Ada Ornek")
    crm.revoke(older)
    assert [crm.record(one)[NUMBER] for one in (RECORD, other)] == [None, numbers[1]]
    crm.revoke(newer)
    crm.assert_through()
    assert [crm.record(one)[name] for one in (RECORD, other) for name in (NUMBER, LINK)] == [None] * 4
    assert len(crm.tasks()) == 4


def test_the_guide_names_the_rights_of_the_permission_set() -> None:
    root = ElementTree.parse(PERMISSION_SET).getroot()

    def given(kind: str, name: str, edit: str) -> Iterator[str]:
        for one in root.iter(METADATA + kind):
            act = "Edit" if one.findtext(METADATA + edit) == "true" else "Read"
            yield f"{act} {one.findtext(METADATA + name)}"

    users = {one.findtext(f"{METADATA}name") for one in root.iter(f"{METADATA}userPermissions")}
    fields = {*given("fieldPermissions", "field", "editable")}
    objects = {*given("objectPermissions", "object", "allowEdit")}
    # Who may edit an object may read it.
    assert users | fields | objects == PACKAGE - {f"Read {OBJECT}"}


def test_with_exactly_the_rights_of_the_guide_everything_is_written_corrected_and_taken_back(connect: Connect) -> None:
    with connect(PACKAGE) as crm, crm.rig.running():
        both_courses_corrected_and_taken_back(crm)


def test_with_the_rights_for_the_learners_field_that_is_written_and_taken_back_as_well(connect: Connect) -> None:
    with connect(set(RIGHTS), **WITH_LEARNER) as crm, crm.rig.running():
        both_courses_corrected_and_taken_back(crm)
        assert crm.record(ADA)[LATEST] is None
        assert len(crm.rig.deliveries("write_back")) > 8


# Right -> the step that stops without it, and what names it in the message and in what doctor says.
STOPS = {
    f"Edit {OBJECT}": ("record", "INSUFFICIENT_ACCESS", f"may not edit {OBJECT}"),
    f"Edit {OBJECT}.{NUMBER}": ("record", NUMBER, NUMBER),
    f"Edit {OBJECT}.{LINK}": ("record", LINK, LINK),
    "EditTask": ("task", "Task", "may not create tasks"),
    "Edit Task.Certificate_Key__c": ("task", "Certificate_Key__c", "Certificate_Key__c"),
    "Edit Contact": ("learner", "INSUFFICIENT_ACCESS", "may not edit Contact"),
    f"Edit Contact.{LATEST}": ("learner", LATEST, LATEST),
}


def test_each_right_for_writing_is_tried_without() -> None:
    assert {right for right in RIGHTS if right.startswith("Edit")} == set(STOPS)


@pytest.mark.parametrize(
    ("right", "instead"),
    [(right, "nothing") for right in STOPS] + [(right, "Read") for right in STOPS if right != "EditTask"],
)
def test_a_right_for_writing_that_is_missing_is_named_and_nothing_is_called_done(
    connect: Connect, right: str, instead: str
) -> None:
    step, named, told = STOPS[right]
    rest = set(RIGHTS) - {right} | {f"Read {OBJECT}"}
    if instead == "Read":
        rest |= {right.replace("Edit ", "Read ")}
    with connect(rest, **WITH_LEARNER) as crm, crm.rig.running():
        crm.complete()
        crm.send(RECORD)
        row = crm.step(step)
        assert row.state in (State.FAILED, State.HELD), crm.rig.story()
        assert named in (row.reason or "")
        steps = ["record", "task", "learner", "file"]
        done = [row.step for row in crm.write_backs() if row.state is State.DONE]
        assert done == steps[: steps.index(step)]
        assert any(told in message for message in diagnosed(crm)), diagnosed(crm)
        assert crm.refusals()


@pytest.mark.parametrize("right", sorted(PACKAGE - {"ApiEnabled", "EditTask", "Read Account"} - set(STOPS)))
def test_a_right_for_reading_that_is_missing_is_named_and_nothing_is_issued(connect: Connect, right: str) -> None:
    # What is required of everybody, such as the lookup, is no field permission; hidden it is all the same.
    lacking = {right, right.replace("Read ", "Edit ")}
    with connect(PACKAGE - lacking) as crm, crm.rig.running():
        crm.complete()
        crm.send(RECORD)
        (event,) = crm.rig.events()
        assert event.state is State.FAILED, crm.rig.story()
        name = right.rpartition(".")[2] if "." in right else right.removeprefix("Read ")
        assert name in (event.reason or "")
        assert crm.rig.certificates() == []
        assert any(name in message for message in diagnosed(crm)), diagnosed(crm)
        crm.refusals()


@pytest.mark.parametrize("before", [None, REMARK])
def test_case_moodle_1_and_2_at_salesforce_a_hidden_field_is_neither_written_over_nor_called_right(
    connect: Connect, before: str | None
) -> None:
    with connect(PACKAGE) as crm, crm.rig.running():
        crm.complete()
        crm.send(RECORD)
        number = crm.number()
        if before:
            crm.org.change(RECORD, **{NUMBER: before})
        crm.org.types[OBJECT].fields[NUMBER].hidden = True
        crm.revoke(crm.rig.certificate().certificate.id)
        row = crm.step("record")
        assert (row.state, NUMBER in (row.reason or "")) == (State.FAILED, True)
        assert crm.record()[NUMBER] == (before or number)
        assert crm.refusals()
        crm.org.types[OBJECT].fields[NUMBER].hidden = False
        crm.resend(row.id)
        assert crm.record()[NUMBER] == before


def test_foreign_text_always_stays(connect: Connect) -> None:
    with connect(PACKAGE) as crm, crm.rig.running():
        crm.org.change(RECORD, **{NUMBER: REMARK})
        crm.complete()
        crm.send(RECORD)
        row = crm.step("record")
        assert (row.state, row.code) == (State.HELD, "foreign_text")
        crm.revoke(crm.rig.certificate().certificate.id)
        assert crm.record()[NUMBER] == REMARK


def diagnosed(crm: Crm) -> list[str]:
    source = crm.rig.bridge.sources["salesforce"]
    found = source.connector.diagnose(crm.rig.bridge.api("salesforce"))
    return [one.message for one in found if one.level == "error"]
