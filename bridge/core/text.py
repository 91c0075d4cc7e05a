"""Values from outside as text that can be stored and printed, in one spelling and as people write it."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Final

MAX_TEXT: Final = 20_000
"""Characters of the longest text that a transform reads or an expression gives."""

_UNSTORABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Zero-width and direction-changing characters: they make two names look alike, or a line read backwards.
_INVISIBLE: Final = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_ACCENTS: Final = 30
_JOINERS: Final = re.compile("[\u200c\u200d]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9./$_~<][^\x00-\x1f:#{}\[\],\"']*(?:(?:[:#]\S|[{}])[^\x00-\x1f:#{}\[\],\"']*)*")
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_SPECIAL: Final = frozenset({"", "~", "null", "Null", "NULL"})


def as_text(value: object) -> str:
    """Returns a value as a person writes it: `true`, `8`, `87.5`, `2026-03-01`.

    Raises ValueError for lists, sections, null and text that is too long.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int | float | Decimal):
        text = _number(value)
    elif isinstance(value, datetime | date):
        text = value.isoformat()
    else:
        raise ValueError(f"it is {kind(value)}, not a text.")
    if len(text) > MAX_TEXT:
        raise ValueError(f"it has more than {MAX_TEXT:,} characters.")
    return text


def storable(text: str) -> str:
    """Returns the text in one spelling (NFC) without what cannot be stored or printed; line breaks stay."""
    return nfc(_UNSTORABLE.sub("", text))


def one_line(text: str) -> str:
    """Returns the text as one line: trimmed, spaces collapsed, NFC, without invisible and direction characters."""
    visible = _INVISIBLE.sub("", storable(re.sub(r"\s", " ", text)))
    return nfc(" ".join(_joined(visible).split()))


def plain_lines(text: str) -> str:
    """Returns a text of several lines, each as `one_line` has it: what a vendor says may hold escape sequences."""
    return "\n".join(one_line(line) for line in text.splitlines())


def nfc(text: str) -> str:
    """Returns the text in the spelling NFC; of accents on one letter only as many as any language could mean.

    Putting accents in order takes Python a second for 20,000 of them, and no other thread runs meanwhile. Unicode's
    stream-safe format (UAX #15) draws the same line at 30.
    """
    if len(text) > _ACCENTS and not text.isascii():
        text = "".join(_few_accents(text))
    return unicodedata.normalize("NFC", text)


def _few_accents(text: str) -> Iterator[str]:
    run = 0
    for sign in text:
        run = run + 1 if unicodedata.combining(sign) else 0
        if run <= _ACCENTS:
            yield sign


def shown(value: object) -> str:
    """Returns a value for a message, text in quotes, at most 60 characters."""
    if isinstance(value, str):
        text = one_line(value[:200])
        return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'
    try:
        return as_text(value)
    except ValueError:
        return kind(value)


def kind(value: object) -> str:
    """Returns what a JSON value is, in plain words."""
    names: dict[type, str] = {dict: "a section", list: "a list", tuple: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number" if _is_number(value) else "a date")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal)


def _number(value: int | float | Decimal) -> str:
    if isinstance(value, int):
        if abs(value) >= 10**100:
            raise ValueError("it is a number of more than 100 digits.")
        return str(value)
    if not math.isfinite(value):
        raise ValueError("it is not a finite number.")
    exact = Decimal(str(value))
    return str(int(exact)) if abs(exact) < 10**15 and exact == exact.to_integral_value() else str(value)


def _joined(text: str) -> str:
    # A (non-)joiner is spelling in Persian and Indic names; anywhere else it is only invisible.
    return _JOINERS.sub(lambda match: match.group() if _between_joining(text, match.start()) else "", text)


def _between_joining(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return all(0x0600 <= ord(sign) < 0x1100 for sign in (before, after) if sign) and bool(before and after)


def plain_or_quoted(text: str, *, brackets: bool = False) -> str:
    """Returns text as YAML: as it is where that is unmistakable, else in single quotes."""
    if brackets and _BRACKETS.search(text):
        return f"'{text}'"
    if text not in _SPECIAL and _PLAIN.fullmatch(text) and text == text.strip() and not text.endswith(":"):
        return text
    return "'" + text.replace("'", "''") + "'"
