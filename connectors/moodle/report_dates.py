"""Reads the dates of a custom report, which Moodle shows as text for people: "22 November 2026, 2:24 PM"."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Final

from bridge.core.errors import PermanentError

_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_SHORT: Final = {month[:3]: at for at, month in enumerate(_MONTHS, start=1)} | {"sept": 9}
_NUMBER_OF: Final = {month: at for at, month in enumerate(_MONTHS, start=1)} | _SHORT
# "Sunday, 22 November 2026, 2:24 PM", the American order, with or without AM and PM.
_DATE: Final = re.compile(
    r"(?:(?P<day>\d{1,2}) (?P<month>[a-z]{3,9})\.?|(?P<month2>[a-z]{3,9})\.? (?P<day2>\d{1,2}),?) "
    r"(?P<year>\d{4}),? (?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?(?: ?(?P<half>[ap])\.?m\.?)?",
    re.ASCII,
)


def is_date(text: str) -> bool:
    """Tells whether a cell looks like a date in English."""
    return _DATE.search(text.lower()) is not None


def instant(text: str) -> datetime:
    """Reads a date as Moodle shows it in English, as UTC. Raises PermanentError with what to change."""
    plain = " ".join(html.unescape(text).lower().split())
    match = _DATE.search(plain)
    try:
        if match is None:
            raise ValueError
        month = _NUMBER_OF[match["month"] or match["month2"]]
        hour = int(match["hour"])
        if match["half"]:
            hour = hour % 12 + (12 if match["half"] == "p" else 0)
        day = int(match["day"] or match["day2"])
        return datetime(int(match["year"]), month, day, hour, int(match["minute"]), tzinfo=UTC)
    except (ValueError, KeyError):
        raise PermanentError(
            f"The report shows the time {text[:60]!r}, which certbridge cannot read. In the profile of the service "
            "account set the language to English and the time zone to UTC.",
            code="report_language",
        ) from None
