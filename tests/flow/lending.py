"""What every tier with a whole bridge shares: the rig on SQLite, and rendering processes that outlive one test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flow.rig import Rig, build

from bridge.issuing.renderer import Renderer


class Lent:
    """The rendering processes of the whole test run, lent to one bridge, which must not end them."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._renderer, name)

    def close(self) -> None:
        """Keeps them."""


@pytest.fixture
def rig(tmp_path: Path, _sqlite_template: Path) -> Iterator[Rig]:
    """A bridge on SQLite, not started yet."""
    path = tmp_path / "certbridge.db"
    shutil.copyfile(_sqlite_template, path)
    with build(tmp_path, f"sqlite:///{path}") as made:
        yield made


@pytest.fixture
def live(rig: Rig) -> Iterator[Rig]:
    """A running bridge on SQLite with both sources live."""
    with rig.running():
        yield rig
