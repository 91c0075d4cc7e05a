"""Expressions: what they can say, what is refused when they are read, and that data cannot misuse them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.expressions import compile_expression, compile_text
from bridge.core.sandbox import ExpressionFailure, MissingValue

NAMES = ("data", "event")
DATA: dict[str, Any] = {
    "user": {"name": "Maria", "none": None, "items": "mine", "tags": ["a", "b"]},
    "evil": "{{7*7}}{% raw %}",
    "yes": True,
    "score": 87.5,
    "whole": 8.0,
    "long": "x" * 15_000,
}


def value(source: str) -> object:
    return compile_text(source, NAMES).value({"data": DATA, "event": {"type": "x"}})


def failure(source: str) -> str:
    with pytest.raises(ExpressionFailure) as caught:
        value(source)
    return str(caught.value)


def missing(source: str) -> tuple[str, str]:
    with pytest.raises(MissingValue) as caught:
        value(source)
    return caught.value.path, caught.value.state


def refused(source: str) -> str:
    with pytest.raises(ValueError) as caught:
        compile_text(source, NAMES)
    return str(caught.value)


def test_text_and_expressions_stand_side_by_side() -> None:
    assert value("Dear {{ data.user.name }}: {{ data.score }} of {{ data.whole }}, {{ data.yes }}") == (
        "Dear Maria: 87.5 of 8, true"
    )


def test_a_lone_expression_keeps_its_kind() -> None:
    assert value("{{ data.score }}") == 87.5
    assert value("{{ data.user.tags }}") == ["a", "b"]
    assert value("{{ data.user.tags.1 }}") == "b"


def test_what_data_holds_is_never_evaluated() -> None:
    assert value("{{ data.evil }}") == "{{7*7}}{% raw %}"
    assert value("Hello {{ data.evil }}") == "Hello {{7*7}}{% raw %}"


def test_a_dot_means_item_never_method() -> None:
    assert value("{{ data.user.items }}") == "mine"
    assert missing("{{ data.items }}") == ("data.items", "missing")
    assert missing("{{ data.user.name.upper }}") == ("data.user.name.upper", "missing")


def test_a_name_with_one_underscore_is_data_too_and_still_never_an_attribute() -> None:
    scope = {"data": {"_links": {"_self": "here"}, "text": "x"}}
    assert compile_text("{{ data._links._self }}", ("data",)).value(scope) == "here"
    for attribute in ("_mock_name", "_asdict", "_fields"):
        with pytest.raises(MissingValue):
            compile_text("{{ data.text." + attribute + " }}", ("data",)).value(scope)


def test_what_is_missing_or_null_is_named_with_its_whole_path() -> None:
    assert missing("{{ data.user.none }}") == ("data.user.none", "null")
    assert missing("{{ data.user.none.first }} x") == ("data.user.none", "null")
    assert missing("{{ data.nobody.name }}") == ("data.nobody", "missing")
    assert missing("{{ data.user.tags.7 }}") == ("data.user.tags.7", "missing")
    assert missing("{{ data.user[data.nokey] }}") == ("data.nokey", "missing")


@pytest.mark.parametrize(
    "source",
    ["{{ data.x == 'a' }}", "{{ data.x and true }}", "{{ not data.x }}", "{{ 'a' in data.x }}", "{{ data.x in ['a'] }}",
     "{{ data.x + 1 }}",
     "{{ data.x | upper }}", "{{ 'a' | replace('a', data.x) }}", "{{ data.x < 3 }}", "{{ -data.x }}",
     "{{ ['a', data.x] | join(' ') }}"],
)  # fmt: skip
def test_a_missing_value_never_slips_through_an_operator(source: str) -> None:
    assert missing(source) == ("data.x", "missing")


def test_missing_values_can_be_asked_for() -> None:
    assert value("{{ data.x is defined }}") is False
    assert value("{{ data.user.none is none }}") is True
    assert value("{{ data.x | default('none') }}") == "none"
    assert value("{{ data.x | first_of(data.user.none, data.user.name) }}") == "Maria"
    assert value("{{ 'a' if data.x is defined else 'b' }}") == "b"


def test_conditions_and_arithmetic_on_numbers_work() -> None:
    assert value("{{ data.score >= 80 and data.user.name == 'Maria' }}") is True
    assert value("{{ (data.score - 7.5) / 2 }}") == 40
    assert value("{{ data.user.name + '!' }}") == "Maria!"


def test_arithmetic_on_anything_else_fails_with_a_sentence() -> None:
    assert failure("{{ data.user.name * 3 }}") == '"*" needs numbers, and this is text.'
    assert failure("{{ data.user.tags + data.user.tags }}") == '"+" needs numbers, and this is a list.'
    assert failure("{{ data.yes + 1 }}") == '"+" needs numbers, and this is true or false.'
    assert failure("{{ 1 / (data.whole - 8) }}") == "it divides by zero."
    assert failure("{{ data.score > data.user.name }}") == "it mixes kinds of values that do not go together."
    assert failure("{{ data.whole * 1000000000000000 }}") == '"*" works on numbers up to 1,000,000,000,000,000.'
    assert failure("Dear {{ data.user }}") == "it is a section, not a text."


def test_what_an_expression_gives_is_capped() -> None:
    assert failure("{{ data.long }}{{ data.long }}") == "it gives more than 20,000 characters."
    assert failure("{{ data.long + data.long }}") == "it gives more than 20,000 characters."
    assert "more than 20,000 characters" in failure("{{ data.long | replace('x', 'yy') }}")


REFUSED = {
    "{{ 2 ** 9 }}": 'Powers ("**") are not available.',
    "{{ 'a' * 10 ** 9 }}": 'Only numbers can be multiplied ("*").',
    "{{ 'a' * 1000000000 }}": 'Only numbers can be multiplied ("*").',
    "{{ [1] * 1000000000 }}": 'Only numbers can be multiplied ("*").',
    "{{ '%999999999d' % 1 }}": 'The sign "%" is not available in an expression.',
    "{{ 1 // 2 }}": 'The sign "//" is not available in an expression.',
    "{{ range(10) }}": '"range(...)" cannot be called. Nothing can be called in an expression; use a transform: '
    "{{ value | transform }}.",
    "{{ data.user.items() }}": '"items(...)" cannot be called. Nothing can be called in an expression; use a '
    "transform: {{ value | transform }}.",
    "{{ data.__class__ }}": '"__class__" is not available: names that start with __ are not data.',
    "{{ data['__class__'] }}": '"__class__" is not available: names that start with __ are not data.',
    "{{ ''.__class__.__mro__ }}": '"__mro__" is not available: names that start with __ are not data.',
    "{{ data | tojson }}": 'There is no transform "tojson"; did you mean to_iso?',
    "{{ data | uper }}": 'There is no transform "uper"; did you mean upper?',
    "{{ data.x is divisibleby(3) }}": 'There is no test "divisibleby". Known: defined, undefined, none.',
    "{% for x in data %}{{ x }}{% endfor %}": "Statements ({% ... %}) are not available, only {{ ... }}.",
    "{{ dta.x }}": '"dta" is not known; did you mean data?',
    "{{ score }}": '"score" is not known. Known here: data, event.',
    "{{ data.x == null }}": '"null" is not known: write "{{ value is none }}", or use default.',
    "{{ data.x ": 'Each "{{" needs its "}}".',
    "{{ }}": "The expression cannot be read: Expected an expression, got 'end of print statement'.",
    "{{ 'a' if data.x }}": "An if needs its else: {{ a if condition else b }}.",
    "{{ data.user.tags[0:1] }}": "Parts of a text or list ([1:2]) are not available.",
    "{{ data.a ~ data.b }}": 'The sign "~" is not available: write the parts next to each other, "{{ a }}{{ b }}".',
    "{{ data.x | round(1, 2, 3) }}": 'The transform "round": too many positional arguments. Example: '
    "{{ data.grade | round(1) }}",
    "{{ data.x | local('%d', 'Lisbon') }}": '"Lisbon" is no time zone; one looks like Europe/Lisbon.',
    "{{ data.x | default(*data.y) }}": "Arguments with * or ** are not available.",
    "{# note #}{{ data.x }}": "Comments ({# ... #}) are not available in a text; use a YAML comment.",
    "{{ " + "not " * 90 + "data.x }}": "The expression is nested too deeply.",
    "{{ " + "(" * 200 + "1" + ")" * 200 + " }}": "The expression has too many brackets.",
    "{{ data.x }}" * 200: "A text with expressions may have at most 1,000 characters.",
}


@pytest.mark.parametrize("source", REFUSED, ids=[source[:40] for source in REFUSED])
def test_refuses_with_a_sentence(source: str) -> None:
    assert refused(source) == REFUSED[source]


def test_an_expression_is_written_with_or_without_braces() -> None:
    for source in ("data.yes", "{{ data.yes }}"):
        assert compile_expression(source, NAMES).value({"data": DATA}) is True
    for source in ("", "  ", "a {{ data.yes }}", "{{ data.a }}{{ data.b }}"):
        with pytest.raises(ValueError):
            compile_expression(source, NAMES)


def test_evaluating_changes_nothing() -> None:
    before = repr(DATA)
    for source in ("{{ data.user.tags | join }}", "{{ data | lookup({'a': 1}, default=2) if false else 1 }}"):
        value(source)
    assert repr(DATA) == before


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("{}%#()[]|.*+-/~ 'adtx_019,:=<>\n"), max_size=40))
def test_reading_any_text_either_works_or_explains(source: str) -> None:
    try:
        compiled = compile_text("{{ " + source + " }}", NAMES)
    except ValueError as refusal:
        assert str(refusal)[-1] in ".?"  # noqa: PT017
        return
    try:
        compiled.value({"data": DATA, "event": {}})
    except (MissingValue, ExpressionFailure):
        return


def test_knows_what_it_reads_below_each_name() -> None:
    text = compile_text("{{ data.a.b }}-{{ (data['c d'] | default('x')) == event.id and data[event.type] }}", NAMES)
    assert text.reads == {("data", "a"), ("data", "c d"), ("event", "id"), ("event", "type")}
