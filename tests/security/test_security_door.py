"""E4 1 to 23 at the door of a running bridge: what is not authentic, not HTTP, too much, or not to be read."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flow.rig import Answer, Rig, sample
from security.attack import COMPLETED, completion, posted, signed, stopped

from bridge.core.models import State

SIGNATURE = "X-Thinkific-Hmac-Sha256"
BODY = json.dumps(completion()).encode()


def nothing_happened(rig: Rig) -> None:
    """Nothing was stored but the refusal, and that without the body."""
    assert rig.events() == []
    assert rig.certificates() == []
    kept = rig.requests()
    assert kept
    assert {(row.outcome, row.body) for row in kept} == {("rejected", None)}


# -- signature and replay --------------------------------------------------------------------------


def test_an_unsigned_request_is_refused_and_kept_without_its_body(live: Rig) -> None:
    answer = live.post("thinkific", BODY)
    assert (answer.status, answer.json()["outcome"]) == (401, "rejected")
    nothing_happened(live)
    (kept,) = live.requests()
    assert (kept.source, kept.status, kept.size) == ("thinkific", 401, len(BODY))
    assert "missing" in kept.reason
    assert "ana@example.invalid" not in live.dump()


def test_a_wrong_secret_is_refused_like_a_missing_one(live: Rig) -> None:
    wrong = live.post("thinkific", BODY, {SIGNATURE: "ab" * 32})
    missing = live.post("thinkific", BODY)
    assert wrong.status == missing.status == 401
    assert wrong.json().keys() == missing.json().keys()
    assert wrong.headers.keys() == missing.headers.keys()
    nothing_happened(live)


def test_a_body_that_was_changed_after_signing_is_refused(live: Rig) -> None:
    request = signed(live, BODY)
    for changed in (BODY + b"\n", BODY.replace(b"Ana", b"Eve"), BODY[:-1], BODY.replace(b" ", b"", 1)):
        assert live.post("thinkific", changed, request.headers).status == 401
    nothing_happened(live)


NO_SIGNATURES = [
    "",
    " ",
    "v0=",
    "sha256=" + "ab" * 32,
    "ab" * 31,
    "ab" * 33,
    "é" * 64,
    "g" * 64,
    "ab" * 2000,
    "1," * 1000,
]


def test_a_signature_that_is_none_is_refused(live: Rig) -> None:
    for signature in NO_SIGNATURES:
        assert (signature, live.post("thinkific", BODY, {SIGNATURE: signature}).status) == (signature, 401)
    nothing_happened(live)


def test_two_signatures_are_refused_even_when_one_is_right(live: Rig) -> None:
    right = signed(live, BODY).headers[SIGNATURE]
    for first, second in ((right, "ab" * 32), ("ab" * 32, right), (right, right)):
        head = f"{SIGNATURE}: {first}\r\n{SIGNATURE}: {second}\r\n"
        raw = f"POST /hooks/thinkific HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(BODY)}\r\n"
        assert status(live, raw.encode() + b"Connection: close\r\n\r\n" + BODY) == 401
    nothing_happened(live)


def test_the_same_event_fifty_times_at_once_is_one_event_with_one_answer(live: Rig) -> None:
    request = signed(live, BODY)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: live.post("thinkific", request.body, request.headers), range(50)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.event for answer in answers}) == 1
    live.wait_settled()
    assert live.event().deliveries == 50
    assert len(live.certificates()) == len(live.mails()) == 1


def test_the_same_id_with_another_body_is_a_revision_and_the_first_wins(live: Rig) -> None:
    posted(live, completion())
    live.wait_settled()
    posted(live, completion(user={"first_name": "Mallory", "email": "mallory@example.invalid"}))
    live.wait_settled()
    first, second = live.events()
    assert (first.revision, second.revision) == (1, 2)
    assert (second.state, second.code) == (State.DONE, "already_issued")
    assert live.certificate().version.data.recipient.name == "Ana Silva"
    assert len(live.mails()) == 1


def test_the_secret_before_is_accepted_while_it_is_configured_and_not_after(rig: Rig) -> None:
    with rig.running():
        old = signed(rig, BODY)
        assert rig.post("thinkific", old.body, old.headers).status == 200
    before = rig.settings["sources"]["thinkific"]["signing_secret"]
    rig.set("sources.thinkific.signing_secret", "thinkific-signing-secret-9999")
    rig.set("sources.thinkific.previous_signing_secret", before)
    with rig.running():
        assert rig.post("thinkific", old.body, old.headers).status == 200
        assert posted(rig, completion("e-2")).status == 200
    rig.set("sources.thinkific.previous_signing_secret", None)
    with rig.running():
        assert rig.post("thinkific", old.body, old.headers).status == 401
        assert posted(rig, completion("e-3")).status == 200


def test_the_proof_of_one_source_opens_no_other(rig: Rig) -> None:
    rig.set("sources.other", {**rig.settings["sources"]["thinkific"], "signing_secret": "another-signing-secret-01"})
    with rig.running():
        request = signed(rig, BODY)
        assert rig.post("other", request.body, request.headers).status == 401
        assert rig.post("moodle", request.body, request.headers).status == 401
        body, headers = sample(COMPLETED)
        assert rig.post("thinkific", body, headers).status == 401
        nothing_happened(rig)


# -- HTTP ------------------------------------------------------------------------------------------


def wire(rig: Rig, data: bytes) -> bytes:
    """Sends raw bytes and returns everything that comes back."""
    assert rig.run is not None
    with socket.create_connection(("127.0.0.1", rig.run.server.port), timeout=20) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := sock.recv(65_536):
            answer += piece
        return answer


def status(rig: Rig, data: bytes) -> int:
    """Sends raw bytes and returns the status of the only answer."""
    answer = wire(rig, data)
    assert answer.count(b"HTTP/1.") == 1
    return int(answer.split(b" ", 2)[1])


def test_a_body_over_the_limit_is_refused_and_noted(live: Rig) -> None:
    limit = live.bridge.config.limits.body_bytes
    answer = posted(live, b" " * limit + BODY)
    assert answer.status == 413
    chunks = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = (
        b"POST /hooks/thinkific HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    assert status(live, head + chunks * (limit // 65_536 + 1) + b"0\r\n\r\n") == 413
    assert live.events() == []


def test_a_second_request_hidden_in_the_first_is_never_run(live: Rig) -> None:
    request = signed(live, BODY)
    hidden = f"POST /hooks/thinkific HTTP/1.1\r\nHost: localhost\r\n{SIGNATURE}: {request.headers[SIGNATURE]}\r\n"
    smuggled = hidden.encode() + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    head = b"POST /hooks/moodle HTTP/1.1\r\nHost: localhost\r\n"
    for framing in (
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 7\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"X-A: b\x00c\r\nContent-Length: 0\r\n\r\n",
        b"X-A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
    ):
        assert status(live, head + framing + smuggled) in (400, 501)
    assert live.events() == []


def test_a_compression_bomb_is_refused_unread(live: Rig) -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    answer = live.post("thinkific", bomb, {**signed(live, bomb).headers, "Content-Encoding": "gzip"})
    assert answer.status == 415
    nothing_happened(live)


def test_forwarded_headers_of_strangers_change_neither_the_record_nor_a_link(live: Rig) -> None:
    spoofed = {"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    request = signed(live, BODY)
    assert live.post("thinkific", request.body, {**request.headers, **spoofed}).status == 200
    live.wait_settled()
    (kept,) = live.requests()
    assert kept.peer == "127.0.0.1"
    identifier = live.certificate().certificate.id
    page = live.request("GET", f"/c/{identifier}", headers=spoofed)
    assert page.status == 301
    assert page.headers["location"].startswith("https://certificates.acme.example/c/") or page.headers[
        "location"
    ].startswith("/c/")
    assert "evil.example" not in live.dump().replace("'x-forwarded-host': 'evil.example'", "")
    assert "evil.example" not in str(live.mails()[0])


def test_a_hook_takes_nothing_but_post(live: Rig) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert (method, live.request(method, "/hooks/thinkific", BODY).status) == (method, 405)


STRANGE_PATHS = (
    ("/hooks/../../etc/passwd", (400, 404, 405)),
    ("/hooks/%2e%2e/%2e%2e/etc/passwd", (404, 405)),
    ("/hooks/thinkific%00", (404,)),
    ("/hooks/%ff%fe", (404,)),
    ("/hooks/' OR 1=1 --".replace(" ", "%20"), (404,)),
    ("/hooks/{{7*7}}", (404,)),
    ("/hooks/" + "a" * 5000, (414,)),
    ("/hooks/thinkific/" + "a" * 5000, (414,)),
)


def test_a_strange_path_leads_nowhere(live: Rig) -> None:
    request = signed(live, BODY)
    for path, wanted in STRANGE_PATHS:
        answer = live.request("POST", path, request.body, request.headers)
        assert answer.status in wanted, path
        assert b"49" not in answer.body.replace(b"7*7", b"")
    assert live.events() == []


def test_a_burst_of_two_thousand_loses_nothing_it_acknowledged(rig: Rig) -> None:
    # Not listed, so that the test is about the door and not about two thousand certificates.
    rig.mapping("thinkific", "extends: thinkific\nother_courses: skip\ncourses:\n  99: Another\n")
    with rig.running():
        assert rig.run is not None
        port = rig.run.server.port
        requests = [signed(rig, json.dumps(completion(f"e-{number}")).encode()) for number in range(2000)]

        def sender(part: int) -> list[tuple[int, int | None]]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            answers = []
            for request in requests[part::20]:
                connection.request("POST", "/hooks/thinkific", request.body, dict(request.headers))
                response = connection.getresponse()
                answer = Answer(response.status, dict(response.getheaders()), response.read())
                answers.append((answer.status, answer.event if answer.status == 200 else None))
                if answer.status == 503:
                    assert {name.lower() for name in answer.headers} >= {"retry-after"}
            connection.close()
            return answers

        with ThreadPoolExecutor(20) as pool:
            answers = [answer for part in pool.map(sender, range(20)) for answer in part]
        assert {code for code, _ in answers} <= {200, 503}
        acknowledged = [number for code, number in answers if code == 200]
        assert len(acknowledged) == len(set(acknowledged)) > 0
        assert rig.request("GET", "/healthz").status == 200
        stored = rig.read(_event_ids)
        assert set(acknowledged) <= stored


def _event_ids(tx: Any) -> set[int]:
    from sqlalchemy import select

    from bridge.store.tables import inbox

    return set(tx.connection.execute(select(inbox.c.id)).scalars())


# -- parsing ---------------------------------------------------------------------------------------

UNREADABLE = {
    "nested": b"[" * 200_000 + b"]" * 200_000,
    "nested objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "nan": BODY.replace(b"97472", b"NaN"),
    "infinity": BODY.replace(b"97472", b"-Infinity"),
    "1e999": BODY.replace(b"97472", b"1e999"),
    "5000 digits": BODY.replace(b"97472", b"9" * 5000),
    "name twice": BODY.replace(b'"first_name": "Ana"', b'"first_name": "Ana", "first_name": "Eve"'),
    "half a pair": BODY.replace(b"Ana", b"\\ud800"),
    "NUL": BODY.replace(b"Ana", b"A\\u0000na"),
    "raw NUL": BODY.replace(b"Ana", b"A\x00na"),
    "byte order mark": b"\xef\xbb\xbf" + BODY,
    "utf-16": BODY.decode().encode("utf-16"),
    "latin-1": BODY.replace(b"Ana", "Anaïs".encode("latin-1")),
    "broken utf-8": BODY.replace(b"Ana", b"An\xc3"),
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "nothing": b"",
    "spaces": b"  \n",
    "xml": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>",
    "a form": b"a=1&" * 10_000,
    "an empty object": b"{}",
    "python": b"cos\nsystem\n(S'id'\ntR.",
}


def test_an_authentic_body_that_cannot_be_read_fails_with_a_reason_and_once(live: Rig) -> None:
    for name, body in UNREADABLE.items():
        row = stopped(live, body)
        assert (name, row.state, row.code, row.attempts) == (name, State.FAILED, "unreadable", 0)
        # Kept as it came, for whoever has to find out.
        assert live.requests()[-1].body == body
        again = posted(live, body)
        assert (name, again.status, again.event) == (name, 200, row.id)
    assert len(live.events()) == len(UNREADABLE)
    assert live.request("GET", "/readyz").status == 200


def test_an_unreadable_body_without_proof_is_refused_by_moodles_door(live: Rig) -> None:
    for name, body in UNREADABLE.items():
        assert (name, live.post("moodle", body).status) == (name, 401)
    nothing_happened(live)


MOODLE_NONSENSE: tuple[dict[str, Any], ...] = (
    {"objectid": "1e3"},
    {"objectid": [1]},
    {"relateduserid": True},
    {"courseid": "2; DROP TABLE inbox"},
    {"timecreated": "9" * 30},
    {"relateduserid": -(10**30)},
    {"eventname": 7},
    {"eventname": "x" * 5000},
    {"eventname": ""},
)


def test_moodles_door_says_what_it_cannot_read(live: Rig) -> None:
    body, _ = sample(COMPLETED)
    token = live.settings["sources"]["moodle"]["webhook_token"]
    for changes in MOODLE_NONSENSE:
        changed = json.dumps({**json.loads(body), "token": token, **changes}).encode()
        row = stopped(live, changed, "moodle")
        assert (changes, row.state) == (changes, State.FAILED)


def test_the_declared_type_of_a_body_is_not_believed(live: Rig) -> None:
    request = signed(live, BODY)
    for declared in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert live.post("thinkific", request.body, {**request.headers, "Content-Type": declared}).status == 200
    live.wait_settled()
    assert (live.event().state, live.event().deliveries) == (State.DONE, 4)
