"""The Salesforce stand-in's records against the vendor's documented shapes, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

import pytest
from vendors.salesforce import SalesforceStandIn
from vendors.salesforce.ids import long_id
from vendors.salesforce.schema import Field
from vendors_selftest.calls import Clock, exchange
from vendors_selftest.salesforce_calls import ADA, ADAS, BEN, BENS, DATA, send, sign_in

TASK = {"WhoId": ADA, "Subject": "Certificate issued: Safety", "Status": "Completed", "ActivityDate": "2026-09-21"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def salesforce(clock: Clock) -> Iterator[SalesforceStandIn]:
    with SalesforceStandIn(clock=clock) as stand_in:
        yield stand_in


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("00D8d000004xYzA", "00D8d000004xYzAEAU"),
        ("a0X8d0000000001", "a0X8d0000000001EAA"),
        ("0058d00000AbCdE", "0058d00000AbCdEAAV"),
        ("001550V000WOQZi", "001550V000WOQZiACP"),
    ],
)
def test_ids_have_a_short_and_a_long_form(short: str, long: str) -> None:
    assert long_id(short) == long_id(long) == long
    with pytest.raises(ValueError, match="do not fit"):
        long_id(long[:-1] + "9")


def test_lists_its_versions_to_anybody(salesforce: SalesforceStandIn) -> None:
    found = exchange(salesforce, "GET", "/services/data/", None, {})
    assert found.body[-1] == {"label": "Summer '26", "url": "/services/data/v67.0", "version": "67.0"}


# -- records -------------------------------------------------------------------------------------


def test_reads_the_fields_it_is_asked_for(salesforce: SalesforceStandIn) -> None:
    found = send(salesforce, "GET", f"/sobjects/Contact/{ADA[:15]}", fields="Email,Course_Completed_At__c,CreatedDate")
    assert found.body == {
        "attributes": {"type": "Contact", "url": f"{DATA}/sobjects/Contact/{ADA}"},
        "Email": "ada@example.org",
        "Course_Completed_At__c": None,
        "CreatedDate": "2026-01-05T08:00:00.000+0000",
    }
    assert found.headers["sforce-limit-info"] == "api-usage=1/100000"


def test_a_change_answers_with_nothing_and_moves_the_stamps(salesforce: SalesforceStandIn) -> None:
    change = {"Certificate_Id__c": "CERT-1", "Certificate_Date__c": "2026-09-21", "Score__c": 92.5}
    found = send(salesforce, "PATCH", f"/sobjects/Course_Completion__c/{ADAS}", change)
    assert (found.status, found.raw) == (204, b"")
    row = salesforce.org.row(ADAS)
    assert (row["Certificate_Id__c"], row["Certificate_Date__c"], row["Score__c"]) == (
        "CERT-1",
        date(2026, 9, 21),
        92.5,
    )
    assert row["SystemModstamp"] == row["LastModifiedDate"] == datetime(2026, 9, 21, 10, 13, 20, tzinfo=UTC)


def test_automations_move_systemmodstamp_only(salesforce: SalesforceStandIn) -> None:
    salesforce.org.touch(ADAS)
    row = salesforce.org.row(ADAS)
    assert row["SystemModstamp"] > row["LastModifiedDate"]


def test_a_task_is_made_and_can_be_deleted(salesforce: SalesforceStandIn) -> None:
    found = send(salesforce, "POST", "/sobjects/Task", TASK)
    assert (found.status, found.body) == (201, {"id": found.body["id"], "success": True, "errors": []})
    (task,) = salesforce.org.tasks
    assert (task["Id"], task["WhoId"], task["ActivityDate"]) == (found.body["id"], ADA, date(2026, 9, 21))
    assert send(salesforce, "DELETE", f"/sobjects/Task/{task['Id']}").status == 204
    assert salesforce.org.tasks == []


def test_describes_an_object_and_hides_what_our_user_may_not_see(salesforce: SalesforceStandIn) -> None:
    fields = salesforce.org.types["Course_Completion__c"].fields
    fields["Certificate_Id__c"].updateable = False
    fields["Score__c"].hidden = True
    found = send(salesforce, "GET", "/sobjects/Course_Completion__c/describe").body
    by_name = {one["name"]: one for one in found["fields"]}
    assert by_name["Certificate_Id__c"]["updateable"] is False
    assert by_name["Contact__c"]["relationshipName"] == "Contact__r"
    assert by_name["Contact__c"]["referenceTo"] == ["Contact"]
    assert "Score__c" not in by_name


@pytest.mark.parametrize(
    ("change", "code", "fields"),
    [
        ({"Certificate_No__c": "x"}, "INVALID_FIELD", None),
        ({"Certificate_URL__c": "x"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Certificate_URL__c"]),
        ({"SystemModstamp": "2026-09-21T10:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["SystemModstamp"]),
        ({"Certificate_Id__c": "x" * 41}, "STRING_TOO_LONG", ["Certificate_Id__c"]),
        ({"Status__c": "Abgeschlossen"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Status__c"]),
        ({"Email__c": "ada at example.org"}, "INVALID_EMAIL_ADDRESS", ["Email__c"]),
        ({"Certificate_Date__c": "2026-09-21T10:00:00Z"}, "JSON_PARSER_ERROR", None),
        ({"Completed_At__c": "2026-09-21"}, "JSON_PARSER_ERROR", None),
        ({"Score__c": "92.5"}, "JSON_PARSER_ERROR", None),
        ({"Certificate_Id__c": 5}, "JSON_PARSER_ERROR", None),
        ({"Contact__c": "003"}, "MALFORMED_ID", ["Contact__c"]),
        ({"Contact__c": BENS}, "MALFORMED_ID", ["Contact__c"]),
        ({"Contact__c": "0038d0000000999AAA"}, "INVALID_CROSS_REFERENCE_KEY", ["Contact__c"]),
        ({"Id": ADAS}, "INVALID_FIELD", ["Id"]),
    ],
)
def test_refuses_a_change_in_salesforces_words_and_changes_nothing(
    salesforce: SalesforceStandIn, change: dict[str, Any], code: str, fields: list[str] | None
) -> None:
    salesforce.org.types["Course_Completion__c"].fields["Certificate_URL__c"].updateable = False
    before = dict(salesforce.org.row(ADAS))
    found = send(salesforce, "PATCH", f"/sobjects/Course_Completion__c/{ADAS}", {"Course_Code__c": "NEW", **change})
    assert (found.status, found.code, found.body[0].get("fields")) == (400, code, fields)
    assert salesforce.org.row(ADAS) == before
    assert salesforce.refused[0].reason.startswith(code)


def test_insists_on_required_fields(salesforce: SalesforceStandIn) -> None:
    found = send(salesforce, "POST", "/sobjects/Contact", {"FirstName": "Eve"})
    assert (found.code, found.body[0]["fields"]) == ("REQUIRED_FIELD_MISSING", ["LastName"])
    found = send(salesforce, "PATCH", f"/sobjects/Contact/{ADA}", {"LastName": ""})
    assert found.code == "REQUIRED_FIELD_MISSING"


@pytest.mark.parametrize(
    ("record_id", "status", "code"),
    [
        ("0038d0000000999", 404, "NOT_FOUND"),
        (BEN, 404, "ENTITY_IS_DELETED"),
        (ADAS, 400, "MALFORMED_ID"),
        (ADA[:17] + "9", 400, "MALFORMED_ID"),
        ("x", 400, "MALFORMED_ID"),
    ],
)
def test_says_what_is_wrong_with_an_id(salesforce: SalesforceStandIn, record_id: str, status: int, code: str) -> None:
    salesforce.org.delete(BEN)
    for method, body in (("GET", None), ("PATCH", {"FirstName": "x"})):
        found = send(salesforce, method, f"/sobjects/Contact/{record_id}", body)
        assert (found.status, found.code) == (status, code)


def test_a_record_may_be_locked_for_a_moment(salesforce: SalesforceStandIn) -> None:
    salesforce.org.fail_next(1, "UNABLE_TO_LOCK_ROW", "Task")
    assert send(salesforce, "PATCH", f"/sobjects/Contact/{ADA}", {"FirstName": "A"}).status == 204
    found = send(salesforce, "POST", "/sobjects/Task", TASK)
    assert (found.status, found.code) == (400, "UNABLE_TO_LOCK_ROW")
    assert send(salesforce, "POST", "/sobjects/Task", TASK).status == 201
    assert salesforce.refused == []


# -- upserts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("updated", [200, 204])
def test_an_upsert_makes_a_record_once(salesforce: SalesforceStandIn, updated: int) -> None:
    salesforce.rest.upsert_status = updated
    path = "/sobjects/Task/Certificate_Key__c/" + quote("CERT/1 é", safe="")
    first = send(salesforce, "PATCH", path, TASK)
    assert (first.status, first.body["created"]) == (201, True)
    second = send(salesforce, "PATCH", path, {**TASK, "Subject": "again"})
    assert second.status == updated
    assert second.body is None or second.body == {**first.body, "created": False}
    (task,) = salesforce.org.tasks
    assert (task["Certificate_Key__c"], task["Subject"]) == ("CERT/1 é", "again")
    found = send(salesforce, "GET", path, fields="Subject")
    assert found.body["Subject"] == "again"


def test_an_upsert_of_several_is_a_300_with_their_addresses(salesforce: SalesforceStandIn) -> None:
    contact = salesforce.org.types["Contact"].fields
    contact["Badge__c"] = Field("Badge__c", external_id=True)
    for one in (ADA, BEN):
        salesforce.org.change(one, Badge__c="B-1")
    found = send(salesforce, "PATCH", "/sobjects/Contact/Badge__c/b-1", {"FirstName": "x"})
    assert (found.status, found.body) == (300, [f"{DATA}/sobjects/Contact/{one}" for one in (ADA, BEN)])
    assert salesforce.org.row(ADA)["FirstName"] == "Ada"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/sobjects/Task/Certificate_Key__c/K", {**TASK, "Certificate_Key__c": "K"}, 400, "INVALID_FIELD"),
        ("/sobjects/Task/Certificate_Key__c/K", {**TASK, "certificate_key__c": "K"}, 400, "INVALID_FIELD"),
        ("/sobjects/Task/Subject/K", TASK, 404, "NOT_FOUND"),
        ("/sobjects/Task/Nothing__c/K", TASK, 404, "NOT_FOUND"),
    ],
)
def test_refuses_a_wrong_upsert(
    salesforce: SalesforceStandIn, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    found = send(salesforce, "PATCH", path, body)
    assert (found.status, found.code) == (status, code)
    assert salesforce.org.tasks == []
    assert salesforce.refused


def test_an_upsert_may_be_told_not_to_create(salesforce: SalesforceStandIn) -> None:
    found = send(salesforce, "PATCH", "/sobjects/Task/Certificate_Key__c/K", TASK, updateOnly="true")
    assert (found.status, found.code) == (404, "NOT_FOUND")
    assert salesforce.org.tasks == []


def test_a_unique_value_is_there_once(salesforce: SalesforceStandIn) -> None:
    salesforce.org.change(ADAS, Certificate_Id__c="CERT-1")
    found = send(salesforce, "PATCH", f"/sobjects/Course_Completion__c/{BENS}", {"Certificate_Id__c": "cert-1"})
    assert (found.status, found.code) == (400, "DUPLICATE_VALUE")
    assert ADAS[:15] in found.body[0]["message"]


# -- the wire ------------------------------------------------------------------------------------


def test_a_session_ends_and_another_begins(salesforce: SalesforceStandIn) -> None:
    assert send(salesforce, "GET", "/limits").status == 200
    token = next(iter(salesforce.tokens.sessions))
    salesforce.end_sessions()
    found = exchange(salesforce, "GET", f"{DATA}/limits", None, {"Authorization": f"Bearer {token}"})
    assert (found.status, found.code) == (401, "INVALID_SESSION_ID")
    sign_in(salesforce)
    assert send(salesforce, "GET", "/limits").status == 200
    assert salesforce.tokens.sign_ins == 2


def test_counts_calls_until_none_are_left(salesforce: SalesforceStandIn) -> None:
    salesforce.api_total = 1
    assert send(salesforce, "GET", "/limits").headers["sforce-limit-info"] == "api-usage=1/1"
    found = send(salesforce, "GET", "/limits")
    assert (found.status, found.code) == (403, "REQUEST_LIMIT_EXCEEDED")


def test_the_api_may_be_switched_off(salesforce: SalesforceStandIn) -> None:
    salesforce.api_enabled = False
    found = send(salesforce, "GET", "/limits")
    assert (found.status, found.code) == (403, "API_DISABLED_FOR_ORG")


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/limits", None, {"Authorization": "Bearer wrong"}, 401),
        ("GET", "/limits", None, {"Authorization": ""}, 401),
        ("GET", "/services/data/v30.0/limits", None, {}, 404),
        ("GET", "/nowhere", None, {}, 404),
        ("GET", "/sobjects/Nothing__c/describe", None, {}, 404),
        ("PUT", f"/sobjects/Contact/{ADA}", {}, {}, 405),
        ("GET", f"/sobjects/Contact/{ADA}?field=Email", None, {}, 400),
        ("GET", f"/sobjects/Contact/{ADA}?q=1", None, {}, 400),
        ("GET", f"/sobjects/Contact/{ADA}?fields=Nothing", None, {}, 400),
        ("GET", "/query?q=" + "x" * 16_384, None, {}, 414),
        ("POST", "/sobjects/Task", b"{", {}, 400),
        ("POST", "/sobjects/Task", b"[]", {}, 400),
        ("POST", "/sobjects/Task", TASK, {"Content-Type": "text/plain"}, 415),
        ("POST", "/sobjects/Task", {**TASK, "WhoId": ADAS}, {}, 400),
        ("POST", "/sobjects/Task", {**TASK, "WhatId": ADA}, {}, 400),
        ("POST", "/sobjects/Task", {**TASK, "Subject": "x" * 256}, {}, 400),
        ("POST", "/sobjects/Task", {"WhoId": ADA}, {}, 400),
    ],
)
def test_remembers_what_it_refused_and_why(
    salesforce: SalesforceStandIn, method: str, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    sign_in(salesforce)
    salesforce.calls.clear()
    found = send(salesforce, method, path, body, headers=headers)
    assert found.status == status
    assert found.code
    (refused,) = salesforce.refused
    assert refused.reason
    assert salesforce.calls == []
    assert salesforce.org.tasks == []
