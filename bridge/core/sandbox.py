"""The sandbox that expressions run in: items, never attributes; missing values know their path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final, Literal

from jinja2 import StrictUndefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from bridge.core.text import MAX_TEXT, kind, one_line
from bridge.core.transforms import TRANSFORMS, Transform

_MAX_NUMBER: Final = 10**15

State = Literal["missing", "null", "empty"]


class MissingValue(Exception):
    """An expression needs a value that is not there."""

    def __init__(self, path: str, state: State) -> None:
        super().__init__(f"{path} is {state}")
        self.path = path
        self.state = state


class ExpressionFailure(Exception):
    """An expression cannot be worked out for this data; the message is a sentence without its subject."""


class Missing(StrictUndefined):
    """Stands for a value that is not there; any use but `default`, `first_of` and the tests raises MissingValue."""

    __slots__ = ("path", "state")

    def __init__(self, path: str = "a value", state: State = "missing") -> None:
        self.path = path
        self.state = state
        super().__init__(hint=path, exc=self._missing)  # type: ignore[arg-type]

    def _missing(self, message: str) -> MissingValue:
        return MissingValue(self.path, self.state)


class KeepPaths(NodeTransformer):
    """Replaces `data.user.name` by one look-up that knows its whole path, for messages."""

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802 (jinja2's name)
        return self._read(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 (jinja2's name)
        return self._read(node)

    def _read(self, node: nodes.Expr) -> nodes.Node:
        steps: list[nodes.Expr] = []
        while isinstance(node, nodes.Getattr | nodes.Getitem):
            steps.append(nodes.Const(node.attr) if isinstance(node, nodes.Getattr) else self.visit(node.arg))
            node = node.node
        start = node.name if isinstance(node, nodes.Name) else "(...)"
        arguments = [nodes.Const(start), nodes.List(steps[::-1])]
        return nodes.Filter(self.visit(node), _ITEM, arguments, [], None, None)


_ITEM: Final = "item at path"


def _item(value: object, path: str, steps: Sequence[object]) -> object:
    for step in steps:
        if isinstance(value, Missing):
            return value
        path = f"{path}.{_step(step)}"
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, _ABSENT)
        elif isinstance(value, list | tuple) and isinstance(step, int) and not isinstance(step, bool):
            value = value[step] if -len(value) <= step < len(value) else _ABSENT
        else:
            value = _ABSENT
        if value is None or value is _ABSENT:
            return Missing(path, "null" if value is None else "missing")
    return value


_ABSENT: Final = object()


def _step(step: object) -> str:
    if isinstance(step, Missing):
        raise MissingValue(step.path, step.state)
    return one_line(str(step)[:60]) if isinstance(step, str | int) else "?"


class _Environment(ImmutableSandboxedEnvironment):
    """A dot means an item, never an attribute; arithmetic is for numbers of a sensible size."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "**", "//", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        return _item(obj, "(...)", [attribute])

    def getitem(self, obj: Any, argument: Any) -> Any:
        return _item(obj, "(...)", [argument])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for side in (left, right):
            if isinstance(side, Missing):
                raise MissingValue(side.path, side.state)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            if len(left) + len(right) > MAX_TEXT:
                raise ExpressionFailure(f"it gives more than {MAX_TEXT:,} characters.")
            return left + right
        _check_number(left, operator)
        _check_number(right, operator)
        result = self.binop_table[operator](left, right)
        _check_number(result, operator)
        return result


def _check_number(value: object, operator: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ExpressionFailure(f'"{operator}" needs numbers, and this is {kind(value)}.')
    if not -_MAX_NUMBER <= value <= _MAX_NUMBER:
        raise ExpressionFailure(f'"{operator}" works on numbers up to {_MAX_NUMBER:,}.')


def _strict(transform: Transform) -> Callable[..., object]:
    """Makes a transform refuse missing values, wherever they stand, unless it is made for them."""

    def apply(value: object, *arguments: object, **options: object) -> object:
        given = (value, *arguments, *options.values())
        for item in given:
            if isinstance(item, Missing) and not transform.takes_missing:
                raise MissingValue(item.path, item.state)
            if isinstance(item, str) and len(item) > MAX_TEXT:
                raise ExpressionFailure(f"it gives a transform a text of more than {MAX_TEXT:,} characters.")
        try:
            found = transform.function(value, *arguments, **options)
        except TypeError:
            raise ExpressionFailure(f'the transform "{transform.name}" cannot read {kind(value)}.') from None
        return Missing(f"what {transform.name} looks for") if found is None else found

    return apply


def _is_defined(value: object) -> bool:
    return not isinstance(value, Missing)


def _is_missing(value: object) -> bool:
    return isinstance(value, Missing)


TESTS: Final[Mapping[str, Callable[[object], bool]]] = {
    "defined": _is_defined,
    "undefined": _is_missing,
    "none": _is_missing,
}


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """Returns the one environment; the listed transforms and tests are all there is."""
    made = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    made.globals.clear()
    made.filters.clear()
    made.filters.update({name: _strict(transform) for name, transform in TRANSFORMS.items()})
    made.filters[_ITEM] = _item
    made.tests.clear()
    made.tests.update(TESTS)
    return made
