"""What the HubSpot sender posts: signatures HubSpot would make, events as they happened, verdicts as HubSpot's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from vendors.hubspot.portal import Portal
from vendors.hubspot.sender import HubSpotSender, Sent
from vendors_selftest.door import Door, opened

from bridge.demo.vendors.stand_in import Answer

ADA, BEN = "70000000101", "70000000102"
NOW = datetime(2026, 9, 21, 10, 13, 20, tzinfo=UTC)
ADDRESS = "https://certbridge.example/hooks/hubspot"


@pytest.fixture
def door() -> Iterator[Door]:
    with opened() as door:
        yield door


@pytest.fixture
def sender() -> HubSpotSender:
    return HubSpotSender("sample-client-secret", ADDRESS, clock=lambda: NOW)


# Computed once with openssl, not with this code:
#   printf '%s' "$secret$body" | openssl dgst -sha256
#   printf '%s' "$secret$method$uri$body" | openssl dgst -sha256
#   printf '%s' "$method$uri$body$timestamp" | openssl dgst -sha256 -hmac "$secret" -binary | base64
V1 = "ade8845eb4d354111591e2b362eb86d4bcf940b92473b293ac52524d493b512d"
V2 = "5cad97f9cc2802d352054fef98dd46ddf9a94c10b6dba5b180015a5516aae880"
V2_GET = "bf63c349de458d4e726c7d3ce6b4b2bedce46c3248bb8a5e034c741868e3fece"
V3 = "7sDWUCS7DFOPCWEtVNwKLxVN41khoja+eMXeFX8o9L4="
V3_DECODED = "D/QfucEVph4NL1PhyZquSfMBS62uVvqLUt00rpHP47E="
BODY = '[{"objectId":1,"name":"Zoë"}]'


def test_signs_in_three_ways(sender: HubSpotSender) -> None:
    one = sender.signed("webhooks", "POST", BODY.encode(), ["v1", "v3"])
    assert one.headers["X-HubSpot-Signature-Version"] == "v1"
    assert one.headers["X-HubSpot-Signature"] == V1
    assert one.headers["X-HubSpot-Request-Timestamp"] == "1789985600000"
    assert one.headers["X-HubSpot-Signature-v3"] == V3
    two = sender.signed("workflow", "POST", BODY.encode(), ["v2"])
    assert (two.headers["X-HubSpot-Signature-Version"], two.headers["X-HubSpot-Signature"]) == ("v2", V2)


def test_a_workflow_without_a_body_is_a_get(sender: HubSpotSender) -> None:
    sent = sender.workflow(None)
    assert (sent.method, sent.body, sent.headers["X-HubSpot-Signature"]) == ("GET", b"", V2_GET)


def test_version_3_signs_twelve_escapes_decoded_and_posts_them_as_they_are() -> None:
    address = "https://certbridge.example/hooks/hubspot?for=hs%3Aapp%2Fx%20y%26z"
    sent = HubSpotSender("sample-client-secret", address).signed("webhooks", "POST", b"[]", ["v3"], at=NOW)
    assert sent.target == "/hooks/hubspot?for=hs%3Aapp%2Fx%20y%26z"
    assert sent.headers["X-HubSpot-Signature-v3"] == V3_DECODED


def test_reports_what_happened_in_the_account(sender: HubSpotSender) -> None:
    portal = Portal(lambda: NOW)
    portal.set(ADA, course_completed_at="2026-09-21T00:00:00Z")
    portal.set(ADA, course_completed_at="2026-09-21T00:00:00Z")
    portal.set(ADA, source="INTEGRATION", certificate_id="CERT-1")
    portal.merge(ADA, BEN)
    portal.forget(ADA)
    events = portal.take_events()
    assert [one["subscriptionType"].partition(".")[2] for one in events] == [
        *("propertyChange", "propertyChange", "merge", "deletion", "deletion", "privacyDeletion"),
    ]
    completed, echo, merged = events[:3]
    assert (completed["objectId"], completed["propertyValue"]) == (int(ADA), "1789948800000")
    assert (echo["changeSource"], echo["sourceId"]) == ("INTEGRATION", "7100001")
    assert (merged["primaryObjectId"], merged["mergedObjectIds"], merged["newObjectId"]) == (
        int(ADA),
        [int(BEN)],
        int(ADA),
    )
    assert portal.take_events() == []
    assert json.loads(sender.webhooks(events).body) == events


def test_a_retry_is_the_same_event_with_a_higher_number(sender: HubSpotSender) -> None:
    event = sender.event("contact.creation", ADA)
    assert sender.retry([event]) == [{**event, "attemptNumber": 1}]
    with pytest.raises(ValueError, match="100"):
        sender.webhooks([event] * 101)


def test_an_api_key_takes_the_place_of_a_signature(sender: HubSpotSender) -> None:
    sent = sender.workflow_with_key({"email": "ada@example.org"}, header="X-Api-Key", value="sample-key")
    assert sent.headers["X-Api-Key"] == "sample-key"
    assert not [name for name in sent.headers if "Signature" in name]


@pytest.mark.parametrize(
    ("kind", "status", "delivered", "retried"),
    [
        ("webhooks", 200, True, False),
        ("webhooks", 204, True, False),
        ("webhooks", 302, False, True),
        ("webhooks", 401, False, True),
        ("webhooks", 503, False, True),
        ("webhooks", 0, False, True),
        ("workflow", 200, True, False),
        ("workflow", 401, False, False),
        ("workflow", 429, False, True),
        ("workflow", 503, False, True),
        ("workflow", 0, False, True),
    ],
)
def test_judges_an_answer_as_hubspot_does(
    door: Door, sender: HubSpotSender, kind: Any, status: int, delivered: bool, retried: bool
) -> None:
    door.answers = [Answer(status) if status else None]
    sent: Sent = sender.signed(kind, "POST", b"[]", ["v1"])
    found = sender.deliver(sent, door.base)
    assert (found.delivered, found.retried) == (delivered, retried)
    assert [(one.method, one.path, one.body) for one in door.seen] == [("POST", "/hooks/hubspot", b"[]")]


def test_workflows_read_retry_after_in_milliseconds(door: Door, sender: HubSpotSender) -> None:
    door.answers = [Answer(429, headers={"Retry-After": "90000"})]
    assert sender.deliver(sender.workflow({"a": "b"}), door.base).wait == 90
    assert sender.deliver(sender.webhooks([]), door.base).wait is None
