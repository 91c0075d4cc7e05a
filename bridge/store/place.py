"""Whether the SQLite file that is open is still the one at its path, with its log, and written by nobody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from bridge.core.errors import ConfigError

_PAUSED: Final = "Until then nothing is received, issued, mailed or written back."

# What is in the log but not in the file yet is part of the database (https://www.sqlite.org/howtocorrupt.html).
_COMPANIONS: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the database that is open must not be used, in words."""

    public: str
    """For strangers: names no file."""
    advice: str
    """For the operator: what was found where, and what to do."""
    log_only: bool = False
    """The file itself is as it was: what its log holds can still be moved into it."""


def database_path(url: URL) -> Path:
    """Returns the file of a SQLite URL. Raises ConfigError for a database in memory."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigError("database: sqlite needs a file, such as sqlite:///certbridge.db")
    return Path(url.database).absolute()


def real_path(path: Path) -> Path:
    """Returns where the file itself is: SQLite keeps its log there, whatever links lead to it."""
    return Path(os.path.realpath(path))


def file_key(found: os.stat_result) -> tuple[int, int]:
    """Returns what makes a file this one and no other, whatever its name: device and inode."""
    return found.st_dev, found.st_ino


class Place:
    """What stood at the path when the file was opened; `look` tells whether it still does.

    Only `stat` is used: opening and closing the file here would drop the locks that SQLite holds on it in this
    process (POSIX). `alone` says that no other process moves the log into the file, so that its size and time are
    what this one left: a copy over it, which keeps the inode, is seen by them.
    """

    def __init__(self, path: Path, *, alone: bool) -> None:
        self._path = path
        self._alone = alone
        self._file: tuple[int, int] | None = None
        self._left: tuple[int, int] | None = None
        """Size and time of change (nanoseconds) of the file when this process last wrote it; None while it does."""
        self._companions: dict[Path, tuple[int, int] | None] = {}

    def pin(self, opened: os.stat_result) -> None:
        """Remembers the file that a connection was opened on; its log exists by now."""
        self._file = file_key(opened)
        real = real_path(self._path)
        companions = (real.with_name(real.name + ending) for ending in _COMPANIONS)
        self._companions = {path: _key(path) for path in companions}
        with self.writing():
            pass

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While this process moves its log into the file: its size and time change, and afterwards they count anew."""
        self._left = None
        try:
            yield
        finally:
            found = _stat(self._path)
            if isinstance(found, os.stat_result) and file_key(found) == self._file:
                self._left = found.st_size, found.st_mtime_ns

    def log_bytes(self) -> int:
        """Returns the size of the log in bytes; 0 when there is none."""
        found = _stat(next(iter(self._companions), self._path))
        return found.st_size if isinstance(found, os.stat_result) else 0

    def look(self) -> Trouble | None:
        """Says what is wrong; None while nothing is, and before `pin`."""
        if self._file is None:
            return None
        left, found = self._left, _stat(self._path)
        if isinstance(found, OSError):
            return _gone(self._path, found)
        if file_key(found) != self._file:
            return _replaced(self._path)
        # Asked twice: another thread may have begun to write, or ended, between the two lines above.
        if self._alone and left not in (None, (found.st_size, found.st_mtime_ns)) and self._left is left:
            return _overwritten(self._path)
        if found.st_nlink != 1:
            return _linked(self._path, found.st_nlink)
        return next((_log_gone(path) for path, key in self._companions.items() if _key(path) != key), None)


def _stat(path: Path) -> os.stat_result | OSError:
    try:
        return path.stat()
    except OSError as error:
        return error


def _key(path: Path) -> tuple[int, int] | None:
    found = _stat(path)
    return file_key(found) if isinstance(found, os.stat_result) else None


# -- in words --------------------------------------------------------------------------------------


def _gone(path: Path, error: OSError) -> Trouble:
    return Trouble(
        "The database file is not where it was.",
        f"The database {path} is not where it was ({error.strerror}): moved, deleted, or its disk is not mounted. Put "
        f"that very file back and certbridge goes on by itself; or stop certbridge, restore a backup, and start it. "
        f"{_PAUSED}",
    )


def _replaced(path: Path) -> Trouble:
    return Trouble(
        "The database file was replaced by another one; certbridge has to be restarted.",
        f"The database {path} is another file than the one that certbridge opened (a backup was restored, or another "
        "disk is mounted). Put the first file back and certbridge goes on by itself; to work with the new file, "
        f"restart certbridge. {_PAUSED}",
    )


def _overwritten(path: Path) -> Trouble:
    return Trouble(
        "Another program wrote into the database file; certbridge has to be restarted.",
        f"Another program wrote into the database {path} (a backup was copied over it, or a tool cleaned it up). Stop "
        "certbridge; to restore a backup, move the file and those that end in -wal and -shm away and put the backup "
        f"there; then start certbridge. {_PAUSED}",
    )


def _linked(path: Path, links: int) -> Trouble:
    return Trouble(
        "The database file has a second name.",
        f"The database {path} has {links} names (hard links): whoever opens it by another name misses its log and "
        "damages it, and a copy made so is none. Remove the other names and certbridge goes on by itself. "
        f"{_PAUSED}",
    )


def _log_gone(path: Path) -> Trouble:
    return Trouble(
        "The log of the database was removed or replaced; certbridge has to be restarted.",
        f"{path} was removed or replaced; it belongs to the database while certbridge runs. What was stored is in the "
        f"database file itself by now. Restart certbridge. {_PAUSED}",
        log_only=True,
    )
