"""A real bridge for every attack: real receiver over sockets, real workers, real mails in a folder, real pages."""

from __future__ import annotations

import io
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flow.rig import Rig, build

import bridge.app
from bridge.issuing.renderer import Renderer
from bridge.observe import configure_logging


class Lent:
    """The rendering processes of the whole test run, lent to one bridge, which must not end them."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._renderer, name)

    def close(self) -> None:
        """Keeps them."""


@pytest.fixture(scope="session")
def lent() -> Iterator[Renderer]:
    """Real rendering processes with little memory and little time, so that a bomb ends soon."""
    with Renderer(workers=2, timeout=3.0, memory_bytes=400 * 1024 * 1024) as made:
        yield made


@pytest.fixture(autouse=True)
def _lent_renderer(monkeypatch: pytest.MonkeyPatch, lent: Renderer) -> None:
    monkeypatch.setattr(bridge.app, "_renderer", lambda config: Lent(lent))


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Whatever a test sets up for logs ends with it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging(form="json", stream=io.StringIO())
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


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
