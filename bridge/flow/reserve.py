"""Finds the completion an event is about, or makes it, and reserves its certificate; one short transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bridge.core import certificate_id
from bridge.core.mapping import waived
from bridge.core.models import Certificate, Completion, State
from bridge.core.person import is_address
from bridge.core.source import Source
from bridge.flow.compare import finding
from bridge.flow.lease import LostLeaseError
from bridge.flow.result import Result, TwinError
from bridge.flow.shared_address import subject_of
from bridge.flow.view import Publisher
from bridge.store import certificates, completions, erase, forewarned, inbox
from bridge.store.certificates import CertificateHit
from bridge.store.engine import Transaction

TWO_TELLINGS: Final = timedelta(minutes=10)
"""Two tellings of one completion may be this far apart even where midnight lies between them."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A draft that is ours to render."""

    completion_id: int
    certificate: Certificate
    template_sha: str


@dataclass(frozen=True, slots=True)
class _Theirs:
    """What one look saw of a learner's completions of the course."""

    subject: str
    next_cycle: int
    hits: Sequence[CertificateHit]
    """In the order of their time."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """One attempt to reserve."""

    publisher: Publisher
    tx: Transaction
    row: inbox.InboxRow
    source: Source
    completion: Completion
    mapping_sha: str
    template_sha: str

    def make(self) -> Result | Reserved:
        """Returns a draft to render, or how the event ends. Raises TwinError, LostLeaseError."""
        found = self._linked() or self._found()
        if isinstance(found, Result):
            return found
        told = self._told_before(found)
        if told is not None:
            return told
        completions.add_keys(self.tx, found, self.completion.keys)
        self._link(found)
        return self._certificate(found)

    # -- which completion ------------------------------------------------------------------------

    def _linked(self) -> Result | completions.CompletionRow | None:
        if self.row.completion_id is None:
            return None
        known = completions.get(self.tx, self.row.completion_id)
        return self._taken_back(known) or known

    def _found(self) -> Result | completions.CompletionRow:
        """What was read once decides; where a faster event made the next cycle meanwhile, everything is read again."""
        while True:
            address = self._theirs(self.completion.subject)
            subject = subject_of(self.tx, self.row, self.completion, address.hits)
            if isinstance(subject, Result):
                return subject
            theirs = address if subject == self.completion.subject else self._theirs(subject)
            same = self._keyed(subject) or self._same(theirs.hits)
            decided = self._taken_back(same) or same or self._again(theirs.hits) or self._created(theirs)
            if decided is not None:
                return decided

    def _theirs(self, subject: str) -> _Theirs:
        which = self.source.name, self.row.test, subject, self.completion.course.id
        # The cycle is counted first: on PostgreSQL another event may be stored between two looks, and a number that is
        # taken by then is refused. Counted last it would be free, beside a completion that was not looked at.
        cycles = completions.all_cycles(self.tx, *which)
        return _Theirs(subject, cycles[-1].cycle + 1 if cycles else 1, certificates.of_learner(self.tx, *which))

    def _keyed(self, subject: str) -> completions.CompletionRow | None:
        known = completions.by_keys(self.tx, self.source.name, self.row.test, self.completion.keys)
        # A key that is made from the address is the same for everybody behind it.
        if known is not None and known.subject != subject and is_address(self.completion.subject):
            return None
        return known

    def _same(self, theirs: Sequence[CertificateHit]) -> completions.CompletionRow | None:
        within = max(self.source.connector.same_within, TWO_TELLINGS)
        near = (one for one in theirs if _same_completion(self.completion, one, within))
        first = next(near, None)
        return None if first is None else first.completion

    def _taken_back(self, found: completions.CompletionRow | None) -> Result | None:
        """Holds a completion that the source took back before there was a certificate to revoke."""
        known = certificates.of_completion(self.tx, found.id) if found else None
        if waived(self.row.overrides, "taken_back") or (known is not None and known.state != "draft"):
            return None
        said = self.completion
        number = forewarned.taken_back(
            self.tx,
            self.source.name,
            self.row.test,
            keys=said.keys,
            subject=said.subject,
            course=said.course.id,
            completed_at=said.completed_at,
        )
        if number is None:
            return None
        reason = (
            f"{said.recipient.name}, {said.course.title}: the source took this completion back (event {number}) before "
            "there was a certificate. Cancel this event, or release it to issue all the same."
        )
        return Result(State.HELD, "taken_back", reason)

    def _told_before(self, found: completions.CompletionRow) -> Result | None:
        """Holds an event whose own keys were taken back while another telling of the completion was issued."""
        known = certificates.of_completion(self.tx, found.id)
        if known is None or known.state != "issued" or waived(self.row.overrides, "taken_back"):
            return None
        new = completions.unknown_keys(self.tx, self.source.name, self.row.test, self.completion.keys)
        number = forewarned.key_taken_back(self.tx, self.source.name, self.row.test, new)
        if number is None:
            return None
        shown, said = certificate_id.grouped(known.id), self.completion
        reason = (
            f"{said.recipient.name}, {said.course.title}: the source took this completion back (event {number}) before "
            f"it was known that certificate {shown} is about it. If that is right: certbridge certificates revoke "
            f"{shown} --reason TEXT, and cancel this event. Release it to leave the certificate as it is."
        )
        return Result(State.HELD, "taken_back", reason)

    def _created(self, theirs: _Theirs) -> completions.CompletionRow | None:
        """Makes the next cycle; None when another event just made it."""
        return completions.create(
            self.tx,
            source=self.source.name,
            # The mode in which the event came: a source that went live since must not make a test real.
            test=self.row.test,
            subject=theirs.subject,
            course=self.completion.course.id,
            cycle=theirs.next_cycle,
            completed_at=self.completion.completed_at,
            completed_on=self.completion.completed_on,
        )

    # -- once more -------------------------------------------------------------------------------

    def _again(self, theirs: Sequence[CertificateHit]) -> Result | completions.CompletionRow | None:
        """Says what one more completion comes to: an end, an earlier one itself, or (None) a cycle of its own."""
        if not theirs:
            return None
        again = self.completion.again
        if again == "hold":
            return self._asked_again(theirs[-1])
        return self._reused(theirs) if again == "reuse" else self._after_revocation(theirs)

    def _asked_again(self, last: CertificateHit) -> Result | None:
        if waived(self.row.overrides, "completed_again"):
            return None
        reason = f"{self._told(last)} The mapping says `again: hold`: release this event to issue a new certificate."
        return Result(State.HELD, "completed_again", reason)

    def _reused(self, theirs: Sequence[CertificateHit]) -> Result | completions.CompletionRow | None:
        """Keeps the certificate there is; where all were taken back, a person decides."""
        for state in ("issued", "draft", "erased"):
            kept = [one for one in theirs if one.certificate.state == state]
            if kept:
                return kept[-1].completion if state == "draft" else self._stays(kept[-1])
        return self._held(theirs[-1])

    def _after_revocation(self, theirs: Sequence[CertificateHit]) -> Result | None:
        """Holds what was completed up to the day of a certificate that was taken back: only a later one is new."""
        mine = self.completion.completed_on
        revoked = [one for one in theirs if one.certificate.state == "revoked"]
        later = [one for one in revoked if one.version.data.completed_on >= mine]
        return self._held(later[-1]) if later else None

    def _held(self, revoked: CertificateHit) -> Result | None:
        if waived(self.row.overrides, "completed_after_revocation"):
            return None
        shown = certificate_id.grouped(revoked.certificate.id)
        reason = f"{self._told(revoked)} That certificate, {shown}, was revoked: release this event to issue a new one."
        return Result(State.HELD, "completed_after_revocation", reason)

    def _stays(self, kept: CertificateHit) -> Result:
        shown = certificate_id.grouped(kept.certificate.id)
        reason = (
            f"{self._told(kept)} Certificate {shown} stays the only one, as the mapping says (`again: reuse`, the "
            "default). With `again: renew` each completion gets its own."
        )
        if _when(self.completion) < certificates.moment(kept)[:2]:
            reason += (
                f" If it shall say the earlier day: certbridge certificates correct {shown} --set "
                f"completed_on={self.completion.completed_on} --reason TEXT"
            )
        return Result(State.DONE, "reused", reason)

    def _told(self, other: CertificateHit) -> str:
        said, day = self.completion, other.version.data.completed_on
        if _when(said) < certificates.moment(other)[:2]:
            return (
                f"{said.recipient.name} completed {said.course.title} on {said.completed_on}, which came after the "
                f"later completion of {day}."
            )
        return (
            f"{said.recipient.name} completed {said.course.title} again on {said.completed_on}; the last time was "
            f"{day}."
        )

    # -- its certificate -------------------------------------------------------------------------

    def _link(self, found: completions.CompletionRow) -> None:
        linked = inbox.link(
            self.tx,
            self.row.id,
            self.row.lease_token or "",
            completion_id=found.id,
            completion=self.completion.model_dump(mode="json"),
            mapping_sha=self.mapping_sha,
            stage="reserved",
        )
        if not linked:
            raise LostLeaseError

    def _certificate(self, found: completions.CompletionRow) -> Result | Reserved:
        existing = certificates.of_completion(self.tx, found.id)
        if existing is None:
            return self._reserved(found, self._create_draft(found))
        if existing.state == "erased":
            erase.empty(self.tx, [self.row.id], but=self.row.id)
        if existing.state != "draft":
            return already(self.tx, self.publisher, self.row, existing, self.completion)
        if inbox.others_active(self.tx, found.id, before=self.row.id):
            raise TwinError
        # A crash, a hold or a fenced worker left a draft: the same id, with what is true now.
        data = self.publisher.data(self.completion, issued_on=existing.issued_on)
        certificates.update_draft(
            self.tx,
            existing.id,
            data=data,
            template_sha=self.template_sha,
            mapping_sha=self.mapping_sha,
            recipient_key=self.publisher.recipient_key(data.recipient.email),
        )
        return self._reserved(found, existing.id)

    def _create_draft(self, found: completions.CompletionRow) -> str:
        issued_on = _civil(self.tx.now, self.completion.zone)
        data = self.publisher.data(self.completion, issued_on=issued_on)
        return certificates.create_draft(
            self.tx,
            id=certificate_id.new(),
            completion_id=found.id,
            test=self.row.test,
            issuer=data.issuer.name,
            issued_on=issued_on,
            expires_on=data.expires_on,
            zone=data.zone,
            locale=data.locale,
            visibility="public",
            recipient_key=self.publisher.recipient_key(data.recipient.email),
            data=data,
            template_sha=self.template_sha,
            mapping_sha=self.mapping_sha,
            by="bridge",
            reason="issued",
        ).id

    def _reserved(self, found: completions.CompletionRow, identifier: str) -> Reserved:
        certificate = self.publisher.certificate(self.tx, identifier)
        return Reserved(found.id, certificate, self.template_sha)


def already(
    tx: Transaction,
    publisher: Publisher,
    row: inbox.InboxRow,
    existing: certificates.CertificateRow,
    completion: Completion,
) -> Result:
    """Returns how an event ends whose completion has its certificate, in whatever state."""
    shown = certificate_id.grouped(existing.id)
    if existing.state == "issued":
        different = finding(tx, publisher, row, existing, completion)
        reason = f"Certificate {shown} was already issued for this completion.{different}"
        return Result(State.DONE, "already_issued", reason)
    if existing.state == "revoked":
        reason = (
            f"Certificate {shown} of {completion.recipient.name} was revoked ({existing.revoke_reason}). "
            "A revocation is final: nothing is issued again for the same completion, only for a later one."
        )
        return Result(State.IGNORED, "revoked", reason)
    reason = f"Certificate {shown} was erased; nothing is issued again for this completion."
    return Result(State.IGNORED, "erased", reason)


def _same_completion(said: Completion, known: CertificateHit, within: timedelta) -> bool:
    """Tells whether two tellings are about one completion: about the same time, or the same day.

    Whoever completes a course twice on one day needs no second certificate; after a revocation a person decides.
    """
    at, before = said.completed_at, known.completion.completed_at
    if at is not None and before is not None:
        if abs(at - before) <= within:
            return True
        if known.certificate.state == "revoked":
            return False
    return said.completed_on in (known.completion.completed_on, known.version.data.completed_on)


def _when(said: Completion) -> tuple[date, datetime]:
    """Returns the moment of a completion as `certificates.moment` orders it."""
    return said.completed_on, said.completed_at or datetime.min.replace(tzinfo=UTC)


def _civil(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()
