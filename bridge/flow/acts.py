"""Does what a source asks for beyond issuing: a completion taken back, a learner forgotten, records made one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bridge.core import certificate_id
from bridge.core.errors import PermanentError, UnconfirmedError
from bridge.core.mapping import waived
from bridge.core.models import Erasure, Merge, Revocation, State
from bridge.flow.amend import Amending
from bridge.flow.issue import Result
from bridge.flow.lease import LostLeaseError
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

        Raises UnconfirmedError (nothing to revoke yet) and what `Amending.revoke` raises.
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
    found = completions.by_keys(tx, row.source, row.test, act.keys)
    if found is None and act.subject and act.course:
        subject = forewarned.goes_on_as(tx, row.source, row.test, act.subject)
        cycles = completions.all_cycles(tx, row.source, row.test, subject, act.course)
        # Not the last cycle: records that became one at the source stand in the order of their merging.
        found = max(cycles, key=lambda one: (one.completed_on, one.cycle), default=None)
    return certificates.of_completion(tx, found.id) if found else None


def _nothing_yet(act: Revocation) -> UnconfirmedError:
    return UnconfirmedError(f"The source took a completion back ({_who(act)}) that has no certificate (yet).")


def _nothing_to_revoke(tx: Transaction, row: inbox.InboxRow, act: Revocation) -> Result:
    """Ends the row, and sees to it that a completion that is only late does not get a certificate by itself."""
    certificate = _meant(tx, row, act)
    if certificate is not None and certificate.state != "draft":
        raise _nothing_yet(act)  # it came this very moment
    subject = forewarned.goes_on_as(tx, row.source, row.test, act.subject) if act.subject else None
    forewarned.note_taken_back(
        tx, row.source, row.test, keys=act.keys, subject=subject, course=act.course, inbox_id=row.id
    )
    reason = (
        f"The source took a completion back ({_who(act)}) that never had a certificate. Should it come, it is held."
    )
    return Result(State.IGNORED, "nothing_to_revoke", reason)


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
