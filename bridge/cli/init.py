"""`certbridge init`: a folder with everything a first start needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.core.wording import suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "--connector",
    "connectors",
    multiple=True,
    metavar="NAME",
    help="Set up a source of this kind of platform. May be repeated.",
)
def init(folder: Path, connectors: tuple[str, ...]) -> None:
    """Write a commented configuration, a mapping to fill in and fresh keys into DIR; nothing is overwritten."""
    from bridge.cli.schema import schema_texts, write_text
    from bridge.config import discover_connectors, write_starter

    known = discover_connectors()
    for name in connectors:
        if name not in known:
            near = suggestion(name, list(known))
            raise click.UsageError(f"There is no connector {name!r}{near or '.'} There are: {', '.join(known)}.")
    written = write_starter(folder, known, connectors)
    for name, text in schema_texts(known).items():
        write_text(folder / name, text)
        written.append(folder / name)
    _say_next(folder, written)


def _say_next(folder: Path, written: Sequence[Path]) -> None:
    from bridge.cli.output import Page

    page = Page()
    page.title(f"Written to {folder}")
    page.say("\n".join(os.path.relpath(path, folder) for path in written), indent=2)
    config = folder / "config.yaml"
    page.heading("The next three steps")
    # Not folded at the window's width: these lines are there to be copied.
    click.echo(f"  1. Fill in {config}: who issues, and where your platform is.")
    click.echo("     Your courses go into the folder mappings.")
    click.echo(f"  2. certbridge -c {config} check\n     names the lines to fill in, and every mistake at once")
    click.echo(f"  3. certbridge -c {config} serve\n     runs, and shows the webhook address to paste")
    page.say()
    page.say("Sources start in test mode: nothing real is sent before you write mode: live.", style="dim")
