"""Every shipped declaration in a whole bridge: from the webhook or the poll to the certificate, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flow.rig import Answer, Rig, sample
from flow.rig_declared import (
    LEARNER,
    NOVEMBER,
    TOKEN,
    carry,
    declare,
    issued,
    look_for_keys,
    poll,
    post,
    publish,
    settled,
    states,
    token,
    with_source,
)
from vendors import plain_records as records
from vendors.faults import Faults
from vendors.plain_api import PlainApi

from bridge.core.errors import TemporaryError
from bridge.core.models import State

UUID = "7I1tRxZfLoPwmI2ihCVFh29cpbIwIYdKRfJYcV9c"


# -- senders of a few fields -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zapier", "make", "n8n"])
def test_a_tool_that_posts_a_few_fields_gets_the_certificate_in_the_answer(rig: Rig, kind: str) -> None:
    with_source(rig, kind, header_token=TOKEN)
    with rig.running():
        answer = post(rig, kind, "flat", headers={"X-Bridge-Token": TOKEN})
        assert answer.status == 200
        assert answer.json()["certificate_id"] == issued(rig)
        again = post(rig, kind, "flat", headers={"X-Bridge-Token": TOKEN})
        assert (again.json()["outcome"], again.json()["certificate_id"]) == ("duplicate", issued(rig))
        assert post(rig, kind, "flat", headers={"X-Bridge-Token": "quite another token"}).status == 401
        assert len(rig.events()) == len(rig.mails()) == 1


def test_an_answer_to_a_form_becomes_a_certificate_and_an_edited_one_none(rig: Rig) -> None:
    with_source(rig, "google-forms", header_token=TOKEN)
    with rig.running():
        for case in ("answer", "answer-edited"):
            assert post(rig, "google-forms", case, headers={"X-Bridge-Token": TOKEN}).status == 200
        assert states(rig) == [State.DONE, State.IGNORED]
        issued(rig)


def test_learnworlds_is_believed_by_its_fixed_signature_alone(rig: Rig) -> None:
    _, headers = sample("course_completed.SYNTHETIC", "learnworlds")
    signature = headers["Learnworlds-Webhook-Signature"]
    with_source(rig, "learnworlds", header_token=signature.removeprefix("v1="))
    with rig.running():
        assert post(rig, "learnworlds", "course_completed").status == 200
        issued(rig)
        forged = {"Learnworlds-Webhook-Signature": signature[:-1] + "0"}
        assert post(rig, "learnworlds", "course_completed", headers=forged).status == 401
        assert post(rig, "learnworlds", "awarded_certificate").status == 200
        assert states(rig) == [State.DONE, State.IGNORED]


# -- Canvas: bodies signed with the vendor's keys ----------------------------------------------------

CANVAS = """\
extends: canvas
source:
  title: Canvas with keys at another address
  settings: {keys: {description: Where the keys are., url: true}}
  webhook:
    proof:
      - jwt:
          jwks_url: "{{ settings.keys }}/jwks"
          expect:
            - that: claims.metadata.root_account_uuid == settings.root_account_uuid
              because: Its root_account_uuid is that of another Canvas account.
"""


@pytest.fixture
def canvas(rig: Rig, plain: PlainApi) -> Iterator[Rig]:
    """A running bridge whose Canvas has published no key yet."""
    publish(plain)
    declare(rig, "canvas-here", CANVAS)
    with_source(rig, "canvas-here", keys=plain.url, root_account_uuid=UUID)
    with rig.running():
        rig.wait(lambda: any(call.path == "/jwks" for call in plain.calls))
        yield rig


def event(**metadata: str) -> bytes:
    body = json.loads(sample("course_completed.SYNTHETIC", "canvas")[0])
    body["metadata"] |= metadata
    return json.dumps(body).encode()


def deliver(rig: Rig, body: bytes) -> Answer:
    return settled(rig, rig.post("canvas-here", body, {"Content-Type": "application/jwt"}))


def test_canvas_is_asked_to_deliver_again_until_its_keys_are_fetched(canvas: Rig, plain: PlainApi) -> None:
    signed = token(event(), "november")
    early = deliver(canvas, signed)
    assert early.status == 503
    assert int(early.headers["retry-after"]) > 0
    assert early.json()["outcome"] == "unavailable"
    assert canvas.events() == []
    # An admin who looks why nothing comes finds it.
    (kept,) = [row for row in canvas.requests() if row.source == "canvas-here"]
    assert (kept.outcome, kept.status, kept.body) == ("rejected", 503, None)
    assert "HTTP 503" in canvas.certbridge("sources", "show", "canvas-here")
    publish(plain, "november")
    look_for_keys(canvas, "canvas-here")
    assert deliver(canvas, signed).status == 200
    issued(canvas)
    assert (
        deliver(canvas, token(event(event_time="2026-02-15T00:00:00Z", request_id="another"), "november")).status == 200
    )
    assert states(canvas) == [State.DONE]


def test_a_new_key_of_canvas_is_fetched_with_the_first_event_that_it_signed(canvas: Rig, plain: PlainApi) -> None:
    publish(plain, "november")
    look_for_keys(canvas, "canvas-here")
    assert not canvas.bridge.sources["canvas-here"].connector.needs_refresh
    publish(plain, "november", "december")
    assert deliver(canvas, token(event(), "december")).status == 503
    assert canvas.bridge.sources["canvas-here"].connector.needs_refresh
    look_for_keys(canvas, "canvas-here")
    assert deliver(canvas, token(event(), "december")).status == 200
    issued(canvas)


def test_nobody_but_canvas_can_sign_and_for_no_other_customer(canvas: Rig, plain: PlainApi) -> None:
    publish(plain, "november")
    look_for_keys(canvas, "canvas-here")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","kid":"november"}').rstrip(b"=")
    claims = base64.urlsafe_b64encode(event()).rstrip(b"=")
    for body in (
        token(event(), "november", signer="stranger"),
        unsigned + b"." + claims + b".",
        token(event(root_account_uuid="x" * 40), "november"),
        event(),
    ):
        assert deliver(canvas, body).status == 401
    assert canvas.events() == []


# -- xAPI --------------------------------------------------------------------------------------------


def login(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def with_xapi(rig: Rig, **more: str) -> None:
    with_source(rig, "xapi", username="lrs", password="xapi-forwarding-password", **more)


def test_forwarded_statements_are_answered_with_a_list_and_a_voided_one_revokes(rig: Rig) -> None:
    with_xapi(rig)
    headers = login("lrs", "xapi-forwarding-password")
    with rig.running():
        one, void = (sample(f"{case}.SYNTHETIC", "xapi")[0] for case in ("completed", "voided"))
        both = b"[" + one + b"," + json.dumps({**json.loads(one), "id": "x", "verb": {"id": "x"}}).encode() + b"]"
        answer = settled(rig, rig.post("xapi", both, headers))
        assert answer.status == 200
        assert len(answer.json()) == 2
        number = issued(rig)
        assert settled(rig, rig.post("xapi", void, headers)).status == 200
        hit = rig.certificate()
        assert (hit.certificate.state, hit.certificate.revoke_reason) == (
            "revoked",
            "The record store took the statement back.",
        )
        assert rig.request("GET", f"/c/{number}").status == 200
        assert settled(rig, rig.post("xapi", one, login("lrs", "quite another"))).status == 401


def test_a_record_store_is_asked_page_by_page_and_its_statements_meet_those_it_forwards(
    rig: Rig, plain: PlainApi
) -> None:
    plain.statements_per_page = 1
    names = ((1, "dana@example.invalid", LEARNER), (2, "lee@example.invalid", "Lee O'Neill"))
    first, _ = [
        plain.state(records.completed(number, email, name, "https://lms.example/68", NOVEMBER))
        for number, email, name in names
    ]
    with_xapi(rig, lrs_url=f"{plain.url}/xapi", lrs_key=plain.lrs_user, lrs_secret=plain.lrs_password)
    with rig.running():
        settled(rig, rig.post("xapi", json.dumps(first).encode(), login("lrs", "xapi-forwarding-password")))
        issued(rig)
        found = poll(rig, "xapi")
        assert (len(found.new), found.known) == (1, 1)
        assert [hit.version.data.recipient.name for hit in rig.certificates()] == [LEARNER, "Lee O'Neill"]
        assert any("/more/" in call.path for call in plain.calls)
        assert len(poll(rig, "xapi").new) == 0
        assert plain.refused == []


def test_a_store_that_only_can_be_asked_takes_back_what_it_voided(rig: Rig, plain: PlainApi) -> None:
    plain.state(records.completed(1, "dana@example.invalid", LEARNER, "https://lms.example/68", NOVEMBER))
    store = {"lrs_url": f"{plain.url}/xapi", "lrs_key": plain.lrs_user, "lrs_secret": plain.lrs_password}
    with_xapi(rig, **store, lrs_verb="all")
    with rig.running():
        assert len(poll(rig, "xapi").new) == 1
        issued(rig)
        plain.state(records.voided(2, plain.statements[0]["id"], datetime.now(UTC)))
        assert len(poll(rig, "xapi").new) == 1
        assert rig.certificate().certificate.state == "revoked"
        assert poll(rig, "xapi").new == ()
        assert plain.refused == []


# -- Open edX, Eventbrite ----------------------------------------------------------------------------


def test_open_edx_awards_and_takes_back(rig: Rig) -> None:
    with_source(rig, "openedx", url_token=TOKEN)
    with rig.running():
        assert post(rig, "openedx", "certificate_created", token=TOKEN).status == 200
        issued(rig)
        assert post(rig, "openedx", "certificate_changed-of-an-auditor", token=TOKEN).status == 200
        assert states(rig) == [State.DONE, State.IGNORED]
        assert post(rig, "openedx", "certificate_revoked", token=TOKEN).status == 200
        assert rig.certificate().certificate.state == "revoked"
        assert post(rig, "openedx", "certificate_created", token="quite-another").status == 401


@pytest.fixture
def events(rig: Rig, plain: PlainApi) -> Iterator[Rig]:
    """A running bridge with Eventbrite, which the stand-in stands in for at the vendor's own host."""
    with_source(
        rig, "eventbrite", mapping='courses: {"1234567890": First Aid}\n', url_token=TOKEN, api_token=plain.token
    )
    with rig.running():
        carry(rig, "eventbrite", "www.eventbriteapi.com", plain)
        yield rig


def point(rig: Rig, plain: PlainApi, url: str, **more: Any) -> Answer:
    return settled(rig, rig.post("eventbrite", plain.pointer(url, "", **more).body, token=TOKEN))


DANA = "https://www.eventbriteapi.com/v3/events/1234567890/attendees/987654321/"


def test_eventbrite_points_to_an_attendee_who_is_fetched_once_they_are_checked_in(events: Rig, plain: PlainApi) -> None:
    assert point(events, plain, DANA).status == 200
    row = events.event()
    assert (row.state, row.code) == (State.RETRYING, "unconfirmed")
    assert "does not show this attendee as checked in (yet)" in (row.reason or "")
    plain.check_in("987654321", NOVEMBER, "")
    events.later()
    issued(events)
    assert plain.refused == []


def test_a_pointer_to_another_host_is_called_by_nobody(events: Rig, plain: PlainApi) -> None:
    plain.check_in("987654321", NOVEMBER, "")
    for url in (f"{plain.url}/v3/events/1234567890/attendees/987654321/", DANA.replace(".com/", ".com.evil.example/")):
        assert point(events, plain, url).status == 200
    assert states(events) == [State.FAILED] * 2
    assert all("it was not called" in (row.reason or "") for row in events.events())
    assert plain.calls == []


def test_an_order_is_no_attendance(events: Rig, plain: PlainApi) -> None:
    assert point(events, plain, DANA, action="order.placed").status == 200
    assert states(events) == [State.IGNORED]
    assert plain.calls == []


# -- TalentLMS: a poll and a field -------------------------------------------------------------------


@pytest.fixture
def talent(rig: Rig, plain: PlainApi) -> Iterator[Rig]:
    """A running bridge with TalentLMS, where Dana completed a course without counting as changed."""
    plain.complete(1, 68, NOVEMBER, updates=False)
    with_source(rig, "talentlms", url=plain.url, api_key=plain.api_key, certificate_field="Certificate ID")
    with rig.running():
        yield rig


def field(plain: PlainApi) -> object:
    (only,) = plain.users[1]["custom_fields"]
    return only["value"]


def test_talentlms_is_polled_and_gets_the_number_into_the_learners_field(talent: Rig, plain: PlainApi) -> None:
    assert len(poll(talent, "talentlms").new) == 1
    assert field(plain) == issued(talent)
    row = talent.delivery("write_back")
    assert (row.state, row.receipt and row.receipt["confirmed"]) == (State.DONE, True)
    again = poll(talent, "talentlms")
    assert (len(again.new), again.known) == (0, 1)
    assert plain.users[1]["status"] == "active"
    assert plain.refused == []


def test_a_field_that_was_written_before_the_connection_broke_is_not_written_again(
    talent: Rig, plain: PlainApi
) -> None:
    faults = Faults(plain)
    faults.next(1, "commit-then-drop", "POST")
    poll(talent, "talentlms")
    assert talent.delivery("write_back").state is State.RETRYING
    talent.later()
    assert talent.delivery("write_back").state is State.DONE
    assert field(plain) == issued(talent)
    assert [call.method for call in plain.calls].count("POST") == 1
    assert not faults.pending


@pytest.mark.parametrize("lists_progress", [False, True])
def test_case_contracts_2_talentlms_is_polled_with_either_answer(
    rig: Rig, plain: PlainApi, lists_progress: bool
) -> None:
    plain.lists_progress = lists_progress
    plain.complete(1, 68, NOVEMBER)
    with plain.lock:
        plain.courses[69] = {"id": 69, "name": "First Aid", "code": None}
        plain.progress[2, 69] = records.begun(2, 69)
    with_source(rig, "talentlms", url=plain.url, api_key=plain.api_key)
    with rig.running():
        assert "looks as it is declared" in rig.certbridge("sources", "test", "talentlms")
        assert len(poll(rig, "talentlms").new) == 1
        issued(rig)
        asked = [call for call in plain.calls if call.path.endswith("/course-progress")]
        assert bool(asked) is not lists_progress
        assert poll(rig, "talentlms").new == ()
        assert plain.refused == []


def test_learners_whose_pages_talentlms_does_not_turn_fail_the_poll(rig: Rig, plain: PlainApi) -> None:
    plain.pages_users = False
    with plain.lock:
        plain.users |= {number: {**plain.users[1], "id": number} for number in range(10, 70)}
    with_source(rig, "talentlms", url=plain.url, api_key=plain.api_key)
    with rig.running(), pytest.raises(TemporaryError, match="does not go on"):
        poll(rig, "talentlms")


def test_case_contracts_4_a_task_that_takes_a_while_is_waited_for(talent: Rig, plain: PlainApi) -> None:
    plain.batch_takes = 2
    poll(talent, "talentlms")
    row = talent.delivery("write_back")
    assert (row.state, row.code) == (State.RETRYING, "not_confirmed")
    talent.later()
    assert talent.delivery("write_back").state is State.DONE
    assert field(plain) == issued(talent)


def test_a_field_that_talentlms_does_not_show_is_held_and_written_once_it_shows(talent: Rig, plain: PlainApi) -> None:
    plain.shows_custom_fields = False
    poll(talent, "talentlms")
    row = talent.delivery("write_back")
    assert (row.state, row.code, field(plain)) == (State.HELD, "not_shown", None)
    plain.shows_custom_fields = True
    talent.certbridge("outbox", "replay", "--held", "--yes")
    talent.wait_settled()
    assert field(plain) == issued(talent)
    assert plain.refused == []
