"""`certbridge poll`: asks sources now, without waiting for their time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option
from bridge.core.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.app import Bridge
    from bridge.flow.poll import Polled


@click.command("poll")
@click.argument("names", nargs=-1, metavar="[SOURCE]...")
@json_option
@pass_session
def poll(session: Session, names: tuple[str, ...], as_json: bool) -> None:
    """Ask these sources (else all that can be asked) now, and work on what is new."""
    from bridge.cli.events import tell
    from bridge.cli.replaying import EVENTS, put_back

    chosen = [session.source(name) for name in names]
    with session.bridge() as bridge:
        able = [name for name, source in bridge.sources.items() if source.connector.polls()]
        unable = [name for name in chosen if name not in able]
        if unable:
            raise BridgeError(_unable(bridge, unable[0]))
        if not able:
            raise BridgeError(
                "No source can be polled as it is configured: none has anything to ask its platform with."
            )
        found, failed = _poll(bridge, chosen or able)
        if not as_json:
            for name, polled in found.items():
                session.page().say(_sentence(name, polled))
        numbers = [number for polled in found.values() if polled for number in polled.new]
        done = put_back(bridge, EVENTS, numbers, lambda tx, number: None)
        tell(session, bridge, done, as_json=as_json)
        if failed:
            raise BridgeError("\n".join(failed))


def _unable(bridge: Bridge, name: str) -> str:
    title = bridge.sources[name].connector.title
    return f"{name} cannot be polled as it is configured: it takes what {title} sends, and has nothing to ask it with."


def _poll(bridge: Bridge, names: Iterable[str]) -> tuple[dict[str, Polled | None], list[str]]:
    """Polls one after the other; trouble with one does not keep the others from it."""
    found: dict[str, Polled | None] = {}
    failed = []
    for name in names:
        try:
            found[name] = bridge.polling.poll(bridge.sources[name])
        except BridgeError as error:
            failed.append(f"{name}: {error}")
    return found, failed


def _sentence(name: str, polled: Polled | None) -> str:
    if polled is None:
        return f"{name}: the running certbridge is polling it right now."
    lost = f" ({len(polled.lost)} of them no webhook told of)" if polled.lost else ""
    older = f", {polled.older} from before the start line" if polled.older else ""
    unwanted = f", {polled.unwanted} of no interest" if polled.unwanted else ""
    more = " Not everything was looked at yet; the next poll goes on there." if polled.more else ""
    return f"{name}: {len(polled.new)} new{lost}, {polled.known} known{older}{unwanted}.{more}"
