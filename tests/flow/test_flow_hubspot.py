"""HubSpot as the source: from each of its webhooks, or from the poll, to the number in the contact, and only once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from flow.rig import Rig, sample, to
from flow.rig_hubspot import (
    ADA,
    API_KEY,
    BEN,
    COMPLETED,
    DONE_AT,
    FLAT,
    MAPPING,
    NO_ADDRESS,
    TITLE,
    Hub,
    connected,
)
from vendors.hubspot.sender import Sent, Version
from vendors.hubspot.values import Property

from bridge.core import certificate_id
from bridge.core.errors import UnavailableError
from bridge.core.models import State
from bridge.store import inbox


class Connect(Protocol):
    """Makes a bridge with changed settings."""

    def __call__(self, **settings: Any) -> AbstractContextManager[Hub]: ...


@pytest.fixture
def connect(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Connect:
    return lambda **settings: connected(rig, monkeypatch, **settings)


@pytest.fixture
def hub(connect: Connect) -> Iterator[Hub]:
    """A running bridge on SQLite whose only source is a HubSpot account."""
    with connect() as made, made.rig.running():
        yield made


@pytest.fixture
def any_hub(any_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The same, once on SQLite and once on PostgreSQL."""
    with connected(any_rig, monkeypatch) as made, made.rig.running():
        yield made


# -- the app's webhooks --------------------------------------------------------------------------


VERSIONS: tuple[Version, ...] = ("v1", "v2", "v3")


def test_a_signed_batch_of_the_app_becomes_a_certificate_a_mail_a_number_and_a_note(hub: Hub) -> None:
    hub.complete(course_score="92.5")
    batch = hub.happened()
    for versions in (("v1",), ("v3",), ("v1", "v3")):
        hub.report(batch, versions=versions)
    hub.assert_one_of_each()
    said = hub.rig.certificate().version.data
    assert (said.recipient.name, said.course.title) == ("Ada Örnek-O'Neil & Co", TITLE)
    assert said.completed_on.isoformat() == "2026-11-20"
    (mail,) = hub.rig.mails()
    assert to(mail) == ["ada@example.org"]
    assert hub.shown("certificate_issued_at") == said.issued_on.isoformat()
    assert "Ada Örnek-O'Neil & Co" in hub.rig.pdf_text(hub.rig.certificate().certificate.id)
    for row in hub.write_backs():
        assert row.receipt is not None
        assert row.receipt["confirmed"] is True


def test_case_01_and_02_a_batch_with_repeats_out_of_order_and_sent_again_leaves_one_certificate(any_hub: Hub) -> None:
    hub = any_hub
    hub.complete(at="2026-11-18T08:00:00.000Z")
    hub.complete()
    earlier, later = hub.happened(COMPLETED)
    earlier["occurredAt"] -= 1000
    batch = [later, earlier, {**later, "eventId": 1, "attemptNumber": 1}]
    hub.report(batch)
    hub.report(hub.sender.retry(batch))
    hub.assert_one_of_each()
    assert hub.rig.certificate().version.data.completed_on.isoformat() == "2026-11-20"
    # The older of the two is about the contact as it is now.
    assert sorted(str(row.code) for row in hub.rig.events()) == ["already_issued", "issued"]


def test_case_03_and_04_the_same_number_of_another_account_is_left_out_and_the_rest_is_done(hub: Hub) -> None:
    hub.complete()
    (mine,) = hub.happened()
    foreign = {**mine, "portalId": 50100200}
    second = {**mine, "objectId": int(BEN)}
    hub.complete(BEN)
    hub.report([mine, foreign, second])
    assert [row.state for row in hub.rig.events()] == [State.DONE, State.IGNORED, State.DONE]
    assert "account 50100200" in (hub.rig.events()[1].reason or "")
    assert len(hub.rig.certificates()) == 2
    assert hub.shown("certificate_id", BEN)


def test_case_05_a_contact_without_an_address_is_held_until_it_has_one(hub: Hub) -> None:
    hub.complete(NO_ADDRESS, firstname="Nora", lastname="Nowhere")
    hub.report()
    row = hub.rig.events()[-1]
    held = next(row for row in hub.rig.events() if row.state is State.HELD)
    assert "no e-mail address in HubSpot" in (held.reason or "")
    assert hub.rig.certificates() == []
    hub.portal.set(NO_ADDRESS, email="nora@example.org")
    hub.replay(held.id)
    assert hub.rig.event(held.id).state is State.DONE, row
    assert to(hub.rig.mails()[0]) == ["nora@example.org"]
    assert hub.shown("certificate_id", NO_ADDRESS) == hub.number()


@pytest.mark.parametrize("cleared", ["", None])
def test_case_08_a_cleared_property_brings_nothing(hub: Hub, cleared: str | None) -> None:
    event = hub.sender.event(COMPLETED, ADA, propertyName="course_completed_at", propertyValue=cleared)
    hub.report([event])
    assert "was cleared" in (hub.rig.event().reason or "")
    # Filled and cleared again before certbridge could ask: HubSpot says what holds now.
    hub.report([{**event, "occurredAt": event["occurredAt"] + 1, "propertyValue": "1794996800123"}])
    asked = hub.rig.events()[1]
    assert (asked.state, asked.reason) == (
        State.IGNORED,
        f"Contact {ADA} no longer says in course_completed_at that it is completed.",
    )
    assert hub.rig.certificates() == []


def test_case_09_our_own_writing_comes_back_as_webhooks_and_changes_nothing(hub: Hub) -> None:
    hub.complete()
    hub.report()
    calls = len(hub.vendor.calls)
    echo = hub.happened()
    assert {one["propertyName"] for one in echo} == {"certificate_id", "certificate_url", "certificate_issued_at"}
    hub.report(echo)
    assert {row.state for row in hub.rig.events()[1:]} == {State.IGNORED}
    assert all("certbridge writes it itself" in (row.reason or "") for row in hub.rig.events()[1:])
    assert len(hub.vendor.calls) == calls
    hub.assert_one_of_each()


def test_case_10_a_hidden_value_is_held_and_never_used(hub: Hub) -> None:
    hub.complete()
    (event,) = hub.happened()
    with hub.vendor.lock:
        hub.contact().properties["course_completed_at"] = "REDACTED"
    hub.report([{**event, "propertyValue": "REDACTED"}])
    assert (hub.rig.event().state, hub.rig.event().code) == (State.HELD, "hidden")
    assert "crm.objects.contacts.sensitive.read" in (hub.rig.event().reason or "")
    with hub.vendor.lock:
        hub.contact().properties["course_completed_at"] = DONE_AT
    hub.replay(hub.rig.event().id)
    hub.assert_one_of_each()


def test_case_22_what_is_no_completion_is_answered_200_and_never_asked_about(hub: Hub) -> None:
    bodies = [[], [None, 3, {"subscriptionType": "contact.whatever", "objectId": 1}], [{"odd": True}]]
    for body in bodies:
        assert hub.deliver(hub.sender.signed("webhooks", "POST", json.dumps(body).encode(), ("v3",))).delivered
    hub.settle()
    assert {row.state for row in hub.rig.events()} == {State.IGNORED}
    assert all(row.reason for row in hub.rig.events())
    assert hub.vendor.calls == []
    assert hub.rig.request("GET", "/healthz").status == 200


def test_case_23_a_hundred_events_are_acknowledged_before_hubspot_is_asked(connect: Connect) -> None:
    with connect() as hub:
        # Courses that nobody listed are left out, so that this is about events and not about a hundred PDFs.
        hub.decide(MAPPING + "other_courses: skip\n")
        numbers = [hub.portal.add_contact(email=f"c{n}@example.org", course_id="other").id for n in range(100)]
        for number in numbers:
            hub.complete(number)
        batch = hub.happened(COMPLETED)
        with hub.rig.running(), hub.vendor.lock:  # nothing is answered while the lock is held
            assert len(batch) == 100
            delivery = hub.deliver(hub.sender.webhooks(batch))
            assert delivery.delivered
            assert len(hub.rig.events()) == 100
            hub.vendor.lock.release()
            try:
                hub.settle()
            finally:
                hub.vendor.lock.acquire()
            assert {row.state for row in hub.rig.events()} == {State.IGNORED}
            assert len(hub.vendor.calls) == 100


# -- proof ---------------------------------------------------------------------------------------


def test_case_11_the_address_is_signed_as_hubspot_was_told_it_whatever_it_contains(hub: Hub) -> None:
    hub.complete(firstname="Zoë")
    body, told = hub.happened(), hub.sender.public_url
    for query in ("", "?", "?via=a%2Fb%26c&n=%C3%A9", "?x=%3A%2C%28%29"):
        hub.sender.public_url = told + query
        for version in VERSIONS:
            delivery = hub.deliver(hub.sender.webhooks(body, versions=(version,)))
            assert delivery.delivered, (query, version, delivery)


def test_case_12_and_13_what_is_not_authentic_is_refused_and_leaves_nothing(hub: Hub) -> None:
    hub.complete()
    sent = hub.sender.webhooks(hub.happened(), versions=("v3",))
    respaced = json.dumps(json.loads(sent.body)).encode()
    stale, early = (
        hub.sender.signed("webhooks", "POST", sent.body, ("v3",), at=datetime.now(UTC) + timedelta(minutes=minutes))
        for minutes in (-6, 6)
    )
    no_number = {**sent.headers, "X-HubSpot-Request-Timestamp": "now"}
    for forged in (
        Sent("webhooks", "POST", sent.target, sent.headers, respaced),
        Sent("webhooks", "POST", sent.target + "?more=1", sent.headers, sent.body),
        Sent("webhooks", "POST", sent.target, no_number, sent.body),
        Sent("webhooks", "POST", sent.target, {"Content-Type": "application/json"}, sent.body),
        stale,
        early,
    ):
        answer = hub.deliver(forged).answer
        assert answer is not None
        assert answer.status == 401
    assert hub.rig.events() == []
    assert {row.outcome for row in hub.rig.requests()} == {"rejected"}


def test_case_15_trouble_of_ours_asks_a_workflow_to_come_again_and_names_the_time_in_milliseconds(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, tried = inbox.put, []

    def fails_once(tx: Any, new: Any) -> Any:
        tried.append(new)
        if len(tried) == 1:
            raise UnavailableError("The disk is full.")
        return put(tx, new)

    monkeypatch.setattr(inbox, "put", fails_once)
    hub.complete()
    sent = hub.sender.workflow({"contact_id": ADA})
    lost = hub.deliver(sent)
    assert lost.answer is not None
    assert (lost.delivered, lost.retried, lost.answer.status) == (False, True, 503)
    assert lost.wait is not None
    assert lost.wait >= 1
    assert hub.deliver(sent).delivered
    hub.settle()
    hub.assert_one_of_each()


def test_case_15_what_there_is_no_secret_for_comes_again_and_the_admin_sees_why(connect: Connect) -> None:
    with connect(client_secret=None, api_key=API_KEY) as hub, hub.rig.running():
        lost = hub.deliver(hub.sender.workflow(FLAT))
        assert lost.answer is not None
        assert (lost.answer.status, lost.answer.headers["retry-after"]) == (503, "60000")
        assert (lost.delivered, lost.retried) == (False, True)
        (kept,) = hub.rig.requests()
        assert (kept.outcome, kept.status, kept.body) == ("rejected", 503, None)
        assert "set client_secret" in hub.rig.certbridge("sources", "show", "hubspot")


# -- workflows -----------------------------------------------------------------------------------


def contact_shaped() -> dict[str, Any]:
    """All properties, in the shape of the object API."""
    body = json.loads(sample("workflow.all-properties.crm-object-shape.SYNTHETIC", "hubspot")[0])
    body["properties"] |= {"course_id": "safety-1", "course_completed_at": DONE_AT}
    return dict(body)


def old_contact_shaped() -> dict[str, Any]:
    """All properties, in the shape of version 1."""
    body = json.loads(sample("workflow.all-properties.v1-contact-shape.SYNTHETIC", "hubspot")[0])
    body["properties"]["course_id"] = {"value": "safety-1", "versions": []}
    body["properties"]["course_completed_at"]["value"] = "1795169600123"
    return dict(body)


def deal_shaped() -> dict[str, Any]:
    """A deal whose only contact completed the course."""
    body = json.loads(sample("workflow.all-properties.deal-shape.SYNTHETIC", "hubspot")[0])
    body["properties"]["course_id"] = {"value": "safety-1"}
    body["properties"]["course_completed_at"]["value"] = "1795169600123"
    return dict(body)


BODIES = {
    "own": lambda: FLAT,
    "contact": contact_shaped,
    "old-contact": old_contact_shaped,
    "deal": deal_shaped,
}


@pytest.mark.parametrize("body", BODIES)
def test_case_14_every_body_of_a_workflow_brings_the_same_certificate_as_app_and_poll(hub: Hub, body: str) -> None:
    # HubSpot's contact says it as well, so that the poll and the app can be compared.
    hub.complete(course_score="92.5")
    for versions in (("v2",), ("v3",), ("v2", "v3")):
        assert hub.deliver(hub.sender.workflow(BODIES[body](), versions=versions)).delivered
    hub.settle()
    assert hub.rig.event().deliveries == 3
    hub.assert_one_of_each()
    said = hub.rig.certificate().version.data
    assert (said.recipient.name, said.course.title) == ("Ada Örnek-O'Neil & Co", TITLE)
    assert said.completed_on.isoformat() == "2026-11-20"
    hub.report()
    hub.poll()
    hub.assert_one_of_each()
    assert [row.code for row in hub.rig.events() if row.state is State.DONE] == ["issued", "already_issued"]


def test_a_deal_that_names_no_contact_is_asked_for_it_and_held_where_it_has_two(hub: Hub) -> None:
    deal = {"objectTypeId": "0-3", "id": "30000000801", "properties": deal_shaped()["properties"]}
    hub.portal.add_deal("30000000801", [ADA, BEN])
    hub.deliver(hub.sender.workflow(deal))
    hub.settle()
    row = hub.rig.event()
    assert (row.state, row.code) == (State.HELD, "no_learner")
    assert "Deal 30000000801 has 2 contacts" in (row.reason or "")
    hub.portal.deals["30000000801"].contact_ids = [ADA]
    hub.replay(row.id)
    hub.assert_one_of_each()


@pytest.mark.parametrize(("header", "value"), [("X-API-Key", API_KEY), ("Authorization", f"Bearer {API_KEY}")])
def test_a_workflow_may_show_an_api_key_instead_of_a_signature(connect: Connect, header: str, value: str) -> None:
    with connect(client_secret=None, api_key=API_KEY, api_key_header=header) as hub, hub.rig.running():
        assert hub.deliver(hub.sender.workflow_with_key(FLAT, header=header, value=value)).delivered
        hub.settle()
        hub.assert_one_of_each()
        wrong = hub.deliver(hub.sender.workflow_with_key(FLAT, header=header, value="another-key-0000"))
        # For a workflow 401 is final, so nobody but a stranger may get it.
        assert (wrong.delivered, wrong.retried) == (False, False)
        assert API_KEY not in hub.rig.dump()


def test_a_workflow_that_sends_an_id_only_is_filled_from_the_contact(hub: Hub) -> None:
    hub.complete()
    hub.deliver(hub.sender.workflow({"contact_id": ADA}))
    hub.settle()
    hub.assert_one_of_each()
    hub.report()
    hub.poll()
    hub.assert_one_of_each()


def test_a_workflow_that_sends_an_address_only_meets_the_poll_in_one_certificate(hub: Hub) -> None:
    hub.complete(BEN)
    hub.deliver(hub.sender.workflow({"email": "Ben+Courses@example.org", "course_id": "safety-1"}))
    hub.settle()
    hub.poll()
    hub.assert_one_of_each(BEN)


def test_a_workflow_that_sends_no_time_takes_the_contacts_own_so_that_the_poll_renews_nothing(hub: Hub) -> None:
    hub.complete(changed=hub.clock.ago(minutes=5))
    hub.deliver(hub.sender.workflow({name: FLAT[name] for name in FLAT if name != "completed_at"}))
    hub.settle()
    hub.portal.set(ADA, at=hub.clock.ago(minutes=2))
    hub.poll()
    hub.report()
    hub.assert_one_of_each()
    assert hub.rig.certificate().version.data.completed_on.isoformat() == "2026-11-20"


# -- the poll ------------------------------------------------------------------------------------


def test_what_no_webhook_told_is_polled_certified_and_written_back(any_hub: Hub) -> None:
    hub = any_hub
    hub.complete()
    polled = hub.poll()
    assert (len(polled.new), polled.lost) == (1, ())
    hub.assert_one_of_each()
    # The number is there, so it is missing no more; that writing it changed the contact brings nothing either.
    assert hub.poll().known == 0
    hub.portal.set(ADA, at=hub.clock.ago(minutes=2))
    again = hub.poll()
    assert (again.new, again.known) == ((), 1)
    hub.assert_one_of_each()


@pytest.mark.parametrize("poll_first", [True, False])
def test_webhook_and_poll_of_one_completion_give_one_certificate(hub: Hub, poll_first: bool) -> None:
    hub.complete(changed=hub.clock.ago(minutes=5))
    for step in (hub.poll, hub.report) if poll_first else (hub.report, hub.poll):
        step()
        hub.portal.set(ADA, at=hub.clock.ago(minutes=2))
        hub.poll()
    hub.assert_one_of_each()
    assert sum(row.state is State.DONE and row.code == "issued" for row in hub.rig.events()) == 1


def test_a_completion_whose_webhook_was_lost_is_found_by_the_poll_and_told(hub: Hub) -> None:
    hub.complete()
    hub.report()
    hub.poll()  # the first contact
    hub.complete(BEN)
    assert hub.happened(COMPLETED), "and nobody delivers it"
    polled = hub.poll()
    assert len(polled.new) == 1
    assert polled.lost == polled.new
    assert {row.state for row in hub.rig.deliveries()} == {State.DONE}
    assert hub.shown("certificate_id", BEN)
    assert [one["count"] for one in hub.reconciled()] == [1]


@pytest.mark.parametrize(("minutes", "lost"), [(15, True), (5, False)])
def test_a_lost_completion_that_has_only_a_date_is_told_once_no_webhook_can_still_be_coming(
    hub: Hub, minutes: int, lost: bool
) -> None:
    name = "course_completed_at"
    hub.portal.contact_properties[name] = replace(hub.portal.contact_properties[name], type="date")
    hub.complete(at="2026-11-20")
    hub.report()
    hub.poll()  # the first contact
    hub.complete(BEN, hub.clock.now().date().isoformat())
    hub.clock.forward(minutes=minutes)
    polled = hub.poll()
    assert len(polled.new) == 1
    assert polled.lost == (polled.new if lost else ())


def test_case_16_more_contacts_than_the_search_would_show_and_one_moment_for_all_of_them(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.hubspot.polling.PAGE", 10)  # 200 in one page of at most 10,000 contacts for real
    with connect() as hub:
        hub.vendor.search_cap = 15
        hub.decide(MAPPING + "other_courses: skip\n")
        moment = hub.clock.ago(minutes=30)
        for n in range(25):
            known = {"email": f"c{n}@example.org", "firstname": "Cleo", "lastname": f"No. {n}", "course_id": "other"}
            hub.complete(hub.portal.add_contact(at=moment, **known).id, changed=moment)
        hub.complete(changed=moment)
        with hub.rig.running():
            polled = hub.poll()
            assert len(polled.new) == 26
            assert len({row.event.subject for row in hub.rig.events()}) == 26
            hub.assert_one_of_each()
            assert hub.poll().new == ()


def test_case_17_a_change_the_search_did_not_know_yet_is_found_later(connect: Connect) -> None:
    # Without a property for the number there is no list of what is missing: only time tells what is new.
    with connect(write_back={"certificate_property": None}) as hub, hub.rig.running():
        hub.vendor.search_lag = timedelta(minutes=10)
        hub.complete(changed=hub.clock.ago(seconds=90))
        assert hub.poll().new == ()
        hub.vendor.search_lag = timedelta(0)
        assert len(hub.poll().new) == 1
        hub.assert_through()
        assert len(hub.notes()) == 1


def test_case_21_an_id_beyond_32_bits_is_the_same_text_from_end_to_end(hub: Hub) -> None:
    big = "9007199254740993"  # a float would make it ...992
    hub.portal.add_contact(big, email="big@example.org", firstname="Bea", lastname="Big", course_id="safety-1")
    hub.complete(big)
    hub.report(hub.happened(COMPLETED))
    hub.poll()
    hub.assert_one_of_each(big)
    assert hub.rig.event().event.subject == big


# -- more than one completion --------------------------------------------------------------------


def test_a_second_course_of_the_same_contact_brings_a_second_certificate_and_the_number_of_the_latest(hub: Hub) -> None:
    hub.complete()
    hub.report()
    # Nobody delivers a webhook of it, and there is a number already: only the change tells.
    hub.complete(at="2026-11-22T09:00:00.000Z", course_id="fire-2", changed=hub.clock.ago(minutes=5))
    hub.poll()
    first, second = hub.rig.certificates()
    assert (first.version.data.course.title, second.version.data.course.title) == (TITLE, "Fire Safety")
    hub.assert_through()
    assert hub.shown("certificate_url").endswith(hub.shown("certificate_id"))
    assert hub.shown("certificate_id").replace("-", "") == second.certificate.id
    assert len(hub.notes()) == 2
    hub.report()
    hub.poll()
    assert len(hub.rig.certificates()) == 2


def test_courses_with_properties_of_their_own_keep_their_numbers_apart(connect: Connect) -> None:
    settings: dict[str, Any] = {
        "completed_property": None,
        "course_property": None,
        "courses": {"course_completed_at": "safety-1", "certificate_issued_at": "fire-2"},
        "write_back": {"property_by_course": {"fire-2": "company"}},
    }
    with connect(**settings) as hub, hub.rig.running():
        hub.complete()
        hub.portal.set(ADA, certificate_issued_at="2026-11-22")
        hub.poll()
        safety, fire = hub.rig.certificates()
        assert {safety.version.data.course.title, fire.version.data.course.title} == {TITLE, "Fire Safety"}
        assert {hub.shown("certificate_id"), hub.shown("company")} == {
            certificate_id.grouped(one.certificate.id) for one in (safety, fire)
        }
        hub.report()
        hub.poll()
        assert len(hub.rig.certificates()) == 2


# -- what a person has certbridge do -------------------------------------------------------------


def test_a_person_can_test_the_account_list_its_courses_and_ask_about_one_learner(hub: Hub) -> None:
    found = hub.rig.certbridge("sources", "test", "hubspot")
    assert "belongs to the HubSpot account 50100100" in found
    assert "HubSpot has the contact property certificate_id." in found
    assert "✗" not in found
    hub.portal.contact_properties["course_id"] = Property("course_id", "Course", "enumeration", "select", ("fire-2",))
    assert "fire-2" in hub.rig.certbridge("sources", "courses", "hubspot")
    hub.complete(BEN)
    hub.rig.certbridge("sources", "ask", "hubspot", "ben+courses@example.org")
    hub.settle()
    hub.assert_one_of_each(BEN)
    hub.report()
    hub.poll()
    assert len(hub.rig.certificates()) == 1
