"""Cuts a webhook of Thinkific into our event, and says which topics are no completion."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from bridge.core.errors import PayloadError
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.payload import read_object

COMPLETED: Final = "enrollment.completed"
# Thinkific's topic -> why it brings no certificate.
# https://support.thinkific.dev/hc/en-us/articles/4422658311703-Webhooks-Documentation
_NOT_A_COMPLETION: Final = MappingProxyType(
    {
        "enrollment.created": "A learner was enrolled; nothing is completed yet.",
        "enrollment.trial": "A free preview began; nothing is completed yet.",
        "enrollment.progress": "A learner made progress; Thinkific sends enrollment.completed at 100 %.",
        "lesson.completed": "One lesson was completed, not the course.",
        "quiz.attempted": "A quiz was attempted; the course may not be completed yet.",
        "order.created": "A course was bought; nothing is completed yet.",
        "user.signup": "A learner signed up; nothing is completed yet.",
        "user.signin": "A learner signed in; nothing is completed yet.",
        "user.updated": "A learner's profile changed; certbridge causes this itself when it writes a number.",
    }
)
EVENT_TYPES: Final = frozenset({COMPLETED, *_NOT_A_COMPLETION})
_TEST_MARK: Final = "[TEST]"


def cut(body: bytes, headers: Mapping[str, str]) -> SourceEvent:
    """Returns the event; the envelope's `id` survives redelivery. Raises PayloadError."""
    envelope = read_object(body)
    topic = _topic(envelope, headers)
    data = _object(envelope.get("payload"))
    if topic == COMPLETED and not data:
        raise PayloadError("The event enrollment.completed came without a payload.")
    user, course = _object(data.get("user")), _object(data.get("course"))
    tenant = identifier(envelope.get("tenant_id")) or identifier(envelope.get("tenant_global_id")) or "-"
    number = identifier(envelope.get("id"))
    return SourceEvent(
        event_id=f"{tenant}:{number}" if number else f"sha256:{hashlib.sha256(body).hexdigest()}",
        event_type=topic,
        subject=identifier(user.get("id")),
        course=identifier(data.get("course_id")) or identifier(course.get("id")),
        keys=_keys(tenant, data) if topic == COMPLETED else (),
        occurred_at=instant(envelope.get("created_at")),
        data=data,
        skip=_admin_test(user) or _NOT_A_COMPLETION.get(topic),
    )


def identifier(value: object) -> str | None:
    """Returns an id that came as a number or as text, as text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= 100 else None


def _topic(envelope: Mapping[str, object], headers: Mapping[str, str]) -> str:
    """Returns the topic; from the body, which is signed, before the header, which is not."""
    resource, action = envelope.get("resource"), envelope.get("action")
    if isinstance(resource, str) and isinstance(action, str) and resource and action:
        topic = f"{resource}.{action}"
    else:
        topic = headers.get("x-thinkific-topic", "")
    topic = topic.strip().lower()
    if not 0 < len(topic) <= 100:
        raise PayloadError("The body names no resource and action, so it is no webhook of Thinkific.")
    return topic


def _keys(tenant: str, data: JsonObject) -> tuple[str, ...]:
    """Returns the enrolment with its completion time: completing the same enrolment again later is a new completion.

    Whether that makes a new certificate is decided by `again:` in the mapping (the default: it does not).
    """
    enrolment, completed_at = identifier(data.get("id")), identifier(data.get("completed_at"))
    if enrolment is None:
        return ()
    return f"enrollment:{tenant}:{enrolment}@{completed_at or '-'}", completion_key(enrolment, instant(completed_at))


def completion_key(enrolment: str, completed_at: datetime | None) -> str:
    """Returns what a webhook and a poll have in common: a poll does not say which site it is, nor perhaps milliseconds.

    Enrolments are numbered across all sites of Thinkific.
    """
    return f"enrollment:{enrolment}@{int(completed_at.timestamp()) if completed_at else '-'}"


def _admin_test(user: JsonObject) -> str | None:
    # The test button puts "[TEST] " in front of address and name; its dates are years old, so age says nothing.
    marked = [str(user.get(field)).startswith(_TEST_MARK) for field in ("email", "first_name")]
    return "This is a test from Thinkific's admin page; it works, and it is no learner." if any(marked) else None


def instant(value: object) -> datetime | None:
    """Returns a time as UTC; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
