"""`certbridge sources`: the configured sources, where their webhooks go, and when they were last heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.group import LazyGroup
from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option

if TYPE_CHECKING:
    from bridge.cli.output import Page
    from bridge.cli.shown.source import ShownSource


@click.group("sources", cls=LazyGroup)
def sources() -> None:
    """The configured sources and their webhook addresses."""


@sources.command("list")
@json_option
@pass_session
def list_sources(session: Session, as_json: bool) -> None:
    """List sources with mode, webhook address, start line, last request and what became of their events."""
    from bridge.cli.output import print_json
    from bridge.cli.shown import source as shown

    with session.bridge() as bridge:
        found = shown.look(bridge)
    if as_json:
        print_json([shown.as_json(one) for one in found])
        return
    page = session.page()
    if not found:
        page.say(f"{session.path} names no source yet. Add one under `sources:`; config.example.yaml shows how.")
        return
    for number, one in enumerate(found):
        if number:
            page.say()
        _print(page, one)
    page.clock()


def _print(page: Page, one: ShownSource) -> None:
    from bridge.cli.shown import source as shown

    page.title(shown.title(one))
    page.facts(shown.facts(one, page), indent=2)
