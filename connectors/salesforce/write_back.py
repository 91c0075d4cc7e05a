"""Plans and makes a certificate's effects in Salesforce: number in the record, task in the timeline, PDF as file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import BridgeError, TemporaryError
from bridge.core.models import Certificate, SourceEvent
from connectors.salesforce import answers, files, ids
from connectors.salesforce.composite import Part, PartAnswer, records
from connectors.salesforce.place import Place, of_renewal
from connectors.salesforce.rest import Rest
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.task import Task, task_for

RECORD: Final = "record"
LEARNER: Final = "learner"

# What the first three characters of an id say of its object.
_OBJECTS: Final = {"003": "Contact", "00Q": "Lead", "001": "Account", "005": "User"}


def steps(certificate: Certificate, event: SourceEvent, settings: SalesforceSettings) -> Sequence[Step]:
    """Plans what is switched on, in order; nothing where there is no API or the event names no record."""
    record_id, learner = ids.normal(event.data.get("id")), ids.normal(event.subject)
    if settings.url is None or record_id is None:
        return ()
    wanted, target = settings.write_back, {"id": record_id, "learner": learner or ""}
    name = certificate.data.recipient.name
    planned = []
    if wanted.certificate_field or wanted.url_field or wanted.task != "no":
        # Where the record is the learner's own (Contact), it holds one number; else each completion has a record.
        planned.append(
            Step(
                RECORD,
                target,
                f"{settings.object} {record_id} and timeline of {name}",
                lock_key=f"record:{record_id}",
                latest=record_id == learner,
            )
        )
    if wanted.learner_field and learner and learner[:3] in _OBJECTS:
        title = f"{wanted.learner_field} of {name}"
        planned.append(Step(LEARNER, target, title, lock_key=f"record:{learner}", latest=True))
    if wanted.pdf != "no" and certificate.state == "issued":
        place = learner if wanted.pdf == "learner" and learner else record_id
        planned.append(Step(files.FILE, {"place": place}, f"PDF attached for {name}", with_pdf=True))
    return planned


def carry_out(step: Step, certificate: Certificate, memo: Memo, rest: Rest, settings: SalesforceSettings) -> Receipt:
    """Makes one step true and reads it back. Raises PermanentError, TemporaryError, LookupError for a foreign step."""
    if step.name == files.FILE:
        return files.attach(step, certificate, memo, rest)
    wanted, number = settings.write_back, certificate_id.grouped(certificate.id)
    if step.name == RECORD:
        fields = _named({wanted.certificate_field: number, wanted.url_field: certificate.url})
        task = task_for(step.target, certificate, wanted)
        place = Place(settings.object, step.target["id"], fields, of_renewal(fields, certificate))
        return _hold(place, certificate, memo, rest, task)
    if step.name == LEARNER and wanted.learner_field:
        learner = step.target["learner"]
        place = Place(_OBJECTS[learner[:3]], learner, {wanted.learner_field: number})
        return _hold(place, certificate, memo, rest, None)
    raise LookupError(f"Salesforce has no write-back step {step.name!r}")


def _named(fields: Mapping[str | None, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name is not None}


def _hold(place: Place, certificate: Certificate, memo: Memo, rest: Rest, task: Task | None) -> Receipt:
    """Looks first: every change of the record makes Salesforce send its message again."""
    summary = f"Salesforce {place.kind} {place.id}" + (" and its task" if task else "")
    todo = _look(place, certificate.state, rest, task, memo)
    if not todo:
        return Receipt(f"{summary} right already", confirmed=True)
    found = rest.composite(todo)
    if task is not None and task.PART in found and not found[task.PART].failed:
        task.remember(found[task.PART], memo)
    _raise_for(found)
    left = _look(place, certificate.state, rest, task, memo)
    if left:
        raise TemporaryError(
            f"Salesforce took the change of {place.kind} {place.id}, but does not show it. Usual cause: a Flow or "
            "trigger of your organisation changes it back, or the field is shorter than the number.",
            code="not_confirmed",
        )
    return Receipt(summary, confirmed=True, details={"id": place.id, **dict(place.fields)})


def _look(place: Place, state: str, rest: Rest, task: Task | None, memo: Memo) -> list[Part]:
    """Returns the calls that are still to be made."""
    looks = []
    if place.fields:
        looks.append(Part(RECORD, "GET", f"{place.path}?fields={','.join(place.fields)}"))
    if task is not None:
        looks.append(task.look())
    found = rest.composite(looks) if looks else {}
    _raise_for(found)
    todo = []
    if place.fields:
        shown = found[RECORD].body
        wrong = place.wrong(shown if isinstance(shown, dict) else {}, state)
        todo += [Part(RECORD, "PATCH", place.path, dict(wrong))] if wrong else []
    if task is not None:
        todo += task.missing(records(found[task.PART]), memo)
    return todo


def _raise_for(found: Mapping[str, PartAnswer]) -> None:
    """Raises the error of a part that failed: a limit first, then what may pass, then what stays."""
    errors: list[BridgeError] = [_error(one) for one in found.values() if one.failed]
    if errors:
        raise min(errors, key=_urgency)


def _error(part: PartAnswer) -> BridgeError:
    error = answers.refusal(part.status, part.body)
    if part.name != Task.PART and error.stable_code == "duplicate_value":
        return answers.not_unique(part.body)
    return error


def _urgency(error: BridgeError) -> int:
    # A part that was only halted with the others is no reason of its own.
    if error.stable_code == "processing_halted":
        return 3
    return 0 if error.stable_code == "http_429" else 1 if isinstance(error, TemporaryError) else 2
