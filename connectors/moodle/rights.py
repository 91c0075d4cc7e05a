"""What certbridge needs from Moodle for each task: functions of the external service, capabilities of the role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.core.models import JsonObject
from connectors.moodle.settings import MoodleSettings


@dataclass(frozen=True, slots=True)
class Need:
    """One task: its web service functions, and the capabilities at site level without which they answer nothing."""

    task: str
    functions: tuple[str, ...]
    capabilities: tuple[str, ...]


SEES_ALL: Final = "moodle/user:viewalldetails"
"""Without it a profile field that is visible to its user only looks like an empty one: both are left out."""

# Least rights as tried out on Moodle 4.5 by adding one capability at a time.
CALL: Final = Need("call web services", ("core_webservice_get_site_info",), ("webservice/rest:use",))
READ: Final = Need(
    "read completions, learners and courses",
    (
        "core_completion_get_course_completion_status",
        "core_user_get_users_by_field",
        "core_course_get_courses_by_field",
    ),
    ("moodle/user:viewdetails", "moodle/site:viewuseridentity", "moodle/course:view", "report/completion:view"),
)
FIND: Final = Need(
    "poll enrolments, sources ask",
    ("core_enrol_get_enrolled_users", "core_enrol_get_users_courses"),
    ("moodle/course:view", "moodle/course:viewparticipants"),
)
REPORT: Final = Need(
    "poll a report",
    ("core_reportbuilder_list_reports", "core_reportbuilder_retrieve_report"),
    ("moodle/reportbuilder:viewall",),
)
NOTE: Final = Need(
    "write_back: note",
    ("core_notes_get_course_notes", "core_notes_create_notes"),
    ("moodle/notes:view", "moodle/notes:manage"),
)
SCORE: Final = Need("score", ("gradereport_user_get_grade_items",), ("moodle/grade:viewall", "gradereport/user:view"))
PROFILE: Final = Need(
    "write_back: profile_field, profile_list", ("core_user_update_users",), ("moodle/user:update", SEES_ALL)
)
ACTIVITY: Final = Need(
    "write_back: activities",
    ("core_completion_override_activity_completion_status",),
    ("moodle/course:overridecompletion",),
)
MESSAGE: Final = Need("write_back: message", ("core_message_send_instant_messages",), ("moodle/site:messageanyuser",))
ALWAYS: Final = (CALL, READ, FIND, REPORT, NOTE)
"""What the role in our guide allows."""
ON_REQUEST: Final = (SCORE, PROFILE, ACTIVITY, MESSAGE)
"""What it does not allow until an admin ticks it, because not every school uses it."""


def needs(settings: MoodleSettings) -> list[Need]:
    """Returns the tasks that this source is set up for."""
    wanted = settings.write_back
    switched = {
        REPORT: settings.poll.report is not None,
        NOTE: wanted.note,
        SCORE: settings.score,
        PROFILE: wanted.profile_field is not None or wanted.profile_list is not None,
        ACTIVITY: bool(wanted.activities),
        MESSAGE: wanted.message,
    }
    return [CALL, READ, FIND, *(need for need, on in switched.items() if on)]


def sees_all(user: JsonObject) -> bool:
    """Tells, from a user's record, whether the account sees every profile field of this user, so that none is empty.

    How a user signs in is shown with the same capability only. Where Moodle shows the user as a participant (then with
    their roles), it may hold in that course only, which does not count for profile fields.
    https://github.com/moodle/moodle/blob/main/public/user/lib.php (user_get_user_details)
    """
    return "auth" in user and "roles" not in user


def capabilities(function: str) -> tuple[str, ...]:
    """Returns the capabilities that the task of a function needs."""
    return next((need.capabilities for need in (*ALWAYS, *ON_REQUEST) if function in need.functions), ())
