"""Asks a stand-in over a real connection, as plainly as can be; our own client stays out of it."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from bridge.demo.vendors.stand_in import StandIn


@dataclass(frozen=True)
class Answered:
    """What came back; `body` is what the JSON says, None when there is nothing."""

    status: int
    headers: dict[str, str]
    body: Any


def ask(
    stand_in: StandIn,
    method: str,
    target: str,
    body: object = None,
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    kind: str = "application/json",
) -> Answered:
    """Sends one request; a body that is not bytes is written as JSON under the media type `kind`."""
    sent = dict(headers or {})
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent.setdefault("Content-Type", kind)
    connection = http.client.HTTPConnection("127.0.0.1", stand_in.port, timeout=10)
    try:
        connection.request(method, target + ("?" + urlencode(query) if query else ""), data, sent)
        answer = connection.getresponse()
        raw = answer.read()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, names, json.loads(raw) if raw else None)
    finally:
        connection.close()
