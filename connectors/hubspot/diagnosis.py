"""Tries what a HubSpot source needs and says what is missing: token, account, scopes, properties, courses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.core.connector import ApiClient, CourseFound, Finding
from bridge.core.errors import BridgeError, PermanentError
from connectors.hubspot.answers import read
from connectors.hubspot.crm import crm
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import identifier, word

# Says whose a token is and what it may do.
# https://developers.hubspot.com/docs/apps/legacy-apps/private-apps/overview
_TOKEN_INFO: Final = "/oauth/v2/private-apps/get/access-token-info"  # noqa: S105 (a path)
_READ: Final = "crm.objects.contacts.read"
_WRITE: Final = "crm.objects.contacts.write"
_EVENTS: Final = "analytics.behavioral_events.send"
_DEFINED: Final = frozenset({"email", "firstname", "lastname", "hs_language", "hs_merged_object_ids"})


def diagnose(api: ApiClient, settings: HubSpotSettings) -> Iterator[Finding]:
    """Yields what works and what does not."""
    if settings.token is None:
        yield Finding("ok", "No token is set: only complete workflow webhooks are taken, and nothing is written back.")
        return
    try:
        yield from _token(api, settings)
        yield from _properties(api, settings)
    except BridgeError as error:
        yield Finding("error", str(error))


def courses(api: ApiClient, settings: HubSpotSettings) -> Iterator[CourseFound]:
    """Yields the courses: those of the settings, or the options of the property that names the course.

    Raises PermanentError where there is no such list.
    """
    if settings.courses:
        yield from (CourseFound(course, course) for course in dict.fromkeys(settings.courses.values()))
        return
    name = settings.course_property
    definition = crm(api, settings).property(name) if name else None
    options = definition.get("options") if definition else None
    listed = [one for one in options if isinstance(one, dict)] if isinstance(options, list) else []
    if not listed:
        raise PermanentError(
            "HubSpot has no list of courses. There is one where course_property is a dropdown: its options.",
            code="no_courses",
        )
    for option in listed:
        value = word(option.get("value"))
        if value is not None:
            yield CourseFound(value, word(option.get("label")) or value)


def _token(api: ApiClient, settings: HubSpotSettings) -> Iterator[Finding]:
    assert settings.token is not None
    try:
        info = read(api.request("POST", _TOKEN_INFO, json={"tokenKey": settings.token.get_secret_value()}))
    except PermanentError as error:
        if error.stable_code == "http_401":
            raise
        yield Finding("warning", "HubSpot does not tell what this token may do; the following tries it.")
        return
    account = identifier(info.get("hubId"))
    if settings.portal_id is not None and account != settings.portal_id:
        message = f"The token belongs to the HubSpot account {account}, but portal_id is {settings.portal_id}."
        yield Finding("error", message)
    else:
        yield Finding("ok", f"The token works. It belongs to the HubSpot account {account} (portal_id).")
    given = info.get("scopes")
    scopes = {str(scope) for scope in given} if isinstance(given, list) else set()
    for scope in _needed(settings):
        if scope not in scopes:
            yield Finding("error", f"The token lacks the scope {scope}: add it to the app or key in HubSpot.")


def _needed(settings: HubSpotSettings) -> list[str]:
    back = settings.write_back
    writes = [_WRITE] if settings.written or back.note else []
    return [_READ, *writes, *([_EVENTS] if back.event else [])]


def _properties(api: ApiClient, settings: HubSpotSettings) -> Iterator[Finding]:
    account = crm(api, settings)
    for name in dict.fromkeys([*settings.read_properties, *sorted(settings.written)]):
        if name in _DEFINED:
            continue
        if account.property(name) is not None:
            yield Finding("ok", f"HubSpot has the contact property {name}.")
        else:
            yield Finding(
                "error",
                f"HubSpot has no contact property with the internal name {name}. Create it (Settings, Properties), or "
                "correct its name in this source's settings.",
            )
