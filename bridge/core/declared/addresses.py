"""Web addresses of a declaration: every value becomes one part of them, never their structure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from pydantic import PlainValidator, WithJsonSchema

from bridge.core.declared.texts import Scope, Unclear, line, text_of
from bridge.core.domains import ascii_address
from bridge.core.expressions import Expression, Text

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,200}[A-Za-z0-9])?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Address:
    """A path of the API, or a whole address; values become one part of it each, never structure."""

    text: Text

    @property
    def absolute(self) -> bool:
        """Tells whether it names its host itself."""
        first = self.text.parts[0]
        return isinstance(first, Expression) or "://" in first

    def at(self, scope: Scope) -> str:
        """Returns the address for these values. Raises Unclear."""
        found = ""
        for part in self.text.parts:
            found += part if isinstance(part, str) else self._part(part, found, scope)
        return found

    def _part(self, part: Expression, before: str, scope: Scope) -> str:
        value = line(part, scope)
        if not before:
            return checked_address(value)
        if not value or value in (".", "..") or _CONTROL.search(value):
            raise Unclear(f'"{part.source}" gives nothing that can stand in an address')
        if before.startswith("http") and "/" not in before.partition("://")[2]:
            if not _HOST.fullmatch(value):
                raise Unclear(f'"{part.source}" gives no part of a host name')
            return value
        return quote(value, safe="")


def checked_address(url: str) -> str:
    """Returns an http(s) address without a slash at its end. Raises Unclear."""
    try:
        parts = urlsplit(url.strip())
        named = parts.hostname
        _ = parts.port
    except ValueError:
        named = None
    if not named or parts.scheme not in ("https", "http") or "@" in parts.netloc or parts.query or parts.fragment:
        raise Unclear("it is no web address; write it like https://lms.school.example")
    if _CONTROL.search(url) or "\\" in url or " " in url.strip():
        raise Unclear("it is no web address; write it like https://lms.school.example")
    try:
        return ascii_address(url.strip().rstrip("/"))
    except ValueError as failure:
        raise Unclear(str(failure)) from None


def host_of(url: str) -> str:
    """Returns the host of an address in small letters."""
    return (urlsplit(url).hostname or "").lower()


# -- as they stand in the file ----------------------------------------------------------------------


def _address(raw: object) -> Address:
    found = text_of(raw)
    first = found.parts[0] if found.parts else ""
    if not isinstance(first, str):
        if not first.roots <= {"settings"}:
            raise ValueError('Only a setting may be the beginning of an address. Use "follow" for one from an event.')
    elif not first.startswith(("/", "https://")) or first.startswith("//"):
        raise ValueError("An address begins with / (a path of the API) or with https://.")
    if any(isinstance(part, str) and set(part) & set("?#\\ ") for part in found.parts):
        raise ValueError("An address has no ?, # or space here; what follows the ? stands under query.")
    _check_host(found.parts)
    return Address(found)


def _check_host(parts: Sequence[str | Expression]) -> None:
    before = ""
    for part in parts:
        in_host = before.startswith("https://") and "/" not in before.partition("://")[2]
        if isinstance(part, Expression) and in_host and not part.roots <= {"settings"}:
            raise ValueError("Only a setting may be part of a host name.")
        before += part if isinstance(part, str) else "x"


WebAddress = Annotated[Address, PlainValidator(_address), WithJsonSchema({"type": "string"})]
