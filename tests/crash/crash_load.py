"""Many learners who complete courses on both platforms, and what the vendors send about each of them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from crash_site import Site

from bridge.core.models import SignedRequest
from bridge.demo.stage import MOODLE, THINKIFIC, WEBHOOK_TOKEN
from bridge.demo.vendors.moodle_site import User
from bridge.demo.vendors.thinkific_school import Enrolment, Person

MOODLE_COURSE, THINKIFIC_COURSE = 2, 68
COMPLETED_AT = 1795353871


@dataclass(frozen=True)
class Completed:
    """One learner who completed one course."""

    source: str
    number: int

    @property
    def user(self) -> int:
        """The learner's number on the platform."""
        return 50_000 + self.number


def completions(site: Site, count: int) -> list[Completed]:
    """Makes so many learners complete their course, on one platform and the other in turn."""
    made = [Completed(MOODLE if number % 2 else THINKIFIC, number) for number in range(1, count + 1)]
    for one in made:
        (_in_moodle if one.source == MOODLE else _in_thinkific)(site, one)
    return made


def _in_moodle(site: Site, one: Completed) -> None:
    moodle = site.stands.moodle
    with moodle.lock:
        moodle.site.add(User(one.user, f"user{one.number}", "Jana", _name(one), f"jana{one.number}@example.invalid"))
        moodle.site.enrol(one.user, MOODLE_COURSE)
        moodle.site.complete(one.user, MOODLE_COURSE, COMPLETED_AT + one.number)


def _in_thinkific(site: Site, one: Completed) -> None:
    thinkific = site.stands.thinkific
    with thinkific.lock:
        school = thinkific.school
        school.users[one.user] = Person(one.user, "Pavel", _name(one), f"pavel{one.number}@example.invalid")
        school.enrolments[one.user] = Enrolment(one.user, one.user, THINKIFIC_COURSE)


def _name(one: Completed) -> str:
    # Digits in a name would be held as "looks incomplete" by a school that asks for it.
    return "Nov" + "".join("abcdefghij"[int(digit)] for digit in str(one.number))


def complete(site: Site, one: Completed, *, again: int = 0) -> tuple[str, SignedRequest]:
    """What the platform sends; with `again` it is another event (of another id) about the same completion."""
    if one.source == THINKIFIC:
        with site.stands.thinkific.lock:
            return THINKIFIC, site.thinkific_request(one.user, event_id=f"2026-{one.number}-{again}")
    with site.stands.moodle.lock:
        event = site.stands.moodle.completed_event(
            one.user, MOODLE_COURSE, token=WEBHOOK_TOKEN, at=COMPLETED_AT + one.number + again
        )
    return MOODLE, site.moodle_request(json.dumps(event).encode())
