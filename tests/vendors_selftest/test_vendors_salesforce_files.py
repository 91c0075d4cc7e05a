"""Files in the Salesforce stand-in: versions, documents and where they are attached."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from vendors.salesforce import SalesforceStandIn
from vendors_selftest.salesforce_calls import ADA, BEN, query, send

PDF = b"%PDF-1.4\n"


@pytest.fixture
def salesforce() -> Iterator[SalesforceStandIn]:
    with SalesforceStandIn() as stand_in:
        yield stand_in


def version(**more: Any) -> dict[str, Any]:
    return {"PathOnClient": "CERT-1.pdf", "VersionData": base64.b64encode(PDF).decode(), **more}


def test_a_pdf_is_attached_where_it_is_first_published_and_can_be_found(salesforce: SalesforceStandIn) -> None:
    made = send(salesforce, "POST", "/sobjects/ContentVersion", version(FirstPublishLocationId=ADA))
    assert made.status == 201
    (kept,) = salesforce.org.files_of(ADA)
    assert (kept["Id"], kept["VersionData"], kept["Title"], kept["FileType"]) == (made.body["id"], PDF, "CERT-1", "PDF")
    soql = f"SELECT ContentDocument.LatestPublishedVersionId FROM ContentDocumentLink WHERE LinkedEntityId = '{ADA}'"
    (link,) = query(salesforce, soql)["records"]
    assert link["ContentDocument"]["LatestPublishedVersionId"] == kept["Id"]
    found = send(salesforce, "GET", f"/sobjects/ContentVersion/{kept['Id']}", fields="VersionData,ContentSize,IsLatest")
    assert (found.body["ContentSize"], found.body["IsLatest"]) == (len(PDF), True)
    assert send(salesforce, "GET", found.body["VersionData"]).raw == PDF


def test_a_new_version_takes_the_place_of_the_old(salesforce: SalesforceStandIn) -> None:
    send(salesforce, "POST", "/sobjects/ContentVersion", version(FirstPublishLocationId=ADA))
    document = salesforce.org.files_of(ADA)[0]["ContentDocumentId"]
    send(salesforce, "POST", "/sobjects/ContentVersion", version(ContentDocumentId=document, Title="revoked"))
    (kept,) = salesforce.org.files_of(ADA)
    assert (kept["Title"], kept["VersionNumber"]) == ("revoked", "2")
    assert send(salesforce, "DELETE", f"/sobjects/ContentDocument/{document}").status == 204
    assert salesforce.org.files_of(ADA) == []


def test_a_document_is_linked_with_a_record_once(salesforce: SalesforceStandIn) -> None:
    send(salesforce, "POST", "/sobjects/ContentVersion", version())
    link = {
        "ContentDocumentId": salesforce.org.content_versions[0]["ContentDocumentId"],
        "LinkedEntityId": BEN,
        "ShareType": "V",
    }
    assert send(salesforce, "POST", "/sobjects/ContentDocumentLink", link).status == 201
    assert send(salesforce, "POST", "/sobjects/ContentDocumentLink", link).code == "DUPLICATE_VALUE"
    assert len(salesforce.org.files_of(BEN)) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/sobjects/ContentVersion", version(VersionData="not base64"), "JSON_PARSER_ERROR"),
        ("POST", "/sobjects/ContentVersion", {"Title": "x"}, "REQUIRED_FIELD_MISSING"),
        ("POST", "/sobjects/ContentDocument", {"Title": "x"}, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
        ("GET", "/query?q=SELECT+Id+FROM+ContentDocumentLink", None, "MALFORMED_QUERY"),
    ],
)
def test_refuses_what_files_do_not_take(
    salesforce: SalesforceStandIn, method: str, path: str, body: object, code: str
) -> None:
    assert send(salesforce, method, path, body).code == code
    assert salesforce.org.content_versions == []
