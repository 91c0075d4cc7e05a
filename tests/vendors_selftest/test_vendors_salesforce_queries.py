"""Queries and composite calls of the Salesforce stand-in: what it reads, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from vendors.salesforce import SalesforceStandIn
from vendors_selftest.salesforce_calls import ADA, ADAS, BEN, BENS, DATA, query, send

POLL = (
    "SELECT Id, Contact__c, Contact__r.Email, Contact__r.FirstName, Completed_At__c, SystemModstamp"
    " FROM Course_Completion__c WHERE SystemModstamp >= 2026-09-21T10:00:00Z"
    " AND SystemModstamp < 2026-09-21T10:13:30+00:00 AND Status__c = 'Completed' ORDER BY SystemModstamp ASC, Id ASC"
)


@pytest.fixture
def salesforce() -> Iterator[SalesforceStandIn]:
    with SalesforceStandIn(clock=lambda: datetime(2026, 9, 21, 10, 13, 20, tzinfo=UTC)) as stand_in:
        yield stand_in


def completed(salesforce: SalesforceStandIn) -> None:
    at = datetime(2026, 9, 21, 10, 13, 20, tzinfo=UTC)
    for one, score in ((BENS, 80.0), (ADAS, 92.5)):
        salesforce.org.change(one, at=at, Status__c="Completed", Completed_At__c=at, Score__c=score)


def test_polls_with_relations_and_unquoted_instants(salesforce: SalesforceStandIn) -> None:
    completed(salesforce)
    salesforce.org.change(BENS, Contact__c=None)
    page = query(salesforce, POLL)
    assert (page["totalSize"], page["done"]) == (2, True)
    assert page["records"] == [
        {
            "attributes": {"type": "Course_Completion__c", "url": f"{DATA}/sobjects/Course_Completion__c/{ADAS}"},
            "Id": ADAS,
            "Contact__c": ADA,
            "Contact__r": {
                "attributes": {"type": "Contact", "url": f"{DATA}/sobjects/Contact/{ADA}"},
                "Email": "ada@example.org",
                "FirstName": "Ada",
            },
            "Completed_At__c": "2026-09-21T10:13:20.000+0000",
            "SystemModstamp": "2026-09-21T10:13:20.000+0000",
        },
        {
            "attributes": {"type": "Course_Completion__c", "url": f"{DATA}/sobjects/Course_Completion__c/{BENS}"},
            "Id": BENS,
            "Contact__c": None,
            "Contact__r": None,
            "Completed_At__c": "2026-09-21T10:13:20.000+0000",
            "SystemModstamp": "2026-09-21T10:13:20.000+0000",
        },
    ]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Contact__r.Email = 'ADA@example.org'", [ADAS]),
        ("Course_Name__c = 'Intro to \"Safety\" <Level 1>' AND Score__c > 90", [ADAS]),
        ("Last_Name__c = 'Örnek-O\\'Neil & Co'", [ADAS, BENS]),
        ("Last_Name__c = '\\u00d6rnek-O\\'Neil & Co'", [ADAS, BENS]),
        ("First_Name__c LIKE 'a%' AND Last_Name__c LIKE '_rnek%'", [ADAS]),
        ("First_Name__c LIKE 'a\\%'", []),
        ("Certificate_Id__c = null", [ADAS, BENS]),
        ("Certificate_Id__c = ''", [ADAS, BENS]),
        ("Certificate_Id__c != null", []),
        ("Certificate_Id__c != 'CERT-1'", [ADAS, BENS]),
        ("Score__c >= 80 AND Score__c <= 80.0", [BENS]),
        ("Score__c < 90 OR (Score__c > 90 AND First_Name__c = 'Eve')", [BENS]),
        ("NOT First_Name__c = 'Ada'", [BENS]),
        (f"Id IN ('{ADAS[:15]}', '{BEN}')", [ADAS]),
        (f"Id NOT IN ('{ADAS}')", [BENS]),
        (f"Id > '{ADAS}'", [BENS]),
        (f"Contact__c = '{ADA.lower()[:3]}8D0000000001'", []),
        ("Certificate_Date__c >= 2026-09-21", [ADAS]),
        ("IsDeleted = false", [ADAS, BENS]),
        ("completed_at__c = 2026-09-21T12:13:20.000+02:00", [ADAS, BENS]),
    ],
)
def test_reads_conditions(salesforce: SalesforceStandIn, where: str, found: list[str]) -> None:
    completed(salesforce)
    salesforce.org.change(ADAS, Certificate_Date__c=date(2026, 9, 21))
    page = query(salesforce, f"SELECT Id FROM Course_Completion__c WHERE {where} ORDER BY Id")
    assert [one["Id"] for one in page["records"]] == found


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("ORDER BY Score__c DESC", [None, 92.5, 80]),
        ("ORDER BY Score__c DESC NULLS LAST", [92.5, 80, None]),
        ("ORDER BY Score__c", [None, 80, 92.5]),
        ("ORDER BY Contact__r.FirstName DESC NULLS LAST, Id", [80, 92.5, None]),
        ("ORDER BY Id LIMIT 1", [92.5]),
        ("ORDER BY Id LIMIT 1 OFFSET 1", [80]),
        ("order by id limit 0", []),
    ],
)
def test_sorts_and_cuts(salesforce: SalesforceStandIn, rest: str, found: list[float | None]) -> None:
    completed(salesforce)
    salesforce.org.add("Course_Completion__c", Name="CC-3")
    page = query(salesforce, f"SELECT Score__c FROM Course_Completion__c {rest}")
    assert [one["Score__c"] for one in page["records"]] == found


def test_pages_follow_each_other_even_when_records_change_between(salesforce: SalesforceStandIn) -> None:
    salesforce.rest.page_size = 2
    for number in range(3):
        salesforce.org.add("Course_Completion__c", Name=f"CC-{number}")
    page = query(salesforce, "SELECT Id FROM Course_Completion__c ORDER BY Id")
    seen = page["records"]
    while not page["done"]:
        salesforce.org.delete(seen[-1]["Id"])
        page = send(salesforce, "GET", page["nextRecordsUrl"]).body
        seen += page["records"]
    assert "nextRecordsUrl" not in page
    assert (len(seen), page["totalSize"]) == (5, 5)


def test_the_next_page_may_have_expired(salesforce: SalesforceStandIn) -> None:
    salesforce.rest.page_size = 1
    page = query(salesforce, "SELECT Id FROM Contact")
    salesforce.rest.expire_cursors()
    assert send(salesforce, "GET", page["nextRecordsUrl"]).code == "INVALID_QUERY_LOCATOR"


def test_smaller_pages_can_be_asked_for(salesforce: SalesforceStandIn) -> None:
    for number in range(250):
        salesforce.org.add("Course_Completion__c", Name=f"CC-{number}")
    page = query(salesforce, "SELECT Id FROM Course_Completion__c", headers={"Sforce-Query-Options": "batchSize=200"})
    assert (len(page["records"]), page["totalSize"]) == (200, 252)
    wrong = {"Sforce-Query-Options": "batchSize=10"}
    assert send(salesforce, "GET", "/query", q="SELECT Id FROM Contact", headers=wrong).status == 400


def test_deleted_records_are_in_queryall_only_and_can_be_counted(salesforce: SalesforceStandIn) -> None:
    salesforce.org.delete(ADA)
    assert query(salesforce, "SELECT COUNT() FROM Contact") == {"totalSize": 1, "done": True, "records": []}
    assert send(salesforce, "GET", "/queryAll", q="SELECT Id FROM Contact").body["totalSize"] == 2


def test_groups_show_each_value_once_by_names_of_their_own(salesforce: SalesforceStandIn) -> None:
    salesforce.org.add("Course_Completion__c", Course_Code__c="safety-1", Contact__c=ADA)
    salesforce.org.add("Course_Completion__c", Course_Code__c="FIRE-2")
    soql = "SELECT Course_Code__c course, COUNT(Contact__c) learners, COUNT(Id) FROM Course_Completion__c"
    page = query(salesforce, f"{soql} WHERE Course_Code__c != null GROUP BY Course_Code__c")
    assert page["totalSize"] == 2
    assert {(one["course"].casefold(), one["learners"], one["expr0"]) for one in page["records"]} == {
        ("safety-1", 3, 3),
        ("fire-2", 0, 1),
    }
    assert {one["attributes"]["type"] for one in page["records"]} == {"AggregateResult"}
    assert query(salesforce, f"{soql} GROUP BY Course_Code__c LIMIT 1")["totalSize"] == 1


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("SELECT Email address FROM Contact", "MALFORMED_QUERY"),
        ("SELECT COUNT(Id) FROM Contact GROUP", "MALFORMED_QUERY"),
        ("SELECT Email, Name, COUNT(Id) FROM Contact GROUP BY Email", "MALFORMED_QUERY"),
        ("SELECT FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id, FROM Contact", "MALFORMED_QUERY"),
        ("SELECT * FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = ada", "MALFORMED_QUERY"),
        ('SELECT Id FROM Contact WHERE Email = "ada"', "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = 'O'Neil'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = 'a\\d'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = 'a' AND Id = null OR Id != null", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE CreatedDate > 2026-09-21T10:00:00", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE CreatedDate > 2026-09-21 10:00:00", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE CreatedDate > 2026-13-21T10:00:00Z", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE CreatedDate > 2026-09-21T10:00:00 00:00", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Id IN ()", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact ORDER Id", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact LIMIT '5'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact; DROP", "MALFORMED_QUERY"),
        ("SELECT Id FROM Nothing__c", "INVALID_TYPE"),
        ("SELECT Nothing__c FROM Contact", "INVALID_FIELD"),
        ("SELECT Secret__r.Name FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Nothing__c = null", "INVALID_FIELD"),
        ("SELECT Id FROM Contact ORDER BY Nothing__c", "INVALID_FIELD"),
        ("SELECT Id FROM Task WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE CreatedDate > '2026-09-21T10:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE CreatedDate > 2026-09-21", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Course_Completed_At__c = 2026-09-21T00:00:00Z", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Email = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE IsDeleted = 'false'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Id = 'CERT-1'", "INVALID_QUERY_FILTER_OPERATOR"),
    ],
)
def test_refuses_what_salesforce_could_not_read(salesforce: SalesforceStandIn, soql: str, code: str) -> None:
    found = send(salesforce, "GET", "/query", q=soql)
    assert (found.status, found.code) == (400, code)
    assert salesforce.refused[0].reason.startswith(code)


# -- composite -----------------------------------------------------------------------------------


def part(name: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    made = {"method": method, "url": DATA + path, "referenceId": name}
    return made if body is None else {**made, "body": body}


MARK = part("completion", "PATCH", f"/sobjects/Course_Completion__c/{ADAS}", {"Certificate_Id__c": "CERT-1"})
TASK = {"WhoId": ADA, "Subject": "Certificate issued", "Status": "Completed"}


def composite(salesforce: SalesforceStandIn, *parts: dict[str, Any], together: bool = False) -> list[Any]:
    found = send(salesforce, "POST", "/composite", {"allOrNone": together, "compositeRequest": list(parts)})
    assert found.status == 200
    assert [one["referenceId"] for one in found.body["compositeResponse"]] == [one["referenceId"] for one in parts]
    return [(one["httpStatusCode"], one["body"]) for one in found.body["compositeResponse"]]


def test_a_composite_call_does_all_its_parts_and_counts_as_one(salesforce: SalesforceStandIn) -> None:
    upsert = part("task", "PATCH", "/sobjects/Task/Certificate_Key__c/CERT-1", TASK)
    (marked, nothing), (made, task) = composite(salesforce, MARK, upsert, together=True)
    assert (marked, nothing, made, task["created"]) == (204, None, 201, True)
    assert salesforce.org.row(ADAS)["Certificate_Id__c"] == "CERT-1"
    assert salesforce.api_used == 1


def test_a_part_can_refer_to_what_an_earlier_one_returned(salesforce: SalesforceStandIn) -> None:
    find = part("found", "GET", f"/query?q=SELECT+Contact__c+FROM+Course_Completion__c+WHERE+Id='{ADAS}'")
    make = part("task", "POST", "/sobjects/Task", {**TASK, "WhoId": "@{found.records[0].Contact__c}"})
    read = part("read", "GET", "/sobjects/Task/@{task.id}?fields=WhoId")
    results = composite(salesforce, find, make, read)
    assert [status for status, _ in results] == [200, 201, 200]
    assert results[2][1]["WhoId"] == ADA


def test_a_failed_part_hides_behind_a_200(salesforce: SalesforceStandIn) -> None:
    salesforce.org.fail_next(1, "UNABLE_TO_LOCK_ROW", "Task")
    make = part("task", "POST", "/sobjects/Task", TASK)
    read = part("read", "GET", "/sobjects/Task/@{task.id}")
    marked, failed, halted = composite(salesforce, MARK, make, read)
    assert marked == (204, None)
    assert (failed[0], failed[1][0]["errorCode"]) == (400, "UNABLE_TO_LOCK_ROW")
    assert (halted[0], halted[1][0]["errorCode"]) == (400, "PROCESSING_HALTED")
    assert salesforce.org.row(ADAS)["Certificate_Id__c"] == "CERT-1"
    assert salesforce.refused == []


def test_all_or_none_takes_back_what_was_done(salesforce: SalesforceStandIn) -> None:
    wrong = part("task", "POST", "/sobjects/Task", {**TASK, "Nothing__c": "x"})
    last = part("last", "PATCH", f"/sobjects/Contact/{ADA}", {"FirstName": "x"})
    results = composite(salesforce, MARK, wrong, last, together=True)
    assert [(status, body[0]["errorCode"]) for status, body in results] == [
        (400, "PROCESSING_HALTED"),
        (400, "INVALID_FIELD"),
        (400, "PROCESSING_HALTED"),
    ]
    assert salesforce.org.row(ADAS)["Certificate_Id__c"] is None
    assert [one.reason.partition(":")[0] for one in salesforce.refused] == ["task"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"compositeRequest": []},
        {"compositeRequest": [MARK], "allOrNone": "true"},
        {"compositeRequest": [MARK], "all": True},
        {"compositeRequest": [MARK, MARK]},
        {"compositeRequest": [{**MARK, "referenceId": f"r{number}"} for number in range(26)]},
        {"compositeRequest": [part(f"r{number}", "GET", "/query?q=x") for number in range(6)]},
        {"compositeRequest": [{**MARK, "referenceId": "not-a-name"}]},
        {"compositeRequest": [{**MARK, "body": []}]},
        {"compositeRequest": [{"method": "GET", "url": DATA + "/limits"}]},
        {"compositeRequest": [{**MARK, "richInput": {}}]},
    ],
)
def test_refuses_a_composite_call_that_is_wrong_as_a_whole(salesforce: SalesforceStandIn, body: dict[str, Any]) -> None:
    assert send(salesforce, "POST", "/composite", body).status == 400
    assert salesforce.refused
    assert salesforce.org.row(ADAS)["Certificate_Id__c"] is None


def test_a_part_needs_an_address_of_the_api(salesforce: SalesforceStandIn) -> None:
    ((status, body),) = composite(salesforce, {**MARK, "url": "https://elsewhere.example/x"})
    assert (status, body[0]["errorCode"]) == (404, "NOT_FOUND")
    assert salesforce.refused
