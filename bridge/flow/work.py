"""The loop that drives the flow: claims what is due, carries each row through its stages, stores how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import structlog

from bridge.core.connector import ApiClient
from bridge.core.errors import (
    BridgeError,
    HeldError,
    PayloadError,
    TemporaryError,
    UnavailableError,
    UnconfirmedError,
)
from bridge.core.mapping import Defaults
from bridge.core.models import Completion, Held, Ignored, JsonObject, State
from bridge.core.retry import schedule_for
from bridge.core.source import Source
from bridge.flow.enrich import enrich
from bridge.flow.issue import Issuing, Result, TwinError
from bridge.flow.lease import LostLeaseError
from bridge.flow.mappings import Mappings
from bridge.flow.normalise import normalise, not_wanted
from bridge.flow.plan import MAIL, TEST_MAIL, WRITE_BACK
from bridge.flow.receive import UNREADABLE
from bridge.flow.send import Sending, Sent
from bridge.observe import Redactor
from bridge.store import attempts, inbox, outbox, sources
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

LEASE = 45.0
HEARTBEAT = 15.0
PAUSE = 1.0
"""Seconds between looks at the database when nobody wakes the loop."""
TWIN_WAIT = 0.5
TWIN_LONGEST_WAIT = 300.0
"""Seconds between looks whether another event about the same completion is through: doubled each time, up to this."""
LANE_WIDTH = 4
"""Rows of one source or destination in work at the same time on this node; a dead one blocks only its own lane."""

KINDS = (MAIL, WRITE_BACK)

Lane = tuple[Literal["inbox", "outbox"], str]


@dataclass
class Exchange:
    """What one attempt said to the outside and heard back, redacted; kept with the attempt."""

    request: JsonObject | None = None
    response: JsonObject | None = None

    def note(self, request: JsonObject, response: JsonObject | None, _seconds: float) -> None:
        """Remembers the latest call; the earlier ones of the attempt succeeded."""
        self.request, self.response = request, response


Apis = Callable[[str, Exchange], ApiClient]
"""Gives the API client of a source whose calls are noted in the exchange."""


@dataclass(frozen=True, slots=True)
class Clerk:
    """Carries one row through its stages; holds everything the stages need, and no state."""

    store: Store
    sources: Mapping[str, Source]
    mappings: Mappings
    defaults: Defaults
    issuing: Issuing
    sending: Sending
    apis: Apis
    redactor: Redactor
    node: str

    def inbox_row(self, row: inbox.InboxRow) -> None:
        """Works one event to its end, or to its next attempt."""
        exchange = Exchange()
        try:
            result = self._inbox_stages(row, exchange)
        except LostLeaseError:
            log.warning("lease lost", inbox=row.id)
            return
        except TwinError as error:
            waiting = Result(State.RETRYING, error.stable_code, str(error))
            self._settle_inbox(row, waiting, due_in=_twin_wait(row.attempts))
            return
        except UnavailableError:
            raise
        except BridgeError as error:
            self._inbox_failed(row, error, exchange)
            return
        except Exception as error:
            log.exception("unexpected error", inbox=row.id)
            self._inbox_failed(row, _unexpected(error), exchange)
            return
        if result is not None:
            self._settle_inbox(row, result)

    def _inbox_stages(self, row: inbox.InboxRow, exchange: Exchange) -> Result | None:
        if row.event_type == UNREADABLE:
            raise PayloadError(
                "This request could not be read when it arrived, and working on it again does not change that. "
                "Have the source send it again."
            )
        source = self.sources[row.source]
        mapping = self.mappings.current(row.source)
        unwanted = not_wanted(row.event, mapping, defaults=self.defaults)
        if unwanted is not None:
            return Result(State.IGNORED, unwanted.code, unwanted.reason)
        event = enrich(self.store, source, row, self.apis(row.source, exchange))
        since = self.store.read(lambda tx: _start_line(tx, row.source)) if row.completion_id is None else None
        decision = normalise(event, mapping, defaults=self.defaults, overrides=row.overrides, since=since)
        outcome = decision.outcome
        if isinstance(outcome, Ignored):
            return Result(State.IGNORED, outcome.code, outcome.reason)
        if isinstance(outcome, Held):
            return Result(State.HELD, outcome.code, outcome.reason)
        if isinstance(outcome, Completion):
            return self.issuing.issue(row, source, event, outcome, mapping.sha256)
        reason = f"The source reports a {outcome.kind}; certbridge does not act on that alone: use the command line."
        return Result(State.HELD, outcome.kind, reason)

    def _inbox_failed(self, row: inbox.InboxRow, error: BridgeError, exchange: Exchange) -> None:
        state, due_in = _verdict(error, row.attempts)
        reason = self.redactor.text(str(error))
        result = Result(state, error.stable_code, reason)

        def write(tx: Transaction) -> bool:
            _attempt(tx, self.node, error, reason, exchange, n=row.attempts, inbox_id=row.id)
            return _settle(tx, row, result, due_in)

        if not self.store.transact(write):
            log.warning("lease lost", inbox=row.id)
            return
        log.warning("event not processed", inbox=row.id, source=row.source, state=state, reason=reason)

    def _settle_inbox(self, row: inbox.InboxRow, result: Result, *, due_in: float | None = None) -> None:
        if not self.store.transact(lambda tx: _settle(tx, row, result, due_in)):
            log.warning("lease lost", inbox=row.id)
            return
        log.info("event settled", inbox=row.id, source=row.source, state=result.state, code=result.code)

    def outbox_row(self, row: outbox.OutboxRow) -> None:
        """Sends one delivery, or plans its next attempt."""
        exchange = Exchange()
        try:
            sent = self.sending.send(row, lambda source: self.apis(source, exchange))
        except LostLeaseError:
            log.warning("lease lost", outbox=row.id)
        except UnavailableError:
            raise
        except BridgeError as error:
            self._outbox_failed(row, error, exchange)
        except Exception as error:
            log.exception("unexpected error", outbox=row.id)
            self._outbox_failed(row, _unexpected(error), exchange)
        else:
            self._outbox_sent(row, sent, exchange)

    def _outbox_sent(self, row: outbox.OutboxRow, sent: Sent, exchange: Exchange) -> None:
        def write(tx: Transaction) -> bool:
            said = str(sent.receipt.get("summary", ""))
            _attempt(tx, self.node, None, said, exchange, n=row.attempts, outbox_id=row.id)
            result = {"state": sent.state, "code": sent.code, "reason": sent.reason, "receipt": sent.receipt}
            return outbox.settle(tx, row.id, row.lease_token or "", **result)

        if not self.store.transact(write):
            log.warning("lease lost", outbox=row.id)
            return
        log.info("sent", outbox=row.id, kind=row.kind, destination=row.destination, step=row.step, state=sent.state)

    def _outbox_failed(self, row: outbox.OutboxRow, error: BridgeError, exchange: Exchange) -> None:
        state, due_in = _verdict(error, row.attempts)
        reason = self.redactor.text(str(error))

        def write(tx: Transaction) -> bool:
            _attempt(tx, self.node, error, reason, exchange, n=row.attempts, outbox_id=row.id)
            return outbox.settle(
                tx, row.id, row.lease_token or "", state=state, code=error.stable_code, reason=reason, due_in=due_in
            )

        if not self.store.transact(write):
            log.warning("lease lost", outbox=row.id)
            return
        log.warning("not sent", outbox=row.id, kind=row.kind, destination=row.destination, state=state, reason=reason)


def _start_line(tx: Transaction, name: str) -> datetime:
    known = sources.get(tx, name)
    if known is None:
        raise LookupError(f"source {name} was never started")
    return known.since


def _settle(tx: Transaction, row: inbox.InboxRow, result: Result, due_in: float | None) -> bool:
    return inbox.settle(
        tx, row.id, row.lease_token or "", state=result.state, code=result.code, reason=result.reason, due_in=due_in
    )


def _attempt(
    tx: Transaction,
    node: str,
    error: BridgeError | None,
    reason: str,
    exchange: Exchange,
    *,
    n: int,
    inbox_id: int | None = None,
    outbox_id: int | None = None,
) -> None:
    attempts.record(
        tx,
        inbox_id=inbox_id,
        outbox_id=outbox_id,
        n=n,
        node=node,
        started_at=tx.now,
        outcome="error" if error else "ok",
        code=error.stable_code if error else None,
        reason=reason,
        request=exchange.request,
        response=exchange.response,
    )


def _verdict(error: BridgeError, attempt: int) -> tuple[State, float | None]:
    """Returns the next state, and the seconds until the next attempt when there is one."""
    if isinstance(error, HeldError):
        return State.HELD, None
    if not isinstance(error, TemporaryError):
        return State.FAILED, None
    wait = schedule_for(error).wait(attempt, error)
    if wait is not None:
        return State.RETRYING, wait
    return (State.HELD if isinstance(error, UnconfirmedError) else State.FAILED), None


def _twin_wait(attempt: int) -> float:
    # It never gives up: the other event ends some day, and then this one has its answer.
    return min(TWIN_LONGEST_WAIT, TWIN_WAIT * 2.0 ** min(attempt - 1, 16))


def _unexpected(error: Exception) -> TemporaryError:
    return TemporaryError(f"Unexpected {type(error).__name__}: {error}. Please report this.", code="unexpected")


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
