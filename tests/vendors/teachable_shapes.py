"""How Teachable's API writes its records, as client authors saw it live."""

from __future__ import annotations

from typing import Any

from vendors.teachable_school import (
    DeliveryEvent,
    Student,
    TeachableCourse,
    TeachableEnrolment,
    TeachableSchool,
    TeachableWebhook,
)


def user(school: TeachableSchool, one: Student) -> dict[str, Any]:
    """Returns a user, not wrapped in anything; courses that were left are among them."""
    return {
        "id": one.id,
        "email": one.email,
        "name": one.name,
        "src": one.src,
        "role": "student",
        "last_sign_in_at": "2026-02-14T14:00:00Z" if one.sign_in_count else None,
        "last_sign_in_ip": None,
        "sign_in_count": one.sign_in_count,
        "tags": [{"name": name} for name in one.tags],
        "courses": [
            {
                "course_id": enrolment.course_id,
                "course_name": school.courses[enrolment.course_id].name,
                "enrolled_at": enrolment.enrolled_at,
                "percent_complete": enrolment.percent_complete,
                "completed_at": enrolment.completed_at,
                "is_active_enrollment": enrolment.active,
            }
            for enrolment in school.enrolments.values()
            if enrolment.user_id == one.id
        ],
    }


def course(one: TeachableCourse) -> dict[str, Any]:
    """Returns a course as lists have it."""
    return {
        "id": one.id,
        "name": one.name,
        "heading": None,
        "description": one.description,
        "is_published": True,
        "image_url": None,
    }


def full_course(one: TeachableCourse) -> dict[str, Any]:
    """Returns a course with its sections; the author's user is null whatever the documentation says."""
    lectures = [{"id": one.id * 10 + number, "position": number, "is_published": True} for number in _lectures(one)]
    section = {"id": 1, "name": "Module 1", "is_published": True, "position": 1, "lectures": lectures}
    author = {"user_id": None, "name": "A. Teacher", "bio": "<p>Teaches</p>", "profile_image_url": None}
    return course(one) | {"lecture_sections": [section], "author_bio": author}


def enrolment(one: TeachableEnrolment) -> dict[str, Any]:
    """Returns a row of a course's enrolments: no address, no name."""
    return {
        "user_id": one.user_id,
        "enrolled_at": one.enrolled_at,
        "expires_at": one.expires_at,
        "completed_at": one.completed_at,
        "percent_complete": one.percent_complete,
    }


def progress(one: TeachableCourse, of: TeachableEnrolment) -> dict[str, Any]:
    """Returns the progress of one student; there are no sections, and a total of 0, until something was done."""
    begun = of.percent_complete > 0
    lectures = [
        {
            "id": one.id * 10 + number,
            "name": f"Lesson {number}",
            "is_completed": 100 * number <= of.percent_complete * one.lectures,
            "completed_at": of.completed_at,
        }
        for number in _lectures(one)
    ]
    certificate: dict[str, Any] = {"page_id": None, "issued_at": None, "serial_number": None}
    if of.serial_number:
        certificate = {"page_id": 12345, "issued_at": of.certified_at, "serial_number": of.serial_number}
    found = {
        "id": one.id,
        "certificate": certificate,
        "completed_at": of.completed_at,
        "enrolled_at": of.enrolled_at,
        "percent_complete": of.percent_complete,
        "lecture_sections": [{"id": 1, "name": "Module 1", "lectures": lectures}] if begun else [],
    }
    return {"course_progress": found, "meta": {"total": one.lectures if begun else 0}}


def webhook(one: TeachableWebhook) -> dict[str, Any]:
    """Returns a webhook."""
    return {
        "id": one.id,
        "workflow_state": one.state,
        "url": one.url,
        "event_trigger": one.trigger,
        "webhook_events_count": one.count,
    }


def event(one: DeliveryEvent) -> dict[str, Any]:
    """Returns one delivery."""
    return {
        "id": one.id,
        "workflow_state": one.state,
        "webhook_id": one.webhook_id,
        "attempt_count": one.attempts,
        "last_attempted_at": one.last_attempted_at,
        "created_at": one.created_at,
        "object_type": "Enrollment",
        "object_id": one.object_id,
        "response_http_status": one.status,
    }


def _lectures(one: TeachableCourse) -> range:
    return range(1, one.lectures + 1)
