"""Fills in ${VARIABLES} from the environment, in values only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge.core.document import Document, Path
from bridge.core.errors import Problem

# `$${` stands for a literal `${`, which a template's text or a password may contain.
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{[^}\s]*\}?")


def fill_variables(document: Document, environ: Mapping[str, str]) -> tuple[Document, list[Problem]]:
    """Returns the document with every variable filled in, and a problem for each that is not set."""
    problems: list[Problem] = []

    def filled(data: object, path: Path) -> object:
        if isinstance(data, dict):
            return {key: filled(value, (*path, key)) for key, value in data.items()}
        if isinstance(data, list):
            return [filled(value, (*path, number)) for number, value in enumerate(data)]
        return _VARIABLE.sub(lambda match: value_of(match, path), data) if isinstance(data, str) else data

    def value_of(match: re.Match[str], path: Path) -> str:
        if match.group() == "$${":
            return "${"
        name = match.group(1)
        if name is None:
            message = f'"{match.group()}" is not a variable. Write it like ${{NAME}}; $${{ stands for the signs ${{.'
            problems.append(document.problem(path, message))
        elif not environ.get(name):
            message = f"The environment variable {name} is not set (or empty). Set it, or write the value here."
            problems.append(document.problem(path, message))
        return environ.get(name or "") or match.group()

    data = filled(document.data, ())
    return replace(document, data=data), problems
