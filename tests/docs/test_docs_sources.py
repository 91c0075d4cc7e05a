"""The table of sources says what the connectors do, and every row has its guide."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.config import discover_connectors
from bridge.core.connector import Connector

ROOT = Path(__file__).parents[2]
CONNECT = ROOT / "docs" / "connect"
NONE = "-"
CONNECTORS = discover_connectors()


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_source_has_a_guide_that_says_how_to_start_and_what_goes_wrong(name: str) -> None:
    text = (CONNECT / f"{name}.md").read_text(encoding="utf-8")
    assert f"connector: {name}" in text
    assert f"extends: {name}" in text
    for part in ("goes wrong", "certbridge "):
        assert part in text, f"{name}.md says nothing of {part!r}"


def test_every_guide_is_about_a_source() -> None:
    guides = {path.stem for path in CONNECT.glob("*.md")} - {"README"}
    assert guides == set(CONNECTORS)


@pytest.mark.parametrize("name", CONNECTORS)
def test_the_table_claims_what_the_class_does(name: str) -> None:
    connector: type[Connector[Any]] = CONNECTORS[name]
    can = connector.abilities
    for cell, method in ((can.poll, "poll"), (can.enrichment, "enrich"), (can.write_back, "write_back_steps")):
        written = _does(connector, method)
        assert written or cell == NONE, f"{name} claims {cell!r}, but has no {method}"
    for cell in (can.webhook, can.proof, can.limits):
        assert cell.strip()
        assert "\n" not in cell


def _does(connector: type[Connector[Any]], method: str) -> bool:
    declaration = getattr(connector, "declaration", None)
    if declaration is None:
        return getattr(connector, method) is not getattr(Connector, method)
    part = {"poll": declaration.poll, "enrich": declaration.fetch, "write_back_steps": declaration.write_back}[method]
    return bool(part) or (method == "write_back_steps" and connector.answers_certificate)


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
