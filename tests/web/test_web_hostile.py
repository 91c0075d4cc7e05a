"""Hostile HTTP against the real server: slow, oversized, ambiguous, misdirected."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from web_client import Client, read_all, status_of
from web_doors import Bench

from bridge.core.errors import ConfigError
from bridge.core.models import InboundRequest, Reply
from bridge.web.application import create_app
from bridge.web.server import ServerLimits, TrustedProxy, serve

HEAD = b"POST /hooks/school HTTP/1.1\r\nHost: localhost\r\n"
STRICT = (
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
    "strict-transport-security",
)


@pytest.mark.parametrize(
    "begun",
    [b"POST /hooks/school HTTP/1.1\r\nHost: loc", HEAD + b"Content-Length: 5000\r\n\r\n{"],
    ids=["headers", "body"],
)
def test_sixty_slow_senders_keep_nobody_else_waiting(web: Client, bench: Bench, begun: bytes) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(web.connect()) for _ in range(60)]
        for wire in wires:
            wire.sendall(begun)
        for _ in range(3):
            for wire in wires:
                wire.sendall(b"a")
            # Four threads serve: were a slow sender to hold one, this would run into the client's time-out.
            assert web.get("/healthz").status == 200
            assert web.post("/hooks/school", b"{}").status == 200
    assert len(bench.received) == 3


def test_a_sender_that_drips_is_cut_off_at_the_deadline(start: Callable[..., Client]) -> None:
    web = start(limits=ServerLimits(threads=2, request_seconds=1, idle_seconds=30))
    with web.connect() as wire, pytest.raises(ConnectionError):
        drip(wire)


def drip(wire: socket.socket) -> None:
    """Sends a byte every fifth of a second; raises ConnectionError once the server hangs up."""
    wire.settimeout(0.2)
    wire.sendall(HEAD)
    for _ in range(200):
        wire.sendall(b"X")
        with contextlib.suppress(TimeoutError):
            if wire.recv(10) == b"":
                raise ConnectionResetError


AMBIGUOUS = {
    "length and chunked": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "bad chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "negative chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "two hosts": HEAD + b"Host: evil.example\r\nContent-Length: 2\r\n\r\n{}",
    "no host": b"POST /hooks/school HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two types": HEAD + b"Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n\r\n{}",
    "folded": HEAD + b"X-A: b\r\n Content-Length: 44\r\nContent-Length: 2\r\n\r\n{}",
    "space before colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "NUL": HEAD + b"X-A: b\x00c\r\nContent-Length: 2\r\n\r\n{}",
    "bare CR": HEAD + b"X-A: b\rContent-Length: 2\r\n\r\n{}",
    "bare LF": HEAD + b"X-A: b\nContent-Length: 2\r\n\r\n{}",
    "absolute": b"POST http://localhost/hooks/school HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no words": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_refuses_what_could_be_read_in_two_ways_and_runs_nothing_after_it(
    web: Client, bench: Bench, sent: bytes
) -> None:
    smuggled = b"POST /hooks/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    answer = web.raw(sent + smuggled)
    assert status_of(answer) in (400, 501)
    assert answer.count(b"HTTP/1.1") + answer.count(b"HTTP/1.0") == 1
    assert bench.received == []


def test_an_unknown_transfer_encoding_is_refused(web: Client, bench: Bench) -> None:
    assert status_of(web.raw(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")) == 501
    assert bench.received == []


def test_a_declared_giant_is_refused_before_it_is_sent(web: Client, bench: Bench) -> None:
    with web.connect() as wire:
        wire.sendall(HEAD + b"Content-Length: 2000000000\r\n\r\n")
        wire.shutdown(socket.SHUT_WR)
        assert status_of(read_all(wire)) == 413
    assert bench.received == []


def test_a_sender_who_goes_on_sending_still_reads_why_it_was_refused(web: Client) -> None:
    body = b"x" * 4_000_000
    with web.connect() as wire:
        wire.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        wire.sendall(body)
        wire.shutdown(socket.SHUT_WR)
        answer = read_all(wire)
    assert status_of(answer) == 413
    assert b"limits.body_bytes" in answer


def test_an_endless_chunked_body_is_cut_off(web: Client, bench: Bench) -> None:
    with web.connect() as wire:
        wire.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            wire.sendall((b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 1_000)
    assert bench.received == []
    assert web.get("/healthz").status == 200


def test_headers_over_the_limit_are_refused(web: Client, bench: Bench) -> None:
    answer = web.raw(HEAD + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n")
    assert status_of(answer) == 431
    assert bench.received == []


def test_what_the_server_answers_by_itself_carries_the_same_headers(web: Client) -> None:
    answer = web.raw(HEAD + b"Content-Length: -1\r\n\r\n").decode().lower()
    assert all(f"\r\n{name}: " in answer for name in STRICT)
    assert "\r\nserver:" not in answer
    assert "waitress" not in answer
    assert "application/json" in answer


@pytest.mark.parametrize("path", ["/hooks/school", "/c/x", "/"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "certificates.school.example.evil",
        "a b",
        "localhost, evil",
        "@",
        "[::2]",
    ],
)
def test_answers_no_other_host(web: Client, bench: Bench, host: str, path: str) -> None:
    answer = web.request("POST" if path == "/hooks/school" else "GET", path, headers={"Host": host})
    assert answer.status == 400
    assert "evil" not in answer.text
    assert bench.received == []


@pytest.mark.parametrize(
    "host", ["certificates.school.example", "CERTIFICATES.School.example:443", "127.0.0.1:80", "[::1]", "inner.lan"]
)
def test_answers_its_own_hosts(start: Callable[..., Client], bench: Bench, host: str) -> None:
    bench.settings = replace(bench.settings, allowed_hosts=("inner.lan",))
    assert start().request("GET", "/", headers={"Host": host}).status == 200


def test_health_answers_probes_by_address(web: Client) -> None:
    assert web.request("GET", "/healthz", headers={"Host": "10.1.2.3:8080"}).status == 200


@pytest.mark.parametrize("path", ["/c/" + "A" * 3_000, "/?id=" + "A" * 3_000, "/" + "a/" * 2_000])
def test_long_addresses_are_refused(web: Client, path: str) -> None:
    assert web.get(path).status == 414


@pytest.mark.parametrize(
    "path",
    [
        "/static/../application.py",
        "/static/%2e%2e/application.py",
        "/static/..%2fapplication.py",
        "/static/....//application.py",
        "/static//etc/passwd",
        "/static/%00",
        "/c/../../etc/passwd",
        "/c/%2e%2e%2f%2e%2e%2fetc%2fpasswd.pdf",
        "/%5c..%5c..%5cetc",
        "/static/",
        "/.git/config",
    ],
)
def test_paths_lead_nowhere_else(web: Client, path: str) -> None:
    answer = web.get(path)
    assert answer.status == 404
    assert b"import" not in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize("path", ["//evil.example/c", "//evil.example", "/%2f%2fevil.example", "/c//evil.example"])
def test_redirects_to_nobody(web: Client, path: str) -> None:
    answer = web.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert status_of(answer) == 404
    assert b"location:" not in answer.lower()


def test_forwarded_headers_of_strangers_are_removed(web: Client, bench: Bench) -> None:
    web.post(
        "/hooks/school", b"{}", X_Forwarded_For="9.9.9.9", X_Forwarded_Host="evil.example", Forwarded="for=8.8.8.8"
    )
    ((_, request, peer),) = bench.received
    assert peer == "127.0.0.1"
    assert not [name for name in request.headers if "forwarded" in name]


def test_the_trusted_proxy_names_the_peer(start: Callable[..., Client], bench: Bench) -> None:
    web = start(proxy=TrustedProxy("127.0.0.1"))
    web.post("/hooks/school", b"{}", X_Forwarded_For="6.6.6.6, 9.9.9.9")
    assert bench.received[0][2] == "9.9.9.9"


def test_a_proxys_nonsense_is_refused_with_the_strict_headers(start: Callable[..., Client], bench: Bench) -> None:
    web = start(proxy=TrustedProxy("127.0.0.1"))
    answer = web.post("/hooks/school", b"{}", X_Forwarded_Proto="http, https")
    assert answer.status == 400
    assert all(name in answer.headers for name in STRICT)
    assert bench.received == []


def test_stopping_finishes_what_runs_and_what_waits(bench: Bench) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(source: str, request: InboundRequest, *, peer: str) -> Reply:
        entered.set()
        leave.wait(20)
        return Reply(200, b"stored")

    # One thread, so that the second request waits in the queue while the server stops.
    app = create_app(replace(bench.doors(), receive=slow))
    server = serve(app, "127.0.0.1:0", ServerLimits(threads=1))
    client = Client(server)
    post = HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    with client.connect() as first, client.connect() as second:
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(second.recv(65_536)) == 200
        first.sendall(post)
        assert entered.wait(20)
        second.sendall(post)
        stopper = threading.Thread(target=server.close, kwargs={"grace": 20})
        stopper.start()
        wait_until_refused(client)
        leave.set()
        assert read_all(first).endswith(b"stored")
        assert read_all(second).endswith(b"stored")
    stopper.join(30)
    assert not server.alive
    server.close()


def wait_until_refused(client: Client) -> None:
    """Returns once the server takes no new connections."""
    for _ in range(2_000):
        try:
            client.connect().close()
        except OSError:
            return
    pytest.fail("the stopping server still takes connections")


def test_a_taken_port_is_named(web: Client, bench: Bench) -> None:
    with pytest.raises(ConfigError, match=rf"listen: 127\.0\.0\.1:{web.server.port} cannot be used"):
        serve(create_app(bench.doors()), f"127.0.0.1:{web.server.port}")
