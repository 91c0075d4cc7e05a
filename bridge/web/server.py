"""Serves the application with waitress inside this process: limits, one loop thread, a stop that drains.

Waitress keeps slow senders in its loop and hands over whole requests only, so they hold no worker thread
(https://docs.pylonsproject.org/projects/waitress/en/latest/arguments.html).
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from bridge.core.errors import ConfigError
from bridge.web.headers import strict_headers
from bridge.web.seats import Seats

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

_CHUNK_OVERHEAD: Final = 65_536


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one machine lets strangers use. Times are seconds."""

    threads: int = 12
    connections: int = 800
    connections_per_peer: int | None = None
    """Of one address (IPv6: of one /64 network), the trusted proxy excepted; None: a quarter of `connections`."""
    header_bytes: int = 32_768
    body_bytes: int = 1_048_576
    idle_seconds: int = 30
    request_seconds: int = 60
    """From the first byte of a request to its last."""


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """The one peer whose forwarded headers are believed; everybody else's are removed."""

    address: str
    count: int = 1
    headers: frozenset[str] = frozenset({"x-forwarded-for", "x-forwarded-proto"})


class Server:
    """A running server. `close` ends it: no new connections, running requests are finished."""

    def __init__(self, sockets: dict[int, Any], listeners: list[BaseWSGIServer]) -> None:
        self._sockets = sockets
        self._listeners = listeners
        self._stopping = threading.Event()
        self._asking = threading.Lock()
        self._asked = False
        self._grace = 0.0
        self.port: int = int(listeners[0].effective_port)  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    def close(self, *, grace: float = 5.0) -> None:
        """Stops, giving requests that have begun to arrive at most `grace` seconds; can be called twice."""
        with self._asking:
            asked, self._asked = self._asked, True
        if not asked and self._thread.is_alive():
            self._grace = grace
            self._stopping.set()
            self._listeners[0].pull_trigger()
        self._thread.join(grace + 10)
        if not asked:
            # Here and not at the end of the loop: the loop may be through before this thread has pulled the trigger,
            # and a closed trigger's number may belong to somebody else by then.
            wasyncore.close_all(self._sockets, ignore_all=True)

    @property
    def alive(self) -> bool:
        """Tells whether the loop still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn(1.0)
            self._drain()
        finally:
            self._listeners[0].task_dispatcher.shutdown(timeout=1)

    def _drain(self) -> None:
        for listener in self._listeners:
            # The listening socket only: closing the whole server would close the trigger that wakes this loop.
            wasyncore.dispatcher.close(listener)
        deadline = time.monotonic() + self._grace
        while time.monotonic() < deadline and any(_busy(channel) for channel in self._channels()):
            self._turn(0.05)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)

    def _channels(self) -> list[HTTPChannel]:
        return [entry for entry in self._sockets.values() if isinstance(entry, HTTPChannel)]


def _busy(channel: HTTPChannel) -> bool:
    return bool(channel.requests or channel.request is not None or channel.total_outbufs_len)


def serve(
    app: WsgiApp,
    listen: str,
    limits: ServerLimits = ServerLimits(),
    *,
    proxy: TrustedProxy | None = None,
    https: bool = False,
) -> Server:
    """Starts serving `app` on `listen` ("127.0.0.1:8080"; port 0 takes a free one) and returns at once.

    `https`: whether `public_url` is https. Raises ConfigError when the address cannot be taken.
    """
    _keep_tokens_out_of_logs()
    sockets: dict[int, Any] = {}
    try:
        create_server(app, map=sockets, **_adjustments(listen, limits), **_trust(proxy))
    except (OSError, ValueError) as error:
        wasyncore.close_all(sockets, ignore_all=True)
        raise ConfigError(
            f"listen: {listen} cannot be used: {error}. Is another program (or a second certbridge) using this port?"
        ) from error
    listeners = [entry for entry in sockets.values() if isinstance(entry, BaseWSGIServer)]
    seats = Seats(
        limits.connections_per_peer or limits.connections // 4,
        exempt=proxy.address if proxy else None,
        strict_headers=strict_headers(https=https),
        request_seconds=limits.request_seconds,
    )
    for listener in listeners:
        listener.channel_class = seats  # type: ignore[assignment]
    return Server(sockets, listeners)


def _adjustments(listen: str, limits: ServerLimits) -> Mapping[str, Any]:
    return {
        "listen": listen,
        "threads": limits.threads,
        # Each socket in the loop counts, so do its own few.
        "connection_limit": limits.connections,
        "channel_timeout": limits.idle_seconds,
        "cleanup_interval": min(5, limits.idle_seconds),
        "max_request_header_size": limits.header_bytes,
        # Waitress counts the framing of chunks as body; the application applies the exact limit.
        "max_request_body_size": limits.body_bytes + _CHUNK_OVERHEAD,
        # select() stops at descriptor 1,024.
        "asyncore_use_poll": True,
        "ident": None,
        "expose_tracebacks": False,
        "clear_untrusted_proxy_headers": True,
        # A sender that goes away is no event for an operator.
        "log_socket_errors": False,
    }


def _trust(proxy: TrustedProxy | None) -> Mapping[str, Any]:
    if proxy is None:
        return {}
    return {
        "trusted_proxy": proxy.address,
        "trusted_proxy_count": proxy.count,
        "trusted_proxy_headers": set(proxy.headers),
    }


class _TokenFilter(logging.Filter):
    """Waitress names paths in its log; the last part of a hook's path may be a token."""

    _TOKEN: Final = re.compile(r"(/hooks/[^/\s]+/)\S+")

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._TOKEN.sub(r"\1[hidden]", record.getMessage()), ()
        return True


def _keep_tokens_out_of_logs() -> None:
    waitress = logging.getLogger("waitress")
    if not any(isinstance(present, _TokenFilter) for present in waitress.filters):
        waitress.addFilter(_TokenFilter())
    # "Task queue depth is 1", once for every request of a burst.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
