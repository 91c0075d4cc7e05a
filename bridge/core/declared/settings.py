"""What an admin sets for a declared source: a settings model made from what its declaration needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr, create_model, model_validator

from bridge.core.connector import ConnectorSettings
from bridge.core.declared.addresses import checked_address
from bridge.core.declared.texts import Unclear
from bridge.core.section import Section

SETTING: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
Fields = dict[str, tuple[Any, Any]]


def _setting_name(name: str) -> str:
    if not SETTING.fullmatch(name) or name.endswith("_file"):
        raise ValueError("The name of a setting has small letters, digits and _, and does not end in _file.")
    return name


def _regular(text: str) -> str:
    try:
        re.compile(text)
    except re.error as failure:
        raise ValueError(f"This is no regular expression: {failure}.") from None
    return text


SettingName = Annotated[str, AfterValidator(_setting_name)]


class SettingWords(Section):
    """A setting of each source of this kind, for use in texts: `{{ settings.NAME }}`."""

    description: str = Field(min_length=1, max_length=300, description="What it is, for the admin who sets it.")
    example: str | None = Field(default=None, description="An example value.")
    pattern: Annotated[str, AfterValidator(_regular)] | None = Field(
        default=None, description="A regular expression that the whole value must fit."
    )
    secret: bool = Field(default=False, description="true: never shown; only for use below `api:`.")
    url: bool = Field(default=False, description="true: a web address, such as that of a site of the school's own.")
    optional: bool = Field(default=False, description="true: may be left out; what needs it is then left undone.")
    default: str | None = Field(default=None, description="What counts where it is not set.")


def settings_model(
    title: str, declared: Mapping[str, SettingWords], proof: Fields, check: Callable[[Any], None]
) -> type[ConnectorSettings]:
    """Returns the settings of a declared source; `check` raises ValueError for settings that do not fit together."""
    fields: dict[str, Any] = {name: _field(words) for name, words in declared.items()}
    fields |= proof

    def fits_together(settings: Any) -> Any:
        check(settings)
        return settings

    validators: dict[str, Any] = {"fits_together": model_validator(mode="after")(fits_together)}
    return create_model(
        f"{title} settings",
        __base__=ConnectorSettings,
        __doc__=f"One source of the kind {title}.",
        __validators__=validators,
        **fields,
    )


def secret_fields(name: str, description: str, *, required: bool, least: int = 8) -> Fields:
    """Returns a secret and the one before it."""
    before = Field(None, min_length=least, description=f"The `{name}` before, while you change it; still accepted.")
    now = Field(... if required else None, min_length=least, description=description)
    return {name: (SecretStr if required else SecretStr | None, now), f"previous_{name}": (SecretStr | None, before)}


def secrets_of(settings: object, name: str) -> tuple[SecretStr | None, ...]:
    """Returns a secret and the one before it."""
    return getattr(settings, name), getattr(settings, f"previous_{name}")


def visible(settings: object) -> dict[str, object]:
    """Returns what texts may see: every setting that is no secret and set."""
    return {name: value for name, value in _values(settings) if not isinstance(value, SecretStr)}


def everything(settings: object) -> dict[str, object]:
    """Returns every setting that is set, secrets in clear: for signing in alone."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in _values(settings)
    }


def _values(settings: object) -> list[tuple[str, Any]]:
    named = [(name, getattr(settings, name)) for name in type(settings).model_fields]  # type: ignore[attr-defined]
    return [(name, value) for name, value in named if value is not None]


def _field(words: SettingWords) -> tuple[Any, Any]:
    required = not words.optional and words.default is None
    examples = [words.example] if words.example else None
    info: Any = Field(... if required else words.default, description=words.description, examples=examples)
    if words.secret:
        info = Field(... if required else None, min_length=1, description=words.description)
        return (SecretStr if required else SecretStr | None), info
    checked = Annotated[str, AfterValidator(_checker(words))]
    return (checked if required or words.default is not None else checked | None), info


def _checker(words: SettingWords) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value == "" == words.default:
            return value  # the declaration itself says that it may be empty
        if not value.strip() or len(value) > 500:
            raise ValueError("is empty or too long")
        if words.pattern is not None and not re.fullmatch(words.pattern, value):
            raise ValueError("has not the right form" + (f"; an example: {words.example}" if words.example else ""))
        if words.url:
            try:
                return checked_address(value)
            except Unclear as failure:
                raise ValueError(str(failure)) from None
        return value

    return check
