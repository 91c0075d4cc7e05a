"""The base of every part of a mapping file: closed to settings it does not know, and to lines without a value."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator


class Section(BaseModel):
    """A part of the file: unknown settings and empty values are refused."""

    # Built with the first file that is read: a part is then made once, inside the whole.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_empty_value(cls, value: object) -> object:
        if value is None:
            raise ValueError("Write a value, or remove the line.")
        return value
