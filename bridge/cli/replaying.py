"""Puts events or deliveries back to work, has them worked on while a bar shows how far it is, and reads the result."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.cli.follow import LOOK, PATIENCE
from bridge.cli.output import Page, plain
from bridge.core.errors import BridgeError, PermanentError
from bridge.core.models import JsonObject, State
from bridge.store import inbox, outbox, stuck
from bridge.store.stuck import Stuck, parts
from bridge.store.transaction import Transaction

if TYPE_CHECKING:
    from bridge.app import Bridge

R = TypeVar("R", inbox.InboxRow, outbox.OutboxRow)
Change = Callable[[Transaction, int], object]
"""Puts one row back to ready. Raises PermanentError with the reason it cannot be."""

AT_ONCE: Final = 10
"""Rows that are put back in one transaction; more would keep a running bridge waiting."""
LONG: Final = 20
"""Rows from which on a bar shows how far the work is."""
SHOWN: Final = 50
"""Rows that are listed afterwards; of more only what still needs a person."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """What events and deliveries do in their own way."""

    word: str
    """In the singular: "event"."""
    get: Callable[[Transaction, int], R | None]
    moving: Callable[[Transaction, Sequence[int]], int]
    finish: Callable[[Bridge, Sequence[int]], bool]
    """Works on these rows; False when a running bridge takes them on."""
    more: Callable[[Transaction, Sequence[int]], Sequence[int]]
    """Returns the rows that came of these ones."""

    def counted(self, number: int) -> str:
        """Returns "1 event", "2,000 events"."""
        plural = self.word[:-1] + "ies" if self.word.endswith("y") else f"{self.word}s"
        return f"{number:,} {self.word if number == 1 else plural}"


EVENTS: Final = Kind(
    "event",
    inbox.get,
    stuck.events_moving,
    lambda bridge, ids: bridge.finish_work(inbox_ids=ids),
    stuck.read_at_last,
)
DELIVERIES: Final = Kind(
    "delivery",
    outbox.get,
    stuck.deliveries_moving,
    lambda bridge, ids: bridge.finish_work(outbox_ids=ids),
    lambda tx, numbers: (),
)


@dataclass(frozen=True, slots=True)
class Replayed(Generic[R]):
    """What became of the rows."""

    rows: Sequence[R]
    refused: Sequence[str]
    finished: bool
    """False: a running bridge works on them still."""
    notes: Sequence[str] = ()
    """What was done besides."""

    def as_json(self) -> JsonObject:
        """Returns all but the rows, for programs."""
        return {"finished": self.finished, "refused": list(self.refused), "notes": list(self.notes)}

    def say(self, page: Page, in_all: str, nothing: str, *, look_again: str) -> None:
        """Says below the rows what else there is to say; `nothing` when there was nothing to do."""
        idle = not self.rows and not self.refused
        for sentence in (in_all, *self.notes, nothing if idle else ""):
            if sentence:
                page.say(sentence)
        if not self.finished:
            page.say(f"The running certbridge takes this on now. Look again: {look_again}", style="dim")

    def end(self) -> None:
        """Raises BridgeError with everything that was refused."""
        if self.refused:
            raise BridgeError("\n".join(self.refused))


def states(*, held: bool, failed: bool) -> tuple[State, ...]:
    """Returns what `--held` and `--failed` mean."""
    return tuple(state for state, wanted in ((State.HELD, held), (State.FAILED, failed)) if wanted)


def nothing(word: str, states: Sequence[State]) -> str:
    """Returns "No event has failed."; an empty text when rows were named by their numbers."""
    said = {State.HELD: "is held", State.FAILED: "has failed"}
    return f"No {word} {' or '.join(said[state] for state in states)}." if states else ""


def confirmed(kind: Kind[R], found: Sequence[Stuck], *, ask: bool, act: str = "Replay") -> tuple[int, ...]:
    """Says how many rows there are and where, and returns their numbers. Raises click.Abort when the answer is no."""
    if found and ask:
        counts = Counter((plain(one.where), one.state.value) for one in found)
        places = ", ".join(f"{where}: {count:,} {state}" for (where, state), count in sorted(counts.items()))
        click.confirm(f"{kind.counted(len(found))} ({places}). {act}?", abort=True)
    return tuple(one.id for one in found)


def put_back(bridge: Bridge, kind: Kind[R], numbers: Sequence[int], change: Change) -> Replayed[R]:
    """Puts rows back to work and has them worked on, or lets the running bridge do it."""
    queued: list[int] = []
    refused: list[str] = []
    left: list[int] = []
    with bar(kind, len(numbers)) as advance:
        for some in parts(numbers, AT_ONCE):
            accepted, reasons = bridge.store.transact(partial(_changed, numbers=some, change=change))
            queued += accepted
            refused += reasons
            done = not accepted or kind.finish(bridge, accepted)
            left += [] if done else accepted
            advance(len(some) if done else len(reasons))
        finished = wait(bridge, kind, left, advance)
    more: Sequence[int] = bridge.store.read(lambda tx: kind.more(tx, queued))
    if more:
        finished = (kind.finish(bridge, more) or wait(bridge, kind, more, lambda steps: None)) and finished
    return Replayed(_read(bridge, kind, [*queued, *more]), refused, finished)


def _changed(tx: Transaction, *, numbers: Sequence[int], change: Change) -> tuple[list[int], list[str]]:
    accepted, refused = [], []
    for number in numbers:
        try:
            change(tx, number)
            accepted.append(number)
        except PermanentError as error:
            refused.append(str(error))
    return accepted, refused


def wait(bridge: Bridge, kind: Kind[R], numbers: Sequence[int], advance: Callable[[int], None]) -> bool:
    """Waits for the running bridge as long as it gets on; tells whether everything is settled."""
    left, deadline = len(numbers), time.monotonic() + PATIENCE
    while now := bridge.store.read(lambda tx: kind.moving(tx, numbers)):
        if now < left:
            advance(left - now)
            left, deadline = now, time.monotonic() + PATIENCE
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    advance(left)
    return True


def _read(bridge: Bridge, kind: Kind[R], numbers: Sequence[int]) -> list[R]:
    def look(tx: Transaction) -> list[R]:
        return [row for number in numbers if (row := kind.get(tx, number)) is not None]

    return bridge.store.read(look)


@contextmanager
def bar(kind: Kind[R], total: int) -> Iterator[Callable[[int], None]]:
    """Shows on standard error how much of a long work is done, where somebody watches; gives what moves it on."""
    console = stderr_console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    watched = total >= LONG and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not watched) as progress:
        task = progress.add_task(f"Working on {kind.counted(total)}", total=total)
        yield lambda steps: progress.advance(task, steps)


def stderr_console() -> Console:
    return Console(stderr=True)


def to_list(rows: Sequence[R]) -> tuple[Sequence[R], str]:
    """Returns the rows to list and, of many, the sentence that says how they all ended."""
    if len(rows) <= SHOWN:
        return rows, ""
    ended = Counter(row.state.value for row in rows)
    said = ", ".join(f"{count:,} {state}" for state, count in sorted(ended.items()))
    return [row for row in rows if row.state in stuck.STATES][:SHOWN], f"{len(rows):,} replayed: {said}."
