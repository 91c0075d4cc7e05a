"""The mapping in force for each source: read from its file, shared through the store, replaced while running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

import structlog

from bridge.core.errors import MappingError, Mark, Problem
from bridge.core.mapping import Mapping as CompiledMapping
from bridge.core.mapping import MappingBundle, compile_mapping, gather
from bridge.core.wording import suggestion
from bridge.store import artifacts, history
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

KIND = "mapping"


@dataclass(frozen=True, slots=True)
class MappingFile:
    """Where the admin's mapping of one source lives; without a path the shipped one is used as it is."""

    source: str
    connector: str
    path: Path | None


@dataclass(slots=True)
class _Shelf:
    mapping: CompiledMapping
    seen: str | None = None
    """Hash of the files this node last looked at, working or not, so that a broken edit is reported once."""


@dataclass
class Mappings:
    """Keeps the compiled mappings; a broken edit never replaces a working version."""

    store: Store
    files: Mapping[str, MappingFile]
    shipped: Callable[[str], str | None]
    check: Callable[[CompiledMapping], None]
    """Raises MappingError when something the mapping names (a template) is not there."""
    node: str
    beside: bool = False
    """True in a command beside a running daemon: what is in force is read, never changed."""
    zone: tzinfo = UTC
    """In which times are told to people."""
    problems: dict[str, str] = field(default_factory=dict)
    """Source name to what is wrong with its file now; empty when all is well."""
    _shelves: dict[str, _Shelf] = field(default_factory=dict)
    _unusable: set[str] = field(default_factory=set)
    """Hashes of stored versions this release cannot read, each reported once."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def current(self, source: str) -> CompiledMapping:
        """Returns the mapping in force. Raises KeyError for a source that was not started."""
        return self._shelves[source].mapping

    def start(self) -> None:
        """Loads every mapping; for a broken file the version that was in force stays.

        Raises MappingError with the problems of all files that are broken and never had a working version.
        """
        problems: list[Problem] = []
        for source in self.files:
            try:
                self._start(source)
            except MappingError as error:
                problems.extend(error.problems)
        if problems:
            raise MappingError(problems)

    def _start(self, source: str) -> None:
        stored = self._stored(source)
        if self.beside and stored is not None:
            self._shelves[source] = _Shelf(stored)
            return
        try:
            bundle, mapping = self._read(source)
        except MappingError as error:
            if stored is None:
                raise
            self._shelves[source] = _Shelf(stored)
            self._report(source, error)
        else:
            self._put_in_force(source, bundle, mapping)

    def refresh(self) -> None:
        """Takes over edited files, and versions another node put in force; called on a schedule."""
        with self._lock:
            for source in self.files:
                self._refresh_from_file(source)
                self._refresh_from_store(source)

    def _refresh_from_file(self, source: str) -> None:
        shelf = self._shelves[source]
        try:
            bundle = read_bundle(self.files[source], self.shipped)
            if bundle.sha256 in (shelf.seen, shelf.mapping.sha256):
                if bundle.sha256 == shelf.mapping.sha256:
                    self.problems.pop(source, None)
                return
            shelf.seen = bundle.sha256
            mapping = compiled(self.files[source], bundle)
            self.check(mapping)
        except MappingError as error:
            self._report(source, error)
            return
        self._put_in_force(source, bundle, mapping)
        log.info("mapping replaced", source=source, version=mapping.sha256[:12])

    def _report(self, source: str, error: MappingError) -> None:
        text = f"{error}\nNothing changed: the version of {self._since(source)} stays in use."
        if self.problems.get(source) != text:
            self.problems[source] = text
            log.error("mapping refused", source=source, problems=text)

    def _since(self, source: str) -> str:
        active = self.store.read(lambda tx: artifacts.active(tx, KIND, source))
        return f"{active.at.astimezone(self.zone):%d %b %H:%M}" if active is not None else "before"

    def _refresh_from_store(self, source: str) -> None:
        active = self.store.read(lambda tx: artifacts.active(tx, KIND, source))
        if active is None or active.sha256 == self.current(source).sha256:
            return
        mapping = self._stored(source)
        if mapping is not None:
            self._shelves[source].mapping = mapping
            log.info("mapping taken over", source=source, version=mapping.sha256[:12], by=active.by)

    def _stored(self, source: str) -> CompiledMapping | None:
        """Returns the version in force on all nodes, or None when there was none (or this release cannot read it)."""

        def look(tx: Transaction) -> artifacts.ArtifactRow | None:
            active = artifacts.active(tx, KIND, source)
            return artifacts.get(tx, active.sha256) if active is not None else None

        kept = self.store.read(look)
        if kept is None:
            return None
        try:
            return compiled(self.files[source], MappingBundle.unpack(kept.bytes))
        except MappingError as error:
            if kept.sha256 not in self._unusable:
                self._unusable.add(kept.sha256)
                log.warning("stored mapping not usable", source=source, problems=str(error))
            return None

    def _put_in_force(self, source: str, bundle: MappingBundle, mapping: CompiledMapping) -> None:
        def write(tx: Transaction) -> None:
            sha = artifacts.put(tx, KIND, source, bundle.pack())
            active = artifacts.active(tx, KIND, source)
            if active is None or active.sha256 != sha:
                artifacts.activate(tx, KIND, source, sha, self.node)
                history.add(tx, "mapping.activated", actor=self.node, data={"source": source, "sha256": sha})

        self.store.transact(write)
        self._shelves[source] = _Shelf(mapping, bundle.sha256)
        self.problems.pop(source, None)

    def _read(self, source: str) -> tuple[MappingBundle, CompiledMapping]:
        bundle = read_bundle(self.files[source], self.shipped)
        mapping = compiled(self.files[source], bundle)
        self.check(mapping)
        return bundle, mapping


def read_mapping(file: MappingFile, shipped: Callable[[str], str | None]) -> CompiledMapping:
    """Reads and compiles the mapping of a source as its file says now. Raises MappingError with every problem."""
    return compiled(file, read_bundle(file, shipped))


def compiled(file: MappingFile, bundle: MappingBundle) -> CompiledMapping:
    """Compiles a mapping and makes sure that it fits the source. Raises MappingError with every problem."""
    mapping = compile_mapping(bundle)
    if mapping.connector != file.connector:
        message = (
            f"The mapping is for {mapping.connector}, but the source {file.source} is of connector {file.connector}. "
            f"Write extends: {file.connector}, or give the source another mapping."
        )
        raise MappingError([Problem(Mark(mapping.name, 1, 1), message)])
    return mapping


def read_bundle(file: MappingFile, shipped: Callable[[str], str | None]) -> MappingBundle:
    """Reads a mapping and everything it extends. Raises MappingError."""
    if file.path is None:
        text = shipped(file.connector)
    else:
        try:
            text = file.path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise MappingError(_no_such_file(file.source, file.path)) from error
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            text = f"{file.path}: the mapping of source {file.source!r} cannot be read: {reason}"
            raise MappingError(text) from error
    if text is None:
        raise MappingError(f"source {file.source!r}: there is no shipped mapping named {file.connector!r}")
    return gather(file.path.name if file.path else f"{file.connector}.yaml", text, shipped, wanted=file.connector)


def _no_such_file(source: str, path: Path) -> str:
    # The name may have been written with the folder in front of it, which is there already.
    folder = next(above for above in path.parents if above.is_dir())
    there = sorted(one.name for one in folder.glob("*.yaml"))
    listed = f" The folder holds: {', '.join(there[:10])}." if there else " The folder holds no mapping."
    hint = suggestion(path.name, there) or "."
    return f"{path} does not exist; source {source} names it after `mapping:`{hint}{listed}"
