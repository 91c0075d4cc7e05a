"""What the admin of a CRM writes wrong into settings, and the exact words that say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import discover_connectors, load
from bridge.core.errors import ConfigError

HEAD = """\
public_url: https://certificates.acme.example
issuer: {name: Acme Academy, zone: Europe/Berlin}
keys: {recipient: recipient-key-recipient-key-0001}
sources:
  crm:
"""
HUBSPOT = """\
    connector: hubspot
    portal_id: 50100100
    token: pat-na1-a-token-of-hubspot
"""
SALESFORCE = """\
    connector: salesforce
    url: https://acme.my.salesforce.com
    client_id: 3MVG9
    client_secret: a-secret-of-salesforce
"""


def refused(folder: Path, source: str) -> str:
    path = folder / "config.yaml"
    path.write_text(HEAD + source)
    with pytest.raises(ConfigError) as caught:
        load(path, discover_connectors(), {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "completed_property: Course completed at",
            'config.yaml:9:25 sources.crm has "completed_property: Course completed at". It does not have the right '
            "form; an example: course_completed_at. Internal name of the contact property that is filled when a course "
            "is completed: a date, a date with time, a checkbox, or a status (see `completed_value`).",
        ),
        (
            "courses: {fire safety: fire-safety}",
            'config.yaml:9:15 sources.crm.courses has "fire safety: fire-safety". It is no internal name of a '
            "property: HubSpot shows that under </> beside the label.",
        ),
        (
            "properties: [Company name]",
            'config.yaml:9:18 sources.crm.properties has "Company name". It is no internal name of a property: HubSpot '
            "shows that under </> beside the label.",
        ),
        (
            "api_key: Bearer a-key-of-the-workflow",
            'config.yaml:9:14 sources.crm has "api_key: ***". It must not begin with the word Bearer: leave that word '
            "out here.",
        ),
        (
            "client_secret: pat-na1-a-token-of-hubspot",
            'config.yaml:9:20 sources.crm has "client_secret: ***". It is an access token (pat-...), which belongs '
            "into `token`. The client secret is another one.",
        ),
    ],
)
def test_a_setting_of_hubspot_is_refused_with_what_to_write_instead(tmp_path: Path, line: str, said: str) -> None:
    assert refused(tmp_path, f"{HUBSPOT}    {line}\n") == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "object: Course Completion",
            'config.yaml:10:13 sources.crm has "object: Course Completion". It does not have the right form; an '
            "example: Course_Completion__c. API name of the object that holds completions.",
        ),
        (
            "api_version: 67",
            'config.yaml:10:18 sources.crm has "api_version: 67". It does not have the right form; an example: 67.0. '
            "Version of the REST API.",
        ),
        (
            "fields: {email: Contact__c.Account__c.Email}",
            'config.yaml:10:21 sources.crm.fields has "email: Contact__c.Account__c.Email". It must have __r where it '
            "goes on to another record: Contact__r.Account__r.Email.",
        ),
    ],
)
def test_a_setting_of_salesforce_is_refused_with_what_to_write_instead(tmp_path: Path, line: str, said: str) -> None:
    assert refused(tmp_path, f"{SALESFORCE}    {line}\n") == said


def test_an_address_where_nobody_can_sign_in_is_refused_in_a_whole_sentence(tmp_path: Path) -> None:
    wrong = SALESFORCE.replace("acme.my.salesforce.com", "acme.lightning.force.com")
    assert refused(tmp_path, wrong) == (
        'config.yaml:7:10 sources.crm has "url: https://acme.lightning.force.com". It is not where certbridge can sign '
        "in; take My Domain (Setup, My Domain): https://acme.my.salesforce.com."
    )
