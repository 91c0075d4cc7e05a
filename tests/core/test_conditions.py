"""Conditions in plain words."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from bridge.core.conditions import PHRASES, Undecidable, parse


def holds(phrase: str, value: object) -> bool:
    return parse(phrase).holds(value, zone="Europe/Lisbon")


@pytest.mark.parametrize(
    ("phrase", "value", "expected"),
    [
        ("is Passed", " passed ", True),
        ("is 80", "80.0", True),
        ("is 80", 80, True),
        ("is 12", "012", False),
        ("is 012", "012", True),
        ("is true", True, True),
        ("is 2026-03-02", datetime(2026, 3, 2, 0, 30, tzinfo=UTC), True),
        ("is not Failed", "Passed", True),
        ('is "empty"', "empty", True),
        ("one of A, B", "b", True),
        ("one of A, B", "AB", False),
        ("contains [TEST]", "x [test] y", True),
        ("starts with FORK", "forklift", True),
        ("ends with @acme.example", "m@ACME.example", True),
        ("ends with @acme.example", "m@other.example", False),
        ("at least 80", "80", True),
        ("at least 80", 79.999, False),
        ("At  Least 80", 80, True),
        ("at most 3", -2, True),
        ("before 2026-03-02", "2026-03-01", True),
        ("before 2026-03-02", date(2026, 3, 2), False),
        ("after 2026-07-01", datetime(2026, 7, 1, 23, 30, tzinfo=UTC), True),
        ("is empty", "  ", True),
        ("is not empty", "x", True),
    ],
)
def test_decides(phrase: str, value: object, expected: bool) -> None:
    assert holds(phrase, value) is expected


def test_equal_letters_are_equal_however_they_are_encoded() -> None:
    assert holds("is é", "e\u0301")
    assert holds("is STRASSE", "straße")


@pytest.mark.parametrize("value", ["Passed", "87,5", "80 %", "", "1e2", True, date(2026, 3, 1)])
def test_what_is_no_number_is_not_compared_as_one(value: object) -> None:
    with pytest.raises(Undecidable) as caught:
        holds("at least 80", value)
    assert caught.value.code == "not_a_number"
    assert caught.value.cause


@pytest.mark.parametrize("value", ["1 March 2026", "01/03/2026", 1772353800, True])
def test_what_is_no_date_is_not_compared_as_one(value: object) -> None:
    with pytest.raises(Undecidable) as caught:
        holds("before 2026-03-01", value)
    assert caught.value.code == "not_a_date"


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a text"):
        holds("is x", value)


REFUSED = {
    "atleast 80": "This is not a condition; did you mean at least?",
    "80": 'This is not a condition; did you mean "at least 80" or "is 80"?',
    ">= 80": 'This is not a condition; did you mean "at least 80"?',
    "!= x": 'This is not a condition; did you mean "is not x"?',
    "wibble": "This is not a condition. Conditions start with: " + ", ".join(PHRASES) + ".",
    "at least": 'Something must follow "at least", such as: at least 80.',
    "at least eighty": 'A plain number must follow "at least", such as: at least 80. For dates: before, after.',
    "before yesterday": 'A date must follow "before", such as: before 2026-01-31.',
    "before 2026-01-31T10:00:00Z": 'A date must follow "before", such as: before 2026-01-31.',
    "one of A,,B": 'Something must follow "one of", such as: one of A, B.',
    "looks incomplete today": 'Nothing may follow "looks incomplete".',
}


@pytest.mark.parametrize("phrase", REFUSED)
def test_refuses_with_advice(phrase: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(phrase)
    assert str(caught.value) == REFUSED[phrase]


def test_says_what_is_needed() -> None:
    assert parse("at least 80").needs == "At least 80 is needed"
    assert parse("one of A, B").needs == "One of A, B is needed"
    assert parse("is Passed").needs == '"Passed" is needed'
    assert parse("after 2026-01-31").needs == "A date after 2026-01-31 is needed"
    assert parse("contains x").needs == 'A text that contains "x" is needed'
