"""Names under one address: two spellings of one person, or two people."""

from __future__ import annotations

import pytest

from bridge.core.person import another, family, is_address, same_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana Lima", "ana  LIMA"),
        ("Ana Lima", "Lima, Ana"),
        ("Łukasz Żółć", "ZOLC Lukasz"),
        ("José Muñoz", "Jose Munoz"),
        ("Gerda Strauß", "GERDA STRAUSS"),
        ("Sinéad O’Brien", "Sinead O'BRIEN"),
        ("Ana-Maria Lima", "Ana Maria Lima"),
        ("Ronald McDonald", "Ronald Mc Donald"),
        ("J.R. Smith", "J. R. Smith"),
        ("李 小龍", "李小龍"),
        ("محمد علي", "مُحَمَّد علي"),
        ("Ｍａｒｉａ Silva", "Maria Silva"),
    ],
)
def test_spellings_of_one_name_are_the_same_person(one: str, other: str) -> None:
    assert same_name(one, other)
    assert same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana Lima", "Rui Lima"),
        ("Ana Lima", "Ana Lima Silva"),
        ("Amy Lee", "May Lee"),
        ("がく さとう", "かく さとう"),
        ("किरण राव", "करण राव"),
        ("李小龍", "李小文"),
        ("", "Ana Lima"),
    ],
)
def test_other_names_are_other_people(one: str, other: str) -> None:
    assert not same_name(one, other)


def test_only_an_address_may_be_several_people() -> None:
    assert is_address("office@firm.example")
    for subject in ("42", "ana", "https://id.example/ana", "lms.example#ana", "learner@", "0035e000001abcdEAA"):
        assert not is_address(subject)


def test_a_further_person_has_a_subject_of_their_own_that_no_source_could_send() -> None:
    rui = another("office@firm.example", "Rui Lima")
    assert rui == another("office@firm.example", "LIMA, Rui") != another("office@firm.example", "Ana Lima")
    assert rui.startswith(family("office@firm.example"))
    assert not is_address(rui)
    assert "rui" not in rui, "an erased learner's name would stay"
