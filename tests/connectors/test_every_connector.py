"""Every kind of source that takes webhooks or tables stands under the contract, and with it under the limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import discover_connectors

TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
KINDS = discover_connectors()


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_source_inherits_the_contract(name: str) -> None:
    polled_alone = KINDS[name].abilities.webhook == "-"
    assert polled_alone or f'    connector = "{name}"\n' in TESTS
