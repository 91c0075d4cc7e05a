"""The package that an admin deploys fits the guide, the connector's defaults, and itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from salesforce_samples import SETTINGS, salesforce

from connectors.salesforce import SalesforceSettings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "docs" / "connect" / "salesforce-package"
GUIDE = (ROOT / "docs" / "connect" / "salesforce.md").read_text(encoding="utf-8")
METADATA = "{http://soap.sforce.com/2006/04/metadata}"
FILES = sorted(PACKAGE.rglob("*.*"))


def texts(path: str, name: str) -> list[str]:
    root = ElementTree.parse(PACKAGE / path).getroot()
    return [found.text or "" for found in root.iter(METADATA + name)]


def members() -> dict[str, set[str]]:
    root = ElementTree.parse(PACKAGE / "package.xml").getroot()
    return {
        kind.findtext(f"{METADATA}name", ""): {found.text or "" for found in kind.iter(f"{METADATA}members")}
        for kind in root.iter(f"{METADATA}types")
    }


def defaults() -> Any:
    return SalesforceSettings.model_validate({key: SETTINGS[key] for key in SETTINGS if key != "fields"})


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_every_file_is_metadata(path: Path) -> None:
    assert ElementTree.parse(path).getroot().tag.startswith(METADATA)


def test_the_manifest_names_exactly_what_is_there() -> None:
    fields = {
        f"{path.stem}.{name}"
        for path in (PACKAGE / "objects").iterdir()
        for name in texts(f"objects/{path.name}", "fullName")
    }
    messages = {
        f"{path.stem}.{name}"
        for path in (PACKAGE / "workflows").iterdir()
        for name in texts(f"workflows/{path.name}", "fullName")
    }
    assert members() == {
        "CustomField": fields,
        "Flow": {path.stem for path in (PACKAGE / "flows").iterdir()},
        "PermissionSet": {path.stem for path in (PACKAGE / "permissionsets").iterdir()},
        "WorkflowOutboundMessage": messages,
    }


def test_the_flow_sends_the_message_of_the_package() -> None:
    (name,) = texts("flows/certbridge_course_completed.flow", "actionName")
    assert {name} == members()["WorkflowOutboundMessage"]
    assert texts("flows/certbridge_course_completed.flow", "status") == ["Draft"]


def test_the_message_carries_what_the_defaults_name_of_the_object_itself() -> None:
    settings = defaults()
    sent = texts(f"workflows/{settings.object}.workflow", "fields")
    assert {path for path in settings.paths().values() if "." not in path} <= set(sent)
    assert {"Id", "CreatedDate", "LastModifiedDate"} <= set(sent)


def test_the_permission_set_lets_certbridge_write_what_it_writes_and_send_no_messages() -> None:
    settings, root = defaults(), ElementTree.parse(PACKAGE / "permissionsets" / "certbridge.permissionset").getroot()
    editable = {
        one.findtext(f"{METADATA}field") for one in root.iter(f"{METADATA}fieldPermissions")
        if one.findtext(f"{METADATA}editable") == "true"
    }  # fmt: skip
    assert editable == {
        f"{settings.object}.{settings.write_back.certificate_field}",
        f"{settings.object}.Certificate_URL__c",
        "Task.Certificate_Key__c",
    }
    granted = [one.findtext(f"{METADATA}name") for one in root.iter(f"{METADATA}userPermissions")]
    assert granted == ["ApiEnabled", "EditTask"]


def test_every_placeholder_is_explained_in_the_guide() -> None:
    everything = "".join(path.read_text(encoding="utf-8") for path in FILES)
    placeholders = set(re.findall(r"YOUR-BRIDGE|SENDER@[A-Z.-]+|\w+__c", everything)) - {
        "Certificate_Key__c", "Certificate_Id__c", "Certificate_URL__c",
    }  # fmt: skip
    table = GUIDE[GUIDE.index("| placeholder |") : GUIDE.index("sf project deploy")]
    assert [name for name in sorted(placeholders) if f"`{name}`" not in table] == []


def test_the_source_in_the_guide_is_accepted() -> None:
    block = re.search(r"  crm:\n(.*?)   ```", GUIDE, re.DOTALL)
    assert block
    found = yaml.safe_load("crm:\n" + "\n".join(line[3:] for line in block[1].splitlines()))["crm"]
    ours = {key: value for key, value in found.items() if key not in ("connector", "mapping")}
    given = {key.removesuffix("_file"): value for key, value in ours.items()}
    settings = salesforce({}, **given).settings
    assert settings.write_back.task_key_field == "Certificate_Key__c"
    assert settings.paths()["email"] == "Contact__r.Email"
