"""What strict stand-ins share: reading a request without forgiving anything, and posting what a vendor would post."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError


def json_object(call: Call) -> dict[str, Any]:
    """Returns the body, a JSON object sent as JSON. Raises ValueError with the reason."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ValueError(f"the body came as {kind!r}, not as application/json")
    found = json.loads(call.body.decode("utf-8"), parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise ValueError("the body is no JSON object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def query_of(call: Call, known: Sequence[str] = ()) -> dict[str, str]:
    """Returns the query, each parameter once and known. Raises ValueError with the reason.

    The real vendors ignore what they do not know, and then do less than we meant.
    """
    query = dict(call.query)
    if len(query) != len(call.query):
        raise ValueError("a parameter is there twice")
    if unknown := set(query) - set(known):
        raise ValueError(f"unknown parameters {sorted(unknown)}")
    if call.method == "GET" and call.body:
        raise ValueError("a GET with a body")
    return query


def raw_path(target: str) -> str:
    """Returns the path as it was escaped: only so a %2F in a value is no slash."""
    return target.partition("?")[0]


def unescaped(part: str) -> str:
    """Returns one segment of a path as text. Raises ValueError when it is not escaped UTF-8."""
    return unquote(part, errors="strict")


@contextmanager
def refusing(answer: Answer) -> Iterator[None]:
    """Turns a ValueError into the refusal that gives this answer."""
    try:
        yield
    except ValueError as error:
        raise RefusalError(str(error), answer) from error


@dataclass(frozen=True)
class Posted:
    """What the bridge answered to a vendor."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


def post(address: str, method: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Posted:
    """Sends one request to `http://host:port/path?query`, the target byte for byte. Raises OSError, HTTPException."""
    split = urlsplit(address)
    connection = http.client.HTTPConnection(split.hostname or "", split.port or 80, timeout=timeout)
    try:
        connection.request(method, address.split(split.netloc, 1)[1] or "/", body or None, dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Posted(response.status, found, response.read())
    finally:
        connection.close()
