"""The JSON Schema of the configuration, so that editors complete and check while one types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from bridge.config.forms import SOURCE_NAME
from bridge.config.models import Config
from bridge.config.secret_files import TWIN
from bridge.config.sources import source_model
from bridge.core.connector import Connector

FILE: Final = "config.schema.json"

_VARIABLE: Final = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}


def schemas(connectors: Mapping[str, type[Connector[Any]]]) -> dict[str, dict[str, Any]]:
    """Returns the schema of the configuration by file name; each source is checked by its own connector's settings."""
    schema = _schema_of(Config)
    definitions = schema["$defs"]
    # The model's view of a loaded source; in the file the settings stand flat beside each other.
    for unused in ("SourceConfig", "ConnectorSettings"):
        definitions.pop(unused, None)
    schema["properties"]["sources"] = {
        "type": ["object", "null"],
        "description": Config.model_fields["sources"].description,
        "propertyNames": {"pattern": f"^{SOURCE_NAME.pattern}$"},
        "additionalProperties": {
            "type": "object",
            "required": ["connector"],
            "properties": {"connector": {"enum": list(connectors), "description": "The kind of system."}},
            "allOf": [_branch(name) for name in connectors],
        },
    }
    for name, connector in connectors.items():
        inner = _schema_of(source_model(connector))
        definitions.update(inner.pop("$defs", {}))
        inner["properties"]["connector"] = {"const": name, "description": "The kind of system."}
        definitions[f"source-{name}"] = inner
    return {FILE: {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "certbridge", **schema}}


def _branch(name: str) -> dict[str, Any]:
    chosen = {"properties": {"connector": {"const": name}}, "required": ["connector"]}
    return {"if": chosen, "then": {"$ref": f"#/$defs/source-{name}"}}


def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        _loosen(part)
    schema.pop("title", None)
    return schema


def _loosen(part: dict[str, Any]) -> None:
    """Lets through what the program accepts too: variables, secret files, empty sections, text that looks otherwise."""
    properties = part.get("properties", {})
    for name, value in properties.items():
        properties[name] = _accepting(value)
    twins = [name for name in part.get("required", ()) if f"{name}{TWIN}" in properties]
    if twins:
        part["required"] = [name for name in part["required"] if name not in twins]
        part["allOf"] = [{"anyOf": [{"required": [name]}, {"required": [f"{name}{TWIN}"]}]} for name in twins]


def _accepting(value: dict[str, Any]) -> dict[str, Any]:
    value.pop("title", None)
    value.pop("writeOnly", None)
    if "anyOf" in value:
        value["anyOf"] = [_accepting(choice) for choice in value["anyOf"]]
        return value
    kind = value.get("type")
    if kind in {"integer", "number", "boolean"}:
        # Limits stay with their type: a variable is text in the file, whatever it holds.
        typed = {key: value.pop(key) for key in list(value) if key not in {"description", "default", "examples"}}
        return {**value, "anyOf": [typed, _VARIABLE]}
    if kind == "string" and "enum" not in value:
        # `name: 2024` is text to us, a number to an editor, and its limits in characters do not fit a number.
        value["type"] = ["string", "number", "boolean"]
    if "$ref" in value or (kind == "string" and "enum" in value):
        beside: dict[str, Any] = {key: value.pop(key) for key in ("description", "default", "examples") if key in value}
        other = {"type": "null"} if "$ref" in value else _VARIABLE
        return {**beside, "anyOf": [value, other]}
    return value
