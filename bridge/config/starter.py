"""The files of a first installation: a short configuration, a mapping to fill in, fresh keys."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bridge.config.example import OWN_TOKEN
from bridge.config.refusals import PLACEHOLDER_ISSUER
from bridge.config.secret_files import TWIN, holds_secrets
from bridge.core.connector import Connector
from bridge.core.errors import ConfigError

_CONFIG: Final = """\
# yaml-language-server: $schema=./config.schema.json
# The configuration of certbridge. Every setting: config.example.yaml. Check it with: certbridge check

# The address at which everybody reaches certbridge; QR codes on certificates carry it for years.
# It must be https before a source can go live:
#   public_url: https://certificates.your-school.example
public_url: http://127.0.0.1:8080

# Who issues, as printed on every certificate.
issuer:
  name: {issuer}
  zone: UTC  # the time zone of printed dates, such as Europe/Berlin
  locale: en  # the language of certificates, such as de

# The key of this installation. Keep a copy of the folder keys in a safe place.
keys:
  recipient_file: keys/recipient.key

# Mail is off: certificates are made, and their mails are held until this is set up.
mail:
  mode: off
  # mode: smtp
  # from: Your School <training@your-school.example>
  # smtp:
  #   host: smtp.your-school.example
  #   username: training
  #   password_file: keys/smtp-password.key

# The systems that report completions. A source starts in mode: test: its certificates are marked TEST,
# its mails become files in the folder mail-test, and nothing is written back. When what you see is
# right, change it to mode: live.
sources:
"""

_MAPPING: Final = """\
# yaml-language-server: $schema=../mapping.schema.json
# Which completions of the source {source} get a certificate, and what it says.
# "certbridge fields {source}" lists the words and an example of each; "certbridge check" finds mistakes.
extends: {connector}

# A course that is not listed below: hold (a person decides), skip or issue.
other_courses: hold

every_course:
  template: classic
  # valid_for: 2 years
  # again: renew  # the same learner and course later: renew, reuse or hold

# The platform's course id (or short name), and the title to print:
# courses:
#   68: Fire Safety
"""

_IGNORED: Final = """\
# Keys, certificates and mails do not belong into a repository.
/keys/
/data/
/mail/
/mail-test/
/*.installation
"""


def starter(connectors: Mapping[str, type[Connector[Any]]], chosen: Sequence[str] = ()) -> dict[str, str]:
    """Returns the files of a first installation by name.

    Each chosen connector becomes a source in test mode (named school, or KIND-school where there are several), with a
    mapping and a token of its own. Without a choice the first two connectors stand there as comments, ready to use.
    Raises ConfigError for an unknown connector.
    """
    unknown = [name for name in chosen if name not in connectors]
    if unknown:
        raise ConfigError(f"There is no connector {unknown[0]}. Available: {', '.join(connectors)}.")
    offered = list(dict.fromkeys(chosen)) or list(connectors)[:2]
    files = {".gitignore": _IGNORED, "keys/recipient.key": secrets.token_hex(32) + "\n"}
    blocks: list[str] = []
    for connector in (connectors[name] for name in offered):
        source = "school" if len(offered) == 1 else f"{connector.name}-school"
        blocks += [*([""] if blocks else []), *_block(source, connector)]
        files[f"mappings/{source}.yaml"] = _MAPPING.format(source=source, connector=connector.name)
        if _own_secret(connector):
            files[_key_file(source, connector.own_secret)] = secrets.token_urlsafe(32) + "\n"
    if not chosen:
        blocks = [f"  # {line[2:]}".rstrip() for line in blocks]
    return {"config.yaml": _CONFIG.format(issuer=PLACEHOLDER_ISSUER) + "\n".join(blocks) + "\n", **files}


def write_starter(
    folder: Path, connectors: Mapping[str, type[Connector[Any]]], chosen: Sequence[str] = ()
) -> list[Path]:
    """Writes the files of a first installation, readable by this user only, and returns their paths.

    Never overwrites: raises ConfigError, before anything is written, naming the file that is there already.
    """
    files = starter(connectors, chosen)
    for name in files:
        if os.path.lexists(folder / name):
            raise ConfigError(f"{folder / name} exists already; nothing was written. Choose an empty folder.")
    try:
        return [_write(folder, name, text) for name, text in files.items()]
    except OSError as failure:
        raise ConfigError(f"{failure.filename} cannot be written: {failure.strerror}.") from None


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Exclusive and closed to others from the first byte on, whatever the umask says.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


# -- one source --------------------------------------------------------------------------------------


def _block(source: str, connector: type[Connector[Any]]) -> Iterator[str]:
    yield from (f"  {source}:", f"    connector: {connector.name}", "    mode: test", f"    mapping: {source}.yaml")
    own = connector.own_secret if _own_secret(connector) else ""
    if own:
        inside = own == OWN_TOKEN
        address = f"PUBLIC_URL/hooks/{source}{'/TOKEN' if inside else ''}"
        yield f"    # The webhook address to enter in {connector.title} is {address},"
        yield f"    # {'with the token' if inside else 'and the secret to send along'} that stands in this file:"
        yield f"    {own}{TWIN}: {_key_file(source, own)}"
    for name, info in connector.Settings.model_fields.items():
        if info.is_required() and name != own:
            key = info.alias or name
            yield f"    # To be filled in: {info.description}"
            if holds_secrets(info):
                yield f"    # (or {key}{TWIN}: the file that holds it, such as {_key_file(source, key)})"
            # Left empty on purpose: certbridge check then names this very line.
            yield f"    {key}:"


def _own_secret(connector: type[Connector[Any]]) -> bool:
    return connector.own_secret in connector.Settings.model_fields


def _key_file(source: str, setting: str) -> str:
    return f"keys/{source}-{setting.replace('_', '-')}.key"
