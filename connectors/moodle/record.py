"""Completes a thin event from Moodle: is it true, since when, who is the learner, what is the course called."""

from __future__ import annotations

import re
from typing import Final

from bridge.core.answers import sections
from bridge.core.errors import HeldError, PayloadError, PermanentError, TemporaryError, UnconfirmedError
from bridge.core.models import JsonObject, SourceEvent
from connectors.moodle.events import completion_keys, instant, whole_number
from connectors.moodle.grade import course_total
from connectors.moodle.rest import Rest

_USER: Final = (
    *("id", "username", "firstname", "lastname", "fullname", "email", "idnumber", "department", "institution"),
    *("city", "country", "lang", "timezone", "suspended"),
)
_COURSE: Final = (
    *("id", "fullname", "displayname", "shortname", "idnumber", "categoryid", "categoryname"),
    *("startdate", "enddate", "lang"),
)
# Moodle renames a deleted account to "<address>.<time of deletion>" and hashes its address.
_DELETED_NAME: Final = re.compile(r"[^@]*+@.*\.\d{9,11}")


def complete(event: SourceEvent, rest: Rest, *, score: bool) -> SourceEvent:
    """Returns the event with `data.completion`, `data.user`, `data.course` and, when asked for, `data.grade`.

    Raises UnconfirmedError while Moodle does not show the course as completed, HeldError for an event without learner
    or course, PermanentError and TemporaryError as the answers of Moodle decide.
    """
    learner, course = event.subject or _named(event, rest), event.course
    if learner is None or course is None:
        raise HeldError(
            "Moodle's event names no learner (relateduserid) or no course. Look the learner up in Moodle's "
            "log and issue the certificate by hand.",
            code="no_learner",
        )
    try:
        completion = _completion(event, rest, learner, course)
        user = _user(rest.user(learner))
        user["deleted"] = user["deleted"] or completion["note"] == "userdeleted"
        data = {**event.data, "completion": completion, "user": user, "course": _course(rest, course)}
        if score:
            data["grade"] = course_total(rest, learner, course)
    except PayloadError as error:  # a field of an answer, not of the event
        raise TemporaryError(f"Moodle's answer is not what it should be. {error}", code="unexpected_answer") from error
    time = completion["time"]
    # What a poll sees of the same completion: no row id, but who, which course and since when.
    keys = tuple(dict.fromkeys((*event.keys, *completion_keys(learner, course, time)))) if time else event.keys
    return event.model_copy(update={"data": data, "keys": keys, "subject": learner})


def _named(event: SourceEvent, rest: Rest) -> str | None:
    """Returns the id of a learner whom the event names in another way (xAPI statements may)."""
    for field in ("username", "email"):
        value = event.data["event"].get(f"learner_{field}")
        if isinstance(value, str) and value:
            return str(rest.user_by(field, value)["id"])
    return None


def _completion(event: SourceEvent, rest: Rest, learner: str, course: str) -> JsonObject:
    """Returns `{time, source, note}`: Unix seconds, whether they come from the "criteria" or the "event", and why.

    Moodle's own completion date is the latest of the criteria's times; the event may be days later (cron).
    """
    happened = event.data["event"].get("timecreated")
    try:
        status = completion_status(rest, learner, course)
    except PermanentError as error:
        if error.stable_code not in ("usernotenroled", "userdeleted"):
            raise
        # Suspended or gone since: Moodle no longer says anything about it, the event is all there is.
        return {"time": happened, "source": "event", "note": error.stable_code}
    if status.get("completed") is not True:
        # All criteria may be met while this is still false until Moodle's next cron run.
        raise UnconfirmedError(
            f"Moodle does not show course {course} as completed by user {learner} (yet). Usual cause: Moodle's cron "
            "has not run since, or the completion was reset."
        )
    time = completed_time(status)
    if time is None:
        return {"time": happened, "source": "event", "note": "no_criteria_time"}
    return {"time": time, "source": "criteria", "note": None}


def completion_status(rest: Rest, learner: str, course: str) -> JsonObject:
    """Returns `{completed, completions, ...}`, or nothing for an odd answer. Raises PermanentError, TemporaryError."""
    answer = rest.call("core_completion_get_course_completion_status", {"courseid": course, "userid": learner})
    status = answer.get("completionstatus") if isinstance(answer, dict) else None
    return status if isinstance(status, dict) else {}


def completed_time(status: JsonObject) -> int | None:
    """Returns the latest time of the criteria that are met, in Unix seconds. Raises PayloadError for an odd one."""
    met = [item for item in sections(status.get("completions")) if item.get("complete") is True]
    times = [whole_number(item.get("timecompleted"), "timecompleted") for item in met]
    return max((time for time in times if time and instant(time)), default=None)


def _user(user: JsonObject) -> JsonObject:
    """Returns the useful fields (null where Moodle may not show them), `deleted`, and profile fields by short name."""
    email = user.get("email")
    renamed = bool(_DELETED_NAME.fullmatch(str(user.get("username", ""))))
    hashed = isinstance(email, str) and email != "" and "@" not in email
    deleted = hashed or (renamed and not email)
    return {
        **{field: user.get(field) for field in _USER},
        "email": None if deleted else email or None,
        "deleted": deleted,
        "fields": _custom_fields(user),
    }


def _course(rest: Rest, course: str) -> JsonObject:
    # Without raw, Moodle escapes names and glues the languages of a multi-language name together.
    arguments = {"moodlewssettingraw": "true", "field": "id", "value": course}
    answer = rest.call("core_course_get_courses_by_field", arguments)
    found = sections(answer.get("courses")) if isinstance(answer, dict) else []
    for candidate in found:
        if str(candidate.get("id")) == course:
            return {**{field: candidate.get(field) for field in _COURSE}, "fields": _custom_fields(candidate)}
    raise PermanentError(
        f"Moodle shows no course {course}. It was deleted, or it is hidden and the service account lacks "
        "moodle/course:viewhiddencourses.",
        code="course_not_shown",
    )


def _custom_fields(owner: JsonObject) -> JsonObject:
    fields = sections(owner.get("customfields"))
    return {str(field["shortname"]): field.get("value") for field in fields if field.get("shortname")}
