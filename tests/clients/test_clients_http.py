"""The way out over HTTP, tried against servers that answer byte for byte what the test says."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from clients.scripted_server import Authority, ScriptedServer, answering

from bridge.clients import network
from bridge.clients.http import HttpClient
from bridge.core.connector import Access, ApiClient, ApiResponse, Connector, ConnectorSettings
from bridge.core.errors import BridgeError, PermanentError, TemporaryError
from bridge.core.models import InboundRequest, SignedRequest, SourceEvent

SECRET = "s3cr3t/t0ken+value"


class Plain(Connector[ConnectorSettings]):
    """A connector with nothing special: a base URL, a bearer token that counts up."""

    name = "plain"
    title = "Plain LMS"
    docs_url = "https://plain.example/docs"
    Settings = ConnectorSettings
    event_types = frozenset({"done"})

    def __init__(self, base_url: str, *, hosts: Sequence[str] = ("127.0.0.1", "localhost")) -> None:
        super().__init__(ConnectorSettings())
        self.base_url = base_url
        self.names = hosts
        self.signed_in = 0
        self.expires_in: float | None = None
        self.token = SECRET

    def verify(self, request: InboundRequest) -> None:
        return None

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return []

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return SignedRequest(body, headers)

    def hosts(self) -> Sequence[str]:
        return self.names

    def authenticate(self, api: ApiClient) -> Access | None:
        self.signed_in += 1
        return Access(self.base_url, {"Authorization": f"Bearer {self.token}-{self.signed_in}"}, self.expires_in)


def client(connector: Connector[Any], **options: Any) -> HttpClient:
    options.setdefault("allow_private", True)
    options.setdefault("redactor", lambda text: text)
    return HttpClient(connector, **options)


Serve = Callable[..., ScriptedServer]


# -- the request as sent -------------------------------------------------------------------------


def test_sends_the_form_below_the_base_url_with_the_credentials(serve: Serve) -> None:
    server = serve(answering(200, b'{"a": 1}', X_Thing="One"))
    api = client(Plain(server.url + "/lms/"))
    response = api.request("POST", "/rest.php", query={"page": "1"}, form=[("values[0]", "é & +"), ("values[1]", "2")])
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /lms/rest.php?page=1 HTTP/1.1")
    assert b"Authorization: Bearer s3cr3t/t0ken+value-1" in head
    assert b"User-Agent: certbridge/" in head
    assert body == b"values%5B0%5D=%C3%A9+%26+%2B&values%5B1%5D=2"
    assert response.json() == {"a": 1}
    assert response.headers["x-thing"] == "One"
    assert response.url == server.url + "/lms/rest.php"


def test_sends_json_as_utf_8(serve: Serve) -> None:
    server = serve(answering(204, b""))
    client(Plain(server.url)).request("PUT", "/users/1", json={"name": "José"})
    assert server.requests[0].endswith(b'{"name": "Jos\xc3\xa9"}')
    assert b"Content-Type: application/json" in server.requests[0]


def test_keeps_no_cookies_between_requests(serve: Serve) -> None:
    server = serve(answering(200, Set_Cookie="session=abc; Path=/"))
    api = client(Plain(server.url))
    api.request("GET", "/a")
    api.request("GET", "/b")
    assert b"cookie" not in server.requests[1].lower()


def test_reads_neither_netrc_nor_proxy_settings(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = serve(answering(200))
    client(Plain(server.url)).request("GET", "/a")
    assert b"Basic" not in server.requests[0]


# -- hosts and addresses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/x",
        "http://127.0.0.1@evil.example/x",
        "http://evil.example\\@127.0.0.1/x",
        "http://127.0.0.1.evil.example/x",
        "http://2130706433/x",
        "http://127.0.0.1:1/x",
        "/../admin",
        "/a/%2e%2e/admin",
        "ftp://127.0.0.1/x",
    ],
)
def test_calls_no_other_host_port_or_folder(serve: Serve, url: str) -> None:
    server = serve(answering(200))
    outcome: object = None
    try:
        outcome = client(Plain(server.url)).request("GET", url)
    except PermanentError:
        assert server.connections == 0
        return
    # "ftp://…" is no full address to us: it stays below the base URL.
    assert outcome is not None
    assert server.requests[0].startswith(b"GET /ftp://127.0.0.1/x ")


@pytest.mark.parametrize(
    ("host", "port", "pattern", "expected"),
    [
        ("lms.example", None, "lms.example", True),
        ("lms.example", 8443, "LMS.example", True),
        ("lms.example", 8443, "lms.example:8443", True),
        ("lms.example", 444, "lms.example:8443", False),
        ("a.salesforce.com", None, "*.salesforce.com", True),
        ("a.b.salesforce.com", None, "*.salesforce.com", True),
        ("salesforce.com", None, "*.salesforce.com", False),
        ("evilsalesforce.com", None, "*.salesforce.com", False),
        ("salesforce.com.evil", None, "*.salesforce.com", False),
        ("::1", None, "[::1]", True),
        ("", None, "", False),
    ],
)
def test_matches_hosts_as_the_pattern_says(host: str, port: int | None, pattern: str, expected: bool) -> None:
    from bridge.clients.pins import matches

    assert matches(host, port, pattern) is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_refuses_this_machine_without_allow_private(serve: Serve, host: str) -> None:
    server = serve(answering(200))
    connector = Plain(f"http://{host}:{server.port}", hosts=[host])
    with pytest.raises(PermanentError) as caught:
        client(connector, allow_private=False).request("GET", "/x")
    assert caught.value.stable_code == "address_refused"
    assert server.connections == 0


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "64:ff9b::a00:1", "2002:7f00:1::", "240.0.0.1"],
)
def test_refuses_private_addresses_in_every_spelling(address: str) -> None:
    assert network.refusal(address, allow_private=False)
    assert network.refusal(address, allow_private=True) is None or address == "240.0.0.1"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "224.0.0.1",
        "::",
    ],
)
def test_refuses_metadata_and_multicast_even_with_allow_private(address: str) -> None:
    assert network.refusal(address, allow_private=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_allows_public_addresses(address: str) -> None:
    assert network.refusal(address, allow_private=False) is None


def answers_of(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Makes lms.example resolve to each answer in turn; returns the list of look-ups."""
    asked: list[str] = []
    real = socket.getaddrinfo
    waiting = list(answers)

    def fake(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "lms.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in waiting.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return asked


def test_connects_to_the_address_it_checked_and_resolves_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(answering(200))
    asked = answers_of(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    client(Plain(f"http://lms.example:{server.port}", hosts=["lms.example"])).request("GET", "/x")
    assert asked == ["lms.example"]
    assert f"Host: lms.example:{server.port}".encode() in server.requests[0]


def test_refuses_a_name_with_one_good_and_one_bad_address(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(answering(200))
    answers_of(monkeypatch, ["127.0.0.1", "169.254.169.254"])
    with pytest.raises(PermanentError, match=r"lms\.example leads to 169\.254\.169\.254"):
        client(Plain(f"http://lms.example:{server.port}", hosts=["lms.example"])).request("GET", "/x")
    assert server.connections == 0


def test_tries_the_next_address_when_the_first_does_not_answer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(answering(200))
    answers_of(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    assert client(Plain(f"http://lms.example:{server.port}", hosts=["lms.example"])).request("GET", "/x").status == 200


def test_follows_no_redirect_and_names_only_the_host(serve: Serve) -> None:
    elsewhere = serve(answering(200))
    server = serve(answering(302, Location=f"http://localhost:{elsewhere.port}/login?ticket=abc"))
    with pytest.raises(PermanentError, match="localhost") as caught:
        client(Plain(server.url)).request("GET", "/x")
    assert caught.value.stable_code == "redirect"
    assert "ticket" not in str(caught.value)
    assert elsewhere.connections == 0


# -- signing in ----------------------------------------------------------------------------------


def test_signs_in_once_for_many_requests(serve: Serve) -> None:
    connector = Plain(serve(answering(200)).url)
    api = client(connector)
    for _ in range(3):
        api.request("GET", "/x")
    assert connector.signed_in == 1


def test_signs_in_again_shortly_before_the_token_ends(serve: Serve) -> None:
    now = [0.0]
    connector = Plain(serve(answering(200)).url)
    connector.expires_in = 3600
    api = client(connector, clock=lambda: now[0])
    api.request("GET", "/x")
    now[0] = 3500
    api.request("GET", "/x")
    assert connector.signed_in == 1
    now[0] = 3580
    api.request("GET", "/x")
    assert connector.signed_in == 2


def test_refreshes_once_on_401_and_tries_again(serve: Serve) -> None:
    server = serve(answering(401), answering(200, b'"fine"'))
    connector = Plain(server.url)
    assert client(connector).request("POST", "/x", json={"n": 1}).json() == "fine"
    assert connector.signed_in == 2
    assert b"value-2" in server.requests[1]
    assert server.requests[1].endswith(b'{"n": 1}')


def test_gives_up_after_the_second_401(serve: Serve) -> None:
    server = serve(answering(401))
    with pytest.raises(PermanentError, match=r"Plain LMS \(127.0.0.1\) answered HTTP 401"):
        client(Plain(server.url)).request("GET", "/x")
    assert len(server.requests) == 2


def test_an_empty_header_leaves_that_of_the_access_out(serve: Serve) -> None:
    server = serve(answering(200))
    client(Plain(server.url)).request("GET", "/x", headers={"Authorization": "", "X-Other": "1"})
    assert b"authorization" not in server.requests[0].lower()
    assert b"X-Other: 1" in server.requests[0]


def test_does_not_repeat_after_401_without_credentials_in_headers(serve: Serve) -> None:
    class Token(Plain):
        def authenticate(self, api: ApiClient) -> Access | None:
            return Access(self.base_url)

    server = serve(answering(401))
    with pytest.raises(PermanentError):
        client(Token(server.url)).request("POST", "/x", form=[("wstoken", "t")])
    assert len(server.requests) == 1


def test_one_thread_renews_the_token_for_all(serve: Serve) -> None:
    def picky(sock: socket.socket, request: bytes) -> None:
        answering(200 if b"value-2" in request else 401)(sock, request)

    connector = Plain(serve(picky).url)
    api = client(connector)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(api.request("GET", "/x").status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert statuses == [200] * 8
    assert connector.signed_in == 2


def test_signing_in_asks_the_pinned_host_without_credentials(serve: Serve) -> None:
    class Oauth(Plain):
        def authenticate(self, api: ApiClient) -> Access | None:
            answer: Any = api.request("POST", self.base_url + "/token", form=[("client_secret", SECRET)]).json()
            return Access(self.base_url, {"Authorization": f"Bearer {answer['access_token']}"})

    server = serve(answering(200, b'{"access_token": "fresh-token"}'), answering(200))
    seen: list[Any] = []
    api = client(Oauth(server.url), observer=lambda *exchange: seen.append(exchange))
    api.request("GET", "/x")
    assert b"Authorization" not in server.requests[0]
    assert b"Bearer fresh-token" in server.requests[1]
    assert "fresh-token" not in json.dumps(seen)
    assert SECRET not in json.dumps(seen)


def test_a_source_without_an_api_says_so(serve: Serve) -> None:
    class Mute(Plain):
        def authenticate(self, api: ApiClient) -> Access | None:
            return None

    with pytest.raises(PermanentError, match="Nothing is set with which certbridge could ask"):
        client(Mute("http://127.0.0.1")).request("GET", "/x")


# -- what can go wrong on the way ----------------------------------------------------------------


def test_passes_every_answer_to_the_connector(serve: Serve) -> None:
    class Dialect(Plain):
        def check(self, response: ApiResponse) -> None:
            if b"exception" in response.body:
                raise TemporaryError("the database is down", retry_after=7)

    with pytest.raises(TemporaryError, match="database") as caught:
        client(Dialect(serve(answering(200, b'{"exception": 1}')).url)).request("GET", "/x")
    assert caught.value.retry_after == 7


def test_keeps_the_wait_that_was_asked_for(serve: Serve) -> None:
    with pytest.raises(TemporaryError, match=r"Plain LMS \(127.0.0.1\) answered HTTP 503") as caught:
        client(Plain(serve(answering(503, b"<html>", Retry_After="300")).url)).request("GET", "/x")
    assert caught.value.retry_after == 300


def test_stops_reading_at_the_size_limit(serve: Serve) -> None:
    sent = [0]

    def endless(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            sent[0] += sock.send(b"x" * 65536)

    with pytest.raises(TemporaryError) as caught:
        client(Plain(serve(endless).url), max_bytes=100_000).request("GET", "/x")
    assert caught.value.stable_code == "too_large"


def test_stops_inflating_at_the_size_limit(serve: Serve) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(TemporaryError) as caught:
        client(Plain(serve(answering(200, bomb, Content_Encoding="gzip")).url), max_bytes=1_000_000).request(
            "GET", "/x"
        )
    assert caught.value.stable_code == "too_large"


def test_reads_an_answer_that_is_compressed_unasked(serve: Serve) -> None:
    server = serve(answering(200, gzip.compress(b'{"ok": true}'), Content_Encoding="gzip"))
    assert client(Plain(server.url)).request("GET", "/x").json() == {"ok": True}


@pytest.mark.parametrize(
    "opening",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
        b"",
    ],
)
def test_a_drip_feed_ends_at_the_deadline(serve: Serve, opening: bytes) -> None:
    servers: list[ScriptedServer] = []

    def drip(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(opening)
        while not servers[0].wait(0.05):
            sock.sendall(b"a")

    servers.append(serve(drip))
    with pytest.raises(TemporaryError) as caught:
        client(Plain(servers[0].url), total_deadline=0.4, timeout=(1, 5)).request("GET", "/x")
    assert caught.value.stable_code == "timeout"
    assert "0.4 seconds" in str(caught.value)


def test_a_drip_feed_on_a_kept_alive_connection_ends_too(serve: Serve) -> None:
    servers: list[ScriptedServer] = []

    def drip(sock: socket.socket, _request: bytes) -> None:
        while not servers[0].wait(0.05):
            sock.sendall(b"a")

    servers.append(serve(answering(200), drip))
    api = client(Plain(servers[0].url), total_deadline=0.5, timeout=(1, 5))
    api.request("GET", "/x")
    with pytest.raises(TemporaryError, match=r"0\.5 seconds"):
        api.request("GET", "/x")
    assert servers[0].connections == 1


def test_a_drip_fed_tls_handshake_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def drip() -> None:
            sock, _ = listener.accept()
            with sock:
                # A handshake record of 16 kB whose bytes come one by one.
                sock.sendall(b"\x16\x03\x03\x40\x00")
                try:
                    while not stop.wait(0.05):
                        sock.sendall(b"\x02")
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(TemporaryError):
            client(Plain(f"https://localhost:{port}"), total_deadline=0.4, timeout=(5, 5)).request("GET", "/x")
        stop.set()
        thread.join(5)


def test_silence_is_a_time_out_in_plain_words(serve: Serve) -> None:
    servers: list[ScriptedServer] = []
    servers.append(serve(lambda sock, _request: servers[0].wait(5) and None))
    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1 sent nothing for 0\.2 seconds") as caught:
        client(Plain(servers[0].url), timeout=(1, 0.2)).request("GET", "/x?wstoken=abc")
    assert caught.value.stable_code == "timeout"


def test_nobody_listening_is_temporary() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TemporaryError, match="refused the connection"):
        client(Plain(f"http://127.0.0.1:{port}")).request("GET", "/x")


def test_an_unknown_name_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    with pytest.raises(TemporaryError, match=r"lms\.example could not be found"):
        client(Plain("https://lms.example", hosts=["lms.example"])).request("GET", "/x")


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"garbage\r\n\r\n"])
def test_a_connection_cut_before_the_end_is_temporary(serve: Serve, part: bytes) -> None:
    def cut(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(part)
        sock.shutdown(socket.SHUT_RDWR)

    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1"):
        client(Plain(serve(cut).url)).request("GET", "/x")


def test_an_untrusted_certificate_is_refused_with_advice(serve: Serve, authority: Authority) -> None:
    server = serve(answering(200), tls=authority.server_context)
    with pytest.raises(PermanentError, match="certificate that cannot be trusted") as caught:
        client(Plain(server.url)).request("GET", "/x")
    assert caught.value.stable_code == "tls"
    assert server.requests == []


def test_a_private_authority_can_be_trusted(serve: Serve, authority: Authority) -> None:
    server = serve(answering(200, b"1"), tls=authority.server_context)
    assert client(Plain(server.url), ca_file=authority.ca_file).request("GET", "/x").json() == 1


def test_a_certificate_for_another_name_is_refused(serve: Serve, authority: Authority) -> None:
    server = serve(answering(200), tls=authority.server_context)
    with pytest.raises(PermanentError, match="another name"):
        client(Plain(f"https://127.0.0.1:{server.port}"), ca_file=authority.ca_file).request("GET", "/x")


@pytest.mark.parametrize("token", ["abc\r\nX-Evil: 1", "tökén–x", "abc\n"])
def test_a_credential_that_is_no_header_is_refused_and_not_shown(serve: Serve, token: str) -> None:
    connector = Plain(serve(answering(200)).url)
    connector.token = token
    with pytest.raises(PermanentError) as caught:
        client(connector).request("GET", "/x")
    assert token.strip() not in str(caught.value)
    assert caught.value.__cause__ is None


# -- what the attempts table sees ----------------------------------------------------------------


def test_tells_the_observer_what_was_asked_and_answered(serve: Serve) -> None:
    seen: list[Any] = []
    server = serve(answering(200, b'{"fine": true}', Content_Type="application/json"))
    client(Plain(server.url), observer=lambda *exchange: seen.append(exchange)).request(
        "POST", "/x", query={"page": "2"}, form=[("wsfunction", "core")]
    )
    ((asked, answered, seconds),) = seen
    assert asked == {
        "method": "POST",
        "url": server.url + "/x",
        "query": {"page": "2"},
        "form": [["wsfunction", "core"]],
    }
    assert answered["status"] == 200
    assert answered["body"] == '{"fine": true}'
    assert seconds >= 0


def test_hides_secrets_by_value_in_every_spelling(serve: Serve) -> None:
    seen: list[Any] = []
    echoed = json.dumps({"auth": f"Bearer {SECRET}-1", "php": SECRET.replace("/", "\\/")}).encode()
    echoed += b" s3cr3t%2Ft0ken%2Bvalue-1 s3cr3t\\/t0ken+value-1 tok-form"
    api = client(
        Plain(serve(answering(200, echoed)).url),
        redactor=lambda text: text.replace("tok-form", "[hidden]"),
        observer=lambda *exchange: seen.append(exchange),
    )
    api.request("POST", "/x", form=[("wstoken", "tok-form")], query={"k": f"{SECRET}-1"})
    text = json.dumps(seen)
    assert "tok-form" not in text
    assert "value-1" not in text


def test_caps_what_the_observer_sees(serve: Serve) -> None:
    seen: list[Any] = []
    api = client(
        Plain(serve(answering(200, "é\0".encode() * 100_000)).url), observer=lambda *exchange: seen.append(exchange)
    )
    api.request("POST", "/x", form=[(f"name{n}", "y" * 500) for n in range(50)])
    for part in seen[0][:2]:
        assert len(json.dumps(part, ensure_ascii=False).encode()) <= 2048
    assert "\0" not in seen[0][1]["body"]


def test_tells_the_observer_about_failures_and_both_tries(serve: Serve) -> None:
    seen: list[Any] = []
    server = serve(answering(401), answering(500))
    api = client(Plain(server.url)).observed_by(lambda *exchange: seen.append(exchange))
    with pytest.raises(BridgeError):
        api.request("GET", "/x")
    server.close()
    with pytest.raises(TemporaryError):
        api.request("GET", "/x")
    assert [answered.get("status", answered.get("code")) for _, answered, _ in seen] == [401, 500, "connection"]


def test_many_threads_share_one_client(serve: Serve) -> None:
    def echo(sock: socket.socket, request: bytes) -> None:
        time.sleep(0.01)
        answering(200, json.dumps(request.split(b" ")[1].decode()).encode())(sock, request)

    api = client(Plain(serve(echo).url))
    wrong: list[object] = []

    def work(n: int) -> None:
        for turn in range(5):
            if api.request("GET", f"/{n}/{turn}").json() != f"/{n}/{turn}":
                wrong.append((n, turn))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wrong == []
