"""A real `certbridge serve` in a process of its own, to be killed, paused and stopped."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from bridge.core.models import SignedRequest
from bridge.observe import CRASH_VARIABLE

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PROGRAM = "from bridge.cli import main; main()"
PATIENCE = 40.0
"""Seconds until a test gives up waiting: ten times what anything here needs, and less than a lease lasts, so that a
test which only passes because a lease ran out by itself fails."""


class Daemon:
    """One run of the daemon; `crash_at` names the point where it kills itself."""

    def __init__(self, config: Path, port: int, log: Path, *, crash_at: str | None = None) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CERTBRIDGE_")}
        crash = {CRASH_VARIABLE: crash_at} if crash_at else {}
        self.port = port
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "-c", str(config), "serve"],
                env={**kept, **crash, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"},
                cwd=config.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=out,
            )
        self.pid = self._process.pid

    # -- looking -------------------------------------------------------------------------------

    def log(self) -> str:
        """What it said on standard error so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def said(self, event: str) -> bool:
        """Tells whether a line of its log has this event."""
        return f'"event": "{event}"' in self.log()

    def get(self, path: str) -> tuple[int, bytes] | None:
        """Answers a GET, or None when nobody does."""
        return self._ask("GET", path, None, {})

    def ready(self) -> bool:
        """Tells whether /readyz says so."""
        answer = self.get("/readyz")
        return answer is not None and answer[0] == 200

    def children(self) -> set[int]:
        """The processes it has started and that still run."""
        return {
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry) == self.pid
        }

    # -- using ---------------------------------------------------------------------------------

    def wait_ready(self) -> Daemon:
        """Waits until it serves."""
        self.eventually(lambda: self._alive() and self.ready(), "be ready")
        return self

    def post(self, source: str, request: SignedRequest) -> int | None:
        """Sends one webhook; None when the connection ended without an answer, as a sender sees a dead server."""
        path = f"/hooks/{source}" + (f"/{request.path_token}" if request.path_token else "")
        answer = self._ask("POST", path, request.body, request.headers)
        return answer[0] if answer else None

    def ended(self) -> int:
        """Waits for its end; returns the exit code, minus the signal that killed it."""
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGABRT)  # every thread writes where it is
            self._process.wait()
            raise AssertionError(f"the daemon did not end:\n{self.log()}") from None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless it has ended."""
        self._process.send_signal(number)

    def kill(self) -> int:
        """Kills it as a power cut would; returns the exit code."""
        self.signal(signal.SIGKILL)
        return self.ended()

    def stop(self) -> int:
        """Asks it to end in order; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def eventually(self, wanted: Callable[[], T], what: str) -> T:
        """Waits for something to become true; its log tells why it did not."""
        return eventually(wanted, what, self.log)

    def _alive(self) -> bool:
        if self._process.poll() is None:
            return True
        raise AssertionError(f"the daemon ended with {self._process.returncode}:\n{self.log()}")

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def eventually(wanted: Callable[[], T], what: str, log: Callable[[], str] = lambda: "") -> T:
    """Waits for `wanted` to be true and returns its value. Raises AssertionError when that never happens."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = wanted()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"it did not {what}:\n{log()}")


def free_port() -> int:
    """A port that the next daemon of the same test finds free again: outside the range of outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def alive(pid: int) -> bool:
    """Tells whether a process runs (one that ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
