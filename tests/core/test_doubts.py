"""What stands for a missing name, or was damaged on the way, is told; real names of all kinds are left alone."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_examples import SCHOOL, completion, decide, event, held, ignored

from bridge.core.damage import damage
from bridge.core.doubts import about_name, about_title, about_word
from bridge.core.placeholders import no_name, no_value
from bridge.core.recipients import clean_name, incomplete
from bridge.core.transforms import name_case

NAMES = Path(__file__).parent / "names"


def names(file: str) -> list[str]:
    """Returns the names of a file, one on each line."""
    return (NAMES / f"{file}.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")


UNSEEN = [
    "Mar\ufffda",
    "O\x92Brien",
    "Jos\x1a",
    "Ma\ue000ria",
    "Ma\u0378ria",
    "Jos\udce9",
]
"""Damage that no file can show."""


@pytest.mark.parametrize("name", names("placeholders"))
def test_case_integrations_11_and_certificates_05_what_stands_for_a_missing_name_is_told(name: str) -> None:
    assert no_name(name)
    doubt = about_name(name)
    assert doubt is not None
    assert doubt.code == "placeholder_name"
    assert incomplete(clean_name(name))


@pytest.mark.parametrize("name", names("damaged") + UNSEEN)
def test_case_certificates_05_and_integrations_12_a_damaged_name_is_told(name: str) -> None:
    assert damage(name)
    assert about_name(name) is not None


def test_real_names_of_many_cultures_are_left_alone() -> None:
    real = names("real")
    assert len(set(real)) > 300
    spellings = {
        form
        for name in real
        for form in (name, clean_name(name), unicodedata.normalize("NFD", name), name_case(name), name.title())
    }
    assert {name: doubt for name in sorted(spellings) if (doubt := about_name(name))} == {}


@pytest.mark.parametrize("codec", ["latin-1", "cp1252"])
def test_every_western_name_is_told_when_its_utf8_was_read_as_something_else(codec: str) -> None:
    western = [name for name in names("real") if not name.isascii() and _fits(name, "latin-1")]
    assert len(western) > 50
    for name in western:
        garbled = name.encode().decode(codec, errors="replace")
        assert about_name(garbled) is not None, (name, garbled)


def _fits(name: str, codec: str) -> bool:
    try:
        name.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def test_case_integrations_13_the_case_of_a_name_is_mended_only_where_it_is_one() -> None:
    for kept in ("#N/A", "#REF!", "NULL", "nan nan", "maria null", "null silva", "JOSÃ‰", "O&#039;BRIEN", "{{NAME}}"):
        assert name_case(kept) == kept
    assert name_case("CHRISTOPHER NULL") == "Christopher Null"
    assert name_case("nan zhang") == "Nan Zhang"


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(text: str) -> None:
    doubt = about_name(text)
    assert doubt is None or (doubt.finding.endswith(".") and "\n" not in doubt.finding)


# -- the title, and fields ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "title", ["undefined", "null", "None", "#REF!", "[object Object]", "{{course}}", "N/A", "PrÃ©vention"]
)
def test_a_title_that_is_none_is_told(title: str) -> None:
    assert about_title(title) is not None


@pytest.mark.parametrize(
    "title", ["Null Hypothesis", "Unknown Pleasures", "Test", "C# for {beginners}", "Prévention", "#1"]
)
def test_other_titles_are_left_alone(title: str) -> None:
    assert about_title(title) is None


def test_a_field_may_say_none_but_not_null() -> None:
    assert [no_value(value) for value in ("None", "N/A", "-", "8", "", "null and void")] == [False] * 6
    assert all(no_value(value) for value in ("null", "undefined", "NaN", "#N/A", "{{hours}}", "%HOURS%"))
    assert about_word("fields.hours", "null") is not None
    assert about_word("completed_on", "null") is None


# -- in a mapping ------------------------------------------------------------------------------------

PLAIN = SCHOOL.replace("  hold_if: {name: looks incomplete}\n", "")


def test_a_name_that_is_none_is_held_without_a_rule_and_says_what_to_do() -> None:
    assert held(event(course__id=68, user__lastname="undefined"), school=PLAIN) == (
        "placeholder_name",
        'Maria@acme.example, Fire Safety. The name "Maria undefined" stands for a missing one: "undefined" is what '
        "programs and people write where a name is missing. Correct it at the source and replay the event, or release "
        'it with the right name: certbridge events release NUMBER --set "recipient.name=..." --reason TEXT. If that is '
        "how the learner is called, release it without --set.",
    )


def test_a_damaged_name_is_held_without_a_rule() -> None:
    code, reason = held(event(course__id=68, user__firstname="JosÃ©"), school=PLAIN)
    assert code == "damaged_name"
    assert 'The name "JosÃ© Silva" looks damaged: its letters were read in a wrong encoding (UTF-8).' in reason


@pytest.mark.parametrize("school", [PLAIN, SCHOOL])
@pytest.mark.parametrize("name", ["null", "O&#039;Brien"])
def test_who_releases_such_a_name_is_not_asked_about_it_again(school: str, name: str) -> None:
    odd = event(course__id=68, user__firstname="", user__lastname=name)
    code, _ = held(odd, school=school)
    assert completion(odd, school=school, overrides={"released": code}).recipient.name == name
    assert held(odd, school=school, overrides={"released": "flood"})[0] == code


def test_a_released_event_with_another_name_that_is_none_is_asked_about_like_the_first() -> None:
    assert (
        held(event(course__id=68), overrides={"recipient.name": "null null", "released": "flood"})[0]
        == "placeholder_name"
    )
    assert completion(event(course__id=68, user__lastname="null"), overrides={"recipient.name": "Maria Silva"})


def test_the_rule_can_be_seen_where_it_decides() -> None:
    lines = decide(event(course__id=68, user__lastname="null"), school=PLAIN).trace
    line = next(line for line in lines if line.word == "hold_if name")
    assert (line.value, line.note) == ("Maria null", "decided")
    assert not [line for line in decide(event(course__id=68), school=PLAIN).trace if line.word == "hold_if name"]


def test_a_name_that_is_none_can_be_skipped_by_the_stricter_phrase() -> None:
    school = PLAIN.replace("{email: ends with @test.acme.example}", "{name: looks incomplete}")
    assert ignored(event(course__id=68, user__lastname="undefined"), school=school)[0] == "skip_if"


def test_a_title_and_a_field_that_are_none_are_held_and_can_be_released() -> None:
    school = PLAIN.replace("other_courses: hold", "other_courses: issue")
    untitled = event(course__id=5, course__shortname="x", course__fullname="undefined")
    code, reason = held(untitled, school=school)
    assert code == "placeholder_text"
    assert 'The course title "undefined" stands for a missing one' in reason
    assert '--set "course.title=..."' in reason
    assert completion(untitled, school=school, overrides={"released": code})
    code, reason = held(event(course__id=68, user__manager="null"), school=school)
    assert (code, 'The field manager is "null"' in reason) == ("placeholder_text", True)
