"""Transforms that choose one of several values, or one that stands for another."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from jinja2 import Undefined

from bridge.core.text import as_text, shown


def first_of(value: object, *others: object) -> object:
    """Returns the first value that is there and not blank."""
    for item in (value, *others):
        if not _is_blank(item):
            return item
    missing = [item for item in (value, *others) if isinstance(item, Undefined)]
    return missing[0] if missing else ""


def default(value: object, fallback: object = "") -> object:
    """Returns the value, or `fallback` when it is missing, null or blank."""
    return fallback if _is_blank(value) else value


def _is_blank(value: object) -> bool:
    return isinstance(value, Undefined) or value is None or (isinstance(value, str) and not value.strip())


def lookup(value: object, table: Mapping[str, object], default: object = None) -> object:
    """Replaces a value by the entry of a table. Raises ValueError when there is neither entry nor default."""
    if not isinstance(table, Mapping):
        raise ValueError("lookup needs a table: {{ value | lookup({'a': 'b'}) }}.")
    found = table.get(as_text(value), default)
    if found is None:
        raise ValueError(f"{shown(value)}: the lookup table has no such entry.")
    return found


def find(value: object, name: str, wanted: object) -> object:
    """Returns the first entry of a list of sections whose item `name` is `wanted`, or None. Raises ValueError."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{shown(value)}: it is not a list.")
    entries = (entry for entry in value if isinstance(entry, dict))
    return next((entry for entry in entries if _is_text(entry.get(name), as_text(wanted))), None)


def _is_text(value: object, wanted: str) -> bool:
    return isinstance(value, str | int | float | Decimal) and as_text(value) == wanted
