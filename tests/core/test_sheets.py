"""What people write into tables: dates in three orders and Excel's numbers, and a hundred ways to say yes."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.dates import EARLIEST, LATEST, read_sheet
from bridge.core.transforms import sheet_date, truth

DAY = date(2026, 1, 31)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("2026-01-31", "dmy"),
        ("2026-01-31", "mdy"),
        ("2026/1/31", "dmy"),
        ("2026.01.31", "dmy"),
        ("31.01.2026", "dmy"),
        ("31.1.26", "dmy"),
        ("31. 1. 2026", "dmy"),
        ("31/01/2026", "dmy"),
        ("31-01-2026", "dmy"),
        ("01/31/2026", "mdy"),
        ("1/31/26", "mdy"),
        ("26-01-31", "ymd"),
        ("  31.01.2026\u00a0", "dmy"),
        ("31.01.2026 08:30", "dmy"),
        ("31/01/2026, 08:30:15", "dmy"),
        ("1/31/2026 8:30:15 PM", "mdy"),
        ("2026-01-31T23:59:59", "dmy"),
        ("2026-01-31T23:59:59Z", "dmy"),
        ("2026-01-31 23:59:59.123456", "dmy"),
        ("2026-01-31T00:30:00.000+02:00", "dmy"),
        ("46053", "dmy"),
        ("46053.75", "mdy"),
        ("٣١.٠١.٢٠٢٦", "dmy"),
    ],
)
def test_a_date_is_read_as_it_is_written(text: str, order: str) -> None:
    assert read_sheet(text, order) == DAY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "31",
        "31.01",
        "31.01.026",
        "31.13.2026",
        "30.02.2026",
        "31.01-2026",
        "2026-31-01",
        "20260131",
        "31.01.2026 x",
        "31.01.2026\n1.1.2026",
        "0",
        "1",
        "99999999",
        "1e9",
        "00.00.0000",
        "0000-00-00",
        "=TODAY()",
        "31.01.20266",
        "-1.1.2026",
        "#N/A",
        "31 Jan 2026",
    ],
)
def test_what_is_no_date_is_refused_and_never_guessed(text: str) -> None:
    with pytest.raises(ValueError):
        read_sheet(text, "dmy")


def test_the_order_is_not_guessed_from_what_would_fit() -> None:
    assert read_sheet("02.03.2026", "dmy") == date(2026, 3, 2)
    assert read_sheet("02/03/2026", "mdy") == date(2026, 2, 3)
    with pytest.raises(ValueError, match=r"no such date \(read as month, day, year\)"):
        read_sheet("31/01/2026", "mdy")
    with pytest.raises(ValueError, match=r"no such date \(read as year, month, day\)"):
        read_sheet("2026-02-30", "dmy")
    with pytest.raises(ValueError, match="one of dmy, mdy, ymd"):
        read_sheet("31.01.2026", "ydm")


def test_years_of_two_digits_lie_around_now() -> None:
    assert [read_sheet(f"1.2.{year}", "dmy").year for year in ("00", "26", "68", "71", "99")] == [
        2000,
        2026,
        2068,
        1971,
        1999,
    ]


@pytest.mark.parametrize("text", ["01.01.1969", "01.01.1970", "02.01.1970", "01.01.2201", "01.01.1900"])
def test_a_date_that_stands_for_none_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match="its year is not between"):
        read_sheet(text, "dmy")


def test_excels_number_counts_the_days_of_its_calendar() -> None:
    # https://support.microsoft.com: 1 January 2008 is 39448.
    assert read_sheet("39448", "dmy") == date(2008, 1, 1)
    with pytest.raises(ValueError, match="its year is not between"):
        read_sheet("25568", "dmy")


@given(st.dates(date(1970, 1, 3), date(2068, 12, 31)), st.sampled_from(["dmy", "mdy", "ymd"]), st.sampled_from("./-"))
def test_every_date_written_in_an_order_is_read_back(day: date, order: str, sign: str) -> None:
    parts = {"d": str(day.day), "m": f"{day.month:02d}", "y": str(day.year)}
    assert read_sheet(sign.join(parts[letter] for letter in order), order) == day


@given(st.text(max_size=40), st.sampled_from(["dmy", "mdy", "ymd"]))
def test_any_text_is_a_sensible_date_or_refused_in_words(text: str, order: str) -> None:
    try:
        found = read_sheet(text, order)
    except ValueError as refusal:
        assert str(refusal).endswith(".")  # noqa: PT017 (either way is fine)
    else:
        assert EARLIEST <= found.year <= LATEST


def test_the_transform_names_the_value_that_it_cannot_read() -> None:
    assert sheet_date("31.01.2026") == DAY
    with pytest.raises(ValueError, match='"soon": it is not a date'):
        sheet_date("soon")
    with pytest.raises(ValueError):
        sheet_date(None)


@pytest.mark.parametrize(
    "value",
    [
        True,
        1,
        "1",
        "yes",
        "Y",
        " x ",
        "TRUE",
        "ja",
        "oui",
        "sí",
        "Sim",
        "✓",
        "✔️",
        "✅",
        "☑️",
        "attended",
        "WAHR",
        "VRAI",
        "VERO",
        "VERDADERO",
        "WAAR",
        unicodedata.normalize("NFD", "SÍ"),
    ],
)
def test_yes_is_read_in_many_ways(value: object) -> None:
    assert truth(value) is True


@pytest.mark.parametrize("value", [False, 0, "", " ", "0", "no", "n", "nein", "FALSE", "FALSCH", "-", "✗", "yesterday"])
def test_everything_else_is_no(value: object) -> None:
    assert truth(value) is False


@pytest.mark.parametrize("value", [None, [], {"a": 1}])
def test_a_value_that_is_none_is_not_taken_for_no(value: object) -> None:
    with pytest.raises(ValueError):
        truth(value)
