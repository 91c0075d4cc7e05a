"""One thread that writes to SQLite: up to 64 callers share a transaction, and so one fsync."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from bridge.core.errors import MisplacedError, UnavailableError
from bridge.store.transaction import Transaction, inside_fn, run_hooks

T = TypeVar("T")
QUEUE_LIMIT: Final = 1000
GROUP_LIMIT: Final = 64
IDLE_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 2.0
"""A group that is being written gets this much longer, so that its waiters rarely have to be told "not known"."""

_log = logging.getLogger(__name__)


class _Job:
    """One caller's function, and what became of it."""

    __slots__ = ("_claim", "done", "error", "fn", "hooks", "outside", "result")

    def __init__(self, fn: Callable[[Any], Any], *, outside: bool = False) -> None:
        self.fn = fn
        self.outside = outside
        self.result: Any = None
        self.error: BaseException | None = None
        self.hooks: Sequence[Callable[[], None]] = ()
        self.done = threading.Event()
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Whoever claims a job first decides: the writer that it runs, a waiter that gave up that it never will."""
        return self._claim.acquire(blocking=False)


class GroupWriter:
    """Owns the only connection that writes; everything it is given comes from the SQLite store.

    `check` raises MisplacedError where the file that is open is not the one at its path. It is asked before anything
    is opened, before each commit (then nothing was stored), and after it, before anybody is told that it is on disk.
    `tidy` is called after a group, once everybody has an answer.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        explain: Callable[[BaseException], UnavailableError | None],
        idle: Callable[[Connection], None],
        *,
        check: Callable[..., None],
        tidy: Callable[[Connection], None],
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        self._connect = connect
        self._explain = explain
        self._idle = idle
        self._check = check
        self._tidy = tidy
        self._queue_limit = queue_limit
        self._queue: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._written_since_idle = False
        self.busy_since: float | None = None
        """Monotonic time at which the group being written was begun."""

    # -- for callers ---------------------------------------------------------------------------

    def submit(self, fn: Callable[[Transaction], T], *, wait: float) -> T:
        """Queues `fn` for the next group and waits until it is on disk."""
        return self._wait(self._enqueue(_Job(fn)), wait)  # type: ignore[no-any-return]

    def outside(self, fn: Callable[[Connection], None], *, wait: float) -> None:
        """Queues `fn` to run on the writer's connection between two transactions."""
        self._wait(self._enqueue(_Job(fn, outside=True)), wait)

    @property
    def alive(self) -> bool:
        """False when the thread was started and is gone."""
        return self._thread is None or self._thread.is_alive()

    def close(self) -> None:
        """Writes what is queued, then ends the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _enqueue(self, job: _Job) -> _Job:
        with self._wake:
            if self._closing or not self.alive:
                raise UnavailableError("certbridge is shutting down; nothing was stored.", code="store_unavailable")
            if len(self._queue) >= self._queue_limit:
                raise UnavailableError(
                    f"{self._queue_limit} requests are already waiting to be stored; nothing was stored, "
                    "please send this one again.",
                    code="queue_full",
                )
            self._queue.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                self._thread.start()
            self._wake.notify()
        return job

    def _wait(self, job: _Job, wait: float) -> Any:
        try:
            finished = job.done.wait(wait)
        except BaseException:
            job.claim()  # interrupted: must not run after the caller is gone
            raise
        if not finished and job.claim():
            raise UnavailableError(
                f"The database was busy for {wait:g} seconds; nothing was stored.", code="store_unavailable"
            )
        if not job.done.wait(GRACE_SECONDS):
            raise UnavailableError(
                f"The database did not finish within {wait:g} seconds; it is not known whether this was stored.",
                code="store_unavailable",
            )
        try:
            if job.error is not None:
                raise job.error
            return job.result
        finally:
            del job  # the error's traceback would otherwise keep this frame, and this frame the error

    # -- the writer's thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while group := self._next_group():
                self.busy_since = time.monotonic()
                self._write(group)
                self.busy_since = None
                del group
        finally:
            self._disconnect()
            for job in self._queue:
                self._finish(job, UnavailableError("The database's writer stopped.", code="store_unavailable"))

    def _next_group(self) -> list[_Job]:
        """Waits for work; returns an empty list when closed and drained."""
        with self._wake:
            while not self._queue:
                if self._closing:
                    return []
                if not self._wake.wait(IDLE_SECONDS) and self._written_since_idle:
                    break
            else:
                return self._take()
        self._written_since_idle = False
        return [_Job(self._idle, outside=True)]

    def _take(self) -> list[_Job]:
        group = [self._queue.popleft()]
        while not group[0].outside and self._queue and not self._queue[0].outside and len(group) < GROUP_LIMIT:
            group.append(self._queue.popleft())
        return group

    def _write(self, group: list[_Job]) -> None:
        try:
            self._check()
            connection = self._connected()
            if group[0].outside:
                if group[0].claim():
                    group[0].fn(connection)
                self._finish(group[0])
                return
            started = self._run_group(connection, group)
        except Exception as error:  # noqa: BLE001 (handed to every waiter; the thread must live on)
            self._fail(group, error)
            return
        self._written_since_idle = True
        for job in started:
            run_hooks(job.hooks)
            self._finish(job, job.error)
        self._tidy_up(connection)

    def _tidy_up(self, connection: Connection) -> None:
        try:
            self._tidy(connection)
        except Exception as error:  # noqa: BLE001 (what was answered is on disk; the thread must live on)
            _log.log(_level(error), "the write-ahead log was not moved into the database: %s", error)
            self._disconnect()

    def _run_group(self, connection: Connection, group: list[_Job]) -> list[_Job]:
        """Runs each job in its own savepoint, commits, and returns the jobs that were run."""
        started = []
        with connection.begin():  # BEGIN IMMEDIATE; a job is claimed only once the database lets us write
            for job in group:
                if job.claim():
                    started.append(job)
                    self._run_one(connection, job)
            self._check()
        self._check(stored=None)
        return started

    def _run_one(self, connection: Connection, job: _Job) -> None:
        connection.exec_driver_sql("SAVEPOINT one")
        transaction = Transaction(connection, "sqlite")
        try:
            with inside_fn():
                job.result = job.fn(transaction)
            job.hooks = transaction.hooks
        except BaseException as error:  # noqa: BLE001 (re-raised in the caller's thread)
            job.error = self._explain(error) or error
            if job.error is not error:
                job.error.__cause__ = error
            # A full disk makes SQLite roll back the whole group by itself: this statement then fails, and with
            # it the group.
            connection.exec_driver_sql("ROLLBACK TO one")
        connection.exec_driver_sql("RELEASE one")

    def _fail(self, group: list[_Job], error: Exception) -> None:
        """Tells every waiter of the group; the connection is replaced, which rolls back whatever it held."""
        _log.log(_level(error), "a group of %d transactions was not stored: %s", len(group), error)
        self._disconnect()
        if isinstance(error, MisplacedError):
            for job in group:
                self._finish(job, MisplacedError(str(error), public=error.public))
            return
        causes = (self._explain(error), *(job.error for job in group if isinstance(job.error, UnavailableError)))
        cause = next((cause for cause in causes if cause is not None), None)
        for job in group:
            failure = UnavailableError(
                str(cause) if cause else f"The database refused to store this ({type(error).__name__}: {error}).",
                code="store_unavailable",
            )
            failure.__cause__ = error
            self._finish(job, failure)

    def _finish(self, job: _Job, error: BaseException | None = None) -> None:
        job.claim()
        job.error = error
        job.done.set()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _level(error: Exception) -> int:
    """Says how loudly to tell of it: that the database is not where it was is told once, and not by each group."""
    return logging.DEBUG if isinstance(error, MisplacedError) else logging.ERROR
