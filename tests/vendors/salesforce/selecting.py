"""Answers a query that was read: compares it with the org's fields, then finds, sorts and shows records."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from vendors.salesforce.errors import SalesforceError
from vendors.salesforce.ids import long_id
from vendors.salesforce.org import Org, Row
from vendors.salesforce.schema import Field, ObjectType
from vendors.salesforce.soql import Comparison, Condition, Path, Query, Value
from vendors.salesforce.values import shown

_WRITTEN: Final = {"double": "number", "int": "number", "boolean": "boolean", "date": "date", "datetime": "datetime"}
"""How values must be written, by type of field; all others are texts in quotes."""
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda ours, asked: ours < asked,
    "<=": lambda ours, asked: ours <= asked,
    ">": lambda ours, asked: ours > asked,
    ">=": lambda ours, asked: ours >= asked,
}


class Selecting:
    """One query against one org, for one version of the API (it shows in the addresses of records)."""

    def __init__(self, org: Org, query: Query, version: str) -> None:
        self._org = org
        self._query = query
        self._version = version
        kind = {name.casefold(): one for name, one in org.types.items()}.get(query.source.casefold())
        if kind is None or kind.hidden:
            message = f"sObject type '{query.source}' is not supported. If you are attempting to use a custom object,"
            raise SalesforceError("INVALID_TYPE", f"{message} be sure to append the '__c' after the entity name.")
        self._kind = kind

    def found(self, *, deleted: bool = False) -> list[Row]:
        """Returns the records, whole. Raises SalesforceError.

        Without ORDER BY the newest come first, because no order is promised then.
        """
        query, source = self._query, self._org.rows[self._kind.name].values()
        for path in query.fields:
            self._field(path)
        self._restricted(query.where)
        test = self._test(query.where) if query.where is not None else lambda _: True
        # Tasks are archived after a year; as deleted ones they are found by queryAll only.
        rows = [row for row in source if (deleted or not (row["IsDeleted"] or row.get("IsArchived"))) and test(row)][
            ::-1
        ]
        for path, descends, last in reversed(query.order):
            self._sort(rows, path, descends, last)
        return rows if query.grouped else self._cut(rows)

    def _cut(self, found: list[Any]) -> list[Any]:
        end = None if self._query.limit is None else self._query.offset + self._query.limit
        return found[self._query.offset : end]

    def groups(self) -> list[dict[str, Any]]:
        """Returns what a query with GROUP BY shows: a record for each group of equal values. Raises SalesforceError."""
        together: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.found():
            together.setdefault(tuple(self._value(row, path) for path in self._query.grouped), []).append(row)
        return self._cut([self._group(rows) for rows in together.values()])

    def _group(self, rows: list[Row]) -> dict[str, Any]:
        answer: dict[str, Any] = {"attributes": {"type": "AggregateResult"}}
        unnamed = iter(range(len(self._query.columns)))
        for one in self._query.columns:
            if one.counts:
                filled = sum(self._raw(row, one.path) is not None for row in rows)
                answer[one.alias or f"expr{next(unnamed)}"] = filled
            else:
                answer[one.alias or one.path[-1]] = shown(self._raw(rows[0], one.path))
        return answer

    def shown(self, row: Row) -> dict[str, Any]:
        """Returns one record as the answer has it: the fields in the order asked for, other records inside."""
        answer = self._attributes(self._kind, row)
        for path in self._query.fields:
            self._show(answer, self._kind, row, path)
        return answer

    def _attributes(self, kind: ObjectType, row: Row) -> dict[str, Any]:
        url = f"/services/data/v{self._version}/sobjects/{kind.name}/{row['Id']}"
        return {"attributes": {"type": kind.name, "url": url}}

    def _show(self, answer: dict[str, Any], kind: ObjectType, row: Row, path: Path) -> None:
        if len(path) == 1:
            field = self._own(kind, path[0])
            answer[field.name] = self._one(kind, row, field)
            return
        field, target, other = self._step(kind, row, path[0])
        name = field.relationship or ""
        if other is None:
            answer[name] = None
            return
        if answer.get(name) is None:
            answer[name] = self._attributes(target, other)
        self._show(answer[name], target, other, path[1:])

    def _one(self, kind: ObjectType, row: Row, field: Field) -> Any:
        if field.type == "base64":
            return f"/services/data/v{self._version}/sobjects/{kind.name}/{row['Id']}/{field.name}"
        return shown(row[field.name])

    # -- fields ------------------------------------------------------------------------------------

    def _own(self, kind: ObjectType, name: str) -> Field:
        found = kind.field(name)
        if found is None:
            message = f"No such column '{name}' on entity '{kind.name}'. If you are attempting to use a custom field,"
            raise SalesforceError(
                "INVALID_FIELD", f"{message} be sure to append the '__c' after the custom field name."
            )
        return found

    def _relation(self, kind: ObjectType, name: str) -> tuple[Field, ObjectType]:
        found = kind.relation(name)
        if found is None or self._org.types[found.references[0]].hidden:
            message = f"Didn't understand relationship '{name}' in field path."
            raise SalesforceError(
                "INVALID_FIELD",
                f"{message} If you are attempting to use a custom relationship,"
                " be sure to append the '__r' after the custom relationship name.",
            )
        return found, self._org.types[found.references[0]]

    def _field(self, path: Path) -> Field:
        kind = self._kind
        for name in path[:-1]:
            _, kind = self._relation(kind, name)
        return self._own(kind, path[-1])

    def _step(self, kind: ObjectType, row: Row, name: str) -> tuple[Field, ObjectType, Row | None]:
        field, target = self._relation(kind, name)
        return field, target, self._org.rows[target.name].get(row[field.name] or "")

    def _value(self, row: Row, path: Path) -> Any:
        return _folded(self._raw(row, path), self._field(path))

    def _raw(self, row: Row, path: Path) -> Any:
        kind, found = self._kind, row
        for name in path[:-1]:
            _, kind, other = self._step(kind, found, name)
            if other is None:
                return None
            found = other
        return found[self._own(kind, path[-1]).name]

    def _sort(self, rows: list[Row], path: Path, descends: bool, nulls_last: bool) -> None:
        self._filterable(path, "sorted")
        filled = [row for row in rows if self._value(row, path) is not None]
        empty = [row for row in rows if self._value(row, path) is None]
        filled.sort(key=lambda row: self._value(row, path), reverse=descends)
        rows[:] = [*filled, *empty] if nulls_last else [*empty, *filled]

    def _filterable(self, path: Path, what: str) -> Field:
        field = self._field(path)
        if not field.filterable:
            raise SalesforceError("INVALID_FIELD", f"field '{field.name}' can not be {what} in a query call")
        return field

    # -- conditions --------------------------------------------------------------------------------

    def _restricted(self, where: Condition | None) -> None:
        """Some objects are only found through the record they hang on."""
        if self._kind.name != "ContentDocumentLink" or (where is not None and _pins(where)):
            return
        message = (
            "Implementation restriction: ContentDocumentLink requires a filter by a single Id on ContentDocumentId"
        )
        raise SalesforceError(
            "MALFORMED_QUERY",
            f"{message} or LinkedEntityId using the equals operator or multiple Id's using the IN operator.",
        )

    def _test(self, condition: Condition) -> Callable[[Row], bool]:
        if isinstance(condition, Comparison):
            return self._comparison(condition)
        tests = [self._test(one) for one in condition.conditions]
        if condition.word == "not":
            return lambda row: not tests[0](row)
        join = all if condition.word == "and" else any
        return lambda row: join(test(row) for test in tests)

    def _comparison(self, asked: Comparison) -> Callable[[Row], bool]:
        path, operator = asked.path, asked.operator
        field = self._filterable(path, "filtered")
        values = [_asked(field, one) for one in asked.values]
        if operator == "like":
            pattern = _pattern(str(values[0]))
            return lambda row: bool(pattern.fullmatch(str(self._value(row, path) or "")))
        if operator in ("=", "in"):
            return lambda row: self._value(row, path) in values
        if operator in ("!=", "not in"):
            return lambda row: self._value(row, path) not in values
        compare = _COMPARE[operator]
        return lambda row: (ours := self._value(row, path)) is not None and compare(ours, values[0])


def _asked(field: Field, value: Value) -> Any:
    """Returns what to compare with. Raises SalesforceError when it is written in the wrong way."""
    wanted = _WRITTEN.get(field.type, "string")
    if value.kind == "null" or (value.kind == "string" and value.value == "" and wanted == "string"):
        return None
    if value.kind != wanted:
        word = {"datetime": "dateTime", "number": "double"}.get(wanted, wanted)
        quotes = "should be" if wanted == "string" else "should not be"
        message = f"value of filter criterion for field '{field.name}' must be of type {word} and {quotes}"
        raise SalesforceError("INVALID_FIELD", f"{message} enclosed in quotes")
    if field.type not in ("id", "reference"):
        return _folded(value.value, field)
    try:
        return long_id(str(value.value))
    except ValueError:
        raise SalesforceError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value.value}") from None


def _folded(value: Any, field: Field) -> Any:
    """Texts are compared without case, ids with it."""
    return value.casefold() if isinstance(value, str) and field.type not in ("id", "reference") else value


def _pattern(text: str) -> re.Pattern[str]:
    pieces = re.findall(r"\\[%_]|.", text, flags=re.DOTALL)
    meant = {"%": ".*", "_": "."}
    made = "".join(meant.get(one) or re.escape(one[-1]) for one in pieces)
    return re.compile(made, re.IGNORECASE | re.DOTALL)


def _pins(where: Condition) -> bool:
    if isinstance(where, Comparison):
        name = where.path[-1].casefold()
        return (
            len(where.path) == 1 and name in ("contentdocumentid", "linkedentityid") and where.operator in ("=", "in")
        )
    return where.word == "and" and any(_pins(one) for one in where.conditions)
