"""Opens the store that a database URL names."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from bridge.core.errors import ConfigError
from bridge.store.group_commit import QUEUE_LIMIT
from bridge.store.owner import Note, OwnedError, OwnerLock, StoppedWaitingError
from bridge.store.postgres import PostgresStore
from bridge.store.sqlite import SqliteStore
from bridge.store.transaction import Store, Transaction

__all__ = ["Note", "OwnedError", "OwnerLock", "StoppedWaitingError", "Store", "Transaction", "open_store"]


def open_store(url: str, *, owner: bool = True, queue_limit: int = QUEUE_LIMIT, lock: OwnerLock | None = None) -> Store:
    """Opens `sqlite:///file.db` or `postgresql+psycopg://user:password@host/database`; nothing is read or written yet.

    `owner` is the process that works on the rows; a command beside it passes False. `queue_limit` is how many
    transactions may wait for SQLite's writer, `lock` the lock of the file where the owner holds it. Raises ConfigError.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "database: not a database URL; use sqlite:///file.db or postgresql+psycopg://user:password@host/name"
        ) from error
    kind = parsed.drivername.split("+")[0]
    if kind == "sqlite":
        return SqliteStore(parsed.set(drivername="sqlite"), owner=owner, queue_limit=queue_limit, lock=lock)
    if kind in ("postgresql", "postgres"):
        return PostgresStore(parsed.set(drivername="postgresql+psycopg"))
    raise ConfigError(f"database: {kind} is not supported; use sqlite or postgresql")
