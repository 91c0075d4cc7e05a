"""The database is moved, replaced, linked or overwritten while a daemon runs: a message, and no loss."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from crash_daemon import PROGRAM, ROOT, Daemon
from crash_load import Completed, complete, completions
from crash_site import Site, assert_file_whole

from bridge.core import certificate_id
from bridge.store.engine import open_store

EIGHT = 8


def database(site: Site) -> Path:
    return Path(site.stands.config.database_url.removeprefix("sqlite:///"))


def beside(site: Site, ending: str) -> Path:
    return Path(f"{database(site)}{ending}")


def post(site: Site, daemon: Daemon, some: list[Completed]) -> list[int | None]:
    """Posts a signed webhook about each; returns what was answered."""
    return [daemon.post(*complete(site, one)) for one in some]


def reasons(daemon: Daemon) -> str:
    answer = daemon.get("/readyz")
    assert answer is not None
    assert answer[0] == 503, answer
    return answer[1].decode()


def found(site: Site) -> int:
    """How many events are in the file at the path; nothing else has it open."""
    with open_store(site.stands.config.database_url, owner=False) as store:
        site.store = store
        return len(site.look().inbox)


def command(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a command beside the daemon, or without one."""
    arguments = [sys.executable, "-c", PROGRAM, "-c", str(site.stands.folder / "config.yaml"), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(arguments, capture_output=True, text=True, env=env, check=False)


def settled_start(site: Site) -> tuple[Daemon, list[Completed]]:
    """A daemon that has taken in eight events and worked on all of them; and eight more learners."""
    people = completions(site, 2 * EIGHT)
    daemon = site.start()
    assert post(site, daemon, people[:EIGHT]) == [200] * EIGHT
    daemon.eventually(lambda: len(site.message_ids()) == EIGHT, "mail all eight")
    return daemon, people[EIGHT:]


# -- what a restore does -----------------------------------------------------------------------------


def copy_and_copy_back(path: Path) -> None:
    backup = path.with_name("backup")
    shutil.copy2(path, backup)
    shutil.copyfile(backup, path)


def copy_and_move_back(path: Path) -> None:
    backup = path.with_name("backup")
    shutil.copy2(path, backup)
    backup.replace(path)


def back_up_and_move_back(path: Path) -> None:
    backup = path.with_name("backup")
    with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
        source.backup(target)
    source.close()
    target.close()
    backup.replace(path)


RESTORES = [copy_and_copy_back, copy_and_move_back, back_up_and_move_back]


@pytest.mark.parametrize("restore", RESTORES, ids=lambda restore: str(restore.__name__))
def test_case_hostile_1_a_backup_restored_over_the_running_file_ends_with_a_message_and_no_loss(
    kept_site: Site, restore: Callable[[Path], None]
) -> None:
    daemon, more = settled_start(kept_site)
    restore(database(kept_site))
    assert post(kept_site, daemon, more) == [503] * EIGHT
    assert "certbridge has to be restarted" in reasons(daemon)
    assert str(database(kept_site)) not in reasons(daemon)
    for words in (("doctor",), ("events", "list")):
        said = command(kept_site, *words)
        assert said.returncode == 1, said
        assert "start certbridge" in said.stderr
    assert daemon.log().count("not storing, issuing or sending anything") == 1
    assert "Traceback" not in daemon.log()
    assert len(kept_site.message_ids()) == EIGHT
    assert daemon.stop() == 0

    second = kept_site.start()
    assert post(kept_site, second, more) == [200] * EIGHT
    second.eventually(lambda: len(kept_site.message_ids()) == 2 * EIGHT, "mail the others, and nobody twice")
    assert second.stop() == 0
    assert found(kept_site) == 2 * EIGHT
    assert_file_whole(kept_site)


# -- what comes back ---------------------------------------------------------------------------------


def file_away(path: Path) -> Callable[[], object]:
    away = path.with_name("elsewhere")
    path.rename(away)
    return lambda: away.rename(path)


def file_replaced(path: Path) -> Callable[[], object]:
    back = file_away(path)
    path.write_bytes(b"")
    return back


def folder_away(path: Path) -> Callable[[], object]:
    away = path.parent.with_name("elsewhere")
    path.parent.rename(away)
    return lambda: away.rename(path.parent)


def folder_empty(path: Path) -> Callable[[], object]:
    """A disk that is not mounted any more."""
    back = folder_away(path)
    path.parent.mkdir()

    def mount() -> None:
        shutil.rmtree(path.parent)
        back()

    return mount


def second_name(path: Path) -> Callable[[], object]:
    other = path.with_name("snapshot")
    other.hardlink_to(path)
    return other.unlink


def log_away(path: Path) -> Callable[[], object]:
    return file_away(path.with_name(path.name + "-wal"))


def lock_away(path: Path) -> Callable[[], object]:
    return file_away(path.with_name(path.name + ".lock"))


AWAY = [file_away, file_replaced, folder_away, folder_empty, second_name, lock_away]


def test_case_hostile_1_while_the_file_is_not_in_its_place_nothing_is_taken_in_and_it_recovers(kept_site: Site) -> None:
    people = completions(kept_site, len(AWAY))
    daemon = kept_site.start()
    for number, (take, one) in enumerate(zip(AWAY, people, strict=True), start=1):
        put_back = take(database(kept_site))
        assert daemon.post(*complete(kept_site, one)) == 503, take
        assert "database" in reasons(daemon)
        page = daemon.get(f"/c/{certificate_id.grouped(certificate_id.new())}")
        assert page is not None
        assert page[0] == 503
        put_back()
        assert daemon.ready(), reasons(daemon)
        assert daemon.post(*complete(kept_site, one)) == 200
        daemon.eventually(lambda number=number: len(kept_site.message_ids()) == number, "mail it")  # type: ignore[misc]
    assert "Traceback" not in daemon.log()
    # Once for each, and not for each request; between two steps of one taking away a look may fall.
    assert len(AWAY) <= daemon.log().count("not storing, issuing or sending anything") <= 2 * len(AWAY)
    daemon.kill()
    assert found(kept_site) == len(AWAY)


def test_case_hostile_1_a_folder_that_is_gone_is_said_by_serve_check_and_commands(kept_site: Site) -> None:
    daemon, more = settled_start(kept_site)
    put_back = folder_away(database(kept_site))
    assert daemon.stop() == 0
    for words in (("serve",), ("check",), ("events", "list")):
        said = command(kept_site, *words)
        assert said.returncode == 1, said
        assert "is not there, and this is not a first start" in said.stderr
        assert str(kept_site.stands.folder / "config.installation") in said.stderr
    assert not database(kept_site).parent.exists()
    put_back()
    second = kept_site.start()
    assert post(kept_site, second, more[:1]) == [200]
    second.stop()
    assert found(kept_site) == EIGHT + 1


def test_a_log_that_is_removed_takes_nothing_with_it(kept_site: Site) -> None:
    daemon, more = settled_start(kept_site)
    beside(kept_site, "-wal").unlink()
    beside(kept_site, "-shm").unlink()
    assert post(kept_site, daemon, more) == [503] * EIGHT
    assert "log of the database" in reasons(daemon)
    daemon.kill()
    assert found(kept_site) == EIGHT
    assert_file_whole(kept_site)


def test_a_link_that_leads_to_another_file_is_seen(kept_site: Site, tmp_path: Path) -> None:
    path, target, other = database(kept_site), tmp_path / "data" / "real.db", tmp_path / "data" / "other.db"
    with open_store(f"sqlite:///{target}") as store:
        store.upgrade()
    path.symlink_to(target)
    daemon, more = settled_start(kept_site)
    shutil.copyfile(target, other)
    path.unlink()
    path.symlink_to(other)
    assert post(kept_site, daemon, more) == [503] * EIGHT
    assert "another" in reasons(daemon)
    path.unlink()
    path.symlink_to(target)
    assert post(kept_site, daemon, more) == [200] * EIGHT
    daemon.stop()
    assert found(kept_site) == 2 * EIGHT
