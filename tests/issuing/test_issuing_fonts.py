from __future__ import annotations

import unicodedata

import pytest

from bridge.issuing import fonts

# Letters of scripts and phonetic notations that no living orthography prints on a certificate.
LEFT_OUT = {
    "deprecated": {0x149, 0x340, 0x341},
    "Coptic, kept in the Greek block": set(range(0x3E2, 0x3F0)),
    "Church Slavonic": {*range(0x460, 0x472), *range(0x478, 0x48A)},
}
BLOCKS = {
    "Basic Latin": (0x20, 0x7E),
    "Latin-1": (0xA0, 0xFF),
    "Latin Extended-A": (0x100, 0x17F),
    "Latin Extended-B": (0x180, 0x24F),
    "IPA, which African alphabets draw on": (0x250, 0x2AF),
    "Latin Extended Additional (Vietnamese)": (0x1E00, 0x1EFF),
    "Latin Extended-C": (0x2C60, 0x2C7F),
    "Greek": (0x370, 0x3FF),
    "Greek Extended (polytonic)": (0x1F00, 0x1FFF),
    "Cyrillic": (0x400, 0x4FF),
    "Cyrillic Supplement": (0x500, 0x52F),
    "quotation marks and dashes": (0x2010, 0x2027),
    "currencies": (0x20A0, 0x20BF),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_draws_every_letter_of_latin_greek_and_cyrillic_in_all_faces(block: str) -> None:
    first, last = BLOCKS[block]
    left_out = set().union(*LEFT_OUT.values())
    assigned = {
        point
        for point in range(first, last + 1)
        if unicodedata.category(chr(point)) not in ("Cn", "Cc", "Cf") and point not in left_out
    }
    missing = assigned - fonts.drawable()
    # Three Church Slavonic letters with accents live among the others; nothing else may be missing.
    assert {chr(point) for point in missing} <= set("Ѷѷ"), [f"{point:04X}" for point in sorted(missing)]


@pytest.mark.parametrize(
    "text",
    ["ẞßŐőŰűĐđẠ́ǅǈ", "ƁɓƊɗƎǝƐɛƔɣƘƙŊŋƆɔ", "Ἀθηνᾶ ᾧ ΐ Ῥ", "ЂЃЄЅІЇЈЉЊЋЌЎЏҐґӘәҢңӨөҮүҺһ", "Ằẳẵặ Ềểễệ Ồổỗộ Ữứừự", "ʻʼˮ"],
)
def test_draws_the_letters_of_particular_languages(text: str) -> None:
    assert {character for character in text if character != " "} <= {chr(point) for point in fonts.drawable()}


def test_bold_is_a_face_of_its_own() -> None:
    regular = fonts.text_width("Maria", size=100)
    assert fonts.text_width("Maria", size=100, bold=True) > regular
    assert fonts.text_width("Maria", size=100, italic=True) != regular
