"""Tries what a HubSpot source needs and says what is missing: token, account, scopes, properties, courses."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Final

from bridge.core.answers import section, sections
from bridge.core.connector import ApiClient, CourseFound, Finding
from bridge.core.errors import BridgeError, PermanentError
from connectors.hubspot import scopes
from connectors.hubspot.answers import read
from connectors.hubspot.crm import crm, missing
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import identifier, word

# Says whose a token is and what it may do.
# https://developers.hubspot.com/docs/apps/legacy-apps/private-apps/overview
_TOKEN_INFO: Final = "/oauth/v2/private-apps/get/access-token-info"  # noqa: S105 (a path)
# The types of https://developers.hubspot.com/docs/api-reference/crm-properties-v3/guide
_DATES: Final = frozenset({"date", "datetime"})
_WRITTEN_TEXT: Final = ("single-line text", frozenset({"string"}))
_WRITTEN_DATE: Final = ("a date", frozenset({"date", "string"}))
_DATE_ADVICE: Final = (
    "Name a date property as completed_at_property (beside a checkbox, or a status with completed_value); the poll "
    "cannot do without."
)
_LISTED: Final = 20
_DEFINED: Final = frozenset({"email", "firstname", "lastname", "hs_language", "hs_merged_object_ids"})


def diagnose(api: ApiClient, settings: HubSpotSettings) -> Iterator[Finding]:
    """Yields what works and what does not."""
    if settings.token is None:
        yield Finding("ok", "No token is set: only complete workflow webhooks are taken, and nothing is written back.")
        return
    try:
        given = yield from _token(api, settings)
        yield from _properties(api, settings, given)
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
    if name is None:
        raise PermanentError("Set course_property: where it is a dropdown, its options are listed.", code="no_courses")
    definition = crm(api, settings).property(name)
    if definition is None:
        raise PermanentError(missing(name), code="no_property")
    listed = sections(definition.get("options"))
    if not listed:
        raise PermanentError(
            f"HubSpot has no list of courses: {name} (course_property) is no dropdown. Write what it holds under "
            "`courses` in the mapping, letter by letter.",
            code="no_courses",
        )
    for option in listed:
        value = word(option.get("value"))
        if value is not None:
            yield CourseFound(value, word(option.get("label")) or value)


def _token(api: ApiClient, settings: HubSpotSettings) -> Generator[Finding, None, frozenset[str] | None]:
    """Returns the scopes; None where HubSpot does not tell."""
    assert settings.token is not None
    try:
        info = read(api.request("POST", _TOKEN_INFO, json={"tokenKey": settings.token.get_secret_value()}))
    except PermanentError as error:
        if error.stable_code == "http_401":
            raise
        yield Finding("warning", "HubSpot does not tell what this token may do; the following tries it.")
        return None
    account = identifier(info.get("hubId"))
    if settings.portal_id is not None and account != settings.portal_id:
        message = f"The token belongs to the HubSpot account {account}, but portal_id is {settings.portal_id}."
        yield Finding("error", message)
    else:
        yield Finding("ok", f"The token works. It belongs to the HubSpot account {account} (portal_id).")
    listed = info.get("scopes")
    found = frozenset(str(scope) for scope in listed) if isinstance(listed, list) else frozenset[str]()
    for scope in _needed(settings):
        if scope not in found:
            yield Finding("error", f"The token lacks the scope {scope}: add it to the app or key in HubSpot.")
    return found


def _needed(settings: HubSpotSettings) -> list[str]:
    back = settings.write_back
    writes = [scopes.WRITE] if settings.written or back.note else []
    return [scopes.READ, *writes, *([scopes.EVENTS] if back.event else [])]


def _properties(api: ApiClient, settings: HubSpotSettings, given: frozenset[str] | None) -> Iterator[Finding]:
    account = crm(api, settings)
    if not settings.watched:
        yield Finding(
            "warning", "Neither completed_property nor courses is set: only workflow webhooks bring completions."
        )
    for name in dict.fromkeys([*settings.read_properties, *sorted(settings.written)]):
        if name in _DEFINED:
            continue
        definition = account.property(name)
        yield _property(name, definition, settings)
        if definition is not None and given is not None:
            yield from _sensitive(name, definition, given, written=name in settings.written)


def _sensitive(
    name: str, definition: Mapping[str, object], given: frozenset[str], *, written: bool
) -> Iterator[Finding]:
    """Names the scopes without which HubSpot hides a property: what is hidden is neither read nor written over."""
    if definition.get("dataSensitivity") not in ("sensitive", "highly_sensitive"):
        return
    for scope in scopes.sensitive(definition)[: 2 if written else 1]:
        if not scopes.given(scope, given):
            yield Finding(
                "error", f"The contact property {name} holds sensitive data: the token lacks the scope {scope}."
            )


def _property(name: str, definition: Mapping[str, object] | None, settings: HubSpotSettings) -> Finding:
    if definition is None:
        return Finding("error", missing(name))
    kind, subject = word(definition.get("type")), f"The contact property {name}"
    options = [str(one.get("value")) for one in sections(definition.get("options"))]
    if name in settings.written:
        wanted, fitting = _WRITTEN_DATE if name == settings.write_back.issued_property else _WRITTEN_TEXT
        if kind and kind not in fitting:
            return Finding("error", f"{subject} has to be {wanted}, but is of the type {kind}. Name another one.")
        if section(definition.get("modificationMetadata")).get("readOnlyValue") is True:
            return Finding("error", f"{subject} cannot be written: HubSpot itself fills it. Name another one.")
    elif name == settings.completed_at_property or (name in settings.watched and not settings.completed_at_property):
        if kind and kind not in _DATES:
            return Finding("warning", f"{subject} is of the type {kind}, which tells no date. {_DATE_ADVICE}")
    elif name in settings.watched and options and settings.completed_value not in (None, *options):
        known = ", ".join(options[:_LISTED])
        text = f"{subject} has no option with the internal name {settings.completed_value} (completed_value); it has:"
        return Finding("error", f"{text} {known}.")
    return Finding("ok", f"HubSpot has the contact property {name}.")
