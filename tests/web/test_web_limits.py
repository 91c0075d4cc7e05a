"""Limits before work at the door: a share of the connections for each peer, and nothing that is read twice over."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator

import pytest
import waitress.parser
from structlog.testing import capture_logs
from web_client import Client, read_all, status_of
from web_doors import Bench

from bridge.web import seats
from bridge.web.server import ServerLimits, TrustedProxy
from bridge.web.strict_http import StrictChunks

HEAD = b"POST /hooks/school HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MANY = ServerLimits(threads=2, connections=40, connections_per_peer=10)


class Peer:
    """One machine that opens connections; on loopback, every address of 127.0.0.0/8 is another one."""

    def __init__(self, web: Client, address: str) -> None:
        self.web, self.address = web, address
        self.open: list[socket.socket] = []

    def connect(self) -> socket.socket:
        """Opens a connection and begins a request that it does not end."""
        target = ("127.0.0.1", self.web.server.port)
        wire = socket.create_connection(target, timeout=20, source_address=(self.address, 0))
        self.open.append(wire)
        with contextlib.suppress(ConnectionError):
            wire.sendall(HEAD + b"X-Slow: ")
        return wire

    def refused(self, wire: socket.socket) -> bool:
        """Tells whether the server hung up; it says nothing to a request that has only begun."""
        wire.settimeout(20)
        with contextlib.suppress(ConnectionError):
            answer = read_all(wire)
            assert status_of(answer) == 503
            assert b"too many connections" in answer
            assert b"retry-after: 60" in answer.lower()
            assert b"content-security-policy" in answer.lower()
        wire.close()
        self.open.remove(wire)
        return True

    def ask(self, path: str = "/readyz") -> int:
        """Returns the status that a whole request gets."""
        target = ("127.0.0.1", self.web.server.port)
        with socket.create_connection(target, timeout=20, source_address=(self.address, 0)) as wire:
            with contextlib.suppress(ConnectionError):
                wire.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return status_of(read_all(wire))


@pytest.fixture
def peer() -> Iterator[Callable[[Client, str], Peer]]:
    made: list[Peer] = []

    def make(web: Client, address: str) -> Peer:
        made.append(Peer(web, address))
        return made[-1]

    yield make
    for wire in [wire for one in made for wire in one.open]:
        wire.close()


def test_case_hostile_5_one_peer_with_850_slow_connections_holds_its_share_and_no_more(
    start: Callable[..., Client], peer: Callable[[Client, str], Peer], bench: Bench
) -> None:
    web = start(limits=ServerLimits())
    slow, other = peer(web, "127.0.0.2"), peer(web, "127.0.0.3")
    with capture_logs() as lines:
        for _ in range(200):
            slow.connect()
        assert all(slow.refused(slow.connect()) for _ in range(650))
        assert other.ask() == 200
        assert other.ask("/healthz") == 200
        assert web.post("/hooks/school", b"{}").status == 200
    assert len(bench.received) == 1
    (told,) = [line for line in lines if line.get("status") == 503]
    assert told["peer"] == "127.0.0.2"
    assert "server.connections_per_peer" in told["reason"]
    assert "server.trusted_proxy" in told["reason"]


def test_a_connection_that_ends_makes_room_for_the_next_of_its_peer(
    start: Callable[..., Client], peer: Callable[[Client, str], Peer]
) -> None:
    web = start(limits=MANY)
    slow = peer(web, "127.0.0.2")
    for _ in range(10):
        slow.connect()
    assert slow.ask() == 503
    for wire in slow.open[:5]:
        wire.close()
    # The server notices in its next turn.
    assert next(status for status in iter(slow.ask, None) if status != 503) == 200


def test_several_peers_have_a_share_each(start: Callable[..., Client], peer: Callable[[Client, str], Peer]) -> None:
    web = start(limits=MANY)
    for number in range(2, 5):
        one = peer(web, f"127.0.0.{number}")
        for _ in range(10):
            one.connect()
        assert one.ask() == 503
    assert peer(web, "127.0.0.9").ask() == 200


def test_the_trusted_proxy_through_which_everybody_comes_has_no_share(
    start: Callable[..., Client], peer: Callable[[Client, str], Peer]
) -> None:
    web = start(limits=MANY, proxy=TrustedProxy("127.0.0.2"))
    proxy, other = peer(web, "127.0.0.2"), peer(web, "127.0.0.3")
    for _ in range(20):
        proxy.connect()
        if len(other.open) < 10:
            other.connect()
    assert proxy.ask() == 200
    assert other.ask() == 503


def test_the_log_speaks_of_a_peer_again_after_a_while(
    start: Callable[..., Client], peer: Callable[[Client, str], Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    web = start(limits=MANY)
    slow = peer(web, "127.0.0.2")
    for _ in range(10):
        slow.connect()
    with capture_logs() as lines:
        assert [slow.ask(), slow.ask()] == [503, 503]
        monkeypatch.setattr(seats, "_TELL_EVERY", 0.0)
        assert slow.ask() == 503
    assert len([line for line in lines if line.get("status") == 503]) == 2


@pytest.mark.parametrize(
    ("address", "peer_name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("localhost", "localhost"),
    ],
)
def test_a_peer_is_an_address_or_the_network_that_a_household_has(address: str, peer_name: str) -> None:
    assert seats.peer_of(address) == peer_name


# -- nothing is read twice over --------------------------------------------------------------------


class Watched:
    """A pattern of waitress that remembers the longest run of blanks it was given, which it would try in two ways."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern, self.longest = pattern, 0

    def match(self, line: bytes) -> re.Match[bytes] | None:
        edges = re.fullmatch(rb"([^:]*:?)([ \t]*)(.*?)([ \t]*)", line, re.DOTALL)
        assert edges is not None
        self.longest = max(self.longest, len(edges[2]), len(edges[4]))
        return self.pattern.match(line)


LONG_FIRST_LINES = {
    "digits and no version": b"GET /a://" + b"1" * 15_000 + b" HTTP/1.x",
    "digits and a blank": b"GET /a://" + b"1" * 15_000 + b"  HTTP/1.1",
    "no version at all": b"GET /a://" + b"1" * 15_000 + b" ",
    "many words": b"GET" + b" /" * 7_000,
    "a long method": b"G" * 15_000 + b" / HTTP/1.1",
}


@pytest.mark.parametrize("first", LONG_FIRST_LINES.values(), ids=LONG_FIRST_LINES.keys())
def test_a_first_line_that_fits_no_request_is_refused_before_waitress_tries_to_read_it(
    web: Client, bench: Bench, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    tried: list[bytes] = []
    monkeypatch.setattr(waitress.parser, "crack_first_line", tried.append)
    answer = web.raw(first + b"\r\nHost: localhost\r\n\r\n")
    assert status_of(answer) == 400
    assert len(answer) < 2_000
    assert tried == []
    assert bench.received == []


@pytest.mark.parametrize("value", [b" " * 15_000 + b"b", b"b" + b"\t" * 15_000, b" " * 7_000 + b"b" + b" " * 7_000])
def test_blanks_around_a_header_are_gone_before_waitress_reads_it(
    web: Client, bench: Bench, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    watched = Watched(waitress.parser.HEADER_FIELD_RE)
    monkeypatch.setattr(waitress.parser, "HEADER_FIELD_RE", watched)
    answer = web.raw(HEAD + b"X-A:" + value + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert status_of(answer) == 200
    assert watched.longest == 0
    ((_, request, _),) = bench.received
    assert request.headers["x-a"] == "b"


def test_blanks_before_a_sign_that_no_header_may_hold_are_no_work(web: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(waitress.parser.HEADER_FIELD_RE)
    monkeypatch.setattr(waitress.parser, "HEADER_FIELD_RE", watched)
    assert status_of(web.raw(HEAD + b"X-A:" + b" " * 15_000 + b"\x01\r\n\r\n")) == 400
    assert watched.longest == 0


def test_more_than_two_hundred_headers_are_refused(web: Client, bench: Bench) -> None:
    answer = web.raw(HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(300)) + b"\r\n")
    assert status_of(answer) == 400
    assert b"more than 200 headers" in answer
    assert bench.received == []


def test_a_length_of_thousands_of_digits_is_refused_in_words(web: Client, bench: Bench) -> None:
    for digits in (19, 5_000):
        answer = web.raw(HEAD + b"Content-Length: " + b"0" * digits + b"\r\n\r\n")
        assert (digits, status_of(answer)) == (digits, 400)
    assert bench.received == []


@pytest.mark.parametrize("around", [b"1;" + b"a" * 5_000, b"0\r\n" + b"a: b\r\n" * 3_000], ids=["line", "trailer"])
def test_what_stands_around_chunks_without_an_end_is_refused(web: Client, bench: Bench, around: bytes) -> None:
    with web.connect() as wire:
        wire.sendall(CHUNKED + around)
        assert status_of(wire.recv(65_536)) == 400
    assert bench.received == []


def test_a_chunk_line_that_drips_ends_soon() -> None:
    chunks, sent = StrictChunks(None), 0
    while chunks.error is None and sent < 100_000:
        sent += chunks.received(b"1")
    assert sent < 2_000
