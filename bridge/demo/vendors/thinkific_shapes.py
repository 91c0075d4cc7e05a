"""How Thinkific's Admin API writes its records, and how it filters enrolments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bridge.demo.vendors.thinkific_school import Enrolment, Person, School

_TIMES: Final = ("on", "before", "on_or_before", "after")
ENROLMENT_FILTERS: Final = frozenset(
    f"query[{name}]"
    for name in (
        *("user_id", "course_id", "email", "free_trial", "full", "completed", "expired", "created_on_or_after"),
        *(f"{what}_{when}" for what in ("created", "updated") for when in _TIMES),
    )
)
USER_FILTERS: Final = frozenset(
    f"query[{name}]"
    for name in (
        *("email", "role", "external_source", "group_id"),
        *("custom_profile_field_label", "custom_profile_field_value"),
    )
)


def enrolment(school: School, one: Enrolment) -> dict[str, Any]:
    """Returns an enrolment; no word about certificates."""
    user = school.users.get(one.user_id)
    return {
        "id": one.id,
        "created_at": one.created_at,
        "user_email": user.email if user else None,
        "user_name": user.full_name if user else None,
        "expiry_date": one.expiry_date,
        "user_id": one.user_id,
        "course_name": school.courses[one.course_id],
        "course_id": one.course_id,
        "percentage_completed": one.percentage_completed,
        "completed_at": one.completed_at,
        "expired": one.expired,
        "is_free_trial": one.is_free_trial,
        "completed": one.completed_at is not None,
        "started_at": one.started_at,
        "activated_at": one.activated_at,
        "updated_at": one.updated_at,
    }


def wanted(school: School, one: Enrolment, filters: Mapping[str, str | datetime], *, by_day: bool) -> bool:
    """Tells whether an enrolment passes the filters, by their names without `query[…]`."""
    user = school.users.get(one.user_id)
    facts = {
        "user_id": str(one.user_id),
        "course_id": str(one.course_id),
        "email": user.email.lower() if user else "",
        "free_trial": _flag(one.is_free_trial),
        "full": _flag(not one.is_free_trial),
        "completed": _flag(one.completed_at is not None),
        "expired": _flag(one.expired),
    }
    for word, value in filters.items():
        if isinstance(value, datetime):
            if not _in_time(one, word, value, by_day=by_day):
                return False
        elif facts[word] != value.lower():
            return False
    return True


def person(school: School, one: Person) -> dict[str, Any]:
    """Returns a user with the values of custom profile fields."""
    return {
        "id": one.id,
        "created_at": one.created_at,
        "first_name": one.first_name,
        "last_name": one.last_name,
        "full_name": one.full_name,
        "company": one.company,
        "email": one.email,
        "roles": [],
        "avatar_url": None,
        "bio": None,
        "headline": None,
        "affiliate_code": None,
        "external_source": None,
        "affiliate_commission": None,
        "affiliate_commission_type": "%",
        "affiliate_payout_email": None,
        "administered_course_ids": None,
        "custom_profile_fields": [
            {
                "id": 1000 * one.id + number,
                "value": value,
                "label": school.definitions[number].label,
                "custom_profile_field_definition_id": number,
            }
            for number, value in sorted(one.fields.items())
        ],
    }


def course(number: int, name: str) -> dict[str, Any]:
    """Returns a course."""
    return {
        "id": number,
        "name": name,
        "slug": re.sub(r"[^a-z0-9]+", "-", name.lower()),
        "subtitle": None,
        "product_id": number + 1000,
        "description": None,
        "course_card_text": None,
        "intro_video_youtube": None,
        "contact_information": None,
        "keywords": None,
        "duration": None,
        "banner_image_url": None,
        "course_card_image_url": None,
        "intro_video_wistia_identifier": None,
        "administrator_user_ids": [],
        "chapter_ids": [number * 10],
        "reviews_enabled": False,
        "user_id": None,
        "instructor_id": 1,
    }


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _in_time(one: Enrolment, word: str, limit: datetime, *, by_day: bool) -> bool:
    what, _, when = word.partition("_")
    at = datetime.fromisoformat(one.created_at if what == "created" else one.updated_at)
    days = (at.date(), limit.date())
    if when == "on":
        return days[0] == days[1]
    # With `by_day` a limit of 14:30 asks for the days after that one; nobody documents which of the two it is.
    left, right = days if by_day else (at, limit)
    results = {
        "before": left < right,
        "on_or_before": left <= right,
        "after": left > right,
        "on_or_after": left >= right,
    }
    return results[when]
