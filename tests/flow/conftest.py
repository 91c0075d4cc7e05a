"""Fixtures for the tests of the flow: a whole bridge, on SQLite and where it matters on PostgreSQL as well."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from flow.harbour_site import Site, site_on
from flow.lending import Lent, live, rig
from flow.rig import Rig, build
from vendors.plain_api import PlainApi

import bridge.app
import bridge.flow.work
from bridge.issuing.renderer import Renderer

__all__ = ["live", "rig"]


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    """Real rendering processes; starting them for every test would take longer than the tests."""
    with Renderer(workers=2) as made:
        yield made


@pytest.fixture(autouse=True)
def _lent_renderer(monkeypatch: pytest.MonkeyPatch, renderer: Renderer) -> None:
    monkeypatch.setattr(bridge.app, "_renderer", lambda config: Lent(renderer))


@pytest.fixture(autouse=True)
def _look_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command beside a bridge waits until that looks; tests/crash and tests/cli keep the second it really takes."""
    monkeypatch.setattr(bridge.flow.work, "PAUSE", 0.2)


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Log lines of the tests go to logging, where pytest keeps them; whatever a test sets up ends with it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    structlog.configure(
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
    )
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def plain() -> Iterator[PlainApi]:
    """A vendor of plain APIs."""
    with PlainApi() as api:
        yield api


@pytest.fixture
def any_rig(tmp_path: Path, database_url: str) -> Iterator[Rig]:
    """A bridge, not started yet: once on SQLite, once on PostgreSQL."""
    with build(tmp_path, database_url) as made:
        yield made


@pytest.fixture
def site(rig: Rig) -> Iterator[Site]:
    """A bridge with Harbour as its only source, on SQLite, not started yet."""
    with site_on(rig) as made:
        yield made


@pytest.fixture
def harbour(site: Site) -> Iterator[Site]:
    """The same, running; nothing is polled before a test says so."""
    with site.rig.running():
        yield site


@pytest.fixture
def any_harbour(any_rig: Rig) -> Iterator[Site]:
    """The same, once on SQLite and once on PostgreSQL."""
    with site_on(any_rig) as made, made.rig.running():
        yield made
