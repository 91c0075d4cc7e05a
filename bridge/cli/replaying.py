"""Puts events or deliveries back to work, has them worked on while a bar shows how far it is, and reads the result."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.cli.follow import LOOK, PATIENCE
from bridge.cli.output import plain
from bridge.core.errors import PermanentError
from bridge.core.models import State
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

    def counted(self, number: int) -> str:
        """Returns "1 event", "2,000 events"."""
        plural = self.word[:-1] + "ies" if self.word.endswith("y") else f"{self.word}s"
        return f"{number:,} {self.word if number == 1 else plural}"


EVENTS: Final = Kind("event", inbox.get, stuck.events_moving, lambda bridge, ids: bridge.finish_work(inbox_ids=ids))
DELIVERIES: Final = Kind(
    "delivery", outbox.get, stuck.deliveries_moving, lambda bridge, ids: bridge.finish_work(outbox_ids=ids)
)


@dataclass(frozen=True, slots=True)
class Replayed(Generic[R]):
    """What became of the rows."""

    rows: Sequence[R]
    refused: Sequence[str]
    finished: bool
    """False: a running bridge works on them still."""


def states(*, held: bool, failed: bool) -> tuple[State, ...]:
    """Returns what `--held` and `--failed` mean."""
    return tuple(state for state, wanted in ((State.HELD, held), (State.FAILED, failed)) if wanted)


def confirmed(kind: Kind[R], found: Sequence[Stuck], *, ask: bool) -> tuple[int, ...]:
    """Says how many rows there are and where, and returns their numbers. Raises click.Abort when the answer is no."""
    if found and ask:
        counts = Counter((plain(one.where), one.state.value) for one in found)
        places = ", ".join(f"{where}: {count:,} {state}" for (where, state), count in sorted(counts.items()))
        click.confirm(f"{kind.counted(len(found))} ({places}). Replay?", abort=True)
    return tuple(one.id for one in found)


def put_back(bridge: Bridge, kind: Kind[R], numbers: Sequence[int], change: Change) -> Replayed[R]:
    """Puts rows back to work and has them worked on, or lets the running bridge do it."""
    queued: list[int] = []
    refused: list[str] = []
    finished = True
    with bar(kind, len(numbers)) as advance:
        for some in parts(numbers, AT_ONCE):
            accepted, reasons = bridge.store.transact(lambda tx, some=some: _changed(tx, some, change))  # type: ignore[misc]
            queued += accepted
            refused += reasons
            finished = (not accepted or kind.finish(bridge, accepted)) and finished
            advance(len(some) if finished else len(reasons))
        finished = finished or wait(bridge, kind, queued, advance)
    return Replayed(_read(bridge, kind, queued), refused, finished)


def _changed(tx: Transaction, numbers: Sequence[int], change: Change) -> tuple[list[int], list[str]]:
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
    found: list[R] = []
    for some in parts(numbers, 500):
        rows = bridge.store.read(lambda tx, some=some: [kind.get(tx, number) for number in some])  # type: ignore[misc]
        found += [row for row in rows if row is not None]
    return found


@contextmanager
def bar(kind: Kind[R], total: int) -> Iterator[Callable[[int], None]]:
    """Shows on standard error how much of a long work is done, where somebody watches; gives what moves it on."""
    console = _stderr()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    watched = total >= LONG and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not watched) as progress:
        task = progress.add_task(f"Replaying {kind.counted(total)}", total=total)
        yield lambda steps: progress.advance(task, steps)


def _stderr() -> Console:
    return Console(stderr=True)


def to_list(rows: Sequence[R]) -> tuple[Sequence[R], str]:
    """Returns the rows to list and, of many, the sentence that says how they all ended."""
    if len(rows) <= SHOWN:
        return rows, ""
    ended = Counter(row.state.value for row in rows)
    said = ", ".join(f"{count:,} {state}" for state, count in sorted(ended.items()))
    return [row for row in rows if row.state in stuck.STATES][:SHOWN], f"{len(rows):,} replayed: {said}."
