"""The JSON Schema that editors use: it takes what we take, and describes every setting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bridge.core.mapping import schema


def properties(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        for name, inner in part.get("properties", {}).items():
            yield f"{path}.{name}", inner
        for name, inner in part.items():
            yield from properties(inner, f"{path}.{name}")


def test_is_plain_json_with_every_reference_defined() -> None:
    made = schema()
    text = json.dumps(made)
    for name in [piece.split('"')[0] for piece in text.split("#/$defs/")[1:]]:
        assert name in made["$defs"]


def test_describes_every_setting() -> None:
    found = dict(properties(schema()))
    assert len(found) > 25
    for path, setting in found.items():
        assert setting.get("description") or "$ref" in setting, path


def test_allows_null_nowhere_and_unknown_settings_nowhere() -> None:
    made = schema()
    assert '"null"' not in json.dumps(made)
    assert made["additionalProperties"] is False
    assert made["$defs"]["CourseEntry"]["additionalProperties"] is False


def test_takes_numbers_where_text_is_meant_and_one_line_courses() -> None:
    made = schema()
    assert "number" in made["$defs"]["CourseEntry"]["properties"]["fields"]["additionalProperties"]["type"]
    assert {"$ref": "#/$defs/CourseEntry"} in made["properties"]["courses"]["additionalProperties"]["anyOf"]
    assert {"const": "none", "description": "Nothing inherited counts."} in (
        made["$defs"]["CourseRules"]["properties"]["skip_if"]["anyOf"]
    )


def test_a_declaration_that_builds_on_another_holds_what_differs() -> None:
    source = schema()["$defs"]["Declaration"]
    assert "required" not in source
    assert source["additionalProperties"] is False
