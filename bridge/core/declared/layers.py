"""Lays the declaration in a mapping file over the one that it builds on; every line keeps its own place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bridge.core.document import Document, Path
from bridge.core.errors import MappingError, Mark

KEY: Final = "source"


def layered(documents: Sequence[Document]) -> list[Document]:
    """Returns the files of one mapping, nearest first, each declaration laid over the one of the file it extends.

    Groups are merged setting by setting; a list or a text takes the place of what was there. Raises MappingError for
    a declaration that builds on a mapping that declares nothing.
    """
    found: list[Document] = []
    for document in reversed(documents):
        base = found[0] if found else None
        found.insert(0, _over(document, base) if base is not None and _declares(document) else document)
    return found


def _declares(document: Document) -> bool:
    return document.at((KEY,)) is not None


def _over(own: Document, base: Document) -> Document:
    if not isinstance(base.at((KEY,)), dict):
        named = own.at(("extends",))
        message = (
            f'"extends: {named}" stands beside source, but {base.file} declares no source that this one could build '
            "on. Remove extends and declare everything here, or remove source."
        )
        raise MappingError([own.problem(("extends",), message, key=True)])
    laying = _Laying(own, base)
    data = {**(own.data if isinstance(own.data, dict) else {}), KEY: laying.merged((KEY,))}
    # A mapping has no variables: its data is what was written.
    return replace(own, data=data, written=data, values=laying.values, keys=laying.keys)


class _Laying:
    """Merges two documents at a path and collects where each value stands."""

    def __init__(self, own: Document, base: Document) -> None:
        self.own, self.base = own, base
        self.values: dict[Path, Mark] = dict(own.values)
        self.keys: dict[Path, Mark] = dict(own.keys)

    def merged(self, path: Path) -> object:
        """Returns the value at a path: a group of both, else our own."""
        ours, theirs = self.own.at(path), self.base.at(path)
        if not isinstance(ours, dict) or not isinstance(theirs, dict):
            return ours
        return {
            name: self.merged((*path, name)) if name in ours else self._taken((*path, name))
            for name in dict.fromkeys((*theirs, *ours))
        }

    def _taken(self, path: Path) -> object:
        """Returns what only the base has, with its places."""
        for places, theirs in ((self.values, self.base.values), (self.keys, self.base.keys)):
            places.update({where: mark for where, mark in theirs.items() if where[: len(path)] == path})
        return self.base.at(path)
