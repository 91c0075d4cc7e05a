"""The connector for Teachable on bodies written after a real delivery of 2018; case numbers are those of our notes."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from contract import DEFAULTS, NOW, SAMPLES, Case, ConnectorContract, inbound
from pydantic import ValidationError
from routed_api import RoutedApi

from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, PermanentError, SignatureError, TemporaryError
from bridge.core.models import Outcome, Received, SourceEvent
from connectors.teachable import Teachable, TeachableSettings

TOKEN = "teachable-test-address-token"
SETTINGS: dict[str, Any] = {"url_token": TOKEN, "api_key": "teachable-test-api-key"}
LEARNER, COURSE = "15747624", "302950"


class TestTeachable(ConnectorContract):
    connector = "teachable"
    settings = SETTINGS
    rotated = {"url_token": "the-next-address-token", "previous_url_token": TOKEN}
    signs_body = False

    def api(self, case: Case) -> ApiClient:
        return RoutedApi(self.build(), case.expected.get("api", {}))

    def test_a_hostile_body_is_refused_or_read_and_nothing_else(self, hostile: bytes) -> None:
        if hostile == b"[]":  # a list is how Teachable may send its events, and there is none in this one
            assert list(teachable().parse(inbound(hostile, {}, TOKEN))) == []
        else:
            super().test_a_hostile_body_is_refused_or_read_and_nothing_else(hostile)


def teachable(**changes: Any) -> Teachable:
    return Teachable(TeachableSettings.model_validate({**SETTINGS, **changes}))


def sample(case: str = "Enrollment.completed") -> Any:
    """Returns the body of a sample."""
    return json.loads((SAMPLES / "teachable" / f"{case}.SYNTHETIC" / "body").read_bytes())


def event_body(**changes: Any) -> dict[str, Any]:
    """Returns the sample's event with changed fields of its enrolment; `...` leaves one out."""
    found: dict[str, Any] = sample()
    enrollment = {**found["object"], **changes}
    return {**found, "object": {key: value for key, value in enrollment.items() if value is not ...}}


def events(body: object) -> list[SourceEvent]:
    return list(teachable().parse(inbound(json.dumps(body).encode(), {}, TOKEN)))


def parsed(**changes: Any) -> SourceEvent:
    (event,) = events(event_body(**changes))
    return event


def outcome(event: SourceEvent) -> Outcome:
    """Returns what the shipped mapping makes of an event."""
    decided: Outcome = TestTeachable().mapping().apply(event, defaults=DEFAULTS).outcome
    return decided


# -- who sent it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "", "teachable-test-address-toke", "x" * 10_000, "tökén"])
def test_case_03_a_forged_event_without_the_right_token_is_refused(token: str | None) -> None:
    with pytest.raises(SignatureError):
        teachable().verify(inbound(json.dumps(event_body()).encode(), {}, token))


def test_the_token_may_stand_in_the_query() -> None:
    url = f"https://certificates.example/hooks/school?a=1&token={TOKEN}"
    teachable().verify(inbound(b"{}", {}, url=url))
    with pytest.raises(SignatureError):
        teachable().verify(inbound(b"{}", {}, url=url.replace("token=", "token=x")))


SIGNED = {"signing_secret": "a-signing-secret"}


def signature(message: bytes, prefix: str = "") -> str:
    return prefix + hmac.digest(b"a-signing-secret", message, "sha256").hex()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Teachable-Signature", signature(b"{}")),
        ("X-Teachable-Signature", signature(b"{}", "sha256=")),
        (
            "X-Teachable-Signature",
            f"t={int(NOW.timestamp()) - 299}, " + signature(f"{int(NOW.timestamp()) - 299}.{{}}".encode(), "v1="),
        ),
    ],
)
def test_a_signature_counts_only_where_a_secret_is_set_and_in_each_form_that_was_told(name: str, value: str) -> None:
    teachable().verify(inbound(b"{}", {name: "x"}, TOKEN))
    teachable(**SIGNED).verify(inbound(b"{}", {name: value}, TOKEN))
    for headers, body in (({}, b"{}"), ({name: value}, b"{ }"), ({name: value[:-1] + "x"}, b"{}")):
        with pytest.raises(SignatureError):
            teachable(**SIGNED).verify(inbound(body, headers, TOKEN))
    with pytest.raises(SignatureError):
        teachable(**SIGNED).verify(inbound(b"{}", {name: value}, "another-token"))


@pytest.mark.parametrize("stamp", [str(int(NOW.timestamp()) - 301), str(int(NOW.timestamp()) + 301), "x", "-1", ""])
def test_a_signature_of_another_time_is_refused(stamp: str) -> None:
    value = f"t={stamp}," + signature(f"{stamp}.{{}}".encode(), "v1=")
    with pytest.raises(SignatureError) as caught:
        teachable(**SIGNED).verify(inbound(b"{}", {"Teachable-Signature": value}, TOKEN))
    assert caught.value.stable_code == "timestamp"


def test_a_sample_is_signed_where_a_secret_is_set() -> None:
    made = teachable(**SIGNED).sign(b"{}", {"X-Teachable-Signature": "old"}, NOW)
    teachable(**SIGNED).verify(inbound(made.body, made.headers, made.path_token))


def test_case_04_no_refusal_repeats_the_token_that_was_presented() -> None:
    url = "https://certificates.example/hooks/school?token=nearly-the-right-token"
    with pytest.raises(SignatureError) as caught:
        teachable().verify(inbound(b"{}", {}, url=url))
    assert "nearly-the-right-token" not in str(caught.value)


# -- what it says ------------------------------------------------------------------------------------


def test_case_01_an_object_a_list_of_one_and_a_list_of_two_are_all_read() -> None:
    one = event_body()
    other = event_body(course_id=302951)
    assert [event.course for event in events(one)] == ["302950"]
    assert [event.course for event in events([one])] == ["302950"]
    assert [event.course for event in events([one, other])] == ["302950", "302951"]
    assert events([]) == []


@pytest.mark.parametrize("element", [None, 3, "x", [], [[]], {}])
def test_case_01_a_list_of_something_else_is_refused(element: object) -> None:
    with pytest.raises(PayloadError, match="no webhook of Teachable"):
        events([event_body(), element])


@pytest.mark.parametrize("name", ["Enrollment.completed", "enrollment.completed", "ENROLLMENT.COMPLETED", " x"])
def test_case_02_a_type_is_recognised_whatever_its_capitals(name: str) -> None:
    (event,) = events({**event_body(), "type": name})
    assert event.event_type == ("x" if name == " x" else "Enrollment.completed")


def test_case_02_types_that_are_invented_elsewhere_are_recognised_too() -> None:
    (event,) = events({"type": "Transaction.Created", "object": {}})
    assert event.event_type == "Transaction.created"


@pytest.mark.parametrize("name", ["Sale.created", "Lecture.celebrated"])
def test_case_05_an_event_of_no_interest_is_no_error_and_keeps_nothing_about_people(name: str) -> None:
    (event,) = events({**event_body(), "type": name})
    assert event.data == {}
    assert event.subject is None
    assert teachable().reply(Received(200, "ignored", event.skip or "")).status == 200


def test_case_07_two_webhooks_to_one_address_bring_the_same_event() -> None:
    first, again = events([event_body(), {**event_body(), "hook_event_id": 43}])
    assert first == again


def test_case_09_each_course_of_a_bundle_is_a_completion_of_its_own() -> None:
    first, second = parsed(), parsed(course_id=302951)
    assert first.subject == second.subject
    assert first.event_id != second.event_id
    assert not set(first.keys) & set(second.keys)


def test_case_10_the_time_of_the_event_stands_in_for_a_missing_time_of_completion() -> None:
    event = parsed(completed_at=...)
    assert event.data["enrollment"]["completed_at"] == "2026-02-14T14:30:11Z"
    assert event.occurred_at is not None


def test_case_11_completing_again_later_is_a_completion_of_its_own_that_the_mapping_decides_about() -> None:
    again = parsed(completed_at="2027-02-14T14:30:10Z")
    assert again.event_id != parsed().event_id
    assert not set(again.keys) & set(parsed().keys)


def test_case_13_a_megabyte_of_description_is_read_and_not_kept() -> None:
    course = {"id": 302950, "name": "Safety Basics", "description": "<p>" + "x" * 1_000_000}
    assert len(parsed(course=course).model_dump_json()) < 2_000


def test_case_14_events_that_share_a_hook_event_id_are_told_apart() -> None:
    first, second = events([{**event_body(), "hook_event_id": 1}, {**event_body(user_id=2), "hook_event_id": 1}])
    assert first.event_id != second.event_id


def test_what_changes_with_every_sign_in_is_not_part_of_the_event() -> None:
    user = {**event_body()["object"]["user"], "sign_in_count": 99, "last_sign_in_at": "2027-01-01T00:00:00Z"}
    assert parsed(user=user) == parsed()


@pytest.mark.parametrize("odd", ["../courses/1", "1e3", -1, 1.5, True, {}, "9" * 50, "１２"])
def test_an_id_that_is_none_never_becomes_part_of_an_address(odd: object) -> None:
    event = parsed(user_id=odd, user={"id": odd})
    assert event.subject is None
    assert event.keys == ()


# -- how Teachable refuses ---------------------------------------------------------------------------


def refused(status: int, answer: object = None, headers: dict[str, str] | None = None) -> Exception:
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises((PermanentError, TemporaryError)) as caught:
        teachable().check(ApiResponse(status, headers or {}, raw, "https://developers.teachable.com/v1/x"))
    return caught.value


def test_case_16_the_wait_counts_from_now() -> None:
    error = refused(429, {"message": "API rate limit exceeded"}, {"ratelimit-reset": "37", "ratelimit-limit": "100"})
    assert isinstance(error, TemporaryError)
    assert (error.stable_code, error.retry_after) == ("http_429", 37)


def test_case_16_a_used_up_month_is_said_and_waited_for() -> None:
    error = refused(429, {"message": "API rate limit exceeded"}, {"ratelimit-reset": "86400"})
    assert isinstance(error, TemporaryError)
    assert (error.stable_code, error.retry_after) == ("http_429", 86400)
    assert "monthly quota" in str(error)
    assert "calls_per_day" in str(error)


@pytest.mark.parametrize("reset", ["", "soon", "nan", "-5", "1767225640"])
def test_case_16_a_wait_that_is_none_is_left_to_our_own_schedule(reset: str) -> None:
    error = refused(429, b"", {"ratelimit-reset": reset})
    assert isinstance(error, TemporaryError)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"message": "Not found"}, "Not found"),
        ({"message": ["first problem", "second problem"]}, "first problem; second problem"),
        ({"message": [None, 3]}, "refused the values."),
        (b"<html>", "refused the values."),
        ([], "refused the values."),
    ],
)
def test_a_refusal_repeats_the_words_of_teachable(answer: object, said: str) -> None:
    assert said in str(refused(422, answer))


def test_a_refused_key_names_the_setting() -> None:
    error = refused(401, {"message": "Unauthorized"})
    assert isinstance(error, PermanentError)
    assert "`api_key`" in str(error)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_in_trouble_is_tried_again(status: int) -> None:
    assert isinstance(refused(status), TemporaryError)


# -- how it is reached -------------------------------------------------------------------------------


def test_the_key_goes_into_the_header_that_teachable_reads() -> None:
    access = teachable().authenticate(RoutedApi(teachable(), {}))
    assert access is not None
    assert access.base_url == "https://developers.teachable.com/v1"
    assert access.headers == {"apiKey": "teachable-test-api-key"}


def test_bare_webhooks_need_no_key_but_have_to_say_so() -> None:
    bare = teachable(api_key=None, confirm=False)
    assert bare.authenticate(RoutedApi(bare, {})) is None
    assert not bare.polls()
    assert bare.enrich(parsed(), RoutedApi(bare, {})) == parsed()
    assert [finding.level for finding in bare.diagnose(RoutedApi(bare, {}))] == ["warning"]


@pytest.mark.parametrize(
    "changes",
    [
        {"api_key": None},
        {"api_key": None, "confirm": False, "write_back": {"src": True}},
        {"url_token": "short"},
        {"url_token": None},
        {"api_url": "developers.teachable.com"},
        {"sweep_courses": ["safety"]},
        {"unenrolled": "maybe"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        teachable(**changes)


def test_the_age_of_a_request_does_not_matter() -> None:
    teachable().verify(inbound(b"{}", {}, TOKEN, received_at=NOW.replace(year=2099)))
