"""Headers that prove something: one is replaced whatever its capitals, and a login is read or is none."""

from __future__ import annotations

import base64

import pytest

from bridge.core.headers import authorization, basic, basic_login, with_header


def test_a_header_takes_the_place_of_its_namesake() -> None:
    assert with_header({"x-key": "old", "Other": "kept"}, "X-Key", "new") == {"Other": "kept", "X-Key": "new"}


@pytest.mark.parametrize(
    ("value", "found"), [("Bearer  abc ", "abc"), ("bEARER abc", "abc"), ("Bearer", None), ("", None)]
)
def test_the_scheme_may_have_any_capitals(value: str, found: str | None) -> None:
    assert authorization({"authorization": value}, "bearer") == found


def test_a_login_is_read_back_as_it_was_made() -> None:
    assert basic_login({"authorization": basic("användare:läs:mig")}) == "användare:läs:mig"


@pytest.mark.parametrize("value", ["", "Basic", "Basic ***", "Bearer YTpi", "Basic /w==", "Basic " + "QUFB" * 1025])
def test_what_is_no_login_is_none(value: str) -> None:
    assert basic_login({"authorization": value}) is None


def test_the_longest_login_is_read() -> None:
    assert basic_login({"authorization": "Basic " + base64.b64encode(b"a" * 3072).decode()}) == "a" * 3072
