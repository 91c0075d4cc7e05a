"""E4 38 to 41 from the running bridge, with its real client: destinations that are wrong, answers that are hostile."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flow.rig import Rig
from security.attack import COMPLETED, completion, posted
from vendors.faults import Faults

from bridge.core.models import State
from bridge.demo.vendors.stand_in import Answer, Call, Wire
from bridge.store import inbox

LONGEST_WAIT = timedelta(hours=12)


@pytest.fixture
def knocks() -> Iterator[tuple[int, list[object]]]:
    """A port on this machine that notes whoever knocks."""
    seen: list[object] = []
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def wait() -> None:
            while not stopping.is_set():
                try:
                    connection, peer = server.accept()
                except TimeoutError:
                    continue
                seen.append(peer)
                connection.close()

        thread = threading.Thread(target=wait)
        thread.start()
        yield server.getsockname()[1], seen
        stopping.set()
        thread.join()


def test_a_private_address_is_not_called_unless_the_admin_allows_it(rig: Rig) -> None:
    rig.set("sources.moodle.allow_private", None)
    with rig.running():
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        row = rig.event()
        assert row.state is not State.DONE
        assert row.reason
        assert "allow_private" in row.reason
        assert rig.moodle.calls == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "224.0.0.1", "0.0.0.0"])
def test_the_metadata_service_is_never_called(rig: Rig, host: str) -> None:
    rig.set("sources.moodle.url", f"http://{host}")
    with rig.running():
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        row = rig.event()
        assert row.state in (State.FAILED, State.RETRYING), row.reason
        assert rig.moodle.calls == []


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere(live: Rig, knocks: tuple[int, list[object]]) -> None:
    port, knocked = knocks

    def away(call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
        return Answer(307, b"", {"Location": f"http://127.0.0.1:{port}/webservice/rest/server.php"})

    live.moodle.interceptor = away
    live.post_sample(COMPLETED)
    live.wait_settled()
    assert (live.event().state, live.event().code) == (State.FAILED, "redirect")
    assert live.moodle.token not in (live.event().reason or "")
    assert knocked == []


def test_an_answer_that_is_none_is_a_failure_and_tried_again(rig: Rig) -> None:
    rig.set("limits.request_seconds", 2)
    rig.set("limits.response_bytes", 200_000)
    faults = Faults(rig.moodle)
    modes = ("html-200", "huge", "drip", "drop", "500", "dbconnectionfailed")
    with rig.running():
        for number, mode in enumerate(modes, start=1):
            faults.next(1, mode)  # type: ignore[arg-type]
            rig.post_sample(COMPLETED) if number == 1 else rig.later()
            rig.wait_settled()
            row = rig.event()
            assert (mode, row.state, row.attempts) == (mode, State.RETRYING, number), row.reason
            assert rig.certificates() == []
        attempts = rig.attempts(inbox_id=row.id)
        assert len(attempts) == len(modes)
        assert all(len(str(attempt.response)) < 20_000 for attempt in attempts)
        rig.later()
        assert rig.event().state is State.DONE


WISHES = ("999999999", "-5", "1e9", "nan", "inf", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT", "x")


def test_a_vendor_cannot_put_us_off_for_ever(live: Rig) -> None:
    wishes = iter(WISHES)
    live.moodle.interceptor = lambda call, respond, wire: Answer(503, b"{}", {"Retry-After": next(wishes)})
    for wish in WISHES:
        number = live.post_sample(COMPLETED).event
        if live.event(number).state is State.RETRYING:
            live.bridge.store.transact(lambda tx, n=number: inbox.replay(tx, n, actor="test"))
            live.bridge.workers.wake()
        live.wait_settled()
        row = live.event(number)
        assert (wish, row.state) == (wish, State.RETRYING)
        assert row.due_at is not None
        now = datetime.now(UTC)
        assert now < row.due_at < now + LONGEST_WAIT
    assert next(wishes, None) is None


def test_hostile_values_in_moodles_answers_break_nothing(live: Rig) -> None:
    bodies = (
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"completionstatus": {"completed": true, "completions": 7}}',
        b'{"exception": "x", "errorcode": "<script>", "message": "\\u001b[31m\\u0000"}',
        b'{"exception": 1, "errorcode": [], "message": {}}',
        b'[{"id": "3", "email": {"a": 1}}]',
        b'\xff\xfe{"a": 1}',
        b'{"a": 1, "a": 2}',
        b'{"users": NaN}',
    )
    for number, body in enumerate(bodies):
        live.moodle.interceptor = lambda call, respond, wire, body=body: Answer(200, body)
        answer = live.post_sample(COMPLETED)
        live.wait_settled()
        live.bridge.store.transact(lambda tx, n=answer.event: inbox.replay(tx, n, refetch=True, actor="test"))
        live.bridge.workers.wake()
        live.wait_settled()
        row = live.event(answer.event)
        assert row.state in (State.RETRYING, State.FAILED, State.HELD), (number, row.reason)
        assert row.code != "unexpected", (number, row.reason)
        assert "\x1b" not in (row.reason or "")
    assert live.certificates() == []


def test_a_vendor_that_refuses_everything_is_asked_once_per_event_and_hears_no_storm(
    live: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = Faults(live.thinkific)
    refusing.next(1000, "401")
    with caplog.at_level(logging.DEBUG):
        for number in range(12):
            posted(live, completion(f"e-{number}", id=number, user={"id": 1000 + number}))
        live.wait_settled()
    rows = live.deliveries("write_back")
    assert len(rows) == 12
    assert {row.state for row in rows} == {State.FAILED}
    # Once, and once more with fresh credentials.
    assert len(refusing.met) <= 24
    assert {row.attempts for row in rows} == {1}
    assert live.thinkific.api_key not in caplog.text
    assert live.thinkific.api_key not in live.dump()
    # A dead vendor costs nobody the mail.
    assert len(live.mails()) == 12


class Taken:
    """Takes every mail that it is given."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 queued"


def test_mail_is_not_sent_in_the_clear_when_starttls_was_stripped(rig: Rig) -> None:
    taken = Taken()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    controller = Controller(taken, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        rig.set("mail.mode", "smtp")
        rig.set("mail.smtp", {"host": "127.0.0.1", "port": port, "security": "starttls", "timeout": 5})
        with rig.running():
            posted(rig, completion())
            rig.wait_settled()
            row = rig.delivery("mail")
            assert row.state is not State.DONE
            assert row.reason
    finally:
        controller.stop()
    assert taken.mails == []
