"""The base of every part of the configuration: frozen, and closed to settings it does not know."""

from __future__ import annotations

import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to settings it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections_are_absent(cls, data: Any) -> Any:
        # `limits:` with every line below it commented out is what an untouched section looks like.
        if not isinstance(data, dict):
            return data
        sections = {info.alias or name for name, info in cls.model_fields.items() if section_of(info) is not None}
        return {key: value for key, value in data.items() if value is not None or key not in sections | {"sources"}}


def section_of(info: FieldInfo) -> type[BaseModel] | None:
    """Returns the model of a field that is a section of its own, or None; `sources:` holds blocks, and is none."""
    if typing.get_origin(info.annotation) is dict:
        return None
    members = [info.annotation, *getattr(info.annotation, "__args__", ())]
    found = [item for item in members if isinstance(item, type) and issubclass(item, BaseModel)]
    return found[0] if found else None
