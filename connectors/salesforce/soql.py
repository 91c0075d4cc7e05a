"""Writes queries: names are checked when the configuration is read, values are escaped here, and nothing else goes in.

https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from connectors.salesforce.settings import SalesforceSettings

STAMP: Final = "SystemModstamp"
"""Moves with every change, also an automated one; LastModifiedDate does not always."""
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)


def quoted(text: str) -> str:
    """Returns a text as a literal."""
    return f"'{text.translate(_ESCAPES)}'"


def starting_with(text: str) -> str:
    """Returns the literal for LIKE that finds what starts with exactly this text."""
    return quoted(text)[:-1].replace("%", "\\%").replace("_", "\\_") + "%'"


def instant(moment: datetime) -> str:
    """Returns a time as a literal, which takes no quotes."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def query(columns: Iterable[str], kind: str, *conditions: str, tail: str = "") -> str:
    """Returns the query for these columns of the records that meet all conditions."""
    shown, wanted = ", ".join(columns), " AND ".join(conditions)
    return f"SELECT {shown} FROM {kind} WHERE {wanted} {tail}".rstrip()  # noqa: S608 (checked names, escaped values)


def select(settings: SalesforceSettings, *conditions: str, tail: str = "") -> str:
    """Returns the query for everything the configuration names."""
    columns = dict.fromkeys(["Id", *settings.paths().values(), STAMP])
    return query(columns, settings.object, *conditions, tail=tail)


def completed(settings: SalesforceSettings) -> Sequence[str]:
    """Returns the conditions that only completions meet."""
    conditions = [f"{settings.fields.completed_at} != null"]
    if settings.completed_field is not None:
        either = [f"{settings.completed_field} = {_value(one)}" for one in settings.completed_values]
        conditions.append(f"({' OR '.join(either)})")
    return conditions


def _value(text: str) -> str:
    # A checkbox is compared with true, a picklist with 'Completed'.
    return text.lower() if text.lower() in ("true", "false") else quoted(text)
