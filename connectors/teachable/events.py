"""Cuts a webhook of Teachable into events, and gives every completion, sent or found, the same shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from bridge.core.answers import digits, line, moment, section, stamp
from bridge.core.errors import PayloadError
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.payload import read_json

COMPLETED: Final = "Enrollment.completed"
_ABOUT_MONEY: Final = "This is about a payment; nothing is completed yet."
_ABOUT_A_USER: Final = "This is about a user, not about a course."
# Teachable's event -> why it brings no certificate. https://docs.teachable.com/docs/available-events
_NOT_A_COMPLETION: Final = MappingProxyType(
    {
        "Enrollment.created": "A learner was enrolled; nothing is completed yet.",
        "Enrollment.disabled": "A learner was unenrolled; certificates stay valid.",
        "LectureProgress.created": "One lecture was completed, not the course.",
        "Response.created": "A quiz was answered; the course may not be completed yet.",
        "Admission.created": "A coaching began; Teachable tells no end of a coaching.",
        "Admission.disabled": "A coaching was taken away; certificates stay valid.",
        "Comment.created": "Somebody wrote a comment.",
        "EmailLead.created": _ABOUT_A_USER,
        "Sale.created": _ABOUT_MONEY,
        "Sale.subscription_canceled": _ABOUT_MONEY,
        "Transaction.created": _ABOUT_MONEY,
        "Transaction.refunded": "A payment was returned; certificates stay valid.",
        "AbandonedOrder.created": _ABOUT_MONEY,
        "User.created": _ABOUT_A_USER,
        "User.updated": "A user's profile changed; certbridge causes this itself when it writes a number.",
        "User.subscribe_to_marketing_emails": _ABOUT_A_USER,
        "User.unsubscribe_from_marketing_emails": _ABOUT_A_USER,
        "UserTag.created": _ABOUT_A_USER,
        "UserTag.removed": _ABOUT_A_USER,
    }
)
EVENT_TYPES: Final = frozenset({COMPLETED, *_NOT_A_COMPLETION})
_SPELLED: Final = MappingProxyType({name.lower(): name for name in EVENT_TYPES})


def cut(body: bytes) -> Iterator[SourceEvent]:
    """Yields the events of a request: an object, or (by a switch of the webhook) a list of them, also an empty one.

    Raises PayloadError.
    """
    value = read_json(body)
    return (_event(element) for element in (value if isinstance(value, list) else [value]))


def completion(
    user: Mapping[str, object],
    course: Mapping[str, object],
    enrollment: Mapping[str, object],
    *,
    created: datetime | None = None,
    confirmed: bool,
) -> SourceEvent | None:
    """Returns a completion in the one shape of this connector; None where learner, course or time is missing.

    `created` stands in for a missing time of completion; `confirmed`: Teachable's API said so itself.
    """
    learner, number = digits(user.get("id")), digits(course.get("id"))
    time = moment(enrollment.get("completed_at")) or created
    if learner is None or number is None or time is None:
        return None
    data = shape(user, course, enrollment, confirmed=confirmed)
    data["enrollment"]["completed_at"] = stamp(time)
    return SourceEvent(
        # Neither the webhook (two may call us) nor its hook_event_id (not unique) makes another happening of it.
        event_id=f"{COMPLETED}:{learner}:{number}:{stamp(time)}",
        event_type=COMPLETED,
        subject=learner,
        course=number,
        keys=(key(learner, number, time),),
        occurred_at=time,
        data=data,
    )


def key(learner: str, course: str, time: datetime) -> str:
    """Returns what stands for one completion; completing the course anew at another time is another one."""
    return f"completed:{learner}:{course}@{stamp(time)}"


def shape(
    user: Mapping[str, object], course: Mapping[str, object], enrollment: Mapping[str, object], *, confirmed: bool
) -> JsonObject:
    """Returns `data`: few fields on purpose; descriptions of a course may be a megabyte, sign-ins change every day."""
    return {
        "user": {"id": digits(user.get("id")), **{field: line(user.get(field)) for field in ("email", "name", "role")}},
        "course": {"id": digits(course.get("id")), "name": line(course.get("name"))},
        "enrollment": {
            "completed_at": line(enrollment.get("completed_at")),
            "enrolled_at": line(enrollment.get("enrolled_at")),
            "confirmed": confirmed,
            "to_decide": False,
        },
    }


def _event(element: object) -> SourceEvent:
    event = section(element)
    name = event.get("type", event.get("event"))
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 100:
        raise PayloadError("The body names no event (`type`), so it is no webhook of Teachable.")
    event_type = _SPELLED.get(name.strip().lower(), name.strip())
    if event_type != COMPLETED:
        # What it says about people is none of our business.
        reason = _NOT_A_COMPLETION.get(event_type)
        return SourceEvent(event_id=_by_content(event_type, event), event_type=event_type, skip=reason)
    enrollment = section(event.get("object")) or section(section(event.get("data")).get("object"))
    user, course = section(enrollment.get("user")), section(enrollment.get("course"))
    user = {**user, "id": digits(enrollment.get("user_id")) or user.get("id")}
    course = {**course, "id": digits(enrollment.get("course_id")) or course.get("id")}
    found = completion(user, course, enrollment, created=moment(event.get("created")), confirmed=False)
    return found or SourceEvent(
        event_id=_by_content(event_type, event),
        event_type=event_type,
        subject=digits(user["id"]),
        course=digits(course["id"]),
        data=shape(user, course, enrollment, confirmed=False),
    )


def _by_content(event_type: str, event: JsonObject) -> str:
    lasting = {name: value for name, value in event.items() if name != "hook_event_id"}
    return f"{event_type}:{hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()}"
