"""The declared connector for Make: everything that Zapier's can, under a name of its own."""

from __future__ import annotations

import test_zapier_connector as zapier
from contract import load

from bridge.core.declared import DeclaredConnector

TOKEN = "a-token-for-the-make-tests"


class TestMake(zapier.TestZapier):
    connector = "make"
    settings = {"header_token": TOKEN}
    rotated = {"header_token": "the-next-make-token", "previous_header_token": TOKEN}


def test_it_differs_from_zapier_in_its_words_alone() -> None:
    make, base = load("make"), load("zapier")
    assert issubclass(make, DeclaredConnector)
    assert issubclass(base, DeclaredConnector)
    own = {"title", "docs_url", "setup", "limits"}
    differing = {name for name, value in make.declaration if getattr(base.declaration, name) != value}
    assert differing == own
    assert (make.title, make.event_types) == ("Make", base.event_types)
