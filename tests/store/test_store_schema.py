"""The migrations make exactly the tables the code works with, once, however many start together."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, inspect, text

import bridge.store
from bridge.core.errors import ConfigError, UnavailableError
from bridge.core.models import SourceEvent
from bridge.store import event_keys, inbox, schema, tables
from bridge.store.engine import Store, open_store
from bridge.store.tables import metadata

Make = Callable[[], str]
MIGRATIONS = Path(bridge.store.__file__).parent / "migrations"


def described(url: str) -> dict[str, Any]:
    """Returns everything the database says about its tables."""
    engine = create_engine(url, poolclass=NullPool)
    inspector = inspect(engine)
    found = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        found[table] = {
            "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
            "primary": inspector.get_pk_constraint(table),
            "unique": sorted(inspector.get_unique_constraints(table), key=str),
            "foreign": sorted(inspector.get_foreign_keys(table), key=str),
            "indexes": [
                {**index, "dialect_options": {k: str(v) for k, v in index.get("dialect_options", {}).items()}}
                for index in sorted(inspector.get_indexes(table), key=lambda index: str(index["name"]))
            ],
        }
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            query = text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name")
            found["autoincrement"] = connection.execute(query).scalars().all()
    return found


def test_the_migrations_make_the_tables_of_the_code(empty_database: Make) -> None:
    migrated, created = empty_database(), empty_database()
    with open_store(migrated) as store:
        store.upgrade()
    engine = create_engine(created, poolclass=NullPool)
    metadata.create_all(engine)
    assert described(migrated) == described(created)
    assert set(described(migrated)) - {"autoincrement"} == set(metadata.tables)


def test_alembic_would_change_nothing(database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_newest_revision_is_the_one_the_code_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_upgrading_twice_is_quiet_and_needs_no_alembic(store: Store, database_url: str) -> None:
    code = (
        f"import sys; from bridge.store.engine import open_store; s = open_store({database_url!r}); "
        "s.upgrade(); s.close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "False", "")


def test_several_processes_may_upgrade_at_once(empty_database: Make) -> None:
    url = empty_database()
    code = f"from bridge.store.engine import open_store; s = open_store({url!r}); s.upgrade(); s.close()"
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], stderr=subprocess.PIPE) for _ in range(4)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], errors
    with open_store(url) as store:
        assert store.problems() == []


def test_downgrading_removes_everything(empty_database: Make) -> None:
    url = empty_database()
    with open_store(url) as store:
        store.upgrade()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(described(url)) <= {"autoincrement"}


def _at_revision(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _event_of_0001(number: int, state: str, **said: object) -> dict[str, Any]:
    event = {"event_id": f"e-{number}", "event_type": "done", "data": {}, **said}
    at = said.get("occurred_at")
    moment = datetime.fromisoformat(str(at)) if at else None
    return {"event_id": event["event_id"], "state": state, "payload": event, "occurred_at": moment}


def test_what_was_cancelled_or_held_before_polls_came_is_known_to_them(empty_database: Make) -> None:
    url = empty_database()
    _at_revision(url, "0001")
    at, long = "2026-11-20T08:30:00Z", "k" * 5000
    rows = [
        _event_of_0001(1, "cancelled", keys=["enrolment:1", "é" * 300, long], subject="7", course="68", occurred_at=at),
        _event_of_0001(2, "held", keys=["enrolment:1"], subject="8", course="68"),
        _event_of_0001(3, "ignored", keys=["enrolment:3"]),
    ]
    shared = {"source": "school", "test": False, "revision": 1, "body_sha256": "", "event_type": "done"}
    rest = {"stage": "received", "attempts": 0, "overrides": {}, "deliveries": 1}
    with open_store(url) as store:
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            for row in rows:
                connection.execute(tables.inbox.insert().values({**shared, **rest, **row}))
        store.upgrade()
        minute = datetime(2026, 11, 20, 8, 31, tzinfo=UTC)
        near = SourceEvent(event_id="poll", event_type="done", subject="7", course="68", occurred_at=minute)
        by_keys = [
            SourceEvent(event_id="p", event_type="done", keys=(one,)) for one in ("enrolment:1", "é" * 300, long)
        ]
        other = SourceEvent(event_id="p", event_type="done", keys=("enrolment:3",))

        def known(event: SourceEvent) -> bool:
            return bool(store.read(lambda tx: event_keys.matches(tx, "school", False, event, timedelta(minutes=2))))

        assert [known(one) for one in (near, *by_keys, other)] == [True, True, True, True, False]


def test_refuses_a_database_of_a_newer_certbridge(store: Store) -> None:
    store.transact(lambda tx: tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(ConfigError, match=r"9999.*newer"):
        store.upgrade()
    assert "9999" in store.problems()[0]


def test_says_what_to_do_when_there_are_no_tables(empty_database: Make) -> None:
    with open_store(empty_database()) as store:
        with pytest.raises(UnavailableError, match="certbridge serve"):
            store.read(lambda tx: inbox.get(tx, 1))
        with pytest.raises(UnavailableError, match="certbridge serve"):
            store.transact(lambda tx: inbox.get(tx, 1))
        # An empty PostgreSQL database answers; of SQLite there is no file, and asking makes none.
        assert {"sqlite": "not been prepared", "postgresql": "none"}[store.dialect] in store.problems()[0]


def test_a_command_does_not_make_a_missing_file(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/none.db", owner=False) as store:
        for use in (store.read, store.transact):
            with pytest.raises(UnavailableError, match="certbridge serve"):
                use(lambda tx: inbox.get(tx, 1))
        assert "certbridge serve" in store.problems()[0]
    assert list(tmp_path.iterdir()) == []


def test_a_new_sqlite_file_is_readable_for_its_owner_only(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/new.db") as store:
        store.upgrade()
        store.transact(lambda tx: None)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


def test_names_the_file_when_its_folder_is_missing(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/nowhere/x.db") as store, pytest.raises(ConfigError, match=r"nowhere/x\.db"):
        store.upgrade()


@pytest.mark.parametrize("url", ["", "x", "mysql://a/b", "sqlite://", "sqlite:///:memory:"])
def test_refuses_other_databases(url: str) -> None:
    with pytest.raises(ConfigError, match="database:"):
        open_store(url)
