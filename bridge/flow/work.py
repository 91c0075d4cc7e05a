"""The loop that drives the flow: claims what is due, hands each row to the clerk, and keeps its lease alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import structlog

from bridge.core.errors import UnavailableError
from bridge.flow.clerk import Clerk
from bridge.flow.plan import MAIL, TEST_MAIL, WRITE_BACK
from bridge.store import inbox, outbox
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


@dataclass
class Workers:
    """Runs the clerk in threads: one dispatcher, one heartbeat, and a few threads for each lane."""

    store: Store
    clerk: Clerk
    node: str
    width: int = LANE_WIDTH
    beat: Callable[[], None] = lambda: None
    """Called about once a second from the dispatcher: reloads mappings and templates."""
    _woken: threading.Event = field(default_factory=threading.Event)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: dict[tuple[str, int], str] = field(default_factory=dict)
    """("inbox" or "outbox", row id) to lease token: what the heartbeat renews."""
    _lanes: dict[Lane, int] = field(default_factory=dict)
    _pools: dict[Lane, ThreadPoolExecutor] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)

    def wake(self) -> None:
        """Makes the dispatcher look at the database now."""
        self._woken.set()

    def start(self) -> None:
        """Starts the threads."""
        for name, loop in (("dispatch", self._dispatch_loop), ("heartbeat", self._heartbeat_loop)):
            thread = threading.Thread(target=loop, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def alive(self) -> bool:
        """Tells whether the dispatcher and the heartbeat run."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def stop(self, *, timeout: float = 30.0) -> None:
        """Claims nothing more and waits for what is in work; what is not done by then is taken over after its lease."""
        self._stopping.set()
        self._woken.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads[:1]:
            # The dispatcher first: what it has claimed must still find its pool.
            thread.join(timeout=timeout)
        while self._running and time.monotonic() < deadline:
            time.sleep(0.02)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for thread in self._threads:
            thread.join(timeout=5)

    def run_until_idle(self, *, deadline: float = 60.0) -> None:
        """Works in the calling thread until nothing is due now; for commands while no daemon runs."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            claimed = [(lane, row) for lane in self._due_lanes() for row in self._claim(lane, 1)]
            if not claimed:
                return
            for lane, row in claimed:
                self._work(lane, row)

    # -- the dispatcher --------------------------------------------------------------------------

    def _dispatch_loop(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            found = False
            try:
                self.beat()
                found = self._dispatch()
            except UnavailableError as error:
                log.warning("the store is not available", reason=str(error))
            except Exception:
                # Whatever went wrong, the next look starts afresh; a silent end of this thread would stop everything.
                log.exception("unexpected error in the dispatcher")
            if not found:
                self._woken.wait(PAUSE)

    def _dispatch(self) -> bool:
        found = False
        for lane in self._due_lanes():
            free = self.width - self._lanes.get(lane, 0)
            if free <= 0 or self._stopping.is_set():
                continue
            for row in self._claim(lane, free):
                found = True
                self._submit(lane, row)
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

    def _claim(self, lane: Lane, limit: int) -> list[inbox.InboxRow | outbox.OutboxRow]:
        table, name = lane

        def claim(tx: Transaction) -> list[inbox.InboxRow | outbox.OutboxRow]:
            if table == "inbox":
                return [*inbox.claim(tx, (name,), node=self.node, limit=limit, lease=LEASE)]
            return [*outbox.claim(tx, kinds=KINDS, destinations=(name,), node=self.node, limit=limit, lease=LEASE)]

        rows = self.store.transact(claim)
        with self._lock:
            for row in rows:
                self._running[table, row.id] = row.lease_token or ""
                self._lanes[lane] = self._lanes.get(lane, 0) + 1
        return rows

    def _submit(self, lane: Lane, row: inbox.InboxRow | outbox.OutboxRow) -> None:
        if lane not in self._pools:
            self._pools[lane] = ThreadPoolExecutor(self.width, thread_name_prefix="-".join(lane))
        self._pools[lane].submit(self._work, lane, row)

    def _work(self, lane: Lane, row: inbox.InboxRow | outbox.OutboxRow) -> None:
        try:
            if isinstance(row, inbox.InboxRow):
                self.clerk.inbox_row(row)
            else:
                self.clerk.outbox_row(row)
        except UnavailableError as error:
            # The result could not be stored: the lease runs out and the row is worked on again, idempotently.
            log.warning("result not stored", lane=lane, row=row.id, reason=str(error))
        except Exception:
            # Nobody looks at what a pool's thread raised; the lease runs out and the row is worked on again.
            log.exception("unexpected error", lane=lane, row=row.id)
        finally:
            with self._lock:
                self._running.pop((lane[0], row.id), None)
                self._lanes[lane] -= 1
            self.wake()

    # -- the heartbeat ---------------------------------------------------------------------------

    def _heartbeat_loop(self) -> None:
        while not self._stopping.wait(HEARTBEAT) or self._running:
            if self._stopping.is_set():
                time.sleep(0.2)
            with self._lock:
                running = dict(self._running)
            if not running:
                continue
            try:
                self.store.transact(lambda tx, rows=running: _renew(tx, rows))  # type: ignore[misc]
            except UnavailableError as error:
                log.warning("leases not renewed", reason=str(error))


def _renew(tx: Transaction, running: dict[tuple[str, int], str]) -> None:
    for (table, row_id), token in running.items():
        (inbox if table == "inbox" else outbox).renew(tx, row_id, token, lease=LEASE)
