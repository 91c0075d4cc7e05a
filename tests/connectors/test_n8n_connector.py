"""The declared connector for n8n: everything that Zapier's can, under a name of its own."""

from __future__ import annotations

import test_zapier_connector as zapier
from contract import load

TOKEN = "a-token-for-the-n8n-tests"


class TestN8n(zapier.TestZapier):
    connector = "n8n"
    settings = {"header_token": TOKEN}
    rotated = {"header_token": "the-next-n8n-token", "previous_header_token": TOKEN}


def test_the_workflow_gets_the_certificate_in_the_answer() -> None:
    assert load("n8n").answers_certificate
    assert load("n8n").title == "n8n"
