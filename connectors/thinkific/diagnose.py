"""Tries what a Thinkific source needs: the key, the list of enrolments, the profile fields."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.core.answers import listed
from bridge.core.connector import ApiClient, Finding
from bridge.core.errors import BridgeError
from connectors.thinkific import profile_field
from connectors.thinkific.admin_api import read
from connectors.thinkific.events import identifier
from connectors.thinkific.settings import ThinkificSettings


def findings(api: ApiClient, settings: ThinkificSettings) -> Iterator[Finding]:
    """Yields one line for each thing that works or is missing."""
    if not settings.has_api:
        yield Finding(
            "warning",
            "Without api_key (or access_token) nothing is polled or written back: a webhook that got lost stays lost.",
        )
        return
    try:
        rows = listed(read(api.request("GET", "/enrollments", query={"page": "1", "limit": "1"})), "items", "Thinkific")
        yield Finding("ok", "Enrolments can be read with this key.")
        yield from _profile_fields(api, settings, identifier(rows[0].get("user_id")) if rows else None)
    except BridgeError as error:
        yield Finding("error", str(error))


def _profile_fields(api: ApiClient, settings: ThinkificSettings, learner: str | None) -> Iterator[Finding]:
    wanted = {settings.profile_field, *settings.profile_field_by_course.values()} - {None}
    if not wanted:
        yield Finding("ok", "Nothing is written back to Thinkific: `profile_field` is not set.")
        return
    labels = profile_field.definitions(api)
    for label in sorted(filter(None, wanted)):
        known = label in labels
        yield Finding(
            "ok" if known else "error",
            f"Thinkific {'has a' if known else 'has no'} custom profile field labelled {label!r}.",
        )
    if learner is None:
        yield Finding("warning", "Whether a learner's profile fields are shown cannot be told: nobody is enrolled yet.")
        return
    profile_field.values(learner, api)
    yield Finding("ok", "A learner's custom profile fields are shown.")
