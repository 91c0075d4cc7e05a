"""Certificate ids: 16 random Crockford base32 symbols and one check symbol, grouped for reading.

The check symbol is linear over GF(32): the weighted sum of all symbols is zero, with weights that are distinct powers
of a primitive element, so every single wrong symbol and every swap of two neighbours is found.
"""

from __future__ import annotations

import secrets
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 17
_GROUPS: Final = (4, 4, 4, 5)
_POLYNOMIAL: Final = 0b100101  # x^5 + x^2 + 1, primitive over GF(2)
_READ_AS: Final = str.maketrans(
    {"O": "0", "I": "1", "L": "1", "-": None, " ": None, "\u2010": None, "\u2011": None, "\u2013": None}
)


def new() -> str:
    """Returns a fresh id of 80 random bits without hyphens."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
    return body + _check_symbol(body)


def grouped(certificate_id: str) -> str:
    """Returns the id as people read it: `ABCD-EFGH-JKMN-PQRST`."""
    parts, start = [], 0
    for size in _GROUPS:
        parts.append(certificate_id[start : start + size])
        start += size
    return "-".join(parts)


def read(text: str) -> str | None:
    """Returns the id that a person typed (any case, hyphens, spaces, O for 0, I and L for 1), or None when mistyped."""
    if len(text) > 64:
        return None
    symbols = text.strip().upper().translate(_READ_AS)
    if len(symbols) != LENGTH or any(symbol not in ALPHABET for symbol in symbols):
        return None
    return symbols if _weighted_sum(symbols) == 0 else None


def _check_symbol(body: str) -> str:
    # The check symbol has weight one, so it equals the weighted sum of the rest (addition is exclusive or).
    return ALPHABET[_weighted_sum(body + ALPHABET[0])]


def _weighted_sum(symbols: str) -> int:
    total = 0
    for symbol in symbols:
        # Horner's rule: symbol i from the right ends up with weight x^i.
        total = _times_x(total) ^ ALPHABET.index(symbol)
    return total


def _times_x(value: int) -> int:
    value <<= 1
    return value ^ _POLYNOMIAL if value & 0b100000 else value
