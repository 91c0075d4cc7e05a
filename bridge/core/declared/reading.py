"""Reads the declaration in a mapping file, with the place of everything that is wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bridge.core import document
from bridge.core.connector import Connector
from bridge.core.declared.connector import declare
from bridge.core.declared.layers import KEY, layered
from bridge.core.declared.model import Declaration
from bridge.core.declared.rules import problems
from bridge.core.document import Document
from bridge.core.errors import MappingError
from bridge.core.mapping_bundle import gather


def declared_in(read: Document) -> Declaration:
    """Returns the declaration in a document. Raises MappingError with every problem and its place."""
    declaration = document.validate(read, Declaration, at=(KEY,), error=MappingError)
    found = problems(read, declaration, (KEY,))
    if found:
        raise MappingError(found)
    return declaration


def read_declared(
    name: str, text: str, file: str, *, taken: Sequence[str] = (), texts: Callable[[str], str | None] = lambda _: None
) -> type[Connector[Any]]:
    """Returns the connector that a mapping file declares. Raises MappingError.

    `taken` are the names of settings that every source has already; `texts` knows the mappings to build on by name.
    """
    files = gather(file, text, texts).files
    documents = layered([document.read(content, place, error=MappingError) for place, content in files])
    declaration = declared_in(documents[0])
    made = declare(name, declaration, list(dict.fromkeys(event for one in documents for event in _events(one))))
    doubled = [setting for setting in made.Settings.model_fields if setting in taken]
    if doubled:
        place = (KEY, "settings", doubled[0])
        message = f'source.settings: "{doubled[0]}" is a setting that every source has already. Choose another name.'
        raise MappingError([documents[0].problem(place, message, key=True)])
    return made


def _events(read: Document) -> list[str]:
    events = read.at(("events",))
    return list(events) if isinstance(events, dict) else []
