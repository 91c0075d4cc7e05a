"""The connector for HubSpot on bodies written after its documentation; case numbers are those of our notes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from contract import DEFAULTS, NOW, SAMPLES, Case, ConnectorContract, inbound
from pydantic import ValidationError
from scripted_api import Answer, ScriptedApi

from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import (
    HeldError,
    PayloadError,
    PermanentError,
    TemporaryError,
)
from bridge.core.models import InboundRequest, Received, SourceEvent
from connectors.hubspot import HubSpot
from connectors.hubspot.settings import HubSpotSettings

SECRET = "hubspot-test-client-secret"
SETTINGS: dict[str, Any] = {
    "client_secret": SECRET,
    "portal_id": "50100100",
    "token": "pat-eu1-hubspot-test-token",
    "completed_property": "course_completed_at",
    "course_property": "course_name",
    "score_property": "course_score",
    "write_back": {"url_property": "certificate_url", "issued_property": "certificate_issued_at"},
}
CONTACTS = "/crm/v3/objects/contacts/"


class ContactsApi:
    """Answers reads of contacts from a sample's `api`, and 404 for every other contact."""

    def __init__(self, connector: HubSpot, answers: Mapping[str, Any]) -> None:
        self.connector = connector
        self.answers = answers
        self.asked: list[str] = []

    def request(self, method: str, path: str, *, query: Mapping[str, str], **_: object) -> ApiResponse:
        assert method == "GET", f"reading needs no {method} {path}"
        assert (query.get("idProperty") == "email") == ("%40" in path), "an address is no number"
        self.asked.append(path)
        known = self.answers.get(path)
        response = Answer(known or {"status": "error"}, 200 if known else 404).response()
        self.connector.check(response)
        return response


class TestHubSpot(ConnectorContract):
    connector = "hubspot"
    settings = SETTINGS
    rotated = {"client_secret": "the-next-client-secret", "previous_client_secret": SECRET}

    def without_proof(self, case: Case) -> Iterator[InboundRequest]:
        bare = {name: value for name, value in case.headers.items() if "hubspot" not in name.lower()}
        yield inbound(case.body, bare)
        if "X-HubSpot-Request-Timestamp" in case.headers:
            timeless = {name: value for name, value in case.headers.items() if "Timestamp" not in name}
            yield inbound(case.body, timeless)

    def api(self, case: Case) -> ApiClient:
        return ContactsApi(hubspot(), case.expected.get("api", {}))  # type: ignore[return-value]

    def enriched(self, case: Case) -> list[SourceEvent]:
        return [event.model_copy(update={"received_at": NOW}) for event in super().enriched(case)]

    def test_a_hostile_body_is_refused_or_read_and_nothing_else(self, hostile: bytes) -> None:
        if hostile == b"[]":
            # A batch without events is one that HubSpot may send.
            assert list(hubspot().parse(inbound(hostile, {}))) == []
        else:
            super().test_a_hostile_body_is_refused_or_read_and_nothing_else(hostile)


def hubspot(**changes: Any) -> HubSpot:
    return HubSpot(HubSpotSettings.model_validate({**SETTINGS, **changes}))


def batch(*elements: dict[str, Any], **settings: Any) -> list[SourceEvent]:
    return list(hubspot(**settings).parse(inbound(json.dumps(list(elements)).encode(), {})))


def change(**fields: Any) -> dict[str, Any]:
    """Returns an element of a batch: the completion date of a contact was set."""
    usual = {
        "appId": 7100001,
        "eventId": 9100000001,
        "subscriptionId": 9001,
        "portalId": 50100100,
        "occurredAt": 1790000000000,
        "subscriptionType": "contact.propertyChange",
        "attemptNumber": 0,
        "objectId": 70000000101,
        "propertyName": "course_completed_at",
        "propertyValue": "1789948800000",
        "changeSource": "INTEGRATION",
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not ...}


def workflow(body: object, **settings: Any) -> SourceEvent:
    (event,) = hubspot(**settings).parse(inbound(json.dumps(body).encode(), {}))
    return event


def contact(number: str = "70000000101", **properties: Any) -> dict[str, Any]:
    """Returns a contact as the API shows it."""
    usual = {
        "email": "ada@example.org",
        "firstname": "Ada",
        "lastname": "Example",
        "course_name": "Fire Safety",
        "course_completed_at": "2026-09-21",
        "lastmodifieddate": "2026-09-21T10:13:20.123Z",
    }
    return {"id": number, "properties": {**usual, **properties}, "archived": False}


def enriched(event: SourceEvent, *contacts: dict[str, Any], **settings: Any) -> SourceEvent:
    """Returns the event completed from these contacts, found under their ids."""
    connector = hubspot(**settings)
    api = ContactsApi(connector, {CONTACTS + one["id"]: one for one in contacts})
    return connector.enrich(event, api)  # type: ignore[arg-type]


def decided(event: SourceEvent, admin: str = "other_courses: issue\n") -> Any:
    contract = TestHubSpot()
    contract.admin = admin  # type: ignore[misc]
    return contract.mapping().apply(event.model_copy(update={"received_at": NOW}), defaults=DEFAULTS).outcome


def sample(name: str) -> Any:
    return json.loads((SAMPLES / "hubspot" / f"{name}.SYNTHETIC" / "body").read_bytes())


# -- batches of an app's webhooks ----------------------------------------------------------------------


def test_case_01_a_batch_is_read_in_the_order_in_which_things_occurred() -> None:
    late, early = change(occurredAt=1790000005000), change(occurredAt=1790000001000, objectId=70000000102)
    assert [event.subject for event in batch(late, early)] == ["70000000102", "70000000101"]


def test_case_01_an_older_event_that_comes_last_is_about_the_contact_as_it_is_now() -> None:
    (stale,) = batch(change(propertyValue="1700006400000", occurredAt=1700006500000))
    assert enriched(stale, contact()).data["completed_at"] == "2026-09-21"


def test_case_02_a_retry_is_the_same_event_whatever_its_numbers() -> None:
    first, again = batch(change(), change(eventId=9100000099, attemptNumber=1, subscriptionId=9002))
    assert first == again


def test_case_02_a_retry_is_the_same_event_even_where_hubspot_says_no_time() -> None:
    first, again = batch(change(occurredAt=...), change(occurredAt=..., eventId=9100000099, attemptNumber=1))
    assert first == again


def test_case_03_the_same_event_number_in_two_accounts_is_two_events() -> None:
    ours, theirs = batch(change(eventId=100), change(eventId=100, portalId=60200200))
    assert ours.event_id != theirs.event_id


def test_case_03_the_same_event_number_for_two_contacts_is_two_events() -> None:
    one, other = batch(change(eventId=100), change(eventId=100, objectId=70000000102))
    assert one.event_id != other.event_id


def test_case_04_another_account_is_skipped_and_the_rest_is_read() -> None:
    theirs, ours = batch(change(portalId=60200200, occurredAt=1), change())
    assert theirs.skip
    assert "60200200" in theirs.skip
    assert ours.skip is None


def test_case_05_a_contact_without_an_address_is_held_with_the_reason() -> None:
    (event,) = batch(change())
    outcome = decided(enriched(event, contact(email=None)))
    assert outcome.kind == "held"
    assert "no e-mail address in HubSpot" in outcome.reason


def test_case_05_a_contact_without_anything_neither_crashes_nor_prints_none() -> None:
    (event,) = batch(change())
    outcome = decided(enriched(event, contact(email=None, firstname=None, lastname=None, course_name=None)))
    assert outcome.kind == "held"
    assert "None" not in outcome.reason


def test_case_06_a_contact_that_was_merged_is_the_surviving_one_with_the_keys_of_both() -> None:
    (event,) = batch(change())
    survivor = contact("70000000199", hs_merged_object_ids="70000000101;70000000102")
    connector = hubspot()
    answers = {CONTACTS + "70000000101": survivor}
    merged = connector.enrich(event, ContactsApi(connector, answers))  # type: ignore[arg-type]
    assert merged.subject == "70000000199"
    assert set(merged.keys) == {
        f"contact:{number}:Fire Safety@2026-09-21" for number in ("70000000199", "70000000101", "70000000102")
    }


def test_case_06_the_old_id_has_a_key_even_where_nothing_lists_it() -> None:
    (event,) = batch(change())
    connector = hubspot()
    answers = {CONTACTS + "70000000101": contact("70000000199")}
    merged = connector.enrich(event, ContactsApi(connector, answers))  # type: ignore[arg-type]
    assert "contact:70000000101:Fire Safety@2026-09-21" in merged.keys


def test_case_06_a_merge_names_who_stays_and_every_record_that_is_gone() -> None:
    merged, deleted = (decided(event) for event in batch(*sample("webhook.contact-merge")))
    assert (merged.kind, merged.subject, merged.merged) == ("merge", "70000000199", ("70000000101", "70000000102"))
    assert deleted.kind == "ignored"


def test_case_06_a_merge_into_an_old_record_names_that_record() -> None:
    fields = {"subscriptionType": "contact.merge", "primaryObjectId": 5, "mergedObjectIds": [6, "7", None, 6]}
    (event,) = batch(change(objectId=5, **fields))
    assert (event.subject, event.data["merge"]["merged"]) == ("5", ["6", "7"])


def test_case_06_a_merge_that_names_nobody_is_skipped() -> None:
    (event,) = batch(change(subscriptionType="contact.merge", mergedObjectIds=[]))
    assert event.skip


@pytest.mark.parametrize("turned", [False, True])
def test_case_07_a_privacy_deletion_asks_for_erasure_once_in_either_order(turned: bool) -> None:
    elements = sample("webhook.privacy-deletion.deletion-first")
    outcomes = [decided(event) for event in batch(*(reversed(elements) if turned else elements))]
    erasures = [outcome for outcome in outcomes if outcome.kind == "erasure"]
    assert [(one.subject, one.policy) for one in erasures] == [("70000000101", "ask")]
    assert [outcome.kind for outcome in outcomes if outcome not in erasures] == ["ignored"]


@pytest.mark.parametrize("value", ["", None, "  "])
def test_case_08_a_cleared_property_brings_no_certificate(value: object) -> None:
    (event,) = batch(change(propertyValue=value))
    assert event.skip
    assert "was cleared" in event.skip


def test_case_08_a_property_that_was_cleared_since_brings_no_certificate() -> None:
    (event,) = batch(change())
    assert enriched(event, contact(course_completed_at="")).skip


def test_case_09_what_certbridge_wrote_itself_is_ignored() -> None:
    for name in ("certificate_id", "certificate_url", "certificate_issued_at"):
        (event,) = batch(change(propertyName=name, propertyValue="x"))
        assert event.skip
        assert "certbridge writes it itself" in event.skip


def test_case_10_a_sensitive_value_is_asked_for_and_its_stand_in_never_used() -> None:
    (event,) = batch(change(propertyValue="REDACTED", isSensitive=True))
    assert event.skip is None
    assert "REDACTED" not in event.model_dump_json()
    complete = enriched(event, contact(course_name="REDACTED"), course="fire-safety")
    assert complete.course == "fire-safety"
    assert "REDACTED" not in complete.model_dump_json()


def test_case_10_a_completion_that_stays_hidden_is_held_with_the_scope_that_is_missing() -> None:
    (event,) = batch(change(propertyValue="REDACTED", isSensitive=True))
    with pytest.raises(HeldError, match=r"crm\.objects\.contacts\.sensitive\.read"):
        enriched(event, contact(course_completed_at="REDACTED"))


def test_case_21_an_id_beyond_32_bits_stays_text() -> None:
    (event,) = batch(change(objectId=987654321098765432))
    assert event.subject == "987654321098765432"
    (event,) = batch(change(objectId="70000000101"))
    assert event.subject == "70000000101"


def test_case_22_a_batch_of_odd_things_is_taken_and_nothing_is_silent() -> None:
    unknown = {"subscriptionType": "someObject.someday", "portalId": 50100100}
    events = batch(unknown, "text", None, 3, [], {}, change(futureField={"x": 1}))  # type: ignore[arg-type]
    assert len(events) == 7
    assert [event.event_type for event in events if event.event_type in HubSpot.event_types] == [
        "contact.propertyChange"
    ]
    assert len({event.event_id for event in events}) == 7


def test_case_22_a_body_that_is_neither_is_unreadable() -> None:
    with pytest.raises(PayloadError, match="neither a batch"):
        hubspot().parse(inbound(b'"text"', {}))


def test_case_23_a_batch_of_a_hundred_is_read_without_asking_hubspot() -> None:
    events = batch(*(change(objectId=70000001000 + number, eventId=number) for number in range(100)))
    assert len({event.event_id for event in events}) == 100
    assert all(set(event.data) == {"change"} for event in events)


def test_the_documented_name_of_the_type_is_read_as_well() -> None:
    (event,) = batch(change(subscriptionType=..., eventType="contact.propertyChange"))
    assert event.event_type == "contact.propertyChange"
    assert event.skip is None


def test_a_general_subscription_to_contacts_tells_the_same_event() -> None:
    general = change(subscriptionType="object.propertyChange", objectTypeId="0-1", isSensitive=False)
    assert batch(general) == batch(change())


@pytest.mark.parametrize("kind", ["0-3", "2-3465404", None])
def test_a_general_subscription_to_other_records_never_looks_up_a_contact_of_that_number(kind: str | None) -> None:
    (event,) = batch(change(subscriptionType="object.propertyChange", objectTypeId=kind))
    assert event.skip


def test_a_change_of_another_property_is_skipped_and_the_right_ones_are_named() -> None:
    (event,) = batch(change(propertyName="lastname", propertyValue="Example"))
    assert event.skip
    assert "course_completed_at" in event.skip


def test_without_a_token_a_thin_event_is_held() -> None:
    (event,) = batch(change())
    with pytest.raises(HeldError, match="`token`"):
        enriched(event, token=None)


def test_a_contact_that_is_gone_is_said() -> None:
    (event,) = batch(change())
    with pytest.raises(PermanentError, match="no contact 70000000101"):
        enriched(event)


# -- what counts as completed --------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1789948800000", "2026-09-21", "2026-09-21T00:00:00Z", "2026-09-21T00:00:00.000Z"])
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Europe/Berlin", "Pacific/Kiritimati"])
def test_a_date_at_midnight_utc_is_printed_as_it_is_in_every_zone(value: str, zone: str) -> None:
    (event,) = batch(change())
    found = enriched(event, contact(course_completed_at=value))
    outcome = TestHubSpot().mapping().apply(found, defaults=dataclasses.replace(DEFAULTS, zone=zone)).outcome
    assert (outcome.completed_at, outcome.completed_on.isoformat()) == (None, "2026-09-21")


@pytest.mark.parametrize("value", ["2026-09-21T23:30:00Z", "1790033400000", "2026-09-22T01:30:00+02:00"])
def test_a_date_with_time_is_printed_in_the_zone_of_the_certificate(value: str) -> None:
    (event,) = batch(change())
    outcome = decided(enriched(event, contact(course_completed_at=value)))
    assert outcome.completed_at.isoformat() == "2026-09-21T23:30:00+00:00"
    assert outcome.completed_on.isoformat() == "2026-09-22"


def test_text_that_is_no_date_is_held_with_its_words() -> None:
    (event,) = batch(change(propertyValue="21.09.2026"))
    outcome = decided(enriched(event, contact(course_completed_at="21.09.2026")))
    assert outcome.kind == "held"
    assert "21.09.2026" in outcome.reason


def test_a_checkbox_takes_its_date_from_another_property() -> None:
    settings = {"completed_property": "course_completed", "completed_at_property": "course_completed_on"}
    ticked = contact(course_completed="true", course_completed_on="2026-09-20")
    (event,) = batch(change(propertyName="course_completed", propertyValue="true"), **settings)
    assert decided(enriched(event, ticked, **settings)).completed_on.isoformat() == "2026-09-20"


def test_a_checkbox_that_is_off_brings_no_certificate() -> None:
    (event,) = batch(
        change(propertyName="course_completed", propertyValue="false"), completed_property="course_completed"
    )
    assert event.skip
    assert "not completed" in event.skip


def test_a_checkbox_without_a_date_counts_from_the_day_of_the_event() -> None:
    (event,) = batch(
        change(propertyName="course_completed", propertyValue="true"), completed_property="course_completed"
    )
    found = enriched(event, contact(course_completed="true"), completed_property="course_completed")
    assert decided(found).completed_on.isoformat() == "2026-09-21"


@pytest.mark.parametrize(("value", "wanted"), [("completed", True), ("enrolled;COMPLETED", True), ("enrolled", False)])
def test_a_status_counts_when_it_is_the_one_that_means_completed(value: str, wanted: bool) -> None:
    settings = {"completed_property": "course_status", "completed_value": "completed"}
    (event,) = batch(change(propertyName="course_status", propertyValue=value), **settings)
    assert (event.skip is None) == wanted


def test_a_school_may_keep_a_property_for_each_course() -> None:
    settings = {"completed_property": None, "courses": {"fire_done_on": "fire", "forklift_done_on": "forklift"}}
    (event,) = batch(change(propertyName="forklift_done_on"), **settings)
    found = enriched(event, contact(fire_done_on="2026-01-01", forklift_done_on="2026-09-21"), **settings)
    assert (found.course, found.data["completed_at"]) == ("forklift", "2026-09-21")


def test_a_second_course_of_the_same_contact_is_a_completion_of_its_own() -> None:
    (event,) = batch(change())
    first, second = (enriched(event, contact(course_name=name)) for name in ("Fire Safety", "Forklift"))
    assert not set(first.keys) & set(second.keys)


# -- bodies of a workflow -------------------------------------------------------------------------------


def test_case_14_the_four_bodies_of_a_workflow_tell_the_same() -> None:
    names = [
        "workflow.custom-body.completion",
        "workflow.all-properties.crm-object-shape",
        "workflow.all-properties.v1-contact-shape",
        "workflow.all-properties.deal-shape",
    ]
    known = json.loads((SAMPLES / "hubspot/webhook.completion.single.SYNTHETIC/expected.json").read_text())
    outcomes = []
    for name in names:
        event = workflow({**sample(name), **({"score": "92.5"} if "custom" in name else {})})
        connector = hubspot()
        outcomes.append(decided(connector.enrich(event, ContactsApi(connector, known["api"]))))  # type: ignore[arg-type]
    same = [outcome.model_copy(update={"keys": outcome.keys[:1]}) for outcome in outcomes]
    assert same[0].kind == "completion"
    assert same == [same[0]] * 4


def test_case_14_a_workflow_and_an_app_tell_of_the_same_completion() -> None:
    (thin,) = batch(change())
    told = workflow(
        {
            "contact_id": 70000000101,
            "email": "ada@example.org",
            "firstname": "Ada",
            "lastname": "Example",
            "course": "Fire Safety",
            "completed_at": "1789948800000",
        }
    )
    first, second = decided(enriched(thin, contact())), decided(told)
    assert first == second


def test_a_complete_body_of_a_workflow_asks_hubspot_nothing() -> None:
    event = workflow(sample("workflow.custom-body.completion"))
    assert enriched(event) == event


def test_a_body_without_a_number_is_known_by_its_address() -> None:
    connector = hubspot()
    event = workflow(sample("workflow.custom-body.course-access"))
    api = ContactsApi(connector, {CONTACTS + "ada%40example.org": contact()})
    found = connector.enrich(event, api)  # type: ignore[arg-type]
    assert found.subject == "70000000101"
    assert found.data["contact"]["lastname"] == "Example"
    assert found.course == "intro-to-safety"


def test_an_address_with_a_plus_is_asked_for_as_one() -> None:
    connector = hubspot()
    api = ContactsApi(connector, {})
    event = workflow({"email": "ada+courses@example.org", "name": "Ada Example", "course": "fire"})
    assert connector.enrich(event, api) == event  # type: ignore[arg-type]
    assert api.asked == [CONTACTS + "ada%2Bcourses%40example.org"]


def test_a_body_that_leaves_the_course_out_takes_course_and_date_of_the_contact() -> None:
    found = enriched(workflow({"contact_id": "70000000101", "email": "ada@example.org"}), contact())
    assert (found.course, found.data["completed_at"]) == ("Fire Safety", "2026-09-21")
    assert found.data["contact"]["name"] == "Ada Example"


def test_what_the_workflow_says_itself_stays() -> None:
    body = {"contact_id": "70000000101", "name": "Ada of Example", "course": "Forklift", "completed_at": "2026-10-01"}
    found = enriched(workflow(body), contact())
    assert found.data["contact"]["name"] == "Ada of Example"
    assert (found.course, found.data["completed_at"]) == ("Forklift", "2026-10-01")


def test_a_body_without_a_date_means_now() -> None:
    event = workflow({"contact_id": "1", "email": "ada@example.org", "name": "Ada Example", "course": "fire"})
    outcome = decided(event)
    assert (outcome.completed_at, outcome.completed_on.isoformat()) == (NOW, "2026-11-23")
    assert event.keys == ()


def test_without_a_token_a_body_of_your_own_is_enough() -> None:
    event = workflow(sample("workflow.custom-body.course-access"), token=None)
    assert decided(enriched(event, token=None)).recipient.email == "ada@example.org"
    assert event.subject == "ada@example.org"


def test_one_course_for_all_can_be_set() -> None:
    event = workflow({"email": "ada@example.org", "name": "Ada Example"}, course="fire-safety")
    assert event.course == "fire-safety"


@pytest.mark.parametrize(
    "names", ["firstName lastName courseName", "First_Name Last_Name Course", "firstname lastname course_title"]
)
def test_the_lines_of_a_body_may_be_called_in_many_ways(names: str) -> None:
    first, last, course = names.split()
    event = workflow({"E-mail": "ada@example.org", first: "Ada", last: "Example", course: "Fire Safety"})
    assert event.data["contact"]["name"] == "Ada Example"
    assert event.data["course"] == {"id": "Fire Safety", "name": "Fire Safety"}


def test_other_lines_of_a_body_can_be_used_by_the_mapping() -> None:
    event = workflow(
        {"email": "a@example.org", "name": "Ada", "course": "fire", "hours": 8, "trainer": {"value": "Lee"}}
    )
    assert event.data["properties"]["hours"] == 8
    assert event.data["properties"]["trainer"] == "Lee"


def test_the_record_id_of_a_body_is_not_taken_for_the_contacts() -> None:
    event = workflow({"hs_object_id": "5", "email": "ada@example.org", "name": "Ada Example", "course": "fire"})
    assert event.data["contact"]["id"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"hs_object_id": "123456789", "locked": True},
        {"id": "5", "properties": {"name": "Acme", "domain": "acme.example"}},
        {"vid": "x", "is-contact": True, "properties": {}},
    ],
)
def test_a_body_that_is_about_nobody_is_refused_with_advice(body: object) -> None:
    with pytest.raises(PayloadError):
        workflow(body)


def test_a_workflow_of_another_account_is_skipped() -> None:
    body = {**sample("workflow.all-properties.v1-contact-shape"), "portal-id": 60200200}
    assert workflow(body).skip


@pytest.mark.parametrize(
    "body", [{"email": "a@example.org", "course": "x", "completed": False}, contact(course_completed_at="false")]
)
def test_a_record_that_says_no_brings_no_certificate(body: object) -> None:
    assert workflow(body).skip


def test_each_filled_property_of_a_contact_is_a_completion() -> None:
    connector = hubspot(completed_property=None, courses={"fire_on": "fire", "forklift_on": "forklift", "other": "o"})
    body = contact(fire_on="2026-01-01", forklift_on="2026-09-21", other="")
    events = connector.parse(inbound(json.dumps(body).encode(), {}))
    assert [event.course for event in events] == ["fire", "forklift"]
    assert len({event.event_id for event in events}) == 2


def test_a_deal_without_listed_contacts_is_asked_for_them() -> None:
    connector = hubspot()
    deal = {"id": "301", "properties": {"dealname": "Fire Safety", "course_name": "Forklift"}}
    linked = {"associations": {"contacts": {"results": [{"id": "70000000101", "type": "deal_to_contact"}]}}}
    api = ContactsApi(connector, {"/crm/v3/objects/deals/301": linked, CONTACTS + "70000000101": contact()})
    found = connector.enrich(workflow(deal), api)  # type: ignore[arg-type]
    assert (found.subject, found.course) == ("70000000101", "Forklift")


def test_a_deal_with_several_contacts_is_held() -> None:
    deal = {**sample("workflow.all-properties.deal-shape"), "associations": {"associatedVids": [1, 2]}}
    with pytest.raises(HeldError, match="2 contacts"):
        enriched(workflow(deal))


# -- how HubSpot refuses --------------------------------------------------------------------------------


def refused(status: int, answer: object, headers: dict[str, str] | None = None) -> PermanentError | TemporaryError:
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises((PermanentError, TemporaryError)) as caught:
        hubspot().check(ApiResponse(status, headers or {}, raw, "https://api.hubapi.com/x"))
    error = caught.value
    assert isinstance(error, PermanentError | TemporaryError)
    return error


@pytest.mark.parametrize(
    ("policy", "headers", "wait"),
    [
        ("DAILY", {}, 3600),
        ("TEN_SECONDLY_ROLLING", {}, 10),
        ("SECONDLY", {}, 1),
        (None, {}, 10),
        ("DAILY", {"retry-after": "7"}, 7),
    ],
)
def test_case_18_the_wait_depends_on_the_limit(policy: str | None, headers: dict[str, str], wait: float) -> None:
    error = refused(429, {"status": "error", "errorType": "RATE_LIMIT", "policyName": policy}, headers)
    assert isinstance(error, TemporaryError)
    assert (error.stable_code, error.retry_after) == ("http_429", wait)


@pytest.mark.parametrize("status", [423, 477, 500, 502, 503, 504, 521, 523, 524])
def test_trouble_that_passes_is_temporary(status: int) -> None:
    assert isinstance(refused(status, b"<html>"), TemporaryError)


def test_a_locked_record_and_a_moving_account_name_their_wait() -> None:
    locked, moving = refused(423, {}), refused(477, {}, {"retry-after": "86400"})
    assert isinstance(locked, TemporaryError)
    assert isinstance(moving, TemporaryError)
    assert (locked.retry_after, moving.retry_after) == (2, 86400)


def test_case_19_a_property_that_was_renamed_is_permanent_and_named() -> None:
    told = {"message": 'Property "certificate_id" does not exist', "code": "PROPERTY_DOESNT_EXIST"}
    error = refused(400, {"category": "VALIDATION_ERROR", "message": "[...]", "errors": [told], "correlationId": "c-1"})
    assert isinstance(error, PermanentError)
    assert 'Property "certificate_id" does not exist' in str(error)
    assert "c-1" in str(error)


def test_a_missing_scope_is_permanent_and_named() -> None:
    context = {"requiredGranularScopes": ["crm.objects.contacts.write"]}
    error = refused(403, {"message": "Scopes are required.", "category": "MISSING_SCOPES", "context": context})
    assert isinstance(error, PermanentError)
    assert "crm.objects.contacts.write" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 414])
@pytest.mark.parametrize(
    "odd",
    [b"", b"<html>", b"[", b"null", {"errors": 3, "context": []}, {"errors": [{"context": {"requiredScopes": 1}}]}],
)
def test_a_refusal_of_any_shape_is_permanent(status: int, odd: object) -> None:
    assert isinstance(refused(status, odd), PermanentError)


# -- how HubSpot is answered and reached ----------------------------------------------------------------


def test_case_15_trouble_of_ours_is_answered_503_with_the_wait_in_milliseconds() -> None:
    reply = hubspot().reply(Received(503, "unavailable", "the disk is full", retry_after=5))
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5000")
    assert "Retry-After" not in hubspot().reply(Received(200, "accepted")).headers


def test_the_token_is_sent_as_bearer() -> None:
    access = hubspot().authenticate(ScriptedApi(hubspot()))
    assert access is not None
    assert access.base_url == "https://api.hubapi.com"
    assert access.headers == {"Authorization": "Bearer pat-eu1-hubspot-test-token"}
    assert hubspot(token=None).authenticate(ScriptedApi(hubspot())) is None


def test_a_version_by_date_has_paths_of_its_own() -> None:
    connector = hubspot(api_prefix="/crm/objects/2026-09")
    api = ContactsApi(connector, {"/crm/objects/2026-09/contacts/70000000101": contact()})
    (event,) = batch(change())
    assert connector.enrich(event, api).subject == "70000000101"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": None, "token": None},
        {"portal_id": None},
        {"portal_id": "my school"},
        {"courses": {"fire_on": "fire"}},
        {"completed_property": "certificate_id"},
        {"course_property": "certificate_url"},
        {"api_url": "x"},
        {"api_prefix": "crm"},
        {"write_back": {"event": "certificate_issued"}},
        {"api_key_header": "X API"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        hubspot(**changes)
