"""`certbridge sources`: the configured sources, where their webhooks go, and when they were last heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.group import Entry, LazyGroup
from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option

if TYPE_CHECKING:
    from bridge.cli.output import Page
    from bridge.cli.shown.source import ShownSource


COMMANDS = {
    "connect": Entry("bridge.cli.source_vendor:connect", "Register the webhook at the platform, where it has an API."),
    "test": Entry("bridge.cli.source_vendor:test", "Try everything a source needs, and say what is missing."),
    "courses": Entry("bridge.cli.source_vendor:courses", "Write the lines for the mapping, from the platform's list."),
    "ask": Entry("bridge.cli.source_vendor:ask", "Ask the platform again about one learner, now."),
    "pause": Entry("bridge.cli.source_state:pause", "Let a source rest: nothing of it is worked on."),
    "resume": Entry("bridge.cli.source_state:resume", "End the rest."),
    "secret": Entry("bridge.cli.source_secret:secret", "Change a secret; the old one is accepted for seven days."),
    "go-live": Entry("bridge.cli.go_live:go_live", "Look over a source in test mode, and switch it to live."),
}


@click.group("sources", cls=LazyGroup, entries=COMMANDS)
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


@sources.command("show")
@click.argument("name", metavar="SOURCE")
@click.option(
    "--address", is_flag=True, help="Only the webhook address, with its token: to be pasted, not to be shown."
)
@json_option
@pass_session
def show(session: Session, name: str, address: bool, as_json: bool) -> None:
    """Show one source, and what to enter at the platform."""
    from bridge.cli.output import print_json
    from bridge.cli.shown import source as shown

    source = session.source(name)
    with session.bridge() as bridge:
        if address:
            connector = bridge.sources[source].connector
            click.echo(shown.webhook_url(bridge.config.public_url, source, connector, hidden=False))
            return
        (one,) = [one for one in shown.look(bridge) if one.name == source]
    if as_json:
        print_json(shown.as_json(one))
        return
    page = session.page()
    _print(page, one)
    page.clock()


def _print(page: Page, one: ShownSource) -> None:
    from bridge.cli.shown import source as shown

    page.title(shown.title(one))
    page.facts(shown.facts(one, page), indent=2)
