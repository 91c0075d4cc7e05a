"""Plans what follows from a certificate: one outbox row for each effect, written with the certificate itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from bridge.core import certificate_id
from bridge.core.connector import Step
from bridge.core.models import Certificate, MailChoice, SourceEvent, State
from bridge.core.source import Source
from bridge.store import outbox
from bridge.store.engine import Transaction

Occasion = Literal["issued", "corrected", "revoked"]

MAIL = "mail"
TEST_MAIL = "test-mail"
WRITE_BACK = "write_back"
MAIL_NOT_SET_UP = "Mail is not set up: set `mail:` in the configuration, then: certbridge outbox replay --held"


def test_mode(title: str) -> str:
    """Returns why a write-back of a test certificate is left out; `title` is what it would do."""
    return f"Test mode: nothing is written to the source. Live, this would be: {title}."


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why a delivery does not go out by itself."""

    state: State
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Planner:
    """Turns a certificate into outbox rows; decides what is sent, held or left out, never sends."""

    mail_is_set_up: bool

    def plan(
        self,
        tx: Transaction,
        certificate: Certificate,
        mail: MailChoice,
        source: Source | None,
        event: SourceEvent | None,
        *,
        occasion: Occasion,
        quiet: bool = False,
        resend: str = "",
        kinds: Collection[str] = (MAIL, WRITE_BACK),
    ) -> list[int]:
        """Writes the rows of one occasion and returns their ids; rows that exist already stay as they are.

        `quiet`: a person chose not to write to the learner. `resend` makes the rows new ones: a person asked for the
        effects again, or for those of some `kinds`.
        """
        mark = f"{certificate.id}:{certificate.version}:{occasion}{resend}"
        planned: list[int | None] = []
        if MAIL in kinds:
            verdict = self._mail_verdict(certificate, mail, occasion, quiet=quiet, asked_for=bool(resend))
            planned.append(self._mail(tx, certificate, mail, occasion, mark, verdict))
        if WRITE_BACK in kinds and source is not None and event is not None:
            planned += self._write_backs(tx, certificate, source, event, mark)
        return [row for row in planned if row is not None]

    def _mail(
        self,
        tx: Transaction,
        certificate: Certificate,
        mail: MailChoice,
        occasion: Occasion,
        mark: str,
        verdict: _Verdict | None,
    ) -> int | None:
        target = {
            "to": certificate.data.recipient.email,
            "cc": list(mail.cc),
            "reply_to": mail.reply_to,
            "occasion": occasion,
        }
        return outbox.put(
            tx,
            outbox.NewDelivery(
                kind=MAIL,
                destination=TEST_MAIL if certificate.test else MAIL,
                step="mail",
                test=certificate.test,
                certificate_id=certificate.id,
                version=certificate.version,
                target=target,
                payload=None,
                dedupe_key=f"mail:{mark}",
                after_id=None,
                lock_key=None,
                state=verdict.state if verdict else State.READY,
                code=verdict.code if verdict else None,
                reason=verdict.reason if verdict else None,
            ),
        )

    def _mail_verdict(
        self, certificate: Certificate, mail: MailChoice, occasion: Occasion, *, quiet: bool, asked_for: bool
    ) -> _Verdict | None:
        if quiet:
            reason = "Whoever changed the certificate chose not to write to the learner."
            return _Verdict(State.IGNORED, "mail_off", reason)
        if not mail.send:
            return _Verdict(State.IGNORED, "mail_off", "The mapping says `mail: {send: no}` for this course.")
        if certificate.data.recipient.email is None:
            return _Verdict(State.IGNORED, "no_address", "The source gave no e-mail address for this learner.")
        if occasion == "issued" and not asked_for and _expired_from_the_start(certificate):
            return _Verdict(State.IGNORED, "already_expired", _expired(certificate))
        if not self.mail_is_set_up and not certificate.test:
            return _Verdict(State.HELD, "mail_not_set_up", MAIL_NOT_SET_UP)
        return None

    def _write_backs(
        self, tx: Transaction, certificate: Certificate, source: Source, event: SourceEvent, mark: str
    ) -> list[int | None]:
        rows: list[int | None] = []
        after: int | None = None
        for step in source.connector.write_back_steps(certificate, event):
            row = outbox.put(
                tx,
                outbox.NewDelivery(
                    kind=WRITE_BACK,
                    destination=source.name,
                    step=step.name,
                    test=certificate.test,
                    certificate_id=certificate.id,
                    version=certificate.version,
                    target={"title": step.title, "latest": step.latest, "with_pdf": step.with_pdf, **step.target},
                    payload=None,
                    dedupe_key=f"write_back:{source.name}:{step.name}:{mark}",
                    after_id=after,
                    lock_key=_lock(source, step),
                    state=State.IGNORED if certificate.test else State.READY,
                    code="test_mode" if certificate.test else None,
                    reason=test_mode(step.title) if certificate.test else None,
                ),
            )
            after = row or after
            rows.append(row)
        return rows


def _lock(source: Source, step: Step) -> str | None:
    # Two deliveries that write the newest number into one place must not pass each other on the way.
    place = ":".join(f"{name}={value}" for name, value in sorted(step.target.items()))
    key = step.lock_key or (f"{step.name}:{place}" if step.latest else None)
    return f"{source.name}:{key}" if key else None


def _expired_from_the_start(certificate: Certificate) -> bool:
    expires = certificate.data.expires_on
    return expires is not None and expires < certificate.data.issued_on


def _expired(certificate: Certificate) -> str:
    shown = certificate_id.grouped(certificate.id)
    return (
        f"Completed on {certificate.data.completed_on} and expired on {certificate.data.expires_on}, before it was "
        f"issued: nobody is congratulated on that. To send it: certbridge certificates replay {shown} --mail"
    )
