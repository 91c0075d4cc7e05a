"""Files that commands rewrite: whole or untouched, for the same owner, and a link stays a link."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.config.files import replace_file
from bridge.config.rotation import ACCEPTED, kept_beside, replace_secret
from bridge.core.errors import ConfigError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """To whom files were given; only root really can."""
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr("bridge.config.files.os.fchown", lambda file, user, group: seen.append((user, group)))
    return seen


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    replace_file(tmp_path / "keys" / "a.key", b"x")
    assert (tmp_path / "keys" / "a.key").read_bytes() == b"x"
    assert (mode(tmp_path / "keys" / "a.key"), mode(tmp_path / "keys")) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("before", "most", "after"), [(0o644, 0o777, 0o644), (0o644, 0o640, 0o640), (0o400, 0o777, 0o600)]
)
def test_a_file_keeps_its_mode_within_bounds(tmp_path: Path, before: int, most: int, after: int) -> None:
    file = tmp_path / "a"
    file.write_text("old")
    file.chmod(before)
    replace_file(file, b"new", most=most)
    assert (file.read_bytes(), mode(file)) == (b"new", after)


def test_a_file_stays_with_its_owner_and_so_does_the_one_beside_it(
    tmp_path: Path, given: list[tuple[int, int]]
) -> None:
    file = tmp_path / "a.key"
    file.write_text("old")
    replace_secret(file, "new")
    owner = file.stat()
    assert given == [(owner.st_uid, owner.st_gid)] * 2


def test_where_a_file_cannot_be_given_away_it_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("bridge.config.files.os.fchown", refused)
    file = tmp_path / "a"
    file.write_text("old")
    replace_file(file, b"new")
    assert file.read_bytes() == b"new"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("fails", ["os.fsync", "Path.replace"])
def test_a_failure_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "a.key"
    file.write_text("old")
    monkeypatch.setattr(f"bridge.config.files.{fails}", full)
    with pytest.raises(ConfigError, match="the secret was not changed"):
        replace_secret(file, "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.key", "old")]


def test_the_secret_before_is_accepted_for_a_week_by_the_age_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a.key"
    assert kept_beside(file) is None
    replace_secret(file, "first")
    assert kept_beside(file) is None, "there was none before"
    replace_secret(file, "second")
    kept = kept_beside(file)
    assert kept is not None
    assert (kept.read_text(), file.read_text()) == ("first\n", "second\n")
    written = kept.stat().st_mtime
    assert timedelta(days=7) == ACCEPTED
    assert kept_beside(file, now=written + ACCEPTED.total_seconds() - 1) == kept
    assert kept_beside(file, now=written + ACCEPTED.total_seconds() + 1) is None
    os.utime(kept, (0, 0))
    assert kept_beside(file) is None
