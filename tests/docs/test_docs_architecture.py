"""docs/architecture.md names every room of the house, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def rooms() -> set[str]:
    nobody = ("__init__.py", "__main__.py", "__pycache__")
    found = {f"bridge/{path.name}" for path in (ROOT / "bridge").iterdir() if path.name not in nobody}
    return {room for room in found if (ROOT / room).is_dir() or room.endswith(".py")} | {"connectors", "mappings"}


def test_the_architecture_page_has_a_line_for_every_room() -> None:
    table = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    assert set(table) == rooms()
    assert len(table) == len(set(table))


def test_every_module_opens_with_a_sentence_about_itself() -> None:
    silent = []
    for path in [*(ROOT / "bridge").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if text.strip() and not re.match(r'"""[A-Z`/].', text):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


@pytest.mark.parametrize(("room", "most"), [("bridge", 400), ("connectors", 150)])
def test_files_stay_short(room: str, most: int) -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / room).rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > most
    }
    assert long == {}


def test_no_connector_is_named_in_the_bridge() -> None:
    names = {path.stem for path in (ROOT / "connectors").iterdir() if path.stem not in ("__init__", "__pycache__")}
    named = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "bridge").rglob("*.py")
        for name in names
        if "demo" not in path.parts and name in path.read_text(encoding="utf-8").lower() and path.name != "demo.py"
    ]
    assert named == []
