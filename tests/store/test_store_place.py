"""The file that is written is the file at the path; the lock keeps a second daemon away, and lets one wait."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, make_url, select
from store_samples import request

from bridge.core.errors import ConfigError, MisplacedError
from bridge.store import requests
from bridge.store.engine import OwnedError, OwnerLock, StoppedWaitingError, Store, Transaction, open_store
from bridge.store.mixed import refuse_mixed
from bridge.store.tables import requests as requests_table

BIG = b"x" * 5000


def write(store: Store, count: int = 1) -> None:
    for _ in range(count):
        store.transact(lambda tx: requests.record(tx, request(body=BIG)))


def counted(store: Store) -> int:
    return int(store.read(lambda tx: tx.connection.scalar(select(func.count()).select_from(requests_table))))


def path_of(url: str) -> Path:
    return Path(make_url(url).database or "")


def test_a_file_that_goes_away_between_check_and_commit_is_not_acknowledged(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url) as store:
        write(store)

        def lose(tx: Transaction) -> None:
            requests.record(tx, request())
            path_of(sqlite_url).rename(tmp_path / "away")

        with pytest.raises(MisplacedError, match="is not where it was"):
            store.transact(lose)
        (tmp_path / "away").rename(path_of(sqlite_url))
        assert counted(store) == 1
        write(store)
        assert counted(store) == 2


def test_a_command_does_not_write_into_a_file_that_was_replaced(sqlite_url: str) -> None:
    with open_store(sqlite_url, owner=False) as command:
        write(command)
        backup = path_of(sqlite_url).with_name("backup")
        shutil.copyfile(path_of(sqlite_url), backup)
        backup.replace(path_of(sqlite_url))
        for use in (write, counted):
            with pytest.raises(MisplacedError, match="another file"):
                use(command)


def test_moving_the_log_into_the_file_is_not_taken_for_a_strangers_hand(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, open_store(sqlite_url, owner=False) as command:
        stop = threading.Event()
        seen: list[BaseException] = []

        def look() -> None:
            while not stop.is_set():
                try:
                    counted(store)
                except MisplacedError as error:
                    seen.append(error)

        readers = [threading.Thread(target=look) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(300):
            write(store)
            if number % 50 == 0:
                store.checkpoint()
                write(command)
        stop.set()
        for reader in readers:
            reader.join()
        assert seen == []
        assert counted(store) == 306


def test_the_log_does_not_grow_for_ever(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        write(store, 1500)
        assert Path(f"{path_of(sqlite_url)}-wal").stat().st_size < 16 * 1024 * 1024
        assert path_of(sqlite_url).stat().st_size > 4 * 1024 * 1024


def test_an_older_backup_beside_a_newer_log_is_refused_and_stays_whole(sqlite_url: str) -> None:
    path, backup = path_of(sqlite_url), path_of(sqlite_url).with_name("backup")
    with open_store(sqlite_url) as store:
        write(store, 50)
    shutil.copyfile(path, backup)
    with OwnerLock(sqlite_url) as lock, open_store(sqlite_url, lock=lock) as store:
        write(store, 200)
        store.checkpoint()
        write(store, 50)
        shutil.copyfile(backup, path)
        with pytest.raises(MisplacedError, match="wrote into the database"):
            write(store)
    note = OwnerLock.last_note(sqlite_url)
    assert note is not None
    assert "wrote into" in note.trouble
    with pytest.raises(ConfigError, match="do not belong together"):
        refuse_mixed(sqlite_url, note)
    assert path.read_bytes() == backup.read_bytes()


# -- who may serve a SQLite file -----------------------------------------------------------------


def test_only_one_may_serve_a_sqlite_file(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    assert OwnerLock.serving(url) is None
    with OwnerLock(url):
        assert OwnerLock.serving(url) is not None
        with pytest.raises(ConfigError, match=rf"process {os.getpid()}\).*x\.db"), OwnerLock(url):
            pass
        assert OwnerLock.serving(url) is not None
    assert OwnerLock.serving(url) is None
    with OwnerLock(url):
        pass


def test_the_lock_goes_with_the_process_that_held_it(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    code = (
        "import sys, time; from bridge.store.engine import OwnerLock\n"
        "with OwnerLock(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert OwnerLock.serving(url) is not None
        with pytest.raises(ConfigError, match=f"process {process.pid}"), OwnerLock(url):
            pass
        process.kill()
    assert OwnerLock.serving(url) is None


def test_postgresql_may_be_served_by_many() -> None:
    url = "postgresql+psycopg://a@127.0.0.1/x"
    with OwnerLock(url), OwnerLock(url):
        assert OwnerLock.serving(url) is None


def test_case_hostile_4_looking_whether_a_lock_is_held_takes_nothing(tmp_path: Path) -> None:
    url, stop, refused = f"sqlite:///{tmp_path}/x.db", threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            OwnerLock.serving(url)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    for _ in range(300):
        try:
            with OwnerLock(url):
                pass
        except OwnedError as error:
            refused.append(error)
    stop.set()
    for looker in lookers:
        looker.join()
    assert refused == []


def test_case_hostile_4_a_daemon_waits_for_a_command_which_hands_over(tmp_path: Path) -> None:
    url, served = f"sqlite:///{tmp_path}/x.db", threading.Event()

    def serve() -> None:
        with OwnerLock(url):
            served.set()

    with OwnerLock(url, command=True) as lock:
        assert not lock.wanted()
        daemon = threading.Thread(target=serve)
        daemon.start()
        while not lock.wanted():
            threading.Event().wait(0.01)
        assert not served.is_set()
        with pytest.raises(OwnedError, match="already works"), OwnerLock(url, command=True):
            pass
        with pytest.raises(OwnedError, match="Only one may serve"), OwnerLock(url):
            pass
    daemon.join()
    assert served.is_set()


def test_a_daemon_that_waits_can_be_stopped(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    with (
        OwnerLock(url, command=True),
        pytest.raises(StoppedWaitingError),
        OwnerLock(url, stopping=lambda: True),
    ):
        pass


def test_two_links_to_one_file_lead_to_one_lock(tmp_path: Path) -> None:
    (tmp_path / "real.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    with (
        OwnerLock(f"sqlite:///{tmp_path}/real.db"),
        pytest.raises(OwnedError),
        OwnerLock(f"sqlite:///{tmp_path}/link.db"),
    ):
        pass
