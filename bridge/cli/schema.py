"""`certbridge schema`: the JSON Schemas that config and mapping files refer to, for editors that check while typing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.session import Session, pass_session
from bridge.core.errors import ConfigError
from bridge.core.wording import suggestion

if TYPE_CHECKING:
    from bridge.core.connector import Connector


@click.command("schema")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write them into DIR.")
@click.option("--stdout", "name", metavar="NAME", help="Print one of them instead: config or mapping.")
@pass_session
def schema(session: Session, out: Path | None, name: str | None) -> None:
    """Write config.schema.json and mapping.schema.json beside the configuration, with your own declarations."""
    from bridge.config import discover_connectors
    from bridge.config.declared import with_declared

    connectors, problems = with_declared(session.path, discover_connectors())
    made = schema_texts(connectors)
    if name is not None:
        if out is not None:
            raise click.UsageError("--out writes files and --stdout prints one; give one of the two.")
        click.echo(_chosen(made, name), nl=False)
    else:
        for file, text in made.items():
            click.echo(write_text((out or session.path.parent) / file, text))
    if problems:
        # What can be read is in the schemas already; what cannot is what they are needed for.
        raise ConfigError(problems)


def schema_texts(connectors: Mapping[str, type[Connector[Any]]]) -> dict[str, str]:
    """Returns the schemas by file name."""
    from bridge.config import schemas
    from bridge.core.mapping import schema as mapping_schema

    made = {**schemas(connectors), "mapping.schema.json": mapping_schema()}
    return {file: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for file, content in made.items()}


def _chosen(made: dict[str, str], name: str) -> str:
    known = [file.removesuffix(".schema.json") for file in made]
    for short, text in zip(known, made.values(), strict=True):
        if name in (short, f"{short}.schema.json"):
            return text
    raise click.UsageError(
        f"There is no schema {name!r}{suggestion(name, known) or '.'} There are: {', '.join(known)}."
    )


def write_text(path: Path, text: str) -> str:
    """Writes a file that may be made anew at any time, and says what was done. Raises ConfigError."""
    try:
        if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
            return f"{path} is up to date"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}). Choose a folder with --out DIR.") from error
    return f"{path} written"
