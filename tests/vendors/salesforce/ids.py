"""Salesforce's record ids: 15 characters that mind their case, or the same with three more that do not."""

from __future__ import annotations

import re
from typing import Final

_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def long_id(text: str) -> str:
    """Returns the form of 18 characters. Raises ValueError when it is no id, or its last three do not fit."""
    if not re.fullmatch(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?", text):
        raise ValueError(f"{text!r} is no id")
    made = text[:15] + "".join(_check(text[start : start + 5]) for start in (0, 5, 10))
    if len(text) == 18 and text != made:
        raise ValueError(f"the last characters of {text} do not fit")
    return made


def _check(five: str) -> str:
    return _SUFFIX[sum(1 << place for place, character in enumerate(five) if character.isupper())]


def make_id(prefix: str, number: int) -> str:
    """Returns an id as our org hands them out: the object's prefix, the org's own letters, a number."""
    return long_id(f"{prefix}8d{number:010d}")
