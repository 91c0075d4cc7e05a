"""Plans and makes a certificate's effects in Salesforce: number in the record, task in the timeline, PDF as file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import TemporaryError
from bridge.core.models import Certificate, SourceEvent
from connectors.salesforce import answers, files, ids
from connectors.salesforce.composite import Part, PartAnswer, records
from connectors.salesforce.place import Place
from connectors.salesforce.rest import Rest
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.task import Task, task_for

RECORD: Final = "record"
LEARNER: Final = "learner"
TASK: Final = "task"

# What the first three characters of an id say of its object.
_OBJECTS: Final = {"003": "Contact", "00Q": "Lead", "001": "Account", "005": "User"}


def steps(certificate: Certificate, event: SourceEvent, settings: SalesforceSettings) -> Sequence[Step]:
    """Plans what is switched on, in order; nothing where there is no API or the event names no record."""
    record_id, learner = ids.normal(event.data.get("id")), ids.normal(event.subject)
    if settings.url is None or record_id is None:
        return ()
    wanted, name, lock = settings.write_back, certificate.data.recipient.name, f"record:{record_id}"
    planned = []
    # A record may be completed again, or be the learner's own (Contact): it holds one number. A task is of one only.
    if wanted.certificate_field or wanted.url_field:
        title = f"{settings.object} {record_id} of {name}"
        planned.append(Step(RECORD, {"id": record_id}, title, lock_key=lock, latest=True))
    if wanted.task != "no" and certificate.state in ("issued", "revoked"):
        target = {"id": record_id, "learner": learner or ""}
        planned.append(Step(TASK, target, f"task in the timeline of {name}", lock_key=lock))
    if wanted.learner_field and learner and learner[:3] in _OBJECTS:
        title = f"{wanted.learner_field} of {name}"
        planned.append(Step(LEARNER, {"learner": learner}, title, lock_key=f"record:{learner}", latest=True))
    if wanted.pdf != "no" and certificate.state == "issued":
        place = learner if wanted.pdf == "learner" and learner else record_id
        planned.append(Step(files.FILE, {"place": place}, f"PDF attached for {name}", with_pdf=True))
    return planned


def carry_out(step: Step, certificate: Certificate, memo: Memo, rest: Rest, settings: SalesforceSettings) -> Receipt:
    """Makes one step true and reads it back.

    Raises HeldError, PermanentError, TemporaryError, LookupError for a foreign step.
    """
    if step.name == files.FILE:
        return files.attach(step, certificate, memo, rest)
    wanted, number = settings.write_back, certificate_id.grouped(certificate.id)
    if step.name == RECORD:
        fields = _named({wanted.certificate_field: number, wanted.url_field: certificate.url})
        return _hold(Place(settings.object, step.target["id"], fields), certificate, rest)
    if step.name == LEARNER and wanted.learner_field:
        learner = step.target["learner"]
        return _hold(Place(_OBJECTS[learner[:3]], learner, {wanted.learner_field: number}), certificate, rest)
    if step.name == TASK:
        return _show(task_for(step.target, certificate, wanted), memo, rest)
    raise LookupError(f"Salesforce has no write-back step {step.name!r}")


def _named(fields: Mapping[str | None, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name is not None}


def _hold(place: Place, certificate: Certificate, rest: Rest) -> Receipt:
    """Looks first: every change of the record makes Salesforce send its message again."""
    summary = f"Salesforce {place.kind} {place.id}"
    wrong = place.wrong(place.seen(_ask(place.look(), rest)), certificate)
    if not wrong:
        return Receipt(f"{summary} right already", confirmed=True)
    _ask(Part(Place.PART, "PATCH", place.path, dict(wrong)), rest)
    after = place.seen(_ask(place.look(), rest))
    if any(after[name] != (value or "") for name, value in wrong.items()):
        raise TemporaryError(
            f"Salesforce took the change of {place.kind} {place.id}, but does not show it. Usual cause: a Flow or "
            "trigger of your organisation changes it back, or the field is shorter than the number.",
            code="not_confirmed",
        )
    return Receipt(summary, confirmed=True, details={"id": place.id, **wrong})


def _show(task: Task | None, memo: Memo, rest: Rest) -> Receipt:
    if task is None:
        return Receipt("No task: this certificate has none in the timeline", confirmed=False)
    todo = task.missing(records(_ask(task.look(), rest)), memo)
    if todo is not None:
        task.remember(_ask(todo, rest), memo)
        if not records(_ask(task.look(), rest)):
            raise task.hides(memo)
    done = "is there already" if todo is None else "made"
    return Receipt(f"Salesforce task {task.mark!r} {done}", confirmed=True, details={"key": task.key})


def _ask(part: Part, rest: Rest) -> PartAnswer:
    """Makes one call. Raises the error that its answer stands for."""
    found = rest.composite([part])[part.name]
    if not found.failed:
        return found
    error = answers.refusal(found.status, found.body)
    if part.name == Place.PART and error.stable_code == "duplicate_value":
        raise answers.not_unique(found.body)
    raise error
