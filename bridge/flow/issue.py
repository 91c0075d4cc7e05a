"""Issues a certificate once for each completion: reserve (transaction), render (none open), commit (transaction)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import structlog

from bridge.core import certificate_id
from bridge.core.errors import ConfigError, HeldError, TemporaryError
from bridge.core.mapping import waived
from bridge.core.models import Certificate, Completion, SourceEvent, State
from bridge.core.source import Source
from bridge.flow.compare import finding
from bridge.flow.lease import LostLeaseError
from bridge.flow.plan import Planner
from bridge.flow.templates import Templates
from bridge.flow.view import Publisher
from bridge.issuing.preflight import preflight
from bridge.issuing.renderer import Renderer
from bridge.observe import crash_point
from bridge.store import certificates, completions, erase, forewarned, history, inbox
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

PDF = "application/pdf"


class TwinError(TemporaryError):
    """Another event about the same completion is being worked on; this one waits for how that ends."""

    code = "twin"


@dataclass(frozen=True, slots=True)
class Result:
    """How an inbox row ends."""

    state: State
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Reserved:
    """A draft that is ours to render."""

    completion_id: int
    certificate: Certificate
    template_sha: str


@dataclass(frozen=True, slots=True)
class _Work:
    """What one event brought: the row that is settled with the certificate, and what the certificate is made from."""

    row: inbox.InboxRow
    source: Source
    event: SourceEvent
    completion: Completion


@dataclass(frozen=True, slots=True)
class Issuing:
    """Issues certificates; every instance may run in any number of threads and on any number of nodes."""

    store: Store
    renderer: Callable[[], Renderer]
    templates: Templates
    publisher: Publisher
    planner: Planner
    wake: Callable[[], None]

    def issue(
        self, row: inbox.InboxRow, source: Source, event: SourceEvent, completion: Completion, mapping_sha: str
    ) -> Result | None:
        """Makes the certificate of one completion exist, whatever repeats, races or crashed before.

        Returns how the row ends, or None when it was settled together with the certificate.
        Raises HeldError (cannot be printed; a person decides), TemporaryError, LostLeaseError.
        """
        data = self.publisher.data(completion, issued_on=completion.completed_on)
        preflight(data)
        template_sha = self._template(completion.template)

        def reserve(tx: Transaction) -> Result | _Reserved:
            subject = forewarned.goes_on_as(tx, source.name, row.test, completion.subject)
            named = completion.model_copy(update={"subject": subject})
            return _Reservation(self, tx, row, source, named, mapping_sha, template_sha).make()

        reserved = self.store.transact(reserve)
        crash_point("after_reserve")
        if isinstance(reserved, Result):
            return reserved
        pdf = self.renderer().render(self.templates.job(reserved.certificate, reserved.template_sha))
        crash_point("after_render")
        crash_point("before_commit")
        work = _Work(row, source, event, completion)
        issued = self.store.transact(lambda tx: self._commit(tx, work, reserved, pdf))
        crash_point("after_commit")
        if issued:
            log.info("issued", certificate=reserved.certificate.id, source=source.name, test=row.test)
        return None

    def _template(self, name: str) -> str:
        try:
            return self.templates.version(name)
        except ConfigError as error:
            text = f"The template {name} cannot be used. {error} Mend it, then release or replay this event."
            raise HeldError(text, code="template") from error

    def _commit(self, tx: Transaction, work: _Work, reserved: _Reserved, pdf: bytes) -> bool:
        """Ends the row; returns whether this event issued, and not a faster one about the same completion."""
        row = work.row
        # Two events about one completion may have rendered at the same time; only one of them issues.
        row_now = certificates.get(tx, reserved.certificate.id, for_update=True)
        if row_now is None:
            raise LookupError(f"the draft {reserved.certificate.id} is gone")
        draft = row_now.state == "draft"
        result = Result(State.DONE, "issued") if draft else _already(tx, self.publisher, row, row_now, work.completion)
        settled = inbox.settle(
            tx,
            row.id,
            row.lease_token or "",
            state=result.state,
            code=result.code,
            reason=result.reason,
            stage="issued",
        )
        if not settled:
            raise LostLeaseError
        if draft:
            self._publish(tx, work, reserved, pdf)
            tx.after_commit(self.wake)
        return draft

    def _publish(self, tx: Transaction, work: _Work, reserved: _Reserved, pdf: bytes) -> None:
        draft = reserved.certificate
        said = certificates.version(tx, draft.id, draft.version)
        if said is None or (said.data, said.template_sha) != (draft.data, reserved.template_sha):
            raise TwinError("Another event about this completion changed the draft while it was rendered.")
        certificates.put_file(tx, draft.id, draft.version, "pdf", PDF, pdf)
        certificates.publish(tx, draft.id, draft.version)
        issued = draft.model_copy(update={"state": "issued"})
        self.planner.plan(tx, issued, work.completion.mail, work.source, work.event, occasion="issued")
        history.add(
            tx,
            "certificate.issued",
            actor="bridge",
            test=work.row.test,
            certificate_id=draft.id,
            inbox_id=work.row.id,
            data={"version": draft.version},
        )


@dataclass(frozen=True, slots=True)
class _Reservation:
    """One attempt to reserve: finds the completion this event is about, or makes it and its draft certificate."""

    issuing: Issuing
    tx: Transaction
    row: inbox.InboxRow
    source: Source
    completion: Completion
    mapping_sha: str
    template_sha: str

    def make(self) -> Result | _Reserved:
        found = self._known() or self._same()
        held = self._taken_back(found)
        if held is not None:
            return held
        if found is None:
            decided = self._decide_cycle()
            if isinstance(decided, Result):
                return decided
            found = decided
        completions.add_keys(self.tx, found, self.completion.keys)
        self._link(found)
        return self._certificate(found)

    def _known(self) -> completions.CompletionRow | None:
        if self.row.completion_id is not None:
            return completions.get(self.tx, self.row.completion_id)
        return completions.by_keys(self.tx, self.source.name, self.row.test, self.completion.keys)

    def _same(self) -> completions.CompletionRow | None:
        for known in self._cycles():
            if _same_completion(self.completion, known, self.source.connector.same_within.total_seconds()):
                return known
        return None

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

    def _decide_cycle(self) -> completions.CompletionRow | Result:
        while True:
            cycles = self._cycles()
            decided = self._again(cycles[-1]) if cycles else None
            if decided is not None:
                return decided
            created = completions.create(
                self.tx,
                source=self.source.name,
                # The mode in which the event came: a source that went live since must not make a test real.
                test=self.row.test,
                subject=self.completion.subject,
                course=self.completion.course.id,
                cycle=cycles[-1].cycle + 1 if cycles else 1,
                completed_at=self.completion.completed_at,
                completed_on=self.completion.completed_on,
            )
            # None: another event just created it; look again, it may well be this very completion.
            same = created or self._same()
            if same is not None:
                return same

    def _cycles(self) -> Sequence[completions.CompletionRow]:
        return completions.all_cycles(
            self.tx, self.source.name, self.row.test, self.completion.subject, self.completion.course.id
        )

    def _again(self, last: completions.CompletionRow) -> Result | completions.CompletionRow | None:
        """Says what a completion after an earlier one comes to: an end, the earlier one itself, or (None) a new one."""
        again = (
            f"{self.completion.recipient.name} completed {self.completion.course.title} again on "
            f"{self.completion.completed_on}; the last time was {last.completed_on}."
        )
        if self.completion.again == "hold" and not waived(self.row.overrides, "completed_again"):
            reason = f"{again} The mapping says `again: hold`: release this event to issue a new certificate."
            return Result(State.HELD, "completed_again", reason)
        existing = certificates.of_completion(self.tx, last.id) if self.completion.again == "reuse" else None
        if existing is None or waived(self.row.overrides, "completed_after_revocation"):
            return None
        if existing.state == "draft":
            return last
        shown = certificate_id.grouped(existing.id)
        if existing.state == "revoked":
            reason = f"{again} That certificate, {shown}, was revoked: release this event to issue a new one."
            return Result(State.HELD, "completed_after_revocation", reason)
        reason = (
            f"{again} Certificate {shown} stays the only one, as the mapping says (`again: reuse`, the default). "
            "With `again: renew` each completion gets its own."
        )
        return Result(State.DONE, "reused", reason)

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

    def _certificate(self, found: completions.CompletionRow) -> Result | _Reserved:
        existing = certificates.of_completion(self.tx, found.id)
        if existing is None:
            return self._reserved(found, self._create_draft(found))
        if existing.state == "erased":
            erase.empty(self.tx, [self.row.id], but=self.row.id)
        if existing.state != "draft":
            return _already(self.tx, self.issuing.publisher, self.row, existing, self.completion)
        if inbox.others_active(self.tx, found.id, before=self.row.id):
            raise TwinError
        # A crash, a hold or a fenced worker left a draft: the same id, with what is true now.
        data = self.issuing.publisher.data(self.completion, issued_on=existing.issued_on)
        certificates.update_draft(
            self.tx,
            existing.id,
            data=data,
            template_sha=self.template_sha,
            mapping_sha=self.mapping_sha,
            recipient_key=self.issuing.publisher.recipient_key(data.recipient.email),
        )
        return self._reserved(found, existing.id)

    def _create_draft(self, found: completions.CompletionRow) -> str:
        issued_on = _civil(self.tx.now, self.completion.zone)
        data = self.issuing.publisher.data(self.completion, issued_on=issued_on)
        earlier = [known for known in self._cycles() if known.cycle < found.cycle]
        renews = certificates.of_completion(self.tx, earlier[-1].id) if earlier else None
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
            recipient_key=self.issuing.publisher.recipient_key(data.recipient.email),
            renews=renews.id if renews else None,
            data=data,
            template_sha=self.template_sha,
            mapping_sha=self.mapping_sha,
            by="bridge",
            reason="issued",
        ).id

    def _reserved(self, found: completions.CompletionRow, identifier: str) -> _Reserved:
        certificate = self.issuing.publisher.certificate(self.tx, identifier)
        return _Reserved(found.id, certificate, self.template_sha)


def _same_completion(completion: Completion, known: completions.CompletionRow, within: float) -> bool:
    if completion.completed_at is None or known.completed_at is None:
        return completion.completed_on == known.completed_on
    return abs((completion.completed_at - known.completed_at).total_seconds()) <= within


def _already(
    tx: Transaction,
    publisher: Publisher,
    row: inbox.InboxRow,
    existing: certificates.CertificateRow,
    completion: Completion,
) -> Result:
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


def _civil(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()
