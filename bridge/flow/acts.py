"""Does what a source asks for beyond issuing: a completion taken back, a learner forgotten, records made one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import structlog

from bridge.core import certificate_id
from bridge.core.errors import HeldError, PermanentError, UnconfirmedError
from bridge.core.mapping import waived
from bridge.core.models import Erasure, Merge, Revocation, State
from bridge.core.person import is_address
from bridge.flow.amend import Amending
from bridge.flow.lease import LostLeaseError
from bridge.flow.result import Result
from bridge.flow.shared_address import people
from bridge.store import certificates, completions, erase, forewarned, history, inbox, merging
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

PATIENCE = 3
"""Tries before "there is nothing to revoke" is the answer: the completion may still be on its way."""

Act = Revocation | Erasure | Merge


@dataclass(frozen=True, slots=True)
class Acting:
    """Carries out what an event asks for; repeated, it finds it done."""

    store: Store
    amending: Amending

    def act(self, row: inbox.InboxRow, act: Act) -> Result | None:
        """Returns how the row ends, or None when it was settled together with the act.

        Raises UnconfirmedError (nothing to revoke yet), HeldError (whose is unclear) and what `Amending.revoke` raises.
        """
        if isinstance(act, Revocation):
            return self._revoke(row, act)
        if isinstance(act, Erasure):
            return self._erase(row, act)
        self._settle(row, lambda tx: _merge(tx, row, act))
        return None

    # -- taken back ------------------------------------------------------------------------------

    def _revoke(self, row: inbox.InboxRow, act: Revocation) -> Result | None:
        certificate = self.store.read(lambda tx: _meant(tx, row, act))
        if certificate is None or certificate.state == "draft":
            if row.attempts <= PATIENCE:
                raise _nothing_yet(act)
            self._settle(row, lambda tx: _nothing_to_revoke(tx, row, act))
            return None
        shown = certificate_id.grouped(certificate.id)
        if certificate.state != "issued":
            return Result(State.DONE, "already_revoked", f"Certificate {shown} is {certificate.state} already.")
        try:
            self.amending.revoke(certificate.id, reason=act.reason, actor=f"source:{row.source}", mail=True)
        except PermanentError as error:
            # Somebody was faster; the next try says who.
            raise UnconfirmedError(str(error)) from error
        if not act.keys and act.subject and act.course:
            # An earlier completion may still be on its way, and it may be the one that was meant.
            self.store.transact(lambda tx: _note(tx, row, act))
        return Result(State.DONE, "revoked", f"Certificate {shown} was revoked: {act.reason}")

    # -- forgotten -------------------------------------------------------------------------------

    def _erase(self, row: inbox.InboxRow, act: Erasure) -> Result | None:
        if act.policy == "ask" and not waived(row.overrides, "erasure"):
            reason = (
                f"The source asks to forget learner {act.subject}. Release this event to erase names, addresses and "
                "files for ever (the certificate's page then says that it was erased), or cancel it to keep them."
            )
            return Result(State.HELD, "erasure", reason)
        self._settle(row, lambda tx: _erase(tx, row, act))
        return None

    def _settle(self, row: inbox.InboxRow, do: Callable[[Transaction], Result]) -> None:
        def write(tx: Transaction) -> Result:
            result = do(tx)
            token = row.lease_token or ""
            if not inbox.settle(tx, row.id, token, state=result.state, code=result.code, reason=result.reason):
                raise LostLeaseError
            return result

        result = self.store.transact(write)
        log.info("event settled", inbox=row.id, source=row.source, state=result.state, code=result.code)


def _meant(tx: Transaction, row: inbox.InboxRow, act: Revocation) -> certificates.CertificateRow | None:
    """Returns the certificate that is taken back. Raises HeldError where an address alone does not tell whose."""
    found = completions.by_keys(tx, row.source, row.test, act.keys)
    subject = forewarned.goes_on_as(tx, row.source, row.test, act.subject) if act.subject else None
    if subject and act.course and is_address(subject):
        _refuse_unclear(tx, row, subject, act.course)
    if found is not None:
        return certificates.of_completion(tx, found.id)
    # A key that is not known yet may be that of a completion on its way: nobody else's certificate pays for it.
    before = [] if act.keys else _certified(tx, row, act)
    return before[-1].certificate if before else None


def _certified(tx: Transaction, row: inbox.InboxRow, act: Revocation) -> list[certificates.CertificateHit]:
    """Returns the learner's certificates for the course that may be meant, by the time of completion."""
    if not act.subject or not act.course:
        return []
    subject = forewarned.goes_on_as(tx, row.source, row.test, act.subject)
    told = row.event.occurred_at
    # What was completed after it was taken back is another completion; a day's grace, as some sources tell days only.
    last = (told + timedelta(days=1)).date() if told is not None else date.max
    known = certificates.of_learner(tx, row.source, row.test, subject, act.course)
    return [one for one in known if one.completion.completed_on <= last]


def _refuse_unclear(tx: Transaction, row: inbox.InboxRow, subject: str, course: str) -> None:
    valid = [
        [one for one in hits if one.certificate.state == "issued"]
        for hits in people(tx, row.source, row.test, subject, course)
    ]
    several = [hits[-1] for hits in valid if hits]
    if len(several) > 1:
        listed = ", ".join(
            f"{certificate_id.grouped(one.certificate.id)} ({one.version.data.recipient.name})" for one in several
        )
        raise HeldError(
            f"The source took back the completion of {course} by {subject}, and several people share that address: "
            f"{listed}. Revoke the right one (certbridge certificates revoke ID --reason TEXT) and cancel this event.",
            code="which_learner",
        )


def _nothing_yet(act: Revocation) -> UnconfirmedError:
    return UnconfirmedError(f"The source took a completion back ({_who(act)}) that has no certificate (yet).")


def _nothing_to_revoke(tx: Transaction, row: inbox.InboxRow, act: Revocation) -> Result:
    """Ends the row, and sees to it that a completion that is only late does not get a certificate by itself."""
    certificate = _meant(tx, row, act)
    if certificate is not None and certificate.state != "draft":
        raise _nothing_yet(act)  # it came this very moment
    _note(tx, row, act)
    others = [one.certificate for one in _certified(tx, row, act) if one.certificate.state == "issued"]
    if others:
        listed = ", ".join(certificate_id.grouped(one.id) for one in others)
        reason = (
            f"The source took a completion back ({_who(act)}) by a key that is not known here. The learner has "
            f"{listed} for this course: if that is meant, revoke it (certbridge certificates revoke ID --reason TEXT) "
            "and cancel this event. If another completion was meant that came since, replay this event."
        )
        return Result(State.HELD, "which_completion", reason)
    reason = (
        f"The source took a completion back ({_who(act)}) that never had a certificate. Should it come, it is held."
    )
    return Result(State.IGNORED, "nothing_to_revoke", reason)


def _note(tx: Transaction, row: inbox.InboxRow, act: Revocation) -> None:
    subject = forewarned.goes_on_as(tx, row.source, row.test, act.subject) if act.subject else None
    forewarned.note_taken_back(
        tx, row.source, row.test, keys=act.keys, subject=subject, course=act.course, inbox_id=row.id
    )


def _who(act: Revocation) -> str:
    return f"learner {act.subject or '?'}, course {act.course or '?'}"


def _erase(tx: Transaction, row: inbox.InboxRow, act: Erasure) -> Result:
    actor, reason = f"source:{row.source}", "the source asked for it"
    erased: list[str] = []
    for test in sorted({row.test, True}):  # what was tried out before tells of the same person
        erased += erase.erase(tx, row.source, test, act.subject, actor=actor, reason=reason, but=row.id)
    return Result(State.DONE, "erased", f"The learner was forgotten; certificates erased: {len(erased)}.")


def _merge(tx: Transaction, row: inbox.InboxRow, act: Merge) -> Result:
    moved = merging.merge(tx, row.source, row.test, into=act.subject, merged=act.merged)
    # For what was on its way under an id that is gone now.
    forewarned.note_gone(tx, row.source, row.test, into=act.subject, gone=act.merged, inbox_id=row.id)
    data = {"source": row.source, "into": act.subject, "merged": list(act.merged), "completions": moved}
    history.add(tx, "learner.merged", actor=f"source:{row.source}", test=row.test, inbox_id=row.id, data=data)
    reason = f"{', '.join(act.merged)} became {act.subject} at the source; completions that moved: {moved}."
    return Result(State.DONE, "merged", reason)
