"""Reads the configuration: YAML with positions, variables and secret files filled in, everything checked at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, SecretStr

from bridge.config.declared import declared_by_admin, names_in
from bridge.config.forms import SOURCE_NAME, check_secret
from bridge.config.models import Config, SourceBlock, SourceConfig
from bridge.config.refusals import live_refusals
from bridge.config.secret_files import fill_secrets
from bridge.config.sources import source_model
from bridge.config.variables import fill_variables
from bridge.core.connector import Connector
from bridge.core.document import MAX_BYTES, Document, read, validate
from bridge.core.errors import ConfigError, Problem
from bridge.core.wording import suggestion

Connectors = Mapping[str, type[Connector[Any]]]

_ADVICE: Final = "Create one with: certbridge init DIR"
_RESERVED: Final = frozenset({"mail", "test-mail"})
"""Destinations of the outbox that are no sources."""


def load(path: Path, connectors: Connectors, environ: Mapping[str, str]) -> Config:
    """Reads and checks the whole configuration. Raises ConfigError with every problem at once, each with its place."""
    document = read(_content(path), path.name)
    loading = _Loading(document, Path(path).absolute().parent, connectors)
    config = loading.config(environ)
    if config is None or loading.problems:
        raise ConfigError(sorted(loading.problems, key=_place))
    config.remember_connectors(loading.used)
    config.remember_file(Path(path).absolute())
    return config


def _place(problem: Problem) -> tuple[str, int, int]:
    mark = problem.mark
    return (mark.file, mark.line, mark.column) if mark else ("", 0, 0)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration at {path}. {_ADVICE}") from None
    except OSError as failure:
        raise ConfigError(f"The configuration {path} cannot be read: {failure.strerror}.") from None


@dataclass
class _Loading:
    """One reading of one file; collects problems instead of stopping at the first."""

    document: Document
    folder: Path
    connectors: Connectors
    problems: list[Problem] = field(default_factory=list)
    used: dict[str, type[Connector[Any]]] = field(default_factory=dict)
    """The connector of each kind that a source names, the declared ones too."""

    def config(self, environ: Mapping[str, str]) -> Config | None:
        self.document, found = fill_variables(self.document, environ)
        self.problems += found
        self._fill_secrets((), Config)
        # The sources first: their blocks are typed by connector, and the whole takes them as they are.
        sources = dict(self._sources())
        self._check_names(sources)
        config = self._checked_whole(sources)
        if config is not None:
            for source in sources.values():
                for reason in live_refusals(config, source):
                    self._complain(("sources", source.name, "mode"), reason)
        return config

    def _sources(self) -> Iterator[tuple[str, SourceConfig]]:
        blocks = self.document.at(("sources",))
        for name, block in blocks.items() if isinstance(blocks, dict) else ():
            path = ("sources", name)
            if not SOURCE_NAME.fullmatch(name):
                message = f'"{name}" cannot be the name of a source: it stands in web addresses. Use a-z, 0-9, - and _.'
                self._complain(path, message, key=True)
            elif not isinstance(block, dict):
                message = f"Source {name} needs at least a connector, indented below it: {', '.join(self._known())}."
                self._complain(path, message, key=True)
            elif (connector := self._connector(path, block)) and (source := self._source(name, connector)):
                yield name, source

    def _connector(self, path: tuple[str, ...], block: Mapping[str, object]) -> type[Connector[Any]] | None:
        named = block.get("connector")
        if isinstance(named, str):
            try:
                declared = declared_by_admin(self._mappings(), named, self.connectors)
            except ConfigError as refusal:
                self.problems += [problem for problem in refusal.problems if problem not in self.problems]
                return None
            if found := declared or self.connectors.get(named):
                return self.used.setdefault(named, found)
        known = self._known()
        if "connector" not in block:
            message = f'{".".join(path)} has no "connector". It is required. Allowed: {", ".join(known)}.'
            self._complain(path, message, key=True)
        else:
            # As written: a variable in the wrong place may hold anything.
            written = self.document.as_written((*path, "connector"))
            shown = written if isinstance(written, str) else "..."
            hint = suggestion(shown, known) or f". Allowed: {', '.join(known)}."
            message = f'{".".join(path)} has "connector: {shown}". There is no such connector{hint}'
            self._complain((*path, "connector"), message)
        return None

    def _source(self, name: str, connector: type[Connector[Any]]) -> SourceConfig | None:
        path, model = ("sources", name), source_model(connector)
        self._fill_secrets(path, model)
        try:
            block = validate(self.document, model, at=path, context={"folder": self.folder, "zone": self._zone()})
        except ConfigError as refusal:
            self.problems += refusal.problems
            return None
        # Every value is checked already; validating again would run a connector's own checks on their results.
        own = {info.alias or key: getattr(block, key) for key, info in connector.Settings.model_fields.items()}
        settings = connector.Settings.model_construct(**own)
        self._check_secrets(path, settings)
        common = {key: getattr(block, key) for key in SourceBlock.model_fields}
        return SourceConfig.model_construct(name=name, settings=settings, **common)

    def _check_secrets(self, path: tuple[str, ...], settings: BaseModel) -> None:
        for name, info in type(settings).model_fields.items():
            value = getattr(settings, name)
            for secret in value if isinstance(value, list | tuple | set | frozenset) else (value,):
                if isinstance(secret, SecretStr):
                    try:
                        check_secret(secret.get_secret_value())
                    except ValueError as failure:
                        self._complain((*path, info.alias or name), f'{".".join(path)} has "{name}: ***". {failure}')

    def _checked_whole(self, sources: Mapping[str, SourceConfig]) -> Config | None:
        data = self.document.data
        if isinstance(data, dict) and isinstance(data.get("sources"), dict):
            data = {**data, "sources": dict(sources)}
        try:
            return validate(replace(self.document, data=data), Config, context={"folder": self.folder})
        except ConfigError as refusal:
            self.problems += refusal.problems
            return None

    def _check_names(self, sources: Mapping[str, SourceConfig]) -> None:
        owners: dict[str, str] = {}
        for name in _RESERVED & set(sources):
            self._complain(
                ("sources", name), f'A source cannot be called "{name}": in the outbox that is the mail.', key=True
            )
        for source in sources.values():
            for number, name in enumerate(source.formerly):
                path = ("sources", source.name, "formerly", number)
                if not SOURCE_NAME.fullmatch(name):
                    self._complain(path, f'"{name}" was never the name of a source: use a-z, 0-9, - and _.')
                elif name in sources:
                    self._complain(path, f'"{name}" is the name of a source today, so it cannot be a former name too.')
                elif name in owners:
                    self._complain(path, f'"{name}" is a former name of {owners[name]} already. Only one can be right.')
                owners.setdefault(name, source.name)

    def _fill_secrets(self, path: tuple[str, ...], model: type[Any]) -> None:
        self.document, found = fill_secrets(self.document, model, at=path, folder=self.folder)
        self.problems += found

    def _known(self) -> list[str]:
        return [*self.connectors, *(name for name in names_in(self._mappings()) if name not in self.connectors)]

    def _mappings(self) -> Path:
        named = self.document.at(("mappings",))
        return self.folder / Path(named if isinstance(named, str) else "mappings").expanduser()

    def _zone(self) -> tzinfo:
        name = self.document.at(("issuer", "zone"))
        try:
            return ZoneInfo(name) if isinstance(name, str) else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC  # Reported as a problem of issuer.zone.

    def _complain(self, path: tuple[str | int, ...], message: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, key=key))
