"""Finds completions without plugin or report: learner by learner through the enrolments, a part with each poll."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from bridge.core.answers import sections
from bridge.core.connector import Page
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject, SourceEvent
from connectors.moodle.events import found
from connectors.moodle.participants import participants, watched_courses
from connectors.moodle.record import completed_time, completion_status
from connectors.moodle.rest import Rest

LEARNERS_A_POLL: Final = 500
"""One request each, besides those for what is new. A larger site takes several polls for one round."""
_COMMIT_EVERY: Final = 25
_SUSPICIOUS: Final = 5
_GONE: Final = (
    "usernotenroled",
    "userdeleted",
    "invaliduser",
    "invalidrecord",
    "invalidrecordunknown",
    "nocriteriaset",
)


def poll(rest: Rest, courses: Sequence[str] | Literal["all"], cursor: JsonObject) -> Iterator[Page]:
    """Yields completions that were not there when their learner was looked at last.

    The cursor holds `after` (the last learner looked at in this round; 0: begin anew) and `known`, the completed
    courses by learner, so that a completion is asked about once, and again after Moodle reset it.
    """
    watched = watched_courses(rest, courses)
    known, after = _known(cursor), _whole(cursor.get("after"))
    learners = participants(rest, watched)
    if watched and not learners:
        raise _nothing_shown(f"Moodle shows no participant in any of {len(watched)} courses (if there are any).")
    waiting = [learner for learner in learners if learner > after]
    now = waiting[:LEARNERS_A_POLL]
    for start in range(0, len(now), _COMMIT_EVERY):
        chunk = now[start : start + _COMMIT_EVERY]
        courses_of = {learner: _courses_of(rest, learner) for learner in chunk}
        _check_rights(courses_of)
        events: list[SourceEvent] = []
        for learner, theirs in courses_of.items():
            before = known.pop(str(learner), [])
            done = _completed(theirs, watched)
            events += _new(rest, learner, [course for course in done if course not in before])
            if done:
                known[str(learner)] = done
        more = start + _COMMIT_EVERY >= len(now) < len(waiting)
        yield Page(events, {"after": chunk[-1], "known": {**known}}, more)
    if len(now) == len(waiting):
        enrolled_still = {str(learner) for learner in learners}
        yield Page((), {"after": 0, "known": {one: done for one, done in known.items() if one in enrolled_still}})


def completed_by(rest: Rest, learner: int) -> list[SourceEvent]:
    """Returns what one learner has completed, suspended enrolments aside. Raises PermanentError, TemporaryError."""
    return list(_new(rest, learner, _completed(_courses_of(rest, learner), None)))


def _courses_of(rest: Rest, learner: int) -> list[JsonObject]:
    try:
        return sections(rest.call("core_enrol_get_users_courses", {"userid": str(learner), "returnusercount": "0"}))
    except PermanentError as error:
        if error.stable_code not in _GONE:
            raise
        return []


def _completed(courses: Sequence[JsonObject], watched: Sequence[str] | None) -> list[str]:
    done = [str(course.get("id")) for course in courses if course.get("completed") is True]
    return [course for course in done if course.isdigit() and (watched is None or course in watched)]


def _new(rest: Rest, learner: int, courses: Sequence[str]) -> Iterator[SourceEvent]:
    """Yields the completions of these courses; none where Moodle confirms it no longer."""
    for course in courses:
        try:
            status = completion_status(rest, str(learner), course)
            if status.get("completed") is True:
                yield found(learner, int(course), completed_time(status), exact=True)
        except PayloadError as error:
            text = f"Moodle's answer is not what it should be. {error}"
            raise TemporaryError(text, code="unexpected_answer") from error
        except PermanentError as error:
            if error.stable_code not in _GONE:
                raise


def _check_rights(courses_of: Mapping[int, Sequence[JsonObject]]) -> None:
    """Raises PermanentError when Moodle shows no course for any of several learners, all of whom are in one."""
    if len(courses_of) >= _SUSPICIOUS and not any(courses_of.values()):
        raise _nothing_shown(f"Moodle shows no course of any of {len(courses_of)} enrolled learners.")


def _nothing_shown(what: str) -> PermanentError:
    return PermanentError(
        f"{what} Usual cause: the service account lacks moodle/course:viewparticipants or moodle/user:viewdetails; "
        "Moodle then answers with empty lists.",
        code="nothing_shown",
    )


def _known(cursor: JsonObject) -> dict[str, list[str]]:
    kept: Any = cursor.get("known")
    pairs = kept.items() if isinstance(kept, dict) else ()
    return {str(learner): [str(one) for one in courses] for learner, courses in pairs if isinstance(courses, list)}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
