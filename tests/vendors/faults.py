"""Makes a stand-in misbehave: `faults.next(2, "500", match="core_notes_create")`, then it is itself again.

Use `with Faults(stand_in) as faults:` (or `Faults(stand_in)` for the life of the stand-in).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self

from bridge.demo.vendors.stand_in import Answer, Call, StandIn, Wire

Mode = Literal[
    "429",  # Retry-After in seconds
    "429-reset",  # RateLimit-Reset as an absolute time in seconds, no Retry-After
    "429-reset-ms",  # the same in milliseconds
    "429-reset-in",  # Teachable: RateLimit-Reset as the seconds to wait
    "429-rolling",  # HubSpot: too many in ten seconds; no Retry-After
    "429-daily",  # HubSpot: the day's allowance is used up; no Retry-After
    "401",
    "403-empty",
    "500",
    "502",
    "503-html",  # a maintenance page with Retry-After: 300
    "503-html-bare",  # Salesforce: the same without saying for how long
    "html-200",  # a login page where JSON belongs
    "slow",  # silence for `seconds`, then the true answer
    "drip",  # headers, then one byte at a time for ever
    "drop",  # the connection ends before the call is done
    "commit-then-drop",  # the call is done, and the connection ends before the answer
    "dbconnectionfailed",  # Moodle: 200 with an exception object
    "invalidtoken",  # Moodle: the same for a token that was deleted
    "debug-before-json",  # Moodle with debugging on: a notice in front of the true answer
    "423",  # HubSpot: the record is locked for a moment
    "477",  # HubSpot: the account is being moved; Retry-After in seconds
    "REQUEST_LIMIT_EXCEEDED",  # Salesforce: 403, the allowance of 24 hours is used up
    "INVALID_SESSION_ID",  # Salesforce: 401
    "UNABLE_TO_LOCK_ROW",  # Salesforce: 400, and still worth another try
    "SERVER_UNAVAILABLE",  # Salesforce: 503 with a list of errors
    "huge",  # an answer without end
]
Match = str | Callable[[Call], bool] | None

_HTML = {"Content-Type": "text/html; charset=utf-8"}
_JSON = {"Content-Type": "application/json"}


@dataclass
class _Fault:
    left: int
    mode: Mode
    match: Match
    seconds: float

    def meets(self, call: Call) -> bool:
        if self.match is None:
            return True
        return self.match in call.name if isinstance(self.match, str) else self.match(call)


class Faults:
    """Faults waiting for their call; the first that matches is used up first."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        self._lock = threading.Lock()
        self._waiting: list[_Fault] = []
        self.met: list[tuple[Mode, Call]] = []
        """What happened to whom, in order."""
        stand_in.interceptor = self._intercept

    def next(self, n: int, mode: Mode, match: Match = None, *, seconds: float = 1.0) -> None:
        """Lets the next `n` calls fail; `match` is a part of `call.name` or a test of the call.

        `seconds` is the silence of "slow", and what 429 and 477 ask for.
        """
        with self._lock:
            self._waiting.append(_Fault(n, mode, match, seconds))

    @property
    def pending(self) -> Sequence[Mode]:
        """The faults nobody has met yet; a test that ends with some has not tested what it says."""
        with self._lock:
            return [fault.mode for fault in self._waiting for _ in range(fault.left)]

    def clear(self) -> None:
        """Forgets the faults still waiting."""
        with self._lock:
            self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stand_in.interceptor = None

    def _take(self, call: Call) -> _Fault | None:
        with self._lock:
            for fault in self._waiting:
                if fault.meets(call):
                    fault.left -= 1
                    if not fault.left:
                        self._waiting.remove(fault)
                    self.met.append((fault.mode, call))
                    return fault
        return None

    def _intercept(self, call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer | None:
        fault = self._take(call)
        if fault is None:
            return respond()
        if fault.mode in _ANSWERS:
            return _ANSWERS[fault.mode](fault)
        if fault.mode == "debug-before-json":
            answer = respond()
            return replace(answer, body=b"\nNotice: Undefined index in /lib/x.php on line 9\n" + answer.body)
        if fault.mode == "slow":
            return None if wire.wait(fault.seconds) else respond()
        if fault.mode == "commit-then-drop":
            respond()
        if fault.mode in ("drip", "huge"):
            _never_end(wire, b"{" if fault.mode == "drip" else b" " * 65_536, 0.05 if fault.mode == "drip" else 0)
        wire.drop()
        return None


def _never_end(wire: Wire, piece: bytes, pause: float) -> None:
    going = wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while going and not wire.wait(pause):
        going = wire.send(piece)


def _too_many(headers: dict[str, str]) -> Answer:
    return Answer(429, json.dumps({"error": "Too Many Requests"}).encode(), {**_JSON, **headers})


def _hubspot(status: int, message: str, headers: dict[str, str] | None = None, **more: str) -> Answer:
    correlation = "aaaaaaaa-0000-4000-8000-000000000001"
    body = {"status": "error", "message": message, "correlationId": correlation, **more}
    return Answer(status, json.dumps(body).encode(), {**_JSON, **(headers or {})})


def _limit(policy: str) -> Answer:
    message = f"You have reached your {policy.lower()} limit."
    return _hubspot(429, message, errorType="RATE_LIMIT", policyName=policy)


def _salesforce(status: int, code: str, message: str) -> Answer:
    return Answer(status, json.dumps([{"message": message, "errorCode": code}]).encode(), _JSON)


def _exception(kind: str, code: str, message: str) -> Answer:
    body = {"exception": kind, "errorcode": code, "message": message}
    return Answer(200, json.dumps(body).replace("/", "\\/").encode(), _JSON)


_ANSWERS: dict[str, Callable[[_Fault], Answer]] = {
    "429": lambda fault: _too_many({"Retry-After": str(round(fault.seconds))}),
    "429-reset": lambda fault: _too_many({"RateLimit-Reset": str(round(time.time() + fault.seconds))}),
    "429-reset-ms": lambda fault: _too_many({"RateLimit-Reset": str(round((time.time() + fault.seconds) * 1000))}),
    "429-reset-in": lambda fault: _too_many({"RateLimit-Reset": str(round(fault.seconds))}),
    "429-rolling": lambda _: _limit("TEN_SECONDLY_ROLLING"),
    "429-daily": lambda _: _limit("DAILY"),
    "423": lambda _: _hubspot(423, "The record is locked by another process", category="LOCKED"),
    "477": lambda fault: _hubspot(
        477, "This account is being migrated between data hosting locations", {"Retry-After": str(round(fault.seconds))}
    ),
    "REQUEST_LIMIT_EXCEEDED": lambda _: _salesforce(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    "INVALID_SESSION_ID": lambda _: _salesforce(401, "INVALID_SESSION_ID", "Session expired or invalid"),
    "UNABLE_TO_LOCK_ROW": lambda _: _salesforce(
        400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"
    ),
    "SERVER_UNAVAILABLE": lambda _: _salesforce(503, "SERVER_UNAVAILABLE", "The server is too busy."),
    "401": lambda _: Answer(401, b'{"error":"Unauthorized"}', _JSON),
    "403-empty": lambda _: Answer(403, b"", _HTML),
    "500": lambda _: Answer(500, b"<html><body><h1>Internal Server Error</h1></body></html>", _HTML),
    "502": lambda _: Answer(502, b"<html><body><h1>Bad Gateway</h1></body></html>", _HTML),
    "503-html": lambda _: Answer(
        503, b"<!DOCTYPE html><html><body><h1>Under maintenance</h1></body></html>", {**_HTML, "Retry-After": "300"}
    ),
    "503-html-bare": lambda _: Answer(503, b"<html><body>Server is down for maintenance</body></html>", _HTML),
    "html-200": lambda _: Answer(200, b"<!DOCTYPE html><html><body><form>Log in</form></body></html>", _HTML),
    "dbconnectionfailed": lambda _: _exception(
        "dml_connection_exception", "dbconnectionfailed", "<p>Error: Database connection failed</p>"
    ),
    "invalidtoken": lambda _: _exception(
        "core\\exception\\moodle_exception", "invalidtoken", "Invalid token - token not found"
    ),
}
