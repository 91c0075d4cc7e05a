"""The receiver's HTTP side: what reaches `receive`, and what is refused before."""

from __future__ import annotations

import logging
from urllib.parse import quote

import pytest
from web_client import Client
from web_doors import NOW, PUBLIC_URL, Bench

from bridge.core.errors import UnavailableError
from bridge.core.models import Reply


def test_hands_over_the_request_as_it_arrived(web: Client, bench: Bench) -> None:
    body = b'{"name": "Mar\xeda", "n": 1e999}\x00\xff'
    answer = web.post("/hooks/school/t%6Fken?a=%7e&b=+%2B", body, X_Signature="t=1,v1=abc", Content_Type="text/odd")
    assert answer.status == 200
    assert answer.json == {"outcome": "accepted"}
    ((source, request, peer),) = bench.received
    assert source == "school"
    assert request.method == "POST"
    assert request.url == PUBLIC_URL + "/hooks/school/t%6Fken?a=%7e&b=+%2B"
    assert request.path_token == "token"
    assert request.body == body
    assert request.headers["x-signature"] == "t=1,v1=abc"
    assert request.headers["content-type"] == "text/odd"
    assert request.received_at == NOW
    assert peer == "127.0.0.1"


def test_joins_repeated_headers_with_a_comma(web: Client, bench: Bench) -> None:
    web.raw(
        b"POST /hooks/school HTTP/1.1\r\nHost: localhost\r\nX-Sig: one\r\nX-Sig: two\r\n"
        b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    assert bench.received[0][1].headers["x-sig"] == "one, two"


@pytest.mark.parametrize(
    "declared",
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x" * 300, ""],
)
def test_never_reads_the_body_as_the_declared_content_type(web: Client, bench: Bench, declared: str) -> None:
    body = b"&".join(b"a%d=1" % number for number in range(10_000))
    assert web.post("/hooks/school", body, Content_Type=declared).status == 200
    assert bench.received[0][1].body == body


@pytest.mark.parametrize("path", ["/hooks/school", "/hooks/school/", "/hooks/school/secret-token"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_takes_nothing_but_post(web: Client, bench: Bench, method: str, path: str) -> None:
    answer = web.request(method, path)
    assert answer.status == 405
    assert "POST" in answer.headers["allow"].split(", ")
    assert bench.received == []


def test_whoever_opens_the_address_in_a_browser_is_told_what_it_is_for(web: Client) -> None:
    assert (
        b"This address is there for the platform, which sends to it (POST)." in web.request("GET", "/hooks/school").body
    )


@pytest.mark.parametrize("typed", ["", "x", "-1", "1.5", "٣", "9" * 19, "1;drop"])
def test_a_question_about_an_event_needs_its_number(web: Client, bench: Bench, typed: str) -> None:
    assert web.request("GET", f"/hooks/school/secret-token?event={quote(typed)}").status == 405
    assert bench.asked == []


def test_a_question_about_an_event_is_handed_on_with_its_proof(web: Client, bench: Bench) -> None:
    answer = web.request("GET", "/hooks/school/secret-token?event=17", headers={"X-Bridge-Token": "t"})
    assert (answer.status, answer.body) == (202, b"still working")
    source, request, event = bench.asked[0]
    assert (source, event, request.path_token, request.method) == ("school", 17, "secret-token", "GET")
    assert request.headers["x-bridge-token"] == "t"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "GZIP", "x-unheard-of"])
def test_refuses_encoded_bodies(web: Client, bench: Bench, encoding: str) -> None:
    answer = web.post("/hooks/school", b"\x1f\x8b\x08", Content_Encoding=encoding)
    assert answer.status == 415
    assert answer.json["outcome"] == "rejected"
    assert "Content-Encoding" in answer.json["reason"]
    assert bench.received == []


def test_takes_a_body_that_says_it_is_not_encoded(web: Client, bench: Bench) -> None:
    assert web.post("/hooks/school", b"{}", Content_Encoding="Identity").status == 200


def test_takes_a_body_of_exactly_the_limit_and_refuses_one_byte_more(web: Client, bench: Bench) -> None:
    assert web.post("/hooks/school", b"x" * 100_000).status == 200
    answer = web.post("/hooks/school", b"x" * 100_001)
    assert answer.status == 413
    assert answer.json["outcome"] == "rejected"
    assert len(bench.received) == 1


def test_counts_the_chunks_of_a_body_without_length_exactly(web: Client, bench: Bench) -> None:
    def send(size: int) -> bytes:
        chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
        rest = b"%x\r\n" % (size % 1024) + b"x" * (size % 1024) + b"\r\n"
        head = (
            b"POST /hooks/school HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        return web.raw(head + chunk * (size // 1024) + rest + b"0\r\n\r\n")

    assert send(100_000).startswith(b"HTTP/1.1 200")
    assert len(bench.received[0][1].body) == 100_000
    assert send(100_001).startswith(b"HTTP/1.1 413")
    assert len(bench.received) == 1


def test_passes_the_reply_of_the_connector_on(web: Client, bench: Bench) -> None:
    bench.reply = Reply(503, b"<ack>false</ack>", {"Content-Type": "text/xml", "Retry-After": "7"})
    answer = web.post("/hooks/school", b"{}")
    assert (answer.status, answer.body) == (503, b"<ack>false</ack>")
    assert answer.headers["content-type"] == "text/xml"
    assert answer.headers["retry-after"] == "7"


def test_a_reply_without_a_type_is_never_markup(web: Client, bench: Bench) -> None:
    bench.reply = Reply(404, b"<script>alert(1)</script>")
    assert web.post("/hooks/x", b"").headers["content-type"] == "text/plain; charset=utf-8"


def test_says_when_to_come_back_while_the_store_is_away(web: Client, bench: Bench) -> None:
    bench.failure = UnavailableError("The database file is locked.", retry_after=12.4)
    answer = web.post("/hooks/school", b"{}")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "12"
    assert answer.json == {"outcome": "unavailable", "reason": "The database file is locked.", "events": []}


def test_a_mistake_of_ours_shows_no_inside_and_logs_no_token(
    web: Client, bench: Bench, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    bench.failure = ZeroDivisionError("inner detail")
    with caplog.at_level(logging.DEBUG):
        answer = web.post("/hooks/school/very-secret-token", b"{}")
    assert answer.status == 500
    assert answer.json["outcome"] == "unavailable"
    assert b"Traceback" not in answer.body
    assert b"inner detail" not in answer.body
    printed = capfd.readouterr()
    assert "unexpected" in printed.out + printed.err
    assert "very-secret-token" not in printed.out + printed.err + caplog.text


def test_refusals_log_no_token(
    web: Client, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        web.post("/hooks/school/very-secret-token", b"{}", Content_Encoding="gzip")
        web.get("/hooks/school/very-secret-token")
        web.get("/hooks/school/very-secret-token/more")
    printed = capfd.readouterr()
    assert "refused" in printed.out + printed.err
    assert "very-secret-token" not in printed.out + printed.err + caplog.text


def test_waitress_logs_no_token(web: Client, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("waitress").warning("Exception while serving %s", "/hooks/school/very-secret-token")
    assert "/hooks/school/[hidden]" in caplog.text
    assert "very-secret-token" not in caplog.text


@pytest.mark.parametrize("path", ["/hooks", "/hooks/", "/hooks//x", "/hooks/a/b/c", "/hooks/../c/x"])
def test_other_addresses_below_hooks_do_not_exist(web: Client, bench: Bench, path: str) -> None:
    assert web.post(path, b"{}").status in (404, 405)
    assert bench.received == []
