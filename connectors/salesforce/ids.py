"""Record ids of Salesforce, in 18 characters whichever way they came, and what they say of their object.

https://help.salesforce.com/s/articleView?id=000385585
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from bridge.core.long_ids import normal

__all__ = ["OrganizationIds", "is_of", "normal"]


def is_of(record_id: str, *prefixes: str) -> bool:
    """Tells whether a record is of one of these kinds: the first three characters name the object."""
    return record_id[:3] in prefixes


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
