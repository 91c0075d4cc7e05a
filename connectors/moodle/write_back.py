"""Plans what is written into Moodle for a certificate, and hands each step to the module that can do it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.core.connector import Memo, Receipt, Step
from bridge.core.models import Certificate, SourceEvent
from connectors.moodle import activity, notes, profile
from connectors.moodle.rest import Rest
from connectors.moodle.settings import WriteBack

_NOTE: Final = "note"
_LATEST: Final = "profile_field"
_LIST: Final = "profile_list"
_ACTIVITY: Final = "activity"
_MESSAGE: Final = "message"


def steps(certificate: Certificate, event: SourceEvent, wanted: WriteBack) -> Iterator[Step]:
    """Yields what is switched on; nothing where the event names no learner or course of Moodle."""
    user, course = event.subject, event.course
    if user is None or course is None:
        return
    name, place = certificate.data.recipient.name, {"user": user, "course": course}
    if wanted.note and certificate.state != "erased":
        yield Step(_NOTE, place, f"note about {name} in course {course}")
    if wanted.profile_field:
        target = {"user": user, "field": wanted.profile_field}
        title = f"profile field {wanted.profile_field} of {name}"
        yield Step(_LATEST, target, title, lock_key=f"user:{user}", latest=True)
    if wanted.profile_list:
        title = f"profile field {wanted.profile_list} of {name}"
        yield Step(_LIST, {**place, "field": wanted.profile_list}, title, lock_key=f"user:{user}")
    if course in wanted.activities:
        number = wanted.activities[course]
        yield Step(_ACTIVITY, {"user": user, "activity": number}, f"activity {number} for {name}", latest=True)
    if wanted.message and certificate.state == "issued":
        yield Step(_MESSAGE, {"user": user}, f"message to {name}")


def carry_out(step: Step, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """Makes one step true and reads it back. Raises PermanentError, TemporaryError, LookupError for a foreign step."""
    if step.name == _NOTE:
        return notes.write(step, certificate, memo, rest)
    if step.name == _LATEST:
        return profile.write_latest(step, certificate, rest)
    if step.name == _LIST:
        return profile.write_list(step, certificate, rest)
    if step.name == _ACTIVITY:
        return activity.tick(step, certificate, rest)
    if step.name == _MESSAGE:
        return activity.message(step, certificate, memo, rest)
    raise LookupError(f"Moodle has no write-back step {step.name!r}")
