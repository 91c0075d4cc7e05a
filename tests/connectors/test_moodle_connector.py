"""The connector for Moodle against what a real Moodle 4.5.6 sent and answered; case numbers are those of our notes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from contract import NOW, Case, ConnectorContract, inbound
from moodle_captures import SETTINGS, Replay, body, moodle, parsed
from pydantic import ValidationError
from scripted_api import ScriptedApi

from bridge.core.connector import ApiResponse
from bridge.core.errors import (
    BridgeError,
    PayloadError,
    SignatureError,
)
from bridge.core.models import Received


class TestMoodle(ConnectorContract):
    connector = "moodle"
    settings = SETTINGS
    rotated = {"webhook_token": "the-next-shared-token", "previous_webhook_token": "sample-shared-token"}
    signs_body = False

    def without_proof(self, case: Case) -> Iterator[Any]:
        fields = json.loads(case.body)
        for token in (None, "", 0, ["sample-shared-token"], {"token": "sample-shared-token"}, "sample-shared-toke"):
            yield case.request(body=json.dumps({**fields, "token": token}).encode())
        del fields["token"]
        yield case.request(body=json.dumps(fields).encode())

    def api(self, case: Case) -> Any:
        return Replay(self.build(), case.expected["rest"])


# -- who sent it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["webhook_token", "url_token"])
def test_case_22_a_token_that_can_be_guessed_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        moodle(**{name: "short"})


def test_the_address_alone_is_proof_where_only_it_is_configured() -> None:
    connector = moodle(webhook_token=None, url_token="address-token-1", previous_url_token="address-token-0")
    for token in ("address-token-1", "address-token-0"):
        connector.verify(inbound(json.dumps(body(token=...)).encode(), {}, token))
    for wrong in (None, "", "address-token-2"):
        with pytest.raises(SignatureError):
            connector.verify(inbound(json.dumps(body()).encode(), {}, wrong))


def test_both_tokens_must_fit_where_both_are_configured() -> None:
    connector = moodle(url_token="address-token-1")
    request = inbound(json.dumps(body()).encode(), {}, "address-token-1")
    connector.verify(request)
    for wrong in (
        dataclasses.replace(request, path_token=None),
        dataclasses.replace(request, body=json.dumps(body(token="other-shared-token")).encode()),
    ):
        with pytest.raises(SignatureError):
            connector.verify(wrong)


def test_an_unreadable_body_is_kept_when_its_address_proves_it() -> None:
    connector = moodle(url_token="address-token-1")
    request = inbound(b'{"eventname": ', {}, "address-token-1")
    connector.verify(request)
    with pytest.raises(PayloadError, match="not JSON"):
        connector.parse(request)


def test_an_unreadable_body_without_a_token_in_the_address_is_refused() -> None:
    with pytest.raises(SignatureError, match="cannot be read"):
        moodle().verify(inbound(b'{"token": "sample-shared-token"', {}))


def test_case_21_the_token_of_another_site_is_not_accepted() -> None:
    other = moodle(webhook_token="token-of-another-site")
    with pytest.raises(SignatureError, match="not the configured one"):
        other.verify(inbound(json.dumps(body()).encode(), {}))


# -- what it says ------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", ["6", 6, "2", -1, None])
def test_case_01_the_learner_is_not_the_one_who_caused_the_event(actor: object) -> None:
    assert parsed(userid=actor, relateduserid="4").subject == "4"


@pytest.mark.parametrize("other", [None, {"relateduserid": "3"}, [], ...])
@pytest.mark.parametrize("learner", ["3", 3])
def test_case_02_ids_come_as_text_or_number_and_other_comes_or_not(learner: object, other: object) -> None:
    event = parsed(relateduserid=learner, courseid=2, other=other)
    assert (event.subject, event.course, event.event_id) == ("3", "2", "course_completions:1:3:2")
    assert event.data["event"]["relateduserid"] == 3


@pytest.mark.parametrize("odd", ["x", 3.5, True, [3], {"id": 3}, "٣", "3; DROP", 10**30])
def test_case_02_an_id_that_is_no_number_is_refused(odd: object) -> None:
    with pytest.raises(PayloadError, match="relateduserid should be a whole number"):
        parsed(relateduserid=odd)


def test_case_07_the_answer_is_exactly_200() -> None:
    assert moodle().reply(Received(200, "accepted")).status == 200


def test_case_07_the_same_completion_sent_again_later_has_the_same_id_and_keys() -> None:
    first, again = parsed(), parsed(timecreated=1795357124)
    assert (first.event_id, first.keys) == (again.event_id, again.keys)


def test_case_15_a_completion_after_a_reset_is_another_one() -> None:
    first, renewed = parsed(), parsed(objectid="13")
    assert first.event_id != renewed.event_id
    assert not set(first.keys) & set(renewed.keys)
    assert (first.subject, first.course) == (renewed.subject, renewed.course)


def test_a_rebuilt_site_that_counts_its_rows_from_1_again_is_not_taken_for_the_old_one() -> None:
    assert not set(parsed().keys) & set(parsed(relateduserid="9").keys)


@pytest.mark.parametrize("state", [0, 1, 2, 3])
def test_case_16_and_20_an_activity_is_not_a_course(state: int) -> None:
    event = parsed(eventname="\\core\\event\\course_module_completion_updated", other={"completionstate": state})
    assert event.skip
    assert "activity" in event.skip
    assert event.keys == ()


def test_case_20_changed_completion_settings_are_not_a_completion() -> None:
    event = parsed(eventname="\\core\\event\\course_completion_updated")
    assert event.skip
    assert "settings" in event.skip


@pytest.mark.parametrize(
    ("learner", "course"), [(-1, 2), ("-1", 2), (0, 2), (1, 2), (3, 0), (3, 1), ("3", "1")], ids=str
)
def test_case_31_the_system_the_guest_and_the_front_page_are_skipped(learner: object, course: object) -> None:
    event = parsed(relateduserid=learner, courseid=course)
    assert event.skip
    assert moodle().enrich(event, ScriptedApi(moodle())) is event


def test_an_event_that_nobody_knows_is_passed_on_for_the_mapping_to_ignore() -> None:
    event = parsed(eventname="\\mod_quiz\\event\\attempt_submitted")
    assert (event.event_type, event.skip) == ("\\mod_quiz\\event\\attempt_submitted", None)


@pytest.mark.parametrize("name", [None, "", 3, "x" * 300, ...])
def test_a_body_that_is_no_event_of_moodle_is_refused(name: object) -> None:
    with pytest.raises(PayloadError, match="eventname"):
        parsed(eventname=name)


def test_the_shared_token_does_not_stay_in_the_event() -> None:
    assert "sample-shared-token" not in parsed().model_dump_json()


# -- how it is reached -------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["moodle.example", "ftp://moodle.example", "https://user@moodle.example", "https://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="no site address"):
        moodle(url=url)


def test_only_the_configured_host_may_be_called() -> None:
    assert moodle(url="https://moodle.school.example/lms/").hosts() == ("moodle.school.example",)


def test_every_error_of_moodle_is_one_of_ours() -> None:
    for status in (204, 301, 400, 404, 418, 429, 500, 599):
        with pytest.raises(BridgeError):
            moodle().check(ApiResponse(status, {}, b"<html>", "https://moodle.example"))


def test_the_clock_does_not_matter_for_a_shared_token() -> None:
    moodle().verify(inbound(json.dumps(body()).encode(), {}, received_at=NOW.replace(year=2099)))
