"""Brings record ids of Salesforce into one spelling: 18 characters, whichever way they came."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

_SHAPE: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-5]{3})?")
_MARKS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_LENGTH: Final = 15


def normal(value: object) -> str | None:
    """Returns the 18-character spelling of an id of 15 or 18 characters; None for anything else.

    Ids of 15 characters differ by case alone; the last three of 18 say which letters are capitals, so that an id
    survives a spreadsheet that changed its case. An id whose end does not fit is none.
    https://help.salesforce.com/s/articleView?id=000385585
    """
    text = value.strip() if isinstance(value, str) else ""
    if not _SHAPE.fullmatch(text):
        return None
    body, end = text[:_LENGTH], text[_LENGTH:].upper()
    if end and _ending(body) != end and (body.isupper() or body.islower()):
        body = _recased(body, end)
    return body + _ending(body) if end in ("", _ending(body)) else None


def is_of(record_id: str, *prefixes: str) -> bool:
    """Tells whether a record is of one of these kinds: the first three characters name the object."""
    return record_id[:3] in prefixes


def _ending(body: str) -> str:
    groups = (body[start : start + 5] for start in range(0, _LENGTH, 5))
    return "".join(_MARKS[sum(1 << place for place, sign in enumerate(group) if sign.isupper())] for group in groups)


def _recased(body: str, end: str) -> str:
    capitals = [_MARKS.index(end[place // 5]) >> place % 5 & 1 for place in range(_LENGTH)]
    return "".join(sign.upper() if capital else sign.lower() for sign, capital in zip(body, capitals, strict=True))


def _organisations(given: tuple[str, ...]) -> tuple[str, ...]:
    found = [normal(one) for one in given]
    wrong = [said for said, one in zip(given, found, strict=True) if not (one and is_of(one, "00D"))]
    if wrong:
        raise ValueError(
            f"must hold ids of 15 or 18 characters that begin with 00D; {wrong[0][:40]!r} is none. Copy it once "
            "more, letter by letter with its capitals (Setup, Company Information)"
        )
    return tuple(one for one in found if one)


OrganizationIds = Annotated[tuple[str, ...], AfterValidator(_organisations)]
"""A setting with ids of organisations, in 18 characters whatever was written."""
