"""The learner's mail: held while mail is not set up, and sent through a real server that refuses or breaks off."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flow.rig import Rig, read_mail
from flow.rig_declared import TOKEN, with_source
from flow.test_flow_mapping import held, release

from bridge.core.models import State
from bridge.store import outbox

COMPLETED = "course_completed-by-learner"


class MailServer:
    """Takes every mail; `says` answers DATA with something else, `cut` breaks off once it has the mail."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.says: list[str] = []
        self.cut = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.says:
            return self.says.pop(0)
        self.mails.append(envelope)
        if self.cut:
            self.cut -= 1
            assert server.transport is not None
            server.transport.abort()
        return "250 queued"

    @property
    def message_ids(self) -> list[str]:
        return [str(read_mail(bytes(mail.content or b""))["Message-ID"]) for mail in self.mails]


@pytest.fixture
def server(rig: Rig) -> Iterator[MailServer]:
    """A mail server on loopback, and a bridge that is configured for it."""
    taken = MailServer()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    controller = Controller(taken, hostname="127.0.0.1", port=port)
    controller.start()
    rig.set("mail.mode", "smtp")
    rig.set("mail.smtp", {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5})
    yield taken
    controller.stop()


def issue(rig: Rig) -> outbox.OutboxRow:
    rig.post_sample(COMPLETED)
    rig.wait_settled()
    return rig.delivery("mail")


def replay(rig: Rig, number: int) -> None:
    rig.bridge.store.transact(lambda tx: outbox.replay(tx, number, actor="test"))
    rig.bridge.workers.wake()
    rig.wait_settled()


def test_the_mail_server_gets_one_mail_for_the_learner(rig: Rig, server: MailServer) -> None:
    with rig.running():
        row = issue(rig)
    assert row.state is State.DONE, row.reason
    (mail,) = server.mails
    assert mail.rcpt_tos == ["jose.obrien@example.invalid"]
    assert mail.mail_from == "training@acme.example"
    assert row.receipt is not None
    assert [row.receipt["details"]["message_id"]] == server.message_ids


def test_a_mail_server_that_says_later_gets_the_mail_later(rig: Rig, server: MailServer) -> None:
    server.says = ["451 4.7.1 Greylisted, try again", "452 4.3.1 Out of space"]
    with rig.running():
        row = issue(rig)
        assert (row.state, row.code) == (State.RETRYING, "smtp_451")
        assert row.reason
        assert "Greylisted" in row.reason
        assert row.due_at is not None
        rig.later()
        assert rig.delivery("mail").code == "smtp_452"
        # Mail is one thing, writing back another.
        assert rig.delivery("write_back").state is State.DONE
        rig.later()
        assert rig.delivery("mail").state is State.DONE
        assert [attempt.code for attempt in rig.attempts(outbox_id=row.id)] == ["smtp_451", "smtp_452", None]
    assert len(server.mails) == 1


def test_a_mail_server_that_refuses_for_good_is_not_asked_again(rig: Rig, server: MailServer) -> None:
    server.says = ["554 5.7.1 Message refused"]
    with rig.running():
        row = issue(rig)
        assert (row.state, row.code, row.due_at) == (State.FAILED, "smtp_554", None)
        assert row.reason
        assert "Message refused" in row.reason
        rig.later()
        assert server.mails == []
        assert rig.certificate().certificate.state == "issued"
        assert len(rig.notes()) == 1


def test_a_connection_cut_after_the_mail_was_taken_repeats_it_under_the_same_message_id(
    rig: Rig, server: MailServer
) -> None:
    server.cut = 1
    with rig.running():
        row = issue(rig)
        assert (row.state, row.code) == (State.RETRYING, "connection")
        rig.later()
        assert rig.delivery("mail").state is State.DONE
    first, second = server.message_ids
    assert first == second


def test_a_mail_server_that_is_down_keeps_nothing_else_waiting(rig: Rig, server: MailServer) -> None:
    rig.settings["mail"]["smtp"]["port"] = _closed_port()
    with rig.running():
        row = issue(rig)
        assert (row.state, row.code) == (State.RETRYING, "connection")
        assert rig.delivery("write_back").state is State.DONE


def test_without_mail_set_up_the_delivery_is_held_and_replaying_it_later_sends_it(rig: Rig) -> None:
    # A live source needs mail; a live event that waits while the source is set back to test has none.
    with rig.running():
        number = held(rig, free_trial=True).id
    rig.set("sources.thinkific.mode", "test")
    rig.set("sources.moodle.mode", "test")
    rig.set("mail.mode", "off")
    with rig.running():
        release(rig, number)
        row = rig.delivery("mail")
        assert (row.state, row.code) == (State.HELD, "mail_not_set_up")
        assert (
            row.reason == "Mail is not set up: set `mail:` in the configuration, then: certbridge outbox replay --held"
        )
        assert rig.delivery("write_back").state is State.DONE
        replay(rig, row.id)
        assert (rig.delivery("mail").state, rig.delivery("mail").code) == (State.HELD, "mail_not_set_up")
        assert rig.mails() == []
    rig.set("mail.mode", "folder")
    with rig.running():
        replay(rig, row.id)
        assert rig.delivery("mail").state is State.DONE
        replay(rig, row.id)
        # A repeat carries the same Message-ID: in a folder it is the same file.
        (mail,) = rig.mails()
        receipt: Any = rig.delivery("mail").receipt
        assert mail["Message-ID"] == receipt["details"]["message_id"]


def test_a_mail_planned_before_mail_was_switched_off_is_held_and_not_forgotten(rig: Rig, server: MailServer) -> None:
    server.says = ["451 4.7.1 Greylisted, try again"]
    with rig.running():
        row = issue(rig)
        assert row.state is State.RETRYING
    rig.set("sources.thinkific.mode", "test")
    rig.set("sources.moodle.mode", "test")
    rig.set("mail.mode", "off")
    with rig.running():
        rig.later()
        assert (rig.delivery("mail").state, rig.delivery("mail").code) == (State.HELD, "mail_not_set_up")


def test_a_learner_without_an_address_gets_no_mail_and_the_delivery_says_so(live: Rig) -> None:
    live.moodle.site.users[3].email = ""
    live.post_sample(COMPLETED)
    live.wait_settled()
    row = live.event()
    assert (row.state, row.code) == (State.HELD, "missing_value")
    release(live, row.id, recipient__email="")
    assert live.certificate().version.data.recipient.email is None
    delivery = live.delivery("mail")
    assert (delivery.state, delivery.code) == (State.IGNORED, "no_address")
    assert live.mails() == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [("info@faß.de", "info@xn--fa-hia.de"), ("maria@βόλος.gr", "maria@xn--nxasmm1c.gr"),
     ("\u200bmaria@ΒΌΛΟΣ．gr", "maria@xn--nxasmq6b.gr"), ("MARIA@acme.EXAMPLE", "maria@acme.example")],
)  # fmt: skip
def test_case_integrations_01_mail_goes_to_the_domain_that_was_written(
    rig: Rig, server: MailServer, written: str, meant: str
) -> None:
    with_source(rig, "zapier", header_token=TOKEN)
    with rig.running():
        post_fields(rig, email=written)
        (mail,) = server.mails
        assert mail.rcpt_tos == [meant]
        assert str(read_mail(bytes(mail.content or b""))["To"]) == f"Gerda Strauß <{meant}>"
        assert rig.certificate().version.data.recipient.email == meant


@pytest.mark.parametrize("written", ["maria@i❤.ws", "maria@xn--n3h.net", "maria@aא.example"])
def test_case_integrations_01_a_domain_that_cannot_be_holds_the_event(
    rig: Rig, server: MailServer, written: str
) -> None:
    with_source(rig, "zapier", header_token=TOKEN)
    with rig.running():
        post_fields(rig, email=written)
        row = rig.event()
    assert (row.state, row.code) == (State.HELD, "bad_email")
    assert "There can be no such domain (IDNA 2008)" in (row.reason or "")
    assert server.mails == []


def post_fields(rig: Rig, **changes: str) -> None:
    fields = {"event_id": "e1", "name": "Gerda Strauß", "course_id": "FIRE", "completed_at": "2026-11-20T10:00:00Z"}
    rig.post("zapier", json.dumps({**fields, **changes}).encode(), {"X-Bridge-Token": TOKEN})
    rig.wait_settled()


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
