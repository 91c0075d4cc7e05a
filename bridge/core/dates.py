"""Instants and civil dates as vendors write them, and how long a certificate stays valid."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EARLIEST: Final = 1970
LATEST: Final = 2200

_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<time>\d{2}:\d{2}(?::\d{2})?)(?P<fraction>[.,]\d{1,9})?"
    r"\s?(?P<zone>Z|z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")


def zone(name: str) -> ZoneInfo:
    """Returns the IANA time zone of this name (`Europe/Lisbon`). Raises ValueError."""
    # The name becomes part of a path inside zoneinfo, hence the pattern; a folder such as "Europe" is an OSError.
    if len(name) <= 64 and _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise ValueError(f'"{name[:64]}" is no time zone; one looks like Europe/Lisbon.')


def read_iso(text: str, zone_name: str | None = None) -> datetime | date:
    """Reads ISO 8601: an instant (UTC) from date, time and offset, a date from a date alone.

    `zone_name` is used for a time without offset; without it such a time is refused. Raises ValueError.
    """
    match = _ISO.fullmatch(text.strip())
    if not match:
        raise ValueError("it is not an ISO date or time such as 2026-01-31 or 2026-01-31T08:00:00Z.")
    if match["time"] is None:
        return _sensible(_parsed(match["date"]).date())
    offset = _offset(match["zone"])
    moment = _parsed(f"{match['date']}T{match['time']}{(match['fraction'] or '').replace(',', '.')[:7]}{offset}")
    if moment.tzinfo is None:
        if zone_name is None:
            raise ValueError("it has a time without a zone; name one: {{ value | iso(zone='Europe/Lisbon') }}.")
        moment = moment.replace(tzinfo=zone(zone_name))
    return instant(moment)


def read_epoch(value: object, per_second: int = 1) -> datetime:
    """Reads seconds since 1970 (`per_second` 1000: milliseconds), whole or not, number or text. Raises ValueError."""
    text = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"-?\d{1,17}(\.\d{1,12})?", text):
        raise ValueError("it is not a number of seconds or milliseconds since 1970.")
    # In whole microseconds: a float of today's seconds would lose some.
    whole, _, fraction = text.partition(".")
    micros = int(whole + (fraction + "000000")[:6]) // per_second
    try:
        return instant(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros))
    except OverflowError:
        raise ValueError("it is far too large for seconds since 1970; milliseconds are read by epoch_ms.") from None


def read_local(text: str, pattern: str, zone_name: str) -> datetime:
    """Reads a local time by a strptime pattern (`%d/%m/%Y %H:%M`) in an IANA zone, as UTC. Raises ValueError."""
    try:
        moment = datetime.strptime(text.strip(), pattern)  # noqa: DTZ007 (the zone follows)
    except (ValueError, re.error):
        raise ValueError(f"it does not have the form {pattern}.") from None
    return instant(moment if moment.tzinfo else moment.replace(tzinfo=zone(zone_name)))


_SHEET: Final = re.compile(
    r"(\d{1,4})([./-]) ?(\d{1,2})\2 ?(\d{1,4})"
    r"(?:,?[ T]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp][Mm])? ?(?:Z|UTC|[+-]\d{2}:?\d{2})?)?"
)
_SERIAL: Final = re.compile(r"\d{5}(?:\.\d{1,12})?")
_ORDERS: Final = {"dmy": (4, 3, 1), "mdy": (4, 1, 3), "ymd": (1, 3, 4)}


_NO_SHEET_DATE: Final = "it is not a date such as 2026-01-31 or 31.01.2026."
_IN_WORDS: Final = {"dmy": "day, month, year", "mdy": "month, day, year", "ymd": "year, month, day"}


def read_sheet(text: str, order: str | None) -> date:
    """Reads the date in a cell of a table: ISO, 31.01.2026, 31/1/26, or the days since 1899 that Excel counts.

    `order` (dmy, mdy, ymd) is that of day, month and year where the year does not come first. Without one, dates with
    dots are dmy, and others are read only where there is no second way to read them. The date counts as it is written,
    whatever time and offset follow; years of two digits are 1969 to 2068, as in POSIX. Raises ValueError.
    """
    if order is not None and order not in _ORDERS:
        raise ValueError(f"the order of a date is one of {', '.join(_ORDERS)}.")
    text = text.strip()
    if _SERIAL.fullmatch(text):
        # https://support.microsoft.com/office/date-systems-in-excel-e7fe7167-48a9-4b96-bb53-5612a800b487
        return _sensible(date(1899, 12, 30) + timedelta(days=int(text.partition(".")[0])))
    found = _SHEET.fullmatch(text)
    if not found:
        raise ValueError(_NO_SHEET_DATE)
    certain = "ymd" if len(found[1]) == 4 else order or ("dmy" if found[2] == "." else None)
    if certain is None:
        return _only_reading(found)
    day = _reading(found, certain)
    if day is not None:
        return day
    other = next((one for one in ("dmy", "mdy") if len(found[1]) < 4 and _reading(found, one)), None)
    advice = f" Read as {_IN_WORDS[other]} it is one: write sheet_date('{other}')." if other else ""
    raise ValueError(f"there is no such date (read as {_IN_WORDS[certain]}).{advice}")


def _only_reading(found: re.Match[str]) -> date:
    # 05/06/2026 is a day in June or in May, and a wrong date on a certificate is worse than a question.
    days = [day for day in (_reading(found, "dmy"), _reading(found, "mdy")) if day]
    if not days:
        raise ValueError("there is no such date.")
    if days[0] != days[-1]:
        either = " and as ".join(f"{day.day} {day:%B %Y}" for day in days)
        raise ValueError(
            f"it can be read as {either}. Say which in your mapping: sheet_date('dmy') reads the day first, "
            "sheet_date('mdy') the month."
        )
    return days[0]


def _reading(found: re.Match[str], order: str) -> date | None:
    year, month, day = (found[group] for group in _ORDERS[order])
    if len(year) not in (2, 4):
        raise ValueError(_NO_SHEET_DATE)
    century = 0 if len(year) == 4 else 1900 if int(year) >= 69 else 2000
    try:
        written = date(century + int(year), int(month), int(day))
    except ValueError:
        return None
    return _sensible(written)


def instant(moment: datetime) -> datetime:
    """Returns an aware time as UTC. Raises ValueError outside the years that make sense for a completion."""
    try:
        utc = moment.astimezone(UTC)
    except (OverflowError, ValueError):
        raise ValueError(_NOT_SENSIBLE) from None
    _sensible(utc.date())
    return utc


def over(day: date) -> datetime:
    """Returns when a date is over everywhere on earth: 36 hours after its midnight UTC.

    Counted so, the start line of a source never cuts off a completion of its first day, in whatever zone that was.
    """
    return datetime.combine(day, time(0), UTC) + timedelta(hours=36)


def civil(moment: datetime, zone_name: str) -> date:
    """Returns the date that calendars in this zone show at this instant."""
    return moment.astimezone(zone(zone_name)).date()


_NOT_SENSIBLE: Final = f"its year is not between {EARLIEST} and {LATEST}; often a zero that stands for no date."


def _sensible(day: date) -> date:
    # The first day of 1970 is the zero of epoch times, which vendors send for "never".
    if not EARLIEST <= day.year <= LATEST or day <= date(1970, 1, 2):
        raise ValueError(_NOT_SENSIBLE)
    return day


def _offset(written: str | None) -> str:
    return "" if written is None else "+00:00" if written.isalpha() else written


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such date or time.") from None


# -- lengths of time -------------------------------------------------------------------------------

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_DURATION: Final = re.compile(r"(\d{1,6}) ?(second|minute|hour|day|week)s?")
OFF: Final = timedelta(0)
"""What `off` means for a duration."""


def duration(text: object) -> timedelta:
    """Reads `15 minutes`, `1 day` or `off`. Raises ValueError."""
    if isinstance(text, timedelta):
        return text
    if text in ("off", "never", "no", False):
        return OFF
    found = _DURATION.fullmatch(str(text).strip().lower())
    if not found or not int(found[1]):
        raise ValueError("A length of time is needed, such as 15 minutes, 6 hours or 3 days; or off.")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


# -- how long it is valid --------------------------------------------------------------------------

_MONTHS: Final = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_FOR: Final = re.compile(r"(\d{1,5}) ?(year|month|week|day)s?")
_LIMITS: Final = {"year": 100, "month": 1200, "week": 5200, "day": 36500}


@dataclass(frozen=True)
class Validity:
    """When a certificate expires, counted from the completion; a day a month lacks becomes its last one."""

    text: str
    months: int = 0
    days: int = 0
    until: date | None = None
    """This very date."""
    yearly: tuple[int, int] | None = None
    """Month and day: the next one after the completion."""

    @property
    def setting(self) -> str:
        """The name of the setting it was written under."""
        return "valid_until" if self.until or self.yearly else "valid_for"

    def expires_on(self, completed_on: date) -> date | None:
        """Returns the day on which it expires, or None for never. Raises ValueError when that is past."""
        if self.until is not None:
            if self.until <= completed_on:
                raise ValueError(f"valid_until {self.until.isoformat()} is not after the completion")
            return self.until
        if self.yearly is not None:
            this_year = _day(completed_on.year, *self.yearly)
            return this_year if this_year > completed_on else _day(completed_on.year + 1, *self.yearly)
        if self.months:
            return add_months(completed_on, self.months)
        return completed_on + timedelta(days=self.days) if self.days else None


def valid_for(text: str) -> Validity:
    """Reads `2 years`, `18 months`, `6 weeks`, `90 days` or `forever`. Raises ValueError."""
    words = " ".join(text.lower().split())
    if words == "forever":
        return Validity(text)
    match = _FOR.fullmatch(words)
    if not match or not 1 <= int(match[1]) <= _LIMITS[match[2]]:
        raise ValueError("Write a number and a unit: 2 years, 18 months, 6 weeks, 90 days (or forever).")
    count, unit = int(match[1]), match[2]
    if unit in {"year", "month"}:
        return Validity(text, months=count * (12 if unit == "year" else 1))
    return Validity(text, days=count * (7 if unit == "week" else 1))


def valid_until(text: str) -> Validity:
    """Reads `2027-06-30` or a day that comes every year: `31 December`. Raises ValueError."""
    words = " ".join(text.replace(",", " ").replace(".", " ").split())
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", words):
        day = read_iso(words)
        return Validity(text, until=date(day.year, day.month, day.day))
    match = re.fullmatch(r"(?:(\d{1,2}) ([A-Za-z]{3,9})|([A-Za-z]{3,9}) (\d{1,2}))", words)
    if match:
        number, name = int(match[1] or match[4]), (match[2] or match[3]).lower()
        months = [index for index, month in enumerate(_MONTHS, 1) if month.startswith(name)]
        # 2024 is a leap year: 29 February is a day that may be meant.
        if len(months) == 1 and 1 <= number <= calendar.monthrange(2024, months[0])[1]:
            return Validity(text, yearly=(months[0], number))
    raise ValueError("Write a date such as 2027-06-30, or a day of every year such as 31 December.")


def add_months(day: date, months: int) -> date:
    """Returns the same day so many months later; 29 February and 31st become the last day of a shorter month."""
    index = day.year * 12 + day.month - 1 + months
    return _day(index // 12, index % 12 + 1, day.day)


def _day(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))
