"""The door: what is refused and what that leaves behind, and what is kept although nobody can read it."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from contract import HOSTILE_BODIES
from flow.rig import Rig, changed, sample
from flow.rig_settings import SECRETS, WEBHOOK_TOKEN
from flow.test_flow_mapping import event
from vendors.faults import Faults

import bridge.store.sqlite
from bridge.core.models import State
from bridge.demo.vendors.stand_in import Answer, Call, Wire
from bridge.demo.vendors.thinkific_school import Person
from bridge.observe import configure_logging
from bridge.store import inbox

COMPLETED = "course_completed-by-learner"
URL_TOKEN = "moodle-url-token-0005"


# -- refused -------------------------------------------------------------------------------------


def test_a_wrong_token_is_refused_and_kept_without_its_body(any_rig: Rig) -> None:
    with any_rig.running() as rig:
        body = changed(sample(COMPLETED)[0], token="not-the-token", extra="a-private-word")
        answer = rig.post("moodle", body, {"Authorization": "Bearer a-private-header"})
        assert answer.status == 401
        assert answer.json()["outcome"] == "rejected"
        (kept,) = rig.requests()
        assert (kept.source, kept.status, kept.outcome, kept.body, kept.size) == (
            "moodle",
            401,
            "rejected",
            None,
            len(body),
        )
        assert "token" in kept.reason
        assert len(kept.body_sha256) == 64
        dump = rig.dump()
        assert "a-private-word" not in dump
        assert "a-private-header" not in dump
        assert "not-the-token" not in dump
        assert rig.events() == []


def test_a_changed_body_or_another_sources_signature_is_refused(live: Rig) -> None:
    import json
    from datetime import UTC, datetime

    body = json.dumps(event(live)).encode()
    signed = live.bridge.sources["thinkific"].connector.sign(body, {}, datetime.now(UTC))
    assert live.post("thinkific", body.replace(b"Forklift", b"Forklaft"), signed.headers).status == 401
    assert live.post("moodle", body, signed.headers).status == 401
    assert live.post("thinkific", body).status == 401
    assert live.events() == []
    assert {kept.status for kept in live.requests()} == {401}
    assert live.post("thinkific", body, signed.headers).status == 200


def test_refused_requests_are_kept_up_to_a_limit(rig: Rig) -> None:
    rig.set("limits.rejected_per_hour", 5)
    with rig.running():
        assert {answer.status for answer in rig.post_at_once([b"{}"] * 20)} == {401}
        assert len(rig.requests()) == 5


def test_an_unknown_source_another_method_and_a_compressed_or_huge_body_are_refused(rig: Rig) -> None:
    rig.set("limits.body_bytes", 2048)
    body, _ = sample(COMPLETED)
    with rig.running():
        assert rig.post("moodel", body).status == 404
        assert rig.request("GET", "/hooks/moodle").status == 405
        assert rig.request("PUT", "/hooks/moodle", body).status == 405
        assert rig.post("moodle", body, {"Content-Encoding": "gzip"}).status == 415
        assert rig.post("moodle", changed(body, extra="x" * 4096)).status == 413
        assert rig.events() == []
        assert rig.post("moodle", body).status == 200


# -- authentic, and still of no use --------------------------------------------------------------


@pytest.fixture
def by_address(rig: Rig) -> Iterator[Rig]:
    """Moodle proves itself by the end of its address, whatever the body is."""
    rig.set("sources.moodle.url_token", URL_TOKEN)
    rig.set("sources.moodle.webhook_token", None)
    with rig.running():
        yield rig


@pytest.mark.parametrize("name", HOSTILE_BODIES)
def test_an_authentic_body_nobody_can_read_is_kept_as_failed_with_its_reason(by_address: Rig, name: str) -> None:
    answer = by_address.post("moodle", HOSTILE_BODIES[name], token=URL_TOKEN)
    assert answer.status == 200
    assert answer.json()["outcome"] == "unreadable"
    row = by_address.event(answer.event)
    assert (row.state, row.code) == (State.FAILED, "unreadable")
    assert row.reason
    assert row.reason == answer.json()["reason"]
    # Sent again it is counted, and no storm of attempts follows.
    assert by_address.post("moodle", HOSTILE_BODIES[name], token=URL_TOKEN).event == row.id
    by_address.wait_settled()
    assert (by_address.event().deliveries, by_address.event().attempts) == (2, 0)
    assert by_address.post_sample(COMPLETED).status == 401
    assert by_address.post("moodle", sample(COMPLETED)[0], token=URL_TOKEN).status == 200


def test_a_fault_of_ours_while_reading_keeps_the_request(live: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(live.bridge.sources["moodle"].connector, "parse", broken)
    answer = live.post_sample(COMPLETED)
    assert answer.status == 200
    row = live.event(answer.event)
    assert (row.state, row.code) == (State.FAILED, "unreadable")
    assert row.reason == "certbridge could not read this request (KeyError). Please report this."
    assert live.requests()[0].body is not None


def test_more_events_than_allowed_in_one_request_are_refused_as_a_whole(
    live: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = live.bridge.sources["moodle"].connector
    one = connector.parse
    monkeypatch.setattr(connector, "parse", lambda request: [*one(request)] * 1001)
    answer = live.post_sample(COMPLETED)
    assert live.event(answer.event).state is State.FAILED
    assert "More than 1,000 events in one request" in answer.json()["reason"]


# -- the same event with other words -------------------------------------------------------------


def test_the_same_event_with_another_body_is_the_next_revision_of_one_certificate(any_rig: Rig) -> None:
    with any_rig.running() as rig:
        first = rig.post_signed(event(rig)).event
        rig.wait_settled()
        second = rig.post_signed(event(rig, percentage_completed="100")).event
        rig.wait_settled()
        assert [(row.id, row.event_id, row.revision, row.code) for row in rig.events()] == [
            (first, "12345:e-1", 1, "issued"),
            (second, "12345:e-1", 2, "already_issued"),
        ]
        assert len(rig.certificates()) == len(rig.mails()) == 1


def test_a_revision_that_mends_a_held_event_issues_and_the_held_one_issues_nothing_more(live: Rig) -> None:
    user = event(live)["payload"]["user"]
    first = live.post_signed(event(live, user={**user, "first_name": None})).event
    live.wait_settled()
    assert live.event(first).state is State.HELD
    live.post_signed(event(live))
    live.wait_settled()
    assert live.certificate().version.data.recipient.name == "Łukasz Żółć-Dziewulski"
    live.bridge.store.transact(
        lambda tx: inbox.release(
            tx, first, overrides={"recipient.name": "L. Z.", "released": "yes"}, actor="test", reason="late"
        )
    )
    live.bridge.workers.wake()
    live.wait_settled()
    assert (live.event(first).state, live.event(first).code) == (State.DONE, "already_issued")
    assert live.certificate().version.data.recipient.name == "Łukasz Żółć-Dziewulski"


# -- the store is not available ------------------------------------------------------------------


@contextmanager
def locked_sqlite(rig: Rig) -> Iterator[None]:
    path = Path(rig.settings["database"].removeprefix("sqlite:///"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def locked_postgres(rig: Rig) -> Iterator[None]:
    url = rig.settings["database"].replace("+psycopg", "").partition("?")[0]
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE requests, inbox, outbox IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


def test_while_the_store_is_locked_nothing_is_acknowledged_and_nothing_acknowledged_is_lost(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: Callable[[Rig], Any] = locked_sqlite
    if any_rig.settings["database"].startswith("postgresql"):
        locked = locked_postgres
        any_rig.settings["database"] += "?options=-c%20timezone%3DUTC%20-c%20lock_timeout%3D200"
    monkeypatch.setattr(bridge.store.sqlite, "BUSY_SECONDS", 0.2)
    body = sample(COMPLETED)[0]
    bodies = [changed(body, objectid=str(number), relateduserid="3") for number in range(1, 11)]
    with any_rig.running() as rig:
        # These are in work while the lock falls: what they did may be lost, that they are there may not.
        assert {answer.status for answer in rig.post_at_once(bodies[:5])} == {200}
        with locked(rig):
            answers = rig.post_at_once(bodies[5:], threads=5)
            assert {answer.status for answer in answers} == {503}
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
            assert {answer.json()["outcome"] for answer in answers} == {"unavailable"}
        assert len(rig.events()) == 5
        assert {answer.status for answer in rig.post_at_once(bodies[5:])} == {200}
        rig.wait(lambda: not rig.bridge.workers._running)
        rig.later(leases=True)
        rig.wait(lambda: all(row.state is State.DONE for row in rig.events()))
        assert len(rig.events()) == 10
        assert len(rig.certificates()) == 1
        rig.wait_settled()
        assert len(rig.mails()) == len(rig.notes()) == 1


def test_with_too_much_waiting_new_events_are_asked_to_come_later(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.app, "REFRESH", 0.02)
    rig.set("limits.waiting_events", 100)
    body = sample(COMPLETED)[0]
    with rig.running():
        Faults(rig.moodle).next(10_000, "500")
        rig.post_at_once([changed(body, objectid=str(number)) for number in range(1, 102)])
        rig.wait(lambda: rig.bridge.receiver.overloaded("moodle"))
        answer = rig.post("moodle", changed(body, objectid="999"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "60")
        assert rig.post("moodle", b"{}").status == 401
        assert rig.post_signed(event(rig)).status == 200, "another source's flood is none of its business"


# -- secrets -------------------------------------------------------------------------------------


def test_no_secret_is_found_in_the_database_the_logs_the_mails_or_the_answers(any_rig: Rig) -> None:
    rig = any_rig
    rig.set("sources.moodle.url_token", URL_TOKEN)
    rig.set("sources.thinkific.previous_signing_secret", "thinkific-old-secret-0006")
    rig.set("mail.smtp", {"host": "127.0.0.1", "port": 9, "security": "none", "username": "u", "password": "smtp-0007"})
    lines = io.StringIO()
    config = rig.config()
    answers: list[Any] = []
    with rig.running():
        configure_logging(level="debug", form="json", redactor=rig.bridge.redactor, stream=lines)
        body = sample(COMPLETED)[0]

        def echoing(call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
            # A platform that quotes our credentials back, in text, in HTML and in a header.
            said = f"no {SECRETS['token']} <b>{SECRETS['api_key']}</b>".encode()
            headers = {"Content-Type": "application/json", "X-Echo": SECRETS["api_key"]}
            return Answer(
                422, b'{"exception":"x","errorcode":"y","message":"' + said + b'","error":"' + said + b'"}', headers
            )

        answers.append(rig.post("moodle", body, {"X-Note": f"{WEBHOOK_TOKEN} {URL_TOKEN}"}, URL_TOKEN))
        answers.append(rig.post_signed(event(rig)))
        rig.wait_settled()
        rig.moodle.interceptor = rig.thinkific.interceptor = echoing
        answers.append(rig.post("moodle", changed(body, objectid="5"), token=URL_TOKEN))
        rig.thinkific.school.users[9] = Person(9, "Ana", "Silva", "ana@example.invalid")
        answers.append(rig.post_signed(event(rig, "e-9", id=9, user={**event(rig)["payload"]["user"], "id": 9})))
        answers.append(rig.post("moodle", b"\xff" + WEBHOOK_TOKEN.encode(), token=URL_TOKEN))
        answers.append(rig.post("moodle", body, token=URL_TOKEN[:-1] + "x"))
        answers.append(rig.post("moodle", body + WEBHOOK_TOKEN.encode(), token=URL_TOKEN))
        answers.append(rig.request("POST", f"/hooks/moodle?token={WEBHOOK_TOKEN}&key={URL_TOKEN}", body))
        answers.append(rig.request("GET", f"/hooks/moodle/{URL_TOKEN}"))
        answers.append(rig.post("nobody", body, token=URL_TOKEN))
        rig.wait_settled()
        states = {row.state for row in rig.deliveries()}
        assert State.FAILED in states or State.RETRYING in states, "the platform's answer was shown to nobody"
        dump = rig.dump()
    mails = b"".join(path.read_bytes() for path in (rig.folder / "mail").iterdir())
    assert b"jose.obrien@example.invalid" in mails
    assert "jose.obrien" in dump
    assert '"event": "sent"' in lines.getvalue()
    places = {
        "the database": dump,
        "the logs": lines.getvalue(),
        "the mails": mails.decode(),
        "the answers": "".join(answer.text + repr(answer.headers) for answer in answers),
    }
    for secret in config.secrets():
        for place, text in places.items():
            assert secret not in text, f"{secret} is in {place}: {text[max(0, text.index(secret) - 300) :][:400]}"
    assert len(config.secrets()) >= 8


def test_a_token_that_the_platform_repeats_elsewhere_is_not_shown(live: Rig) -> None:
    body, _ = sample("course_completed-by-learner")
    live.post("moodle", changed(body, extra=f"token={WEBHOOK_TOKEN}"))
    live.wait_settled()
    assert WEBHOOK_TOKEN not in live.certbridge("events", "show", "1", "--payload")
    assert WEBHOOK_TOKEN not in live.certbridge("events", "show", "1", "--json")
    assert "token=[redacted]" in live.certbridge("events", "show", "1", "--json")
