"""The marker beside the configuration: a database that vanished, is empty, or is another's is not a first start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_school import School, make_school

from bridge.config.marker import Marker

WORDS = [("check",), ("serve",), ("doctor",), ("sources", "list"), ("events", "list")]


@pytest.fixture
def started(tmp_path: Path) -> School:
    """A school that was used once."""
    school = make_school(tmp_path / "school")
    assert school.certbridge("sources", "list").exit_code == 0
    return school


def test_a_first_start_leaves_a_marker_without_secrets(started: School) -> None:
    marker = (started.folder / "config.installation").read_text()
    identity, place = marker.splitlines()[-1].split(" ")
    assert place == "data/certbridge.db"
    assert len(identity) == 32
    started.certbridge("sources", "list")
    assert (started.folder / "config.installation").read_text() == marker


@pytest.mark.parametrize("words", WORDS, ids=lambda words: str(words[0]))
def test_case_hostile_1_a_data_folder_that_vanished_is_not_a_first_start(started: School, words: tuple[str]) -> None:
    shutil.rmtree(started.folder / "data")
    said = started.certbridge(*words)
    assert said.exit_code == 1
    assert "is not there, and this is not a first start. If its disk is not mounted, mount it" in said.stderr
    assert not (started.folder / "data").exists()
    (started.folder / "config.installation").unlink()
    assert started.certbridge("sources", "list").exit_code == 0


def test_an_empty_file_is_not_a_first_start_either(started: School) -> None:
    for path in (started.folder / "data").iterdir():
        path.unlink()
    (started.folder / "data" / "certbridge.db").touch()
    assert "this is not a first start" in started.certbridge("sources", "list").stderr
    assert (started.folder / "data" / "certbridge.db").stat().st_size == 0


def test_a_backup_and_a_folder_that_moved_as_a_whole_are_the_same_installation(started: School, tmp_path: Path) -> None:
    database = started.folder / "data" / "certbridge.db"
    shutil.copyfile(database, tmp_path / "backup")
    shutil.rmtree(started.folder / "data")
    database.parent.mkdir()
    shutil.copyfile(tmp_path / "backup", database)
    assert started.certbridge("sources", "list").exit_code == 0
    started.folder.rename(tmp_path / "elsewhere")
    assert School(tmp_path / "elsewhere").certbridge("sources", "list").exit_code == 0


def test_the_database_of_another_installation_is_refused(started: School, tmp_path: Path) -> None:
    other = make_school(tmp_path / "other")
    other.certbridge("sources", "list")
    shutil.copyfile(other.folder / "data" / "certbridge.db", started.folder / "data" / "certbridge.db")
    said = started.certbridge("sources", "list")
    assert said.exit_code == 1
    assert "belongs to another installation" in said.stderr


def test_a_marker_that_cannot_be_written_is_no_reason_not_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Marker, "remember", refuse)
    school = make_school(tmp_path / "school")
    assert school.certbridge("sources", "list").exit_code == 0
    assert not (school.folder / "config.installation").exists()


def test_a_marker_that_cannot_be_read_is_named(started: School) -> None:
    (started.folder / "config.installation").write_bytes(b"\xff\xfe")
    said = started.certbridge("sources", "list")
    assert said.exit_code == 1
    assert "config.installation cannot be read" in said.stderr
