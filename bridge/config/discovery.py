"""Finds the connectors that are installed: modules of the package `connectors`, shipped declarations, entry points."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from bridge.config.declared import shipped_connector, shipped_declarations, shipped_mapping
from bridge.core.connector import Connector
from bridge.core.errors import ConfigError

ENTRY_POINTS: Final = "certbridge.connectors"


class Installed(Mapping[str, type[Connector[Any]]]):
    """The installed connectors by name; one that is only declared is made when it is first asked for."""

    def __init__(self, made: Mapping[str, type[Connector[Any]]], declared: Sequence[str]) -> None:
        self._made = dict(made)
        self._names = sorted((*made, *declared))

    def __getitem__(self, name: str) -> type[Connector[Any]]:
        if name not in self._made and name in self._names:
            self._made[name] = shipped_connector(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def discover_connectors() -> Installed:
    """Returns every installed connector by its name, sorted. Raises ConfigError naming a broken or doubled one."""
    package = importlib.import_module("connectors")
    found: dict[str, type[Connector[Any]]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        connector = connector_in(importlib.import_module(f"connectors.{module.name}"))
        _add(found, connector, f"connectors.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        _add(found, entry.load(), f"{entry.dist.name if entry.dist else 'an installed package'} ({entry.value})")
    declared = shipped_declarations()
    for name in declared:
        if name in found:
            raise ConfigError(f"Two connectors are named {name!r}; the second is mappings/{name}.yaml. Remove one.")
    return Installed(found, declared)


def connector_in(module: ModuleType) -> type[Connector[Any]]:
    """Returns the one connector class that a module defines. Raises ConfigError when there is none, or several."""
    classes: list[type[Connector[Any]]] = [
        item
        for item in vars(module).values()
        # A connector split over several modules is defined anywhere in its own package.
        if _is_connector(item) and f"{item.__module__}.".startswith(f"{module.__name__}.")
    ]
    if len(classes) != 1:
        named = ", ".join(item.__name__ for item in classes) or "none"
        raise ConfigError(f"The module {module.__name__} must define exactly one Connector; found: {named}.")
    return classes[0]


def installed_mapping(name: str, connectors: Mapping[str, type[Connector[Any]]] | None = None) -> str | None:
    """Returns the text of the mapping that came with a connector (default: of those installed), or None.

    Ours are in one folder; that of a connector from elsewhere is in a folder `mappings` beside its module.
    """
    shipped = shipped_mapping(name)
    if shipped is not None:
        return shipped
    connector = (discover_connectors() if connectors is None else connectors).get(name)
    return _mapping_beside(connector) if connector else None


def _mapping_beside(connector: type[Connector[Any]]) -> str | None:
    module = getattr(sys.modules.get(connector.__module__), "__file__", None)
    file = Path(module).parent / "mappings" / f"{connector.name}.yaml" if module else None
    return file.read_text(encoding="utf-8") if file and file.is_file() else None


def _is_connector(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, Connector) and not item.__abstractmethods__


def _add(found: dict[str, type[Connector[Any]]], connector: object, origin: str) -> None:
    if not isinstance(connector, type) or not issubclass(connector, Connector):
        raise ConfigError(f"{origin} announces a connector, but it is none: {connector!r}.")
    if connector.name in found and found[connector.name] is not connector:
        raise ConfigError(f"Two connectors are named {connector.name!r}; the second comes from {origin}. Remove one.")
    found[connector.name] = connector
