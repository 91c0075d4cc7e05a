"""Reads PHP-style form keys (`users[0][customfields][0][type]`) and holds them against a function's parameters.

https://moodledev.io/docs/apis/subsystems/external/functions (parameters are validated, unknown keys are refused).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_KEY: Final = re.compile(r"([A-Za-z0-9_]+)((?:\[[A-Za-z0-9_]*\])*)")
_REQUIRED: Final = object()


class MoodleError(Exception):
    """An exception object in a 200 answer; `our_fault` when a correct client would never cause it."""

    def __init__(self, exception: str, errorcode: str, message: str, *, our_fault: bool = False) -> None:
        super().__init__(f"{errorcode}: {message}")
        self.body = {"exception": exception, "errorcode": errorcode, "message": message}
        self.our_fault = our_fault
        self.reason = str(self)


def invalid(reason: str) -> MoodleError:
    """Returns the error for a missing, unknown or mistyped parameter; the reason is for us, Moodle does not tell it."""
    error = MoodleError(
        "core\\exception\\invalid_parameter_exception",
        "invalidparameter",
        "Invalid parameter value detected",
        our_fault=True,
    )
    error.reason = f"invalidparameter: {reason}"
    return error


@dataclass(frozen=True)
class Value:
    """One scalar: int, text, raw (any text), alpha, alphanumext or bool."""

    kind: str
    default: Any = _REQUIRED


@dataclass(frozen=True)
class Many:
    """A list."""

    item: Value | One
    default: Any = _REQUIRED


@dataclass(frozen=True)
class One:
    """An object with these keys and no others."""

    keys: Mapping[str, Value | Many | One]
    default: Any = _REQUIRED


Shape = Value | Many | One

INT: Final = Value("int")
RAW: Final = Value("raw")


def optional(shape: Value, default: Any = None) -> Value:
    """Returns the same scalar, with a default."""
    return Value(shape.kind, default)


def nested(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Turns form pairs into nested dictionaries as PHP does. Raises MoodleError for keys that PHP would mangle."""
    tree: dict[str, Any] = {}
    for key, value in pairs:
        found = _KEY.fullmatch(key)
        if not found:
            raise invalid(f"form key {key!r}")
        parts = [found[1], *re.findall(r"\[([^\]]*)\]", found[2])]
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise invalid(f"form key {key!r} is used as value and as list")
        last = parts[-1] or str(len(node))
        if last in node:
            raise invalid(f"form key {key!r} is there twice")
        node[last] = value
    return tree


def read(shape: Shape, raw: Any, path: str = "") -> Any:
    """Returns the typed parameters. Raises MoodleError (invalidparameter)."""
    if isinstance(shape, One):
        return _object(shape, raw, path)
    if isinstance(shape, Many):
        if not isinstance(raw, dict):
            raise invalid(f"{path or 'parameters'} must be a list")
        return [read(shape.item, item, f"{path}[{index}]") for index, item in raw.items()]
    return _scalar(shape.kind, raw, path)


def _object(shape: One, raw: Any, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise invalid(f"{path or 'parameters'} must have keys")
    if unknown := set(raw) - set(shape.keys):
        raise invalid(f"{path or 'the function'} has no parameter {', '.join(sorted(unknown))}")
    found = {}
    for key, inner in shape.keys.items():
        if key in raw:
            found[key] = read(inner, raw[key], f"{path}[{key}]" if path else key)
        elif inner.default is _REQUIRED:
            raise invalid(f"{path + ' ' if path else ''}{key} is missing")
        else:
            found[key] = inner.default
    return found


def _scalar(kind: str, raw: Any, path: str) -> Any:
    if not isinstance(raw, str):
        raise invalid(f"{path} must be a single value")
    if kind == "int":
        if not re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", raw):
            raise invalid(f"{path} must be a whole number, not {raw!r}")
        return int(raw)
    if kind == "bool":
        if raw not in ("0", "1", "true", "false"):
            raise invalid(f"{path} must be 0 or 1, not {raw!r}")
        return raw in ("1", "true")
    patterns = {"alpha": r"[A-Za-z]+", "alphanumext": r"[A-Za-z0-9_-]*"}
    if kind in patterns and not re.fullmatch(patterns[kind], raw):
        raise invalid(f"{path} has characters that are not allowed: {raw!r}")
    if kind == "text" and re.search(r"<[^>]*>", raw):
        raise invalid(f"{path} contains tags")
    return raw
