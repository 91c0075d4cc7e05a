"""Mail leaves through a real mail server on loopback that can be told to misbehave."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from clients.scripted_server import Authority
from pydantic import ValidationError

from bridge.clients.mail import Mailbox, OutgoingMail, compose
from bridge.clients.smtp import FolderTransport, SmtpSettings, SmtpTransport
from bridge.core.errors import BridgeError, HeldError, PermanentError, TemporaryError

PASSWORD = "correct horse"
SENDER = "training@acme.example"
LEARNER = "ana@example.invalid"
MESSAGE = compose(
    OutgoingMail(
        sender=Mailbox(SENDER, "Acme"),
        recipient=Mailbox(LEARNER, "Ana"),
        subject="Your certificate",
        text=".\nfrom the first line\n..\n",
        html="<p>é</p>",
        message_id="<cert.1@acme.example>",
        pdf=b"%PDF " + bytes(range(256)),
    )
)


class Inbox:
    """What the server does with each step; by default it takes everything."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.says: dict[str, str] = {}
        self.cut_after_data = False
        self.logins: list[tuple[bytes, bytes]] = []
        self.encrypted: list[bool] = []

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if "mail" in self.says:
            return self.says["mail"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.says:
            return self.says[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "data" in self.says:
            return self.says["data"]
        self.mails.append(envelope)
        self.encrypted.append(session.ssl is not None)
        if self.cut_after_data:
            assert server.transport is not None
            server.transport.abort()
        return "250 queued as 4711"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


class TlsController(Controller):
    """aiosmtpd's Controller asks itself for a greeting without TLS when it starts; this one needs none."""

    def _trigger_server(self) -> None:
        with socket.create_connection((self.hostname, self.port), 5):
            return


Start = Callable[..., tuple[Inbox, int]]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Controller] = []

    def begin(**options: Any) -> tuple[Inbox, int]:
        inbox = Inbox()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        kind = TlsController if options.pop("tls", False) else Controller
        controller = kind(inbox, hostname="127.0.0.1", port=port, authenticator=inbox.authenticate, **options)
        controller.start()
        running.append(controller)
        return inbox, port

    yield begin
    for controller in running:
        controller.stop()


def plain(port: int, **options: Any) -> SmtpTransport:
    return SmtpTransport(SmtpSettings(host="127.0.0.1", port=port, security="none", timeout=5, **options))


def encrypted(port: int, authority: Authority, **options: Any) -> SmtpTransport:
    options.setdefault("security", "starttls")
    return SmtpTransport(SmtpSettings(host="localhost", port=port, ca_file=authority.ca_file, timeout=5, **options))


def body_of(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


# -- the good days -------------------------------------------------------------------------------


def test_the_server_gets_exactly_our_bytes_and_recipients(start: Start) -> None:
    inbox, port = start()
    receipt = plain(port).send(MESSAGE, SENDER, [LEARNER, "boss@example.invalid"])
    (mail,) = inbox.mails
    assert body_of(mail).rstrip(b"\r\n") == MESSAGE.rstrip(b"\r\n")
    assert mail.mail_from == SENDER
    assert mail.rcpt_tos == [LEARNER, "boss@example.invalid"]
    assert "queued as 4711" in receipt.summary
    assert receipt.details == {"accepted": [LEARNER, "boss@example.invalid"]}


def test_starttls_encrypts_before_the_login(start: Start, authority: Authority) -> None:
    inbox, port = start(tls_context=authority.server_context, require_starttls=True, auth_required=True)
    encrypted(port, authority, username="acme", password=PASSWORD).send(MESSAGE, SENDER, [LEARNER])
    assert inbox.encrypted == [True]
    assert inbox.logins == [(b"acme", PASSWORD.encode())]


def test_tls_from_the_start(start: Start, authority: Authority) -> None:
    inbox, port = start(tls=True, ssl_context=authority.server_context, auth_require_tls=False)
    encrypted(port, authority, security="tls", username="acme", password=PASSWORD).send(MESSAGE, SENDER, [LEARNER])
    assert len(inbox.mails) == 1


def test_check_logs_in_and_sends_nothing(start: Start) -> None:
    inbox, port = start(auth_require_tls=False)
    plain(port, username="acme", password=PASSWORD).check()
    assert len(inbox.logins) == 1
    assert inbox.mails == []


# -- never in plain text -------------------------------------------------------------------------


def test_sends_nothing_when_starttls_was_stripped(start: Start, authority: Authority) -> None:
    inbox, port = start(auth_require_tls=False)
    with pytest.raises(HeldError, match="offers no encryption") as caught:
        encrypted(port, authority, username="acme", password=PASSWORD).send(MESSAGE, SENDER, [LEARNER])
    assert caught.value.stable_code == "mail_tls"
    assert inbox.mails == []
    assert inbox.logins == []


def test_sends_nothing_when_the_server_refuses_starttls_after_offering_it(authority: Authority) -> None:
    with scripted_smtp(b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"454 not now\r\n") as (port, said):
        with pytest.raises(BridgeError):
            encrypted(port, authority, username="acme", password=PASSWORD).send(MESSAGE, SENDER, [LEARNER])
        assert not any(line.startswith((b"AUTH", b"MAIL")) for line in said)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_sends_nothing_to_a_server_with_an_untrusted_certificate(
    start: Start, authority: Authority, security: Any
) -> None:
    key = "ssl_context" if security == "tls" else "tls_context"
    inbox, port = start(tls=security == "tls", **{key: authority.server_context})
    transport = SmtpTransport(SmtpSettings(host="localhost", port=port, security=security, timeout=5))
    with pytest.raises(HeldError, match="cannot be trusted") as caught:
        transport.send(MESSAGE, SENDER, [LEARNER])
    assert caught.value.stable_code == "mail_tls"
    assert inbox.mails == []


def test_sends_nothing_to_a_certificate_for_another_name(start: Start, authority: Authority) -> None:
    inbox, port = start(tls_context=authority.server_context)
    settings = SmtpSettings(host="127.0.0.1", port=port, ca_file=authority.ca_file, timeout=5)
    with pytest.raises(HeldError, match="cannot be trusted"):
        SmtpTransport(settings).send(MESSAGE, SENDER, [LEARNER])
    assert inbox.mails == []


@pytest.mark.parametrize("host", ["mail.acme.example", "10.0.0.1", "localhost.evil.example", "0.0.0.0"])
def test_plain_text_is_only_for_this_machine(host: str) -> None:
    with pytest.raises(ValidationError, match="readable over the network"):
        SmtpSettings(host=host, security="none")


def test_plain_text_is_refused_when_localhost_is_elsewhere(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, port = start()
    monkeypatch.setattr("bridge.clients.smtp._is_local", lambda host: host == "127.0.0.1x")
    settings = SmtpSettings.model_construct(host="127.0.0.1", port=port, security="none", timeout=5.0)
    with pytest.raises(HeldError, match="not on this machine"):
        SmtpTransport(settings).send(MESSAGE, SENDER, [LEARNER])
    assert inbox.mails == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine_has_several_names(host: str) -> None:
    assert SmtpSettings(host=host, security="none").effective_port == 25


def test_the_password_is_not_shown() -> None:
    settings = SmtpSettings(host="mail.acme.example", username="acme", password=PASSWORD)
    assert PASSWORD not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(ValidationError, match="belong together"):
        SmtpSettings(host="mail.acme.example", username="acme")


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "answer", "kind", "code"),
    [
        (LEARNER, "451 4.7.1 Greylisted, come back later", TemporaryError, "smtp_451"),
        (LEARNER, "550 5.1.1 User unknown", PermanentError, "smtp_550"),
        ("mail", "421 too many connections", TemporaryError, "smtp_421"),
        ("mail", "553 sender not allowed", PermanentError, "smtp_553"),
        ("mail", "530 5.7.0 Authentication required", HeldError, "mail_login"),
        ("data", "452 disk full", TemporaryError, "smtp_452"),
        ("data", "554 spam", PermanentError, "smtp_554"),
    ],
)
def test_reads_the_reply_code(start: Start, step: str, answer: str, kind: type[BridgeError], code: str) -> None:
    inbox, port = start()
    inbox.says[step] = answer
    with pytest.raises(kind) as caught:
        plain(port).send(MESSAGE, SENDER, [LEARNER])
    assert type(caught.value) is kind
    assert caught.value.stable_code == code
    assert answer.split(" ", 1)[1] in str(caught.value)
    assert inbox.mails == []


def test_a_refused_copy_does_not_keep_the_mail_from_the_learner(start: Start) -> None:
    inbox, port = start()
    inbox.says["boss@example.invalid"] = "550 no such boss"
    receipt = plain(port).send(MESSAGE, SENDER, [LEARNER, "boss@example.invalid"])
    assert inbox.mails[0].rcpt_tos == [LEARNER]
    assert receipt.details == {"accepted": [LEARNER], "refused": {"boss@example.invalid": "550 no such boss"}}


def test_a_wrong_password_is_held_and_not_shown(start: Start) -> None:
    inbox, port = start(auth_require_tls=False)
    with pytest.raises(HeldError, match="refused the login") as caught:
        plain(port, username="acme", password="wrong secret").send(MESSAGE, SENDER, [LEARNER])
    assert caught.value.stable_code == "mail_login"
    assert "wrong secret" not in str(caught.value) + repr(caught.value.__cause__)
    assert inbox.mails == []


def test_a_login_that_is_needed_but_not_set_is_held(start: Start, authority: Authority) -> None:
    _, port = start(tls_context=authority.server_context, auth_required=True)
    with pytest.raises(HeldError, match="username and password"):
        encrypted(port, authority).send(MESSAGE, SENDER, [LEARNER])


def test_a_login_that_is_set_but_not_offered_is_held(start: Start) -> None:
    _, port = start()
    with pytest.raises(HeldError, match="takes no login"):
        plain(port, username="acme", password=PASSWORD).send(MESSAGE, SENDER, [LEARNER])


def test_a_cut_after_data_is_tried_again_with_the_same_message_id(start: Start) -> None:
    inbox, port = start()
    inbox.cut_after_data = True
    with pytest.raises(TemporaryError, match="same Message-ID"):
        plain(port).send(MESSAGE, SENDER, [LEARNER])
    inbox.cut_after_data = False
    plain(port).send(MESSAGE, SENDER, [LEARNER])
    first, second = inbox.mails
    assert b"Message-ID: <cert.1@acme.example>" in body_of(first)
    assert body_of(first) == body_of(second)


def test_nobody_listening_is_temporary() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(TemporaryError, match="nobody is listening"):
        plain(port).send(MESSAGE, SENDER, [LEARNER])


@pytest.mark.parametrize(
    "recipient", ["a@x.example\r\nRCPT TO:<b@y.example>", "a@x.example, b@y.example", "", "-oQ/tmp"]
)
def test_takes_no_more_than_one_address_per_recipient(start: Start, recipient: str) -> None:
    inbox, port = start()
    with pytest.raises(HeldError):
        plain(port).send(MESSAGE, SENDER, [recipient])
    assert inbox.mails == []


# -- servers that are no mail servers ------------------------------------------------------------


class scripted_smtp:  # noqa: N801 (used as a with statement)
    """Says the given lines, one per client line, then goes silent or drips."""

    def __init__(self, *lines: bytes, drip: bytes = b"") -> None:
        self._lines = lines
        self._drip = drip
        self._stop = threading.Event()
        self._said: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> tuple[int, list[bytes]]:
        self._thread.start()
        return int(self._listener.getsockname()[1]), self._said

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        try:
            with sock:
                for number, line in enumerate(self._lines):
                    if number:
                        self._said.append(sock.recv(4096))
                    sock.sendall(line)
                while self._drip and not self._stop.wait(0.05):
                    sock.sendall(self._drip)
                self._said.append(sock.recv(4096))
        except OSError:
            return


@pytest.mark.parametrize("greeting", [b"554 go away\r\n", b"421 busy\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_server_that_is_no_mail_server_is_an_error_in_plain_words(greeting: bytes) -> None:
    with scripted_smtp(greeting) as (port, _), pytest.raises(BridgeError, match=r"mail server 127\.0\.0\.1"):
        SmtpTransport(SmtpSettings(host="127.0.0.1", port=port, security="none", timeout=0.3)).send(
            MESSAGE, SENDER, [LEARNER]
        )


@pytest.mark.parametrize("lines", [(b"",), (b"220 hi\r\n", b"250-hi\r\n")])
def test_a_drip_feed_ends_at_the_deadline(lines: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.clients.smtp._TOTAL", 0.4)
    with scripted_smtp(*lines, drip=b"250-more\r\n") as (port, _), pytest.raises(TemporaryError):
        plain(port).send(MESSAGE, SENDER, [LEARNER])


# -- folder --------------------------------------------------------------------------------------


def test_the_folder_keeps_one_file_per_message_id(tmp_path: Path) -> None:
    folder = FolderTransport(tmp_path / "mail" / "out")
    for _ in range(2):
        receipt = folder.send(MESSAGE, SENDER, [LEARNER])
    (file,) = (tmp_path / "mail" / "out").iterdir()
    assert file.name == "cert.1@acme.example.eml"
    assert file.read_bytes() == MESSAGE
    assert receipt.details == {"accepted": [LEARNER], "file": str(file)}


@pytest.mark.parametrize("message_id", ["<../../evil@x>", "</etc/passwd@x>", "<.hidden@x>", "<a\\b@x>", "<é@x>"])
def test_a_message_id_is_no_path(tmp_path: Path, message_id: str) -> None:
    FolderTransport(tmp_path / "mail").send(b"Message-ID: " + message_id.encode() + b"\r\n\r\nx", SENDER, [LEARNER])
    (file,) = tmp_path.rglob("*.eml")
    assert file.parent == tmp_path / "mail"
    assert not file.name.startswith(".")


def test_a_mail_without_message_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        FolderTransport(tmp_path).send(b"Subject: x\r\n\r\nx", SENDER, [LEARNER])


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = FolderTransport(tmp_path)
    folder.send(MESSAGE, SENDER, [LEARNER])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TemporaryError, match="No space left"):
        folder.send(MESSAGE + b"more", SENDER, [LEARNER])
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == MESSAGE


def test_a_folder_that_is_a_file_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")
    with pytest.raises(TemporaryError, match="cannot be written"):
        FolderTransport(tmp_path / "mail").send(MESSAGE, SENDER, [LEARNER])
