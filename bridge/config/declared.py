"""Finds connectors that are declared in mapping files: the shipped ones, and those in an admin's own folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bridge.config.forms import SOURCE_NAME
from bridge.config.models import SourceBlock
from bridge.core.connector import Connector
from bridge.core.declared import is_declared, read_declared
from bridge.core.document import MAX_BYTES
from bridge.core.errors import ConfigError, Mark, Problem

TAKEN: Final = tuple(SourceBlock.model_fields)
"""Names of settings that every source has."""


def shipped_folder() -> Path:
    """Returns the folder of the mappings that came with the package."""
    # Beside this package rather than by import: a folder `mappings` in the working directory must not hide it.
    return Path(__file__).parents[2] / "mappings"


def shipped_connectors() -> Iterator[type[Connector[Any]]]:
    """Yields the connectors that shipped mapping files declare. Raises ConfigError for a broken one."""
    for file in sorted(shipped_folder().glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        if is_declared(text):
            yield read_declared(file.stem, text, f"mappings/{file.name}", taken=TAKEN)


def declared_by_admin(
    folder: Path, name: str, installed: Mapping[str, type[Connector[Any]]]
) -> type[Connector[Any]] | None:
    """Returns the connector that NAME.yaml in the admin's folder declares; None where no such file declares one.

    Raises ConfigError for a declaration that is wrong, or that takes the name of an installed connector.
    """
    text = declaration_text(folder, name)
    if text is None:
        return None
    if name in installed:
        message = f"There is a connector {name} already; a declaration of the same name is not used. Rename this file."
        line = text.count("\n", 0, text.index("source")) + 1
        raise ConfigError([Problem(Mark(f"{folder.name}/{name}.yaml", line, 1), message)])
    return read_declared(name, text, f"{folder.name}/{name}.yaml", taken=TAKEN)


def declaration_text(folder: Path, name: str) -> str | None:
    """Returns the text of the mapping file NAME.yaml in a folder when it declares a source, else None."""
    if not SOURCE_NAME.fullmatch(name):
        return None
    try:
        with (folder / f"{name}.yaml").open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8", "replace")
    except OSError:
        return None
    return text if is_declared(text) else None
