"""Which revision the tables are at, and how they are brought to the newest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.dialects import postgresql, sqlite

from bridge.core.errors import BridgeError, ConfigError
from bridge.store.tables import leases
from bridge.store.transaction import Store, Transaction

HEAD: Final = "0003"
"""The newest revision; a test holds it equal to migrations/versions, so that a start needs not load Alembic."""
PROBE_SECONDS: Final = 2.0
LOCK_NUMBER: Final = 7233914862518001
"""Any number nobody else uses as a PostgreSQL advisory lock."""


def revision(connection: Connection) -> str | None:
    """Returns the revision of the tables, or None when there are none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def upgrade(engine: Engine, *, before: Callable[[Connection], None]) -> None:
    """Brings the tables to HEAD in one transaction; the second of two processes waits and finds nothing to do.

    `before` prepares the connection outside the transaction. Raises ConfigError for tables of a newer certbridge.
    """
    with engine.connect() as connection:
        before(connection)
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
            if revision(connection) != HEAD:
                _migrate(connection)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"database: its tables are at revision {revision(connection)}, which this certbridge does not know; "
            "they were made by a newer one. Install that version, or restore the backup made before it."
        ) from error


def not_prepared(where: str) -> str:
    """Returns the message for a database without (all) tables."""
    return f"The database {where} has not been prepared for this version; start `certbridge serve` once."


def probe(store: Store) -> list[str]:
    """Tries to read the revision and to write a row; says in plain words what failed."""
    try:
        found = store.read(lambda tx: revision(tx.connection), wait=PROBE_SECONDS)
        if found != HEAD:
            return [f"The tables are at revision {found or 'none'}, this certbridge needs {HEAD}; restart it."]
        store.transact(_write_probe, wait=PROBE_SECONDS)
    except BridgeError as error:
        return [str(error)]
    return []


def _write_probe(tx: Transaction) -> None:
    insert = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    values = {"holder": "readyz", "token": "", "until": tx.now - timedelta(days=1)}
    statement = insert(leases).values(name="probe", **values)
    tx.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
