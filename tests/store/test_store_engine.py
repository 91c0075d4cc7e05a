"""Transactions: own failures stay own, the commit comes before the answer, and nobody waits for ever."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError
from store_samples import at_once, event, request

from bridge.core.errors import BridgeError, UnavailableError
from bridge.store import artifacts, group_commit, inbox, requests, sqlite
from bridge.store.engine import Store, Transaction, open_store
from bridge.store.sqlite import SqliteStore, has_wal_reset_bug


def number_of_requests(store: Store) -> int:
    return int(store.read(lambda tx: tx.connection.scalar(text("SELECT count(*) FROM requests"))))


@contextmanager
def busy_writer(store: Store) -> Iterator[None]:
    """Keeps the writing thread inside a transaction, so that what comes next has to queue."""
    started, go_on = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        started.set()
        assert go_on.wait(20)

    thread = threading.Thread(target=lambda: store.transact(hold, wait=30))
    thread.start()
    assert started.wait(20)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[SqliteStore]:
    with open_store(sqlite_url) as store:
        store.upgrade()
        assert isinstance(store, SqliteStore)
        yield store


# -- on both databases ---------------------------------------------------------------------------


def test_a_failing_function_fails_alone(store: Store) -> None:
    def write(index: int) -> Callable[[Transaction], int]:
        def fn(tx: Transaction) -> int:
            number = requests.record(tx, request(target=str(index)))
            if index % 3 == 1:
                raise LookupError(index)
            if index % 3 == 2:
                tx.connection.execute(text("INSERT INTO requests (id, source) VALUES (1, NULL)"))
            return number

        return fn

    results = at_once([lambda index=index: store.transact(write(index)) for index in range(30)])
    kinds = [type(result) for result in results]
    assert kinds == [int, LookupError, IntegrityError] * 10
    stored = store.read(lambda tx: {row.target for row in requests.search(tx, limit=100)})
    assert stored == {str(index) for index in range(0, 30, 3)}


def test_a_functions_own_exception_comes_out_unchanged(store: Store) -> None:
    error = KeyError("mine")

    def fail(tx: Transaction) -> None:
        requests.record(tx, request())
        raise error

    with pytest.raises(KeyError) as caught:
        store.transact(fail)
    assert caught.value is error
    assert number_of_requests(store) == 0


def test_what_was_committed_is_visible_to_others_when_transact_returns(store: Store, database_url: str) -> None:
    with open_store(database_url, owner=False) as other:
        for expected in range(1, 20):
            store.transact(lambda tx: requests.record(tx, request()))
            assert number_of_requests(other) == expected


def test_commits_reach_the_disk(store: Store) -> None:
    if store.dialect == "sqlite":
        ask = ("PRAGMA synchronous", "PRAGMA journal_mode", "PRAGMA foreign_keys", "PRAGMA wal_autocheckpoint")
        expected = [2, "wal", 1, 0]  # the store moves the log itself, between two commits
    else:
        ask, expected = ("SHOW synchronous_commit", "SHOW transaction_isolation"), ["on", "read committed"]
    asked = store.transact(lambda tx: [tx.connection.exec_driver_sql(one).scalar() for one in ask])
    assert asked == expected


def test_reading_connections_cannot_write(store: Store) -> None:
    with pytest.raises(BridgeError, match=r"read-only|cannot execute INSERT"):
        store.read(lambda tx: requests.record(tx, request()))
    assert number_of_requests(store) == 0


def test_a_read_sees_one_moment_and_blocks_no_writer(store: Store) -> None:
    reading, written = threading.Event(), threading.Event()

    def look_twice(tx: Transaction) -> tuple[int, int]:
        count = text("SELECT count(*) FROM requests")
        before = tx.connection.scalar(count)
        reading.set()
        assert written.wait(20)
        return before, tx.connection.scalar(count)

    def write() -> None:
        assert reading.wait(20)
        for _ in range(50):
            store.transact(lambda tx: requests.record(tx, request()))
        store.checkpoint()
        written.set()

    looked, _ = at_once([lambda: store.read(look_twice), write])
    assert looked == (0, 0)
    assert number_of_requests(store) == 50


def test_hooks_run_after_the_commit(store: Store) -> None:
    seen: list[str] = []

    def fn(tx: Transaction) -> None:
        requests.record(tx, request())
        tx.after_commit(lambda: seen.append("first"))
        tx.after_commit(lambda: seen.append("second"))
        assert seen == []

    store.transact(fn)
    assert seen == ["first", "second"]


def test_hooks_do_not_run_when_nothing_was_committed(store: Store) -> None:
    seen: list[str] = []

    def fn(tx: Transaction) -> None:
        tx.after_commit(lambda: seen.append("ran"))
        raise LookupError

    with pytest.raises(LookupError):
        store.transact(fn)
    assert seen == []


def test_a_failing_hook_does_not_undo_the_answer(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def fn(tx: Transaction) -> str:
        tx.after_commit(lambda: {}["missing"])
        requests.record(tx, request())
        return "stored"

    with caplog.at_level(logging.ERROR):
        assert store.transact(fn) == "stored"
    assert "hook after the commit failed" in caplog.text
    assert number_of_requests(store) == 1


def test_refuses_to_be_called_from_inside_a_transaction(store: Store) -> None:
    def nothing(tx: Transaction) -> None:
        return None

    for outer in (store.transact, store.read):
        for inner in (store.transact, store.read):
            with pytest.raises(RuntimeError, match="inside a transaction"):
                outer(lambda tx, inner=inner: inner(nothing))
    store.transact(nothing)


def test_rows_may_name_only_what_exists(store: Store) -> None:
    with pytest.raises(IntegrityError):
        store.transact(lambda tx: artifacts.activate(tx, "mapping", "school", "nothing stored", "me"))


def test_a_healthy_store_has_no_problems(store: Store) -> None:
    assert store.problems() == []


def test_a_closed_store_stores_nothing_and_says_so(store: Store) -> None:
    store.transact(lambda tx: requests.record(tx, request()))
    store.close()
    store.close()
    if store.dialect == "sqlite":
        with pytest.raises(UnavailableError, match="nothing was stored"):
            store.transact(lambda tx: requests.record(tx, request()))


def test_an_unknown_answer_is_a_problem_not_an_exception(tmp_path: Path, postgres_server) -> None:
    away = make_url(postgres_server.url("nobody_made_this_database"))
    with open_store(away.render_as_string(hide_password=False)) as store:
        (problem,) = store.problems()
    assert "nobody_made_this_database" in problem


# -- the group on SQLite -------------------------------------------------------------------------


def test_functions_that_wait_together_share_one_commit(sqlite_store: SqliteStore) -> None:
    commits: list[object] = []
    with busy_writer(sqlite_store):
        sqlalchemy_event.listen(sqlite_store._write_engine, "commit", commits.append)
        threads = [
            threading.Thread(target=lambda: sqlite_store.transact(lambda tx: requests.record(tx, request())))
            for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        assert sqlite_store._writer is not None
        while len(sqlite_store._writer._queue) < 40:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join()
    assert number_of_requests(sqlite_store) == 40
    assert len(commits) == 2  # the one that kept the writer busy, and one for all forty


def test_refuses_what_does_not_fit_into_the_queue(sqlite_url: str) -> None:
    store = SqliteStore(make_url(sqlite_url), owner=True, queue_limit=2)
    store.upgrade()
    threads = []
    with busy_writer(store):
        for _ in range(2):
            threads.append(threading.Thread(target=lambda: store.transact(lambda tx: requests.record(tx, request()))))
            threads[-1].start()
        while len(store._writer._queue) < 2:  # type: ignore[union-attr]
            threading.Event().wait(0.001)
        with pytest.raises(UnavailableError) as caught:
            store.transact(lambda tx: requests.record(tx, request()))
    for thread in threads:
        thread.join()
    assert caught.value.stable_code == "queue_full"
    assert number_of_requests(store) == 2
    store.close()


def test_a_waiter_that_gave_up_is_never_served(sqlite_store: SqliteStore) -> None:
    ran: list[str] = []
    with busy_writer(sqlite_store), pytest.raises(UnavailableError, match="nothing was stored") as caught:
        sqlite_store.transact(lambda tx: ran.append("ran"), wait=0.01)
    sqlite_store.transact(lambda tx: ran.append("next"))
    assert ran == ["next"]
    assert caught.value.stable_code == "store_unavailable"


def test_says_when_it_is_not_known_whether_it_was_stored(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GRACE_SECONDS", 0.01)
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        requests.record(tx, request())
        started.set()
        assert go_on.wait(20)

    with pytest.raises(UnavailableError, match="not known whether"):
        sqlite_store.transact(slow, wait=0.2)
    assert started.is_set()
    go_on.set()
    sqlite_store.transact(lambda tx: None)
    assert number_of_requests(sqlite_store) == 1


def test_closing_finishes_what_is_queued(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    store.upgrade()
    with busy_writer(store):
        threads = [
            threading.Thread(target=lambda: store.transact(lambda tx: requests.record(tx, request())))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        while len(store._writer._queue) < 20:  # type: ignore[attr-defined]
            threading.Event().wait(0.001)
        closing = threading.Thread(target=store.close)
        closing.start()
    closing.join()
    for thread in threads:
        thread.join()
    assert not Path(f"{make_url(sqlite_url).database}-wal").exists()
    with open_store(sqlite_url) as again:
        assert number_of_requests(again) == 20


def test_a_full_disk_is_named_and_passes(sqlite_store: SqliteStore) -> None:
    sqlite_store.transact(lambda tx: requests.record(tx, request()))
    pages = sqlite_store.transact(lambda tx: tx.connection.exec_driver_sql("PRAGMA page_count").scalar())
    sqlite_store.transact(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA max_page_count={pages}"))
    small, big = request(body=b"small"), request(body=b"x" * 1_000_000)
    ran: list[str] = []

    def fill(tx: Transaction) -> None:
        tx.after_commit(lambda: ran.append("hook"))
        requests.record(tx, big)

    with pytest.raises(UnavailableError, match="disk is full") as caught:
        sqlite_store.transact(fill)
    assert caught.value.stable_code == "store_unavailable"
    assert ran == []
    sqlite_store.transact(lambda tx: tx.connection.exec_driver_sql("PRAGMA max_page_count=1000000"))
    sqlite_store.transact(lambda tx: requests.record(tx, small))
    assert number_of_requests(sqlite_store) == 2


def test_a_file_locked_by_another_program_is_named_and_passes(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    with open_store(sqlite_url) as store:
        store.upgrade()
        other = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="another program"):
            store.transact(lambda tx: requests.record(tx, request()))
        assert "another program" in store.problems()[0]
        other.execute("ROLLBACK")
        other.close()
        store.transact(lambda tx: requests.record(tx, request()))
        assert number_of_requests(store) == 1


def test_a_damaged_connection_is_replaced(sqlite_store: SqliteStore) -> None:
    # A function that ends the shared transaction behind our back spoils its group, and only that.
    with pytest.raises(UnavailableError):
        sqlite_store.transact(lambda tx: tx.connection.exec_driver_sql("ROLLBACK"))
    sqlite_store.transact(lambda tx: requests.record(tx, request()))
    assert number_of_requests(sqlite_store) == 1


def test_a_dead_writer_is_a_problem(sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_store.transact(lambda tx: None)
    monkeypatch.setattr(group_commit.GroupWriter, "alive", property(lambda self: False))
    assert "has died" in sqlite_store.problems()[0]
    with pytest.raises(UnavailableError):
        sqlite_store.transact(lambda tx: None)


def test_a_checkpoint_empties_the_log(sqlite_store: SqliteStore) -> None:
    sqlite_store.transact(lambda tx: requests.record(tx, request(body=b"x" * 100_000)))
    log = Path(f"{sqlite_store.path}-wal")
    assert log.stat().st_size > 100_000
    sqlite_store.checkpoint()
    assert log.stat().st_size == 0


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_knows_which_sqlite_can_damage_a_file(version: tuple[int, int, int], affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected


def test_puts_race_safely(store: Store) -> None:
    results = at_once([lambda: store.transact(lambda tx: inbox.put(tx, event("same"))) for _ in range(50)])
    puts = [result for result in results if isinstance(result, inbox.Put)]
    assert len(puts) == 50, results
    assert sorted(put.result for put in puts) == ["duplicate"] * 49 + ["new"]
    (row,) = store.read(lambda tx: inbox.search(tx))
    assert row.deliveries == 50
    assert {put.inbox_id for put in puts} == {row.id}
