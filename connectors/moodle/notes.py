"""Writes certificate numbers as notes in the course: about the learner, for staff."""

from __future__ import annotations

from typing import Final

from bridge.core import certificate_id
from bridge.core.answers import sections
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate
from connectors.moodle.rest import Rest

_PLAIN: Final = "2"


def write(step: Step, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """One note for each state a certificate reaches. Moodle would store the same note twice, so it is looked for first.

    The text holds nothing a learner wrote: Moodle shows notes as HTML.
    """
    mark = f"Certificate {certificate_id.grouped(certificate.id)} {certificate.state}"
    note = _find(step, mark, rest)
    if note is None and memo.get(mark) is None:
        memo.save(mark, _create(step, f"{mark}: {certificate.url}", certificate.id, rest))
        note = _find(step, mark, rest)
    if note is None:
        raise TemporaryError(
            f"Moodle took note {memo.get(mark)}, but does not show it. Usual cause: the service account lacks "
            "moodle/notes:view, or somebody deleted the note.",
            code="not_confirmed",
        )
    course = step.target["course"]
    return Receipt(f"Moodle note {note} in course {course}", confirmed=True, details={"note": note, "course": course})


def _find(step: Step, mark: str, rest: Rest) -> str | None:
    arguments = {"courseid": step.target["course"], "userid": step.target["user"]}
    answer = rest.call("core_notes_get_course_notes", arguments)
    if not isinstance(answer, dict) or "coursenotes" not in answer:
        raise TemporaryError("Moodle did not say which notes there are.", code="unexpected_answer")
    notes = sections(answer["coursenotes"])
    found = [str(note.get("id")) for note in notes if mark in str(note.get("content"))]
    return found[-1] if found else None


def _create(step: Step, text: str, client_id: str, rest: Rest) -> str:
    note = {
        "userid": step.target["user"],
        "publishstate": "course",
        "courseid": step.target["course"],
        "text": text,
        "format": _PLAIN,
        "clientnoteid": client_id,
    }
    answer = rest.call("core_notes_create_notes", {f"notes[0][{name}]": value for name, value in note.items()})
    for created in sections(answer):
        number = created.get("noteid")
        if isinstance(number, int) and number > 0:
            return str(number)
        # A failed write is a 200 with noteid -1.
        said = str(created.get("errormessage", "no reason"))[:200]
        raise PermanentError(
            f"Moodle did not take the note about user {note['userid']} in course {note['courseid']}: {said}",
            code="note_refused",
        )
    raise TemporaryError("Moodle did not say whether it took the note.", code="unexpected_answer")
