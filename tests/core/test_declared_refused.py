"""One wrong declaration per file in tests/bad_declarations; the lines that start with `#>` are the whole message."""

from __future__ import annotations

from pathlib import Path

import pytest
from declared_examples import EVENTS, SMALL

from bridge.config.declared import TAKEN
from bridge.core.declared import read_declared
from bridge.core.errors import ConfigError
from bridge.core.mapping import compile_mapping, gather

FOLDER = Path(__file__).parents[1] / "bad_declarations"
FILES = sorted(FOLDER.glob("*.yaml"))
SHIPPED = {"zapier": SMALL, "thinkific": "connector: thinkific\n" + EVENTS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_refused_with_exactly_this_message(path: Path) -> None:
    text = path.read_text()
    expected = [line.removeprefix("#> ") for line in text.splitlines() if line.startswith("#> ")]
    with pytest.raises(ConfigError) as caught:
        _read(path, text)
    assert str(caught.value).splitlines() == expected
    assert expected


def _read(path: Path, text: str) -> None:
    read_declared(path.stem, text, path.name, taken=TAKEN, texts=SHIPPED.get)
    compile_mapping(gather(path.name, text, SHIPPED.get))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_mapping_with_a_wrong_declaration_is_refused_as_well(path: Path) -> None:
    if path.stem == "setting_of_every_source":
        return  # what every source has is known to the configuration alone
    with pytest.raises(ConfigError):
        compile_mapping(gather(path.name, path.read_text(), SHIPPED.get))


def test_a_file_for_each_kind_of_mistake_is_there() -> None:
    assert len(FILES) > 50
