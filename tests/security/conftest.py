"""A real bridge for every attack: real receiver over sockets, real workers, real mails in a folder, real pages."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from flow.lending import Lent, live, rig

import bridge.app
from bridge.issuing.renderer import Renderer
from bridge.observe import configure_logging

__all__ = ["live", "rig"]


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
