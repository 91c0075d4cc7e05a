"""Reads the enrolments of a course in the one order that Teachable describes: by the time at which they began.

The list knows neither `page` nor `per`; `sort_direction=asc` with `enrolled_in_after` leads from one part of it to the
next. https://docs.teachable.com/reference (GET /courses/{course_id}/enrollments)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.core.answers import listed, moment, stamp
from bridge.core.errors import TemporaryError
from bridge.core.models import JsonObject
from connectors.teachable.rest import MOST_PAGES, SMALLEST_PAGE, Rest, is_last

_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Enrolments:
    """The list of one course; `after` is all that has to be remembered to go on with it."""

    rest: Rest
    course: str
    after: datetime | None = None
    """The second of the latest enrolment that was looked at; None at the beginning."""
    ended: bool = False
    _page: int = 1
    """Above 1: inside one second in which more learners were enrolled than a part of the list holds."""
    _through: bool = False
    """Such a second was read to its end; the list goes on behind it."""
    _before: list[JsonObject] = field(default_factory=list)

    def part(self) -> list[JsonObject]:
        """Returns the next part of the list, which may repeat the end of the one before.

        Raises TemporaryError where the list does not go on, which is not its end, and PermanentError for a course that
        is gone.
        """
        query = {"sort_direction": "asc"}
        if self.after is not None:
            # Several may have begun in one second, and whether "after" takes in the moment itself is not described.
            before = self.after if self._through else self.after - _SECOND
            query["enrolled_in_after"] = stamp(before).replace("Z", ".999Z")
        if self._page > 1:
            query["page"] = str(self._page)  # described for other lists only: tried where nothing else leads on
        answer = self.rest.get(f"/courses/{self.course}/enrollments", **query)
        rows = listed(answer, "enrollments", "Teachable")
        times = [time.replace(microsecond=0) for row in rows if (time := moment(row.get("enrolled_at"))) is not None]
        self._check(rows, times)
        self._move(rows, times, whole=is_last(1, len(rows), answer.get("meta")))
        self._before = rows
        return rows

    def _check(self, rows: list[JsonObject], times: list[datetime]) -> None:
        if times != sorted(times):
            raise self._stuck("it is not in the order of `enrolled_at`")
        if self.after is not None and times and times[0] < self.after - _SECOND:
            raise self._stuck("it begins anew instead of going on after `enrolled_in_after`")
        if rows and self._page > 1 and rows == self._before:
            raise self._stuck(f"more than {len(rows)} learners were enrolled within one second")
        if self._page > MOST_PAGES:
            raise self._stuck("it has no end")

    def _move(self, rows: list[JsonObject], times: list[datetime], *, whole: bool) -> None:
        newest = times[-1] if times else None
        if self._page > 1 and not rows:
            self._page, self._through = 1, True
        elif whole:
            self.ended = True
        elif newest is None:
            raise self._stuck("it does not say when learners were enrolled")
        elif newest != self.after:
            self.after, self._page, self._through = newest, 1, False
        elif self._page > 1 or len(rows) >= SMALLEST_PAGE:
            self._page += 1
        else:
            self.ended = True  # nothing but what was looked at in this second

    def _stuck(self, what: str) -> TemporaryError:
        return TemporaryError(
            f"Teachable's list of the enrolments of course {self.course} does not go on: {what}. The rest of it was "
            "not looked at, and nothing counts as swept; webhooks still bring its completions.",
            code="list",
        )
