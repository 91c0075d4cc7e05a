"""The values of HubSpot's properties: text of a declared type, checked on writing and compared on searching."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final = 65_536
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Property:
    """A property of contacts or notes, as an account's admin defines it."""

    name: str
    label: str
    type: str = "string"
    """string, number, date (a day), datetime, bool or enumeration."""
    field_type: str = "text"
    """How it is edited; `checkbox` is an enumeration that takes several options."""
    options: tuple[str, ...] = ()
    """Internal names of an enumeration."""
    unique: bool = False
    read_only: bool = False
    sensitivity: str = "non_sensitive"
    """Or sensitive, highly_sensitive: read and written with scopes of their own only."""


class InvalidValueError(ValueError):
    """A value does not fit its property; `code` is HubSpot's word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def instant(text: str) -> datetime:
    """Reads milliseconds since 1970 or ISO 8601 with an offset. Raises ValueError."""
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return _EPOCH + timedelta(milliseconds=int(text))
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return found.astimezone(UTC)


def milliseconds(at: datetime) -> int:
    """Returns the milliseconds since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def iso(at: datetime) -> str:
    """Writes an instant as HubSpot shows it: milliseconds only where there are some."""
    at = at.astimezone(UTC)
    fraction = f".{at.microsecond // 1000:03d}" if at.microsecond >= 1000 else ""
    return at.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def stored(definition: Property, text: Any) -> str:
    """Returns the value as it is kept and shown. Raises InvalidValueError."""
    if not isinstance(text, str):
        raise InvalidValueError("INVALID_STRING", f"{text!r} is no text; every value is sent as text")
    if len(text) > _LONGEST:
        raise InvalidValueError("PROPERTY_VALUE_TOO_LONG", f"the value is longer than {_LONGEST} characters")
    if not text:
        return ""
    return _KEPT.get(definition.type, _as_it_is)(definition, text)


def _as_it_is(_: Property, text: str) -> str:
    return text


def _number(_: Property, text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise InvalidValueError("INVALID_NUMBER", f"{text} was not a valid number.")
    return text


def _datetime(_: Property, text: str) -> str:
    try:
        return iso(instant(text))
    except (ValueError, OverflowError):
        raise InvalidValueError("INVALID_DATE", f"{text} was not a valid long.") from None


def _date(_: Property, text: str) -> str:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        text += "T00:00:00Z"
    try:
        at = instant(text)
    except (ValueError, OverflowError):
        raise InvalidValueError("INVALID_DATE", f"{text} was not a valid date.") from None
    if (at.hour, at.minute, at.second, at.microsecond) != (0, 0, 0, 0):
        raise InvalidValueError("INVALID_DATE", f"{milliseconds(at)} is at {at:%H:%M:%S} UTC, not midnight!")
    return at.date().isoformat()


def _enumeration(definition: Property, text: str) -> str:
    chosen = text.split(";") if definition.field_type == "checkbox" else [text]
    for one in chosen:
        if one not in definition.options:
            raise InvalidValueError("INVALID_OPTION", f"{one} was not one of the allowed options: {definition.options}")
    return text


def _bool(_: Property, text: str) -> str:
    if text not in ("true", "false"):
        raise InvalidValueError("INVALID_OPTION", f"{text} was not one of the allowed options: true, false")
    return text


_KEPT: Final = {"number": _number, "date": _date, "datetime": _datetime, "enumeration": _enumeration, "bool": _bool}


def comparable(definition: Property, text: str) -> Any:
    """Returns what searching compares: numbers as numbers, days and instants as instants, text without case."""
    if definition.type == "number":
        return float(text) if "." in text else int(text)
    if definition.type in ("date", "datetime"):
        return instant(text + "T00:00:00Z" if re.fullmatch(r"[0-9-]{10}", text) and "-" in text else text)
    return text.casefold()


def event_value(definition: Property, text: str) -> str:
    """Returns a kept value as webhooks carry it: days and instants in milliseconds."""
    if text and definition.type in ("date", "datetime"):
        return str(milliseconds(comparable(definition, text)))
    return text
