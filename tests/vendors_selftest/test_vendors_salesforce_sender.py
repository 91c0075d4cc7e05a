"""Signing in to the Salesforce stand-in, and the messages its sender posts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from vendors.salesforce import SalesforceStandIn
from vendors.salesforce.org import Org
from vendors.salesforce.sender import HEADERS, OutboundMessages
from vendors.salesforce.tokens import JWT_BEARER
from vendors_selftest.calls import NOW
from vendors_selftest.door import opened
from vendors_selftest.salesforce_calls import ADAS, BENS, sign_in

from bridge.demo.vendors.stand_in import Answer

FIELDS = ("Email__c", "Last_Name__c", "Completed_At__c", "LastModifiedDate", "CreatedDate", "Score__c")


@pytest.fixture
def salesforce() -> Iterator[SalesforceStandIn]:
    with SalesforceStandIn(clock=lambda: NOW) as stand_in:
        yield stand_in


@pytest.fixture
def org() -> Org:
    return Org(lambda: NOW)


# -- signing in ----------------------------------------------------------------------------------


def test_client_credentials_come_in_the_body_or_as_basic(salesforce: SalesforceStandIn) -> None:
    found = sign_in(salesforce)
    assert found.status == 200
    assert set(found.body) == {"access_token", "signature", "instance_url", "id", "token_type", "issued_at"}
    assert (found.body["instance_url"], found.body["issued_at"]) == (salesforce.url, "1789985600123")
    basic = base64.b64encode(b"3MVG9_SAMPLE_CONSUMER_KEY:sample-consumer-secret").decode()
    found = sign_in(salesforce, {"Authorization": f"Basic {basic}"}, grant_type="client_credentials")
    assert found.status == 200
    assert len(salesforce.tokens.sessions) == 2


def test_may_name_another_host_as_the_instance(salesforce: SalesforceStandIn) -> None:
    salesforce.instance_url = f"http://localhost:{salesforce.port}"
    assert sign_in(salesforce).body["instance_url"] == salesforce.instance_url


def jwt(salesforce: SalesforceStandIn, pem: str | None = None, alg: str = "RS256", **claims: Any) -> str:
    tokens = salesforce.tokens
    given = {
        "iss": tokens.client_id,
        "sub": tokens.username,
        "aud": "https://login.salesforce.com",
        "exp": int(NOW.timestamp()) + 180,
        **claims,
    }
    signed = f"{part({'alg': alg})}.{part(given)}"
    key = serialization.load_pem_private_key((pem or tokens.private_key_pem).encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_signed_assertion_is_a_sign_in(salesforce: SalesforceStandIn) -> None:
    assert sign_in(salesforce, grant_type=JWT_BEARER, assertion=jwt(salesforce)).status == 200


@pytest.mark.parametrize(
    ("claims", "code", "says"),
    [
        ({"iss": "someone"}, "invalid_client_id", "client identifier"),
        ({"sub": "someone@example.org"}, "invalid_grant", "approved"),
        ({"aud": "https://acme-training.my.salesforce.com"}, "invalid_grant", "audience"),
        ({"aud": "https://test.salesforce.com"}, "invalid_grant", "audience"),
        ({"exp": int(NOW.timestamp()) - 1}, "invalid_grant", "expired"),
        ({"exp": int(NOW.timestamp()) + 190}, "invalid_grant", "expired"),
        ({"exp": "soon"}, "invalid_grant", "invalid assertion"),
        ({"alg": "HS256"}, "invalid_grant", "invalid assertion"),
    ],
)
def test_refuses_an_assertion_that_claims_the_wrong_thing(
    salesforce: SalesforceStandIn, claims: dict[str, Any], code: str, says: str
) -> None:
    found = sign_in(salesforce, grant_type=JWT_BEARER, assertion=jwt(salesforce, **claims))
    assert (found.status, found.body["error"]) == (400, code)
    assert says in found.body["error_description"]
    assert salesforce.tokens.sessions == set()


def test_refuses_an_assertion_that_another_key_signed(salesforce: SalesforceStandIn) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for assertion in (jwt(salesforce, other.decode()), "a.b", "a.b.c", jwt(salesforce) + "="):
        assert sign_in(salesforce, grant_type=JWT_BEARER, assertion=assertion).body["error"] == "invalid_grant"


def test_the_admin_must_have_approved_the_app(salesforce: SalesforceStandIn) -> None:
    salesforce.tokens.approved = False
    found = sign_in(salesforce, grant_type=JWT_BEARER, assertion=jwt(salesforce))
    assert found.body == {"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}


@pytest.mark.parametrize(
    ("form", "headers", "error"),
    [
        ({"grant_type": "password"}, {}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, {}, "invalid_client_id"),
        ({"client_id": "3MVG9_SAMPLE_CONSUMER_KEY", "client_secret": "wrong"}, {}, "invalid_client"),
        ({"client_id": "wrong", "client_secret": "sample-consumer-secret"}, {}, "invalid_client_id"),
        ({"client_id": "3MVG9_SAMPLE_CONSUMER_KEY"}, {"Authorization": "Basic eDp5"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, {"Authorization": "Bearer x"}, "invalid_client"),
        ({"client_id": "x", "client_secret": "y", "scope": "api"}, {}, "invalid_request"),
        ({}, {"Content-Type": "application/json"}, "invalid_request"),
    ],
)
def test_refuses_a_wrong_sign_in(
    salesforce: SalesforceStandIn, form: dict[str, str], headers: dict[str, str], error: str
) -> None:
    found = sign_in(salesforce, headers, **({"grant_type": "client_credentials"} | form))
    assert (found.status, found.body["error"]) == (400, error)
    assert salesforce.refused[0].reason.startswith(error)


# -- outbound messages ---------------------------------------------------------------------------

ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>%s</Ack></notificationsResponse>'
    b"</e:Body></e:Envelope>"
)
XML = {"Content-Type": "text/xml; charset=utf-8"}
OUT = "{http://soap.sforce.com/2005/09/outbound}"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def notifications(body: bytes) -> list[ElementTree.Element]:
    return ElementTree.fromstring(body).findall(f".//{OUT}Notification")


def fields(notification: ElementTree.Element) -> dict[str, str | None]:
    (record,) = notification.findall(f"{OUT}sObject")
    return {one.tag.partition("}")[2]: one.text for one in record}


@pytest.mark.parametrize("one_line", [False, True])
def test_a_message_carries_the_records_fields_without_the_empty_ones(org: Org, one_line: bool) -> None:
    org.change(ADAS, Completed_At__c=datetime(2026, 9, 21, 10, 13, 20, tzinfo=UTC))
    sender = OutboundMessages(org, FIELDS, one_line=one_line)
    (number,) = sender.fire(ADAS)
    message = sender.message()
    assert (b"\n" in message.body) is not one_line
    (found,) = notifications(message.body)
    assert found.findtext(f"{OUT}Id") == number
    assert list(fields(found).items()) == [
        ("Id", ADAS),
        ("Completed_At__c", "2026-09-21T10:13:20.000Z"),
        ("CreatedDate", "2026-01-05T08:00:00.000Z"),
        ("Email__c", "ada@example.org"),
        ("Last_Name__c", "Örnek-O'Neil & Co"),
        ("LastModifiedDate", "2026-09-21T10:13:20.000Z"),
    ]
    record = found.find(f"{OUT}sObject")
    assert record is not None
    assert record.attrib[TYPE].partition(":")[2] == "Course_Completion__c"
    root = ElementTree.fromstring(message.body)
    assert root.findtext(f".//{OUT}OrganizationId") == "00D8d000004xYzAEAU"
    assert root.findtext(f".//{OUT}EnterpriseUrl", "").endswith("/Soap/c/67.0/00D8d000004xYzA")


def test_a_redelivery_keeps_its_id_and_shows_the_record_as_it_is_by_then(org: Org) -> None:
    sender = OutboundMessages(org, FIELDS)
    (number,) = sender.fire(ADAS)
    org.change(ADAS, Score__c=97.0)
    with opened() as door:
        door.answers = [Answer(200, ACK % b"false", XML), Answer(200, ACK % b"true", XML)]
        first = sender.deliver(door.base + "/hooks/salesforce/sample-token")
        org.change(ADAS, Score__c=98.0)
        second = sender.deliver(door.base + "/hooks/salesforce/sample-token")
        assert (first.acknowledged, first.reason) == (False, "SOAP response was a nack")
        assert second.acknowledged
        bodies = [one.body for one in door.seen]
        assert [fields(notifications(body)[0])["Score__c"] for body in bodies] == ["97.0", "98.0"]
        assert {notifications(body)[0].findtext(f"{OUT}Id") for body in bodies} == {number}
        assert door.seen[0].path == "/hooks/salesforce/sample-token"
        assert {name: door.seen[0].headers[name.lower()] for name in HEADERS} == HEADERS
    assert sender.waiting == {}


def test_a_hundred_go_into_one_message_and_one_acknowledgement_covers_them(org: Org) -> None:
    sender = OutboundMessages(org, FIELDS)
    sender.fire(*[ADAS, BENS] * 51)
    with opened() as door:
        door.answers = [Answer(200, ACK % b"true", XML)]
        done = sender.deliver_all(door.base)
    assert [len(one.message.notification_ids) for one in done] == [100, 2]
    assert sender.waiting == {}


def test_a_record_deleted_meanwhile_is_a_notification_without_it(org: Org) -> None:
    sender = OutboundMessages(org, FIELDS)
    sender.fire(ADAS)
    org.delete(ADAS)
    (found,) = notifications(sender.message().body)
    assert [one.tag for one in found] == [f"{OUT}Id"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(503, ACK % b"true", XML), "HTTP 503"),
        (Answer(201, ACK % b"true", XML), "HTTP 201"),
        (Answer(200, b'{"ok": true}', {"Content-Type": "application/json"}), "application/json"),
        (Answer(200, b"<html><p>Log in</html>", XML), "SAXParseException"),
        (Answer(200, ACK.replace(b"/outbound", b"/other") % b"true", XML), "no notificationsResponse"),
        (Answer(200, (ACK % b"true").replace(b"notificationsResponse", b"notifications"), XML), "no notificationsR"),
        (None, "no answer"),
    ],
)
def test_anything_but_an_acknowledgement_means_again(org: Org, answer: Answer | None, reason: str) -> None:
    sender = OutboundMessages(org, FIELDS)
    sender.fire(ADAS)
    with opened() as door:
        door.answers = [answer]
        done = sender.deliver_all(door.base, tries=2)
    assert [one.acknowledged for one in done] == [False, False]
    assert reason in done[0].reason
    assert len(sender.waiting) == 1
