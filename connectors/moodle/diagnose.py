"""Tries what a Moodle source needs and says what is missing: functions by asking, capabilities by careful reading."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from bridge.core.answers import sections
from bridge.core.connector import Finding
from bridge.core.errors import BridgeError, PayloadError, PermanentError
from bridge.core.models import JsonObject
from connectors.moodle import diagnose_fields, participants, report, rights
from connectors.moodle.record import completed_time, completion_status
from connectors.moodle.rest import Rest, Site
from connectors.moodle.settings import MoodleSettings

_COURSES = 20
_LONG_REPORT = 5_000


def findings(rest: Rest, settings: MoodleSettings) -> Iterator[Finding]:
    """Yields one line for each thing that works or is missing."""
    try:
        site = rest.site()
    except BridgeError as error:
        yield Finding("error", str(error))
        return
    yield Finding("ok", f"{site.name}, Moodle {site.release}: the token works.")
    missing = []
    for need in rights.needs(settings):
        for function in sorted(set(need.functions) - site.functions):
            missing.append(function)
            optional = need is rights.FIND and settings.polled_courses is None
            yield _missing(function, need, "warning" if optional else "error")
    if missing:
        return  # what follows would only repeat it
    for probe in (_reading(rest, site, settings), _report(rest, settings)):
        try:
            yield from probe
        except BridgeError as error:
            yield Finding("error", str(error))
    yield _unseen(settings)


def _missing(function: str, need: rights.Need, level: Literal["warning", "error"]) -> Finding:
    return Finding(
        level,
        f"The token may not call {function}: add it to the external service of the token (for: {need.task}; the role "
        f"then needs {', '.join(need.capabilities)}).",
    )


def _reading(rest: Rest, site: Site, settings: MoodleSettings) -> Iterator[Finding]:
    """Looks at a few learners of the first courses that have any; every empty answer may be a missing capability."""
    courses = [course for course in participants.all_courses(rest) if course.get("enablecompletion") in (1, True)]
    if not courses:
        yield Finding(
            "error",
            "Moodle shows certbridge no course with completion. Either none has it (course settings, Completion "
            "tracking), or the role of the service account is not given at site level or lacks moodle/course:view.",
        )
        return
    for course in courses[:_COURSES]:
        number = str(course["id"])
        learners = [one for one in participants.enrolled(rest, number, limit=5) if str(one) != site.account]
        if learners:
            yield from _learners(rest, number, learners, settings)
            if settings.write_back.note:
                rest.call("core_notes_get_course_notes", {"courseid": number, "userid": str(learners[0])})
                yield Finding("ok", "Notes can be read.")
            return
    yield Finding(
        "warning",
        f"Moodle shows certbridge no participants in any of {len(courses[:_COURSES])} courses. If there are any, the "
        "role of the service account lacks moodle/course:viewparticipants or moodle/user:viewdetails.",
    )


def _learners(rest: Rest, course: str, learners: list[int], settings: MoodleSettings) -> Iterator[Finding]:
    arguments = {f"values[{at}]": str(learner) for at, learner in enumerate(learners)}
    users = sections(rest.call("core_user_get_users_by_field", {"field": "id", **arguments}))
    if not users:
        yield Finding("error", "Every look-up of a learner is empty: the role lacks moodle/user:viewdetails.")
    elif not any(user.get("email") for user in users):
        yield Finding(
            "error",
            "Learners come without e-mail address: give the role moodle/site:viewuseridentity, and tick the address "
            "under Site administration, Users, Permissions, User policies, Show user identity.",
        )
    else:
        yield Finding("ok", "Learners can be read, with their addresses.")
    if users:
        yield from diagnose_fields.findings(rest, users, settings.write_back)
    if not any(sections(rest.call("core_enrol_get_users_courses", {"userid": str(one)})) for one in learners):
        yield Finding(
            "error", "Every list of a learner's courses is empty: the role lacks moodle/course:viewparticipants."
        )
    try:
        completion_status(rest, str(learners[0]), course)
    except PermanentError as error:
        if error.stable_code not in ("usernotenroled", "nocriteriaset", "userdeleted"):
            raise
    yield Finding("ok", "Completions can be read.")


def _report(rest: Rest, settings: MoodleSettings) -> Iterator[Finding]:
    if settings.poll.report is None:
        return
    number = report.number_of(rest, settings.poll.report)
    found = report.retrieve(rest, number, 0, 5)
    events = list(report.completions(found, datetime.min.replace(tzinfo=UTC)))
    yield Finding("ok", f"Report {settings.poll.report!r}: {found.total} rows, the newest page can be read.")
    if found.total > _LONG_REPORT:
        yield Finding("warning", 'The report is long. Give it the condition "Time completed" in the last 30 days.')
    for event in events[:1]:
        yield from _zone(rest, event.data["event"])


def _zone(rest: Rest, shown: JsonObject) -> Iterator[Finding]:
    """Compares the time the report shows with the time Moodle stored; hours between them are the wrong zone."""
    try:
        time = completed_time(completion_status(rest, str(shown["relateduserid"]), str(shown["courseid"])))
    except (PermanentError, PayloadError):
        return  # suspended since: nothing to compare with
    if time is not None and abs(time - shown["timecreated"]) >= 900 and (time - shown["timecreated"]) % 900 < 60:
        yield Finding(
            "warning",
            "The report shows times in another zone than UTC. In the profile of the service account set the time zone "
            "to UTC, so that polls do not ask about known completions again.",
        )


def _unseen(settings: MoodleSettings) -> Finding:
    names = ", ".join(dict.fromkeys(name for need in rights.needs(settings) for name in need.capabilities))
    return Finding(
        "ok",
        f"The role needs, at site level: {names}. Of writing notes, activities and messages it shows when they are "
        "first used.",
    )
