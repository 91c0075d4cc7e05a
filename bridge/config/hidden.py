"""Every secret of a configuration, so that it can be kept out of logs, errors and pages by value."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr


def secrets_in(value: object) -> Iterator[str]:
    """Yields every secret in a model, a dictionary or a list."""
    if isinstance(value, SecretStr):
        yield from _parts_to_hide(value.get_secret_value())
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secrets_in(item)


def _parts_to_hide(text: str) -> Iterator[str]:
    scheme, mark, rest = text.partition("://")
    if not mark:
        yield text
        return
    # A database's address is no secret by itself; its password is, also where it stands alone and decoded.
    _, colon, password = rest.rpartition("@")[0].partition(":")
    if colon and password:
        yield from (text, password, unquote(password))
    elif not scheme.startswith(("sqlite", "postgresql")):
        yield text
