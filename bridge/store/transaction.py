"""What a function handed to the store gets and may do, and what every store offers."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

from sqlalchemy import Connection, text

from bridge.store.place import Trouble
from bridge.store.types import utc

T = TypeVar("T")
WAIT: Final = 10.0
"""Seconds a caller waits for its transaction unless it says otherwise."""

_log = logging.getLogger(__name__)
_thread = threading.local()
_clock = text("SELECT clock_timestamp()")


class Transaction:
    """One running transaction: a connection, its dialect, and the database's clock."""

    __slots__ = ("_hooks", "_now", "connection", "dialect")

    def __init__(self, connection: Connection, dialect: str) -> None:
        self.connection = connection
        self.dialect = dialect
        """`sqlite` or `postgresql`."""
        self._now: datetime | None = None
        self._hooks: list[Callable[[], None]] = []

    @property
    def now(self) -> datetime:
        """The database's clock in UTC, read once per transaction (a SQLite file shares this machine's clock)."""
        if self._now is None:
            self._now = datetime.now(UTC) if self.dialect == "sqlite" else utc(self.connection.scalar(_clock))
        return self._now

    def after_commit(self, fn: Callable[[], None]) -> None:
        """Runs `fn` once this transaction is on disk, never if it rolls back; must be quick and not use the store."""
        self._hooks.append(fn)

    @property
    def hooks(self) -> Sequence[Callable[[], None]]:
        """What `after_commit` collected, for the store that commits."""
        return self._hooks


class Store(ABC):
    """The database: one way to write, one way to read."""

    dialect: str

    @abstractmethod
    def transact(self, fn: Callable[[Transaction], T], *, wait: float = WAIT) -> T:
        """Runs `fn` in a transaction and returns its result once that is on disk.

        `fn` is short, uses the database only and can be run again. Its own exceptions propagate unchanged.
        Raises UnavailableError (`queue_full`, `store_unavailable`) after at most about `wait` seconds, and
        RuntimeError when called from inside another `fn`.
        """

    @abstractmethod
    def read(self, fn: Callable[[Transaction], T], *, wait: float = WAIT) -> T:
        """Runs `fn` on one consistent snapshot that cannot be written to. Raises UnavailableError."""

    @abstractmethod
    def upgrade(self) -> None:
        """Brings the tables up to date; safe when several processes start together. Raises ConfigError."""

    @abstractmethod
    def problems(self) -> list[str]:
        """Says why nothing can be stored right now; empty when all is well."""

    def trouble(self) -> Trouble | None:
        """Says why the database that is open must not be used; told the log already. None while all is well."""
        return None

    def expect(self, identity: str) -> None:
        """Tells which database this is, where another one may be behind the same address one day (PostgreSQL)."""
        return

    def warnings(self) -> list[str]:
        """Says what works today and may hurt one day."""
        return []

    def checkpoint(self) -> None:
        """Moves SQLite's write-ahead log into the database file; nothing to do on PostgreSQL."""
        return

    @abstractmethod
    def close(self) -> None:
        """Finishes what is queued and closes every connection; may be called twice."""

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def inside_fn() -> Iterator[None]:
    """Marks this thread as running a caller's function, so that nested calls are refused instead of hanging."""
    _thread.inside = True
    try:
        yield
    finally:
        _thread.inside = False


def refuse_nesting() -> None:
    """Raises RuntimeError inside a function that was handed to the store."""
    if getattr(_thread, "inside", False):
        raise RuntimeError("the store was called from inside a transaction; use the transaction you were given")


def run_hooks(hooks: Sequence[Callable[[], None]]) -> None:
    """Runs what waits for the commit; a hook that fails is logged, because what it follows is already on disk."""
    for hook in hooks:
        try:
            with inside_fn():
                hook()
        except Exception:  # noqa: BLE001 (raising would tell the caller that its transaction failed)
            _log.exception("a hook after the commit failed")
