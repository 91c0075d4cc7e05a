"""Finds the course completions among the xAPI statements of logstore_xapi; every other statement is none of ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from bridge.core.errors import PayloadError
from bridge.core.models import JsonObject
from bridge.core.payload import read_json
from connectors.moodle.events import COMPLETED
from connectors.moodle.links import COURSE, number_in

_INFO: Final = "http://lrs.learninglocker.net/define/extensions/info"
_VERB: Final = "http://adlnet.gov/expapi/verbs/completed"
_COURSE_TYPES: Final = ("https://w3id.org/xapi/cmi5/activitytype/course", "http://adlnet.gov/expapi/activities/course")


def completions(body: bytes) -> Iterator[JsonObject]:
    """Yields the fields of one event for each completed course: ids, seconds, and instead of the learner's number
    perhaps `learner_username` or `learner_email`. Raises PayloadError.

    Statements of this plugin have no id of their own, so these fields are what a redelivery has in common.
    """
    found = read_json(body)
    items = found if isinstance(found, list) else [found]
    statements = [one for one in items if isinstance(one, dict) and "verb" in one]
    if not statements or len(statements) < len(items):
        raise PayloadError("The body is no list of xAPI statements. Is the setting `plugin` right?")
    return (_fields(one) for one in statements if _is_completed_course(one))


def _is_completed_course(statement: JsonObject) -> bool:
    # Activities are "completed" with the same verb, so the name of Moodle's event decides where it is given.
    name = _at(statement, "context", "extensions", _INFO, "event_name")
    if isinstance(name, str):
        return name == COMPLETED
    course = _at(statement, "object", "definition", "type") in _COURSE_TYPES
    return course and _at(statement, "verb", "id") == _VERB


def _fields(statement: JsonObject) -> JsonObject:
    course = _at(statement, "object", "id")
    return {
        "eventname": COMPLETED,
        **_learner(statement),
        "courseid": number_in(course, COURSE) if isinstance(course, str) else None,
        "timecreated": _seconds(statement.get("timestamp")),
    }


def _learner(statement: JsonObject) -> JsonObject:
    """Returns how the statement names the learner: by number, by user name, or by address, as the plugin is set."""
    account, mbox = _at(statement, "actor", "account", "name"), _at(statement, "actor", "mbox")
    name = str(account) if isinstance(account, (str, int)) else ""
    if name.isascii() and name.isdigit() and len(name) <= 18:
        return {"relateduserid": name}
    if name:
        return {"relateduserid": None, "learner_username": name}
    email = mbox.removeprefix("mailto:") if isinstance(mbox, str) else None
    return {"relateduserid": None, "learner_email": email or None}


def _seconds(timestamp: object) -> int | None:
    try:
        moment = datetime.fromisoformat(str(timestamp))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
