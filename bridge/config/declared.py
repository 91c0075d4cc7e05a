"""Finds connectors that are declared in mapping files: the shipped ones, and those in an admin's own folder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from bridge.config.forms import SOURCE_NAME
from bridge.config.models import SourceBlock
from bridge.core import document
from bridge.core.connector import Connector
from bridge.core.document import MAX_BYTES
from bridge.core.errors import ConfigError, Mark, Problem

_MOST_FILES: Final = 1_000
TAKEN: Final = tuple(SourceBlock.model_fields)
"""Names of settings that every source has."""


def shipped_folder() -> Path:
    """Returns the folder of the mappings that came with the package."""
    # Beside this package rather than by import: a folder `mappings` in the working directory must not hide it.
    return Path(__file__).parents[2] / "mappings"


def shipped_declarations() -> list[str]:
    """Returns the names of the connectors that shipped mapping files declare."""
    return names_in(shipped_folder())


def shipped_mapping(name: str) -> str | None:
    """Returns the text of a mapping that came with the package, or None."""
    file = shipped_folder() / f"{name}.yaml"
    return file.read_text(encoding="utf-8") if file.is_file() else None


def mappings_to_extend(folder: Path) -> Callable[[str], str | None]:
    """Returns what knows the mappings to extend: the shipped ones, and those in a folder that declare a source."""
    return lambda name: shipped_mapping(name) or declaration_text(folder, name)


def shipped_connector(name: str) -> type[Connector[Any]]:
    """Returns a connector that a shipped mapping file declares. Raises ConfigError for a broken one."""
    from bridge.core.declared import read_declared

    text = shipped_mapping(name) or ""
    return read_declared(name, text, f"mappings/{name}.yaml", taken=TAKEN, texts=shipped_mapping)


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
    from bridge.core.declared import read_declared

    file = f"{folder.name}/{name}.yaml"
    return read_declared(name, text, file, taken=TAKEN, texts=mappings_to_extend(folder))


def with_declared(
    path: Path, installed: Mapping[str, type[Connector[Any]]]
) -> tuple[dict[str, type[Connector[Any]]], list[Problem]]:
    """Returns the connectors, with those that the mappings of a configuration declare, and what is wrong in these.

    `path` is that of the configuration, which need not be right, nor there.
    """
    folder = mappings_folder(path)
    found, problems = dict(installed), list[Problem]()
    for name in names_in(folder):
        try:
            made = declared_by_admin(folder, name, installed)
        except ConfigError as refusal:
            problems += refusal.problems
        else:
            found |= {name: made} if made is not None else {}
    return found, problems


def mappings_folder(path: Path) -> Path:
    """Returns the folder of mappings that the configuration at a path names, as far as it can be read."""
    named: object = None
    with contextlib.suppress(OSError, ConfigError):
        named = document.read(path.read_bytes(), path.name).at(("mappings",))
    return path.parent / Path(named if isinstance(named, str) else "mappings").expanduser()


def names_in(folder: Path) -> list[str]:
    """Returns the names of the mapping files in a folder that declare a source."""
    return [file.stem for file in sorted(folder.glob("*.yaml"))[:_MOST_FILES] if _declares(file)]


def declaration_text(folder: Path, name: str) -> str | None:
    """Returns the text of the mapping file NAME.yaml in a folder when it declares a source, else None."""
    if not SOURCE_NAME.fullmatch(name):
        return None
    file = folder / f"{name}.yaml"
    return _text(file) if _declares(file) else None


def _declares(file: Path) -> bool:
    # Without reading all of the YAML: most mapping files declare nothing, and every command looks at them.
    return re.search(r"^[\"']?source[\"']?[ \t]*:", _text(file), re.MULTILINE) is not None


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1).decode("utf-8", "replace")
    except OSError:
        return ""
