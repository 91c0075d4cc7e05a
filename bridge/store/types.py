"""Column types that store and return the same values on SQLite and PostgreSQL, whatever text came from outside."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Date, DateTime, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

KEY_BYTES: Final = 512
"""Longest key kept as it is; PostgreSQL refuses index entries above about 2,700 bytes."""

# SQLite only numbers rows by itself when the column is a plain INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")


def clean(text: str) -> str:
    """Returns text every database can hold: lone surrogates and NUL become U+FFFD, surrogate pairs are joined."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def key(text: str) -> str:
    """Returns the stored form of a vendor's id: cleaned, and shortened with a hash when it is very long."""
    text = clean(text)
    if len(text) * 4 <= KEY_BYTES or len(text.encode("utf-8")) <= KEY_BYTES:
        return text
    return f"{text[:64]}…sha256:{hashlib.sha256(text.encode('utf-8')).hexdigest()}"


def utc(moment: datetime) -> datetime:
    """Returns the same instant in UTC. Raises ValueError for a datetime without zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; the store takes aware instants only")
    return moment.astimezone(UTC)


def to_json(value: object) -> str:
    """Returns compact JSON text. Raises ValueError for NaN and infinities, which are not JSON."""
    # NUL cannot stand in JSON text (json escapes it), so `clean` only touches lone surrogates here.
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


class PlainText(TypeDecorator[str]):
    """Text from anywhere, cleaned on the way in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean(value)


class KeyText(TypeDecorator[str]):
    """A vendor's id in a unique index; comparisons shorten the other side the same way."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else key(value)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; on SQLite text of fixed width, so that text order is time order."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        moment = utc(value)
        if dialect.name != "sqlite":
            return moment
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else utc(value)


class CivilDate(TypeDecorator[date]):
    """A calendar day as printed, without zone."""

    impl = Date
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Date())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        if isinstance(value, datetime):
            raise ValueError(f"{value!r} is an instant, not a civil date")
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        return date.fromisoformat(value) if isinstance(value, str) else value


class JsonText(TypeDecorator[Any]):
    """A JSON object or array as text: the same bytes on both databases, and NUL survives."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
