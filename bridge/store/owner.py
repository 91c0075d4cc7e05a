"""The lock that keeps a second daemon away from a SQLite file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from sqlalchemy import make_url

from bridge.core.errors import ConfigError
from bridge.store.sqlite import database_path


class OwnedError(ConfigError):
    """Another process works with this SQLite file."""


class OwnerLock:
    """Held while this process is the one that works on a SQLite file; PostgreSQL needs none.

    The operating system drops it when the process ends, however it ends.
    """

    def __init__(self, url: str) -> None:
        self._path = _lock_path(url)
        self._file: int | None = None

    def __enter__(self) -> OwnerLock:
        """Raises OwnedError when another process holds the lock, ConfigError when it cannot be taken at all."""
        if self._path is None:
            return self
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"database: {self._path} cannot be opened ({error.strerror}).") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise OwnedError(
                f"Another certbridge (process {holder}) already works with {str(self._path)[: -len('.lock')]}. "
                "Only one may serve a SQLite file: stop that one first, or use PostgreSQL for several."
            ) from error
        os.truncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: removing it would let two processes lock two different files of one name.
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    @staticmethod
    def held_elsewhere(url: str) -> bool:
        """Tells whether somebody (this process included) holds the lock right now."""
        path = _lock_path(url)
        if path is None or not path.exists():
            return False
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(file)
        return False


def _lock_path(url: str) -> Path | None:
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return None
    path = database_path(parsed)
    return path.with_name(path.name + ".lock")
