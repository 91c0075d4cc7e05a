"""When to try again: the schedule of attempts, and what an HTTP status says about trying."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from bridge.core.errors import BridgeError, PermanentError, TemporaryError, UnconfirmedError

JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits between attempts, in seconds; after the last one the row is given up."""

    waits: Sequence[float]

    def wait(self, attempt: int, error: BridgeError, *, draw: float | None = None) -> float | None:
        """Returns the seconds until the next try after failed attempt `attempt` (from 1), or None to give up.

        A `retry_after` is honoured between the scheduled wait and the longest wait of the schedule.
        `draw` in [0, 1) replaces chance in tests.
        """
        if attempt > len(self.waits):
            return None
        base = self.waits[attempt - 1]
        asked = error.retry_after if isinstance(error, TemporaryError) else None
        chance = random.random() if draw is None else draw  # noqa: S311 (spreads load, guards nothing)
        jittered = base * (1 + JITTER * (2 * chance - 1))
        if asked is None or not asked > 0:
            return jittered
        return max(jittered, min(asked, max(self.waits)))


# 5 s to 10 h, 27 hours and 40 minutes in all: the schedule most webhook senders settled on.
EFFECTS: Final = Schedule((5, 30, 300, 1800, 7200, 18000, 36000, 36000))
# An event that the vendor does not confirm yet: its own clock (a cron run each minute) decides, not ours.
UNCONFIRMED: Final = Schedule((5, 20, 60, 120, 300, 900))


def schedule_for(error: BridgeError) -> Schedule:
    """Returns the schedule that fits the error."""
    return UNCONFIRMED if isinstance(error, UnconfirmedError) else EFFECTS


def check_status(status: int, headers: Mapping[str, str]) -> None:
    """Raises the error an HTTP status stands for; 2xx passes.

    Raises TemporaryError for 408, 425, 429 and 5xx, PermanentError for every other answer.
    """
    if 200 <= status < 300:
        return
    text = f"answered HTTP {status}"
    if status in (408, 425, 429) or status >= 500:
        raise TemporaryError(text, code=f"http_{status}", retry_after=retry_after(headers))
    raise PermanentError(text, code=f"http_{status}")


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Reads `Retry-After` (seconds or an HTTP date) as seconds from now; None when absent or not readable."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(int(value)))
    except (ValueError, OverflowError):
        pass
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def reset_after(headers: Mapping[str, str], also: Sequence[str] = (), *, now: datetime | None = None) -> float | None:
    """Reads `Retry-After`, else one of the headers `also`: seconds from now, or a time in seconds or milliseconds.

    `now` is by default the `Date` of the answer, so that a wrong clock on either side does not matter.
    """
    plain = retry_after(headers, now=now)
    if plain is not None:
        return plain
    written = next((headers[name.lower()] for name in also if headers.get(name.lower())), "")
    try:
        value = float(written)
    except ValueError:
        return None
    if not math.isfinite(value) or value < 0:
        return None
    if value < 1e8:  # three years: nobody asks to wait that long, so larger numbers are times
        return value
    moment = value / 1000 if value > 1e11 else value
    return max(0.0, moment - (now or _answered_at(headers)).timestamp())


def _answered_at(headers: Mapping[str, str]) -> datetime:
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError):
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
