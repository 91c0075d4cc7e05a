"""Mapping entries that change a completion instead of telling of one: pure decisions, held where they are unclear."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.errors import MappingError
from bridge.core.mapping import Defaults, Mapping, compile_mapping, gather
from bridge.core.models import Erasure, Held, Merge, Revocation, SourceEvent

DEFAULTS = Defaults(zone="Europe/Berlin", locale="en")
BASE = "connector: x\nevents:\n  done: {completion: {name: a}}\n"


def mapping(entry: str) -> Mapping:
    return compile_mapping(gather("x.yaml", f"{BASE}  act: {entry}\n", lambda name: None))


def decide(entry: str, **event: Any) -> Any:
    usual = {"event_id": "1", "event_type": "act", "subject": "7", "course": "68", "keys": ("k",)}
    decision = mapping(entry).apply(SourceEvent.model_validate({**usual, **event}), defaults=DEFAULTS)
    return decision.outcome


REVOKED = "{revocation: {reason: '{{ data.why }}'}}"


def test_a_revocation_means_a_key_or_learner_and_course_and_says_why() -> None:
    assert decide(REVOKED, data={"why": " Refunded \n today "}) == Revocation(
        keys=("k",), subject="7", course="68", reason="Refunded today"
    )
    assert decide(REVOKED, data={"why": "x"}, subject=None) == Revocation(keys=("k",), course="68", reason="x")
    assert decide(REVOKED, data={"why": "x"}, keys=()) == Revocation(subject="7", course="68", reason="x")


@pytest.mark.parametrize("changes", [{"keys": (), "subject": None}, {"keys": (), "course": None}])
def test_a_revocation_that_means_nothing_is_held(changes: dict[str, Any]) -> None:
    outcome = decide(REVOKED, data={"why": "x"}, **changes)
    assert (outcome.kind, outcome.code) == ("held", "missing_value")
    assert outcome.reason.startswith("act: The event names neither")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({}, "missing_value"),
        ({"why": None}, "missing_value"),
        ({"why": " "}, "missing_value"),
        ({"why": [1]}, "bad_value"),
    ],
)
def test_a_revocation_without_a_reason_is_held_and_never_prints_none(data: dict[str, Any], code: str) -> None:
    outcome = decide(REVOKED, data=data)
    assert isinstance(outcome, Held)
    assert outcome.code == code
    assert "None" not in outcome.reason


def test_text_from_outside_in_a_reason_is_one_line_without_tricks() -> None:
    outcome = decide(REVOKED, data={"why": "a\u202eb\x00c\nd"})
    assert outcome.reason == "abc d"


def test_an_erasure_asks_a_person_unless_the_mapping_says_otherwise() -> None:
    assert decide("{erasure: {}}") == Erasure(subject="7", policy="ask")
    assert decide("{erasure: {policy: erase}}") == Erasure(subject="7", policy="erase")
    assert decide("{erasure: {}}", subject=None).code == "missing_value"


@pytest.mark.parametrize(
    ("value", "merged"), [(["2", 3], ("2", "3")), ("2", ("2",)), (4, ("4",)), (["2", "2", "7"], ("2",)), ([], ())]
)
def test_a_merge_names_one_record_or_a_list_and_never_itself(value: object, merged: tuple[str, ...]) -> None:
    assert decide("{merge: {merged: '{{ data.gone }}'}}", data={"gone": value}) == Merge(subject="7", merged=merged)


def test_a_merge_may_name_the_record_that_stays() -> None:
    entry = "{merge: {into: '{{ data.kept }}', merged: '{{ event.subject }}'}}"
    assert decide(entry, data={"kept": 9}) == Merge(subject="9", merged=("7",))
    assert decide(entry, data={}).code == "missing_value"
    assert decide(entry, data={"kept": {}}).code == "bad_value"


@pytest.mark.parametrize("value", [None, {}, [["1"]], [None]])
def test_a_merge_with_odd_records_is_held(value: object) -> None:
    outcome = decide("{merge: {merged: '{{ data.gone }}'}}", data={"gone": value})
    assert isinstance(outcome, Held)
    assert "None" not in outcome.reason


@pytest.mark.parametrize(
    "entry",
    ["{revocation: {}}", "{erasure: {policy: shred}}", "{merge: {}}", "{merge: {merged: a}, erasure: {}}"],
    ids=["no reason", "unknown policy", "nothing merged", "two at once"],
)
def test_an_entry_that_is_wrong_is_refused_with_its_place(entry: str) -> None:
    with pytest.raises(MappingError, match=r"x\.yaml:4:"):
        mapping(entry)
