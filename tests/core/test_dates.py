"""How long a certificate is valid, and zones as text from outside."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.dates import add_months, valid_for, valid_until, zone


@pytest.mark.parametrize(
    ("text", "completed", "expires"),
    [
        ("2 years", date(2026, 3, 1), date(2028, 3, 1)),
        ("1 year", date(2024, 2, 29), date(2025, 2, 28)),
        ("4 years", date(2024, 2, 29), date(2028, 2, 29)),
        ("1 month", date(2026, 1, 31), date(2026, 2, 28)),
        ("18 Months", date(2026, 8, 31), date(2028, 2, 29)),
        ("6 weeks", date(2026, 3, 1), date(2026, 4, 12)),
        ("90 days", date(2026, 3, 1), date(2026, 5, 30)),
        ("forever", date(2026, 3, 1), None),
    ],
)
def test_counts_from_the_completion(text: str, completed: date, expires: date | None) -> None:
    assert valid_for(text).expires_on(completed) == expires


@pytest.mark.parametrize(
    ("text", "completed", "expires"),
    [
        ("31 December", date(2026, 3, 1), date(2026, 12, 31)),
        ("31 December", date(2026, 12, 31), date(2027, 12, 31)),
        ("December 31", date(2026, 3, 1), date(2026, 12, 31)),
        ("30. Jun", date(2026, 7, 1), date(2027, 6, 30)),
        ("29 February", date(2026, 3, 1), date(2027, 2, 28)),
        ("2027-06-30", date(2026, 3, 1), date(2027, 6, 30)),
    ],
)
def test_ends_on_a_day_of_the_calendar(text: str, completed: date, expires: date) -> None:
    assert valid_until(text).expires_on(completed) == expires


def test_an_end_before_the_completion_is_refused() -> None:
    with pytest.raises(ValueError, match="is not after the completion"):
        valid_until("2026-01-31").expires_on(date(2026, 1, 31))


@pytest.mark.parametrize(
    "text", ["", "2", "two years", "0 years", "101 years", "2 yeers", "-1 days", "2 years 3 months"]
)
def test_refuses_other_durations(text: str) -> None:
    with pytest.raises(ValueError, match="Write a number and a unit"):
        valid_for(text)


@pytest.mark.parametrize("text", ["", "31 Decembre", "32 May", "31 June", "Ju 1", "2027-02-30", "tomorrow", "31/12"])
def test_refuses_other_ends(text: str) -> None:
    with pytest.raises(ValueError):
        valid_until(text)


@given(st.dates(date(1970, 1, 1), date(2200, 12, 31)), st.integers(1, 1200))
def test_months_later_is_the_same_day_or_the_last_of_the_month(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or add_months(later.replace(day=1), 1).toordinal() - later.toordinal() == 1


@pytest.mark.parametrize(
    "name", ["", "Europe", "../etc/passwd", "/etc/passwd", "99", "Lisbon", "Europe/" + "x" * 80, "a\x00b"]
)
def test_refuses_what_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone(name)
