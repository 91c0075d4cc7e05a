"""Which contacts a list of Kajabi's names: the documented filters and orders, and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from vendors.kajabi_account import Contact

_ASSESSMENTS: Final = {"completed": {"completed", "passed", "failed"}, "passed": {"passed"}, "failed": {"failed"}}
FILTERS: Final = frozenset(
    f"filter[{name}]"
    for name in (
        *("site_id", "search", "name_contains", "email_contains", "has_tag_id", "has_all_tag_id", "has_no_tag_id"),
        *("created_in_last", *(f"{what}_assessment_id" for what in _ASSESSMENTS)),
    )
)
NUMERIC: Final = frozenset(name for name in FILTERS if name.endswith("_id]") or "_in_last" in name)
"""Filters whose value is a number; `has_all_tag_id` takes several with commas."""
ORDERS: Final = ("name", "email", "created_at")


def wanted(one: Contact, query: Mapping[str, str], now: float) -> bool:
    """Tells whether a contact passes the filters."""
    asked = {name[len("filter[") : -1]: value for name, value in query.items() if name in FILTERS}
    both = f"{one.name} {one.email}".lower()
    checks: dict[str, Callable[[str], bool]] = {
        "site_id": lambda value: one.site == value,
        "search": lambda value: value.lower() in both,
        "name_contains": lambda value: value.lower() in one.name.lower(),
        "email_contains": lambda value: value.lower() in one.email,
        "has_tag_id": lambda value: value in one.tags,
        "has_all_tag_id": lambda value: set(value.split(",")) <= set(one.tags),
        "has_no_tag_id": lambda value: value not in one.tags,
        "created_in_last": lambda value: (
            datetime.fromisoformat(one.created_at) >= datetime.fromtimestamp(now, UTC) - timedelta(days=int(value))
        ),
    }
    for what in _ASSESSMENTS:
        checks[f"{what}_assessment_id"] = partial(_assessed, one, what)
    return all(checks[name](value) for name, value in asked.items())


def _assessed(one: Contact, what: str, assessment: str) -> bool:
    return one.assessments.get(assessment) in _ASSESSMENTS[what]


def ordered(found: list[Contact], order: str) -> list[Contact]:
    """Returns contacts in this order; a minus turns it round."""
    key = order.removeprefix("-")
    return sorted(found, key=lambda one: (getattr(one, key), int(one.id)), reverse=order.startswith("-"))
