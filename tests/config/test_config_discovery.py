"""Finding the connectors that are installed."""

from __future__ import annotations

import re
import types
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from fake_lms import Lms, Plain

import bridge.config.discovery
from bridge.config import discover_connectors, shipped_folder
from bridge.config.discovery import connector_in
from bridge.core.connector import Connector
from bridge.core.declared import DeclaredConnector
from bridge.core.errors import ConfigError

MAPPINGS = Path(__file__).parents[2] / "mappings"


def announced(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint(name="x", value=value, group="certbridge.connectors")
    monkeypatch.setattr(
        bridge.config.discovery, "entry_points", lambda *, group: EntryPoints([entry]).select(group=group)
    )


def test_finds_one_connector_in_each_module_of_the_package() -> None:
    found = discover_connectors()
    assert list(found) == sorted(found)
    assert all(issubclass(item, Connector) and item.name == name for name, item in found.items())
    written = [name for name, item in found.items() if item.__module__.startswith(f"connectors.{name}")]
    declared = [path.stem for path in MAPPINGS.glob("*.yaml") if re.search("^source:", path.read_text(), re.MULTILINE)]
    assert len(written) > 2
    assert sorted([*written, *declared]) == list(found)


def test_finds_what_the_shipped_mappings_declare() -> None:
    found = discover_connectors()
    declared = [name for name, item in found.items() if issubclass(item, DeclaredConnector)]
    assert {"zapier", "learnworlds"} <= set(declared)
    assert all((shipped_folder() / f"{name}.yaml").is_file() for name in declared)
    assert found["zapier"] is found["zapier"]
    with pytest.raises(KeyError):
        found["sapier"]


def test_a_declaration_may_not_have_the_name_of_a_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.config.discovery, "shipped_declarations", lambda: ["thinkific"])
    with pytest.raises(ConfigError, match=r"named 'thinkific'; the second is mappings/thinkific\.yaml"):
        discover_connectors()


def test_finds_what_other_packages_announce(monkeypatch: pytest.MonkeyPatch) -> None:
    announced(monkeypatch, "fake_lms:Lms")
    assert discover_connectors()["lms"] is Lms


def test_refuses_what_is_no_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    announced(monkeypatch, "fake_lms:LmsSettings")
    with pytest.raises(ConfigError, match=r"\(fake_lms:LmsSettings\) announces a connector, but it is none"):
        discover_connectors()


def test_refuses_a_second_connector_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = "thinkific"
    monkeypatch.setattr(Lms, "name", taken)
    announced(monkeypatch, "fake_lms:Lms")
    with pytest.raises(ConfigError, match=f"Two connectors are named '{taken}'; the second comes from"):
        discover_connectors()


def test_a_module_defines_exactly_one() -> None:
    module = types.ModuleType("fake_lms")
    with pytest.raises(ConfigError, match=r"must define exactly one Connector; found: none\."):
        connector_in(module)
    module.__dict__.update(Lms=Lms, Plain=Plain, imported=Connector)
    with pytest.raises(ConfigError, match=r"found: Lms, Plain\."):
        connector_in(module)
    del module.__dict__["Plain"]
    assert connector_in(module) is Lms
