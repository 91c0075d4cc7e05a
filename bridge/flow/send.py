"""Carries out one row of the outbox: a mail, or one write-back step, as the certificate stands now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.clients.certificate_mail import certificate_mail
from bridge.clients.mail import Mailbox, compose, stable_message_id
from bridge.clients.smtp import MailTransport
from bridge.core import certificate_id
from bridge.core.connector import ApiClient, Step
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.models import Certificate, JsonObject, State
from bridge.core.source import Source
from bridge.flow.latest import latest
from bridge.flow.lease import LostLeaseError
from bridge.flow.plan import MAIL, MAIL_NOT_SET_UP, test_mode
from bridge.flow.view import Publisher
from bridge.observe import crash_point
from bridge.store import certificates, outbox
from bridge.store.engine import Store

_OURS = frozenset({"title", "latest", "with_pdf"})
"""What a planned step keeps in its target beside what the connector put there."""


@dataclass(frozen=True, slots=True)
class Postbox:
    """One way for mail to leave, and the addresses it carries."""

    transport: MailTransport
    sender: Mailbox
    reply_to: str | None
    host: str
    """Stands after the @ of every Message-ID."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How an outbox row ends."""

    state: State
    receipt: JsonObject
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends; every instance may run in any number of threads."""

    store: Store
    publisher: Publisher
    postboxes: Mapping[str, Postbox]
    """By destination: `mail` and `test-mail`."""
    sources: Mapping[str, Source]

    def send(self, row: outbox.OutboxRow, api: Callable[[str], ApiClient]) -> Sent:
        """Carries out one row; `api` gives the client of a source.

        Raises TemporaryError, PermanentError and HeldError with the retry decision.
        """
        if row.certificate_id is None:
            raise PermanentError("This delivery names no certificate.")
        identifier = row.certificate_id
        certificate = self.store.read(lambda tx: self.publisher.certificate(tx, identifier))
        overtaken = self._overtaken(row, certificate)
        if overtaken is not None:
            return overtaken
        if row.kind == MAIL:
            return self._mail(row, certificate)
        if certificate.test:
            # Replaying it does not make a test real either.
            return Sent(State.IGNORED, {}, "test_mode", test_mode(_title(row)))
        return self._write_back(row, certificate, api(row.destination))

    def _overtaken(self, row: outbox.OutboxRow, certificate: Certificate) -> Sent | None:
        stale_mail = row.kind == MAIL and row.target["occasion"] != "revoked" and certificate.state == "revoked"
        if not stale_mail and certificate.state != "erased":
            return None
        return Sent(State.CANCELLED, {}, "overtaken", f"The certificate is {certificate.state} by now.")

    def _mail(self, row: outbox.OutboxRow, certificate: Certificate) -> Sent:
        postbox = self.postboxes.get(row.destination)
        recipient = row.target["to"]
        if recipient is None:
            raise PermanentError("The source gave no e-mail address for this learner.", code="no_address")
        if postbox is None:
            raise HeldError(MAIL_NOT_SET_UP, code="mail_not_set_up")
        mail = certificate_mail(
            certificate,
            self._pdf(certificate),
            sender=postbox.sender,
            reply_to=row.target.get("reply_to") or postbox.reply_to,
            cc=tuple(row.target.get("cc") or ()),
            message_id=message_id(certificate, row.target["occasion"], postbox.host),
        )
        receipt = postbox.transport.send(compose(mail), postbox.sender.address, mail.recipients)
        crash_point("after_mail")
        details = {"message_id": mail.message_id, "to": recipient, **receipt.details}
        return Sent(State.DONE, {"summary": receipt.summary, "confirmed": receipt.confirmed, "details": details})

    def _pdf(self, certificate: Certificate) -> bytes:
        file = self.store.read(lambda tx: certificates.file(tx, certificate.id, certificate.version, "pdf"))
        if file is None:
            raise TemporaryError("The PDF of this certificate is not there yet.", code="no_pdf")
        return file.bytes

    def _write_back(self, row: outbox.OutboxRow, certificate: Certificate, api: ApiClient) -> Sent:
        source = self.sources[row.destination]
        target = {key: value for key, value in row.target.items() if key not in _OURS}
        now = certificate
        if row.target.get("latest"):
            now = self.store.read(lambda tx: latest(tx, self.publisher, certificate, source, row.step, target))
        pdf = self._pdf(now) if row.target.get("with_pdf") else None
        step = Step(name=row.step, target=target, title=_title(row), lock_key=row.lock_key, pdf=pdf)
        receipt = source.connector.write_back(step, now, _StoredMemo(self.store, row), api)
        crash_point("after_write_back")
        summary = receipt.summary
        if now.id != certificate.id:
            summary += f" (for certificate {certificate_id.grouped(now.id)}, the learner's newest valid one)"
        return Sent(State.DONE, {"summary": summary, "confirmed": receipt.confirmed, "details": receipt.details})


def _title(row: outbox.OutboxRow) -> str:
    return str(row.target.get("title", row.step))


def message_id(certificate: Certificate, occasion: str, host: str) -> str:
    """Returns the Message-ID of a certificate's mail: the same for every attempt."""
    grouped = certificate_id.grouped(certificate.id).lower()
    return stable_message_id(grouped, f"v{certificate.version}", occasion, domain=host)


@dataclass(frozen=True, slots=True)
class _StoredMemo:
    """The memo of one row, on disk before `save` returns."""

    store: Store
    row: outbox.OutboxRow

    def get(self, key: str) -> str | None:
        value = self.row.memo.get(key)
        return None if value is None else str(value)

    def save(self, key: str, value: str) -> None:
        self.row.memo[key] = value
        memo = dict(self.row.memo)
        if not self.store.transact(lambda tx: outbox.save_memo(tx, self.row.id, self.row.lease_token or "", memo)):
            raise LostLeaseError
        crash_point("after_memo")
