"""Reads and sets the headers of webhooks that prove something: Authorization above all. Names come in lower case."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

_LONGEST: Final = 4096
"""Characters of a login; longer ones are none."""


def with_header(headers: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    """Returns the headers with this one in place of one of the same name, whatever its capitals."""
    return {known: text for known, text in headers.items() if known.lower() != name.lower()} | {name: value}


def authorization(headers: Mapping[str, str], scheme: str) -> str | None:
    """Returns what stands behind the scheme (in small letters) in the header Authorization, or None."""
    found, _, rest = headers.get("authorization", "").strip().partition(" ")
    return rest.strip() if found.lower() == scheme and rest.strip() else None


def basic_login(headers: Mapping[str, str]) -> str | None:
    """Returns the `name:password` of Basic authentication; None where there is none that could be read."""
    presented = authorization(headers, "basic")
    if presented is None or len(presented) > _LONGEST:
        return None
    try:
        return base64.b64decode(presented, validate=True).decode("utf-8")
    except ValueError:
        return None


def basic(login: str) -> str:
    """Returns the value of the header Authorization for `name:password`."""
    return "Basic " + base64.b64encode(login.encode()).decode("ascii")
