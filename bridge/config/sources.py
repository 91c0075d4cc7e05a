"""The block of one source as it stands in the file: what every source has, and its connector's settings beside it."""

from __future__ import annotations

from typing import Any, cast

from pydantic import Field, create_model

from bridge.config.models import SourceBlock
from bridge.config.secret_files import TWIN, holds_secrets
from bridge.core.connector import Connector


def source_model(connector: type[Connector[Any]]) -> type[SourceBlock]:
    """Returns the model of a source block of this connector; every secret gets its twin `X_file`.

    Raises TypeError when the connector names a setting that every source has already.
    """
    named = {info.alias or name for name, info in connector.Settings.model_fields.items()}
    doubled = (named | set(connector.Settings.model_fields)) & set(SourceBlock.model_fields)
    if doubled:
        raise TypeError(f"{connector.name}: these settings belong to every source: {', '.join(sorted(doubled))}")
    fields: dict[str, Any] = {}
    for name, info in connector.Settings.model_fields.items():
        twin = f"{name}{TWIN}"
        if holds_secrets(info) and twin not in connector.Settings.model_fields:
            description = f"A file that holds `{name}`, instead of it."
            fields[twin] = (str | None, Field(None, description=description))
    bases: Any = (SourceBlock, connector.Settings)
    return cast(type[SourceBlock], create_model(f"{connector.title} source", __base__=bases, **fields))
