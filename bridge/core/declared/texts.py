"""The texts of a declaration: values, conditions and JSON with expressions in them, compiled once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails

from bridge.core.expressions import Expression, Text, compile_expression, compile_text
from bridge.core.sandbox import ExpressionFailure, MissingValue
from bridge.core.text import as_text, kind, one_line
from bridge.core.transforms import to_iso

Scope = Mapping[str, object]
Path = tuple[str | int, ...]

NAMES: Final = (
    "item", "outer", "detail", "body", "headers", "query", "claims", "answer", "data", "event", "type",
    "settings", "since", "now", "page", "certificate", "target", "memo",
)  # fmt: skip
"""Every word that some text of a declaration may start from; `rules` says which where."""
MAX_VALUE: Final = 500
"""Characters of one value inside an address, a header or a query."""
_MAX_LEAVES: Final = 300
_TRUE: Final = frozenset({"true", "yes", "y", "1", "on", "x", "ja", "oui", "si", "sí", "sim"})
_FALSE: Final = frozenset({"false", "no", "n", "0", "off", "", "nein", "non", "não", "nao", "null"})


class Unclear(ValueError):
    """A text cannot be worked out for this data; the message is a clause: "data.user.id is missing"."""

    def __init__(self, message: str, *, missing: bool = False, null_at: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing
        self.null_at = null_at
        """Where null is shown; None where nothing is."""


def worked_out(text: Text | Expression, scope: Scope) -> object:
    """Returns the value of a text. Raises Unclear."""
    try:
        return text.value(scope)
    except MissingValue as gap:
        null_at = gap.path if gap.state == "null" else None
        raise Unclear(f"{gap.path} is {gap.state}", missing=True, null_at=null_at) from None
    except ExpressionFailure as failure:
        raise Unclear(f'"{text.source}" cannot be worked out: {str(failure).rstrip(".")}') from None


def line(text: Text | Expression, scope: Scope, *, longest: int = MAX_VALUE) -> str:
    """Returns the value of a text as one line; empty where it is blank. Raises Unclear."""
    value = plain(worked_out(text, scope))
    try:
        found = one_line(as_text(value))
    except ValueError as failure:
        raise Unclear(f'"{text.source}" is no text: {failure}') from None
    if len(found) > longest:
        raise Unclear(f'"{text.source}" has more than {longest} characters')
    return found


def plain(value: object) -> object:
    """Returns a value of an expression as JSON knows it: times in UTC as text, decimals as numbers."""
    if isinstance(value, datetime):
        return to_iso(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return list(value) if isinstance(value, tuple) else value


# -- conditions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """An expression that says yes or no; the words of other languages and `0` and `1` count too."""

    expression: Expression

    def holds(self, scope: Scope) -> bool:
        """Tells whether it is true. Raises Unclear, also for a value that says neither."""
        value = worked_out(self.expression, scope)
        word = as_text(value).strip().casefold() if isinstance(value, str | bool | int) else None
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise Unclear(f'"{self.expression.source}" gives {kind(value)}, which is neither yes nor no')

    def surely(self, scope: Scope) -> bool:
        """Tells whether it is true; a missing value means no. Raises Unclear for a value that says neither."""
        try:
            return self.holds(scope)
        except Unclear as unclear:
            if unclear.missing:
                return False
            raise


# -- JSON ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tree:
    """JSON whose texts may hold expressions; what they give is put in as a value and never read as JSON."""

    root: object
    """Dictionaries, lists, None, and a Text for every leaf."""

    def leaves(self) -> Iterator[tuple[Path, Text]]:
        """Yields every text with its place."""
        yield from _leaves(self.root, ())

    def value(self, scope: Scope, *, gaps: bool = False) -> object:
        """Returns the JSON. Raises Unclear where a value is missing, unless `gaps`: then null stands there."""
        return _filled(self.root, scope, gaps)


def _leaves(part: object, path: Path) -> Iterator[tuple[Path, Text]]:
    if isinstance(part, Text):
        yield path, part
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, inner in items:
        yield from _leaves(inner, (*path, key))


def _filled(part: object, scope: Scope, gaps: bool) -> object:
    if isinstance(part, dict):
        return {key: _filled(inner, scope, gaps) for key, inner in part.items()}
    if isinstance(part, list):
        return [_filled(inner, scope, gaps) for inner in part]
    if not isinstance(part, Text):
        return part
    try:
        return plain(worked_out(part, scope))
    except Unclear as unclear:
        if gaps and unclear.missing:
            return None
        raise


# -- as they stand in the file ---------------------------------------------------------------------


def given(raw: object) -> str:
    """Returns one line of text. Raises ValueError."""
    if not isinstance(raw, str):
        raise ValueError('One line of text is needed here; text with [ ] { } or "{{ ... }}" belongs in quotes.')
    return raw


def text_of(raw: object) -> Text:
    """Compiles a text. Raises ValueError."""
    return compile_text(given(raw), NAMES)


def _expression(raw: object) -> Expression:
    return compile_expression(given(raw), NAMES)


def _tree(raw: object) -> Tree:
    wrong: list[InitErrorDetails] = []
    tree = Tree(_compiled(raw, (), wrong))
    if wrong:
        # Each with its own place: such a part may have a hundred lines.
        raise ValidationError.from_exception_data("JSON", wrong)
    if sum(1 for _ in tree.leaves()) > _MAX_LEAVES:
        raise ValueError(f"There are too many values: at most {_MAX_LEAVES}.")
    return tree


def _compiled(raw: object, at: Path, wrong: list[InitErrorDetails]) -> object:
    if isinstance(raw, dict):
        return {key: _compiled(value, (*at, key), wrong) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_compiled(value, (*at, number), wrong) for number, value in enumerate(raw)]
    try:
        return text_of(raw) if raw is not None else None
    except ValueError as failure:
        wrong.append({"type": "value_error", "loc": at, "input": raw, "ctx": {"error": failure}})
        return None


_SCALAR: Final = {"type": ["string", "number", "boolean"]}
Words = Annotated[Text, PlainValidator(text_of), WithJsonSchema(_SCALAR)]
Formula = Annotated[Expression, PlainValidator(_expression), WithJsonSchema({"type": "string"})]
Test = Annotated[Condition, PlainValidator(lambda raw: Condition(_expression(raw))), WithJsonSchema({"type": "string"})]
JsonTree = Annotated[Tree, PlainValidator(_tree), WithJsonSchema({})]
