"""The HubSpot stand-in's notes and custom events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from vendors.hubspot import HubSpotStandIn
from vendors_selftest.hubspot_calls import ADA, BEN, CONTACTS, NOTES, ids, note, search, send, where


@pytest.fixture
def hubspot() -> Iterator[HubSpotStandIn]:
    with HubSpotStandIn() as stand_in:
        yield stand_in


def test_a_note_hangs_on_its_contact_and_is_found_three_ways(hubspot: HubSpotStandIn) -> None:
    status, made = send(hubspot, "POST", NOTES, note())
    assert status == 201
    assert made["properties"]["hs_timestamp"] == "2026-09-21T10:13:25Z"
    (kept,) = hubspot.portal.notes_of(ADA)
    assert (kept.id, kept.body, kept.contact_ids) == (made["id"], "Certificate CERT-1", [ADA])
    _, contact = send(hubspot, "GET", f"{CONTACTS}/{ADA}", associations="notes")
    linked = [{"id": made["id"], "type": "contact_to_note"}]
    assert contact["associations"] == {"notes": {"results": linked}}
    assert send(hubspot, "GET", f"{CONTACTS}/{ADA}/associations/notes")[1] == {"results": linked}
    page = search(hubspot, where("hs_note_body", "CONTAINS_TOKEN", value="CERT-1"), path=NOTES)
    assert ids(page) == [made["id"]]
    asked = {"inputs": [{"id": made["id"]}], "properties": ["hs_note_body"]}
    _, many = send(hubspot, "POST", f"{NOTES}/batch/read", asked)
    assert many["results"][0]["properties"]["hs_note_body"] == "Certificate CERT-1"


def test_the_same_note_twice_is_two_notes(hubspot: HubSpotStandIn) -> None:
    for _ in range(2):
        send(hubspot, "POST", NOTES, note())
    assert len(hubspot.portal.notes_of(ADA)) == 2


def test_a_contact_shows_a_hundred_of_its_notes_and_the_rest_is_asked_for(hubspot: HubSpotStandIn) -> None:
    made = [hubspot.portal.add_note([ADA], hs_timestamp="2026-09-21T10:00:00Z").id for _ in range(250)]
    shown = send(hubspot, "GET", f"{CONTACTS}/{ADA}", associations="notes")[1]["associations"]["notes"]
    seen = ids(shown)
    assert len(seen) == 100
    while "paging" in shown:
        more = {"limit": "100", "after": shown["paging"]["next"]["after"]}
        _, shown = send(hubspot, "GET", f"{CONTACTS}/{ADA}/associations/notes", **more)
        seen += ids(shown)
    assert seen == made


def test_a_note_moves_along_with_a_merge_and_into_the_recycle_bin(hubspot: HubSpotStandIn) -> None:
    _, made = send(hubspot, "POST", NOTES, note())
    hubspot.portal.merge(BEN, ADA)
    assert [one.id for one in hubspot.portal.notes_of(BEN)] == [made["id"]]
    assert send(hubspot, "DELETE", f"{NOTES}/{made['id']}") == (204, None)
    assert hubspot.portal.notes_of(BEN) == []
    assert send(hubspot, "GET", f"{NOTES}/{made['id']}")[0] == 404


def test_a_note_ignores_unknown_properties_on_change_only(hubspot: HubSpotStandIn) -> None:
    _, made = send(hubspot, "POST", NOTES, note())
    change = {"properties": {"hs_note_body": "revoked", "colour": "red"}}
    assert send(hubspot, "PATCH", f"{NOTES}/{made['id']}", change)[0] == 200
    assert hubspot.portal.notes[made["id"]].body == "revoked"
    assert send(hubspot, "POST", NOTES, note(colour="red"))[1]["errors"][0]["code"] == "PROPERTY_DOESNT_EXIST"


def test_a_note_can_be_put_on_a_contact_afterwards(hubspot: HubSpotStandIn) -> None:
    _, made = send(hubspot, "POST", NOTES, {"properties": {"hs_timestamp": "1789948800000"}})
    for _ in range(2):
        assert send(hubspot, "PUT", f"{NOTES}/{made['id']}/associations/contact/{BEN}/202")[0] == 200
    assert hubspot.portal.notes[made["id"]].contact_ids == [BEN]


def test_a_custom_event_is_taken_once_per_uuid(hubspot: HubSpotStandIn) -> None:
    event = {
        "eventName": "pe50100100_certificate_issued",
        "objectId": ADA,
        "occurredAt": "2026-09-21T10:13:25Z",
        "uuid": "6f7c1d52-3a52-5b0e-9d3d-5d8f8a0a7a11",
        "properties": {"certificate_id": "CERT-1"},
    }
    for text in ("CERT-1", "CERT-2"):
        changed = {**event, "properties": {"certificate_id": text}}
        assert send(hubspot, "POST", "/events/v3/send", changed) == (204, None)
    (kept,) = hubspot.portal.sent_events
    assert (kept.object_id, kept.properties) == (ADA, {"certificate_id": "CERT-1"})
    assert len(hubspot.portal.dropped_events) == 1
