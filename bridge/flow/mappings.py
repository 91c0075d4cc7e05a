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
class _Look:
    """What the files of one mapping said when this node looked last."""

    text: str | None = None
    """Of the admin's file; None when it could not be read."""
    extended: Mapping[str, str | None] = field(default_factory=dict)
    """Name to text of the mappings that it extended when it was parsed last."""
    parsed: bool = False
    """Whether these texts were parsed, so that this is done once."""
    awaiting: tuple[MappingBundle, CompiledMapping] | None = None
    """What they say, refused for something outside them (a template that is not there), which may come any moment."""


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
    _current: dict[str, CompiledMapping] = field(default_factory=dict)
    _looks: dict[str, _Look] = field(default_factory=dict)
    _unusable: set[str] = field(default_factory=set)
    """Hashes of stored versions this release cannot read, each reported once."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def current(self, source: str) -> CompiledMapping:
        """Returns the mapping in force. Raises KeyError for a source that was not started."""
        return self._current[source]

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
        look = self._looks[source] = _Look()
        if self.beside and stored is not None:
            self._current[source] = stored
            return
        try:
            bundle, mapping = self._judged(source, look, read_text(self.files[source], self.shipped))
        except MappingError as error:
            if stored is None:
                raise
            self._current[source] = stored
            self._report(source, error)
        else:
            self._put_in_force(source, bundle, mapping)

    def refresh(self) -> None:
        """Takes over files that were edited before the last call, and versions another node put in force.

        Called on a schedule: a file that says the same as at the last call is not parsed again.
        """
        with self._lock:
            for source in self.files:
                self._refresh_from_file(source)
                self._refresh_from_store(source)

    def _refresh_from_file(self, source: str) -> None:
        look, text, unreadable = self._looks[source], None, None
        try:
            text = read_text(self.files[source], self.shipped)
        except MappingError as error:
            unreadable = error
        extended = {name: self.shipped(name) for name in look.extended}
        if (text, extended) != (look.text, look.extended):
            # Many editors empty a file, or take it away, before they write it: what two looks find counts.
            self._looks[source] = _Look(text, extended)
        elif unreadable is not None:
            self._report(source, unreadable)
        elif text is not None and (not look.parsed or look.awaiting):
            self._take_over(source, look, text)

    def _take_over(self, source: str, look: _Look, text: str) -> None:
        try:
            bundle, mapping = self._judged(source, look, text)
        except MappingError as error:
            self._report(source, error)
            return
        self.problems.pop(source, None)
        if bundle.sha256 != self.current(source).sha256:
            self._put_in_force(source, bundle, mapping)
            log.info("mapping replaced", source=source, version=mapping.sha256[:12])

    def _judged(self, source: str, look: _Look, text: str) -> tuple[MappingBundle, CompiledMapping]:
        """Returns what the files say, if it can be put in force. Raises MappingError."""
        if look.awaiting is None:
            bundle = self._gathered(source, look, text)
            look.awaiting = bundle, compiled(self.files[source], bundle)
        bundle, mapping = look.awaiting
        self.check(mapping)
        look.awaiting = None
        return bundle, mapping

    def _gathered(self, source: str, look: _Look, text: str) -> MappingBundle:
        extended: dict[str, str | None] = {}

        def noted(name: str) -> str | None:
            extended[name] = self.shipped(name)
            return extended[name]

        look.text, look.extended, look.parsed = text, extended, True
        return gathered(self.files[source], text, noted)

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
            self._current[source] = mapping
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
        self._current[source] = mapping


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
    return gathered(file, read_text(file, shipped), shipped)


def read_text(file: MappingFile, shipped: Callable[[str], str | None]) -> str:
    """Reads what the admin's file says (the shipped mapping where there is none). Raises MappingError."""
    if file.path is None:
        text = shipped(file.connector)
        if text is None:
            raise MappingError(f"source {file.source!r}: there is no shipped mapping named {file.connector!r}")
        return text
    try:
        return file.path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MappingError(_no_such_file(file.source, file.path)) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise MappingError(f"{file.path}: the mapping of source {file.source!r} cannot be read: {reason}") from error


def gathered(file: MappingFile, text: str, shipped: Callable[[str], str | None]) -> MappingBundle:
    """Returns a mapping of this text with everything it extends. Raises MappingError."""
    return gather(file.path.name if file.path else f"{file.connector}.yaml", text, shipped, wanted=file.connector)


def _no_such_file(source: str, path: Path) -> str:
    # The name may have been written with the folder in front of it, which is there already.
    folder = next(above for above in path.parents if above.is_dir())
    there = sorted(one.name for one in folder.glob("*.yaml"))
    listed = f" The folder holds: {', '.join(there[:10])}." if there else " The folder holds no mapping."
    hint = suggestion(path.name, there) or "."
    return f"{path} does not exist; source {source} names it after `mapping:`{hint}{listed}"
