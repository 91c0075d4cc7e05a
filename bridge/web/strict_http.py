"""Waitress with the doubts removed: refuses what could be read in two ways, and answers errors in our own words.

Waitress 3.0.2 takes a request with both Content-Length and Transfer-Encoding as chunked, joins two Host headers and
unfolds folded ones (RFC 9112 sections 5.2, 6.3 and RFC 9110 section 7.2 say: refuse).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask

log = structlog.get_logger(__name__)

_ONLY_ONCE: Final = (b"host", b"content-length", b"transfer-encoding", b"content-type")
_LINGER_BYTES: Final = 16 * 1_048_576
_REASONS: Final = {
    413: "The body is larger than this bridge accepts (limits.body_bytes).",
    431: "The headers are larger than this bridge accepts.",
}


class StrictParser(HTTPRequestParser):
    """Reads one request, unless two programs could read it differently."""

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError, which waitress answers with 400 and a closed connection."""
        first, _, rest = header_plus.partition(b"\r\n")
        names = _header_names(rest)
        for name in _ONLY_ONCE:
            if names.count(name) > 1:
                raise ParsingError(f"{name.decode()} is given twice")
        if b"transfer-encoding" in names and (b"content-length" in names or not first.endswith(b"HTTP/1.1")):
            raise ParsingError("Transfer-Encoding stands beside Content-Length or an old protocol")
        if first.endswith(b"HTTP/1.1") and b"host" not in names:
            raise ParsingError("Host is missing")
        if first.split(b" ")[1:2] and not first.split(b" ")[1].startswith(b"/"):
            raise ParsingError("The address does not begin with a slash")
        super().parse_header(header_plus)


def _header_names(block: bytes) -> list[bytes]:
    names = []
    for line in block.split(b"\r\n"):
        if line.startswith((b" ", b"\t")):
            raise ParsingError("A header is folded over two lines")
        if line:
            names.append(line.partition(b":")[0].lower())
    return names


class _StrictHeaders:
    """Adds the strict headers to whatever has none yet: waitress answers some requests itself."""

    channel: Any

    def build_response_header(self) -> bytes:
        headers: list[tuple[str, str]] = self.response_headers  # type: ignore[attr-defined]
        given = {name.lower() for name, _ in headers}
        for name, value in self.channel.strict_headers.items():
            if name.lower() not in given:
                headers.append((name, value))
        return super().build_response_header()  # type: ignore[misc, no-any-return]


class StrictTask(_StrictHeaders, WSGITask):
    """Runs the application."""


class StrictErrorTask(_StrictHeaders, ErrorTask):
    """Answers what never reached the application."""

    def execute(self) -> None:
        refused: Any = self.request
        error = refused.error
        reason = _REASONS.get(error.code, f"{error.reason}: {error.body}" if error.code < 500 else error.reason)
        log.warning("refused", door="http", status=error.code, peer=self.channel.addr[0], reason=reason)
        body = json.dumps({"outcome": "rejected", "reason": reason, "events": []}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.channel.lingers = True
        self.write(body)


class StrictChannel(HTTPChannel):
    """One connection: gives a request so many seconds to arrive, and a refused sender time to read why."""

    task_class = StrictTask
    error_task_class = StrictErrorTask
    parser_class = StrictParser
    lingers = False

    def __init__(
        self,
        server: Any,
        sock: socket.socket,
        addr: Any,
        adj: Adjustments,
        map: Mapping[int, socket.socket] | None = None,
        *,
        strict_headers: Mapping[str, str],
        request_seconds: float,
    ) -> None:
        self.strict_headers = strict_headers
        self._request_seconds = request_seconds
        self._began: float | None = None
        self._lingering = False
        self._swallowed = 0
        super().__init__(server, sock, addr, adj, map=map)

    def received(self, data: bytes) -> bool:
        """Takes bytes in; a sender that drips one byte a second stays below every idle time-out, but not below this."""
        if self._lingering:
            return self._swallow(data)
        taken = bool(super().received(data))
        if self.request is None:
            self._began = None
        elif self._began is None:
            self._began = time.monotonic()
        elif time.monotonic() - self._began > self._request_seconds:
            self.will_close = True
        return taken

    def handle_close(self) -> None:
        """Closes; after a refusal only when the sender has stopped, for closing on unread bytes resets the
        connection and the sender would never see the answer (RFC 9112 section 9.6)."""
        if not self.lingers or self._lingering or not self.connected:
            super().handle_close()
            return
        self._lingering = True
        self.will_close = False
        try:
            self.socket.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]
        except OSError:  # the sender has gone already
            super().handle_close()

    def handle_read(self) -> None:
        super().handle_read()
        if self._lingering and not self.connected:
            self.handle_close()

    def _swallow(self, data: bytes) -> bool:
        self._swallowed += len(data)
        if self._swallowed > _LINGER_BYTES:
            self.handle_close()
        return True
