"""The users, courses and enrolments of a small Thinkific site."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Person:
    """A user; `fields` are values by definition id."""

    id: int
    first_name: str
    last_name: str
    email: str
    fields: dict[int, str] = field(default_factory=dict)
    company: str | None = None
    created_at: str = "2025-12-01T09:00:00.000Z"

    @property
    def full_name(self) -> str:
        """First and last name, whichever there are."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass
class Definition:
    """A custom profile field, made by the site's owner."""

    id: int
    label: str
    field_type: str = "text"
    required: bool = False


@dataclass
class Enrolment:
    """A user in a course; times as the API writes them."""

    id: int
    user_id: int
    course_id: int
    percentage_completed: str = "0.0"
    completed_at: str | None = None
    created_at: str = "2026-01-05T10:00:00.000Z"
    activated_at: str | None = "2026-01-05T10:00:00.000Z"
    started_at: str | None = None
    updated_at: str = "2026-01-05T10:00:00.000Z"
    expiry_date: str | None = None
    expired: bool = False
    is_free_trial: bool = False


class School:
    """Everything the stand-in knows; change it freely while holding the stand-in's lock."""

    def __init__(self) -> None:
        self.users: dict[int, Person] = {}
        self.definitions: dict[int, Definition] = {}
        self.enrolments: dict[int, Enrolment] = {}
        self.courses: dict[int, str] = {}
        self._seed()

    def complete(self, enrolment_id: int, at: datetime) -> Enrolment:
        """Makes an enrolment reach 100 % at this moment."""
        enrolment = self.enrolments[enrolment_id]
        enrolment.completed_at = enrolment.updated_at = _moment(at)
        enrolment.percentage_completed = "1.0"
        return enrolment

    def completed_event(self, enrolment_id: int, *, event_id: str) -> dict[str, Any]:
        """Returns the body of the webhook `enrollment.completed` for an enrolment."""
        enrolment = self.enrolments[enrolment_id]
        user = self.users[enrolment.user_id]
        return {
            "id": event_id,
            "resource": "enrollment",
            "action": "completed",
            "tenant_id": "12345",
            "tenant_global_id": "00000000-0000-4000-8000-000000000001",
            "created_at": enrolment.updated_at,
            "payload": {
                "activated_at": enrolment.activated_at,
                "certificate_expiry_date": None,
                "certificate_url": None,
                "completed_at": enrolment.completed_at,
                "course": {"id": enrolment.course_id, "name": self.courses[enrolment.course_id]},
                "course_id": enrolment.course_id,
                "created_at": enrolment.created_at,
                "credential_id": None,
                "expiry_date": enrolment.expiry_date,
                "free_trial": enrolment.is_free_trial,
                "id": enrolment.id,
                "percentage_completed": enrolment.percentage_completed,
                "started_at": enrolment.started_at,
                "updated_at": enrolment.updated_at,
                "user": {
                    "email": user.email,
                    "first_name": user.first_name,
                    "id": user.id,
                    "last_name": user.last_name,
                },
            },
        }

    def _seed(self) -> None:
        for user in (
            Person(123456, "", "OKAFOR", "DANA@Example.com"),
            Person(123457, "Maria", "Silva", "maria.silva@example.com"),
            Person(193952525, "Colin", "", "noreply@example.com"),
        ):
            self.users[user.id] = user
        for definition in (Definition(1, "Certificate ID"), Definition(2, "Phone")):
            self.definitions[definition.id] = definition
        self.courses = {68: "Safety Basics", 69: "Forklift Operator", 1264768: "Corporate Course"}
        for enrolment in (
            Enrolment(
                97472,
                123456,
                68,
                percentage_completed="1.0",
                completed_at="2026-02-14T14:30:10.900Z",
                started_at="2026-01-05T10:01:00.000Z",
                updated_at="2026-02-14T14:30:10.950Z",
            ),
            Enrolment(97473, 123457, 69, percentage_completed="0.5", started_at="2026-01-06T08:00:00.000Z"),
            Enrolment(
                479110111,
                193952525,
                1264768,
                created_at="2024-02-22T20:32:52.726Z",
                activated_at="2024-02-22T20:32:52.000Z",
                updated_at="2024-02-22T20:32:52.730Z",
                expiry_date="2025-01-17T20:32:52.000Z",
            ),
        ):
            self.enrolments[enrolment.id] = enrolment


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
