"""Looks at every text before it is printed: tidies what is invisible, and refuses what the typeface cannot draw."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.core.errors import HeldError
from bridge.core.models import CertificateData
from bridge.issuing import fonts

MAX_LENGTH: Final = 1000
"""Characters in one printed text. More is a mistake in the mapping, and no layout holds it."""
_NAMED: Final = 8
_ACCENTS_IN_A_ROW: Final = 3
_REPLACEMENT: Final = "\ufffd"
_SPACES: Final = re.compile(r"\s+")
# Letters Unicode deprecated, which fonts rightly leave out, as the pairs that replaced them.
_RESPELLED: Final = str.maketrans({"\u0149": "\u02bcn"})


def clean_text(text: str) -> str:
    """Returns the text as it is printed: NFC, one space between words, nothing invisible.

    Zero-width characters, soft hyphens and direction controls (all of Unicode's category Cf) are removed: in the
    scripts we print they have no meaning, and an override such as U+202E makes a name read backwards. Control
    characters count as spaces.
    """
    visible = "".join(_visible(character) for character in text)
    return _SPACES.sub(" ", unicodedata.normalize("NFC", visible.translate(_RESPELLED))).strip()


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    if category == "Cs":
        # Half of a broken character: no encoding can carry it further.
        return _REPLACEMENT
    return " " if category == "Cc" else character


def clean_data(data: CertificateData) -> CertificateData:
    """Returns the data with every printed text cleaned; addresses, ids, dates and the zone stay as they are."""
    return data.model_copy(
        update={
            "recipient": _cleaned(data.recipient, "name"),
            "course": _cleaned(data.course, "title"),
            "issuer": _cleaned(data.issuer, "name"),
            "fields": {name: clean_text(value) for name, value in data.fields.items()},
        }
    )


def _cleaned(value: Any, attribute: str) -> Any:
    return value.model_copy(update={attribute: clean_text(getattr(value, attribute))})


def preflight(data: CertificateData) -> None:
    """Checks every text that a certificate prints.

    Raises HeldError with code `glyphs` (a character the typeface cannot draw, each named with its code point),
    `missing_text` (nothing visible is left of the name, the course or the issuer) or `does_not_fit` (far too long).
    """
    for label, text in printed_texts(clean_data(data)):
        _check(label, text)


def printed_texts(data: CertificateData) -> Iterator[tuple[str, str]]:
    """Yields each printed text with the words an admin knows it by."""
    yield "the learner's name", data.recipient.name
    yield "the course title", data.course.title
    yield "the issuer's name", data.issuer.name
    yield from _field_texts(data.fields)


def _field_texts(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(fields):
        if fields[name]:
            yield f'the field "{clean_text(name)[:60]}"', fields[name]


def _check(label: str, text: str) -> None:
    if not text:
        raise HeldError(
            f"A certificate cannot be made: {label} is empty. Correct it at the source and replay the event, or "
            "release it with a value.",
            code="missing_text",
        )
    if len(text) > MAX_LENGTH:
        raise HeldError(
            f"A certificate cannot be made: {label} has {len(text)} characters; at most {MAX_LENGTH} can be printed. "
            "Shorten it at the source or in the mapping, and replay the event.",
            code="does_not_fit",
        )
    check_glyphs(label, text)


def check_glyphs(label: str, text: str) -> None:
    """Raises HeldError `glyphs` unless the typeface can draw every character of the (cleaned) text."""
    missing = list(dict.fromkeys(character for character in text if not can_draw(character)))
    if missing:
        raise HeldError(
            f"A certificate cannot be made: {label} has {_characters(missing)}, which the certificate's typeface "
            "cannot draw (it has Latin, Greek and Cyrillic). Correct it at the source and replay the event, or release "
            "it with another spelling.",
            code="glyphs",
        )
    if _longest_accent_run(text) > _ACCENTS_IN_A_ROW:
        raise HeldError(
            f"A certificate cannot be made: {label} has more than {_ACCENTS_IN_A_ROW} accents on one letter, which "
            "would run into other lines. Correct it at the source and replay the event.",
            code="glyphs",
        )


def can_draw(character: str) -> bool:
    """Returns whether the typeface draws this character as itself."""
    # The font draws private-use code points and the replacement character too; in a name they are always a mistake.
    if character == _REPLACEMENT or unicodedata.category(character) == "Co":
        return False
    return character == " " or ord(character) in fonts.drawable()


def _characters(missing: list[str]) -> str:
    named = ", ".join(_named(character) for character in missing[:_NAMED])
    more = len(missing) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def _named(character: str) -> str:
    name = unicodedata.name(character, "unnamed character")
    # Surrogates and unassigned characters cannot be shown, only named.
    shown = f"{character} " if character.isprintable() else ""
    return f"{shown}({name}, U+{ord(character):04X})"


def _longest_accent_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest
