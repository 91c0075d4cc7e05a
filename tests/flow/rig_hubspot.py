"""A bridge connected to a HubSpot account: an app's webhooks, workflows with and without signature, and the poll."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from flow.rig import Rig
from flow.rig_settings import PUBLIC
from flow.rig_vendors_a import Desk, checked
from flow.rig_vendors_b import only_source, still_clock
from vendors.faults import Faults
from vendors.hubspot import HubSpotStandIn
from vendors.hubspot.portal import PORTAL_ID, Portal, Record
from vendors.hubspot.sender import Delivery, HubSpotSender, Sent

SECRET = "hubspot-client-secret-0001"
API_KEY = "hubspot-workflow-key-0002"
TOKEN = "pat-na1-hubspot-token-0003"
ADA, BEN, NO_ADDRESS = "70000000101", "70000000102", "70000000104"
DONE_AT = "2026-11-20T10:13:20.123Z"
TITLE = 'Intro to "Safety" <Level 1>'
MAPPING = f"""\
every_course:
  again: renew
courses:
  safety-1: '{TITLE}'
  fire-2: Fire Safety
"""
"""A completion that was taken for another one would bring a second certificate."""
COMPLETED = "contact.propertyChange"
FLAT = {
    "contact_id": ADA,
    "email": "ada@example.org",
    "firstname": "Ada",
    "lastname": "Örnek-O'Neil & Co",
    "course_id": "safety-1",
    "course": TITLE,
    "completed_at": "1795169600123",
    "score": "92.5",
}
"""The body of a workflow, as the guide has it."""


@dataclass
class Hub(Desk[HubSpotStandIn]):
    """The source `hubspot`."""

    sender: HubSpotSender = field(default_factory=lambda: HubSpotSender(SECRET, f"{PUBLIC}/hooks/hubspot"))

    @property
    def portal(self) -> Portal:
        """The account."""
        return self.vendor.portal

    def complete(self, contact: str = ADA, at: str = DONE_AT, *, changed: datetime | None = None, **more: str) -> None:
        """Fills the property that tells of a completion; `changed` is when that was done, if not now."""
        with self.vendor.lock:
            self.portal.set(contact, at=changed, course_completed_at=at, **more)

    def contact(self, number: str = ADA) -> Record:
        """A contact as it is now."""
        found = self.portal.find(number)
        assert found is not None
        return found

    def shown(self, name: str, number: str = ADA) -> str:
        """The value of a contact's property, empty where there is none."""
        return self.contact(number).properties.get(name, "")

    def notes(self, number: str = ADA) -> list[str]:
        """The texts of a contact's notes."""
        return [note.body for note in self.portal.notes_of(number)]

    # -- what HubSpot sends ------------------------------------------------------------------------

    def happened(self, *types: str) -> list[dict[str, Any]]:
        """What webhooks have to report since the last time."""
        with self.vendor.lock:
            return self.portal.take_events(*types)

    def deliver(self, sent: Sent) -> Delivery:
        """Posts one request to the bridge."""
        assert self.rig.run is not None, "the bridge does not run"
        return self.sender.deliver(sent, self.rig.run.url)

    def report(self, events: Sequence[Mapping[str, Any]] | None = None, **options: Any) -> Delivery:
        """Posts a batch of the app's webhooks, by default everything that happened, and waits until it is through."""
        delivery = self.deliver(self.sender.webhooks(self.happened() if events is None else events, **options))
        assert delivery.delivered, delivery
        self.settle()
        return delivery

    # -- what became of it -------------------------------------------------------------------------

    def assert_one_of_each(self, contact: str = ADA) -> None:
        """One certificate, one mail, its number and link in the contact, one note."""
        hit, number = self.rig.certificate(), self.number()
        assert hit.certificate.state == "issued", self.rig.story()
        self.assert_through()
        assert len(self.rig.mails()) == 1
        assert self.shown("certificate_id", contact) == number
        assert self.shown("certificate_url", contact) == f"{PUBLIC}/c/{number}"
        (note,) = self.notes(contact)
        assert f"Certificate {number} issued" in note


@contextmanager
def connected(rig: Rig, patch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Hub]:
    """Makes a HubSpot account the bridge's only source; the bridge itself is not started yet."""
    clock = still_clock(patch)
    with HubSpotStandIn(token=TOKEN, clock=clock.now) as vendor:
        wanted = {
            "portal_id": str(PORTAL_ID),
            "client_secret": SECRET,
            "token": TOKEN,
            "api_url": vendor.url,
            "completed_property": "course_completed_at",
            "course_property": "course_id",
            "score_property": "course_score",
            "write_back": {"url_property": "certificate_url", "issued_property": "certificate_issued_at"},
        }
        only_source(rig, "hubspot", {**wanted, **settings}, mapping=MAPPING)
        hub = Hub(rig, "hubspot", vendor, clock, Faults(vendor))
        with checked(hub):
            yield hub
