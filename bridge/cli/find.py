"""`certbridge find`: everything about one learner, certificate or course; it answers "why did Maria get none?"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option
from bridge.core import certificate_id
from bridge.core.text import one_line

if TYPE_CHECKING:
    from bridge.cli.output import Page
    from bridge.cli.shown.found import Found

_LIKE_AN_ID: Final = re.compile(r"[0-9A-Z]{4}[- ]?[0-9A-Z]{4}[- ]?[0-9A-Z]{4}[- ]?[0-9A-Z]{4,6}")
_ADVISED: Final = 3
"""Events that get advice below the timeline; more would bury it."""


@click.command("find")
@click.argument("words", nargs=-1, required=True, metavar="TEXT")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many events at most.")
@json_option
@pass_session
def find(session: Session, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Show what happened to a learner: TEXT is (part of) a name, an address, an id or a course."""
    from bridge.cli.shown.event import names_by
    from bridge.cli.shown.found import Found

    text = " ".join(words).strip()
    if not one_line(text):
        raise click.UsageError("Say what to look for: (part of) a name, an address, a certificate id or a course.")
    with session.bridge() as bridge:
        named = names_by(bridge)
        found = bridge.store.read(lambda tx: Found.read(tx, text, url=bridge.publisher.url, named=named, limit=limit))
    if as_json:
        found.print_json()
        return
    page = session.page()
    if found.empty:
        _nothing(page, found, sorted(session.config.sources))
        return
    found.print(page)
    _in_short(page, found)
    page.clock()


def _in_short(page: Page, found: Found) -> None:
    from bridge.cli.shown import event as shown_event

    unserved = found.unserved()
    if not unserved:
        return
    page.heading("No certificate (yet)")
    for event in unserved[:_ADVISED]:
        row = event.row
        page.say(f"{event.who}: event {row.id} is {row.state.value}. {event.why or ''}")
        advice = shown_event.advice(row)
        if advice:
            page.say(advice, indent=2, style="cyan")
    if len(unserved) > _ADVISED:
        page.say(f"And {len(unserved) - _ADVISED} more above.", style="dim")


def _nothing(page: Page, found: Found, sources: list[str]) -> None:
    page.say(f"Nothing is known about {one_line(found.text)!r}.")
    if _LIKE_AN_ID.fullmatch(found.text.upper()) and certificate_id.read(found.text) is None:
        page.say("If this is a certificate id, it is mistyped: its check symbol does not fit. Compare it once more.")
    else:
        page.say("Try a part of the name, the address, or the learner's or course's id at the source.")
    for row in found.sources:
        if row.name in sources:
            page.say(f"{row.name}: last heard of {page.when(row.last_request_at)}", indent=2, style="dim")
    if found.refused:
        page.heading("Refused at the door (the contents of refused requests are not kept)")
        found.print_refused(page)
        page.clock()
