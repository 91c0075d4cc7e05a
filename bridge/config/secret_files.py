"""Secrets in files of their own: every secret setting X has a twin X_file that names a file holding it."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.config.rotation import BEFORE, kept_beside
from bridge.core.document import Document
from bridge.core.errors import Mark, Problem

TWIN: Final = "_file"
MAX_BYTES: Final = 65_536

# Stands in for a secret that could not be read, so that one mistake is not reported twice; never leaves this package.
_UNREAD: Final = "a-secret-that-could-not-be-read"

Steps = tuple[str | int, ...]


def holds_secrets(info: FieldInfo) -> bool:
    """Tells whether a field is a secret, or a list of secrets."""
    return any(part is SecretStr for part in _parts(info.annotation))


def fill_secrets(
    document: Document, model: type[BaseModel], *, at: Steps, folder: Path
) -> tuple[Document, list[Problem]]:
    """Returns the document with each X_file below `at` replaced by X, and a problem for each that cannot be.

    A list of secrets takes one per line. File names are relative to `folder`.
    """
    filling = _Filling(document, folder)
    block = document.at(at)
    if not isinstance(block, dict):
        return document, []
    data = _with(document.data, at, filling.block(model, at, block))
    values = {**document.values, **filling.marks}
    return replace(document, data=data, values=values), filling.problems


@dataclass
class _Filling:
    document: Document
    folder: Path
    problems: list[Problem] = field(default_factory=list)
    marks: dict[Steps, Mark] = field(default_factory=dict)

    def block(self, model: type[BaseModel], at: Steps, block: dict[str, Any]) -> dict[str, Any]:
        result = dict(block)
        for name, info in model.model_fields.items():
            key = info.alias or name
            if (inner := _section(info)) is not None and isinstance(block.get(key), dict):
                result[key] = self.block(inner, (*at, key), block[key])
            if holds_secrets(info) and isinstance(file := block.get(f"{key}{TWIN}"), str):
                del result[f"{key}{TWIN}"]
                result[key] = self._value(at, key, file, given=block.get(key), several=_several(info))
                result |= self._before(model, block, key, self.folder / Path(file).expanduser())
        return result

    def _before(self, model: type[BaseModel], block: dict[str, Any], key: str, file: Path) -> dict[str, str]:
        """Returns the secret before, where `certbridge sources secret` left it and nobody set another one."""
        name = f"{BEFORE}{key}"
        kept = kept_beside(file) if name in model.model_fields else None
        if kept is None or name in block or f"{name}{TWIN}" in block:
            return {}
        text, message = _read(kept)
        return {} if message else {name: text}

    def _value(self, at: Steps, key: str, file: str, *, given: object, several: bool) -> object:
        place = (*at, f"{key}{TWIN}")
        if given is not None:
            message = f'"{key}" and "{key}{TWIN}" are both given. Keep one of them.'
            self.problems.append(self.document.problem(place, message, key=True))
            return given
        # Whatever the model finds wrong with the secret is shown where its file is named.
        self.marks[(*at, key)] = self.document.mark(place)
        text, message = _read(self.folder / Path(file).expanduser())
        if message:
            self.problems.append(self.document.problem(place, f"The file {file} {message}"))
            text = _UNREAD
        return [line.strip() for line in text.splitlines() if line.strip()] if several else text


def _read(path: Path) -> tuple[str, str]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return "", "does not exist. Names are relative to the folder of the configuration."
    except (OSError, ValueError) as failure:
        return "", f"cannot be read: {getattr(failure, 'strerror', None) or 'wrong name'}."
    if len(raw) > MAX_BYTES:
        return "", "is larger than 64 KiB: that is no secret."
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff").strip("\r\n")
    except UnicodeDecodeError:
        return "", "is not UTF-8 text."
    return text, "" if text.strip() else "is empty."


def _with(data: object, at: Sequence[str | int], value: object) -> object:
    if not at:
        return value
    assert isinstance(data, dict)
    return {**data, at[0]: _with(data[at[0]], at[1:], value)}


# -- looking into a field ----------------------------------------------------------------------------


def _parts(annotation: Any) -> Iterator[Any]:
    arguments = typing.get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _parts(argument)


def _several(info: FieldInfo) -> bool:
    members = [info.annotation, *typing.get_args(info.annotation)]
    return any(typing.get_origin(member) in {tuple, list, set, frozenset} for member in members)


def _section(info: FieldInfo) -> type[BaseModel] | None:
    models = [part for part in _parts(info.annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0] if models else None
