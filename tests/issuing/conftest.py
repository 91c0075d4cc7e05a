"""One warm rendering process for all issuing tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.issuing.renderer import Renderer


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    with Renderer(workers=1) as renderer:
        yield renderer
