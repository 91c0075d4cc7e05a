"""`certbridge sources connect|test|courses|ask`: what a person has the bridge do at a platform."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option
from bridge.core.errors import BridgeError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.app import Bridge
    from bridge.cli.output import Page
    from bridge.core.connector import ApiClient, CourseFound, Finding
    from bridge.core.source import Source

source_argument = click.argument("name", metavar="SOURCE")
_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}


@click.command("connect")
@source_argument
@json_option
@pass_session
def connect(session: Session, name: str, as_json: bool) -> None:
    """Register this source's webhook address at the platform, unless it is there already."""
    from bridge.cli.shown.source import webhook_url
    from bridge.config.forms import is_public_https
    from bridge.core.connector import Connector

    with _asking(session, name) as (bridge, source, api):
        can = type(source.connector).connect is not Connector.connect
        if can and not is_public_https(bridge.config.public_url) and not bridge.config.allow_local_public_url:
            raise ConfigError(
                f"public_url is {bridge.config.public_url}; a platform can only send to a public https address. Set it "
                "in the configuration first."
            )
        address = webhook_url(bridge.config.public_url, source.name, source.connector, hidden=False)
        found = list(source.connector.connect(api, address))
    tell(session, found, as_json=as_json)


@click.command("test")
@source_argument
@json_option
@pass_session
def test(session: Session, name: str, as_json: bool) -> None:
    """Try what a source needs at its platform: key, rights, the places to write to. Nothing is changed there."""
    with _asking(session, name) as (_, source, api):
        found = list(source.connector.diagnose(api))
    if not found and not as_json:
        session.page().say(f"{source.connector.title} has nothing that could be tried from here.")
    tell(session, found, as_json=as_json)


@click.command("courses")
@source_argument
@json_option
@pass_session
def courses(session: Session, name: str, as_json: bool) -> None:
    """Write the lines for `courses:` in the mapping, from the platform's own list."""
    from bridge.cli.output import print_json

    with _asking(session, name) as (_, source, api):
        found = list(source.connector.courses(api))
    if as_json:
        print_json([{"id": one.id, "title": one.title, "short_name": one.short_name} for one in found])
        return
    if not found:
        raise BridgeError(f"The platform of {source.name} shows no course. Usual cause: the key may not see any.")
    click.echo("courses:")
    for line in _lines(found):
        click.echo(f"  {line}")


def _lines(found: Iterable[CourseFound]) -> Iterable[str]:
    from bridge.cli.output import plain
    from bridge.core.text import plain_or_quoted

    for one in found:
        short = f"  # {plain(one.short_name)}" if one.short_name else ""
        yield f"{plain_or_quoted(plain(one.id))}: {plain_or_quoted(plain(one.title))}{short}"


@click.command("ask")
@source_argument
@click.argument("learner", metavar="LEARNER")
@json_option
@pass_session
def ask(session: Session, name: str, learner: str, as_json: bool) -> None:
    """Ask the platform now what a learner (an id or an e-mail address) has completed, and work on it."""
    from bridge.cli.events import tell as tell_events
    from bridge.cli.replaying import EVENTS, put_back

    with _asking(session, name) as (bridge, source, api):
        found = source.connector.ask(api, learner)
        puts = bridge.bringing.bring(source, found, entry="cli")
        numbers = list(dict.fromkeys(put.inbox_id for put in puts))
        done = put_back(bridge, EVENTS, numbers, lambda tx, number: None)
        nothing = f"The platform of {source.name} knows no completion of {learner!r}."
        tell_events(session, bridge, done, as_json=as_json, nothing=nothing)


@contextmanager
def _asking(session: Session, name: str) -> Iterator[tuple[Bridge, Source, ApiClient]]:
    """Opens the bridge and gives the source and the way to its platform."""
    known = session.source(name)
    with session.bridge() as bridge:
        yield bridge, bridge.sources[known], bridge.api(known)


def tell(session: Session, found: list[Finding], *, as_json: bool) -> None:
    """Prints findings. Raises BridgeError when one of them is an error."""
    from bridge.cli.output import print_json

    if as_json:
        print_json(as_json_list(found))
    else:
        print_findings(session.page(), found)
    errors = [one for one in found if one.level == "error"]
    if errors:
        raise BridgeError("1 thing is wrong." if len(errors) == 1 else f"{len(errors)} things are wrong.")


def as_json_list(found: Iterable[Finding]) -> list[dict[str, str]]:
    """Returns findings for programs."""
    return [{"level": one.level, "message": one.message} for one in found]


def print_findings(page: Page, found: Iterable[Finding]) -> None:
    """Prints findings, one line each, with a sign that needs no colour."""
    from rich.text import Text

    from bridge.cli.output import plain

    for one in found:
        sign, style = _SIGNS[one.level]
        page.facts([("", Text.assemble((sign, style), f" {plain(one.message)}"))])
