"""Ids of 15 characters that differ by case alone, and their spelling in 18 that survives a change of case."""

from __future__ import annotations

import re
from typing import Final

_SHAPE: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-5]{3})?")
_MARKS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_LENGTH: Final = 15


def normal(value: object) -> str | None:
    """Returns the 18-character spelling of an id of 15 or 18 characters; None for anything else.

    Ids of 15 characters differ by case alone; the last three of 18 say which letters are capitals, so that an id
    survives a table that changed its case. An id whose end does not fit is none.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not _SHAPE.fullmatch(text):
        return None
    body, end = text[:_LENGTH], text[_LENGTH:].upper()
    if end and _ending(body) != end and (body.isupper() or body.islower()):
        body = _recased(body, end)
    return body + _ending(body) if end in ("", _ending(body)) else None


def _ending(body: str) -> str:
    groups = (body[start : start + 5] for start in range(0, _LENGTH, 5))
    return "".join(_MARKS[sum(1 << place for place, sign in enumerate(group) if sign.isupper())] for group in groups)


def _recased(body: str, end: str) -> str:
    capitals = [_MARKS.index(end[place // 5]) >> place % 5 & 1 for place in range(_LENGTH)]
    return "".join(sign.upper() if capital else sign.lower() for sign, capital in zip(body, capitals, strict=True))
