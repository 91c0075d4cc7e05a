"""A bridge connected to an organisation of Salesforce: Outbound Messages, a Flow's callouts, and the poll."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from flow.rig import Answer, Rig
from flow.rig_settings import PUBLIC
from flow.rig_vendors_a import Desk, checked
from flow.rig_vendors_b import only_source, still_clock
from vendors.faults import Faults
from vendors.salesforce import SalesforceStandIn
from vendors.salesforce.ids import make_id
from vendors.salesforce.org import ORG_ID, Org, Row
from vendors.salesforce.sender import Delivery, OutboundMessages

from bridge.core.models import State

TOKEN = "salesforce-address-token-01"
CALLOUT_TOKEN = "salesforce-callout-token-02"
ADA, BEN = make_id("003", 1), make_id("003", 2)
RECORD, BENS_RECORD = make_id("a0X", 1), make_id("a0X", 2)
OBJECT = "Course_Completion__c"
DONE_AT = datetime(2026, 11, 20, 10, 13, 20, tzinfo=UTC)
TITLE = 'Intro to "Safety" <Level 1>'
MAPPING = "other_courses: issue\nevery_course:\n  again: renew\n"
"""A completion that was taken for another one would bring a second certificate."""
SENT_FIELDS = (
    *("Completed_At__c", "Contact__c", "Course_Code__c", "Course_Name__c", "Status__c"),
    *("Certificate_Id__c", "CreatedDate", "LastModifiedDate"),
)


@dataclass
class Crm(Desk[SalesforceStandIn]):
    """The source `salesforce`."""

    messages: OutboundMessages = field(init=False)

    def __post_init__(self) -> None:
        self.messages = OutboundMessages(self.org, SENT_FIELDS)

    @property
    def org(self) -> Org:
        """The organisation."""
        return self.vendor.org

    # -- what happens there ------------------------------------------------------------------------

    def complete(self, record: str = RECORD, **values: Any) -> None:
        """Completes the course of a record, five minutes ago unless `at` says when it was written."""
        said = {"Status__c": "Completed", "Completed_At__c": DONE_AT, "at": self.clock.ago(minutes=5), **values}
        with self.vendor.lock:
            self.org.change(record, **said)

    def add(self, contact: str | None = ADA, **values: Any) -> str:
        """Adds a completed record and returns its id."""
        at = self.clock.ago(minutes=5)
        stamps = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), at)
        said = {"Course_Code__c": "FIRE-2", "Course_Name__c": "Fire Safety", "Status__c": "Completed"}
        values = {"Completed_At__c": DONE_AT, **values}
        with self.vendor.lock:
            return self.org.add(OBJECT, Contact__c=contact, **{**stamps, **said, **values})

    def send(self, *records: str, limit: int = 100) -> Delivery:
        """Fires the message for these records, delivers what waits, and waits until it is through."""
        self.messages.fire(*records)
        delivery = self.messages.deliver(f"{self.door}/{TOKEN}", limit=limit)
        assert delivery.acknowledged, delivery.reason
        self.settle()
        return delivery

    def call_out(self, body: Mapping[str, Any], token: str = CALLOUT_TOKEN) -> Answer:
        """Posts what a Flow's HTTP Callout posts, and waits until it is through."""
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.rig.post(self.name, json.dumps(body).encode(), headers)
        self.settle()
        return answer

    # -- what became of it -------------------------------------------------------------------------

    def record(self, record: str = RECORD) -> Row:
        """A record as it is now."""
        return self.org.row(record)

    def tasks(self) -> list[str]:
        """The subjects of the tasks."""
        return [str(task["Subject"]) for task in self.org.tasks]

    def assert_one_of_each(self, record: str = RECORD, contact: str = ADA) -> None:
        """One certificate, one mail, its number and link in record and contact, one task, one file."""
        hit, number = self.rig.certificate(), self.number()
        assert hit.certificate.state == "issued", self.rig.story()
        self.assert_through()
        assert len(self.rig.mails()) == 1
        held = self.record(record)
        assert (held["Certificate_Id__c"], held["Certificate_URL__c"]) == (number, f"{PUBLIC}/c/{number}")
        assert self.record(contact)["Last_Certificate_Id__c"] == number
        assert self.tasks() == [f"Certificate {number} issued: {hit.version.data.course.title}"]
        (task,) = self.org.tasks
        assert task["WhoId"] == contact
        (file,) = self.org.files_of(record)
        assert len(self.org.content_versions) == 1
        pdf = self.rig.request("GET", f"/c/{number}.pdf").body
        assert (file["PathOnClient"], file["VersionData"]) == (f"{number}.pdf", pdf)


WRITE_BACK = {
    "url_field": "Certificate_URL__c",
    "learner_field": "Last_Certificate_Id__c",
    "pdf": "record",
}


@contextmanager
def connected(rig: Rig, patch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Crm]:
    """Makes an organisation the bridge's only source; the bridge itself is not started yet."""
    clock = still_clock(patch)
    with SalesforceStandIn(clock=clock.now) as vendor:
        wanted: dict[str, Any] = {
            "url": vendor.url,
            "client_id": vendor.tokens.client_id,
            "client_secret": vendor.tokens.client_secret,
            "url_token": TOKEN,
            "organization_ids": [ORG_ID[:15]],
            "fields": {"course": "Course_Code__c", "course_title": "Course_Name__c", "score": "Score__c"},
            "completed_field": "Status__c",
            "write_back": WRITE_BACK,
        }
        only_source(rig, "salesforce", {**wanted, **settings}, mapping=MAPPING)
        crm = Crm(rig, "salesforce", vendor, clock, Faults(vendor))
        with checked(crm):
            yield crm


def states(crm: Crm) -> list[tuple[State, str | None]]:
    """How every event stands."""
    return [(row.state, row.code) for row in crm.rig.events()]
