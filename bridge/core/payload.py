"""Reads JSON and forms from outside, strictly: bytes in, plain values out, one plain sentence where that fails."""

from __future__ import annotations

import json
import math
import re
from typing import Final, Never, TypeVar
from urllib.parse import parse_qsl

from bridge.core.errors import PayloadError

_V = TypeVar("_V")

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_DEPTH: Final = 100
MAX_VALUES: Final = 100_000
# Python itself refuses to print integers over 4,300 digits, so longer ones could be read but never stored.
MAX_DIGITS: Final = 4_000

# A quoted string, also one that never ends; possessive, so that a hostile body costs one pass.
_STRING: Final = re.compile(r'"(?:[^"\\]+|\\.?)*+(?:"|\Z)', re.DOTALL)
_STRUCTURE: Final = re.compile(r"[\[\]{},]")
# NUL cannot be stored by PostgreSQL; half of a surrogate pair cannot be written as UTF-8.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def read_json(
    body: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_values: int = MAX_VALUES,
    mend: bool = False,
) -> object:
    """Returns the one JSON value in `body` (RFC 8259, UTF-8 without a byte order mark).

    Everything that two readers could understand differently, or that cannot be stored, is refused. `mend`: text that
    cannot be stored gets a replacement character, so that half an emoji in one name does not hide a list of others.
    Raises PayloadError; its message never repeats more of the body than the name of a repeated field.
    """
    text = _text(body, max_bytes)
    _check_structure(text, max_depth, max_values)
    try:
        value: object = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise PayloadError(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    # Text that cannot be stored can only come as an escape: as bytes it is no UTF-8, or was refused above.
    if "\\u" not in text:
        return value
    if mend:
        return _mended(value)
    _check_strings(value)
    return value


def read_object(body: bytes) -> dict[str, object]:
    """Returns the JSON object in `body`. Raises PayloadError, also when it is JSON of another kind."""
    value = read_json(body)
    if not isinstance(value, dict):
        raise PayloadError(f"The body is JSON, but not an object with named fields ({_kind(value)}).")
    return value


def read_form(body: bytes, *, max_fields: int = 1_000) -> dict[str, str]:
    """Returns the fields of an `application/x-www-form-urlencoded` body, also the empty ones. Raises PayloadError."""
    text = _text(body, MAX_BYTES)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=max_fields)
    except UnicodeDecodeError:
        raise PayloadError("The form holds bytes that are not UTF-8 text.") from None
    except ValueError:
        raise PayloadError(f"The form has more than {max_fields:,} fields.") from None
    fields = _object(pairs)
    _check_strings(fields)
    return fields


def _text(body: bytes, max_bytes: int) -> str:
    if not body.strip():
        raise PayloadError("The body is empty.")
    if len(body) > max_bytes:
        raise PayloadError(f"The body has {len(body):,} bytes; at most {max_bytes:,} are read.")
    if body.startswith(b"\xef\xbb\xbf"):
        raise PayloadError("The body starts with a byte order mark; it is to be sent as plain UTF-8.")
    if b"\x00" in body or body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PayloadError("The body is not UTF-8 text (it looks like UTF-16 or binary data).")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError(f"The body is not UTF-8 text (byte {error.start + 1} is wrong).") from None


def _check_structure(text: str, max_depth: int, max_values: int) -> None:
    # Before parsing: the parser recurses, and its objects cost far more memory than their text.
    depth = 0
    for count, match in enumerate(_STRUCTURE.finditer(_STRING.sub("", text)), start=1):
        sign = match.group()
        depth += 1 if sign in "[{" else -1 if sign in "]}" else 0
        if depth > max_depth:
            raise PayloadError(f"The body is nested more than {max_depth} levels deep.")
        if count > max_values:
            raise PayloadError(f"The body holds more than {max_values:,} values.")


def _check_strings(value: object) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str) and _UNSTORABLE.search(item):
            raise PayloadError("The body holds text that cannot be stored (a NUL or half of a surrogate pair).")


def _mended(value: object) -> object:
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return _UNSTORABLE.sub("\ufffd", value) if isinstance(value, str) else value


def _object(pairs: list[tuple[str, _V]]) -> dict[str, _V]:
    result: dict[str, _V] = {}
    for key, value in pairs:
        if key in result:
            raise PayloadError(f"The body names the field {key[:40]!a} twice.")
        result[key] = value
    return result


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise PayloadError(f"The body holds a number of more than {MAX_DIGITS:,} digits.")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise PayloadError("The body holds a number that is too large.")
    return number


def _constant(text: str) -> Never:
    raise PayloadError(f"The body holds {text}, which is no JSON number.")


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")
