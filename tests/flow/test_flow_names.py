"""Names that are none, or damaged, in a whole bridge: held without a rule, and let go by a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flow.rig import Rig
from flow.rig_declared import TOKEN, with_source
from flow.test_flow_mapping import event as completed_event

from bridge.core.models import State
from bridge.store import inbox

CASES = """\
undefined undefined|null null|None None|nan nan|N/A N/A|[object Object]|Google User|Unknown User|Deleted User|Guest User
Test Test|First Last|Your Name|%FIRSTNAME% %LASTNAME%|b'Maria Silva'|Jaros?aw Nowak|JosÃ© MuÃ±oz|Maria undefined
null Silva|Sean O\\'Brien|[[Full Name]]|Suharto .|Maria [not provided]|Jos%C3%A9%20Silva|Maria+Silva
Se&aacute;n O&#039;Brien"""
RULE = "other_courses: issue\nevery_course: {hold_if: {name: looks incomplete}}\n"


def cases() -> list[str]:
    return CASES.replace("\n", "|").split("|")


def post(rig: Rig, number: int, name: str, **more: str) -> None:
    """Posts a completion of somebody else each time."""
    fields = {"event_id": f"e{number}", "email": f"e{number}@example.com", "name": name, "course_id": "68"}
    fields |= {"completed_at": "2026-11-20T10:00:00Z", **more}
    rig.post("zapier", json.dumps(fields).encode(), {"X-Bridge-Token": TOKEN})


@pytest.mark.parametrize("mapping", ["other_courses: issue\n", RULE], ids=["no rule", "the stricter rule"])
def test_case_certificates_05_and_integrations_11_and_12_names_that_are_none_never_reach_paper(
    rig: Rig, mapping: str
) -> None:
    with_source(rig, "zapier", header_token=TOKEN, mapping=mapping)
    with rig.running():
        for number, name in enumerate([*cases(), "Christopher Null"]):
            post(rig, number, name)
        rig.wait_settled()
        held, let_through = rig.events()[:-1], rig.events()[-1]
        assert {row.code for row in held} == {"placeholder_name", "damaged_name"}, rig.story()
        for row in held:
            assert f"{row.event.data['email']}, 68. The name " in str(row.reason)
            assert "Correct it at the source and replay the event" in str(row.reason)
        assert let_through.state is State.DONE, let_through.reason
        assert rig.certificate().version.data.recipient.name == "Christopher Null"
        assert len(rig.mails()) == 1


def test_who_releases_such_an_event_is_asked_once(rig: Rig) -> None:
    with_source(rig, "zapier", header_token=TOKEN, mapping=RULE)
    with rig.running():
        post(rig, 1, "Guest")
        post(rig, 2, "{{contact.name}}")
        rig.wait_settled()
        as_it_is, mended = (row.id for row in rig.events())
        release(rig, as_it_is)
        release(rig, mended, **{"recipient.name": "Maria Silva"})
        assert [row.state for row in rig.events()] == [State.DONE, State.DONE], rig.story()
        assert [hit.version.data.recipient.name for hit in rig.certificates()] == ["Guest", "Maria Silva"]
        for number in (as_it_is, mended):
            rig.bridge.store.transact(lambda tx, number=number: inbox.replay(tx, number, actor="ana"))  # type: ignore[misc]
        rig.wait_settled()
        assert [row.state for row in rig.events()] == [State.DONE, State.DONE], rig.story()


def release(rig: Rig, number: int, **overrides: str) -> None:
    rig.bridge.store.transact(lambda tx: inbox.release(tx, number, overrides=overrides, actor="ana", reason="asked"))
    rig.bridge.workers.wake()
    rig.wait_settled()


def test_a_title_and_a_field_that_are_none_hold_the_event(rig: Rig) -> None:
    fields = "events:\n  course.completed:\n    completion:\n      fields: {hours: '{{ data.hours }}'}\n"
    with_source(rig, "zapier", header_token=TOKEN, mapping=f"other_courses: issue\n{fields}")
    with rig.running():
        post(rig, 1, "Maria Silva", course_name="undefined")
        post(rig, 2, "Ana Costa", course_name="Fire Safety", hours="#REF!")
        post(rig, 3, "Eva Lang", course_name="Fire Safety", hours="None")
        rig.wait_settled()
        assert [row.code for row in rig.events()] == ["placeholder_text", "placeholder_text", "issued"], rig.story()


def test_a_name_that_came_whole_and_now_is_damaged_changes_no_certificate(live: Rig) -> None:
    first = live.post_signed(completed_event(live)).event
    live.wait_settled()
    damaged: dict[str, Any] = completed_event(live, "e-2")
    damaged["payload"]["user"]["first_name"] = "DanÃ©"
    second = live.post_signed(damaged).event
    live.wait_settled()
    assert [live.event(number).state for number in (first, second)] == [State.DONE, State.HELD]
    assert live.event(second).code == "damaged_name"
    assert live.certificate().version.n == 1


def test_every_sample_of_a_shipped_source_has_a_name_that_is_one() -> None:
    samples = Path(__file__).parents[1] / "samples"
    held = [
        (str(path.relative_to(samples)), outcome["reason"])
        for path in sorted(samples.glob("*/*/expected.json"))
        for outcome in json.loads(path.read_text(encoding="utf-8")).get("outcomes", [])
        if outcome.get("code") in ("placeholder_name", "damaged_name")
    ]
    assert held == []
