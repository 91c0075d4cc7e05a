"""Watches events and their deliveries until nothing moves any more, and prints each step as it happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.text import Text

from bridge.cli.output import Page, plain, state
from bridge.cli.shown import delivery, event
from bridge.core import certificate_id
from bridge.core.errors import BridgeError
from bridge.core.models import State
from bridge.store import certificates, inbox, outbox
from bridge.store.transaction import Transaction

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.cli.session import Session

LOOK: Final = 0.1
"""Seconds between looks at the database."""
PATIENCE: Final = 3.0
"""Seconds a command that queued something waits for the running bridge before it says "later"."""
SETTLED: Final = (State.DONE, State.IGNORED, State.HELD, State.FAILED, State.CANCELLED)
_STAGES: Final = {"received": "received", "enriched": "asked the source", "reserved": "certificate reserved"}

Step = tuple[str, Text]
"""What a line is about (printed again only when it changes), and the line."""


def follow_events(session: Session, numbers: Sequence[int], *, timeout: float) -> None:
    """Prints each step of these events and of what follows from them. Raises BridgeError when one went wrong."""
    page = session.page()
    if not numbers:
        page.say("The answer names no event, so there is nothing to follow. `certbridge events list` shows the latest.")
        return
    with session.bridge() as bridge:
        rows = _watch(bridge, page, numbers, timeout)
    stuck = [row for row in rows if row.state not in (State.DONE, State.IGNORED)]
    for row in stuck:
        advice = event.advice(row)
        if advice:
            page.say(advice, style="cyan")
    if stuck:
        raise BridgeError(f"{len(stuck)} of {len(rows)} events did not come to an end by themselves.")


def _watch(bridge: Bridge, page: Page, numbers: Sequence[int], timeout: float) -> list[inbox.InboxRow]:
    started = time.monotonic()
    said: dict[str, Text] = {}
    while True:
        rows, deliveries = bridge.store.read(lambda tx: _read(tx, numbers))
        for about, line in _steps(rows, deliveries):
            if said.get(about) != line:
                said[about] = line
                page.step(time.monotonic() - started, line)
        moving = [row for row in rows if row.state not in SETTLED]
        moving_too = [row for _, row in deliveries if row.state not in SETTLED]
        if not moving and not moving_too:
            return rows
        if time.monotonic() - started > timeout:
            page.say(f"Still moving after {timeout:g} seconds; is `certbridge serve` running?", style="yellow")
            return rows
        time.sleep(LOOK)


def wait_for(bridge: Bridge, settled: Callable[[Transaction], bool]) -> bool:
    """Waits a moment for the running bridge; tells whether everything is settled."""
    deadline = time.monotonic() + PATIENCE
    while not bridge.store.read(settled):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True


Deliveries = list[tuple[str, outbox.OutboxRow]]


def _read(tx: Transaction, numbers: Sequence[int]) -> tuple[list[inbox.InboxRow], Deliveries]:
    rows = [row for number in numbers if (row := inbox.get(tx, number)) is not None]
    deliveries: dict[int, tuple[str, outbox.OutboxRow]] = {}
    for row in rows:
        certificate = certificates.of_completion(tx, row.completion_id) if row.completion_id is not None else None
        for sent in reversed(outbox.search(tx, certificate_id=certificate.id)) if certificate else ():
            deliveries[sent.id] = (sent.certificate_id or "", sent)
    return rows, list(deliveries.values())


def _steps(rows: Sequence[inbox.InboxRow], deliveries: Deliveries) -> Iterator[Step]:
    for row in rows:
        yield f"event {row.id}", _event_line(row)
    for identifier in dict.fromkeys(identifier for identifier, _ in deliveries):
        yield identifier, Text.assemble("certificate ", (certificate_id.grouped(identifier), "bold"))
    for _, sent in deliveries:
        if sent.state not in (State.READY, State.RUNNING):
            yield f"delivery {sent.id}", _line(delivery.what(sent), sent.state, delivery.proof(sent))


def _event_line(row: inbox.InboxRow) -> Text:
    stage = _STAGES.get(row.stage)
    note = stage if row.state in (State.READY, State.RUNNING) and stage else row.reason or row.event_type
    return _line(f"event {row.id}", row.state, note)


def _line(what: str, word: State, note: str | None) -> Text:
    return Text.assemble(f"{what}: ", state(word.value), f"  {plain(note)}" if note else "")
