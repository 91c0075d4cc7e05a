"""A Moodle that shows no more than the guide's rights allow: what is not seen is neither written over nor confirmed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from flow.guide_rights import of_the_role, table
from flow.rig import Rig
from flow.rig_settings import MOODLE_MAPPING, WEBHOOK_TOKEN
from flow.test_flow_amend import correct, revoke

from bridge.core.certificate_id import grouped
from bridge.core.models import State
from bridge.store import outbox

UPDATE, SEES_ALL = "moodle/user:update", "moodle/user:viewalldetails"
AT = int(datetime(2026, 11, 25, 9, 0, tzinfo=UTC).timestamp())
"""Of the second completion; the first one is of 22 November."""
EVERYTHING = {
    "note": True,
    "profile_field": "certificateid",
    "profile_list": "certificates",
    "activities": {"2": "3", "3": "6"},
    "message": True,
}
REMARK = "HR remark: keep me"


def rights() -> set[str]:
    """Everything that the guide names for writing back."""
    asked = table("moodle", "capabilities")
    return of_the_role().union(*(names for task, names in asked.items() if task.startswith("write_back")))


def allow(rig: Rig, granted: Iterable[str], **write_back: object) -> Rig:
    rig.moodle.settings.granted = set(granted)
    rig.set("sources.moodle.write_back", write_back or EVERYTHING)
    rig.mapping("moodle", MOODLE_MAPPING + "  R&D-2:\n    title: Research\n")
    rig.moodle.site.complete(3, 3, AT)
    return rig


def complete(rig: Rig, course: int) -> str:
    """Lets Moodle's plugin report the learner's completion; returns the certificate's number."""
    event = rig.moodle.completed_event(3, course, token=WEBHOOK_TOKEN, at=AT)
    rig.post("moodle", json.dumps(event).encode())
    rig.wait_settled()
    return grouped(rig.certificates()[-1].certificate.id)


def profile(rig: Rig) -> dict[str, str]:
    return rig.moodle.site.users[3].profile


def listed(rig: Rig) -> list[str]:
    return [entry["certificate"] for entry in json.loads(profile(rig).get("certificates") or "[]")]


def ended(rig: Rig) -> dict[str, tuple[State, str]]:
    """How each step ended last, and why."""
    return {row.step: (row.state, f"{row.code}: {row.reason}") for row in rig.deliveries("write_back")}


def replay_held(rig: Rig) -> None:
    held = [row.id for row in rig.deliveries() if row.state is State.HELD and row.code != "waits_for"]
    for number in held:
        rig.bridge.store.transact(lambda tx, number=number: outbox.replay(tx, number, actor="test"))
    rig.bridge.workers.wake()
    rig.wait_settled()


def test_with_exactly_the_rights_of_the_guide_everything_is_written_corrected_and_taken_back(rig: Rig) -> None:
    with allow(rig, rights()).running():
        first, second = complete(rig, 2), complete(rig, 3)
        assert {row.state for row in rig.deliveries()} == {State.DONE}, rig.story()
        assert (profile(rig)["certificateid"], listed(rig)) == (second, [first, second])
        assert [rig.moodle.site.activities[number, 3].state for number in (3, 6)] == [1, 1]
        assert (len(rig.notes()), len(rig.moodle.site.messages)) == (2, 2)
        older, newer = (hit.certificate.id for hit in rig.certificates())
        correct(rig, newer, recipient__name="José O'Brien")
        assert (profile(rig)["certificateid"], listed(rig)) == (second, [first, second])
        revoke(rig, older)
        assert (profile(rig)["certificateid"], listed(rig)) == (second, [second])
        revoke(rig, newer)
        assert (profile(rig)["certificateid"], listed(rig)) == ("", [])
        assert [rig.moodle.site.activities[number, 3].state for number in (3, 6)] == [0, 0]
        assert {row.state for row in rig.deliveries()} == {State.DONE}, rig.story()
        assert rig.moodle.refused == []


STEPS = ["note", "profile_field", "profile_list", "activity", "message"]
STOPS = {
    "moodle/notes:manage": "note",
    "moodle/notes:view": "note",
    UPDATE: "profile_field",
    SEES_ALL: "profile_field",
    "moodle/course:overridecompletion": "activity",
    "moodle/site:messageanyuser": "message",
}


@pytest.mark.parametrize("right", STOPS)
def test_a_right_for_writing_that_is_missing_is_named_and_nothing_is_called_done(rig: Rig, right: str) -> None:
    with allow(rig, rights() - {right}).running():
        complete(rig, 2)
        state, why = ended(rig)[STOPS[right]]
        assert state in (State.HELD, State.FAILED)
        assert right in why
        done = [step for step, (state, _) in ended(rig).items() if state is State.DONE]
        assert done == STEPS[: STEPS.index(STOPS[right])]


def test_the_guide_names_no_right_for_writing_that_no_step_needs() -> None:
    assert rights() - of_the_role() <= set(STOPS) <= rights()


@pytest.mark.parametrize("right", ["moodle/user:viewdetails", "moodle/course:view", "report/completion:view"])
def test_a_right_for_reading_that_is_missing_is_named_and_nothing_is_issued(rig: Rig, right: str) -> None:
    with allow(rig, rights() - {right}).running():
        event = rig.moodle.completed_event(3, 2, token=WEBHOOK_TOKEN, at=AT)
        number = rig.post("moodle", json.dumps(event).encode()).event
        rig.wait_settled()
        row = rig.event(number)
        assert row.state is State.FAILED
        assert right in str(row.reason)
        assert rig.certificates() == []


def test_case_moodle_1_a_list_that_cannot_be_seen_is_not_overwritten(rig: Rig) -> None:
    with allow(rig, of_the_role() | {UPDATE}, profile_list="certificates").running():
        first = complete(rig, 2)
        state, why = ended(rig)["profile_list"]
        assert (state, SEES_ALL in why) == (State.HELD, True)
        second = complete(rig, 3)
        assert profile(rig) == {}
        rig.moodle.settings.granted |= {SEES_ALL}  # type: ignore[operator]
        replay_held(rig)
        assert listed(rig) == [first, second]


@pytest.mark.parametrize("granted", [{UPDATE}, {UPDATE, SEES_ALL}], ids=["hidden", "seen"])
@pytest.mark.parametrize("field", ["certificates", "certificateid"])
def test_case_moodle_1_foreign_text_always_stays(rig: Rig, granted: set[str], field: str) -> None:
    profile(rig)[field] = REMARK
    kind = "profile_list" if field == "certificates" else "profile_field"
    with allow(rig, of_the_role() | granted, **{kind: field}).running():
        complete(rig, 2)
        state, why = ended(rig)[kind]
        assert (state, why.partition(":")[0]) == (State.HELD, "foreign_text" if SEES_ALL in granted else "hidden")
        revoke(rig, rig.certificate().certificate.id)
        assert profile(rig)[field] == REMARK


def test_case_moodle_2_revoking_does_not_call_right_what_was_not_seen(rig: Rig) -> None:
    both = {"profile_field": "certificateid", "profile_list": "certificates"}
    with allow(rig, rights(), **both).running():
        number = complete(rig, 2)
        rig.moodle.settings.lacks.add(SEES_ALL)
        revoke(rig, rig.certificate().certificate.id)
        assert (profile(rig)["certificateid"], listed(rig)) == (number, [number])
        state, why = ended(rig)["profile_field"]
        assert (state, SEES_ALL in why) == (State.HELD, True)
        assert ended(rig)["profile_list"][0] is State.HELD
        rig.moodle.settings.lacks.clear()
        replay_held(rig)
        assert (profile(rig)["certificateid"], listed(rig)) == ("", [])


@pytest.mark.parametrize("right", [UPDATE, SEES_ALL])
def test_doctor_names_the_right_that_writing_a_profile_field_lacks(rig: Rig, right: str) -> None:
    with allow(rig, rights() - {right}).running():
        assert [right in message for level, message in diagnosed(rig) if level == "error"] == [True]
        rig.moodle.settings.granted = rights()
        assert {level for level, _ in diagnosed(rig)} == {"ok"}
        assert profile(rig) == {}, "doctor writes nothing"


def diagnosed(rig: Rig) -> list[tuple[str, str]]:
    source = rig.bridge.sources["moodle"]
    return [(one.level, one.message) for one in source.connector.diagnose(rig.bridge.api("moodle"))]
