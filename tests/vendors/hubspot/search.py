"""Reads the body of HubSpot's CRM search and finds what it describes.

https://developers.hubspot.com/docs/api-reference/legacy/crm/search-the-crm
A record without a value matches no comparison, not even NEQ or NOT_IN: nobody should rely on the opposite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vendors.hubspot.values import Property, comparable

_PARTS: Final = frozenset({"filterGroups", "sorts", "properties", "limit", "after"})
_LONGEST_BODY: Final = 3000
_LARGEST_PAGE: Final = 200

_Compare = Callable[[Any, Any], bool]
_ONE: Final[Mapping[str, _Compare]] = {
    "EQ": lambda ours, asked: ours == asked,
    "NEQ": lambda ours, asked: ours != asked,
    "LT": lambda ours, asked: ours < asked,
    "LTE": lambda ours, asked: ours <= asked,
    "GT": lambda ours, asked: ours > asked,
    "GTE": lambda ours, asked: ours >= asked,
}
_TOKEN: Final = frozenset({"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"})
_LIST: Final = frozenset({"IN", "NOT_IN"})
_PRESENCE: Final = frozenset({"HAS_PROPERTY", "NOT_HAS_PROPERTY"})


@dataclass(frozen=True)
class Search:
    """One search, read and checked."""

    groups: Sequence[Sequence[Filter]]
    sort: tuple[Property, bool] | None
    """The property, and whether it descends."""
    properties: Sequence[str]
    limit: int
    after: int

    def found(self, candidates: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """Returns the candidates that match, in order; each is the indexed properties of a record."""
        hits = [one for one in candidates if not self.groups or any(_all(group, one) for group in self.groups)]
        if self.sort is None:
            return sorted(hits, key=lambda one: one["hs_object_id"])
        definition, descends = self.sort
        with_value = [one for one in hits if one.get(definition.name)]
        without = [one for one in hits if not one.get(definition.name)]
        with_value.sort(key=lambda one: comparable(definition, one[definition.name]), reverse=descends)
        return [*with_value, *without] if descends else [*without, *with_value]


@dataclass(frozen=True)
class Filter:
    """One condition; `asked` holds one value, two bounds, a list or nothing, by operator."""

    definition: Property
    operator: str
    asked: Sequence[Any]

    def matches(self, properties: Mapping[str, str]) -> bool:
        """Tests the indexed properties of one record."""
        text = properties.get(self.definition.name, "")
        if self.operator in _PRESENCE:
            return bool(text) == (self.operator == "HAS_PROPERTY")
        if not text:
            return False
        if self.operator in _TOKEN:
            return _has_tokens(text, self.asked[0]) == (self.operator == "CONTAINS_TOKEN")
        ours = comparable(self.definition, text)
        if self.operator == "BETWEEN":
            return bool(self.asked[0] <= ours <= self.asked[1])
        if self.operator in _LIST:
            return (ours in self.asked) == (self.operator == "IN")
        return _ONE[self.operator](ours, self.asked[0])


def read_search(raw: bytes, body: dict[str, Any], definitions: Mapping[str, Property], cap: int) -> Search:
    """Reads a search. Raises ValueError with the reason; `cap` is how far one may page (10 000)."""
    if len(raw.decode("utf-8")) > _LONGEST_BODY:
        raise ValueError(f"the body of a search has more than {_LONGEST_BODY} characters")
    if unknown := set(body) - _PARTS:
        raise ValueError(f"unknown parts of a search: {sorted(unknown)}")
    limit, after = _count(body.get("limit", 10)), _count(body.get("after", 0))
    if not 1 <= limit <= _LARGEST_PAGE:
        raise ValueError(f"limit={limit}: a page holds 1 to {_LARGEST_PAGE} records")
    if after + limit > cap:
        raise ValueError(f"after={after}: a search cannot go beyond {cap} records")
    properties = _list(body, "properties")
    if not all(isinstance(one, str) for one in properties):
        raise ValueError("properties must be names")
    groups = [_group(one, definitions) for one in _list(body, "filterGroups")]
    if len(groups) > 5 or sum(map(len, groups)) > 18:
        raise ValueError("a search takes 5 groups and 18 filters at most")
    return Search(groups, _sort(_list(body, "sorts"), definitions), properties, limit, after)


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    found = body.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"{name} must be a list")
    return found


def _count(value: object) -> int:
    """Numbers come as numbers or, like `after`, as text."""
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, str) and value.isdigit())):
        raise ValueError(f"{value!r} is no number")
    return int(value)


def _sort(sorts: list[Any], definitions: Mapping[str, Property]) -> tuple[Property, bool] | None:
    if len(sorts) > 1:
        raise ValueError("a search sorts by one property only")
    if not sorts:
        return None
    (one,) = sorts
    if not isinstance(one, dict) or set(one) != {"propertyName", "direction"}:
        raise ValueError(f"a sort has propertyName and direction, not {one!r}")
    if one["direction"] not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"direction {one['direction']!r}")
    return _defined(one["propertyName"], definitions), one["direction"] == "DESCENDING"


def _defined(name: object, definitions: Mapping[str, Property]) -> Property:
    found = definitions.get(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"there is no property {name!r}")
    return found


def _group(group: object, definitions: Mapping[str, Property]) -> list[Filter]:
    if not isinstance(group, dict) or set(group) != {"filters"}:
        raise ValueError(f"a filter group holds filters and nothing else, not {group!r}")
    filters = _list(group, "filters")
    if not 1 <= len(filters) <= 6:
        raise ValueError("a group takes 1 to 6 filters")
    return [_filter(one, definitions) for one in filters]


def _filter(one: object, definitions: Mapping[str, Property]) -> Filter:
    if not isinstance(one, dict):
        raise ValueError(f"{one!r} is no filter")
    operator = one.get("operator")
    names = {
        **dict.fromkeys([*_ONE, *_TOKEN], ("value",)),
        **dict.fromkeys(_LIST, ("values",)),
        **dict.fromkeys(_PRESENCE, ()),
        "BETWEEN": ("value", "highValue"),
    }
    if operator not in names:
        raise ValueError(f"there is no operator {operator!r}")
    wanted = names[operator]
    if set(one) != {"propertyName", "operator", *wanted}:
        raise ValueError(f"{operator} takes {wanted or 'no value'}, but the filter has {sorted(one)}")
    definition = _defined(one["propertyName"], definitions)
    asked = one["values"] if operator in _LIST else [one[name] for name in wanted]
    if not isinstance(asked, list) or not all(isinstance(value, str) and value for value in asked):
        raise ValueError(f"the values of {operator} must be text, not {asked!r}")
    if operator in _TOKEN:
        return Filter(definition, operator, asked)
    return Filter(definition, operator, [comparable(definition, value) for value in asked])


def _all(group: Sequence[Filter], properties: Mapping[str, str]) -> bool:
    return all(one.matches(properties) for one in group)


def _has_tokens(text: str, asked: str) -> bool:
    """Every word asked for is a word of the text; * stands for any letters."""
    words = re.findall(r"\w+", text.casefold())
    patterns = [re.escape(part).replace(r"\*", r"\w*") for part in re.findall(r"[\w*]+", asked.casefold())]
    return bool(patterns) and all(any(re.fullmatch(pattern, word) for word in words) for pattern in patterns)
