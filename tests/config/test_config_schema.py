"""The JSON Schema that editors use."""

from __future__ import annotations

import json
from typing import Any

from fake_lms import CONNECTORS

from bridge.config import discover_connectors, schemas

SCHEMA = schemas(CONNECTORS)["config.schema.json"]


def definition(name: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMA["$defs"][name]
    return found


def test_is_json_and_closed_to_unknown_settings() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in SCHEMA["$defs"].values() if "enum" not in part)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(schemas(discover_connectors()))
    references = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert references
    assert references <= set(schemas(discover_connectors())["config.schema.json"]["$defs"])


def test_a_source_is_checked_by_its_connector() -> None:
    block = SCHEMA["properties"]["sources"]["additionalProperties"]
    assert block["properties"]["connector"]["enum"] == ["lms", "plain"]
    assert [branch["then"]["$ref"] for branch in block["allOf"]] == ["#/$defs/source-lms", "#/$defs/source-plain"]
    lms = definition("source-lms")
    assert lms["properties"]["connector"]["const"] == "lms"
    assert {"mode", "since", "address", "signing_secret", "signing_secret_file", "url_token_file"} <= set(
        lms["properties"]
    )
    assert "address" not in definition("source-plain")["properties"]


def test_a_secret_is_required_in_one_place_or_the_other() -> None:
    lms = definition("source-lms")
    assert set(lms["required"]) == {"connector", "address"}
    assert lms["allOf"] == [{"anyOf": [{"required": ["signing_secret"]}, {"required": ["signing_secret_file"]}]}]


def test_allows_variables_where_a_number_stands_and_empty_sections() -> None:
    workers = definition("Limits")["properties"]["workers"]
    assert {"maximum": 32, "minimum": 1, "type": "integer"} in workers["anyOf"]
    assert any(choice.get("pattern", "").startswith(r"\$\{") for choice in workers["anyOf"])
    assert {"type": "null"} in SCHEMA["properties"]["limits"]["anyOf"]


def test_carries_the_descriptions() -> None:
    assert "QR codes" in SCHEMA["properties"]["public_url"]["description"]
    assert definition("source-lms")["properties"]["address"]["description"] == "The address of the LMS."
