"""What was acknowledged survives killed processes, lost connections and restarted servers."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text, update
from store_samples import at_once, event, request

from bridge.core.errors import MisplacedError, UnavailableError
from bridge.store import identity, inbox, requests
from bridge.store.engine import Store, Transaction, open_store
from bridge.store.tables import requests as requests_table

WRITER = """
import sys, threading
from bridge.store import requests
from bridge.store.engine import open_store
store = open_store(sys.argv[1], owner=sys.argv[2] == "owner")
new = requests.NewRequest(source="s", entry="webhook", method="POST", target="", headers={}, body=b"x" * 2000,
    body_sha256="", size=2000, peer="", outcome="accepted", reason="", status=200)
lock = threading.Lock()
def write():
    for _ in range(int(sys.argv[3])):
        number = store.transact(lambda tx: requests.record(tx, new))
        with lock:
            print(number, flush=True)
threads = [threading.Thread(target=write) for _ in range(int(sys.argv[4]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
"""


def writer(url: str, *, owner: bool, each: int, threads: int) -> subprocess.Popen[str]:
    """Starts a process that stores requests and prints the number of each one once it is acknowledged."""
    arguments = [url, "owner" if owner else "beside", str(each), str(threads)]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    )


def stored(store: Store) -> set[int]:
    return set(store.read(lambda tx: tx.connection.execute(select(requests_table.c.id)).scalars().all()))


@pytest.mark.parametrize("lines", [1, 150, 700])
def test_kill_minus_nine_loses_nothing_that_was_acknowledged(database_url: str, lines: int) -> None:
    process = writer(database_url, owner=True, each=100_000, threads=8)
    assert process.stdout is not None
    acknowledged = {int(process.stdout.readline()) for _ in range(lines)}
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split("\n")[:-1]  # a line cut by the kill has no end
    acknowledged |= {int(line) for line in rest}
    process.stdout.close()
    process.wait()
    with open_store(database_url) as store:
        assert acknowledged <= stored(store)
        if store.dialect == "sqlite":
            assert store.read(lambda tx: tx.connection.scalar(text("PRAGMA integrity_check"))) == "ok"
        store.transact(lambda tx: requests.record(tx, request()))


def test_commands_commit_beside_a_busy_owner(store: Store, database_url: str) -> None:
    stop = threading.Event()

    def keep_busy() -> int:
        written = 0
        while not stop.is_set():
            store.transact(lambda tx: requests.record(tx, request()))
            written += 1
        return written

    def commands() -> int:
        try:
            processes = [writer(database_url, owner=False, each=40, threads=2) for _ in range(2)]
            outputs = [process.communicate()[0] for process in processes]
            assert [process.returncode for process in processes] == [0, 0]
            return sum(len(output.split()) for output in outputs)
        finally:
            stop.set()

    busy, beside = at_once([keep_busy, commands])
    assert beside == 160
    assert isinstance(busy, int)
    assert busy > 0
    assert len(stored(store)) == busy + 160


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # on PostgreSQL nobody waits for another
def test_a_command_waits_its_turn_and_then_says_what_is_in_the_way(database_url: str, store: Store) -> None:
    with open_store(database_url, owner=False) as command:
        inside, go_on = threading.Event(), threading.Event()

        def hold(tx: Transaction) -> None:
            inside.set()
            assert go_on.wait(20)

        thread = threading.Thread(target=lambda: store.transact(hold, wait=30))
        thread.start()
        assert inside.wait(20)
        with pytest.raises(UnavailableError, match="another program"):
            command.transact(lambda tx: requests.record(tx, request()), wait=0.05)
        go_on.set()
        thread.join()
        command.transact(lambda tx: requests.record(tx, request()))
        checkpoints = command.transact(lambda tx: tx.connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar())
        assert checkpoints == 0
    assert len(stored(store)) == 1


# -- PostgreSQL goes away ------------------------------------------------------------------------


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    with open_store(postgres_url) as store:
        yield store


PID = text("SELECT pg_backend_pid()")


def test_runs_again_when_its_connection_is_cut(postgres_store: Store, postgres_server: Any) -> None:
    runs: list[int] = []

    def fn(tx: Transaction) -> int:
        runs.append(tx.connection.scalar(PID))
        requests.record(tx, request())
        if len(runs) == 1:
            postgres_server.execute(f"SELECT pg_terminate_backend({runs[0]})")
        return requests.record(tx, request())

    postgres_store.transact(fn)
    assert len(runs) == 2
    assert len(stored(postgres_store)) == 2


def test_idle_connections_that_were_cut_are_replaced(postgres_store: Store, postgres_server: Any) -> None:
    pids = {postgres_store.transact(lambda tx: tx.connection.scalar(PID))}
    pids |= {postgres_store.read(lambda tx: tx.connection.scalar(PID))}
    for pid in pids:
        postgres_server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
    postgres_store.transact(lambda tx: requests.record(tx, request()))
    assert len(stored(postgres_store)) == 1


def test_survives_a_restart_of_the_server(postgres_store: Store, postgres_server: Any) -> None:
    postgres_store.transact(lambda tx: requests.record(tx, request()))
    postgres_server.restart()
    postgres_store.transact(lambda tx: requests.record(tx, request()))
    assert len(stored(postgres_store)) == 2


def test_says_that_the_server_is_away_and_finds_it_again(postgres_store: Store, postgres_server: Any) -> None:
    postgres_store.transact(lambda tx: requests.record(tx, request()))
    postgres_server.stop("fast")
    try:
        with pytest.raises(UnavailableError, match=r"cannot be used.*127\.0\.0\.1") as caught:
            postgres_store.transact(lambda tx: requests.record(tx, request()), wait=0.3)
        assert caught.value.stable_code == "store_unavailable"
        assert "cannot be used" in postgres_store.problems()[0]
    finally:
        postgres_server.start()
    postgres_store.transact(lambda tx: requests.record(tx, request()))
    assert len(stored(postgres_store)) == 2


def test_waits_for_a_server_that_is_starting(postgres_store: Store, postgres_server: Any) -> None:
    postgres_server.stop("fast")
    _, number = at_once(
        [postgres_server.start, lambda: postgres_store.transact(lambda tx: requests.record(tx, request()), wait=20)]
    )
    assert isinstance(number, int)


def test_does_not_run_again_when_it_may_have_been_stored(postgres_store: Store, postgres_server: Any) -> None:
    runs: list[int] = []

    def fn(tx: Transaction) -> None:
        runs.append(requests.record(tx, request()))
        pid = tx.connection.scalar(PID)
        postgres_server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")  # the commit will find nobody there

    with pytest.raises(UnavailableError, match="not known whether"):
        postgres_store.transact(fn)
    assert len(runs) == 1
    assert stored(postgres_store) == set()


def test_runs_again_after_a_deadlock(postgres_store: Store) -> None:
    first, second = postgres_store.transact(lambda tx: [requests.record(tx, request()) for _ in range(2)])
    meet = threading.Barrier(2)
    runs: list[str] = []

    def change(name: str, order: tuple[int, int]) -> None:
        tries: list[int] = []

        def fn(tx: Transaction) -> None:
            runs.append(name)
            tries.append(1)
            for index, number in enumerate(order):
                tx.connection.execute(update(requests_table).where(requests_table.c.id == number).values(reason=name))
                if index == 0 and len(tries) == 1:
                    meet.wait(20)

        postgres_store.transact(fn)

    results = at_once([lambda: change("a", (first, second)), lambda: change("b", (second, first))])
    assert results == [None, None]
    assert len(runs) == 3


def test_a_duplicate_waits_for_the_first_ones_commit(postgres_store: Store) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def first(tx: Transaction) -> inbox.Put:
        put = inbox.put(tx, event("same"))
        inside.set()
        assert go_on.wait(20)
        return put

    def second() -> inbox.Put:
        assert inside.wait(20)
        threading.Timer(0.2, go_on.set).start()
        return postgres_store.transact(lambda tx: inbox.put(tx, event("same")))

    one, two = at_once([lambda: postgres_store.transact(first), second])
    assert (one.result, two.result) == ("new", "duplicate")  # type: ignore[union-attr]
    assert one.inbox_id == two.inbox_id  # type: ignore[union-attr]


# -- PostgreSQL is another one than before -------------------------------------------------------


def own_database(server: Any, name: str) -> str:
    server.execute(f"CREATE DATABASE {name} TEMPLATE template_certbridge")
    return str(server.url(name))


def test_a_database_that_was_made_anew_is_another_one(postgres_url: str, postgres_server: Any) -> None:
    url = own_database(postgres_server, "made_anew")
    with open_store(url) as store:
        store.expect(store.transact(lambda tx: identity.ensure(tx, None)))
        postgres_server.execute("DROP DATABASE made_anew WITH (FORCE)")
        own_database(postgres_server, "made_anew")
        for use in (store.transact, store.read):
            with pytest.raises(MisplacedError, match="another one than certbridge was started with"):
                use(lambda tx: tx.connection.execute(text("SELECT 1")))
        trouble = store.trouble()
        assert trouble is not None
        assert "has to be restarted" in trouble.public
    postgres_server.execute("DROP DATABASE made_anew WITH (FORCE)")


def test_a_standby_that_only_reads_is_named_and_passes(
    postgres_url: str, postgres_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_database(postgres_server, "standby")
    with open_store(url) as store:
        store.expect(store.transact(lambda tx: identity.ensure(tx, None)))
        switch = "ALTER DATABASE standby SET default_transaction_read_only = {}"
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'standby'"
        postgres_server.execute(switch.format("on"))
        postgres_server.execute(cut)
        for _ in range(3):
            with pytest.raises(MisplacedError, match="can only be read now"):
                store.transact(lambda tx: requests.record(tx, request()))
        assert store.trouble() is not None
        assert caplog.text.count("not storing, issuing or sending anything") == 1
        postgres_server.execute(switch.format("off"))
        postgres_server.execute(cut)
        store.transact(lambda tx: requests.record(tx, request()))
        assert len(stored(store)) == 1
    postgres_server.execute("DROP DATABASE standby WITH (FORCE)")


@pytest.mark.parametrize("statement", ["DROP SCHEMA public CASCADE", "ALTER TABLE requests DROP COLUMN source"])
def test_tables_that_are_not_there_are_named(postgres_url: str, statement: str) -> None:
    with open_store(postgres_url) as store:
        store.transact(lambda tx: tx.connection.execute(text(statement)))
        with pytest.raises(MisplacedError, match="has not been prepared"):
            store.transact(lambda tx: requests.record(tx, request()))
