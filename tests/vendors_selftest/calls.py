"""Calls a stand-in over HTTP, for its selftests, and a clock that does as it is told."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.demo.vendors.stand_in import StandIn

NOW = datetime(2026, 9, 21, 10, 13, 20, 123_000, tzinfo=UTC)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def later(self, **more: float) -> None:
        self.at += timedelta(**more)


@dataclass
class Found:
    """One answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None

    @property
    def code(self) -> str:
        """The code of the only error, where errors come as a list."""
        (error,) = self.body
        return str(error["errorCode"])


def exchange(
    stand_in: StandIn, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
) -> Found:
    """Sends one request; bytes go as they are, anything else as JSON."""
    sent = dict(headers or {})
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    if data is not None:
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection("127.0.0.1", stand_in.port, timeout=10)
    try:
        connection.request(method, target, data, sent)
        answer = connection.getresponse()
        return Found(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
