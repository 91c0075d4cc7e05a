"""Gives every peer a share of the connections, so that one with many slow ones leaves seats for the others."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

import structlog

from bridge.web.strict_http import StrictChannel

log = structlog.get_logger(__name__)

_TELL_EVERY: Final = 60.0
"""Seconds between two lines of the log about one peer."""
_MOST_REMEMBERED: Final = 1000


class Seats:
    """Opens channels for the listeners of one server; used by the thread that runs its loop, and by no other."""

    def __init__(
        self,
        share: int,
        *,
        exempt: str | None,
        strict_headers: Mapping[str, str],
        request_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`share`: connections of one peer at the same time; `exempt`: the proxy through which everybody comes."""
        self._share = share
        self._exempt = ip_address(exempt) if exempt else None
        self._strict_headers = strict_headers
        self._request_seconds = request_seconds
        self._clock = clock
        self._taken: dict[str, set[StrictChannel]] = {}
        self._told: dict[str, float] = {}

    def __call__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        """Opens a channel, or says 503 and hangs up where the peer has its share already."""
        peer = peer_of(addr[0])
        seats = self._taken.setdefault(peer, set())
        if len(seats) >= self._share and not self._is_exempt(addr[0]):
            self._refuse(sock, peer)
            return
        if len(self._taken) > _MOST_REMEMBERED:
            self._taken = {known: channels for known, channels in self._taken.items() if channels or known == peer}
        headers, seconds = self._strict_headers, self._request_seconds
        StrictChannel(server, sock, addr, adj, map, strict_headers=headers, request_seconds=seconds, seats=seats)

    def _is_exempt(self, address: str) -> bool:
        return self._exempt is not None and _address(address) == self._exempt

    def _refuse(self, sock: socket.socket, peer: str) -> None:
        self._tell(peer)
        # As much as fits into the socket's own buffer: nothing here may wait for a slow peer.
        with contextlib.suppress(OSError):
            sock.setblocking(False)
            sock.send(self._answer())
            sock.shutdown(socket.SHUT_WR)
        sock.close()

    def _answer(self) -> bytes:
        reason = "This address has too many connections open at the same time. Please close some, or try again later."
        body = json.dumps({"outcome": "unavailable", "reason": reason, "events": []})
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Retry-After": "60"}
        headers |= {"Cache-Control": "no-store", "Connection": "close", **self._strict_headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n{body}".encode()

    def _tell(self, peer: str) -> None:
        now = self._clock()
        self._told = {known: at for known, at in self._told.items() if now - at < _TELL_EVERY}
        if peer in self._told or len(self._told) > _MOST_REMEMBERED:
            return
        self._told[peer] = now
        reason = (
            f"It holds {self._share} connections, which is the share of one address (server.connections_per_peer). If "
            "it is your reverse proxy, name it in the configuration: server.trusted_proxy."
        )
        log.warning("refused", door="http", status=503, peer=peer, reason=reason)


def peer_of(address: str) -> str:
    """Returns what counts as one peer: an IPv4 address, the /64 network of an IPv6 one (a household has that many)."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found) >> 64 << 64, 64)))
    return str(found) if found else address


def _address(text: str) -> Any:
    """Returns the address without its zone, IPv4 also where it is written as IPv6; None where it is none."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
