"""The connection that keeps a SQLite file and its log together, and tells when they are not where they were."""

from __future__ import annotations

import ctypes
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from typing import Final

from bridge.core.errors import MisplacedError, UnavailableError
from bridge.store.owner import OwnerLock
from bridge.store.place import Place, Trouble

TRIES: Final = 3

_log = logging.getLogger(__name__)


class Anchor:
    """Holds one connection that does nothing, from the first use of the store to its end.

    While it is open no other process is the last to close the file, so none moves the log into the file or deletes
    it; and it can save what a log holds whose name is gone. `connect` opens the file and its log.
    """

    def __init__(
        self,
        place: Place,
        connect: Callable[[], sqlite3.Connection],
        stat: Callable[[], os.stat_result],
        lock: OwnerLock | None,
        *,
        owner: bool,
    ) -> None:
        self._place = place
        self._connect = connect
        self._stat = stat
        self._lock = lock
        self._owner = owner
        self._connection: sqlite3.Connection | None = None
        self._told: Trouble | None = None
        self._one = threading.RLock()

    def check(self, *, stored: bool | None = False) -> None:
        """Raises MisplacedError unless what is open is what stands at the path; opens it when nothing is yet.

        `stored` is None after a commit: then it cannot be known into which file that went.
        """
        if self._connection is None:
            self._open()
        self.refuse(stored=stored)

    def refuse(self, *, stored: bool | None = False) -> None:
        """Raises MisplacedError once something is open that is not what stands at the path."""
        trouble = self.trouble()
        if trouble is not None:
            unknown = " It is not known whether this was stored." if stored is None else ""
            raise MisplacedError(trouble.advice + unknown, public=trouble.public + unknown)

    def trouble(self) -> Trouble | None:
        """Looks, tells the log and the other processes once what changed, and returns what is wrong."""
        found = self._look()
        if found != self._told:
            with self._one:
                # Once more: another thread may have looked later than this one, and told it already.
                found = self._look()
                if found != self._told:
                    self._told = found
                    self._changed(found)
        return found

    def _look(self) -> Trouble | None:
        return self._place.look() or (self._lock.trouble() if self._lock is not None else None)

    def close(self) -> None:
        """Ends the connection, which moves the log into the file; not where the file at the path is another one."""
        with self._one:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            if self._place.look() is None:
                connection.close()
            else:
                keep_open(connection)

    def _open(self) -> None:
        with self._one:
            for _ in range(TRIES):
                if self._connection is not None:
                    return
                before = self._stat()
                connection = self._connect()
                # Opening may copy the file up to another layer (containers); a file replaced meanwhile is another one.
                if os.path.samestat(before, self._stat()):
                    self._place.pin(before)
                    self._connection = connection
                    if self._lock is not None:
                        self._lock.tell("", database=before)
                else:
                    keep_open(connection)
        if self._connection is None:
            raise UnavailableError("The database file keeps being replaced.", code="store_unavailable")

    def _changed(self, trouble: Trouble | None) -> None:
        if trouble is None:
            _log.warning("the database is back where it was; going on")
        else:
            if trouble.log_only:
                self._save()
            _log.error("not storing, issuing or sending anything: %s", trouble.advice)
        if self._lock is not None:
            self._lock.tell(trouble.advice if trouble is not None else "")

    def _save(self) -> None:
        """Moves into the file what stands only in a log whose name is gone: no other process would find it."""
        if self._connection is None or not self._owner:
            return
        try:
            with self._place.writing():
                busy, pages, moved = self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        except sqlite3.Error as error:
            _log.error("the log that was removed could not be moved into the database: %s", error)
            return
        _log.warning("the log that was removed is moved into the database: %s of %s pages, busy %s", moved, pages, busy)


def keep_open(connection: sqlite3.Connection) -> None:
    """Leaves a connection open until the process ends, whatever becomes of the object.

    Closing the last one moves the log into the file and deletes whatever has the log's name: here that may belong to
    another file (a restored backup), or be the only place of what was stored.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
