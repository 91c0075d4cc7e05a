"""One wrong configuration per file in tests/bad_config; the lines that start with `#>` are the whole message."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.config import load
from bridge.core.connector import Connector
from bridge.core.errors import ConfigError

FOLDER = Path(__file__).parents[1] / "bad_config"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_refused_with_exactly_this_message(path: Path, connectors: Mapping[str, type[Connector[Any]]]) -> None:
    expected = [line.removeprefix("#> ") for line in path.read_text().splitlines() if line.startswith("#> ")]
    with pytest.raises(ConfigError) as caught:
        load(path, connectors, {"A_SECRET": "hunter2hunter2"})
    assert str(caught.value).splitlines() == expected
    assert "hunter2" not in str(caught.value)
    assert expected


def test_a_file_for_each_kind_of_mistake_is_there() -> None:
    assert len(FILES) > 70
