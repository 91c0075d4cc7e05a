"""Cuts the fields of one event of Moodle into our event, and says which events are no completion."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from bridge.core.errors import PayloadError
from bridge.core.models import JsonObject, SourceEvent

COMPLETED: Final = "\\core\\event\\course_completed"

# Moodle's event -> why it brings no certificate. The names are classes of Moodle's core.
_NOT_A_COMPLETION: Final = MappingProxyType(
    {
        "\\core\\event\\course_module_completion_updated": "One activity was completed (or reopened), not the course; "
        "Moodle sends a separate event for the course.",
        "\\core\\event\\course_completion_updated": "Somebody changed the completion settings of the course; no "
        "learner completed anything.",
        "\\core\\event\\user_updated": "A user's profile changed; certbridge causes this itself when it writes a "
        "certificate number into a profile field.",
        "\\core\\event\\user_created": "A user was created.",
        "\\core\\event\\user_deleted": "A user was deleted; certificates stay valid until somebody erases them here.",
        "\\core\\event\\user_graded": "A grade was given; the course may not be completed yet.",
        "\\core\\event\\user_enrolment_created": "A learner was enrolled.",
        "\\core\\event\\user_enrolment_updated": "An enrolment changed.",
        "\\core\\event\\user_enrolment_deleted": "A learner was unenrolled; certificates stay valid.",
    }
)
EVENT_TYPES: Final = frozenset({COMPLETED, *_NOT_A_COMPLETION})

_GUEST: Final = 1
_FRONT_PAGE: Final = 1
_ALWAYS: Final = ("objectid", "relateduserid", "courseid")
_IDS: Final = (*_ALWAYS, "contextid", "contextinstanceid", "userid")
_LATEST: Final = 253402300799  # the last second of the year 9999


def cut(body: dict[str, object]) -> SourceEvent:
    """Returns the event; `data.event` holds the fields the plugin sent with ids as numbers, without the token.

    In any case it holds `eventname objectid relateduserid courseid timecreated`, null where the plugin does not say.
    The learner is `relateduserid`: `userid` is whoever caused the event (a teacher, the admin when cron did, -1).
    The row id of Moodle's table course_completions survives redelivery and changes after a completion reset.
    Raises PayloadError when the body is no Moodle event.
    """
    event_type = _event_type(body)
    fields: JsonObject = {key: value for key, value in body.items() if key != "token"} | {"eventname": event_type}
    fields |= {key: whole_number(fields.get(key), key) for key in _IDS if key in fields or key in _ALWAYS}
    fields["timecreated"] = created = whole_number(fields.get("timecreated"), "timecreated")
    learner, course, row = (fields.get(key) for key in ("relateduserid", "courseid", "objectid"))
    completed = event_type == COMPLETED
    # Learner and course belong to the id: a Moodle that was built anew counts its rows from 1 again.
    scope = f"{row}:{learner}:{course}"
    event_id = f"course_completions:{scope}" if completed else f"{event_type}:{scope}:{created}"
    return SourceEvent(
        event_id=event_id if row is not None else f"{event_type}:{_digest(fields)}",
        event_type=event_type,
        subject=str(learner) if learner is not None else None,
        course=str(course) if course is not None else None,
        keys=(f"completion:{scope}",) if completed and row is not None else (),
        occurred_at=instant(created),
        data={"event": fields},
        skip=_not_wanted(learner, course) if completed else _NOT_A_COMPLETION.get(event_type),
    )


def found(learner: int, course: int, completed: int | None, *, exact: bool) -> SourceEvent:
    """Returns the event of a completion that was found by asking; it is as thin as a webhook's, without a row id.

    `completed` is in Unix seconds, None where Moodle does not say; not `exact`: only its minute is known.
    """
    minute = "-" if completed is None else completed - completed % 60
    fields = {"eventname": COMPLETED, "objectid": None, "relateduserid": learner, "courseid": course}
    # The end of the minute: what was completed just after the start line must not count as older.
    latest = completed if completed is None or exact else completed + 59
    return SourceEvent(
        event_id=f"completed:{learner}:{course}:{minute}",
        event_type=COMPLETED,
        subject=str(learner),
        course=str(course),
        keys=() if completed is None else completion_keys(str(learner), str(course), completed),
        occurred_at=instant(latest),
        data={"event": {**fields, "timecreated": completed}},
        skip=_not_wanted(learner, course),
    )


def completion_keys(learner: str, course: str, completed: int) -> tuple[str, ...]:
    """Returns what stands for a completion wherever it was heard of: its second, and the minute that reports show."""
    times = dict.fromkeys((completed, completed - completed % 60))
    return tuple(f"completed:{learner}:{course}:{time}" for time in times)


def whole_number(value: object, field: str) -> int | None:
    """Returns an id or time that Moodle sent as 3, "3" or null. Raises PayloadError for anything else."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18):
        return value
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 18:
            return int(value)
    raise PayloadError(f"The field {field} should be a whole number, but is {ascii(value)[:40]}.")


def instant(seconds: int | None) -> datetime | None:
    """Returns Moodle's Unix seconds as a UTC instant; 0 means "never" there."""
    return datetime.fromtimestamp(seconds, UTC) if seconds and 0 < seconds <= _LATEST else None


def _event_type(body: dict[str, object]) -> str:
    name = body.get("eventname")
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise PayloadError("The body has no `eventname`, so it is no event of Moodle. Is the setting `plugin` right?")
    return "\\" + name.lstrip("\\")


def _not_wanted(learner: int | None, course: int | None) -> str | None:
    if learner == _GUEST:
        return "This is Moodle's guest account, not a learner."
    if learner is not None and learner < _GUEST:
        return f"Moodle names no learner (user {learner} is the system itself)."
    if course is not None and course <= _FRONT_PAGE:
        return "This is about the front page of the site, not a course."
    return None


def _digest(fields: JsonObject) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
