"""The loop that drives the flow: claims what is due, hands each row to the clerk, and keeps its lease alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from bridge.core.errors import UnavailableError
from bridge.flow.clerk import Clerk
from bridge.flow.plan import MAIL, TEST_MAIL, WRITE_BACK
from bridge.observe import put_off
from bridge.store import consequences, inbox, outbox
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

LEASE = 45.0
HEARTBEAT = 15.0
PAUSE = 1.0
"""Seconds between looks at the database when nobody wakes the loop."""
LANE_WIDTH = 4
"""Rows of one source or destination in work at the same time on this node; a dead one blocks only its own lane."""

KINDS = (MAIL, WRITE_BACK)

Lane = tuple[Literal["inbox", "outbox"], str]
Row = inbox.InboxRow | outbox.OutboxRow


@dataclass
class Workers:
    """Runs the clerk in threads: one dispatcher, one heartbeat, and up to `width` for each lane."""

    store: Store
    clerk: Clerk
    node: str
    width: int = LANE_WIDTH
    pulse: Callable[[], None] = lambda: None
    """Called by the heartbeat, whether anything is in work or not: tells that this daemon lives."""
    woken: threading.Event = field(default_factory=threading.Event)
    """Set by whoever queued something: makes the dispatcher look at the database now."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: dict[tuple[str, int], str] = field(default_factory=dict)
    """("inbox" or "outbox", row id) to lease token: what the heartbeat renews."""
    _lanes: dict[Lane, int] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)

    def wake(self) -> None:
        """Makes the dispatcher look at the database now."""
        self.woken.set()

    def start(self) -> None:
        """Starts the threads."""
        self._threads = [
            threading.Thread(target=self._dispatch_loop, name="dispatch", daemon=True),
            threading.Thread(target=self._heartbeat_loop, args=(self._over, self.pulse), name="heartbeat", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Tells whether the dispatcher and the heartbeat run."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def stop(self, *, timeout: float = 30.0) -> list[str]:
        """Claims nothing more and waits for what is in work.

        Returns what is not done after `timeout` seconds, such as `inbox 12`: somebody takes it over after its lease.
        """
        deadline = time.monotonic() + timeout
        self._stopping.set()
        self.woken.set()
        for thread in self._threads[:1]:
            # The dispatcher first: it may be about to begin what it has claimed.
            thread.join(timeout)
        while self._running and time.monotonic() < deadline:
            time.sleep(0.02)
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=1)
        with self._lock:
            return [f"{table} {row_id}" for table, row_id in sorted(self._running)]

    def run_until_idle(
        self,
        *,
        inbox_ids: Collection[int] | None = None,
        outbox_ids: Collection[int] | None = None,
        deadline: float = 60.0,
        hand_over: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Works in the calling thread until nothing is due now; for commands while no daemon runs.

        With ids: until nothing of these events, of the deliveries that follow from them, and of these deliveries is.
        `hand_over` is asked between two rows whether somebody else takes on the rest; returns False when it did.
        """
        end, over = time.monotonic() + deadline, threading.Event()
        heartbeat = threading.Thread(target=self._heartbeat_loop, args=(over,), name="heartbeat", daemon=True)
        heartbeat.start()
        try:
            while not (given := hand_over()) and time.monotonic() < end:
                if (row := self._claim_one(inbox_ids, outbox_ids)) is None:
                    break
                self._work(_lane(row), row)
            return not given
        finally:
            over.set()
            heartbeat.join()

    # -- the dispatcher --------------------------------------------------------------------------

    def _dispatch_loop(self) -> None:
        while not self._stopping.is_set():
            self.woken.clear()
            found = False
            try:
                found = self._dispatch()
            except UnavailableError as error:
                put_off(log, "the store is not available", error)
            except Exception:
                # Whatever went wrong, the next look starts afresh; a silent end of this thread would stop everything.
                log.exception("unexpected error in the dispatcher")
            if not found:
                self.woken.wait(PAUSE)

    def _dispatch(self) -> bool:
        found = False
        for lane in self._due_lanes():
            free = self.width - self._lanes.get(lane, 0)
            if free <= 0 or self._stopping.is_set():
                continue
            for row in self._claim(lane, free):
                found = True
                self._begin(lane, row)
        return found

    def _due_lanes(self) -> list[Lane]:
        names = tuple(self.clerk.sources)

        def look(tx: Transaction) -> list[Lane]:
            events: list[Lane] = [("inbox", name) for name in inbox.due_sources(tx, names)]
            deliveries: list[Lane] = [("outbox", name) for name in outbox.due_destinations(tx, self._destinations())]
            return deliveries + events

        return self.store.read(look)

    def _destinations(self) -> Collection[str]:
        # Mail is always among them: what was planned while it was set up must not wait without a word.
        return (MAIL, TEST_MAIL, *self.clerk.sources)

    def _claim(self, lane: Lane, limit: int) -> list[Row]:
        table, name = lane

        def claim(tx: Transaction) -> list[Row]:
            if table == "inbox":
                return [*inbox.claim(tx, (name,), node=self.node, limit=limit, lease=LEASE)]
            return [*outbox.claim(tx, kinds=KINDS, destinations=(name,), node=self.node, limit=limit, lease=LEASE)]

        rows = self.store.transact(claim)
        for row in rows:
            self._note(lane, row)
        return rows

    def _claim_one(self, inbox_ids: Collection[int] | None, outbox_ids: Collection[int] | None) -> Row | None:
        def claim(tx: Transaction) -> list[Row]:
            events, deliveries = _chosen(tx, inbox_ids, outbox_ids)
            once: Any = {"node": self.node, "limit": 1, "lease": LEASE}
            sent = outbox.claim(tx, kinds=KINDS, destinations=self._destinations(), ids=deliveries, **once)
            return [*(sent or inbox.claim(tx, tuple(self.clerk.sources), ids=events, **once))]

        for row in self.store.transact(claim):
            self._note(_lane(row), row)
            return row
        return None

    def _begin(self, lane: Lane, row: Row) -> None:
        # A thread for each row rather than a pool: Python waits at its end for the threads of a pool, and so for a
        # vendor that never answers.
        name = f"{'-'.join(lane)}-{row.id}"
        thread = threading.Thread(target=self._work, args=(lane, row), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            log.warning("no thread for it now; its lease runs out", lane=lane, row=row.id, reason=str(error))
            self._forget(lane, row)

    def _work(self, lane: Lane, row: Row) -> None:
        try:
            if isinstance(row, inbox.InboxRow):
                self.clerk.inbox_row(row)
            else:
                self.clerk.outbox_row(row)
        except UnavailableError as error:
            # The result could not be stored: the lease runs out and the row is worked on again, idempotently.
            put_off(log, "result not stored", error, lane=lane, row=row.id)
        except Exception:
            # Nobody looks at what a thread of work raised; the lease runs out and the row is worked on again.
            log.exception("unexpected error", lane=lane, row=row.id)
        finally:
            self._forget(lane, row)
            self.wake()

    def _note(self, lane: Lane, row: Row) -> None:
        with self._lock:
            self._running[lane[0], row.id] = row.lease_token or ""
            self._lanes[lane] = self._lanes.get(lane, 0) + 1

    def _forget(self, lane: Lane, row: Row) -> None:
        with self._lock:
            # A process that slept beyond the lease may have claimed the row again: that lease is not this one's.
            if self._running.get((lane[0], row.id)) == row.lease_token:
                del self._running[lane[0], row.id]
            self._lanes[lane] -= 1

    # -- the heartbeat ---------------------------------------------------------------------------

    def renew_leases(self) -> None:
        """Renews the lease of everything in work."""
        with self._lock:
            running = dict(self._running)
        if running:
            self.store.transact(lambda tx: _renew(tx, running))

    def _heartbeat_loop(self, over: threading.Event, *more: Callable[[], None]) -> None:
        while not over.wait(HEARTBEAT):
            for act in (self.renew_leases, *more):
                try:
                    act()
                except UnavailableError as error:
                    put_off(log, "leases not renewed", error)
                except Exception:
                    # Without a heartbeat everything would be worked on twice; the next beat starts afresh.
                    log.exception("unexpected error in the heartbeat")


def _chosen(
    tx: Transaction, inbox_ids: Collection[int] | None, outbox_ids: Collection[int] | None
) -> tuple[Collection[int] | None, Collection[int] | None]:
    """Returns the events and the deliveries to see through; None for all."""
    if inbox_ids is None and outbox_ids is None:
        return None, None
    events = consequences.events(tx, inbox_ids or ())
    return events, consequences.deliveries(tx, inbox_ids=events, outbox_ids=outbox_ids or ())


def _lane(row: Row) -> Lane:
    return ("inbox", row.source) if isinstance(row, inbox.InboxRow) else ("outbox", row.destination)


def _renew(tx: Transaction, running: dict[tuple[str, int], str]) -> None:
    for (table, row_id), token in running.items():
        (inbox if table == "inbox" else outbox).renew(tx, row_id, token, lease=LEASE)
