"""The lock of a SQLite file: one daemon, one worker at a time, and what the daemon wants the others to know."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import structlog
from sqlalchemy import make_url

from bridge.core.errors import ConfigError
from bridge.store.place import Trouble, database_path, file_key, real_path

log = structlog.get_logger(__name__)

LOOK: Final = 0.1
"""Seconds between looks whether a lock is free."""

# Locks of the open file, not of the process: closing another descriptor of the same file does not drop them, and
# asking (GETLK) takes nothing. Without them (macOS) those of the process, which are as good between processes.
_SET: Final = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)
_GET: Final = getattr(fcntl, "F_OFD_GETLK", fcntl.F_GETLK)
# struct flock: https://man7.org/linux/man-pages/man2/fcntl.2.html
_BSD: Final = sys.platform == "darwin"

_SERVES, _WORKS = 0, 1
"""The bytes of the file that are locked: by the daemon for its life, and by whoever works on the rows."""
_PID: Final = 16
"""Bytes that the number of a process takes: one such line for each of the two, and the daemon's note behind them."""


class OwnedError(ConfigError):
    """Another process works with this SQLite file."""


class StoppedWaitingError(OwnedError):
    """Told to stop while a command was still at work."""


@dataclass(frozen=True, slots=True)
class Note:
    """What stands in a lock file: left by the daemon that runs, or that ran last."""

    serves: str
    works: str
    """The numbers of the processes; empty when unknown."""
    file: str
    """Device and inode of the database that it opened."""
    trouble: str
    """Why it stores nothing; empty while all is well."""


class OwnerLock:
    """Held while this process works on a SQLite file; PostgreSQL needs none.

    A daemon holds it for its life. It waits for a command that works (which hands over once it sees the daemon wait),
    and is refused at once where another daemon serves. A `command` waits for other commands and leaves to a daemon.
    The operating system drops the lock when the process ends, however it ends.
    """

    def __init__(self, url: str, *, command: bool = False, stopping: Callable[[], bool] = lambda: False) -> None:
        """`stopping` tells a daemon that waits to wait no longer."""
        self._path = _lock_path(url)
        self._command = command
        self._stopping = stopping
        self._file: int | None = None

    def __enter__(self) -> OwnerLock:
        """Raises OwnedError where a daemon serves the file, ConfigError when the lock cannot be taken at all."""
        if self._path is None:
            return self
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"database: {self._path} cannot be opened ({error.strerror}).") from error
        try:
            self._take(self._file, self._path)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: removing it would let two processes lock two different files of one name.
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def wanted(self) -> bool:
        """Tells a command that a daemon waits for it."""
        return self._file is not None and _held(self._file, _SERVES)

    def trouble(self) -> Trouble | None:
        """Says that the file that is locked is not the one a second daemon would find and lock."""
        if self._file is None or self._path is None:
            return None
        try:
            same = file_key(os.fstat(self._file)) == file_key(self._path.stat())
        except OSError:
            same = False
        return None if same else _lock_gone(self._path)

    def tell(self, trouble: str, *, database: os.stat_result | None = None) -> None:
        """Leaves a note for commands and for the next start: what is wrong, and once which file this daemon opened."""
        if self._file is None or self._command:
            return
        file = _file_text(database) if database is not None else _read(self._file).file
        text = f"{file}\n{trouble}\n".encode()
        try:
            os.pwrite(self._file, text, 2 * _PID)
            os.ftruncate(self._file, 2 * _PID + len(text))
        except OSError as error:
            log.warning("the lock file cannot be written", file=str(self._path), reason=error.strerror)

    @staticmethod
    def serving(url: str) -> Note | None:
        """Returns the note of the daemon that holds the lock right now (this process included); takes nothing."""
        found = _look(url)
        return found[1] if found is not None and found[0] else None

    @staticmethod
    def last_note(url: str) -> Note | None:
        """Returns what the last daemon left, whether it still runs or not."""
        found = _look(url)
        return found[1] if found is not None else None

    # -- inside --------------------------------------------------------------------------------

    def _take(self, file: int, path: Path) -> None:
        if not self._command:
            if not _lock(file, _SERVES):
                raise _served(path, _read(file))
            _sign(file, _SERVES)
        waiting = False
        while not _lock(file, _WORKS):
            if self._command and _held(file, _SERVES):
                raise _served(path, _read(file))
            if not self._command and not waiting:
                log.warning(
                    "waiting for a command that works with the database; it hands over after what it is at",
                    process=_read(file).works or "unknown",
                )
            waiting = True
            if self._stopping():
                raise StoppedWaitingError("Stopped while a command was still at work.")
            time.sleep(LOOK)
        if self._command and _held(file, _SERVES):
            raise _served(path, _read(file))
        _sign(file, _WORKS)


def noted_elsewhere(note: Note, database: os.stat_result) -> bool:
    """Tells whether the daemon that left the note had another file open than this one."""
    return bool(note.file) and note.file != _file_text(database)


def _look(url: str) -> tuple[bool, Note] | None:
    path = _lock_path(url)
    if path is None:
        return None
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"database: {path} cannot be opened ({error.strerror}).") from error
    try:
        return _held(file, _SERVES), _read(file)
    finally:
        os.close(file)


def _lock(file: int, byte: int) -> bool:
    try:
        fcntl.fcntl(file, _SET, _flock(fcntl.F_WRLCK, byte))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _held(file: int, byte: int) -> bool:
    answer = fcntl.fcntl(file, _GET, _flock(fcntl.F_WRLCK, byte))
    kind = struct.unpack_from("@h", answer, 20 if _BSD else 0)[0]
    return bool(kind != fcntl.F_UNLCK)


def _flock(kind: int, byte: int) -> bytes:
    if _BSD:
        return struct.pack("@qqihh", byte, 1, 0, kind, os.SEEK_SET)
    return struct.pack("@hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)


def _sign(file: int, byte: int) -> None:
    os.pwrite(file, f"{os.getpid():<{_PID - 1}}\n".encode(), byte * _PID)


def _read(file: int) -> Note:
    lines = os.pread(file, 4096, 0).decode("utf-8", "replace").split("\n")
    serves, works, database, trouble = (*(line.strip("\0 ") for line in lines), "", "", "", "")[:4]
    return Note(serves, works, database, trouble)


def _file_text(found: os.stat_result) -> str:
    return "{}:{}".format(*file_key(found))


def _served(path: Path, note: Note) -> OwnedError:
    return OwnedError(
        f"Another certbridge (process {note.serves or 'unknown'}) already works with {str(path)[: -len('.lock')]}. "
        "Only one may serve a SQLite file: stop that one first, or use PostgreSQL for several."
    )


def _lock_gone(path: Path) -> Trouble:
    return Trouble(
        "The lock of the database was removed or replaced; certbridge has to be restarted.",
        f"{path} was removed or replaced: a second certbridge could start on the same database and send everything "
        "twice. Make sure that only one runs, and restart it. Until then nothing is received, issued, mailed or "
        "written back.",
    )


def _lock_path(url: str) -> Path | None:
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return None
    # Beside the file itself: two links to one file must lead to one lock.
    path = real_path(database_path(parsed))
    return path.with_name(path.name + ".lock")
