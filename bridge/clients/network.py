"""Where an outgoing connection may go and how long it may last: checked addresses, and a deadline that cuts it."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager
from urllib3.util.connection import create_connection

from bridge.core.errors import PermanentError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# Metadata services of the large clouds that are not link-local: they hand out credentials and are never a vendor.
_METADATA: Final = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "fd20:ce::254")))


def refusal(address: str, *, allow_private: bool) -> str | None:
    """Returns what is wrong with connecting to this numeric address ("a private address"), or None when it is fine.

    Link-local, metadata, multicast and unspecified addresses are refused even with `allow_private`: no training
    platform lives there, while cloud credentials do.
    """
    ip = _embedded(ipaddress.ip_address(address.partition("%")[0]))
    if ip in _METADATA or ip.is_link_local:
        return "a link-local or cloud metadata address"
    if ip.is_multicast or ip.is_unspecified:
        return "no address of a single machine"
    if allow_private:
        return None
    if ip.is_loopback:
        return "this machine itself"
    if ip.is_private or ip.is_reserved or any(ip in network for network in EXTRA_BLOCKED_NET_RANGES):
        return "an address of a private network"
    return None


def _embedded(ip: Address) -> Address:
    """Returns the IPv4 address that an IPv6 address stands for, so that no spelling slips past the check."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)


def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Returns the addresses of the host, all of them checked.

    Raises OSError when the name cannot be resolved and PermanentError when any of its addresses is refused (a name with
    one good and one bad address is how a check is slipped past).
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if wrong := refusal(address, allow_private=allow_private):
            raise PermanentError(_advice(host, address, wrong, allow_private=allow_private), code="address_refused")
    return addresses


def _advice(host: str, address: str, wrong: str, *, allow_private: bool) -> str:
    text = f"{host} leads to {address}, which is {wrong}; certbridge did not connect."
    if allow_private or not ("private" in wrong or "itself" in wrong):
        return f"{text} Check the address in the configuration of this source."
    return f"{text} If this system really runs inside your own network, set allow_private: true for this source."


# -- deadline ------------------------------------------------------------------------------------


class Deadline:
    """Cuts the connections it watches when its seconds are over, whatever the other side drips.

    A socket's own time-out starts again with every byte; this does not.
    """

    def __init__(self, seconds: float, *, allow_private: bool = False) -> None:
        self.seconds = seconds
        self.allow_private = allow_private
        self.expired = False
        self._lock = threading.Lock()
        self._watched: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        _current.deadline = None
        self._forget()

    def watch(self, sock: socket.socket) -> None:
        """Watches this socket instead of the one before; TLS may wrap or replace the object afterwards."""
        # A duplicate, because wrapping a socket in TLS detaches the original object from its descriptor.
        duplicate = socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
        self._forget()
        with self._lock:
            self._watched = duplicate
        if self.expired:
            self._cut()

    def _forget(self) -> None:
        with self._lock:
            watched, self._watched = self._watched, None
        if watched is not None:
            watched.close()

    def _cut(self) -> None:
        self.expired = True
        with self._lock:
            if self._watched is not None:
                try:
                    self._watched.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # already closed by either side, which is what we want


_current = threading.local()


def _deadline() -> Deadline:
    deadline: Deadline | None = getattr(_current, "deadline", None)
    if deadline is None:
        raise LookupError("connections of this pool are opened inside `with Deadline(...)` only")
    return deadline


# -- urllib3 -------------------------------------------------------------------------------------


class _Checked:
    """What both kinds of connection share: resolve once, check, connect to the checked address, watch the socket."""

    host: str
    port: int
    timeout: Any
    sock: Any
    source_address: tuple[str, int] | None
    socket_options: Any

    def _new_conn(self) -> socket.socket:
        deadline = _deadline()
        connection: Any = self
        try:
            addresses = resolve(self.host, self.port, allow_private=deadline.allow_private)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, connection, error) from error
        sock = first_that_answers(addresses, lambda address: self._connect(address))
        deadline.watch(sock)
        return sock

    def _connect(self, address: str) -> socket.socket:
        connection: Any = self
        try:
            return create_connection((address, self.port), self.timeout, self.source_address, self.socket_options)
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, f"connection to {self.host} timed out") from error
        except OSError as error:
            raise NewConnectionError(connection, f"{self.host} refused the connection: {error}") from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept alive from an earlier request, under an earlier deadline
            _deadline().watch(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]


def first_that_answers(addresses: Sequence[str], connect: Callable[[str], socket.socket]) -> socket.socket:
    """Returns the first connection that opens; raises the last error when none does."""
    for address in addresses[:-1]:
        try:
            return connect(address)
        except (ConnectTimeoutError, NewConnectionError):
            continue  # the next address may answer; the last one's error is raised
    return connect(addresses[-1])


class _CheckedHttp(_Checked, HTTPConnection):
    pass


class _CheckedHttps(_Checked, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _CheckedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedHttps


def checked_pools(*, connections: int, **options: Any) -> PoolManager:
    """Returns a pool manager whose connections go to checked addresses only; used inside `with Deadline(...)`."""
    manager = PoolManager(num_pools=connections, maxsize=connections, **options)
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager
