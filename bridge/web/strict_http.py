"""Waitress with the doubts removed: refuses what could be read in two ways, and answers errors in our own words.

Waitress 3.0.2 takes a request with both Content-Length and Transfer-Encoding as chunked, joins two Host headers and
unfolds folded ones (RFC 9112 sections 5.2, 6.3 and RFC 9110 section 7.2 say: refuse). Its patterns for the first line
and for headers take minutes for 32 kB of nothing but digits or spaces, in the one thread that serves every connection;
so they only get to see what is known to fit.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest

log = structlog.get_logger(__name__)

_ONLY_ONCE: Final = (b"host", b"content-length", b"transfer-encoding", b"content-type")
_FIRST_LINE: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40} /[^ ]* HTTP/[0-9]\.[0-9]")
_MOST_HEADERS: Final = 200
_LONGEST_LENGTH: Final = 18
"""Digits of a Content-Length; Python refuses to read numbers of more than 4,300."""
_LONGEST_CHUNK_LINE: Final = 1024
_LONGEST_TRAILER: Final = 8192
_LONGEST_REASON: Final = 500
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
        lines = _header_lines(rest)
        names = [line.partition(b":")[0].lower() for line in lines]
        for name in _ONLY_ONCE:
            if names.count(name) > 1:
                raise ParsingError(f"{name.decode()} is given twice")
        if b"transfer-encoding" in names and (b"content-length" in names or not first.endswith(b"HTTP/1.1")):
            raise ParsingError("Transfer-Encoding stands beside Content-Length or an old protocol")
        if first.endswith(b"HTTP/1.1") and b"host" not in names:
            raise ParsingError("Host is missing")
        if first.split(b" ", 2)[1:2] and not first.split(b" ", 2)[1].startswith(b"/"):
            raise ParsingError("The address does not begin with a slash")
        if not _FIRST_LINE.fullmatch(first.rstrip()):
            raise ParsingError("The first line is none of HTTP")
        super().parse_header(b"\r\n".join((first, *lines, b"", b"")))
        if isinstance(self.body_rcv, ChunkedReceiver):
            self.body_rcv = StrictChunks(self.body_rcv.buf)


def _header_lines(block: bytes) -> list[bytes]:
    """Returns the headers, each without the spaces around its value, which belong to nothing (RFC 9110 section 5.5)."""
    lines = [line for line in block.split(b"\r\n") if line]
    if len(lines) > _MOST_HEADERS:
        raise ParsingError(f"There are more than {_MOST_HEADERS} headers")
    return [_tidied(line) for line in lines]


def _tidied(line: bytes) -> bytes:
    if line.startswith((b" ", b"\t")):
        raise ParsingError("A header is folded over two lines")
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if name.lower() == b"content-length" and len(value) > _LONGEST_LENGTH:
        raise ParsingError("Content-Length is no length")
    return name + colon + value


class StrictChunks(ChunkedReceiver):
    """Reads a body in chunks; a line about a chunk, or a trailer, that does not end is read anew with every packet."""

    def received(self, s: bytes) -> int:
        """Takes bytes in and returns how many; sets `error` where what stands around the chunks is too long."""
        taken = int(super().received(s))
        if len(self.control_line) > _LONGEST_CHUNK_LINE or len(self.trailer) > _LONGEST_TRAILER:
            self.error = BadRequest("What stands around the chunks of the body is too long")
        return taken


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
        said = f"{error.reason}: {error.body}"[:_LONGEST_REASON] if error.code < 500 else error.reason
        reason = _REASONS.get(error.code, said)
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
        seats: set[Any],
    ) -> None:
        self.strict_headers = strict_headers
        self._seats = seats
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

    def add_channel(self, map: Any = None) -> None:
        """Takes its seat among the connections of its peer."""
        super().add_channel(map)
        self._seats.add(self)

    def del_channel(self, map: Any = None) -> None:
        """Leaves its seat; may be called twice."""
        super().del_channel(map)
        self._seats.discard(self)

    def handle_read(self) -> None:
        super().handle_read()
        if self._lingering and not self.connected:
            self.handle_close()

    def _swallow(self, data: bytes) -> bool:
        self._swallowed += len(data)
        if self._swallowed > _LINGER_BYTES:
            self.handle_close()
        return True
