"""The connector for Thinkific on bodies written after its documentation; case numbers are those of our notes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from contract import NOW, SAMPLES, ConnectorContract, inbound
from pydantic import SecretStr, ValidationError
from scripted_api import ScriptedApi, certificate

from bridge.core.certificate_id import grouped
from bridge.core.connector import ApiResponse
from bridge.core.errors import PayloadError, PermanentError, SignatureError, TemporaryError
from bridge.core.models import Received, SourceEvent
from bridge.core.signatures import hmac_signature
from connectors.thinkific import Thinkific, ThinkificSettings

SECRET = "thinkific-test-signing-secret"
SETTINGS = {
    "signing_secret": SECRET,
    "subdomain": "school",
    "api_key": "thinkific-test-api-key",
    "profile_field": "Certificate ID",
    "profile_field_by_course": {"70": "Fire certificate"},
}
HEADER = "x-thinkific-hmac-sha256"
NUMBER = grouped(certificate().id)


class TestThinkific(ConnectorContract):
    connector = "thinkific"
    settings = SETTINGS
    rotated = {"signing_secret": "the-next-signing-secret", "previous_signing_secret": SECRET}


def thinkific(**changes: Any) -> Thinkific:
    return Thinkific(ThinkificSettings.model_validate({**SETTINGS, **changes}))


def body(sample: str = "enrollment.completed", **changes: Any) -> dict[str, Any]:
    """Returns a sample's envelope with changed fields of its payload; `...` leaves one out."""
    found: dict[str, Any] = json.loads((SAMPLES / "thinkific" / f"{sample}.SYNTHETIC" / "body").read_bytes())
    payload = {**found["payload"], **changes}
    return {**found, "payload": {key: value for key, value in payload.items() if value is not ...}}


def parsed(fields: object, headers: dict[str, str] | None = None) -> SourceEvent:
    (event,) = thinkific().parse(inbound(json.dumps(fields).encode(), headers or {}))
    return event


# -- who sent it -------------------------------------------------------------------------------------


def test_case_17_a_missing_signature_says_how_to_register_signed_webhooks() -> None:
    with pytest.raises(SignatureError, match=r"admin page .* may come unsigned.*certbridge sources connect"):
        thinkific().verify(inbound(b"{}", {}))


@pytest.mark.parametrize("write", [str.upper, lambda text: f"  {text} ", lambda text: f"{text}\t"])
def test_case_17_capitals_and_spaces_in_the_signature_are_accepted(write: Any) -> None:
    raw = json.dumps(body(), ensure_ascii=False).encode()
    signature = hmac_signature(raw, SecretStr(SECRET))
    thinkific().verify(inbound(raw, {HEADER: write(signature)}))


def test_case_17_the_bytes_are_signed_not_what_they_mean() -> None:
    raw = json.dumps(body("enrollment.completed.raw-utf8"), ensure_ascii=False).encode()
    headers = {HEADER: hmac_signature(raw, SecretStr(SECRET))}
    thinkific().verify(inbound(raw, headers))
    with pytest.raises(SignatureError):
        thinkific().verify(inbound(json.dumps(json.loads(raw)).encode(), headers))


@pytest.mark.parametrize("signature", ["", " ", "00", "x" * 64, "é" * 64, "0" * 64, "sha256=", "0" * 100_000])
def test_case_17_a_signature_that_is_none_is_refused(signature: str) -> None:
    with pytest.raises(SignatureError):
        thinkific().verify(inbound(b"{}", {HEADER: signature}))


def test_a_signature_in_base64_is_refused() -> None:
    signature = hmac_signature(b"{}", SecretStr(SECRET), encoding="base64")
    with pytest.raises(SignatureError):
        thinkific().verify(inbound(b"{}", {HEADER: signature}))


def test_case_15_both_keys_are_accepted_while_the_key_is_renewed() -> None:
    connector = thinkific(signing_secret="the-next-signing-secret", previous_signing_secret=SECRET)
    for secret in (SECRET, "the-next-signing-secret"):
        connector.verify(inbound(b"{}", {HEADER: hmac_signature(b"{}", SecretStr(secret))}))


def test_the_address_must_fit_as_well_where_it_holds_a_token() -> None:
    connector = thinkific(url_token="address-token-1")
    request = inbound(b"{}", {HEADER: hmac_signature(b"{}", SecretStr(SECRET))}, "address-token-1")
    connector.verify(request)
    for token in (None, "address-token-2"):
        with pytest.raises(SignatureError, match="webhook address"):
            connector.verify(dataclasses.replace(request, path_token=token))


def test_case_16_a_refused_request_is_answered_401() -> None:
    assert thinkific().reply(Received(401, "rejected", "why")).status == 401


# -- what it says ------------------------------------------------------------------------------------


def test_case_01_the_admin_test_is_skipped_as_a_test_whatever_its_dates() -> None:
    event = parsed(body("enrollment.completed.admin-test-button"))
    assert event.skip
    assert "test from Thinkific's admin page" in event.skip


def test_case_02_a_redelivery_has_the_same_id_and_keys() -> None:
    first, again = parsed(body()), parsed(body())
    assert (first.event_id, first.keys) == (again.event_id, again.keys)
    assert first.event_id == "12345:20260214093011222333444"


def test_case_03_completing_the_same_enrolment_again_later_is_a_completion_of_its_own() -> None:
    first, later = parsed(body()), parsed(body(completed_at="2027-02-14T14:30:10.900Z"))
    assert not set(first.keys) & set(later.keys)
    assert (first.subject, first.course) == (later.subject, later.course)


def test_case_03_another_event_about_the_same_completion_has_the_same_keys() -> None:
    assert parsed(body()).keys == parsed({**body(), "id": "20260214093011999999999"}).keys


@pytest.mark.parametrize("sample", ["enrollment.created", "enrollment.progress", "lesson.completed"])
def test_case_04_other_topics_on_the_same_address_are_skipped(sample: str) -> None:
    event = parsed(body(sample))
    assert event.skip
    assert event.keys == ()


def test_case_09_the_learner_is_known_by_number_not_by_address() -> None:
    user = {"id": "123456", "email": "other@example.invalid", "first_name": "Dana", "last_name": "Okafor"}
    assert parsed(body(user=user)).subject == parsed(body()).subject == "123456"


def test_case_10_each_course_of_a_bundle_is_a_completion_of_its_own() -> None:
    assert not set(parsed(body()).keys) & set(parsed(body(id=97480, course_id=69)).keys)


def test_case_11_a_renamed_course_is_the_same_course() -> None:
    renamed = parsed(body(course={"id": 68, "name": "Safety Basics 2026"}))
    assert renamed.course == parsed(body()).course == "68"
    assert renamed.data["course"]["name"] == "Safety Basics 2026"


def test_case_13_a_topic_is_recognised_whatever_its_capitals() -> None:
    assert parsed({**body(), "resource": "Enrollment"}).event_type == "enrollment.completed"


def test_the_signed_body_decides_over_the_unsigned_header() -> None:
    assert parsed(body("enrollment.created"), {"X-Thinkific-Topic": "enrollment.completed"}).skip


def test_the_header_names_the_topic_where_the_body_does_not() -> None:
    fields = {key: value for key, value in body().items() if key not in ("resource", "action")}
    assert parsed(fields, {"X-Thinkific-Topic": "enrollment.completed"}).event_type == "enrollment.completed"
    with pytest.raises(PayloadError, match="no webhook of Thinkific"):
        parsed(fields)


@pytest.mark.parametrize("payload", [None, [], "x", 3, {}])
def test_a_completion_without_a_payload_is_refused(payload: object) -> None:
    with pytest.raises(PayloadError, match="without a payload"):
        parsed({**body(), "payload": payload})


def test_an_event_without_an_id_is_known_by_its_bytes() -> None:
    assert parsed({**body(), "id": None}).event_id.startswith("sha256:")


def test_the_same_event_number_of_another_site_is_another_event() -> None:
    other = parsed({**body(id=5, completed_at="2026-02-14T14:30:10.900Z"), "tenant_id": "99"})
    assert other.event_id != parsed(body()).event_id
    assert not set(other.keys) & set(parsed(body()).keys)


def test_case_05_an_event_that_comes_before_or_after_another_changes_nothing() -> None:
    late = parsed(body("enrollment.created", id=97472))
    assert late.skip
    assert not set(late.keys) & set(parsed(body()).keys)
    assert late.event_id != parsed(body()).event_id


@pytest.mark.parametrize("moment", [None, 5, "", "soon", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_leaves_the_time_open(moment: object) -> None:
    assert parsed({**body(), "created_at": moment}).occurred_at is None


# -- how Thinkific refuses ---------------------------------------------------------------------------


def refused(status: int, answer: object, headers: dict[str, str] | None = None) -> PermanentError | TemporaryError:
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises((PermanentError, TemporaryError)) as caught:
        thinkific().check(ApiResponse(status, headers or {}, raw, "https://api.thinkific.com/x"))
    error = caught.value
    assert isinstance(error, PermanentError | TemporaryError)
    return error


def test_case_14_a_plan_that_is_too_small_is_permanent_and_said() -> None:
    error = refused(403, {"error": "Access to Apps is not available on your plan. Upgrade to gain access"})
    assert isinstance(error, PermanentError)
    assert "not available on your plan" in str(error)


def test_case_15_a_refused_key_names_both_settings() -> None:
    error = refused(401, {"error": "Unauthorized"})
    assert isinstance(error, PermanentError)
    assert "api_key" in str(error)
    assert "signing_secret" in str(error)


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ({"first_name": ["can't be blank"]}, "first_name can't be blank"),
        (["Course could not be found.", "User could not be found."], "Course could not be found., User could not"),
        ({"topic": "invalid format"}, "topic invalid format"),
    ],
)
def test_a_refused_value_is_permanent_in_all_three_shapes(errors: object, said: str) -> None:
    error = refused(422, {"errors": errors})
    assert isinstance(error, PermanentError)
    assert said in str(error)


@pytest.mark.parametrize(
    "odd", [b"", b"<html>", b"[", {"errors": None}, {"errors": 3}, {"errors": {"a": [{}]}}, [], "x"]
)
def test_a_refusal_of_another_shape_still_counts(odd: object) -> None:
    assert isinstance(refused(422, odd), PermanentError)


# Thu, 01 Jan 2026 00:00:00 GMT is 1767225600.
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"ratelimit-reset": "30"}, 30),
        ({"ratelimit-reset": "1767225640"}, 40),
        ({"ratelimit-reset": "1767225640500"}, 40.5),
        ({"ratelimit-reset": "1767225000"}, 0),
        ({"x-ratelimit-reset": "12"}, 12),
        ({"retry-after": "7", "ratelimit-reset": "30"}, 7),
        ({"ratelimit-reset": "soon"}, None),
        ({"ratelimit-reset": "nan"}, None),
        ({"ratelimit-reset": "-5"}, None),
        ({"ratelimit-reset": "9" * 400}, None),
        ({}, None),
    ],
    ids=str,
)
def test_case_18_the_end_of_a_rate_limit_is_read_in_every_unit(headers: dict[str, str], wait: float | None) -> None:
    error = refused(429, b"", {"date": "Thu, 01 Jan 2026 00:00:00 GMT", **headers})
    assert isinstance(error, TemporaryError)
    assert error.retry_after == wait


@pytest.mark.parametrize("status", [500, 502, 503, 520, 521, 522, 523, 524, 525, 526, 527])
def test_case_18_a_page_of_cloudflare_is_temporary(status: int) -> None:
    assert isinstance(refused(status, b"<!DOCTYPE html><title>520</title>"), TemporaryError)


# -- how it is reached -------------------------------------------------------------------------------


def test_the_key_and_the_site_go_into_headers_of_their_own() -> None:
    access = thinkific().authenticate(ScriptedApi(thinkific()))
    assert access is not None
    assert access.base_url == "https://api.thinkific.com/api/public/v1"
    assert access.headers == {"X-Auth-API-Key": "thinkific-test-api-key", "X-Auth-Subdomain": "school"}


def test_an_access_token_is_sent_as_bearer() -> None:
    access = thinkific(access_token="token-1").authenticate(ScriptedApi(thinkific()))
    assert access is not None
    assert access.headers == {"Authorization": "Bearer token-1"}


def test_without_a_key_there_is_no_api() -> None:
    connector = Thinkific(ThinkificSettings.model_validate({"signing_secret": SECRET}))
    assert connector.authenticate(ScriptedApi(connector)) is None
    assert connector.write_back_steps(certificate(), parsed(body())) == ()


@pytest.mark.parametrize(
    "changes",
    [{"api_key": None}, {"subdomain": None}, {"api_url": "x"}, {"signing_secret": "short"}, {"signing_secret": None}],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        thinkific(**changes)


def test_the_age_of_a_request_does_not_matter() -> None:
    raw = b"{}"
    headers = {HEADER: hmac_signature(raw, SecretStr(SECRET))}
    thinkific().verify(inbound(raw, headers, received_at=NOW.replace(year=2099)))
