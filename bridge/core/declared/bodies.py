"""Reads the body of an authentic request: JSON, a form, XML or a token; plain values come out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qsl
from xml.parsers import expat

from bridge.core.declared.jwt_proof import segment
from bridge.core.errors import PayloadError
from bridge.core.models import InboundRequest
from bridge.core.payload import MAX_BYTES, MAX_DEPTH, read_json

BodyKind = Literal["json", "form", "xml", "jwt"]
Nested = Literal["brackets", "underscores"]

_MOST_FIELDS: Final = 2_000
_MOST_ELEMENTS: Final = 20_000
_DEEPEST_NAME: Final = 10
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def read_body(request: InboundRequest, kinds: Sequence[BodyKind], nested: Nested | None) -> object:
    """Returns the value in a request's body; where several kinds are accepted, its first sign tells. PayloadError."""
    body = request.body.strip()
    for kind in kinds:
        if len(kinds) == 1 or _looks_like(kind, body):
            return _READERS[kind](request.body, nested)
    raise PayloadError(f"The body is none of: {', '.join(kinds)}.")


def _looks_like(kind: BodyKind, body: bytes) -> bool:
    if kind == "json":
        return body[:1] in (b"{", b"[", b'"')
    if kind == "xml":
        return body[:1] == b"<"
    return _TOKEN.fullmatch(body) is not None if kind == "jwt" else True


def _json(body: bytes, nested: Nested | None) -> object:
    return read_json(body)


def _jwt(body: bytes, nested: Nested | None) -> object:
    """Reads the claims of a token that was verified when it came."""
    if not _TOKEN.fullmatch(body.strip()):
        raise PayloadError("The body is no JSON Web Token.")
    return segment(body.strip().decode("ascii"), 1)


# -- forms -----------------------------------------------------------------------------------------


def _form(body: bytes, nested: Nested | None) -> object:
    """Reads a form; a field that is repeated becomes a list."""
    if len(body) > MAX_BYTES:
        raise PayloadError(f"The body has {len(body):,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        pairs = parse_qsl(
            body.decode("utf-8").strip(),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise PayloadError("The body is no form (name=value&name=value, UTF-8).") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if _UNSTORABLE.search(name + value):
            raise PayloadError("The body holds text that cannot be stored (a NUL).")
        if not name:
            raise PayloadError("The form has a field without a name.")
        _put(found, _steps(name, nested), value)
    return found


def _steps(name: str, nested: Nested | None) -> list[str]:
    if nested == "underscores":
        steps = name.split("__")
    elif nested == "brackets" and re.fullmatch(r"[^\[\]]+(\[[^\[\]]*\])+", name):
        first, _, rest = name.partition("[")
        steps = [first, *rest.removesuffix("]").split("][")]
    else:
        steps = [name]
    if len(steps) > _DEEPEST_NAME:
        raise PayloadError(f"The form nests a field more than {_DEEPEST_NAME} levels deep.")
    # "tags[]" is a list, as is any name that is repeated.
    return [step for step in steps if step] or [name]


def _put(found: dict[str, Any], steps: Sequence[str], value: str) -> None:
    for step in steps[:-1]:
        found = found.setdefault(step, {})
        if not isinstance(found, dict):
            raise PayloadError(f"The form uses {step[:40]!a} as a value and as a group of values.")
    last = steps[-1]
    if last not in found:
        found[last] = value
    elif isinstance(found[last], list):
        found[last].append(value)
    elif isinstance(found[last], dict):
        raise PayloadError(f"The form uses {last[:40]!a} as a value and as a group of values.")
    else:
        found[last] = [found[last], value]


# -- XML -------------------------------------------------------------------------------------------


def _xml(body: bytes, nested: Nested | None) -> object:
    """Reads XML without a document type: elements by name, a list where one is repeated, attributes as @name.

    Namespaces are left out; text beside elements stands under "#".
    """
    if len(body) > MAX_BYTES:
        raise PayloadError(f"The body has {len(body):,} bytes; at most {MAX_BYTES:,} are read.")
    reading = _Xml()
    parser = expat.ParserCreate()  # in the encoding that the XML declares, else UTF-8
    parser.buffer_text = True
    # A document type can hold entities that grow without end, or name files of ours.
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.StartElementHandler, parser.EndElementHandler = reading.start, reading.end
    parser.CharacterDataHandler = reading.text
    try:
        parser.Parse(body, True)
    except expat.ExpatError as failure:
        raise PayloadError(f"The body is no XML: {expat.ErrorString(failure.code)}, line {failure.lineno}.") from None
    except (LookupError, ValueError):
        raise PayloadError("The XML is written in an encoding that is not known here. Have it sent as UTF-8.") from None
    return reading.root


def _no_doctype(*_: object) -> None:
    raise PayloadError("The XML has a document type (<!DOCTYPE ...>), which is never read.")


class _Xml:
    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self._count = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._count += 1 + len(attributes)
        if self._count > _MOST_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise PayloadError(f"The XML has more than {_MOST_ELEMENTS:,} elements or {MAX_DEPTH} levels.")
        kept = {f"@{_local(key)}": value for key, value in attributes.items() if not key.startswith("xmlns")}
        self._open.append((_local(name), kept, []))

    def end(self, name: str) -> None:
        label, found, texts = self._open.pop()
        text = "".join(texts).strip()
        value: Any = found
        if not found:
            value = text
        elif text:
            found["#"] = text
        _add(self._open[-1][1] if self._open else self.root, label, value)

    def text(self, data: str) -> None:
        self._open[-1][2].append(data)


def _add(parent: dict[str, Any], label: str, value: Any) -> None:
    if label not in parent:
        parent[label] = value
    elif isinstance(parent[label], list):
        parent[label].append(value)
    else:
        parent[label] = [parent[label], value]


def _local(name: str) -> str:
    return name.rpartition(":")[2]


_READERS: Final[Mapping[str, Callable[[bytes, Nested | None], object]]] = {
    "json": _json,
    "form": _form,
    "xml": _xml,
    "jwt": _jwt,
}
