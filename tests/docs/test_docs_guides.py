"""The guides to Moodle and Thinkific say what the code says: messages, settings, functions, capabilities."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from flow.guide_rights import table
from pydantic import BaseModel

from bridge.config import discover_connectors
from bridge.config.models import SourceBlock
from connectors.moodle import MoodleSettings, rights, tool_trigger

ROOT = Path(__file__).parents[2]
GUIDES = ("moodle", "thinkific")
ROLE = ROOT / "docs" / "connect" / "moodle-role.xml"


def guide(name: str) -> str:
    return (ROOT / "docs" / "connect" / f"{name}.md").read_text(encoding="utf-8")


# -- what Moodle must allow ------------------------------------------------------------------------------


def test_the_guide_lists_the_functions_and_capabilities_that_the_doctor_names() -> None:
    needs = (*rights.ALWAYS, *rights.ON_REQUEST)
    assert table("moodle", "functions") == {need.task: list(need.functions) for need in needs}
    assert table("moodle", "capabilities") == {need.task: list(need.capabilities) for need in needs}


def test_the_role_allows_what_is_on_by_default_and_nothing_else() -> None:
    permissions = ElementTree.parse(ROLE).getroot().find("permissions")
    assert permissions is not None
    allowed = [entry.text for entry in permissions if entry.tag == "allow"]
    left = [entry.text for entry in permissions if entry.tag == "inherit"]
    assert allowed == sorted({name for need in rights.ALWAYS for name in need.capabilities})
    assert left == sorted({name for need in rights.ON_REQUEST for name in need.capabilities})
    assert len(allowed) + len(left) == len(permissions)


def test_the_role_is_what_moodle_imports() -> None:
    # The order of the schema that Moodle validates a preset with (admin/roles/role_schema.xml).
    order = ("shortname", "name", "description", "archetype", "contextlevels", "permissions")
    role = ElementTree.parse(ROLE).getroot()
    assert (role.tag, tuple(part.tag for part in role)) == ("role", order)
    assert [level.text for level in role.findall("contextlevels/level")] == ["system"]
    kinds = [entry.tag for entry in role.findall("permissions/*")]
    assert kinds == sorted(kinds, key=["inherit", "allow", "prevent", "prohibit"].index)


def test_the_first_needs_are_those_of_a_source_with_defaults() -> None:
    settings = MoodleSettings.model_validate(
        {"url": "https://m.example", "token": "x", "poll": {"report": "Recent completions"}}
    )
    assert set(rights.needs(settings)) == set(rights.ALWAYS)


def test_the_params_of_the_workflow_are_those_of_the_messages() -> None:
    assert f"\n{tool_trigger.TEMPLATE}\n" in guide("moodle")


# -- what the guides quote -------------------------------------------------------------------------------


def messages(name: str) -> Iterator[str]:
    """Yields every text of the connector (and of the core's signatures), with … where a value is filled in."""
    core = [ROOT / "bridge" / "core" / f"{module}.py" for module in ("signatures", "latest")]
    for path in (*(ROOT / "connectors" / name).glob("*.py"), *core):
        yield from texts(path)
    yield (ROOT / "mappings" / f"{name}.yaml").read_text(encoding="utf-8")


def texts(path: Path) -> Iterator[str]:
    """Yields every text in a module, with … where a value is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("name", GUIDES)
def test_each_message_that_is_explained_is_one_that_is_given(name: str) -> None:
    rows = guide(name).partition("What goes wrong")[2].splitlines()
    quoted = [text for row in rows if row.startswith("| ") for text in re.findall(r"\*([^*]+)\*", row.split("|")[1])]
    core = [text for path in (ROOT / "bridge" / "core").glob("*.py") for text in texts(path)]
    given = " ".join(" ".join([*messages(name), *core]).split())
    pieces = [piece.strip() for text in quoted for piece in re.split(r"…|\d+|`", text) if len(piece.strip()) > 3]
    assert len(quoted) > 8
    assert [piece for piece in pieces if piece not in given] == []


@pytest.mark.parametrize(("name", "quote"), [("hubspot", "`"), ("salesforce", "*")])
def test_each_message_of_a_crm_that_is_explained_is_one_that_is_given(name: str, quote: str) -> None:
    rows = guide(name).partition("What goes wrong")[2].partition("In certbridge:")[2 if name == "salesforce" else 0]
    mark = re.escape(quote)
    cells = [row.split(" | ")[0] for row in rows.splitlines() if row.startswith("| ") and " --- " not in row]
    quoted = [text for cell in cells for text in re.findall(rf"{mark}([^{mark}]+){mark}", cell)]
    core = [text for path in (ROOT / "bridge" / "core").glob("*.py") for text in texts(path)]
    given = " ".join(" ".join([*messages(name), *core]).split()).replace("`", "")
    # Where the text is put together from parts, each part is looked for.
    joint = r"""…|[A-Za-z_]+__c|'\w+'|"\w+"|data\.[a-z.]+|X-[\w-]+|\d+"""
    joint += r"""|(?= is not the)|(?= is null)|(?= behind$)|(?= for today)|(?<=brought no)|: Property|`"""
    pieces = [piece.strip(" ().=:") for text in quoted for piece in re.split(joint, text)]
    assert len(quoted) > 20
    assert [piece for piece in pieces if len(piece) > 8 and piece.lower() not in given.lower()] == []


def settings_of(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    found: dict[str, type[BaseModel] | None] = {}
    for key, info in model.model_fields.items():
        inner = info.annotation
        found[key] = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
        found[f"{key}_file"] = None
    return found


def unknown(block: object, known: dict[str, type[BaseModel] | None]) -> list[str]:
    names = []
    for key, value in block.items() if isinstance(block, dict) else ():
        inner = known.get(key)
        names += [key] if key not in known else unknown(value, settings_of(inner)) if inner else []
    return names


@pytest.mark.parametrize("name", GUIDES)
def test_each_setting_in_an_example_exists(name: str) -> None:
    known = settings_of(discover_connectors()[name].Settings) | settings_of(SourceBlock)
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", guide(name), re.DOTALL)]
    assert len(examples) > 2
    for example in examples:
        if "extends" in example:
            continue  # a mapping; the mapping's own tests read those
        blocks = example["sources"].values() if "sources" in example else [example]
        assert [key for block in blocks for key in unknown(block, known)] == []
