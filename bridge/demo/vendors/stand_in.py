"""What every stand-in shares: a real HTTP server on loopback that remembers what it was asked and what it refused."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

_LARGEST: Final = 10 * 1024 * 1024


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    path: str
    """Decoded, without query."""
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    name: str = ""
    """What was called, for people and for `faults`: "GET /users/3" or "core_notes_create_notes"."""
    target: str = ""
    """Path and query as they came over the wire, for vendors who care how a value was escaped."""

    def form(self) -> list[tuple[str, str]]:
        """Reads the body as a form. Raises ValueError when it is none."""
        return parse_qsl(self.body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(self.body))


@dataclass(frozen=True)
class Answer:
    """One answer to be sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A request that the real vendor, or our strict reading of its documentation, does not accept."""

    call: Call
    reason: str


class RefusalError(Exception):
    """This request is refused; carries the answer that the vendor would give."""

    def __init__(self, reason: str, answer: Answer) -> None:
        super().__init__(reason)
        self.answer = answer


class Wire:
    """The connection of one call, for those who want to misuse it."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self._sock = sock
        self._stopping = stopping

    def send(self, data: bytes) -> bool:
        """Sends raw bytes; False when the other side has gone."""
        try:
            self._sock.sendall(data)
        except OSError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Waits; True when the stand-in is being closed."""
        return self._stopping.wait(seconds)

    def drop(self) -> None:
        """Cuts the connection."""
        with contextlib.suppress(OSError):  # the other side was first
            self._sock.shutdown(socket.SHUT_RDWR)


Interceptor = Callable[[Call, Callable[[], Answer], Wire], Answer | None]
"""Stands between the wire and the vendor: (call, respond, wire) to the answer, or None when it used the wire itself."""


class StandIn(ABC):
    """A vendor on 127.0.0.1; use it in a `with` statement."""

    title: ClassVar[str]

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """What was accepted, in order."""
        self.refused: list[Refused] = []
        """What was not, and why."""
        self.interceptor: Interceptor | None = None
        self.lock = threading.RLock()
        """Held while an answer is made; hold it to change the state while calls are going on."""
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def answer(self, call: Call) -> Answer:
        """Answers an authentic, well-formed call, changing the state. Raises RefusalError."""

    def name_of(self, call: Call) -> str:
        """Returns what was called, in a few words."""
        return f"{call.method} {call.path}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError(f"the {self.title} stand-in has not been started")
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The root, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name=self.title, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join(10)
            for sock in list(self._open):
                with contextlib.suppress(OSError):  # already closed by its own thread
                    sock.shutdown(socket.SHUT_RDWR)
            self._server.server_close()

    # -- between the wire and `answer` -------------------------------------------------------------

    def handle(self, call: Call, wire: Wire) -> Answer | None:
        """Lets the interceptor, if any, come first. Called by the server."""
        if self.interceptor is None:
            return self.respond(call)
        return self.interceptor(call, lambda: self.respond(call), wire)

    def respond(self, call: Call) -> Answer:
        """Answers one call at a time and remembers it."""
        with self.lock:
            try:
                answer = self.answer(call)
            except RefusalError as refusal:
                self.refused.append(Refused(call, str(refusal)))
                return refusal.answer
            self.calls.append(call)
            return answer

    def named(self, part: str) -> list[Call]:
        """Returns the accepted calls whose name contains this."""
        with self.lock:
            return [call for call in self.calls if part in call.name]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True  # threads end at once, because their connections are cut first
    request_queue_size = 128

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing about clients that hang up; anything else is a fault of the stand-in and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Apache"
    sys_version = ""
    timeout = 60
    # Head and body go out at once: else each answer waits 40 ms for the other side's delayed acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.stand_in._open.add(self.connection)

    def finish(self) -> None:
        self.server.stand_in._open.discard(self.connection)
        with contextlib.suppress(OSError):  # a dropped connection has nothing left to flush
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps the terminal quiet; `calls` and `refused` are the log."""

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(Answer(413))
            return
        body = self.rfile.read(length)
        if len(body) < length:  # the other side died in the middle of its request: nobody asked anything
            self.close_connection = True
            return
        split = urlsplit(self.path)
        call = Call(
            method=self.command,
            path=unquote(split.path),
            query=tuple(parse_qsl(split.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            target=self.path,
        )
        stand_in = self.server.stand_in
        call = replace(call, name=stand_in.name_of(call))
        answer = stand_in.handle(call, Wire(self.connection, stand_in._stopping))
        if answer is None:
            self.close_connection = True
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _any  # noqa: N815 (http.server's names)
