"""Looks, before a SQLite file is used, whether the log beside it is its own: a restore may have left another one's."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from bridge.core.errors import ConfigError
from bridge.store.anchor import keep_open
from bridge.store.owner import Note, noted_elsewhere
from bridge.store.place import database_path, real_path
from bridge.store.sqlite import open_file

FOUND: Final = 3
"""Faults that are enough to know."""


def refuse_mixed(url: str, note: Note | None) -> None:
    """Raises ConfigError where file and log do not fit each other; nothing is changed then.

    Looks only where there is reason to: the last certbridge (whose note is given) had another file open, or saw
    somebody else write into it, and a log was left. Nothing to do on PostgreSQL.
    """
    if note is None:
        return
    path = database_path(make_url(url))
    real = real_path(path)
    log = real.with_name(real.name + "-wal")
    if not real.is_file() or not log.is_file() or log.stat().st_size == 0:
        return
    if (note.trouble or noted_elsewhere(note, real.stat())) and (faults := _faults(real)):
        raise ConfigError(
            f"database: {path} and its log {log.name} do not belong together ({faults[0]}). The file was replaced "
            f"while certbridge ran. To restore a backup: move {log.name} and {real.name}-shm away, put the backup at "
            f"{path} once more, and start certbridge. To go back: put the file there that was replaced, beside its log."
        )


def _faults(path: Path) -> list[str]:
    connection = open_file(path)
    try:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({FOUND})")]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    if found == ["ok"]:
        connection.close()
        return []
    # Closing would move the log into the file, and with it spoil the backup.
    keep_open(connection)
    return [" ".join(line.split()) for line in found]
