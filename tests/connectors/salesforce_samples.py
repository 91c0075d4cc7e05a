"""A Salesforce source, messages of every shape for it, and the few answers of the API that most tests need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from contract import inbound
from scripted_api import Answer

from bridge.core.connector import ApiResponse, Connector
from bridge.core.models import InboundRequest, SourceEvent
from connectors.salesforce import Salesforce, SalesforceSettings
from connectors.salesforce import ids as salesforce_ids

ORGANIZATION = "00D8d000004xYzAEAU"
TOKEN = "salesforce-address-token"
CALLOUT_TOKEN = "salesforce-callout-token"
PATH = "/services/data/v67.0"
RECORD, CONTACT, LEAD = (
    salesforce_ids.normal(one) or "" for one in ("a0X8d0000000001", "0038d0000000001", "00Q8d0000000001")
)
OTHER_RECORD = salesforce_ids.normal("a0X8d0000000002") or ""
SETTINGS: dict[str, Any] = {
    "organization_ids": [ORGANIZATION],
    "url_token": TOKEN,
    "url": "https://acme-training.my.salesforce.com",
    "client_id": "3MVG9_CONSUMER_KEY",
    "client_secret": "salesforce-consumer-secret",
    "fields": {"score": "Score__c", "extra": {"hours": "Hours__c"}},
    "completed_field": "Status__c",
}
# An organisation that lets nobody ask: everything has to stand in the message, by formula fields.
WITHOUT_API: dict[str, Any] = {
    "organization_ids": [ORGANIZATION],
    "url_token": TOKEN,
    "fields": {
        "first_name": "First_Name__c",
        "last_name": "Last_Name__c",
        "email": "Email__c",
        "score": "Score__c",
    },
    "completed_field": "Status__c",
}
FLOW = {**SETTINGS, "entry": "flow", "url_token": None, "callout_token": CALLOUT_TOKEN}
FIELDS = {
    "Completed_At__c": "2026-09-21T10:13:20.000Z",
    "Contact__c": CONTACT,
    "Course_Name__c": "Intro to Safety",
    "CreatedDate": "2026-09-21T10:13:20.000Z",
    "Email__c": "ada@example.org",
    "First_Name__c": "Ada",
    "Last_Name__c": "Lovelace",
    "LastModifiedDate": "2026-09-21T10:13:21.000Z",
    "Name": "CC-000123",
    "Score__c": "92.5",
    "Status__c": "Completed",
}


def salesforce(base: Mapping[str, Any] = SETTINGS, **changes: Any) -> Salesforce:
    return Salesforce(SalesforceSettings.model_validate({**base, **changes}))


# -- messages --------------------------------------------------------------------------------------


def notification(number: int = 1, kind: str = "Course_Completion__c", **fields: str | None) -> str:
    """Returns one notification; a field that is None is left out, as Salesforce does."""
    values = {"Id": RECORD, **FIELDS, **fields}
    inside = "".join(f"<sf:{name}>{escape(value)}</sf:{name}>" for name, value in values.items() if value is not None)
    return (
        f"<Notification><Id>{salesforce_ids.normal(f'04l8d00000{number:05}')}</Id>"
        f'<sObject xsi:type="sf:{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{inside}</sObject>'
        "</Notification>"
    )


def message(
    *notifications: str, organization: str = ORGANIZATION, session: str = '<SessionId xsi:nil="true"/>'
) -> bytes:
    """Returns an Outbound Message with these notifications (or one)."""
    inside = "".join(notifications or (notification(),))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{organization}</OrganizationId><ActionId>04k8d0000000aBcAAI</ActionId>{session}"
        "<EnterpriseUrl>https://acme-training.my.salesforce.com/services/Soap/c/67.0/00D8d000004xYzA</EnterpriseUrl>"
        "<PartnerUrl>https://acme-training.my.salesforce.com/services/Soap/u/67.0/00D8d000004xYzA</PartnerUrl>"
        f"{inside}</notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()


def posted(body: bytes, token: str | None = TOKEN, **headers: str) -> InboundRequest:
    return inbound(body, {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""', **headers}, token)


def parsed(*notifications: str, base: Mapping[str, Any] = SETTINGS, **changes: Any) -> list[SourceEvent]:
    return list(salesforce(base, **changes).parse(posted(message(*notifications))))


# -- answers ---------------------------------------------------------------------------------------


def record(number: str = RECORD, **changes: Any) -> dict[str, Any]:
    """Returns what a query shows of the same completion as `notification`."""
    attributes = {"type": "Course_Completion__c", "url": f"{PATH}/sobjects/Course_Completion__c/{number}"}
    contact = {"attributes": {"type": "Contact", "url": f"{PATH}/sobjects/Contact/{CONTACT}"}}
    return {
        "attributes": attributes,
        "Id": number,
        "Contact__c": CONTACT,
        "Contact__r": {**contact, "FirstName": "Ada", "LastName": "Lovelace", "Email": "ada@example.org"},
        "Course_Name__c": "Intro to Safety",
        "Completed_At__c": "2026-09-21T10:13:20.000+0000",
        "Score__c": 92.5,
        "Status__c": "Completed",
        "Hours__c": 8.0,
        "SystemModstamp": "2026-09-21T10:13:21.000+0000",
        **changes,
    }


def page(*records: object, following: str | None = None, **more: Any) -> Answer:
    found: dict[str, Any] = {"totalSize": len(records), "done": following is None, "records": list(records), **more}
    return Answer(found if following is None else {**found, "nextRecordsUrl": following})


def failure(code: str, status: int = 400, message: str = "said by Salesforce", **more: Any) -> Answer:
    return Answer([{"message": message, "errorCode": code, **more}], status)


class Records:
    """Answers every query for one record with that record, as long as it has it."""

    def __init__(self, connector: Connector[Any], records: Mapping[str, Any]) -> None:
        self._connector, self._records = connector, records

    def request(self, method: str, path: str, *, query: Mapping[str, str] | None = None, **_: object) -> ApiResponse:
        assert (method, path) == ("GET", f"{PATH}/query")
        wanted = re.search(r" WHERE Id = '(\w{18})'$", (query or {})["q"])
        assert wanted, query
        found = self._records.get(wanted[1])
        response = page(*([] if found is None else [found])).response()
        self._connector.check(response)
        return response
