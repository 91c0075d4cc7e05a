"""The people and happenings that the plain APIs begin with, and how new ones look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bridge.demo.vendors.json_vendor import written

COMPLETED = "http://adlnet.gov/expapi/verbs/completed"
PROGRESS = ("completion_status", "completion_percentage", "score", "completed_on")
COURSE = "http://adlnet.gov/expapi/activities/course"


def users() -> dict[int, dict[str, Any]]:
    """Returns the learners of the platform, by id."""
    names = ((1, "Dana", "Okafor"), (2, "Maria", "Silva"), (3, "Colin", ""))
    return {number: _user(number, name, surname) for number, name, surname in names}


def progress(user_id: int, course_id: int, at: datetime, score: float) -> dict[str, Any]:
    """Returns the progress of somebody who completed a course."""
    return {
        "user_id": user_id,
        "course_id": course_id,
        "completion_status": "completed",
        "completion_percentage": 100,
        "score": score,
        "completed_on": zoned(at),
    }


def begun(user_id: int, course_id: int) -> dict[str, Any]:
    """Returns the progress of somebody who is in the middle of a course."""
    return {
        "user_id": user_id,
        "course_id": course_id,
        "completion_status": "incomplete",
        "completion_percentage": 40,
        "score": None,
        "completed_on": None,
    }


def attendees() -> dict[str, dict[str, Any]]:
    """Returns the attendees of one event, by id; two came with one order, and one is nobody yet."""
    return {
        one["id"]: one
        for one in (
            _attendee("987654321", "5001", "Dana", "Okafor", "dana@example.invalid"),
            _attendee("987654322", "5002", "Maria", "Silva", "maria@example.invalid"),
            _attendee("987654323", "5002", "Info", "Requested", "maria@example.invalid"),
        )
    }


def completed(number: int, email: str, name: str, course: str, at: datetime, **changes: Any) -> dict[str, Any]:
    """Returns an xAPI statement "completed"; its id is made from the number, `changes` replace top-level keys."""
    statement = {
        "id": f"6690e6c9-3ef0-4ed3-8b37-{number:012x}",
        "actor": {"objectType": "Agent", "name": name, "mbox": f"mailto:{email}"},
        "verb": {"id": COMPLETED, "display": {"en-US": "completed"}},
        "object": {
            "objectType": "Activity",
            "id": course,
            "definition": {"type": COURSE, "name": {"en-US": "Safety Basics", "de-DE": "Grundlagen der Sicherheit"}},
        },
        "result": {"completion": True, "success": True, "score": {"scaled": 0.93}},
        "timestamp": written(at),
        "stored": written(at),
    }
    return statement | changes


def voided(number: int, statement: str, at: datetime) -> dict[str, Any]:
    """Returns the xAPI statement that voids another one, as somebody who is no learner makes it."""
    return completed(
        number,
        "admin@example.invalid",
        "Admin",
        "",
        at,
        verb={"id": "http://adlnet.gov/expapi/verbs/voided", "display": {"en-US": "voided"}},
        object={"objectType": "StatementRef", "id": statement},
        result={},
    )


def zoned(at: datetime) -> str:
    """Writes a time in UTC with an offset and without milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _user(number: int, name: str, surname: str) -> dict[str, Any]:
    return {
        "id": number,
        "login": name.lower(),
        "name": name,
        "surname": surname,
        "email": f"{name.lower()}@example.invalid",
        "timezone": None,
        "language": None,
        "type": "Learner-Instructor",
        "registration": "2026-01-05T10:00:00+00:00",
        "last_login": None,
        "status": "active",
        "last_updated": "2026-01-05T10:00:00+00:00",
        "custom_fields": [{"id": 1, "name": "Certificate ID", "value": None, "type": "text"}],
    }


def _attendee(number: str, order: str, first: str, last: str, email: str) -> dict[str, Any]:
    moment = "2026-01-05T10:00:00+00:00"
    return {
        "id": number,
        "event_id": "1234567890",
        "order_id": order,
        "created": moment,
        "changed": moment,
        "checked_in": False,
        "cancelled": False,
        "status": "Attending",
        "profile": {"first_name": first, "last_name": last, "name": f"{first} {last}", "email": email},
    }
