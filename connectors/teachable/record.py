"""Asks Teachable whether a completion is true, who the learner is, and what the course is called."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from bridge.core.answers import digits, line, listed, moment, sections, stamp
from bridge.core.errors import HeldError, UnconfirmedError
from bridge.core.models import JsonObject, SourceEvent
from connectors.teachable.events import completion, key, shape
from connectors.teachable.rest import Rest

Policy = Literal["hold", "issue", "skip"]
_UNENROLLED: Final = "The learner was unenrolled from the course after completing it (setting `unenrolled`)."


def confirmed(event: SourceEvent, rest: Rest, *, unenrolled: Policy) -> SourceEvent:
    """Returns the event as Teachable's API tells it; what the webhook said counts only where the API says nothing.

    A webhook of Teachable is not signed: whoever learns its address can write any name into it.
    Raises UnconfirmedError while the course is not complete, HeldError for an event that names no learner or course,
    PermanentError and TemporaryError.
    """
    learner, course = _who(event)
    found = event.data["enrollment"]["confirmed"]
    progress = event.data["enrollment"] if found else rest.progress(course, learner)
    user = rest.user(learner)
    row = _row(user, course)
    time = _completed_at(event, progress, row, learner, course)
    name = event.data["course"]["name"] if found else None
    name = name or line(row.get("course_name", row.get("name"))) or rest.course_name(course)
    enrolled_at = progress.get("enrolled_at") or row.get("enrolled_at")
    data = shape(
        {**user, "id": learner},
        {"id": course, "name": name},
        {"completed_at": stamp(time), "enrolled_at": enrolled_at},
        confirmed=True,
    )
    left = row.get("is_active_enrollment") is False
    data["enrollment"]["to_decide"] = left and unenrolled == "hold"
    changes = {
        "data": data,
        "occurred_at": time,
        "keys": (key(learner, course, time),),
        "skip": _UNENROLLED if left and unenrolled == "skip" else None,
    }
    return event.model_copy(update=changes)


def with_names(event: SourceEvent, rest: Rest) -> SourceEvent:
    """Returns the event with the learner's name and address where the webhook left them out; nothing is confirmed."""
    learner, _ = _who(event)
    known = event.data["user"]
    if known["name"] and known["email"]:
        return event
    asked = shape(rest.user(learner), {}, {}, confirmed=False)["user"]
    user = {field: known[field] or asked[field] for field in known}
    return event.model_copy(update={"data": {**event.data, "user": user}})


def of_learner(learner: str, rest: Rest) -> list[SourceEvent]:
    """Returns every completion of one learner, named by id or e-mail address. Raises TemporaryError, PermanentError."""
    number = digits(learner) or _number_of(learner, rest)
    if number is None:
        return []
    user = rest.user(number)
    rows = listed(user, "courses", "Teachable")
    found = [completion({**user, "id": number}, _course(row), row, confirmed=True) for row in rows]
    return [event for event in found if event is not None]


def _number_of(address: str, rest: Rest) -> str | None:
    wanted = address.strip().casefold()
    users = listed(rest.get("/users", email=address.strip()), "users", "Teachable")
    return next((digits(user.get("id")) for user in users if str(user.get("email")).casefold() == wanted), None)


def _who(event: SourceEvent) -> tuple[str, str]:
    if event.subject is None or event.course is None:
        raise HeldError(
            "Teachable's event names no learner or no course. Look the learner up in Teachable and issue the "
            "certificate by hand.",
            code="no_learner",
        )
    return event.subject, event.course


def _row(user: JsonObject, course: str) -> JsonObject:
    rows = sections(user.get("courses"))
    return next((row for row in rows if _course(row)["id"] == course), {})


def _course(row: JsonObject) -> JsonObject:
    # Live answers say course_id and course_name, the documentation id and name.
    return {"id": digits(row.get("course_id", row.get("id"))), "name": row.get("course_name", row.get("name"))}


def _completed_at(event: SourceEvent, progress: JsonObject, row: JsonObject, learner: str, course: str) -> datetime:
    """Returns since when the course is complete. Raises UnconfirmedError when Teachable does not say that it is.

    A time of completion counts even below 100 %: new lectures may have been published since.
    """
    told = [time for source in (progress, row) if (time := moment(source.get("completed_at")))]
    if told:
        return told[0]
    percents = [_percent(source.get("percent_complete")) for source in (progress, row)]
    if max(percents) >= 100 and event.occurred_at is not None:
        return event.occurred_at
    if not progress and not row:
        raise UnconfirmedError(
            f"Teachable knows of no enrolment of learner {learner} in course {course}. Usual causes: the learner was "
            "removed from the course, or the event did not come from Teachable."
        )
    raise UnconfirmedError(
        f"Teachable says that learner {learner} completed {max(percents):g} % of course {course}. Usual causes: the "
        "progress was reset, new lectures were published, or the event did not come from Teachable."
    )


def _percent(value: object) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
