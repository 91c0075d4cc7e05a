"""Tells a text that was damaged on its way: read in a wrong encoding, escaped and never unescaped, cut out of code."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_CODECS: Final = ("cp1252", "cp1250", "cp1251", "cp1253")
"""What bytes of UTF-8 are usually mistaken for: western, central European, Cyrillic, Greek."""
_LATIN: Final = (*range(0xC0, 0x180), *range(0x1A0, 0x1B1), *range(0x218, 0x21C))
_PUNCTUATION: Final = frozenset("\u2018\u2019\u201c\u201d\u2013\u2014\u2026\xa0\xb4\xb7\xba\xaa\xad\ufffd")
_LOST: Final = re.compile("[\ufffd\u25a1\x1a\x80-\x9f\ud800-\udfff]")
_ENTITY: Final = re.compile(r"&(?:#\w{1,8};?|[A-Za-z][A-Za-z0-9]{1,31};|(?:amp|quot|lt|gt|apos|nbsp)\b)|#0?\d{2,4};")
_TAG: Final = re.compile(r"</?[A-Za-z!]|/>")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_MAIL: Final = re.compile(r"=\?|=[0-9A-F]{2}|=$|=\s")
_ESCAPE: Final = re.compile(r"\\.?|(?<![0-9A-Za-z])u[0-9a-f]{4}(?![0-9a-f])|u00[0-9a-f]{2}")
_PLUS: Final = re.compile(r"[^\W\d_]\+[^\W\d_]")
_DOUBLED: Final = re.compile(r"[^\W\d_](''|\"\")[^\W\d_]")
_LITERAL: Final = re.compile(r"(?<!\w)[bu](?:'[^']*'|\"[^\"]*\")(?!\w)|^[bu]['\"]|^\(['\"]")
_QUOTED: Final = re.compile(r"([\"'`]).+\1|[“„«‹][^“”„«»‹›]+[”“»›]", re.DOTALL)
_QUESTION: Final = re.compile(r"[?¿¡]")
_MASKED: Final = re.compile(r"[^\W\d_]\*|\*[^\W\d_]")
_AFTER_SMALL: Final = re.compile(r"(?<=[^\W\d_])[ÃÂ]")
_BESIDE: Final = frozenset("¨¯¸§¶†‡•‰…¬¦")
_LONGEST: Final = 1_000

_MARKS: Final = (
    (_LOST, "a letter was lost on the way"),
    (_ENTITY, "{} is HTML that was not resolved; the transform unescape does that"),
    (_TAG, "{} is HTML"),
    (_PERCENT, "{} is the code of a web address"),
    (_MAIL, "{} is a code of mails"),
    (_ESCAPE, "{} is a code of programs"),
    (_LITERAL, "it is written as in a program"),
    (_QUOTED, "it stands in quotation marks"),
    (_DOUBLED, "{} is a mark that was doubled on the way"),
    (_PLUS, "a + stands where a space belongs"),
    (_QUESTION, "{} stands where a letter was lost"),
    (_MASKED, "letters are covered by *"),
)


def damage(text: str) -> str | None:
    """Says what about a text shows that it was damaged on the way, or None for a sound one; meant for names.

    Capitals such as Ã and Â are letters of real names (CONCEIÇÃO, Ângela): that UTF-8 was read in another encoding is
    told by reading it back, and only if that gives letters which fit the word.
    """
    text = text[:_LONGEST].strip()
    if garbled(text):
        return "its letters were read in a wrong encoding (UTF-8)"
    for pattern, why in _MARKS:
        found = pattern.fullmatch(text) if pattern is _QUOTED else _first(pattern, text)
        if found is not None:
            return why.format(found[0].strip())
    return _odd_sign(text)


def _first(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    for found in pattern.finditer(text):
        # "AT&T; Ltd" has no entity in it.
        unknown = pattern is _ENTITY and found[0].startswith("&") and html.unescape(found[0]) == found[0]
        if not unknown:
            return found
    return None


def _odd_sign(text: str) -> str | None:
    for at, sign in enumerate(text):
        category = unicodedata.category(sign)
        if category in ("Co", "Cn"):
            return f"U+{ord(sign):04X} is no character that has a meaning"
        around = text[at - 1 : at] + text[at + 1 : at + 2]
        odd = category in ("Sc", "Sm", "So", "No") and sign not in "+<>=|~"
        # "M° José" is how some type Mª.
        if (
            (odd or sign in _BESIDE)
            and any(map(str.isalpha, around))
            and not (sign == "°" and text[at - 1 : at] == "M")
        ):
            return f"{sign} stands where a letter belongs"
    return None


# -- UTF-8 that was read as something else ----------------------------------------------------------


def garbled(text: str) -> bool:
    """Tells whether some word holds UTF-8 that was read in another encoding."""
    if text.isascii():
        return False
    if any(text[found.start() - 1].islower() for found in _AFTER_SMALL.finditer(text)):
        return True  # a capital in mid-word: its other half was a space or a sign that is never shown
    return any(_garbled(word, codec) for word in text.split(" ") if not word.isascii() for codec in _CODECS)


def _garbled(word: str, codec: str) -> bool:
    pieces = list(_reread(word, codec))
    read = [piece for piece in pieces if piece[1]]
    if not read:
        return False
    scripts = {script for text, _ in pieces for sign in text if (script := _script(sign))}
    foreign = scripts - {"LATIN"}
    if foreign and codec in ("cp1251", "cp1253"):
        # Letters of these encodings follow each other like that in real names too (МАРІЯ), but never all along.
        return len(scripts) == 1 and len(read) == len(pieces) > 1
    if foreign:
        return len(read) > 1 or (len(scripts) == 1 and len(word) > 2)
    return any(_fits(pieces, at) for at, piece in enumerate(pieces) if piece[1])


def _reread(word: str, codec: str) -> Iterator[tuple[str, bool]]:
    """Yields the word sign by sign, and True for each that several signs make when they are read as UTF-8."""
    codes = [_byte(sign, codec) for sign in word]
    at = 0
    while at < len(word):
        length = _length(codes[at])
        sign = _decoded(codes[at : at + length]) if length else None
        yield (word[at], False) if sign is None else (sign, True)
        at += length if sign is not None else 1


def _byte(sign: str, codec: str) -> int:
    try:
        return sign.encode(codec)[0]
    except UnicodeEncodeError:
        return ord(sign) if ord(sign) < 0x100 else 0


def _length(code: int) -> int:
    if 0xC2 <= code < 0xE0:
        return 2
    return 3 if 0xE0 <= code < 0xF0 else 4 if 0xF0 <= code < 0xF5 else 0


def _decoded(codes: list[int]) -> str | None:
    try:
        sign = bytes(codes).decode("utf-8")
    except UnicodeDecodeError:
        return None
    known = unicodedata.category(sign).startswith("L") and not (_script(sign) == "LATIN" and ord(sign) not in _LATIN)
    vietnamese = 0x1EA0 <= ord(sign) <= 0x1EF9
    return sign if known or vietnamese or sign in _PUNCTUATION else None


def _script(sign: str) -> str:
    """Returns the script of a letter ("LATIN"), one for all that East Asian names mix; empty for other signs."""
    if not sign.isalpha() or sign in _PUNCTUATION:
        return ""
    script = unicodedata.name(sign, "").partition(" ")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "HANGUL") else script


def _fits(pieces: list[tuple[str, bool]], at: int) -> bool:
    """Tells whether a sign goes with its neighbours: no small letter among capitals, no capital inside a word."""
    sign = pieces[at][0]
    beside = [pieces[there][0] for there in (at - 1, at + 1) if 0 <= there < len(pieces) and pieces[there][0].isalpha()]
    if not sign.isalpha() or not beside:
        return True
    if sign.islower():
        return any(other.islower() for other in beside)
    return at == 0 or any(other.isupper() for other in beside)
