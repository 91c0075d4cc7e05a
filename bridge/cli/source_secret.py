"""`certbridge sources secret`: puts a new secret in place, after trying it, and keeps the old one valid for a week."""

from __future__ import annotations

import secrets as random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.session import Session, actor, pass_session
from bridge.core.errors import BridgeError, ConfigError
from bridge.core.wording import suggestion

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.core.connector import ApiClient, Connector, ConnectorSettings


@click.command("secret")
@click.argument("name", metavar="SOURCE")
@click.argument("setting", required=False, metavar="[SETTING]")
@click.option("--generate", is_flag=True, help="Let certbridge choose it (for secrets that you then enter elsewhere).")
@click.option("--untested", is_flag=True, help="Write it even if the platform refuses it now.")
@pass_session
def secret(session: Session, name: str, setting: str | None, generate: bool, untested: bool) -> None:
    """Change a secret of a source: it is asked for, tried, and written; the old one is accepted for seven days.

    A running certbridge takes it over within a minute.
    """
    from bridge.config.rotation import ACCEPTED, BEFORE, kept_beside, replace_secret
    from bridge.store import history

    source = session.source(name)
    with session.bridge() as bridge:
        fields = bridge.sources[source].connector.Settings.model_fields
        chosen = _setting(bridge, source, setting)
        file = _file(session, source, chosen)
        value = random.token_urlsafe(32) if generate else _prompt(chosen)
        _check(bridge, source, chosen, value)
        if not untested:
            _try(bridge, source, chosen, value)
        overtaken = kept_beside(file) is not None
        replace_secret(file, value)
        data = {"source": source, "setting": chosen}
        bridge.store.transact(lambda tx: history.add(tx, "source.secret_changed", actor=actor(), data=data))
    page = session.page()
    page.say(f"{chosen} of {source} is changed, in {file}.")
    if f"{BEFORE}{chosen}" in fields:
        page.say(
            f"The one before is accepted for {ACCEPTED.days} days more, so change it at the platform in that time."
        )
        if overtaken:
            page.say("The one before that, which was still accepted until now, no longer is.", style="yellow")
    if generate:
        page.say(f"Enter it at the platform: it stands in {file}.")


def _setting(bridge: Bridge, source: str, wanted: str | None) -> str:
    from pydantic import SecretStr

    from bridge.config.rotation import BEFORE
    from bridge.config.secret_files import holds_secrets

    settings = bridge.sources[source].connector.settings
    known = [
        key
        for key, info in type(settings).model_fields.items()
        if holds_secrets(info) and not key.startswith(BEFORE) and isinstance(getattr(settings, key), SecretStr)
    ]
    if wanted in known:
        return str(wanted)
    listed = f"{source} has these: {', '.join(known) or 'none'}."
    if wanted is None and len(known) == 1:
        return str(known[0])
    if wanted is None:
        raise click.UsageError(f"Say which secret. {listed}")
    raise click.UsageError(f"{wanted!r} is no secret that is set{suggestion(wanted, known) or '.'} {listed}")


def _file(session: Session, source: str, setting: str) -> Path:
    """Returns the file that holds a secret. Raises ConfigError when it stands elsewhere."""
    from bridge.core import document

    written = document.read(session.path.read_bytes(), session.path.name)
    named = written.at(("sources", source, f"{setting}_file"))
    if not isinstance(named, str) or "$" in named:
        mark = written.mark(("sources", source, setting), key=True)
        raise ConfigError(
            f"{mark} {setting} does not stand in a file of its own, so certbridge cannot change it. Write "
            f"{setting}_file: keys/{source}-{setting.replace('_', '-')}.key instead, put the secret there, and "
            "try again."
        )
    return session.path.absolute().parent / Path(named).expanduser()


def _prompt(setting: str) -> str:
    from bridge.config.forms import check_secret

    value = str(click.prompt(f"New {setting}", hide_input=True, confirmation_prompt=True))
    try:
        check_secret(value)
    except ValueError as failure:
        raise BridgeError(f"{failure} Nothing was changed.") from None
    return value


def _check(bridge: Bridge, source: str, setting: str, value: str) -> None:
    """Raises BridgeError when the configuration would refuse the new secret: it is written for the next start, too."""
    settings = bridge.sources[source].connector.settings
    if getattr(settings, setting).get_secret_value() == value:
        raise BridgeError(f"This is the {setting} that is in use already; nothing was changed.")
    before = _complaints(settings, {})
    new = [one for one in _complaints(settings, {setting: value}) if one not in before]
    if new:
        raise BridgeError(f"{new[0]} Nothing was changed.")


def _complaints(settings: ConnectorSettings, changes: dict[str, str]) -> list[str]:
    """Returns what is wrong with settings, in words that show no secret."""
    from pydantic import ValidationError

    from bridge.core.wording import complaints

    kind = type(settings)
    values = {info.alias or name: getattr(settings, name) for name, info in kind.model_fields.items()}
    values |= {kind.model_fields[name].alias or name: text for name, text in changes.items()}
    try:
        kind.model_validate(values)
    except ValidationError as failure:
        return [one.message for one in complaints(failure, kind, data=values, written=values)]
    return []


def _try(bridge: Bridge, source: str, setting: str, value: str) -> None:
    """Raises BridgeError when the platform refuses with the new secret what it allows with the present one."""
    from dataclasses import replace

    from pydantic import SecretStr

    from bridge.parts import client

    present = bridge.sources[source]
    changed = present.connector.settings.model_copy(update={setting: SecretStr(value)})
    trial = replace(present, connector=type(present.connector)(changed))
    bridge.redactor.learn([value])
    before = _errors(present.connector, bridge.clients[source])
    way_out = client(bridge.config, trial, bridge.redactor)
    try:
        after = _errors(trial.connector, way_out)
    finally:
        way_out.close()
    new = [one for one in after if one not in before]
    if new:
        raise BridgeError(
            f"With the new {setting} something is wrong that was right before, so nothing was changed: {new[0]} "
            "(--untested writes it all the same.)"
        )


def _errors(connector: Connector[Any], api: ApiClient) -> list[str]:
    try:
        return [one.message for one in connector.diagnose(api) if one.level == "error"]
    except BridgeError as error:
        return [str(error)]
