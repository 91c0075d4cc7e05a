"""Writes a certificate's number back into Moodle: a note for staff, and the learner's profile field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate, SourceEvent
from connectors.moodle.rest import Rest, objects

NOTE: Final = "note"
PROFILE_FIELD: Final = "profile_field"
NOTE_FUNCTIONS: Final = ("core_notes_get_course_notes", "core_notes_create_notes")
PROFILE_FUNCTIONS: Final = ("core_user_update_users", "core_user_get_users_by_field")

_NOTE_FORMAT_PLAIN: Final = "2"


def steps(certificate: Certificate, event: SourceEvent, *, note: bool, profile_field: str | None) -> Sequence[Step]:
    """Plans what is switched on; nothing where the event names no learner or course of Moodle."""
    user, course = event.subject, event.course
    if user is None or course is None:
        return ()
    planned = []
    name = certificate.data.recipient.name
    if note and certificate.state != "erased":
        planned.append(Step(NOTE, {"user": user, "course": course}, f"note about {name} in course {course}"))
    if profile_field:
        target = {"user": user, "field": profile_field}
        title = f"profile field {profile_field} of {name}"
        planned.append(Step(PROFILE_FIELD, target, title, lock_key=f"user:{user}", latest=True))
    return planned


def carry_out(step: Step, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """Makes one step true and reads it back. Raises PermanentError, TemporaryError, LookupError for a foreign step."""
    if step.name == NOTE:
        return _note(step, certificate, memo, rest)
    if step.name == PROFILE_FIELD:
        return _profile_field(step, certificate, rest)
    raise LookupError(f"Moodle has no write-back step {step.name!r}")


def _note(step: Step, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """One note for each state a certificate reaches. Moodle would store the same note twice, so it is looked for first.

    The text holds nothing a learner wrote: Moodle shows notes as HTML.
    """
    mark = f"Certificate {certificate_id.grouped(certificate.id)} {certificate.state}"
    note = _find_note(step, mark, rest)
    if note is None and memo.get(mark) is None:
        memo.save(mark, _create_note(step, f"{mark}: {certificate.url}", certificate.id, rest))
        note = _find_note(step, mark, rest)
    if note is None:
        raise TemporaryError(
            f"Moodle took note {memo.get(mark)}, but does not show it. Usual cause: the service account lacks "
            "moodle/notes:view, or somebody deleted the note.",
            code="not_confirmed",
        )
    course = step.target["course"]
    return Receipt(f"Moodle note {note} in course {course}", confirmed=True, details={"note": note, "course": course})


def _find_note(step: Step, mark: str, rest: Rest) -> str | None:
    arguments = {"courseid": step.target["course"], "userid": step.target["user"]}
    answer = rest.call("core_notes_get_course_notes", arguments)
    notes = objects(answer.get("coursenotes")) if isinstance(answer, dict) else []
    found = [str(note.get("id")) for note in notes if mark in str(note.get("content"))]
    return found[-1] if found else None


def _create_note(step: Step, text: str, client_id: str, rest: Rest) -> str:
    note = {
        "userid": step.target["user"],
        "publishstate": "course",
        "courseid": step.target["course"],
        "text": text,
        "format": _NOTE_FORMAT_PLAIN,
        "clientnoteid": client_id,
    }
    answer = rest.call("core_notes_create_notes", {f"notes[0][{name}]": value for name, value in note.items()})
    for created in objects(answer):
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


def _profile_field(step: Step, certificate: Certificate, rest: Rest) -> Receipt:
    """Holds the number of the latest certificate; emptied when that very certificate is revoked or erased."""
    user, field = step.target["user"], step.target["field"]
    number = certificate_id.grouped(certificate.id)
    before = _field(user, field, rest)
    wanted = number if certificate.state == "issued" else ""
    if before == wanted or (wanted == "" and before != number):
        return Receipt(f"Moodle profile field {field} of user {user} is right already", confirmed=True)
    path = "users[0][customfields][0]"
    arguments = {"users[0][id]": user, f"{path}[type]": field, f"{path}[value]": wanted}
    answer = rest.call("core_user_update_users", arguments)
    for warning in objects(answer.get("warnings")) if isinstance(answer, dict) else []:
        said = str(warning.get("message") or warning.get("warningcode"))[:200]
        raise PermanentError(
            f"Moodle did not change user {user}: {said}. Usual cause: the user was deleted.", code="user_refused"
        )
    _confirm(user, field, wanted, _field(user, field, rest))
    return Receipt(f"Moodle profile field {field} of user {user}", confirmed=True, details={"value": wanted})


def _field(user: str, field: str, rest: Rest) -> str | None:
    fields = objects(rest.user(user).get("customfields"))
    values = [str(item.get("value") or "") for item in fields if item.get("shortname") == field]
    return values[0] if values else None


def _confirm(user: str, field: str, wanted: str, after: str | None) -> None:
    """Raises PermanentError unless Moodle kept the value: it drops unknown fields and cuts long values silently."""
    if after == wanted or (wanted == "" and after is None):
        return
    if after is None:
        raise PermanentError(
            f"Moodle shows no profile field with the short name {field!r} for user {user}. Create it under Site "
            "administration, Users, User profile fields, visible to the user, or let the service account see it "
            "(moodle/user:viewalldetails).",
            code="field_missing",
        )
    cut = "cut it" if after and wanted.startswith(after) else "kept something else"
    raise PermanentError(
        f"Moodle {cut}: profile field {field!r} of user {user} now holds {after[:60]!r}. Check the field's type "
        "(text) and maximum length.",
        code="field_changed",
    )
