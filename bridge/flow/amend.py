"""Changes an issued certificate on a person's word: correct makes a new version, revoke ends it; the id stays."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from bridge.core import certificate_id
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate, CertificateData, Completion, MailChoice, SourceEvent
from bridge.core.recipients import read_address
from bridge.core.source import Source
from bridge.flow.compare import WORDS, against_published
from bridge.flow.issue import PDF
from bridge.flow.plan import MAIL, WRITE_BACK, Planner
from bridge.flow.plan import Occasion as Planned
from bridge.flow.templates import Templates
from bridge.flow.view import Publisher
from bridge.issuing.preflight import clean_data, preflight
from bridge.issuing.renderer import Renderer
from bridge.store import certificates, history, inbox
from bridge.store.certificates import VersionRow
from bridge.store.engine import Store, Transaction

Occasion = Literal["corrected", "revoked"]
_CHANGED = "Somebody else changed this certificate just now; look at it and try again."


@dataclass(frozen=True, slots=True)
class Amending:
    """Corrects and revokes; used by commands, beside a running bridge or without one."""

    store: Store
    sources: Mapping[str, Source]
    renderer: Callable[[], Renderer]
    templates: Templates
    publisher: Publisher
    planner: Planner
    wake: Callable[[], None]

    def correct(
        self, identifier: str, changes: Mapping[str, str], *, reason: str, actor: str, mail: bool
    ) -> Certificate:
        """Makes a new version with the changed words, tells the learner (unless told not to) and the source.

        Raises LookupError (unknown id), PermanentError (cannot be corrected), HeldError (cannot be printed).
        """
        now = self._issued(identifier, "corrected")
        data = clean_data(change(now.data, changes))
        if data == now.data:
            raise PermanentError("Nothing would change: every given value is already on the certificate.")
        preflight(data)
        amended = now.model_copy(update={"data": data, "version": now.version + 1})
        return self._publish(amended, "corrected", reason=reason, actor=actor, mail=mail)

    def revoke(self, identifier: str, *, reason: str, actor: str, mail: bool) -> Certificate:
        """Ends a certificate: page and PDF say so at once, the source is told; the reason is public.

        Raises LookupError (unknown id) and PermanentError (not issued, or revoked already).
        """
        now = self._issued(identifier, "revoked")
        amended = now.model_copy(
            update={
                "version": now.version + 1,
                "state": "revoked",
                "revoke_reason": reason,
                "revoked_at": self.store.read(lambda tx: tx.now),
            }
        )
        return self._publish(amended, "revoked", reason=reason, actor=actor, mail=mail)

    def correct_by_event(self, number: int, *, reason: str, actor: str, mail: bool) -> Certificate | None:
        """Corrects a certificate to what the latest replay of its event found different; None when nothing is.

        Raises PermanentError (that replay did not meet an issued certificate) and what `correct` raises.
        """
        identifier, changes = self.store.read(lambda tx: self._differing(tx, number))
        if not changes:
            return None
        corrected = self.correct(identifier, changes, reason=reason, actor=actor, mail=mail)
        said = f"Certificate {certificate_id.grouped(identifier)} says this since version {corrected.version}."
        self.store.transact(lambda tx: inbox.explain(tx, number, said))
        return corrected

    def _differing(self, tx: Transaction, number: int) -> tuple[str, dict[str, str]]:
        row, existing = certified(tx, number)
        if row.completion is None or row.code not in ("already_issued", "issued"):
            raise PermanentError(f"Event {number} is {row.state.value}, so nothing was corrected. {row.reason or ''}")
        found = against_published(tx, self.publisher, existing, Completion.model_validate(row.completion))
        return existing.id, {one.word: one.now for one in found}

    def resend(self, identifier: str, *, actor: str, mail: bool = True, write_back: bool = True) -> list[int]:
        """Queues the effects of the certificate as it stands once more; returns the numbers of the deliveries.

        A mail repeats the Message-ID of its version, and a write-back looks first whether it is there.
        Raises LookupError (unknown id) and PermanentError (never issued, or nothing of the kind to send).
        """
        once = secrets.token_hex(4)
        kinds = [kind for kind, wanted in ((MAIL, mail), (WRITE_BACK, write_back)) if wanted]

        def write(tx: Transaction) -> list[int]:
            now = self.publisher.certificate(tx, identifier)
            numbers = self._plan(tx, now, _occasion(now), mail=True, resend=f":{once}", kinds=kinds)
            if not numbers:
                shown = certificate_id.grouped(identifier)
                raise PermanentError(f"There is nothing to send again: {now.source} has no write-back for {shown}.")
            data = {"version": now.version, "deliveries": numbers}
            history.add(tx, "certificate.resent", actor=actor, test=now.test, certificate_id=identifier, data=data)
            tx.after_commit(self.wake)
            return numbers

        return self.store.transact(write)

    def _issued(self, identifier: str, occasion: Occasion) -> Certificate:
        now = self.store.read(lambda tx: self.publisher.certificate(tx, identifier))
        if now.state != "issued":
            shown = certificate_id.grouped(identifier)
            raise PermanentError(f"Certificate {shown} is {now.state}; only an issued one can be {occasion}.")
        return now

    def _publish(self, amended: Certificate, occasion: Occasion, *, reason: str, actor: str, mail: bool) -> Certificate:
        before = self.store.read(lambda tx: certificates.version(tx, amended.id, amended.version - 1))
        if before is None:
            raise LookupError(f"certificate {amended.id} has no version {amended.version - 1}")
        corrected_on = self.store.read(lambda tx: self._corrected_on(tx, amended, occasion))
        job = self.templates.job(amended, before.template_sha, status=occasion, corrected_on=corrected_on)
        pdf = self.renderer().render(job)

        def write(tx: Transaction) -> None:
            self._add_version(tx, amended, before, pdf, actor=actor, reason=reason)
            if occasion == "revoked":
                certificates.revoke(tx, amended.id, reason=reason)
            certificates.publish(tx, amended.id, amended.version)
            key = self.publisher.recipient_key(amended.data.recipient.email)
            certificates.keep_in_step(tx, amended.id, data=amended.data, recipient_key=key)
            self._plan(tx, amended, occasion, mail=mail)
            told = {"version": amended.version, "reason": reason}
            kind, test = f"certificate.{occasion}", amended.test
            history.add(tx, kind, actor=actor, test=test, certificate_id=amended.id, data=told)
            tx.after_commit(self.wake)

        self.store.transact(write)
        return amended

    def _add_version(
        self, tx: Transaction, amended: Certificate, before: VersionRow, pdf: bytes, *, actor: str, reason: str
    ) -> None:
        """Stores the next version, made as the one before. Raises what a change by somebody else asks for."""
        locked = certificates.get(tx, amended.id, for_update=True)
        if locked is None or locked.state != "issued":
            state = locked.state if locked else "gone"
            raise PermanentError(f"Certificate {certificate_id.grouped(amended.id)} became {state} meanwhile.")
        n = certificates.add_version(
            tx,
            amended.id,
            data=amended.data,
            template_sha=before.template_sha,
            mapping_sha=before.mapping_sha,
            by=actor,
            reason=reason,
        )
        if n != amended.version:
            raise TemporaryError(_CHANGED)
        certificates.put_file(tx, amended.id, n, "pdf", PDF, pdf)

    def _corrected_on(self, tx: Transaction, amended: Certificate, occasion: Occasion) -> date | None:
        # A revocation is a version too, and no correction.
        if occasion == "revoked":
            return self.publisher.corrected_on(tx, amended)
        return tx.now.astimezone(ZoneInfo(amended.data.zone)).date()

    def _plan(
        self,
        tx: Transaction,
        amended: Certificate,
        occasion: Planned,
        *,
        mail: bool,
        resend: str = "",
        kinds: Collection[str] = (MAIL, WRITE_BACK),
    ) -> list[int]:
        source = self.sources.get(amended.source)
        certified = certificates.get(tx, amended.id)
        row = inbox.of_completion(tx, certified.completion_id) if certified else None
        choice = MailChoice()
        event: SourceEvent | None = None
        if row is not None and row.completion is not None:
            choice = Completion.model_validate(row.completion).mail
            event = row.record or row.event
        # Without its source (it was taken out of the configuration) the learner is told all the same.
        return self.planner.plan(
            tx, amended, choice, source, event, occasion=occasion, quiet=not mail, resend=resend, kinds=kinds
        )


def _occasion(now: Certificate) -> Planned:
    """Returns what the learner was last told about. Raises PermanentError for a certificate nobody was told about."""
    if now.state not in ("issued", "revoked"):
        raise PermanentError(f"Certificate {certificate_id.grouped(now.id)} is {now.state}: there is nothing to send.")
    if now.state == "revoked":
        return "revoked"
    return "issued" if now.version == 1 else "corrected"


def certified(tx: Transaction, number: int) -> tuple[inbox.InboxRow, certificates.CertificateRow]:
    """Returns an event and the certificate it led to. Raises PermanentError when there is none."""
    row = inbox.get(tx, number)
    if row is None:
        raise PermanentError(f"There is no event {number}.", code="unknown")
    existing = certificates.of_completion(tx, row.completion_id) if row.completion_id is not None else None
    if existing is None or existing.state == "draft":
        raise PermanentError(f"Event {number} has no certificate yet. Replay it without --correct and --resend.")
    return row, existing


def change(data: CertificateData, changes: Mapping[str, str]) -> CertificateData:
    """Returns the data with dotted words replaced. Raises PermanentError for an unknown word, no date or no address."""
    recipient, course, fields = dict(data.recipient), dict(data.course), dict(data.fields)
    top: dict[str, object] = {}
    for word, value in changes.items():
        match word.split(".", maxsplit=1):
            case ["recipient", "name"]:
                recipient["name"] = value.strip()
            case ["recipient", "email"]:
                recipient["email"] = _address(value)
            case ["course", "title"]:
                course["title"] = value.strip()
            case ["completed_on" | "expires_on" as key]:
                top[key] = _date(word, value)
            case ["fields", key] if key:
                fields[key] = value.strip()
            case _:
                known = ", ".join((*WORDS, "fields.<name>"))
                raise PermanentError(f"{word!r} cannot be corrected; these can: {known}.")
    if "completed_on" in top and top["completed_on"] is None:
        raise PermanentError("completed_on cannot be empty.")
    changed = CertificateData.model_validate(
        {**data.model_dump(), **top, "recipient": recipient, "course": course, "fields": fields}
    )
    if top and changed.expires_on is not None and changed.expires_on < changed.completed_on:
        raise PermanentError(
            f"expires_on: {changed.expires_on} is before the completion on {changed.completed_on}; "
            "the certificate would be expired from the start."
        )
    return changed


def _address(value: str) -> str | None:
    if not value.strip():
        return None
    try:
        return read_address(value)
    except ValueError as error:
        raise PermanentError(f"recipient.email: {error}") from error


def _date(word: str, value: str) -> date | None:
    if not value.strip():
        return None
    try:
        return date.fromisoformat(value.strip())
    except ValueError as error:
        raise PermanentError(f"{word}: {value!r} is not a date; write it as 2026-11-23.") from error
