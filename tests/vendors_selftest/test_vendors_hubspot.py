"""The HubSpot stand-in against the vendor's documented shapes, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from vendors.hubspot import HubSpotStandIn
from vendors.hubspot.values import Property
from vendors_selftest.calls import Clock
from vendors_selftest.captures import differences
from vendors_selftest.hubspot_calls import ADA, BEN, CONTACTS, NOBODY, NOTES, ask, ids, note, search, send, where

# Keys and types as documentation and client code show them; the values are ours.
CONTACT = {
    "id": "1", "properties": {}, "createdAt": "t", "updatedAt": "t", "archived": False, "url": "u",
}  # fmt: skip
DETAILS = {
    "portalId": 1, "accountType": "t", "timeZone": "z", "companyCurrency": "c", "additionalCurrencies": [],
    "utcOffset": "o", "utcOffsetMilliseconds": 1, "uiDomain": "d", "dataHostingLocation": "l",
}  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hubspot(clock: Clock) -> Iterator[HubSpotStandIn]:
    with HubSpotStandIn(clock=clock) as stand_in:
        yield stand_in


# -- contacts ------------------------------------------------------------------------------------


def test_reads_a_contact_with_null_for_what_is_unset_and_nothing_for_what_does_not_exist(
    hubspot: HubSpotStandIn,
) -> None:
    status, found = send(hubspot, "GET", f"{CONTACTS}/{ADA}", properties="email,certificate_id,no_such_thing")
    assert status == 200
    assert differences({**CONTACT, "properties": found["properties"]}, found) == []
    assert found["properties"] == {
        "hs_object_id": ADA,
        "createdate": "2026-01-05T08:00:00Z",
        "lastmodifieddate": "2026-01-05T08:00:00Z",
        "email": "ada@example.org",
        "certificate_id": None,
    }


def test_reads_a_contact_by_any_of_its_addresses(hubspot: HubSpotStandIn) -> None:
    hubspot.portal.contacts[BEN].properties["hs_additional_emails"] = "old@example.org;older@example.org"
    for address in ("ben+courses@example.org", "Ben+Courses@Example.org", "older@example.org"):
        status, found = send(hubspot, "GET", f"{CONTACTS}/{quote(address)}", idProperty="email")
        assert (status, found["id"]) == (200, BEN)


def test_a_plus_in_an_address_must_be_escaped(hubspot: HubSpotStandIn) -> None:
    assert send(hubspot, "GET", f"{CONTACTS}/ben+courses@example.org", idProperty="email")[0] == 404
    assert "%2B" in hubspot.refused[0].reason


def test_answers_with_the_survivor_of_a_merge(hubspot: HubSpotStandIn) -> None:
    hubspot.portal.merge(ADA, BEN, new_id="70000000199")
    for asked in (ADA, BEN):
        _, found = send(hubspot, "GET", f"{CONTACTS}/{asked}", properties="hs_merged_object_ids")
        assert (found["id"], found["properties"]["hs_merged_object_ids"]) == ("70000000199", f"{BEN};{ADA}")
        status, found = send(hubspot, "PATCH", f"{CONTACTS}/{asked}", {"properties": {"certificate_id": asked}})
        assert (status, found["id"]) == (200, "70000000199")
    status, found = send(hubspot, "POST", f"{CONTACTS}/batch/read", {"inputs": [{"id": ADA}], "properties": []})
    assert (status, found["results"]) == (207, [])


def test_an_archived_contact_is_not_found_unless_asked_for(hubspot: HubSpotStandIn) -> None:
    hubspot.portal.archive(ADA)
    status, found = send(hubspot, "GET", f"{CONTACTS}/{ADA}")
    assert (status, found["category"]) == (404, "OBJECT_NOT_FOUND")
    assert found["correlationId"]
    assert send(hubspot, "GET", f"{CONTACTS}/{ADA}", archived="true")[1]["archived"] is True
    assert ids(search(hubspot)) == [BEN, NOBODY]
    assert hubspot.refused == []


def test_a_change_moves_lastmodifieddate_and_can_be_read_back(hubspot: HubSpotStandIn) -> None:
    change = {"properties": {"certificate_id": "CERT-1", "certificate_issued_at": "1789948800000"}}
    status, found = send(hubspot, "PATCH", f"{CONTACTS}/{ADA}", change)
    assert (status, found["updatedAt"]) == (200, "2026-09-21T10:13:20.123Z")
    assert found["properties"]["certificate_issued_at"] == "2026-09-21"
    kept = hubspot.portal.contacts[ADA].properties
    assert (kept["certificate_id"], kept["lastmodifieddate"]) == ("CERT-1", "2026-09-21T10:13:20.123Z")
    assert send(hubspot, "PATCH", f"{CONTACTS}/{ADA}", {"properties": {"certificate_id": ""}})[0] == 200
    assert (
        send(hubspot, "GET", f"{CONTACTS}/{ADA}", properties="certificate_id")[1]["properties"]["certificate_id"] == ""
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("certificate_no", "x", "PROPERTY_DOESNT_EXIST"),
        ("lastmodifieddate", "1789948800000", "READ_ONLY_VALUE"),
        ("certificate_issued_at", "2026-09-21T10:00:00Z", "INVALID_DATE"),
        ("certificate_issued_at", "21.09.2026", "INVALID_DATE"),
        ("course_completed_at", "2026-09-21", "INVALID_DATE"),
        ("course_score", "92,5", "INVALID_NUMBER"),
        ("course_status", "Completed", "INVALID_OPTION"),
        ("certificate_id", 5, "INVALID_STRING"),
        ("email", "ada at example.org", "INVALID_EMAIL"),
    ],
)
def test_one_bad_value_and_the_whole_change_fails(hubspot: HubSpotStandIn, name: str, value: Any, code: str) -> None:
    before = dict(hubspot.portal.contacts[ADA].properties)
    status, found = send(hubspot, "PATCH", f"{CONTACTS}/{ADA}", {"properties": {"course_id": "new", name: value}})
    assert (status, found["category"]) == (400, "VALIDATION_ERROR")
    (fault,) = found["errors"]
    assert (fault["code"], fault["context"]) == (code, {"propertyName": [name]})
    assert code in found["message"]
    assert hubspot.portal.contacts[ADA].properties == before
    assert hubspot.refused[0].reason.startswith(name)


def test_options_may_be_joined_where_several_are_allowed(hubspot: HubSpotStandIn) -> None:
    several = Property("topics", "Topics", "enumeration", "checkbox", ("a", "b"))
    hubspot.portal.contact_properties["topics"] = several
    assert send(hubspot, "PATCH", f"{CONTACTS}/{ADA}", {"properties": {"topics": "a;b"}})[0] == 200
    assert send(hubspot, "PATCH", f"{CONTACTS}/{ADA}", {"properties": {"topics": "a,b"}})[0] == 400


def test_an_address_of_somebody_else_is_a_conflict(hubspot: HubSpotStandIn) -> None:
    status, found = send(hubspot, "PATCH", f"{CONTACTS}/{BEN}", {"properties": {"email": "Ada@example.org"}})
    assert (status, found["category"], found["context"]) == (409, "CONFLICT", {"existingId": [ADA]})


def test_reads_many_and_names_the_missing(hubspot: HubSpotStandIn) -> None:
    asked = {"inputs": [{"id": BEN}, {"id": "70000000999"}, {"id": ADA}], "properties": ["email"]}
    status, found = send(hubspot, "POST", f"{CONTACTS}/batch/read", asked)
    assert (status, ids(found), found["numErrors"]) == (207, [BEN, ADA], 1)
    assert found["errors"][0]["context"] == {"ids": ["70000000999"]}
    by_address = {"idProperty": "email", "inputs": [{"id": "ada@example.org"}], "properties": ["email"]}
    assert send(hubspot, "POST", f"{CONTACTS}/batch/read", by_address)[0] == 200


# -- the account ---------------------------------------------------------------------------------


def test_tells_about_the_account_and_its_properties(hubspot: HubSpotStandIn) -> None:
    _, details = send(hubspot, "GET", "/account-info/v3/details")
    assert differences(DETAILS, details) == []
    assert (details["portalId"], details["utcOffset"], details["utcOffsetMilliseconds"]) == (
        50100100,
        "-04:00",
        -14_400_000,
    )
    _, listed = send(hubspot, "GET", "/crm/v3/properties/contacts")
    by_name = {one["name"]: one for one in listed["results"]}
    assert by_name["certificate_issued_at"]["type"] == "date"
    assert by_name["lastmodifieddate"]["modificationMetadata"]["readOnlyValue"] is True
    assert [one["value"] for one in by_name["course_status"]["options"]] == ["started", "completed"]
    assert send(hubspot, "GET", "/crm/v3/properties/contacts/nothing")[0] == 404


def test_tells_whose_a_token_is_and_what_it_may_do(hubspot: HubSpotStandIn) -> None:
    path = "/oauth/v2/private-apps/get/access-token-info"
    status, found = send(hubspot, "POST", path, {"tokenKey": hubspot.token})
    assert (status, found["hubId"], set(found["scopes"])) == (200, 50100100, hubspot.scopes)
    assert send(hubspot, "POST", path, {"tokenKey": "another"})[0] == 404


def test_counts_its_limits_down(hubspot: HubSpotStandIn, clock: Clock) -> None:
    hubspot.per_ten_seconds = 2
    left = [ask(hubspot, "GET", f"{CONTACTS}/{ADA}").headers.get("x-hubspot-ratelimit-remaining") for _ in range(3)]
    assert left == ["1", "0", None]
    status, found = send(hubspot, "GET", f"{CONTACTS}/{ADA}")
    assert (status, found["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
    clock.later(seconds=10)
    assert send(hubspot, "GET", f"{CONTACTS}/{ADA}")[0] == 200
    hubspot.daily_limit = hubspot.used_today
    found = ask(hubspot, "GET", f"{CONTACTS}/{ADA}")
    assert (found.status, found.body["policyName"], found.headers.get("retry-after")) == (429, "DAILY", None)


def test_a_token_without_the_scope_is_told_which(hubspot: HubSpotStandIn) -> None:
    hubspot.scopes.discard("crm.objects.contacts.write")
    status, found = send(hubspot, "PATCH", f"{CONTACTS}/{ADA}", {"properties": {"course_id": "x"}})
    assert (status, found["category"]) == (403, "MISSING_SCOPES")
    assert found["context"]["requiredGranularScopes"] == ["crm.objects.contacts.write"]


def test_may_live_under_another_version_of_the_api() -> None:
    dated = "/crm/objects/2026-09"
    with HubSpotStandIn(api=dated, properties_api="/crm/properties/2026-09") as hubspot:
        assert send(hubspot, "GET", f"{dated}/contacts/{ADA}")[0] == 200
        assert send(hubspot, "GET", "/crm/properties/2026-09/contacts")[0] == 200
        assert send(hubspot, "GET", f"{CONTACTS}/{ADA}")[0] == 404


BEARER = {"Authorization": "Bearer pat-na1-sample-hubspot-token"}
LONG = {"filterGroups": [{"filters": [where("email", "EQ", value="x" * 3000)]}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", f"{CONTACTS}/{ADA}", None, {}, 401),
        ("GET", f"{CONTACTS}/{ADA}", None, {"Authorization": "Bearer wrong"}, 401),
        ("GET", f"{CONTACTS}/{ADA}", None, {"Authorization": "pat-na1-sample-hubspot-token"}, 401),
        ("GET", "/crm/v3/objects/tickets/1", None, BEARER, 404),
        ("PUT", f"{CONTACTS}/{ADA}", {}, BEARER, 405),
        ("GET", f"{CONTACTS}/ada@example.org", None, BEARER, 404),
        ("GET", f"{CONTACTS}/{ADA}?property=email", None, BEARER, 400),
        ("GET", f"{CONTACTS}/{ADA}?properties=email&properties=firstname", None, BEARER, 400),
        ("GET", f"{CONTACTS}/{ADA}?associations=deals", None, BEARER, 400),
        ("GET", f"{CONTACTS}/ada?idProperty=firstname", None, BEARER, 400),
        ("PATCH", f"{CONTACTS}/{ADA}", b"{", BEARER, 400),
        ("PATCH", f"{CONTACTS}/{ADA}", b"[]", BEARER, 400),
        ("PATCH", f"{CONTACTS}/{ADA}", b'{"properties":{"course_id":NaN}}', BEARER, 400),
        ("PATCH", f"{CONTACTS}/{ADA}", {"certificate_id": "x"}, BEARER, 400),
        ("PATCH", f"{CONTACTS}/{ADA}", {"properties": {}}, BEARER, 400),
        ("PATCH", f"{CONTACTS}/{ADA}", {"properties": {"a": "b"}}, {**BEARER, "Content-Type": "text/plain"}, 400),
        ("POST", f"{CONTACTS}/batch/read", {"inputs": [], "properties": []}, BEARER, 400),
        ("POST", f"{CONTACTS}/batch/read", {"inputs": [{"id": ADA}] * 101, "properties": []}, BEARER, 400),
        ("POST", f"{CONTACTS}/batch/read", {"inputs": [{"id": ADA}] * 2, "properties": []}, BEARER, 400),
        ("POST", f"{CONTACTS}/batch/read", {"inputs": [{"id": 70000000101}], "properties": []}, BEARER, 400),
        ("POST", f"{CONTACTS}/search", {"limit": 201}, BEARER, 400),
        ("POST", f"{CONTACTS}/search", {"offset": 0}, BEARER, 400),
        ("POST", f"{CONTACTS}/search", LONG, BEARER, 400),
        ("POST", f"{CONTACTS}/search", {"filterGroups": [{"filters": []}]}, BEARER, 400),
        ("POST", f"{CONTACTS}/search", {"filterGroups": [{"filters": [where("email", "EQ")]}]}, BEARER, 400),
        ("POST", f"{CONTACTS}/search", {"filterGroups": [{"filters": [where("no", "HAS_PROPERTY")]}]}, BEARER, 400),
        ("POST", f"{CONTACTS}/search", {"filterGroups": [{"filters": [where("email", "IS")]}]}, BEARER, 400),
        (
            "POST",
            f"{CONTACTS}/search",
            {"filterGroups": [{"filters": [where("createdate", "GT", value="today")]}]},
            BEARER,
            400,
        ),
        (
            "POST",
            f"{CONTACTS}/search",
            {"filterGroups": [{"filters": [where("email", "HAS_PROPERTY")] * 7}]},
            BEARER,
            400,
        ),
        (
            "POST",
            f"{CONTACTS}/search",
            {"filterGroups": [{"filters": [where("email", "HAS_PROPERTY")]}] * 6},
            BEARER,
            400,
        ),
        ("POST", f"{CONTACTS}/search", {"sorts": [{"propertyName": "email"}]}, BEARER, 400),
        ("POST", NOTES, {"properties": {"hs_note_body": "x"}}, BEARER, 400),
        ("POST", NOTES, note("x" * 65_537), BEARER, 400),
        ("POST", NOTES, note(contact="70000000999"), BEARER, 400),
        ("POST", NOTES, {**note(), "associations": [{"to": {"id": ADA}, "types": []}]}, BEARER, 400),
        ("POST", "/events/v3/send", {"eventName": "pe1_x", "objectId": ADA, "properties": {}}, BEARER, 400),
        ("POST", "/events/v3/send", {"eventName": "pe50100100_x", "objectId": ADA}, BEARER, 400),
        ("POST", "/events/v3/send", {"eventName": "pe50100100_x", "properties": {}}, BEARER, 400),
        (
            "POST",
            "/events/v3/send",
            {"eventName": "pe50100100_x", "objectId": ADA, "properties": {}, "uuid": "1"},
            BEARER,
            400,
        ),
    ],
)
def test_remembers_what_it_refused_and_why(
    hubspot: HubSpotStandIn, method: str, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    answered, found = send(hubspot, method, path, body, headers=headers)
    assert answered == status
    assert found["status"] == "error"
    assert found["correlationId"]
    (refused,) = hubspot.refused
    assert refused.reason
    assert hubspot.calls == []
    assert hubspot.portal.notes == {}
    assert hubspot.portal.sent_events == []


def test_a_deal_names_its_contacts_under_the_ids_they_have_now(hubspot: HubSpotStandIn) -> None:
    hubspot.portal.add_deal("30000000801", [BEN])
    hubspot.portal.merge(ADA, BEN)
    status, found = send(hubspot, "GET", "/crm/v3/objects/deals/30000000801?associations=contacts")
    assert status == 200
    assert found["associations"] == {"contacts": {"results": [{"id": ADA, "type": "deal_to_contact"}]}}
    assert send(hubspot, "GET", "/crm/v3/objects/deals/1")[0] == 404
    hubspot.scopes.discard("crm.objects.deals.read")
    assert send(hubspot, "GET", "/crm/v3/objects/deals/30000000801")[0] == 403
