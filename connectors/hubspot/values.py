"""HubSpot's ids, property values and dates as text, whichever of its shapes they came in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Final

from bridge.core import dates
from bridge.core.dates import read_epoch, read_iso

# What webhooks and reads show instead of a sensitive value.
REDACTED: Final = "REDACTED"
_LONGEST: Final = 200
# Fewer digits would be milliseconds of a day before 1973: rather a number of something else.
_MS_DIGITS: Final = 12
_NO: Final = frozenset({"false", "no", "0"})
_YES: Final = frozenset({"true", "yes", "1"})


def identifier(value: object) -> str | None:
    """Returns the id of a record or account, a number or digits, as text; ids outgrew 32 bits long ago."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**20:
        value = str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text if text.isascii() and text.isdigit() and len(text) <= 20 else None


def word(value: object) -> str | None:
    """Returns a short text, number, yes or no as text; None for what is empty, too long or of another kind."""
    if isinstance(value, int | float):
        value = str(value).lower() if abs(value) < 10**100 else None
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= _LONGEST else None


def plain(value: object) -> str | int | float | bool | None:
    """Returns a property's value out of either of HubSpot's shapes: the value, or `{"value": …, "versions": …}`."""
    if isinstance(value, Mapping):
        value = value.get("value")
    if not isinstance(value, str | int | float | bool) or value == REDACTED:
        return None
    return value


def moment(value: object) -> str | None:
    """Returns a date as `2026-09-21`, an instant as `2026-09-21T10:13:20.123Z`, text that is neither unchanged.

    HubSpot's dates are midnight UTC, as milliseconds or ISO 8601: exactly midnight is a date, which no time zone moves.
    """
    text = word(value)
    if text is None:
        return None
    try:
        found = read_epoch(text, 1000) if text.isdigit() and len(text) >= _MS_DIGITS else read_iso(text)
    except ValueError:
        return text
    if not isinstance(found, datetime):
        return found.isoformat()
    if found.time() == time(0):
        return found.date().isoformat()
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(value: str | None) -> datetime | None:
    """Returns what `moment` returned as a time; None for a date, and for what is neither."""
    found = _read(value)
    return found if isinstance(found, datetime) else None


def over(value: str | None) -> datetime | None:
    """Returns when it was over at the latest, from what `moment` returned; None where that is no time."""
    found = _read(value)
    return found if found is None or isinstance(found, datetime) else dates.over(found)


def completed(value: str | None, status: str | None) -> bool:
    """Tells whether a property's value says "completed": `status` is the word for it where it is one of several."""
    if value is None:
        return False
    if status is not None:
        return status.casefold() in (part.strip().casefold() for part in value.split(";"))
    # Text that is neither yes, no nor a date goes on: the mapping cannot read it as one and says so.
    return value.casefold() not in _NO


def completed_at(value: str | None, dated: str | None, status: str | None) -> str | None:
    """Returns the time: that of the date property, or the value itself where it is a time."""
    if dated is not None:
        return dated
    return None if value is None or status is not None or value.casefold() in _YES else value


def _read(value: str | None) -> datetime | date | None:
    try:
        return read_iso(value or "")
    except ValueError:
        return None
