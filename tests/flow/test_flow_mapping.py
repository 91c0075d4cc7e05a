"""The mapping in the running bridge: what is refused, what is held with which words, and how it is let go on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flow.rig import Rig, to

import bridge.app
import bridge.flow.mappings
import bridge.flow.upkeep
import bridge.flow.work
from bridge.config import shipped_mapping
from bridge.core.errors import ConfigError, MappingError
from bridge.core.mapping import gather
from bridge.core.models import State
from bridge.flow.mappings import MappingFile, read_bundle
from bridge.store import inbox

SCORED = """\
extends: thinkific
events:
  enrollment.completed:
    completion:
      score: "{{ data.score }}"
courses:
  68:
    title: Forklift Operator
    issue_if: {score: at least 80}
"""
GOOD = "extends: thinkific\ncourses:\n  68: Forklift Operator, Level 2\n"
MISSPELT = "extends: thinkific\ncourses:\n  68:\n    title: Forklift Operator\n    valid_fro: 2 years\n"
REFUSAL = (
    'thinkific-courses.yaml:5:5 Course "68" has "valid_fro: 2 years". There is no such setting; did you mean valid_for?'
)


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.app, "REFRESH", 0.02)
    monkeypatch.setattr(bridge.flow.work, "PAUSE", 0.02)


def _look_only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves it to the test when edited files are looked at."""
    monkeypatch.setattr(bridge.flow.upkeep.Upkeep, "look", lambda upkeep: None)


def event(rig: Rig, event_id: str = "e-1", **payload: Any) -> dict[str, Any]:
    """Returns a completion in Thinkific with other fields."""
    made = rig.thinkific.school.completed_event(97472, event_id=event_id)
    made["payload"].update(payload)
    return made


def held(rig: Rig, **payload: Any) -> inbox.InboxRow:
    """Posts a completion and returns its event, which has to be held with nothing issued."""
    number = rig.post_signed(event(rig, **payload)).event
    rig.wait_settled()
    row = rig.event(number)
    assert row.state is State.HELD, rig.story()
    assert rig.certificates() == []
    assert rig.deliveries() == []
    return row


def release(rig: Rig, number: int, **overrides: str) -> None:
    """Does what `certbridge events release` does beside the running bridge."""
    changes = {name.replace("__", "."): value for name, value in overrides.items()} | {"released": "yes"}
    rig.bridge.store.transact(
        lambda tx: inbox.release(tx, number, overrides=changes, actor="test", reason="asked the trainer")
    )
    rig.bridge.workers.wake()
    rig.wait_settled()


def test_a_misspelt_setting_keeps_the_bridge_from_starting_and_says_where(rig: Rig) -> None:
    rig.mapping("thinkific", MISSPELT)
    rig.mapping("moodle", "extends: moodle\nevery_course:\n  agian: renew\n")
    with pytest.raises(ConfigError) as refused, rig.running():
        pass
    # Both files at once: nobody likes to be told one mistake a start.
    assert str(refused.value).splitlines() == [
        'moodle-courses.yaml:3:3 every_course has "agian: renew". There is no such setting; did you mean again?',
        REFUSAL,
    ]


def test_a_broken_edit_keeps_the_old_version_and_says_so_until_it_is_mended(live: Rig) -> None:
    mappings = live.bridge.mappings
    before = mappings.current("thinkific").sha256
    live.mapping("thinkific", MISSPELT)
    problem = live.wait(lambda: mappings.problems.get("thinkific"))
    assert problem.startswith(REFUSAL)
    assert re.search(r"\nNothing changed: the version of \d\d \w{3} \d\d:\d\d stays in use\.$", problem)
    assert mappings.current("thinkific").sha256 == before
    live.post_signed(event(live))
    live.wait_settled()
    assert live.certificate().version.data.course.title == "Forklift Operator"

    live.mapping("thinkific", GOOD)
    live.wait(lambda: mappings.current("thinkific").sha256 != before)
    assert mappings.problems == {}
    user = {**event(live)["payload"]["user"], "id": 123457}
    live.post_signed(event(live, "e-2", id=97473, user=user))
    live.wait_settled()
    assert live.certificates()[1].version.data.course.title == "Forklift Operator, Level 2"


def test_a_file_that_is_being_saved_is_neither_taken_over_nor_reported(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _look_only_here(monkeypatch)
    whole = "extends: thinkific\nother_courses: skip\ncourses:\n  68: Forklift Operator\n  69: First Aid\n"
    rig.mapping("thinkific", whole)
    with rig.running():
        mappings = rig.bridge.mappings
        before = mappings.current("thinkific").sha256
        path = rig.folder / "mappings" / "thinkific-courses.yaml"
        # Each of these is a mapping, or nearly: with the third, whoever completed First Aid would get nothing.
        for saved in ("", whole[:15], whole[: whole.index("  69")]):
            path.write_text(saved)
            mappings.refresh()
            assert (mappings.problems, mappings.current("thinkific").sha256) == ({}, before)
        path.unlink()
        mappings.refresh()
        assert mappings.problems == {}
        rig.mapping("thinkific", GOOD)
        rig.take_over_mappings()
        assert mappings.current("thinkific").sha256 != before


def test_a_mapping_that_named_a_missing_template_is_taken_over_once_the_template_is_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _look_only_here(monkeypatch)
    with rig.running():
        mappings = rig.bridge.mappings
        before = mappings.current("thinkific").sha256
        rig.mapping("thinkific", "extends: thinkific\ncourses:\n  68: {title: Forklift, template: forklift}\n")
        rig.take_over_mappings()
        assert "forklift" in mappings.problems["thinkific"]
        page = rig.folder / "templates" / "forklift" / "certificate.html"
        page.parent.mkdir(parents=True)
        page.write_text("<html><body><p>{{ name }} completed {{ course }}. {{ certificate_id }}</p></body></html>")
        mappings.refresh()
        assert mappings.problems == {}
        assert mappings.current("thinkific").sha256 != before


def test_a_mapping_is_parsed_when_it_changed_and_not_at_every_look(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    _look_only_here(monkeypatch)
    parsed: list[str] = []

    def counted(name: str, *parts: Any, **named: Any) -> Any:
        parsed.append(name)
        return gather(name, *parts, **named)

    with rig.running():
        monkeypatch.setattr(bridge.flow.mappings, "gather", counted)
        for text in (MISSPELT, GOOD):
            rig.mapping("thinkific", text)
            for _ in range(5):
                rig.take_over_mappings()
    assert parsed.count("thinkific-courses.yaml") == len((MISSPELT, GOOD))


def test_an_edit_with_broken_yaml_is_reported_and_taking_it_back_ends_the_report(live: Rig) -> None:
    mappings = live.bridge.mappings
    path = live.folder / "mappings" / "thinkific-courses.yaml"
    working = path.read_text()
    live.mapping("thinkific", "extends: thinkific\ncourses:\n\t68: x\n")
    assert "thinkific-courses.yaml:3" in live.wait(lambda: mappings.problems.get("thinkific"))
    path.unlink()
    live.wait(lambda: "does not exist" in mappings.problems.get("thinkific", ""))
    path.write_text(working)
    live.wait(lambda: not mappings.problems)


def test_a_rule_on_a_value_that_is_missing_holds_and_names_it(rig: Rig) -> None:
    rig.mapping("thinkific", SCORED)
    with rig.running():
        row = held(rig)
    assert row.code == "missing_value"
    assert row.reason == (
        "Łukasz Żółć-Dziewulski, Forklift Operator. At least 80 is needed, but the event brought no score. Usual "
        "cause: the course is not graded, or the grade came later than the event. (data.score is missing; "
        "thinkific-courses.yaml:5:14) (Rule: thinkific-courses.yaml:9:23)"
    )


def test_an_expression_about_a_missing_field_holds_and_says_how_to_make_it_normal(rig: Rig) -> None:
    rig.mapping("thinkific", GOOD + "every_course:\n  hold_if: {expression: data.user.vip.level}\n")
    with rig.running():
        row = held(rig)
    assert row.code == "missing_value"
    assert row.reason
    assert "data.user.vip is missing" in row.reason
    assert "write data.user.vip | default(false)" in row.reason


def test_a_score_that_is_no_number_holds(rig: Rig) -> None:
    rig.mapping("thinkific", SCORED)
    with rig.running():
        row = held(rig, score="very good")
    assert row.code == "not_a_number"
    assert row.reason
    assert 'the score is "very good", which is not a number' in row.reason


def test_a_score_below_the_limit_is_ignored_and_one_above_is_issued(rig: Rig) -> None:
    rig.mapping("thinkific", SCORED)
    with rig.running():
        rig.post_signed(event(rig, score="79.5"))
        rig.wait_settled()
        assert (rig.event().state, rig.event().code) == (State.IGNORED, "issue_if")
        assert rig.event().reason
        assert 'At least 80 is needed, but the score is "79.5".' in rig.event().reason
        assert rig.certificates() == []
        rig.post_signed(event(rig, "e-2", score="100"))
        rig.wait_settled()
        assert rig.certificate().version.data.fields["score"] == "100"


def test_a_null_name_holds_and_never_prints_as_text(live: Rig) -> None:
    user = {**event(live)["payload"]["user"], "first_name": None}
    row = held(live, user=user)
    assert row.code == "missing_value"
    assert row.reason
    assert row.reason.startswith("lukasz@example.invalid, Forklift Operator. The event brought no name.")
    assert "data.user.first_name is null" in row.reason
    assert "None Żółć" not in live.dump()


def test_a_released_event_is_issued_with_the_corrected_value_which_survives_replay(live: Rig) -> None:
    user = {**event(live)["payload"]["user"], "first_name": None}
    number = held(live, user=user).id
    release(live, number, recipient__name="Łucja Żółć")
    assert (live.event(number).state, live.event(number).code) == (State.DONE, "issued")
    hit = live.certificate()
    assert hit.version.data.recipient.name == "Łucja Żółć"
    assert "Łucja Żółć" in live.pdf_text(hit.certificate.id)
    (mail,) = live.mails()
    assert to(mail) == ["lukasz@example.invalid"]
    (line,) = [line for line in live.timeline(inbox_id=number) if line.kind == "event.released"]
    assert (line.actor, line.data["reason"]) == ("test", "asked the trainer")
    assert line.data["overrides"]["recipient.name"] == "Łucja Żółć"
    live.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test"))
    live.bridge.workers.wake()
    live.wait_settled()
    assert live.certificate().version.data.recipient.name == "Łucja Żółć"
    assert len(live.mails()) == 1


def test_a_name_the_typeface_cannot_draw_is_held_and_issued_in_another_spelling(live: Rig) -> None:
    user = {**event(live)["payload"]["user"], "first_name": "小龍"}
    row = held(live, user=user)
    assert row.code == "glyphs"
    assert row.reason
    assert "小" in row.reason
    release(live, row.id, recipient__name="Xiaolong Li")
    assert live.certificate().version.data.recipient.name == "Xiaolong Li"


def test_a_free_preview_waits_for_a_person(live: Rig) -> None:
    row = held(live, free_trial=True)
    assert row.code == "hold_if"
    assert row.reason
    assert "This was a free preview, not a full enrolment" in row.reason
    release(live, row.id)
    assert live.certificate().certificate.state == "issued"


@pytest.mark.parametrize(
    ("policy", "state", "code"),
    [("hold", State.HELD, "course_not_listed"), ("skip", State.IGNORED, "course_not_listed")],
)
def test_a_course_that_is_not_listed_is_held_or_skipped(rig: Rig, policy: str, state: State, code: str) -> None:
    rig.mapping("thinkific", f"extends: thinkific\nother_courses: {policy}\ncourses:\n  99: First Aid\n")
    with rig.running():
        number = rig.post_signed(event(rig)).event
        rig.wait_settled()
        row = rig.event(number)
        assert (row.state, row.code) == (state, code)
        assert rig.certificates() == []
        if policy == "hold":
            assert row.reason
            assert '"68: Forklift Operator"' in row.reason


def test_a_course_that_is_not_listed_is_issued_when_the_mapping_says_so(rig: Rig) -> None:
    rig.mapping("thinkific", "extends: thinkific\nother_courses: issue\ncourses:\n  99: First Aid\n")
    with rig.running():
        rig.post_signed(event(rig))
        rig.wait_settled()
        assert rig.certificate().version.data.course.title == "Forklift Operator"


def test_an_event_held_for_its_course_is_issued_once_the_course_is_listed_and_it_is_replayed(rig: Rig) -> None:
    rig.mapping("thinkific", "extends: thinkific\ncourses:\n  99: First Aid\n")
    with rig.running():
        number = held(rig).id
        before = rig.bridge.mappings.current("thinkific").sha256
        rig.mapping("thinkific", GOOD)
        rig.wait(lambda: rig.bridge.mappings.current("thinkific").sha256 != before)
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.certificate().version.data.course.title == "Forklift Operator, Level 2"


def test_a_bridge_starts_with_the_version_that_worked_although_the_file_is_broken_now(rig: Rig) -> None:
    with rig.running():
        pass
    rig.mapping("thinkific", MISSPELT)
    with rig.running():
        problem = rig.bridge.mappings.problems["thinkific"]
        assert problem.startswith(REFUSAL)
        assert "stays in use" in problem
        rig.post_signed(event(rig))
        rig.wait_settled()
        (hit,) = rig.certificates()
        assert hit.version.data.course.title == "Forklift Operator"


def test_a_command_beside_the_bridge_neither_stumbles_over_a_broken_edit_nor_puts_a_good_one_in_force(rig: Rig) -> None:
    with rig.running():
        before = rig.bridge.mappings.current("thinkific").sha256
        rig.mapping("thinkific", MISSPELT)
        with bridge.app.open_bridge(rig.config(), role="command") as beside:
            assert beside.mappings.current("thinkific").sha256 == before


def test_a_mapping_for_another_kind_of_source_is_refused(rig: Rig) -> None:
    rig.mapping("thinkific", "extends: moodle\ncourses:\n  68: Forklift Operator\n")
    with pytest.raises(
        ConfigError, match="The mapping is for moodle, but the source thinkific is of connector thinkific"
    ):
        rig.running().__enter__()


@pytest.mark.parametrize("name", ["scool.yaml", "mappings/school.yaml"])
def test_a_mapping_that_is_not_there_is_named_with_the_file_that_was_meant(tmp_path: Path, name: str) -> None:
    (tmp_path / "school.yaml").write_text("extends: thinkific\n")
    with pytest.raises(MappingError) as caught:
        read_bundle(MappingFile("north", "thinkific", tmp_path / name), shipped_mapping)
    assert str(caught.value) == (
        f"{tmp_path / name} does not exist; source north names it after `mapping:`; did you mean school.yaml? The "
        "folder holds: school.yaml."
    )


def test_a_mapping_that_extends_nothing_shipped_is_told_what_to_extend(tmp_path: Path) -> None:
    path = tmp_path / "school.yaml"
    path.write_text("extends: thinkfic\n")
    with pytest.raises(MappingError) as caught:
        read_bundle(MappingFile("north", "thinkific", path), shipped_mapping)
    assert str(caught.value) == ('school.yaml:1:10 There is no shipped mapping "thinkfic". Write extends: thinkific.')
