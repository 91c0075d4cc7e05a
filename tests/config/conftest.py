"""A configuration file to fill, and the connectors it may name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_lms import CONNECTORS, MINIMAL

from bridge.core.connector import Connector


@pytest.fixture
def connectors() -> Mapping[str, type[Connector[Any]]]:
    return CONNECTORS


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(MINIMAL)
    return path
