"""Looks through the enrolments of every course for completions, a few calls a day, and goes on where it stopped.

Teachable has no list of completions: each sweep reads every enrolment again, and the school's monthly number of calls
is limited. https://docs.teachable.com/docs/rate-limits
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr

from bridge.core.answers import digits, line, moment, sections, stamp
from bridge.core.connector import Page
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import JsonObject, SourceEvent
from connectors.teachable import deliveries
from connectors.teachable.enrolments import Enrolments
from connectors.teachable.events import completion
from connectors.teachable.rest import Rest

# A poll of every day comes a little earlier on some days.
_EARLY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How often, how much, and which courses (none: all)."""

    every: timedelta
    calls_per_day: int
    courses: Sequence[str]
    tokens: Sequence[SecretStr]
    """What our own webhooks at Teachable are known by: a part of their address."""


@dataclass(slots=True)
class Sweep:
    """One sweep, or the part of it that a day's calls allow; `cursor()` is all it remembers."""

    rest: Rest
    plan: Plan
    now: datetime
    day: str
    spent: int = 0
    """Calls of this day before this poll."""
    swept: datetime | None = None
    """When the last complete sweep began."""
    checked: datetime | None = None
    """Until when failed deliveries were looked for."""
    started: datetime | None = None
    """When the running sweep began; None between two sweeps."""
    courses: list[JsonObject] = field(default_factory=list)
    """What is left of the running sweep."""
    after: datetime | None = None
    """Until when the enrolments of its first course were looked at."""
    stuck: str | None = None
    """Why a course of the running sweep could not be looked at to its end."""
    reading: Enrolments | None = None

    @classmethod
    def resumed(cls, rest: Rest, plan: Plan, cursor: JsonObject, now: datetime) -> Sweep:
        """Returns the sweep that a cursor stands for; an odd cursor begins anew."""
        day = stamp(now)[:10]
        spent = cursor.get("calls")
        sweep = cls(rest, plan, now, day)
        sweep.spent = spent if isinstance(spent, int) and cursor.get("day") == day else 0
        sweep.swept, sweep.checked = moment(cursor.get("swept")), moment(cursor.get("checked"))
        sweep.started = moment(cursor.get("started"))
        sweep.courses = [course for course in sections(cursor.get("courses")) if digits(course.get("id"))]
        sweep.after, sweep.stuck = moment(cursor.get("after")), line(cursor.get("stuck"))
        return sweep

    def pages(self, since: datetime) -> Iterator[Page]:
        """Yields the completions from `since` on, one part of one course at a time.

        Raises TemporaryError after a sweep in which the list of a course did not go on; the others are through then.
        """
        if self.started is None:
            if not self._due():
                yield Page((), self.cursor(), more=self.swept is None)
                return
            self._begin()
        while self.courses and self._may_ask():
            yield Page(self._next(since), self.cursor())
        if self.courses:
            yield Page((), self.cursor(), more=True)
            return
        stuck = self.stuck
        self.swept, self.started, self.stuck = self.swept if stuck else self.started, None, None
        yield Page((), self.cursor())
        if stuck:
            raise TemporaryError(stuck, code="list")

    def cursor(self) -> JsonObject:
        """Returns what the next poll has to know."""
        known: JsonObject = {"day": self.day, "calls": self.spent + self.rest.calls}
        times = {"swept": self.swept, "checked": self.checked, "started": self.started, "after": self.after}
        known |= {name: stamp(time) for name, time in times.items() if time is not None}
        return {**known, "courses": self.courses, "stuck": self.stuck} if self.started else known

    def _due(self) -> bool:
        """Tells whether a sweep shall begin: the time has come, or Teachable lists deliveries that did not reach us."""
        if self.swept is None or self.now - self.swept >= self.plan.every - _EARLY:
            return self._may_ask()
        lost = self._may_ask() and deliveries.any_lost(self.rest, self.plan.tokens, self.checked or self.swept)
        self.checked = self.now
        return lost

    def _begin(self) -> None:
        self.started = self.checked = self.now
        self.after = self.stuck = None
        if self.plan.courses:
            self.courses = [{"id": course, "name": None} for course in self.plan.courses]
        else:
            self.courses = [{"id": digits(row["id"]), "name": line(row.get("name"))} for row in self.rest.courses()]

    def _may_ask(self) -> bool:
        return self.spent + self.rest.calls < self.plan.calls_per_day

    def _next(self, since: datetime) -> list[SourceEvent]:
        course = self.courses[0]
        self.reading = self.reading or Enrolments(self.rest, str(course["id"]), self.after)
        rows = self._rows(self.reading)
        self.after = self.reading.after
        if self.reading.ended:
            self.courses, self.after, self.reading = self.courses[1:], None, None
        found = [completion({"id": row.get("user_id")}, course, row, confirmed=True) for row in rows]
        return [event for event in found if event is not None and _from(event, since)]

    def _rows(self, reading: Enrolments) -> list[JsonObject]:
        try:
            return reading.part()
        except PermanentError as error:
            if error.stable_code != "http_404":
                raise
            reading.ended = True  # deleted since the sweep began
        except TemporaryError as error:
            if error.stable_code != "list":
                raise
            # The other courses are looked at all the same; then it is said, and nothing counts as swept.
            self.stuck, reading.ended = str(error), True
        return []


def _from(event: SourceEvent, since: datetime) -> bool:
    return event.occurred_at is not None and event.occurred_at >= since
