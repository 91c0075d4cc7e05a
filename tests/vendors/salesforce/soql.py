"""Reads the small part of SOQL that pollers and look-ups write, and refuses everything else as Salesforce would.

https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select.htm
Other aggregates than COUNT, subqueries, date words such as TODAY and the like are refused: nothing here reads them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal, NoReturn

from vendors.salesforce.errors import SalesforceError
from vendors.salesforce.values import day, instant

Path = tuple[str, ...]
"""A field, or the relationships on the way to it and the field."""
Kind = Literal["string", "number", "boolean", "null", "date", "datetime"]


@dataclass(frozen=True)
class Value:
    """A value in a condition, with the way it was written."""

    kind: Kind
    value: str | float | bool | date | datetime | None


@dataclass(frozen=True)
class Comparison:
    """field operator value, or a list of values for IN and NOT IN."""

    path: Path
    operator: str
    values: Sequence[Value]


@dataclass(frozen=True)
class Together:
    """AND, OR or NOT of conditions."""

    word: str
    conditions: Sequence[Condition]


Condition = Comparison | Together


@dataclass(frozen=True)
class Column:
    """What a query shows: a field, or how many records of a group have one; by a name of its own or the field's."""

    path: Path
    alias: str | None
    counts: bool


@dataclass
class Query:
    """One query, read but not yet compared with the org."""

    fields: Sequence[Path]
    """Empty for COUNT()."""
    source: str
    where: Condition | None = None
    grouped: list[Path] = field(default_factory=list)
    columns: Sequence[Column] = ()
    """Of a query with GROUP BY."""
    order: list[tuple[Path, bool, bool]] = field(default_factory=list)
    """Field, whether it descends, whether nulls come last."""
    limit: int | None = None
    offset: int = 0


_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<string>'(?:\\.|[^'\\])*')
    | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))(?![\w:])
    | (?P<date>\d{4}-\d\d-\d\d)(?![\w:])
    | (?P<number>[+-]?\d+(?:\.\d+)?)(?![\w:-])
    | (?P<name>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)
    | (?P<sign><=|>=|!=|<>|=|<|>|,|\(|\))
    )""",
    re.VERBOSE,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_CONSTANTS: Final = {
    "true": Value("boolean", True),
    "false": Value("boolean", False),
    "null": Value("null", None),
}
_COMPARE: Final = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})
_WORDS: Final = frozenset(
    {"select", "from", "where", "and", "or", "not", "in", "like", "group", "order", "by", "limit"}
)


@dataclass(frozen=True)
class _Part:
    kind: str
    text: str
    at: int


def read_query(text: str) -> Query:
    """Reads a query. Raises SalesforceError (MALFORMED_QUERY)."""
    return _Reader(text).query()


def _malformed(message: str) -> NoReturn:
    raise SalesforceError("MALFORMED_QUERY", message)


def _parts(text: str) -> list[_Part]:
    parts, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            rest = text[at:].lstrip()
            _malformed(f"\n{text}\n^\nERROR at Row:1:Column:{at + 1}\nunexpected token: '{rest.split()[0][:40]}'")
        kind = found.lastgroup or ""
        parts.append(_Part(kind, found[kind], found.start(kind)))
        at = found.end()
    return parts


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._parts = _parts(text)
        self._next = 0

    # -- the pieces --------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._parts[self._next].text.casefold() if self._next < len(self._parts) else "<eof>"

    def _take(self) -> _Part:
        if self._next >= len(self._parts):
            _malformed("unexpected token: '<EOF>'")
        self._next += 1
        return self._parts[self._next - 1]

    def _wrong(self, part: _Part) -> NoReturn:
        _malformed(f"\n{self._text}\n^\nERROR at Row:1:Column:{part.at + 1}\nunexpected token: '{part.text}'")

    def _accept(self, *words: str) -> bool:
        """Takes these words when they come next."""
        coming = [one.text.casefold() for one in self._parts[self._next : self._next + len(words)]]
        if coming == list(words):
            self._next += len(words)
            return True
        return False

    def _expect(self, word: str) -> None:
        part = self._take()
        if part.text.casefold() != word:
            self._wrong(part)

    def _path(self) -> Path:
        part = self._take()
        if part.kind != "name" or part.text.casefold() in _WORDS:
            self._wrong(part)
        return tuple(part.text.split("."))

    def _number(self) -> int:
        part = self._take()
        if not part.text.isdigit():
            self._wrong(part)
        return int(part.text)

    # -- the query ---------------------------------------------------------------------------------

    def query(self) -> Query:
        self._expect("select")
        columns = [] if self._accept("count", "(", ")") else self._list(self._column)
        self._expect("from")
        source = self._path()
        if len(source) != 1:
            _malformed(f"{'.'.join(source)} is no object")
        query = Query([one.path for one in columns], source[0], columns=columns)
        if self._accept("where"):
            query.where = self._conditions()
        if self._accept("group", "by"):
            query.grouped = self._list(self._path)
        _check_groups(query)
        if self._accept("order", "by"):
            query.order = self._list(self._order)
        if self._accept("limit"):
            query.limit = self._number()
        if self._accept("offset"):
            query.offset = self._number()
        if self._next < len(self._parts):
            self._wrong(self._take())
        return query

    def _column(self) -> Column:
        counts = self._accept("count", "(")
        path = self._path()
        if counts:
            self._expect(")")
        alias = None if self._peek() in (",", "from") else self._path()[0]
        return Column(path, alias, counts)

    def _list(self, one: Any) -> list[Any]:
        found = [one()]
        while self._accept(","):
            found.append(one())
        return found

    def _order(self) -> tuple[Path, bool, bool]:
        path = self._path()
        descends = self._accept("desc")
        if not descends:
            self._accept("asc")
        last = self._accept("nulls", "last")
        if not last:
            self._accept("nulls", "first")
        return path, descends, last

    # -- conditions --------------------------------------------------------------------------------

    def _conditions(self) -> Condition:
        """AND and OR do not stand side by side without parentheses."""
        found, word = [self._condition()], ""
        while self._peek() in ("and", "or"):
            part = self._take()
            if word and part.text.casefold() != word:
                self._wrong(part)
            word = part.text.casefold()
            found.append(self._condition())
        return Together(word, found) if word else found[0]

    def _condition(self) -> Condition:
        if self._accept("not"):
            return Together("not", [self._condition()])
        if self._accept("("):
            inner = self._conditions()
            self._expect(")")
            return inner
        path = self._path()
        if self._accept("not", "in"):
            return Comparison(path, "not in", self._values())
        part = self._take()
        operator = part.text.casefold()
        if operator == "in":
            return Comparison(path, "in", self._values())
        if operator not in _COMPARE and operator != "like":
            self._wrong(part)
        value = self._value(pattern=operator == "like")
        return Comparison(path, "!=" if operator == "<>" else operator, [value])

    def _values(self) -> list[Value]:
        self._expect("(")
        found = self._list(self._value)
        self._expect(")")
        return found

    def _value(self, *, pattern: bool = False) -> Value:
        part = self._take()
        word = part.text.casefold()
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        if part.kind == "number":
            return Value("number", float(part.text))
        try:
            if part.kind == "datetime":
                return Value("datetime", instant(part.text))
            if part.kind == "date":
                return Value("date", day(part.text))
            if part.kind != "string":
                self._wrong(part)
            return Value("string", unquoted(part.text, pattern=pattern))
        except ValueError as error:
            _malformed(str(error))


def _check_groups(query: Query) -> None:
    """Names of one's own are for groups only, and what is neither grouped by nor counted has no place in one."""
    grouped = [".".join(path).casefold() for path in query.grouped]
    for one in query.columns:
        name = ".".join(one.path)
        if grouped and not one.counts and name.casefold() not in grouped:
            _malformed(f"Field must be grouped or aggregated: {name}")
        if not grouped and (one.counts or one.alias is not None):
            _malformed(f"unexpected token: '{one.alias or name}'")


def unquoted(text: str, *, pattern: bool) -> str:
    """Returns the text between quotes; in a pattern, \\% and \\_ stay escaped for LIKE. Raises ValueError."""

    def character(found: re.Match[str]) -> str:
        letter = found[1]
        if letter[0] == "u" and len(letter) == 5:
            return chr(int(letter[1:], 16))
        if letter in "%_" and pattern:
            return found[0]
        if letter not in _ESCAPES:
            raise ValueError(
                f"Invalid string literal {text}. Illegal character sequence '\\{letter}' in string literal."
            )
        return _ESCAPES[letter]

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", character, text[1:-1], flags=re.DOTALL)
