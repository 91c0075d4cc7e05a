"""Texts with `{{ ... }}` from a mapping: checked and compiled once, evaluated without side effects or large results.

Only items, comparisons, arithmetic on numbers and the listed transforms exist. Nothing can be called, no attribute of a
Python object can be reached, and a missing or null value is an error that names its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Final, NoReturn

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes

from bridge.core.dates import zone
from bridge.core.sandbox import TESTS, ExpressionFailure, KeepPaths, Missing, MissingValue, environment
from bridge.core.text import MAX_TEXT, as_text
from bridge.core.transforms import TRANSFORMS
from bridge.core.wording import suggestion

MAX_EXPRESSION: Final = 1_000
_MAX_NESTING: Final = 30


@dataclass(frozen=True)
class Expression:
    """One compiled expression."""

    source: str
    roots: frozenset[str]
    """The names it starts from (`data`, `score`, ...)."""
    reads: frozenset[tuple[str, str]]
    """The named items read right below a root: ("data", "user")."""
    _template: Template = field(repr=False, compare=False)

    def value(self, scope: Mapping[str, object]) -> object:
        """Works the expression out. Raises MissingValue and ExpressionFailure."""
        context = self._template.new_context(dict(scope))
        try:
            for _ in self._template.root_render_func(context):
                pass
        except MissingValue:
            raise
        except ExpressionFailure:
            raise
        except ValueError as failure:
            raise ExpressionFailure(str(failure)) from None
        except ZeroDivisionError:
            raise ExpressionFailure("it divides by zero.") from None
        except TypeError:
            raise ExpressionFailure("it mixes kinds of values that do not go together.") from None
        except (TemplateError, ArithmeticError, LookupError, AttributeError, RecursionError):
            raise ExpressionFailure("it cannot be worked out for this data.") from None
        result = context.vars["result"]
        if isinstance(result, Missing):
            raise MissingValue(result.path, result.state)
        return result


@dataclass(frozen=True)
class Text:
    """A text of a mapping: literal parts and expressions in between."""

    source: str
    parts: tuple[str | Expression, ...]

    @property
    def roots(self) -> frozenset[str]:
        """The names that the expressions start from."""
        found: frozenset[str] = frozenset()
        return found.union(*(part.roots for part in self.parts if isinstance(part, Expression)))

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The named items that the expressions read right below a root."""
        found: frozenset[tuple[str, str]] = frozenset()
        return found.union(*(part.reads for part in self.parts if isinstance(part, Expression)))

    def value(self, scope: Mapping[str, object]) -> object:
        """Returns the text, or the value itself (number, date, list) where the whole text is one expression.

        Raises MissingValue and ExpressionFailure.
        """
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self.parts[0].value(scope)
        return self._joined(part if isinstance(part, str) else part.value(scope) for part in self.parts)

    def _joined(self, values: Iterable[object]) -> str:
        result = ""
        for value in values:
            try:
                result += as_text(value)
            except ValueError as failure:
                raise ExpressionFailure(str(failure)) from None
            if len(result) > MAX_TEXT:
                raise ExpressionFailure(f"it gives more than {MAX_TEXT:,} characters.")
        return result


def compile_text(source: str, names: Sequence[str]) -> Text:
    """Compiles a text that may hold `{{ ... }}`; `names` are the words it may start from.

    Raises ValueError with a sentence for the person who wrote it.
    """
    if "{{" not in source and "{%" not in source and "}}" not in source:
        return Text(source, (source,))
    _check_source(source)
    template = _parse(source)
    parts: list[str | Expression] = []
    for output in template.body:
        if not isinstance(output, nodes.Output):
            raise ValueError(_NO_STATEMENTS)
        for part in output.nodes:
            parts.append(part.data if isinstance(part, nodes.TemplateData) else _compiled(part, source, names))
    return Text(source, tuple(parts))


def compile_expression(source: str, names: Sequence[str]) -> Expression:
    """Compiles an expression written without braces (`data.free_trial`); otherwise as `compile_text`."""
    inner = source.strip()
    if inner.startswith("{{") and inner.endswith("}}") and inner.count("{{") == 1:
        inner = inner[2:-2].strip()
    if "{{" in inner or "}}" in inner:
        raise ValueError("Write one expression here, without {{ }}.")
    if not inner:
        raise ValueError("The expression is empty.")
    compiled = compile_text("{{ " + inner + " }}", names)
    if len(compiled.parts) != 1 or not isinstance(compiled.parts[0], Expression):
        raise ValueError("Write one expression here, without {{ }}.")
    return replace(compiled.parts[0], source=source)


# -- what may be written ---------------------------------------------------------------------------

_NO_STATEMENTS: Final = "Statements ({% ... %}) are not available, only {{ ... }}."
_REFUSED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Call: "Nothing can be called in an expression; use a transform: {{ value | transform }}.",
    nodes.Pow: 'Powers ("**") are not available.',
    nodes.Mod: 'The sign "%" is not available in an expression.',
    nodes.FloorDiv: 'The sign "//" is not available in an expression.',
    nodes.Concat: 'The sign "~" is not available: write the parts next to each other, "{{ a }}{{ b }}".',
    nodes.Slice: "Parts of a text or list ([1:2]) are not available.",
}
_ALLOWED: Final = (
    nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.CondExpr, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
)  # fmt: skip


def _check_source(source: str) -> None:
    if len(source) > MAX_EXPRESSION:
        raise ValueError(f"A text with expressions may have at most {MAX_EXPRESSION:,} characters.")
    if "{%" in source:
        raise ValueError(_NO_STATEMENTS)
    if "{#" in source:
        raise ValueError("Comments ({# ... #}) are not available in a text; use a YAML comment.")
    if source.count("{{") != source.count("}}"):
        raise ValueError('Each "{{" needs its "}}".')
    if sum(source.count(sign) for sign in "([{") > _MAX_NESTING * 3:
        raise ValueError("The expression has too many brackets.")


def _parse(source: str) -> nodes.Template:
    try:
        return environment().parse(source)
    except TemplateSyntaxError as failure:
        reason = (failure.message or "it is not complete").rstrip(".")
        raise ValueError(f"The expression cannot be read: {reason}.") from None
    except RecursionError:
        raise ValueError("The expression is nested too deeply.") from None


def _compiled(tree: nodes.Expr, source: str, names: Sequence[str]) -> Expression:
    roots: set[str] = set()
    _check_tree(tree, frozenset(names), roots, 0)
    reads = frozenset(_reads(tree))  # before the tree is rewritten for running
    readable = KeepPaths().visit(tree)
    wrapped = nodes.Template([nodes.Assign(nodes.Name("result", "store"), readable, lineno=1)], lineno=1)
    wrapped.set_environment(environment())
    try:
        # jinja2's own compile_expression passes a tree in the same way.
        template = environment().from_string(wrapped)
    except (TemplateError, SyntaxError, RecursionError, MemoryError):
        raise ValueError("The expression cannot be compiled; write it more simply.") from None
    return Expression(source, frozenset(roots), reads, template)


def _reads(tree: nodes.Expr) -> Iterator[tuple[str, str]]:
    # On its own, find_all does not look at the node it starts from.
    for node in (tree, *tree.find_all((nodes.Getattr, nodes.Getitem))):
        if isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
            part = node.attr if isinstance(node, nodes.Getattr) else node.arg
            inner = part.value if isinstance(part, nodes.Const) else part
            if isinstance(inner, str):
                yield node.node.name, inner


def _check_tree(node: nodes.Node, names: frozenset[str], roots: set[str], depth: int) -> None:
    if depth > _MAX_NESTING:
        raise ValueError("The expression is nested too deeply.")
    if isinstance(node, nodes.Call):
        _refuse_call(node)
    if type(node) in _REFUSED:
        raise ValueError(_REFUSED[type(node)])
    if not isinstance(node, _ALLOWED):
        raise ValueError("This kind of expression is not available.")
    _check_names(node, names, roots)
    for child in node.iter_child_nodes():
        _check_tree(child, names, roots, depth + 1)


def _refuse_call(node: nodes.Call) -> NoReturn:
    called = node.node
    named = called.name if isinstance(called, nodes.Name) else getattr(called, "attr", "")
    raise ValueError(f'"{named}(...)" cannot be called. {_REFUSED[nodes.Call]}')


def _check_names(node: nodes.Node, names: frozenset[str], roots: set[str]) -> None:
    if isinstance(node, nodes.Name):
        if node.name not in names:
            known = sorted(names)
            if node.name in {"null", "None", "nil"}:
                raise ValueError(f'"{node.name}" is not known: write "{{{{ value is none }}}}", or use default.')
            advice = suggestion(node.name, known) or ". Known here: " + ", ".join(known) + "."
            raise ValueError(f'"{node.name}" is not known{advice}')
        roots.add(node.name)
    elif isinstance(node, nodes.Getattr | nodes.Getitem):
        part = node.attr if isinstance(node, nodes.Getattr) else node.arg
        inner = part.value if isinstance(part, nodes.Const) else part
        # One underscore is data: some vendors write _links and _data.
        if isinstance(inner, str) and inner.startswith("__"):
            raise ValueError(f'"{inner}" is not available: names that start with __ are not data.')
    elif isinstance(node, nodes.Filter):
        _check_transform(node)
    elif isinstance(node, nodes.Test):
        _check_known(node.name, "test", list(TESTS))
    elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
        raise ValueError("An if needs its else: {{ a if condition else b }}.")
    elif isinstance(node, nodes.Mul) and any(_is_not_number(side) for side in (node.left, node.right)):
        raise ValueError('Only numbers can be multiplied ("*").')


def _check_transform(node: nodes.Filter) -> None:
    _check_known(node.name, "transform", list(TRANSFORMS))
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ValueError("Arguments with * or ** are not available.")
    transform = TRANSFORMS[node.name]
    try:
        options = {str(pair.key): pair.value for pair in node.kwargs}
        given = signature(transform.function).bind(None, *node.args, **options).arguments
    except TypeError as failure:
        raise ValueError(f'The transform "{node.name}": {failure}. Example: {transform.example}') from None
    if isinstance(named := given.get("zone"), nodes.Const):
        zone(str(named.value))


def _check_known(name: str, what: str, known: Sequence[str]) -> None:
    if name not in known:
        advice = suggestion(name, known) or f". Known: {', '.join(known)}."
        raise ValueError(f'There is no {what} "{name}"{advice}')


def _is_not_number(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Const):
        return isinstance(node.value, bool) or not isinstance(node.value, int | float)
    return isinstance(node, nodes.List | nodes.Tuple | nodes.Dict)
