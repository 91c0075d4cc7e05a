"""Lists the courses of a Moodle and who takes part in them, without any plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from bridge.core.answers import sections
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject
from connectors.moodle.rest import Rest

_PER_PAGE: Final = 200
_PAGES: Final = 500
_FRONT_PAGE: Final = 1


def all_courses(rest: Rest) -> list[JsonObject]:
    """Returns the courses that the service account can see, names as they are stored, without the front page.

    Not by core_course_get_courses: that one fails as a whole where a single course is hidden from the account.
    """
    answer = rest.call("core_course_get_courses_by_field", {"moodlewssettingraw": "true"})
    courses = sections(answer.get("courses")) if isinstance(answer, dict) else []
    found = [course for course in courses if isinstance(course.get("id"), int)]
    return [course for course in found if course["id"] != _FRONT_PAGE]


def enrolled(rest: Rest, course: str, *, offset: int = 0, limit: int = _PER_PAGE) -> list[int]:
    """Returns the ids of one page of a course's participants."""
    options = {"limitfrom": str(offset), "limitnumber": str(limit), "sortby": "id", "userfields": "id"}
    arguments = {"courseid": course}
    for number, (name, value) in enumerate(options.items()):
        arguments |= {f"options[{number}][name]": name, f"options[{number}][value]": value}
    users = sections(rest.call("core_enrol_get_enrolled_users", arguments))
    return [user["id"] for user in users if isinstance(user.get("id"), int)]


def watched_courses(rest: Rest, courses: Sequence[str] | Literal["all"]) -> list[str]:
    """Returns the ids of the courses that are polled; of all of them those that are visible and have completion.

    Raises PermanentError where Moodle does not say of any course whether it has completion.
    """
    if courses != "all":
        return list(courses)
    found = all_courses(rest)
    if found and not any("enablecompletion" in course for course in found):
        raise PermanentError(
            f"Moodle shows no more than the names of its {len(found)} courses, so nobody can tell which to poll. The "
            "role of the service account is not given at site level, or lacks moodle/course:view.",
            code="nothing_shown",
        )
    return [
        str(course["id"])
        for course in found
        if course.get("visible") in (1, True, None) and course.get("enablecompletion") in (1, True)
    ]


def participants(rest: Rest, courses: Sequence[str]) -> list[int]:
    """Returns the ids of all who take part in any of these courses, in their order."""
    learners: set[int] = set()
    for course in courses:
        in_course: set[int] = set()
        for page in range(_PAGES):
            users = enrolled(rest, course, offset=page * _PER_PAGE)
            before = len(in_course)
            in_course.update(users)
            # Those whom the account may not see are left out of a page, so a short one need not be the last.
            if len(in_course) == before:
                break
        learners |= in_course
    return sorted(learners)
