"""Writes `config.example.yaml`: every setting with description, limits and default, made from the models."""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.config.models import Config, SourceBlock
from bridge.config.secret_files import TWIN, holds_secrets
from bridge.config.section import section_of
from bridge.core.connector import Connector
from bridge.core.text import plain_or_quoted

_WIDTH: Final = 100

OWN_TOKEN: Final = "url_token"  # noqa: S105 (the name of a setting)
"""The setting, in any connector, that certbridge may choose itself: the last part of the webhook address."""

HEADER: Final = """\
# yaml-language-server: $schema=./config.schema.json
#
# Every setting of certbridge. This file is made from the program itself: do not edit it, copy from it.
#
# A line that starts with # and a space explains. A line that starts with # and a name is a setting at
# its default, or an example of one that has none: take the # away and change it.
# ${NAME} stands for an environment variable. Every secret can stand in a file of its own instead:
# write password_file: FILE in place of password: VALUE. File names are relative to this file.
"""


def example(connectors: Mapping[str, type[Connector[Any]]]) -> str:
    """Returns the text of `config.example.yaml` with one source for each connector."""
    lines = [HEADER.rstrip("\n")]
    for name, info in Config.model_fields.items():
        if name != "sources":
            lines += ["", *setting_lines(name, info)]
    lines += ["", *_prose("The systems that report completions, each under a name of your choice.", ""), "sources:"]
    for number, connector in enumerate(connectors.values()):
        lines += [*([""] if number else []), *source_lines(connector.name, connector, explain_common=number == 0)]
    return "\n".join(lines) + "\n"


def source_lines(name: str, connector: type[Connector[Any]], *, explain_common: bool) -> Iterator[str]:
    """Yields the block of one source; what every source has is explained once."""
    yield from _prose(f"{connector.title}: {connector.docs_url}", "  ")
    yield f"  {name}:"
    for key, info in SourceBlock.model_fields.items():
        if key == "connector":
            yield from (*_prose(_text(info), "    "), f"    connector: {connector.name}")
        elif explain_common:
            yield from setting_lines(key, info, "    ")
    if not explain_common:
        yield from _prose("mode, mapping, since and the other common settings: as above.", "    ")
    for key, info in connector.Settings.model_fields.items():
        yield from setting_lines(key, info, "    ", variable=f"{name}_{key}")
        if holds_secrets(info):
            file = f"keys/{name}-{key.replace('_', '-')}.key"
            yield f"    #{key}{TWIN}: {file}"


def setting_lines(name: str, info: FieldInfo, indent: str = "", *, variable: str = "") -> Iterator[str]:
    """Yields one setting: its description, then the line itself, commented out when it may be left away."""
    key = info.alias or name
    yield from _prose(_text(info), indent)
    inner = section_of(info)
    if inner is None:
        # A token of our own in the address is what every source should have, whatever its connector asks for.
        sign = "" if info.is_required() or key == OWN_TOKEN else "#"
        yield f"{indent}{sign}{key}: {_shown(info, variable)}"
        return
    optional = info.default is None
    yield f"{indent}{'#' if optional else ''}{key}:"
    for inner_name, inner_info in inner.model_fields.items():
        for line in setting_lines(inner_name, inner_info, indent + "  ", variable=f"{variable or key}_{inner_name}"):
            yield _commented(line, indent) if optional else line


def _commented(line: str, indent: str) -> str:
    # Of a section that may be left away, the lines keep their place behind the sign, so that removing it is enough.
    rest = line[len(indent) :]
    bare = rest.lstrip()
    if bare.startswith("# "):
        return line
    return f"{indent}#{rest[: len(rest) - len(bare)]}{bare.removeprefix('#')}"


def _prose(text: str, indent: str) -> Iterator[str]:
    for line in textwrap.wrap(text, _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False):
        yield f"{indent}# {line}"


def _text(info: FieldInfo) -> str:
    parts = [info.description or "", _allowed(info)]
    if not info.is_required() and info.default is None and "Default" not in parts[0] and section_of(info) is None:
        parts.append("Default: none.")
    return " ".join(part for part in parts if part)


def _allowed(info: FieldInfo) -> str:
    choices = list(_choices(info.annotation))
    if choices:
        explained = all(f"{choice}:" in (info.description or "") for choice in choices)
        return "" if explained else f"Allowed: {', '.join(choices)}."
    least = [item.ge for item in info.metadata if isinstance(item, annotated_types.Ge)]
    most = [item.le for item in info.metadata if isinstance(item, annotated_types.Le)]
    if least and most:
        return f"From {_number(least[0], info)} to {_number(most[0], info)}."
    return f"At most {most[0]}." if most else ""


def _number(value: Any, info: FieldInfo) -> str:
    if "bytes" in (info.description or ""):
        for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value >= size and value % size == 0:
                return f"{value // size} {unit}"
    return f"{value:,}"


def _choices(annotation: Any) -> Iterator[str]:
    if typing.get_origin(annotation) is Literal:
        yield from (str(item) for item in typing.get_args(annotation))
        return
    for argument in typing.get_args(annotation):
        yield from _choices(argument)


def _shown(info: FieldInfo, variable: str) -> str:
    if info.examples and (info.is_required() or info.default in (None, ())):
        return _yaml(info.examples[0])
    if holds_secrets(info):
        return f"${{{variable.upper().replace('-', '_')}}}"
    if info.is_required() or info.default is None:
        return _made_up(info)
    return _yaml(info.get_default(call_default_factory=True))


def _made_up(info: FieldInfo) -> str:
    # Connectors may leave out examples; the kind of value still shows.
    kinds = [info.annotation, *typing.get_args(info.annotation)]
    if bool in kinds:
        return "true"
    return "1" if int in kinds or float in kinds else "..."


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Path):
        return _yaml(f"./{value}" if not value.is_absolute() else str(value))
    if isinstance(value, SecretStr):
        raise TypeError("a secret has no default")
    if isinstance(value, BaseModel):
        return _yaml({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inside(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_inside(item) for item in value) + "]"
    return plain_or_quoted(f"{value:g}" if isinstance(value, float) else str(value))


def _inside(value: object) -> str:
    # Between brackets even ${NAME} needs quotes.
    return plain_or_quoted(value, brackets=True) if isinstance(value, str) else _yaml(value)
