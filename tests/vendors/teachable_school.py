"""The people, courses and enrolments of a small Teachable school, and what it sends for a completed course."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge.demo.vendors.json_vendor import Delivery, written

SCHOOL = 145222


@dataclass
class Student:
    """A user; Teachable knows one name, which may be missing."""

    id: int
    name: str | None
    email: str
    src: str | None = None
    """The sign-up source, the only free text that can be written."""
    tags: list[str] = field(default_factory=list)
    sign_in_count: int = 4


@dataclass
class TeachableCourse:
    """A course; the description may be a long page of HTML."""

    id: int
    name: str
    description: str = "<p>Everything about the course</p>"
    lectures: int = 2


@dataclass
class TeachableEnrolment:
    """A student in a course; times as the API writes them."""

    id: int
    user_id: int
    course_id: int
    enrolled_at: str
    percent_complete: int = 0
    completed_at: str | None = None
    expires_at: str | None = None
    active: bool = True
    serial_number: str | None = None
    """Of Teachable's own certificate."""
    certified_at: str | None = None


@dataclass
class TeachableWebhook:
    """One address, made on the admin page; `as_array` is the switch there."""

    id: int
    url: str
    trigger: str = "Enrollment.completed"
    """One event, or "All events"."""
    as_array: bool = False
    state: str = "pending"
    """pending, verified or failed; deleted ones stay in the list."""
    count: int = 0


@dataclass
class DeliveryEvent:
    """One delivery in the history of a webhook; it names neither user nor course."""

    id: int
    webhook_id: int
    state: str
    attempts: int
    last_attempted_at: str
    created_at: str
    object_id: int
    status: int | None
    """What the receiver answered."""


class TeachableSchool:
    """Everything the stand-in knows; change it freely while holding the stand-in's lock."""

    def __init__(self) -> None:
        self.users: dict[int, Student] = {}
        self.courses: dict[int, TeachableCourse] = {}
        self.enrolments: dict[tuple[int, int], TeachableEnrolment] = {}
        """By user and course."""
        self.webhooks: dict[int, TeachableWebhook] = {}
        self.events: list[DeliveryEvent] = []
        self.bare_events = False
        """Leave out of webhooks what nobody has seen in one: percentage and the times of the enrolment."""
        self._seed()

    def add(self, *records: Student | TeachableCourse) -> None:
        """Adds or replaces records."""
        for record in records:
            if isinstance(record, Student):
                self.users[record.id] = record
            else:
                self.courses[record.id] = record

    def enrol(self, user_id: int, course_id: int, at: datetime) -> TeachableEnrolment:
        """Puts a student into a course."""
        number = 900000000 + len(self.enrolments) + 1
        found = TeachableEnrolment(number, user_id, course_id, written(at, milliseconds=False))
        self.enrolments[user_id, course_id] = found
        return found

    def unenrol(self, user_id: int, course_id: int) -> None:
        """Ends an enrolment; whatever was completed stays completed."""
        self.enrolments[user_id, course_id].active = False

    def delete_course(self, course_id: int) -> None:
        """Deletes a course with its enrolments."""
        del self.courses[course_id]
        for key in [key for key in self.enrolments if key[1] == course_id]:
            del self.enrolments[key]

    def reopen(self, user_id: int, course_id: int, percent: int = 80) -> None:
        """Takes a completion back, as new content in the course does; it can be completed again."""
        enrolment = self.enrolments[user_id, course_id]
        enrolment.percent_complete, enrolment.completed_at = percent, None

    def add_webhook(
        self, url: str, trigger: str = "Enrollment.completed", *, as_array: bool = False
    ) -> TeachableWebhook:
        """Makes a webhook as the admin does on the page."""
        found = TeachableWebhook(77 + len(self.webhooks), url, trigger, as_array)
        self.webhooks[found.id] = found
        return found

    def complete(self, user_id: int, course_id: int, at: datetime, *, answered: int | None = 200) -> list[Delivery]:
        """Makes a student complete a course; returns what is sent to each webhook that listens to it.

        `answered` is what the history will say the receiver answered: from 300 on the deliveries were given up (return
        them to nobody), and the webhook is `failed`.
        """
        enrolment = self.enrolments[user_id, course_id]
        enrolment.completed_at, enrolment.percent_complete = written(at, milliseconds=False), 100
        return self.deliveries("Enrollment.completed", enrolment, at, answered=answered)

    def deliveries(
        self, kind: str, enrolment: TeachableEnrolment, at: datetime, *, answered: int | None = 200
    ) -> list[Delivery]:
        """Returns an event about an enrolment for each webhook that listens to it, and writes it into the history."""
        found = []
        for webhook in self.webhooks.values():
            if webhook.trigger not in (kind, "All events"):
                continue
            webhook.count += 1
            # `hook_event_id` counts per webhook, as far as anybody has seen: two webhooks give the same number.
            event = self.event(kind, enrolment, at, hook_event_id=webhook.count)
            self._remember(webhook, enrolment, at, answered)
            body = json.dumps([event] if webhook.as_array else event).encode()
            found.append(Delivery(webhook.url, {"Content-Type": "application/json"}, body))
        return found

    def event(
        self, kind: str, enrolment: TeachableEnrolment, at: datetime, *, hook_event_id: int = 1
    ) -> dict[str, Any]:
        """Returns the body of one event, as an object; unsigned, like everything Teachable sends."""
        user, course = self.users[enrolment.user_id], self.courses[enrolment.course_id]
        told = {
            "id": enrolment.id,
            "course_id": course.id,
            "user_id": user.id,
            "enrolled_at": enrolment.enrolled_at,
            "completed_at": enrolment.completed_at,
            "percent_complete": enrolment.percent_complete,
            "course": {"id": course.id, "name": course.name, "description": course.description},
            "user": {
                "id": user.id,
                "role": "student",
                "email": user.email,
                "name": user.name,
                "school_id": SCHOOL,
                "src": user.src,
                "sign_in_count": user.sign_in_count,
            },
        }
        doubtful = {"enrolled_at", "completed_at", "percent_complete"} if self.bare_events else set()
        return {
            "type": kind,
            "id": enrolment.id,
            "livemode": True,
            "created": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"),  # inner times have a Z
            "hook_event_id": hook_event_id,
            "object": {key: value for key, value in told.items() if key not in doubtful},
        }

    def _remember(
        self, webhook: TeachableWebhook, enrolment: TeachableEnrolment, at: datetime, answered: int | None
    ) -> None:
        lost = answered is None or answered >= 300
        webhook.state = "failed" if lost else "verified"
        moment = written(at, milliseconds=False)
        number, state, attempts = len(self.events) + 1, webhook.state, 5 if lost else 1
        self.events.append(DeliveryEvent(number, webhook.id, state, attempts, moment, moment, enrolment.id, answered))

    def _seed(self) -> None:
        self.add(
            Student(15747624, "Dana Okafor", "dana@example.invalid", tags=["vip"]),
            Student(15747625, "MARIA", "maria@example.invalid", src="spring-campaign"),
            Student(15747626, None, "noname@example.invalid", sign_in_count=0),
            TeachableCourse(302950, "Safety Basics"),
            TeachableCourse(302951, "Forklift Operator", lectures=3),
        )
        for number, (user, course) in enumerate(
            ((15747624, 302950), (15747625, 302950), (15747626, 302950), (15747624, 302951))
        ):
            self.enrol(user, course, datetime(2026, 1, 5 + number, 10, tzinfo=UTC))
        self.enrolments[15747625, 302950].percent_complete = 55
        done = self.enrolments[15747624, 302950]
        done.completed_at, done.percent_complete = "2026-02-14T14:30:10Z", 100
        done.serial_number, done.certified_at = "cert_abc123xyz", "2026-02-14T14:30:12Z"
