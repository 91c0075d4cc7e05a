"""Holds the table of hostile inputs to the tests it names: none is missing, none was renamed away."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from security.hostile_inputs import TABLE

ROOT = Path(__file__).parents[2]


@cache
def names_in(file: str) -> frozenset[str]:
    """Returns the names of the tests in a file, also of those inside classes."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_every_hostile_input_has_its_line() -> None:
    assert sorted(TABLE) == list(range(1, 45))


@pytest.mark.parametrize("number", TABLE)
def test_the_tests_of_a_line_exist(number: int) -> None:
    line = TABLE[number]
    assert line.tests or line.later, "neither held by a test nor left for later with a reason"
    for test in line.tests:
        file, name = test.split("::")
        assert name in names_in(file), f"{number}. {line.what}: {test} is gone"
