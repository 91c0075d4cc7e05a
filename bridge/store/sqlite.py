"""The store in a SQLite file: one writing connection with group commit, and separate connections that only read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bridge.core.errors import ConfigError, UnavailableError
from bridge.store import schema
from bridge.store.anchor import Anchor
from bridge.store.group_commit import QUEUE_LIMIT, GroupWriter
from bridge.store.owner import OwnerLock
from bridge.store.place import Place, Trouble, database_path
from bridge.store.transaction import WAIT, Store, Transaction, inside_fn, refuse_nesting, run_hooks

T = TypeVar("T")
BUSY_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 60.0
LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
FREE_BYTES: Final = 20 * 1024 * 1024
STUCK_SECONDS: Final = 30.0
GROUPS: Final = 64
GROWTH_BYTES: Final = 4 * 1024 * 1024
"""After so many groups, or so much more log, the log is moved into the file."""

# https://www.sqlite.org/rescode.html: primary result codes that are about the machine, not about the statement.
_CAUSES: Final = {
    5: "another program is writing to it for too long",
    6: "another program is writing to it for too long",
    7: "the machine is out of memory",
    8: "it is read-only; check the permissions of the file and its folder",
    10: "the disk reported an error",
    11: "the file is damaged; restore a backup",
    13: "the disk is full; free some space",
    14: "the file cannot be opened; check that its folder exists and may be written to",
    15: "the file is locked by another program",
    26: "the file is not a SQLite database",
}


class SqliteStore(Store):
    """A SQLite file; `owner` is the one process with the writer thread, others commit beside it on their own."""

    dialect = "sqlite"

    def __init__(self, url: URL, *, owner: bool, queue_limit: int = QUEUE_LIMIT, lock: OwnerLock | None = None) -> None:
        """`lock` is the one that the owner holds: it has to stay where it is as well."""
        self.path = database_path(url)
        # On a network's file system the times of a file may change without anybody writing.
        self._place = Place(self.path, alone=owner and _network_file_system(self.path) is None)
        self._anchor = Anchor(self._place, self._connect_anchor, self._stat, lock, owner=owner)
        self._write_engine = _engine(url, self.path, self._anchor, write=True)
        self._read_engine = _engine(url, self.path, self._anchor, write=False)
        self._writer = (
            GroupWriter(
                self._connect_writer,
                self._explain,
                self._truncate,
                check=self._anchor.check,
                tidy=self._tidy,
                queue_limit=queue_limit,
            )
            if owner
            else None
        )
        self._groups = 0
        self._log_bytes = 0
        self._probed = 0.0
        self._probe_problems: list[str] = []

    def transact(self, fn: Callable[[Transaction], T], *, wait: float = WAIT) -> T:
        refuse_nesting()
        if self._writer is not None:
            return self._writer.submit(fn, wait=wait)
        self._anchor.check()
        return self._beside(fn, wait)

    def read(self, fn: Callable[[Transaction], T], *, wait: float = WAIT) -> T:
        refuse_nesting()
        self._anchor.check()
        try:
            with self._read_engine.begin() as connection, inside_fn():
                return fn(Transaction(connection, self.dialect))
        except (DBAPIError, PoolTimeout) as error:
            raise self._explain(error) or error from error

    def upgrade(self) -> None:
        refuse_nesting()
        _create_private(self.path)
        try:
            schema.upgrade(self._write_engine, before=_patient)
        except DBAPIError as error:
            raise self._explain(error) or error from error
        self._anchor.check()

    def trouble(self) -> Trouble | None:
        return self._anchor.trouble()

    def problems(self) -> list[str]:
        trouble = self.trouble()
        if trouble is not None:
            return [trouble.advice]
        if self._writer is not None and not self._writer.alive:
            return ["The thread that writes to the database has died; restart certbridge."]
        since = self._writer.busy_since if self._writer is not None else None
        if since is not None and time.monotonic() - since > STUCK_SECONDS:
            return [f"The database {self.path} has been writing one transaction for {STUCK_SECONDS:g} seconds or more."]
        # Cached for a second: /readyz is open to strangers, and each probe writes to the disk.
        if time.monotonic() - self._probed > 1.0:
            self._probe_problems = schema.probe(self)
            self._probed = time.monotonic()
        if self._probe_problems:
            return list(self._probe_problems)
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError as error:
            return [f"The folder {self.path.parent} cannot be looked at: {error.strerror}."]
        if free < FREE_BYTES:
            return [f"The disk of {self.path} is nearly full ({free // 1024} KiB left)."]
        return []

    def warnings(self) -> list[str]:
        found = []
        if has_wal_reset_bug(sqlite3.sqlite_version_info):
            found.append(
                f"SQLite {sqlite3.sqlite_version} has a rare bug that can damage a database written by several "
                "programs at once (fixed in 3.51.3). certbridge avoids it by writing from one connection; "
                "upgrade Python or SQLite when you can."
            )
        kind = _network_file_system(self.path)
        if kind:
            found.append(
                f"The database {self.path} is on a network file system ({kind}); SQLite needs a local disk. "
                "Move it, or use PostgreSQL."
            )
        return found

    def checkpoint(self) -> None:
        if self._writer is not None:
            self._writer.outside(self._truncate, wait=WAIT)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._read_engine.dispose()
        self._write_engine.dispose()
        self._anchor.close()

    # -- inside --------------------------------------------------------------------------------

    def _stat(self) -> os.stat_result:
        try:
            return self.path.stat()
        except OSError as error:
            raise UnavailableError(schema.not_prepared(str(self.path)), code="store_unavailable") from error

    def _connect_anchor(self) -> sqlite3.Connection:
        try:
            connection = open_file(self.path)
            _set_up_writing(connection, None)
            # The log is opened with the first look into the file.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            raise self._explain(error) or error from error
        return connection

    def _connect_writer(self) -> Connection:
        return self._write_engine.connect()

    def _tidy(self, connection: Connection) -> None:
        """Moves the log into the file now and then, after those who wait have their answer.

        Not by SQLite itself, in the middle of a commit: then nobody could tell whether it was we who wrote.
        """
        self._groups += 1
        size = self._place.log_bytes()
        if self._groups < GROUPS and size < self._log_bytes + GROWTH_BYTES:
            return
        self._groups = 0
        self._anchor.check()
        with self._place.writing():
            _raw(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._log_bytes = self._place.log_bytes()

    def _truncate(self, connection: Connection) -> None:
        """Empties the log if no reader is in the way."""
        self._anchor.check()
        with self._place.writing():
            _truncate(connection)
        self._groups, self._log_bytes = 0, self._place.log_bytes()

    def _beside(self, fn: Callable[[Transaction], T], wait: float) -> T:
        try:
            with self._write_engine.connect() as connection:
                _raw(connection).execute(f"PRAGMA busy_timeout={max(0, int(wait * 1000))}")
                with connection.begin():
                    transaction = Transaction(connection, self.dialect)
                    with inside_fn():
                        result = fn(transaction)
                    self._anchor.check()
            self._anchor.check(stored=None)
        except DBAPIError as error:
            raise self._explain(error) or error from error
        run_hooks(transaction.hooks)
        return result

    def _explain(self, error: BaseException) -> UnavailableError | None:
        """Returns the error that says what is wrong with the machine, or None when the statement is to blame."""
        if isinstance(error, PoolTimeout):
            return UnavailableError(
                "Too many pages are being read from the database at once; please try again.", code="store_unavailable"
            )
        orig = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(orig, sqlite3.Error):
            return None
        if "no such table" in str(orig):
            return UnavailableError(schema.not_prepared(str(self.path)), code="store_unavailable")
        cause = _CAUSES.get(getattr(orig, "sqlite_errorcode", 0) & 0xFF)
        if cause is None:
            return None
        return UnavailableError(f"The database {self.path} cannot be used: {cause}.", code="store_unavailable")


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Tells whether this SQLite can lose committed pages in a race (https://www.sqlite.org/wal.html#walresetbug)."""
    if (3, 44, 6) <= version < (3, 45) or (3, 50, 7) <= version < (3, 51):
        return False
    return (3, 7) <= version < (3, 51, 3)


def open_file(path: Path) -> sqlite3.Connection:
    # mode=rw: SQLite would make an empty file where there is none, readable for everybody.
    name = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(name, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)


def _engine(url: URL, path: Path, anchor: Anchor, *, write: bool) -> Engine:
    pool: dict[str, Any] = (
        {"poolclass": NullPool}
        if write
        else {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 24, "pool_timeout": WAIT}
    )
    set_up = _set_up_writing if write else _set_up_reading

    def prepare(connection: sqlite3.Connection, record: object) -> None:
        try:
            # A connection to the file that has just come to the path would stay in the pool for good.
            anchor.refuse()
            set_up(connection, record)
        except BaseException:
            connection.close()
            raise

    engine = create_engine(url, creator=lambda: open_file(path), **pool)
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_immediate if write else _begin)
    return engine


def _set_up_writing(connection: sqlite3.Connection, _: object) -> None:
    # The driver must not begin transactions by itself: it would do so late, and never before SELECT or SAVEPOINT.
    connection.isolation_level = None
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"journal_mode is {mode}, not wal: is the file on a network disk?")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute(f"PRAGMA journal_size_limit={LOG_LIMIT_BYTES}")


def _set_up_reading(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=1")
    connection.execute("PRAGMA wal_autocheckpoint=0")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _patient(connection: Connection) -> None:
    """Lets a migration wait for another process's, and rebuild tables without their references being checked."""
    _raw(connection).execute(f"PRAGMA busy_timeout={int(MIGRATION_SECONDS * 1000)}")
    _raw(connection).execute("PRAGMA foreign_keys=OFF")


def _truncate(connection: Connection) -> None:
    """Empties the write-ahead log if no reader is in the way; never waits for one."""
    raw = _raw(connection)
    raw.execute("PRAGMA busy_timeout=0")
    try:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _create_private(path: Path) -> None:
    """Creates the file readable for its owner only; SQLite gives its log files the same permissions."""
    try:
        # Never a file that is there: closing it would drop the locks that this process holds on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigError(f"database: {path} cannot be opened for writing ({error.strerror}).") from error


def _network_file_system(path: Path) -> str | None:
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return None
    best, kind = "", ""
    for line in mounts.read_text(errors="replace").splitlines():
        fields = line.split(" ")
        inside = path == Path(fields[1]) or Path(fields[1]) in path.parents
        if inside and len(fields[1]) >= len(best):
            best, kind = fields[1], fields[2]
    return kind if kind.startswith(("nfs", "cifs", "smb", "fuse.sshfs", "9p")) else None
