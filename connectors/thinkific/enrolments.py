"""Finds completed enrolments by asking, in the shape of the webhook's payload; the learner's name is fetched later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from bridge.core.connector import ApiClient, Page
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject, SourceEvent
from connectors.thinkific.admin_api import pages, read
from connectors.thinkific.events import COMPLETED, completion_key, identifier, instant

# Nobody has documented whether the filter counts seconds or days, nor when a record counts as updated.
_OVERLAP: Final = timedelta(days=2)
_SAME: Final = ("id", "course_id", "completed_at", "started_at", "activated_at", "expiry_date", "created_at")


def poll(api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
    """Yields what was completed and changed since two days before the last poll (the first one: before `since`).

    The cursor moves with the last page only: pages have no order, so a poll that broke off begins anew.
    """
    start = (instant(cursor.get("polled")) or since) - _OVERLAP
    query = {"query[updated_after]": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    for events in _completed(api, query):
        yield Page(events, cursor)
    yield Page((), {"polled": now.isoformat()})


def completed_by(api: ApiClient, learner: str) -> list[SourceEvent]:
    """Returns the completions of one learner, named by id or address. Raises PermanentError, TemporaryError."""
    asked = learner.strip().lower()
    by_address = "@" in asked
    if not by_address and not (asked.isascii() and asked.isdigit()):
        raise PermanentError(
            f"{asked[:60]!r} is neither an e-mail address nor a user id of Thinkific.", code="no_learner"
        )
    query = {f"query[{'email' if by_address else 'user_id'}]": asked}
    found = [event for events in _completed(api, query) for event in events]
    # A filter that Thinkific does not heed would show everybody.
    return [event for event in found if asked == (_address(event) if by_address else event.subject)]


def with_learner(event: SourceEvent, api: ApiClient) -> SourceEvent:
    """Returns a polled event with first and last name, as a webhook brings them; a webhook's own is left alone.

    A learner who is gone keeps what the list said, and is marked `deleted`. Raises PermanentError, TemporaryError.
    """
    user = event.data.get("user")
    if not isinstance(user, dict) or "full_name" not in user or not event.subject or not event.subject.isdigit():
        return event
    fields = {"email": user["email"], "first_name": user["full_name"], "last_name": "", "deleted": True}
    try:
        found = read(api.request("GET", f"/users/{event.subject}"))
        fields = {name: found.get(name) for name in ("email", "first_name", "last_name")}
    except PermanentError as error:
        if error.stable_code != "http_404":
            raise
    return event.model_copy(update={"data": {**event.data, "user": {"id": user["id"], **fields}}})


def _completed(api: ApiClient, query: Mapping[str, str]) -> Iterator[list[SourceEvent]]:
    for rows in pages(api, "/enrollments", {"query[completed]": "true", **query}):
        yield [event for event in map(_event, rows) if event is not None]


def _event(row: JsonObject) -> SourceEvent | None:
    number, completed_at = identifier(row.get("id")), instant(row.get("completed_at"))
    if number is None or row.get("completed") is False or (completed_at is None and row.get("completed") is not True):
        return None
    key = completion_key(number, completed_at)
    return SourceEvent(
        event_id=key,
        event_type=COMPLETED,
        subject=identifier(row.get("user_id")),
        course=identifier(row.get("course_id")),
        keys=(key,),
        occurred_at=completed_at,
        data=_payload(row),
    )


def _payload(row: JsonObject) -> JsonObject:
    """Returns the row in the words of the webhook. `full_name` in `user` marks that the rest of it is to be fetched."""
    return {
        **{name: row.get(name) for name in _SAME},
        "course": {"id": row.get("course_id"), "name": row.get("course_name")},
        "free_trial": row.get("is_free_trial"),
        "user": {"id": row.get("user_id"), "email": row.get("user_email"), "full_name": row.get("user_name")},
    }


def _address(event: SourceEvent) -> str:
    return str(event.data["user"]["email"] or "").strip().lower()
