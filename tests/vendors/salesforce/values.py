"""The values of Salesforce's fields: read from JSON without bending anything, written as the REST API writes them."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime
from typing import Any, Final

from vendors.salesforce.errors import SalesforceError
from vendors.salesforce.ids import long_id
from vendors.salesforce.schema import Field

_TEXTS: Final = frozenset({"string", "textarea", "email", "url", "picklist"})


def instant(text: str) -> datetime:
    """Reads ISO 8601 with an offset (Z, +00:00 or +0000), to the second, as Salesforce keeps it. Raises ValueError."""
    found = datetime.fromisoformat(re.sub(r"([+-][0-9]{2})([0-9]{2})$", r"\1:\2", text))
    if found.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return found.astimezone(UTC).replace(microsecond=0)


def day(text: str) -> date:
    """Reads YYYY-MM-DD. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(f"{text} is no day")
    return date.fromisoformat(text)


def read(field: Field, value: Any) -> Any:
    """Returns what is kept of a value from JSON. Raises SalesforceError."""
    if value is None or value == "":
        return None
    if field.type in _TEXTS:
        return _text(field, value)
    if field.type in ("double", "int", "boolean"):
        return _plain(field, value)
    if not isinstance(value, str):
        raise _unreadable(field, value)
    try:
        return {"date": day, "datetime": instant, "reference": long_id, "base64": _bytes}[field.type](value)
    except ValueError:
        if field.type == "reference":
            message = f"{field.name}: id value of incorrect type: {value}"
            raise SalesforceError("MALFORMED_ID", message, [field.name]) from None
        raise _unreadable(field, value) from None


def _unreadable(field: Field, value: Any) -> SalesforceError:
    message = f"Cannot deserialize instance of {field.type} from {type(value).__name__} value {str(value)[:80]}"
    return SalesforceError("JSON_PARSER_ERROR", f"{message} (field {field.name})")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _plain(field: Field, value: Any) -> Any:
    if (field.type == "boolean") != isinstance(value, bool) or not isinstance(value, int | float):
        raise _unreadable(field, value)
    return value


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _unreadable(field, value)
    if len(value) > field.length:
        message = f"{field.name}: data value too large: {value[:80]} (max length={field.length})"
        raise SalesforceError("STRING_TOO_LONG", message, [field.name])
    if field.restricted and value not in field.values:
        message = f"{field.name}: bad value for restricted picklist field: {value}"
        raise SalesforceError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [field.name])
    if field.type == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        message = f"{field.name}: invalid email address: {value}"
        raise SalesforceError("INVALID_EMAIL_ADDRESS", message, [field.name])
    return value


def shown(value: Any) -> Any:
    """Returns a kept value as REST answers carry it: instants with milliseconds and an offset without a colon."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return value.isoformat() if isinstance(value, date) else value


def in_message(value: Any) -> str:
    """Returns a kept value as Outbound Messages carry it: instants with Z."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(shown(value))
