"""Issues a certificate once for each completion: reserve (transaction), render (none open), commit (transaction)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bridge.core.errors import ConfigError, HeldError
from bridge.core.models import Completion, SourceEvent, State
from bridge.core.source import Source
from bridge.flow.lease import LostLeaseError
from bridge.flow.plan import Planner
from bridge.flow.reserve import Reservation, Reserved, already
from bridge.flow.result import Result, TwinError
from bridge.flow.templates import Templates
from bridge.flow.view import Publisher
from bridge.issuing.preflight import preflight
from bridge.issuing.renderer import Renderer
from bridge.observe import crash_point
from bridge.store import certificates, forewarned, history, inbox
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

PDF = "application/pdf"


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

        def reserve(tx: Transaction) -> Result | Reserved:
            subject = forewarned.goes_on_as(tx, source.name, row.test, completion.subject)
            named = completion.model_copy(update={"subject": subject})
            return Reservation(self.publisher, tx, row, source, named, mapping_sha, template_sha).make()

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

    def _commit(self, tx: Transaction, work: _Work, reserved: Reserved, pdf: bytes) -> bool:
        """Ends the row; returns whether this event issued, and not a faster one about the same completion."""
        row = work.row
        # Two events about one completion may have rendered at the same time; only one of them issues.
        row_now = certificates.get(tx, reserved.certificate.id, for_update=True)
        if row_now is None:
            raise LookupError(f"the draft {reserved.certificate.id} is gone")
        draft = row_now.state == "draft"
        result = Result(State.DONE, "issued") if draft else already(tx, self.publisher, row, row_now, work.completion)
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

    def _publish(self, tx: Transaction, work: _Work, reserved: Reserved, pdf: bytes) -> None:
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
