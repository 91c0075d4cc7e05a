"""The connector for Salesforce on messages written after its documentation; case numbers are those of our notes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from contract import DEFAULTS, Case, ConnectorContract, cases, inbound, odd_variants
from pydantic import ValidationError
from salesforce_samples import (
    CALLOUT_TOKEN,
    CONTACT,
    FLOW,
    ORGANIZATION,
    OTHER_RECORD,
    RECORD,
    SETTINGS,
    TOKEN,
    WITHOUT_API,
    Records,
    message,
    notification,
    parsed,
    posted,
    salesforce,
)

from bridge.core.connector import ApiClient
from bridge.core.errors import PayloadError, SignatureError
from bridge.core.models import Completion, Held, InboundRequest, Received, SourceEvent
from connectors.salesforce import ids

_ELEMENT = re.compile(rb"<([\w:]+)(?: [^<>]*)?>[^<>]*</\1>")
_ODD_TEXTS = (b"", b"x", b"-1", b"9" * 5_000, b"../..", b"' OR Id != '", b"&#x202e;", "\u0130".encode())


class TestSalesforce(ConnectorContract):
    connector = "salesforce"
    settings = SETTINGS
    rotated = {"url_token": "the-next-address-token", "previous_url_token": TOKEN}
    signs_body = False

    def api(self, case: Case) -> ApiClient:
        return Records(self.build(), case.expected["records"])

    def variants(self, case: Case) -> Iterator[bytes]:
        """Each element of the message left out, there twice, and with odd text in it."""
        for found in _ELEMENT.finditer(case.body):
            whole, name = found.group(), found.group(1)
            odd = [b"<%b>%b</%b>" % (name, text, name) for text in _ODD_TEXTS]
            for other in (b"", whole + whole, whole + b"<%b>other</%b>" % (name, name), *odd):
                yield case.body[: found.start()] + other + case.body[found.end() :]
        for place in range(0, len(case.body), 97):
            yield case.body[:place]


class TestSalesforceFlow(ConnectorContract):
    connector = "salesforce"
    settings = FLOW
    rotated = {"callout_token": "the-next-callout-token", "previous_callout_token": CALLOUT_TOKEN}
    signs_body = False

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            found = cases("salesforce/flow")
            metafunc.parametrize("case", found, ids=[case.folder.name for case in found])
        else:
            super().pytest_generate_tests(metafunc)

    def api(self, case: Case) -> ApiClient:
        return Records(self.build(), case.expected["records"])

    def without_proof(self, case: Case) -> Iterator[InboundRequest]:
        yield case.request(headers={})

    def variants(self, case: Case) -> Iterator[bytes]:
        for value in odd_variants(json.loads(case.body)):
            yield json.dumps(value).encode()


def decided(event: SourceEvent, admin: str = "other_courses: issue\n") -> Any:
    contract = TestSalesforce()
    contract.admin = admin  # type: ignore[misc]
    return contract.mapping().apply(event, defaults=DEFAULTS).outcome


def refused(body: bytes, token: str | None = TOKEN) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        salesforce().verify(posted(body, token))
    return caught.value


# -- who sent it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("organization", [ORGANIZATION, ORGANIZATION[:15], ORGANIZATION.lower()])
def test_case_10_the_organisation_may_come_in_each_spelling(organization: str) -> None:
    salesforce().verify(posted(message(organization=organization)))


@pytest.mark.parametrize("organization", ["00D8d00000evilXEAQ", "", "x", ORGANIZATION[:14], "00D8d000004xyza"])
def test_case_10_and_26_a_message_of_another_organisation_is_refused(organization: str) -> None:
    assert "sandbox" in str(refused(message(organization=organization)))


def test_a_source_may_know_several_organisations() -> None:
    other = "00Dxx0000001gPFEAY"
    salesforce(organization_ids=[ORGANIZATION, other]).verify(posted(message(organization=other)))


def test_both_the_address_and_the_organisation_must_fit() -> None:
    salesforce().verify(posted(message()))
    for token in (None, "", "another-token"):
        assert refused(message(), token).stable_code in ("token_missing", "token_wrong")


ATTACKS = {
    "external entity": b'<!DOCTYPE e [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
    "internal entity": b'<!DOCTYPE e [<!ENTITY a "injected">]>',
    "no subset": b"<!DOCTYPE e>",
    "outside subset": b'<!DOCTYPE e SYSTEM "http://127.0.0.1/e.dtd">',
    "laughs": b'<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "'
    + b"&a;" * 1000
    + b'"><!ENTITY c "'
    + b"&b;" * 1000
    + b'">]>',
}


@pytest.mark.parametrize("doctype", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_case_08_a_document_type_is_refused_and_nothing_is_expanded(doctype: bytes, encoding: str) -> None:
    head, _, rest = message().partition(b"\n")
    text = (b"" if encoding == "utf-16" else head) + doctype + rest.replace(b"Lovelace", b"&a;")
    body = text.decode().encode(encoding)
    error = refused(body)
    assert "DOCTYPE" in str(error)
    assert "injected" not in str(error)
    with pytest.raises(PayloadError, match="DOCTYPE"):
        salesforce().parse(posted(body))


DAMAGED = {
    "truncated": message()[:-200],
    "another namespace": message().replace(b"2005/09/outbound", b"2005/09/other"),
    "empty": b"",
    "blank": b" \n",
    "JSON": b'{"recordId": "a0X8d0000000050EAA"}',
    "a page": b"<html><body>Bad gateway</body></html>",
    "two messages": message().replace(b"</soapenv:Body>", b"</soapenv:Body><soapenv:Body/>"),
    "two organisations": message().replace(b"<ActionId>", b"<OrganizationId>x</OrganizationId><ActionId>"),
    "a prefix nobody declared": message().replace(b"xmlns:sf=", b"xmlns:fs="),
    "an entity nobody declared": message().replace(b"Lovelace", b"&nbsp;"),
    "an encoding nobody knows": message().replace(b"UTF-8", b"x-none"),
    "not the encoding it says": message(notification(Last_Name__c="é")).decode().encode("latin-1"),
    "a hundred and one": message(*[notification(number) for number in range(101)]),
    "too many elements": message().replace(b"Lovelace", b"<a/>" * 60_000),
    "deep": message().replace(b"Lovelace", b"<a>" * 1000 + b"</a>" * 1000),
}


def test_what_is_too_large_is_refused_as_such() -> None:
    assert "60,000 elements" in str(refused(DAMAGED["too many elements"]))


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED.keys())
def test_case_09_a_damaged_message_is_refused_so_that_salesforce_sends_it_again(body: bytes) -> None:
    refused(body)
    reply = salesforce().reply(Received(401, "rejected", "why"))
    assert reply.status == 401
    assert b"<Ack>false</Ack>" in reply.body


def test_case_09_json_in_place_of_a_message_names_the_setting() -> None:
    assert "entry: flow" in str(refused(DAMAGED["JSON"]))


def test_a_body_beyond_the_limit_is_not_parsed() -> None:
    assert "at most" in str(refused(b"<" + b"x" * (5 * 1024 * 1024)))


@pytest.mark.parametrize("entry", ["outbound_message", "flow"])
def test_a_source_that_only_polls_takes_no_requests(entry: str) -> None:
    connector = salesforce(url_token=None, entry=entry)
    body = message() if entry == "outbound_message" else b"{}"
    with pytest.raises(SignatureError, match="No secret"):
        connector.verify(posted(body))


# -- how it is answered ------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["accepted", "ignored", "duplicate", "unreadable"])
def test_what_is_stored_is_acknowledged_whatever_became_of_it(outcome: Any) -> None:
    reply = salesforce().reply(Received(200, outcome))
    assert reply.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert reply.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
        b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
        b"</notificationsResponse></soapenv:Body></soapenv:Envelope>\n"
    )


def test_case_11_what_could_not_be_stored_is_not_acknowledged() -> None:
    reply = salesforce().reply(Received(503, "unavailable", "busy", retry_after=5))
    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
    assert b"<Ack>false</Ack>" in reply.body


def test_a_reason_never_becomes_part_of_the_envelope() -> None:
    assert b"evil" not in salesforce().reply(Received(401, "rejected", "</Ack><evil/>")).body


def test_a_flow_is_answered_in_json() -> None:
    reply = salesforce(FLOW).reply(Received(200, "accepted", events=("7",)))
    assert json.loads(reply.body) == {"outcome": "accepted", "reason": "", "events": ["7"]}


# -- what it says ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [5, 100])
def test_case_01_every_record_of_a_message_is_an_event_of_its_own(number: int) -> None:
    records = [ids.normal(f"a0X8d0000000{place:03}") for place in range(number)]
    events = parsed(*[notification(place, Id=one) for place, one in enumerate(records)])
    assert [event.data["id"] for event in events] == records
    assert len({event.event_id for event in events}) == len({key for event in events for key in event.keys}) == number
    assert not any(event.skip for event in events)


def test_case_02_a_redelivery_with_newer_values_is_the_same_event_and_the_same_completion() -> None:
    (first,), (again,) = parsed(notification()), parsed(notification(Score__c="97"))
    assert (first.event_id, first.keys) == (again.event_id, again.keys)
    assert again.data["score"] == "97"


def test_case_02_and_14_stamps_and_our_own_number_make_no_new_revision() -> None:
    (first,) = parsed(notification())
    (again,) = parsed(notification(LastModifiedDate="2026-09-22T00:00:00.000Z", Certificate_Id__c="0123-4567"))
    assert first == again


def test_case_14_the_echo_of_our_own_update_is_the_same_completion() -> None:
    (first,), (echo,) = parsed(notification(1)), parsed(notification(2, Certificate_Id__c="0123-4567"))
    assert first.event_id != echo.event_id
    assert first.keys == echo.keys


def test_case_03_of_a_record_that_is_there_twice_the_last_state_counts() -> None:
    first, second = parsed(notification(1), notification(2, Score__c="95"))
    assert first.skip
    assert "newer" in first.skip
    assert (second.skip, second.data["score"]) == (None, "95")


def test_case_03_one_record_completed_twice_is_two_completions() -> None:
    events = parsed(notification(1), notification(2, Completed_At__c="2027-09-21T10:13:20.000Z"))
    assert [event.skip for event in events] == [None, None]
    assert not set(events[0].keys) & set(events[1].keys)


def test_case_03_a_record_that_is_not_completed_hides_none_that_is() -> None:
    done, open_again = parsed(notification(1), notification(2, Status__c="Reopened"))
    assert done.skip is None
    assert open_again.skip
    assert "'Reopened'" in open_again.skip


@pytest.mark.parametrize("session", ["", "<SessionId/>", "<SessionId>00D!secret-session</SessionId>"])
def test_case_04_the_session_id_is_never_needed_and_never_kept(session: str) -> None:
    connector, body = salesforce(), message(session=session)
    connector.verify(posted(body))
    (event,) = connector.parse(posted(body))
    assert "secret-session" not in event.model_dump_json()


def test_case_05_entities_references_cdata_and_other_letters_arrive_as_they_are() -> None:
    course = "R&D <Basics> – été 李 ]]> 'x'"
    assert parsed(notification(Course_Name__c=course))[0].course == course
    raw = message().replace(b"Intro to Safety", b"R&amp;D &#8211; &#xE9;<!-- - --><?pi?><![CDATA[<b>&amp;]]>")
    assert salesforce().parse(posted(raw))[0].course == "R&D – é<b>&amp;"


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_case_06_a_field_without_a_value_is_missing_and_holds(empty: str | None) -> None:
    (event,) = parsed(notification(Email__c=empty), base=WITHOUT_API)
    assert event.data["learner"]["email"] is None
    outcome = decided(event)
    assert isinstance(outcome, Held)
    assert "data.learner.email" in outcome.reason


@pytest.mark.parametrize("nil", [b'xsi:nil="true">', b'xsi:nil="1">', b'xsi:nil="true">eve@example.org'])
def test_case_06_a_nil_field_is_missing(nil: bytes) -> None:
    raw = message().replace(b"<sf:Email__c>ada@example.org<", b"<sf:Email__c " + nil + b"<")
    assert salesforce(WITHOUT_API).parse(posted(raw))[0].data["learner"]["email"] is None


def test_a_field_that_is_said_twice_differently_is_not_known() -> None:
    raw = message().replace(b"<sf:Email__c>", b"<sf:Email__c>eve@example.org</sf:Email__c><sf:Email__c>")
    assert salesforce(WITHOUT_API).parse(posted(raw))[0].data["learner"]["email"] is None


def test_case_07_prefixes_order_and_white_space_do_not_matter() -> None:
    raw = message()
    odd = raw.replace(b"soapenv:", b"S:").replace(b"xmlns:soapenv", b"xmlns:S").replace(b"sf:", b"r2:")
    odd = odd.replace(b"xmlns:sf", b"xmlns:r2").replace(b"><", b">\r\n\t<")
    odd = re.sub(rb'(xsi:type="[^"]+") (xmlns:r2="[^"]+")', rb"\2 \1", odd)
    assert odd != raw
    assert salesforce().parse(posted(odd)) == salesforce().parse(posted(raw))


def test_field_names_are_the_same_whatever_their_case() -> None:
    fields = {**WITHOUT_API["fields"], "email": "EMAIL__C"}
    assert parsed(base=WITHOUT_API, fields=fields)[0].data["learner"]["email"] == "ada@example.org"


def test_case_23_ids_of_15_and_18_characters_are_the_same_learner_and_record() -> None:
    (short,) = parsed(notification(Id=RECORD[:15], Contact__c=CONTACT[:15]))
    (long,) = parsed(notification())
    assert short == long
    assert (short.subject, short.data["id"]) == (CONTACT, RECORD)


def test_case_25_a_record_deleted_before_it_was_sent_is_skipped() -> None:
    gone = "<Notification><Id>04l8d0000000037AAA</Id></Notification>"
    first, second = parsed(gone, notification())
    assert first.skip
    assert "deleted" in first.skip
    assert second.skip is None


def test_notifications_that_lack_an_id_do_not_hide_the_others() -> None:
    nameless = notification(3, Id=OTHER_RECORD).replace("<Id>", "<Ix>").replace("</Id><sObject", "</Ix><sObject")
    no_record, odd_record = notification(1, Id=None), notification(2, Id="none of theirs")
    events = parsed(no_record, odd_record, nameless, notification(4))
    assert [bool(event.skip) for event in events] == [True, True, False, False]
    assert len({event.event_id for event in events}) == 4


def test_a_record_of_another_object_is_skipped_and_says_whose() -> None:
    (event,) = parsed(notification(kind="Account"))
    assert event.skip == "This is a record of Account; this source is about Course_Completion__c."
    assert parsed(notification(kind="course_completion__C"))[0].skip is None


def test_without_api_the_message_is_all_there_is() -> None:
    (event,) = parsed(base=WITHOUT_API)
    outcome = decided(event)
    assert isinstance(outcome, Completion)
    assert (outcome.recipient.name, outcome.recipient.email) == ("Ada Lovelace", "ada@example.org")
    assert outcome.completed_at == event.occurred_at
    assert outcome.fields == {"score": "92.5"}


def test_without_api_a_status_that_is_missing_is_no_completion_and_with_api_it_is_asked_for() -> None:
    assert parsed(notification(Status__c=None), base=WITHOUT_API)[0].skip
    assert parsed(notification(Status__c=None))[0].skip is None


def test_a_date_alone_is_the_day_in_any_zone() -> None:
    (event,) = parsed(notification(Completed_At__c="2026-09-21"), base=WITHOUT_API)
    outcome = decided(event)
    assert isinstance(outcome, Completion)
    assert (outcome.completed_on.isoformat(), outcome.completed_at) == ("2026-09-21", None)
    # Whoever completed it on the day the source was started is not too old.
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2026-09-21T23:59:59+00:00"


def test_a_time_reads_the_same_to_the_second_however_it_came() -> None:
    times = ["2026-09-21T10:13:20.000Z", "2026-09-21T10:13:20.500+0000", "2026-09-21 12:13:20+02:00"]
    events = [parsed(notification(Completed_At__c=one), base=WITHOUT_API)[0] for one in times]
    assert {(event.keys, event.data["completed_at"]) for event in events} == {(events[0].keys, "2026-09-21T10:13:20Z")}


def test_a_time_that_is_none_holds_and_is_quoted() -> None:
    outcome = decided(parsed(notification(Completed_At__c="yesterday"), base=WITHOUT_API)[0])
    assert isinstance(outcome, Held)
    assert "yesterday" in outcome.reason


@pytest.mark.parametrize("missing", ["First_Name__c", "Last_Name__c"])
def test_half_a_name_holds_rather_than_being_printed(missing: str) -> None:
    outcome = decided(parsed(notification(**{missing: None}), base=WITHOUT_API)[0])
    assert isinstance(outcome, Held)
    assert "data.learner.name" in outcome.reason


def test_one_field_may_hold_the_whole_name() -> None:
    fields = {**WITHOUT_API["fields"], "name": "Name", "first_name": None, "last_name": None}
    assert parsed(base=WITHOUT_API, fields=fields)[0].data["learner"]["name"] == "CC-000123"


def test_an_object_may_stand_for_one_course() -> None:
    (event,) = parsed(base=WITHOUT_API, one_course="SAFETY-1")
    assert (event.course, event.data["course"]) == ("SAFETY-1", {"id": "SAFETY-1", "title": "SAFETY-1"})


def test_completions_may_be_fields_of_the_contact_itself() -> None:
    fields = {
        "learner": "Id",
        "first_name": "FirstName",
        "last_name": "LastName",
        "email": "Email",
        "completed_at": "Course_Completed_At__c",
    }
    values = {
        "FirstName": "Ada",
        "LastName": "Lovelace",
        "Email": "ada@example.org",
        "Course_Completed_At__c": "2026-09-21",
    }
    settings = {"object": "Contact", "fields": fields, "completed_field": None, "one_course": "SAFETY-1"}
    (event,) = parsed(notification(kind="Contact", Id=CONTACT, **values), base=WITHOUT_API, **settings)
    assert event.subject == event.data["id"] == CONTACT
    assert isinstance(decided(event), Completion)


@pytest.mark.parametrize(
    ("value", "shown"), [("95.0", "95"), ("92.50", "92.5"), ("A+", "A+"), ("nan", "nan"), ("1e999", "1e999")]
)
def test_a_score_reads_the_same_however_it_came(value: str, shown: str) -> None:
    assert parsed(notification(Score__c=value), base=WITHOUT_API)[0].data["score"] == shown


# -- a Flow's callout --------------------------------------------------------------------------------


def callout(body: object, base: Any = FLOW, token: str | None = CALLOUT_TOKEN, **changes: Any) -> SourceEvent:
    connector = salesforce(base, **changes)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = inbound(json.dumps(body).encode(), headers)
    connector.verify(request)
    (event,) = connector.parse(request)
    return event


@pytest.mark.parametrize("value", [f"Bearer {CALLOUT_TOKEN}", f"bearer  {CALLOUT_TOKEN} ", CALLOUT_TOKEN])
@pytest.mark.parametrize("name", ["Authorization", "X-Certbridge-Token"])
def test_a_callout_shows_its_token_in_the_header_that_is_set(name: str, value: str) -> None:
    connector = salesforce(FLOW, callout_header=name)
    connector.verify(inbound(b'{"recordId": "x"}', {name: value}))
    for headers in ({}, {name: ""}, {name: "Bearer"}, {name: "Bearer x"}, {"X-Other": value}):
        with pytest.raises(SignatureError):
            connector.verify(inbound(b"{}", headers))


def test_a_callout_may_need_the_address_as_well() -> None:
    connector = salesforce(FLOW, url_token=TOKEN)
    request = inbound(b"{}", {"Authorization": f"Bearer {CALLOUT_TOKEN}"}, TOKEN)
    connector.verify(request)
    with pytest.raises(SignatureError):
        connector.verify(replace(request, path_token=None))


@pytest.mark.parametrize("named", ["00D8d00000evilXEAQ", 7, [], "x"])
def test_a_callout_that_names_another_organisation_is_refused(named: object) -> None:
    callout({"recordId": RECORD, "organizationId": ORGANIZATION[:15]})
    callout({"recordId": RECORD})
    with pytest.raises(SignatureError, match="organization_ids"):
        callout({"recordId": RECORD, "organizationId": named})


def test_an_unreadable_callout_with_the_right_token_is_kept_as_unreadable() -> None:
    connector = salesforce(FLOW)
    request = inbound(b"{", {"Authorization": f"Bearer {CALLOUT_TOKEN}"})
    connector.verify(request)
    with pytest.raises(PayloadError):
        connector.parse(request)


@pytest.mark.parametrize("number", [None, 7, "", "x", RECORD[:14], [RECORD]])
def test_a_callout_without_a_record_is_unreadable(number: object) -> None:
    with pytest.raises(PayloadError, match="recordId"):
        callout({"recordId": number})


def test_a_callout_can_carry_everything_itself() -> None:
    body = {
        "recordId": RECORD, "contactId": CONTACT[:15], "email": "ada@example.org", "firstName": "Ada",
        "lastName": "Lovelace", "courseName": "Intro to Safety", "completedAt": "2026-09-21T10:13:20.000Z",
        "score": 92.5, "status": "Completed", "hours": 8,
    }  # fmt: skip
    fields = {**WITHOUT_API["fields"], "extra": {"hours": "Hours__c"}}
    base = {**WITHOUT_API, "entry": "flow", "callout_token": CALLOUT_TOKEN, "url_token": None, "fields": fields}
    event = callout(body, base)
    assert event.data["fields"] == {"hours": "8"}
    (sent,) = parsed(base=WITHOUT_API)
    assert (event.keys, event.subject, event.occurred_at) == (sent.keys, sent.subject, sent.occurred_at)
    assert isinstance(decided(event), Completion)


def test_the_same_callout_is_the_same_event_and_a_newer_one_is_not() -> None:
    body = {"recordId": RECORD, "completedAt": "2026-09-21T10:13:20.000Z"}
    assert callout(body) == callout(dict(reversed(body.items())))
    assert callout(body).event_id != callout({**body, "completedAt": "2027-09-21T10:13:20.000Z"}).event_id


# -- ids ---------------------------------------------------------------------------------------------

# Found in public documentation and code, and computed again.
VECTORS = {
    "70130000001tcyI": "AAQ",
    "00558000001N0Ke": "AAK",
    "001550V000WOQZi": "ACP",
    "00D7F00000107Xs": "UAI",
    "00Dxx0000001gPF": "EAY",
    "00D8d000004xYzA": "EAU",
    "a0D30000001n7Pi": "EAI",
}


@pytest.mark.parametrize(("short", "end"), VECTORS.items(), ids=VECTORS.keys())
def test_case_23_an_id_of_15_characters_gets_the_ending_that_salesforce_gives_it(short: str, end: str) -> None:
    assert ids.normal(short) == ids.normal(f" {short}{end} ") == ids.normal(f"{short}{end.lower()}") == short + end


@pytest.mark.parametrize(("short", "end"), VECTORS.items(), ids=VECTORS.keys())
def test_case_23_an_id_survives_a_spreadsheet_that_changed_its_case(short: str, end: str) -> None:
    assert ids.normal((short + end).upper()) == ids.normal((short + end).lower()) == short + end


@pytest.mark.parametrize(
    "odd",
    [None, 7, "", "x", "a0D30000001n7PiEAC", "70130000001tcyI9AQ", "70130000001tcyIAA", "é" * 15, "7013000000/../I"],
)
def test_what_is_no_id_is_none(odd: object) -> None:
    assert ids.normal(odd) is None


def test_ids_that_differ_by_case_alone_are_different_records() -> None:
    assert ids.normal("a0X8d000000000A") != ids.normal("a0X8d000000000a")


# -- what may be configured --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url_token": None, "url": None, "fields": WITHOUT_API["fields"]}, "needs url_token"),
        ({"organization_ids": []}, "organization_ids"),
        ({"organization_ids": ["0038d0000000001"]}, "begin with 00D"),
        ({"organization_ids": ["x"]}, "begin with 00D"),
        ({"organization_ids": [ORGANIZATION, "00D8d000004xYzAEAV"]}, "'00D8d000004xYzAEAV' is none"),
        ({"url": "https://acme.my.salesforce-setup.com"}, "My Domain"),
        ({"fields": {"email": "Contact__c.Email"}}, "must have __r where it goes on to another record: Contact__r.E"),
        ({"url": "https://acme.lightning.force.com"}, "My Domain"),
        ({"url": "https://login.salesforce.com"}, "My Domain"),
        ({"url": "ftp://acme.my.salesforce.com"}, "My Domain"),
        ({"url": "https://user@acme.my.salesforce.com"}, "My Domain"),
        ({"url": "https://acme.my.salesforce.com/services"}, "My Domain"),
        ({"url": None}, "related record"),
        ({"client_secret": None}, "client_secret"),
        ({"client_id": None}, "client_id"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}, "must be a private RSA key"),
        ({"api_version": "v67"}, "api_version"),
        ({"callout_header": "X: y"}, "callout_header"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_reason(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        salesforce(**change)
    assert words in str(caught.value)
    assert SETTINGS["client_secret"] not in "".join(error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize(
    "name",
    ["", "Id FROM User", "Id'", "a.b.c.d.e.f.g", ".Id", "Id.", "Id\n", "Id,Name", "1d", "Íd", "COUNT(Id)", "a" * 200],
)
def test_no_name_in_the_configuration_can_become_more_than_a_name(name: str) -> None:
    changes: list[dict[str, Any]] = [
        {"object": name},
        {"completed_field": name},
        {"fields": {"learner": name}},
        {"fields": {"extra": {"hours": name}}},
        {"write_back": {"certificate_field": name}},
        {"write_back": {"task_key_field": name}},
    ]
    for change in changes:
        with pytest.raises(ValidationError):
            salesforce(**change)
