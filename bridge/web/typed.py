"""What a person typed as a certificate id: the id in it, or what is wrong with it."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from bridge.core import certificate_id
from bridge.web.words import Words

_LONGEST: Final = 300
_SHOWN: Final = 48
_SILENT: Final = frozenset("- \t\u2010\u2011\u2013\u00a0")
# O, I and L are read as 0, 1 and 1, so they are never the mistake.
_READABLE: Final = frozenset(certificate_id.ALPHABET + "OIL")


def id_within(text: str) -> str:
    """Returns what stands for the id in `text`: the last part of a pasted link, or all of it."""
    text = text[:_LONGEST].strip()
    if "/" in text:
        text = unquote(text.split("?")[0].split("#")[0].rstrip("/").rpartition("/")[2])
    return text.removesuffix(".pdf").strip()


def shown(text: str) -> str:
    """Shortens what was typed for showing it again."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def mistakes(text: str, words: Words) -> list[str]:
    """Names what is wrong with an id that `certificate_id.read` refused."""
    symbols = [symbol for symbol in text.upper() if symbol not in _SILENT]
    strange = list(dict.fromkeys(symbol for symbol in symbols if symbol not in _READABLE))
    found = []
    if strange:
        found.append(f"{words.wrong_symbol} {' '.join(strange[:8])}")
    if len(symbols) != certificate_id.LENGTH:
        found.append(words.wrong_length.format(n=len(symbols), length=certificate_id.LENGTH))
    return found or [words.wrong_check]
