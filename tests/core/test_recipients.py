"""Names that are good enough to print, addresses that are good enough to write to."""

from __future__ import annotations

import pytest

from bridge.core.recipients import clean_name, incomplete, read_address, tidy_address


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("Maria", "it is one word"),
        ("M S", "it has initials only"),
        ("J.R. M.", "it has initials only"),
        ("Maria 2", "it has digits"),
        ("maria@acme.example x", "it is an e-mail address"),
        ("maria.silva", "it is the first part of the e-mail address"),
        ("王", "it is one word"),
        ("Claim it at http://evil.example/x", "it holds a web address"),
        ("Visit WWW.evil.example", "it holds a web address"),
    ],
)
def test_says_why_a_name_looks_incomplete(name: str, reason: str) -> None:
    assert incomplete(name, "Maria.Silva@acme.example") == reason


@pytest.mark.parametrize("name", ["Maria Silva", "MARIA SILVA", "maria silva", "M. Silva", "王小明", "김철수", "Жан Б"])
def test_other_names_are_complete(name: str) -> None:
    assert incomplete(name, "maria.silva@acme.example") is None


def test_cleans_a_name_without_changing_its_case() -> None:
    assert clean_name(" maria\u00a0\u202eDA  SILVA\u200b\ufeff\n") == "maria DA SILVA"
    assert clean_name("Ze\u0301") == "Zé"
    assert clean_name("A\u2066\u2069\u061c\x00\x1b[0m") == "A[0m"


def test_keeps_joiners_where_they_are_spelling() -> None:
    assert clean_name("می\u200cخواهم") == "می\u200cخواهم"
    assert clean_name("Ma\u200cria \u200dSilva") == "Maria Silva"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Maria@ACME.Example \n", "Maria@acme.example"),
        ("o'brien+x@mail.acme.example", "o'brien+x@mail.acme.example"),
        ("m@bücher.example", "m@xn--bcher-kva.example"),
        ("m@BÜCHER.example", "m@xn--bcher-kva.example"),
    ],
)
def test_reads_one_plain_address(text: str, address: str) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "@", "m", "m@", "@acme.example", "m@acme", "m@@acme.example", ".m@acme.example", "m.@acme.example",
     "m..m@acme.example", "m@-acme.example", "m@acme-.example", "m@acme..example", "m@10.0.0.1", "m@[10.0.0.1]",
     "Maria <m@acme.example>", "m@acme.example, n@acme.example", "m n@acme.example", "m@acme.example\nBcc: x@y.example",
     "m@acme.example\x00", "é@acme.example", '"m"@acme.example',
     "m@" + "a" * 64 + ".example", "m" * 65 + "@acme.example",
     "m@" + "ü" * 500 + ".example", "m@\u202eacme.example", "m@exa mple.example", "m@ac\u200bme..example"],
)  # fmt: skip
def test_refuses_everything_else_naming_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        read_address(text)


def test_tidying_judges_nothing() -> None:
    assert tidy_address(" [TEST]A@B.Example ") == "[TEST]A@b.example"
    assert tidy_address("nobody") == "nobody"
