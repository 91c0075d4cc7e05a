"""Certificate ids are unguessable, readable, and say when they were mistyped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.core import certificate_id

bodies = st.text(certificate_id.ALPHABET, min_size=16, max_size=16)


def whole(body: str) -> str:
    return next(body + symbol for symbol in certificate_id.ALPHABET if certificate_id.read(body + symbol))


def test_a_new_id_reads_back_grouped_lower_case_and_spaced() -> None:
    identifier = certificate_id.new()
    shown = certificate_id.grouped(identifier)
    assert shown.count("-") == 3
    for typed in (identifier, shown, shown.lower(), f" {shown.replace('-', ' ')} ", shown.replace("-", "\u2011")):
        assert certificate_id.read(typed) == identifier


def test_new_ids_differ() -> None:
    assert len({certificate_id.new() for _ in range(1000)}) == 1000


def test_letters_that_look_like_digits_are_read_as_digits() -> None:
    identifier = whole("0011000011110000")
    assert certificate_id.read(identifier.replace("0", "o").replace("1", "l")) == identifier
    assert certificate_id.read(identifier.replace("1", "I")) == identifier


@given(bodies, st.integers(0, 16), st.sampled_from(certificate_id.ALPHABET))
def test_every_wrong_symbol_is_found(body: str, position: int, symbol: str) -> None:
    identifier = whole(body)
    changed = identifier[:position] + symbol + identifier[position + 1 :]
    assert (certificate_id.read(changed) is None) == (changed != identifier)


@given(bodies, st.integers(0, 15))
def test_every_swap_of_neighbours_is_found(body: str, position: int) -> None:
    identifier = whole(body)
    swapped = identifier[:position] + identifier[position + 1] + identifier[position] + identifier[position + 2 :]
    assert (certificate_id.read(swapped) is None) == (swapped != identifier)


@given(st.text(max_size=80))
def test_any_text_reads_as_an_id_or_as_mistyped(text: str) -> None:
    read = certificate_id.read(text)
    assert read is None or len(read) == certificate_id.LENGTH


def test_exactly_one_check_symbol_fits() -> None:
    body = "ABCDEFGHJKMNPQRS"
    assert len([s for s in certificate_id.ALPHABET if certificate_id.read(body + s)]) == 1
