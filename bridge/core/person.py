"""Who is meant where a source tells learners apart by their address alone: one address may be several people."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

from bridge.core.recipients import read_address

_SEPARATOR: Final = " · "
"""Stands in no address, and people can read it."""
_LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe"})
"""Letters with a stroke and joined ones, which Unicode does not take apart."""

_APOSTROPHES: Final = frozenset("'’‘ʼʻ`´＇")


def is_address(subject: str) -> bool:
    """Tells whether a learner is known by an e-mail address only: the source gave no id of theirs."""
    try:
        read_address(subject)
    except ValueError:
        return False
    return True


def folded(name: str) -> str:
    """Returns what two spellings of one name have in common: without case, accents, punctuation and order of words.

    `Łukasz Żółć` and `ZOLC, Lukasz` are the same; signs of other scripts that change a sound are no accents.
    """
    return " ".join(sorted(_words(name)))


def same_name(one: str, other: str) -> bool:
    """Tells whether two texts spell one name: like `folded`, and spaces within a name make no difference either."""
    return folded(one) == folded(other) or "".join(_words(one)) == "".join(_words(other))


def _words(name: str) -> list[str]:
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    plain = "".join(_plain(sign) for sign in apart if not _accent(sign)).translate(_LETTERS)
    return unicodedata.normalize("NFC", plain).split()


def _plain(sign: str) -> str:
    if sign in _APOSTROPHES:
        return ""
    return " " if unicodedata.category(sign)[0] in "PSZC" else sign


def _accent(sign: str) -> bool:
    # Latin, Greek and Cyrillic marks stand above or below (202 to 240), Hebrew and Arabic vowels have 10 to 36; what
    # changes a consonant (Devanagari's nukta, kana's voice marks: 7, 8) or is a vowel of its own (0) tells names apart.
    placed = unicodedata.combining(sign)
    return placed >= 200 or 10 <= placed <= 36


def another(subject: str, name: str) -> str:
    """Returns the subject of a further person under an address, whom somebody said to be another one.

    It outlives an erasure, so the name itself is not in it.
    """
    return f"{subject}{_SEPARATOR}{mark(name)}"


def mark(name: str) -> str:
    """Returns what stands for a name without telling it: the same for two spellings that `folded` makes one."""
    return hashlib.sha256(folded(name).encode()).hexdigest()[:12]


def family(subject: str) -> str:
    """Returns how the subjects of all further people under an address begin."""
    return f"{subject}{_SEPARATOR}"
