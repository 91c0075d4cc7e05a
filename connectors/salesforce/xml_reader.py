"""Reads XML from outside, strictly: no document types, no entities of its own, bounded depth and number of elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from bridge.core.errors import PayloadError

MAX_BYTES: Final = 5 * 1024 * 1024
MAX_DEPTH: Final = 30
MAX_ELEMENTS: Final = 60_000
"""Elements, their attributes and namespaces together."""
_LONGEST_NAMESPACE: Final = 200


@dataclass(slots=True)
class Element:
    """One element; `name` is its namespace, a space and its local name (or the local name where it has none)."""

    name: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text directly inside it, trimmed; comments leave no gap."""
        return "".join(self.pieces).strip()

    def all(self, name: str) -> Iterator[Element]:
        """Yields the children of this name."""
        return (child for child in self.children if child.name == name)


def read_xml(body: bytes) -> Element:
    """Returns the root element. Raises PayloadError; nothing is expanded, fetched or kept of a refused body."""
    if not body.strip():
        raise PayloadError("The body is empty.")
    if len(body) > MAX_BYTES:
        raise PayloadError(f"The body has {len(body):,} bytes; at most {MAX_BYTES:,} are read.")
    return _Builder().read(body)


class _Builder:
    # The parser of Python itself: defusedxml wraps the same one, in Python's slow tree builder and without bounds on
    # depth and number. A document type is refused by its event, before the parser reads a single declaration in it,
    # and in every encoding; looking for "<!DOCTYPE" in the bytes would miss UTF-16.
    def __init__(self) -> None:
        self._root = Element("", {})
        self._open = [self._root]
        self._elements = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartNamespaceDeclHandler = self._namespace
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def read(self, body: bytes) -> Element:
        try:
            self._parser.Parse(body, True)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            raise PayloadError(f"The body is not XML: {said} at line {error.lineno}, column {error.offset}.") from None
        except (LookupError, ValueError, UnicodeError):
            raise PayloadError("The body is XML in an encoding that cannot be read; send it as UTF-8.") from None
        return self._root.children[0]

    def _doctype(self, *_: object) -> None:
        raise PayloadError("The body declares a document type (DOCTYPE). Salesforce never does; it was not read.")

    def _namespace(self, _prefix: str | None, address: str | None) -> None:
        # The parser writes the address out before the name of every element in it: half a megabyte, ten thousand times.
        self._elements += 1
        if len(address or "") > _LONGEST_NAMESPACE:
            raise PayloadError(f"The body has a namespace of more than {_LONGEST_NAMESPACE} characters.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1 + len(attributes)
        if self._elements > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise PayloadError(
                f"The body has more than {MAX_ELEMENTS:,} elements and attributes, or {MAX_DEPTH} levels."
            )
        element = Element(name, attributes)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].pieces.append(text)
