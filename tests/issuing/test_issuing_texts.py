from __future__ import annotations

from datetime import date

import pytest
from issuing_samples import a_job

from bridge.core.errors import HeldError
from bridge.issuing import fonts
from bridge.issuing.fitting import fit, shorten
from bridge.issuing.preflight import clean_text, preflight
from bridge.issuing.wording import LANGUAGES, PHRASES, format_date, say


def held(**texts: object) -> HeldError:
    with pytest.raises(HeldError) as caught:
        preflight(a_job(**texts).certificate.data)  # type: ignore[arg-type]
    return caught.value


# -- what is tidied --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("Zoe\u0308", "Zoë"),
        ("  Maria \t\n da   Silva ", "Maria da Silva"),
        ("Ma\u200bria\ufeff", "Maria"),
        ("\u202eavliS ad airaM\u202c", "avliS ad airaM"),
        ("\u0149", "ʼn"),
        ("Anne\u00adMarie", "AnneMarie"),
        ("Maria\r\nBcc: x@y", "Maria Bcc: x@y"),
    ],
)
def test_tidies_what_is_invisible(given: str, printed: str) -> None:
    assert clean_text(given) == printed


# -- what is held ----------------------------------------------------------------------------------


def test_names_each_character_that_cannot_be_drawn() -> None:
    error = held(name="Li 李 Wei 😀 \ue000")
    assert error.stable_code == "glyphs"
    assert "the learner's name" in str(error)
    assert "李 (CJK UNIFIED IDEOGRAPH-674E, U+674E)" in str(error)
    assert "😀 (GRINNING FACE, U+1F600)" in str(error)
    assert "(unnamed character, U+E000)" in str(error)


def test_names_only_the_first_of_many_characters() -> None:
    assert "and 12 more" in str(held(course="一二三四五六七八九十百千万上中下左右大小"))


def test_says_which_text_is_at_fault() -> None:
    assert "the course title" in str(held(course="日本"))
    assert "the issuer's name" in str(held(issuer="日本"))
    assert 'the field "trainer"' in str(held(fields={"trainer": "日本"}))


@pytest.mark.parametrize("name", ["", " \u200b ", "\u202e"])
def test_holds_a_name_with_nothing_to_see(name: str) -> None:
    assert held(name=name).stable_code == "missing_text"


def test_holds_half_a_character() -> None:
    assert held(name="Maria \ud83d").stable_code == "glyphs"


def test_holds_stacks_of_accents_but_not_vietnamese_or_polytonic_ones() -> None:
    assert held(name="Z\u0301\u0302\u0303\u0304\u0305algo").stable_code == "glyphs"
    for name in ("Nguyễn Văn Ánh", "ᾧ Ἀθηνᾶ", "n\u0303\u0302", "Łukasz Żółć-Dziewulski"):
        preflight(a_job(name=name).certificate.data)


def test_holds_a_name_of_ten_thousand_characters() -> None:
    assert held(name="x " * 5000).stable_code == "does_not_fit"


# -- what fits -------------------------------------------------------------------------------------


def fit_name(text: str) -> tuple[float, tuple[str, ...]]:
    fitted = fit(text, label="the learner's name", width=225, size=46, least=26, lines=2, wrapped=34, bold=True)
    return fitted.size, fitted.lines


def test_a_short_name_keeps_the_full_size() -> None:
    assert fit_name("Maria da Silva") == (46, ("Maria da Silva",))


def test_a_longer_name_shrinks_then_wraps_evenly() -> None:
    size, lines = fit_name("Maximiliana-Alexandrina Konstantinopoulou")
    assert 26 <= size < 46
    assert len(lines) == 1
    size, lines = fit_name("Maximiliana-Alexandrina Konstantinopoulou Wolfeschlegelstein")
    assert lines == ("Maximiliana-Alexandrina", "Konstantinopoulou Wolfeschlegelstein")
    assert 26 <= size <= 34


def test_no_line_is_wider_than_its_place() -> None:
    for length in range(5, 90, 7):
        text = ("Wilhelmina Maximilian " * 6)[:length].strip()
        size, lines = fit_name(text)
        assert all(fonts.text_width(line, size=size, bold=True) <= 225 * 72 / 25.4 for line in lines)
        assert " ".join(lines) == text


def test_a_name_that_cannot_be_broken_is_held() -> None:
    with pytest.raises(HeldError, match=r"the learner's name is too long for its place.*\(90 characters\)") as caught:
        fit_name("W" * 90)
    assert caught.value.stable_code == "does_not_fit"


def test_shortens_between_words() -> None:
    assert shorten("Issued in error to the wrong learner", most=20) == "Issued in error to…"
    assert shorten("short", most=20) == "short"
    assert len(shorten("x" * 99, most=20)) == 20


# -- dates and phrases -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "1 March 2026"),
        ("en-US", "March 1, 2026"),
        ("de_AT", "1. März 2026"),
        ("fr", "1er mars 2026"),
        ("es", "1 de marzo de 2026"),
        ("it", "1º marzo 2026"),
        ("nl", "1 maart 2026"),
        ("pl", "1 marca 2026"),
        ("pt-BR", "1 de março de 2026"),
        ("fi", "2026-03-01"),
        ("{evil}", "1 March 2026"),
    ],
)
def test_writes_dates_in_the_language(locale: str, text: str) -> None:
    assert format_date(date(2026, 3, 1), locale) == text


def test_every_phrase_is_there_in_every_language_and_can_be_drawn() -> None:
    for name, texts in PHRASES.items():
        assert sorted(texts) == sorted(LANGUAGES), name
        for text in texts.values():
            assert {ord(letter) for letter in text if letter not in " {}"} <= fonts.drawable()


def test_an_unknown_language_gets_english() -> None:
    assert say("corrected", locale="fi", n=2, date="2026-03-01") == "Version 2, corrected on 2026-03-01"
