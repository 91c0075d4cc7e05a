"""The declared connector for Canvas: Live Events proven by Instructure's keys, or by the address."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from contract import DEFAULTS, SAMPLES, ConnectorContract, inbound, load
from joserfc import jws
from joserfc.jwk import RSAKey
from pydantic import ValidationError
from scripted_api import Answer, ScriptedApi

from bridge.core.errors import HeldError, PayloadError, SignatureError, UnavailableError

UUID = "7I1tRxZfLoPwmI2ihCVFh29cpbIwIYdKRfJYcV9c"
JWKS = "https://8axpcl50e4.execute-api.us-east-1.amazonaws.com/main/jwks"
BODY = json.loads((SAMPLES / "canvas" / "course_completed.SYNTHETIC" / "body").read_bytes())


class TestCanvas(ConnectorContract):
    connector = "canvas"
    settings = {"url_token": "canvas-test-url-token"}
    rotated = {"url_token": "the-next-url-token", "previous_url_token": "canvas-test-url-token"}
    signs_body = False


@cache
def key(kid: str) -> RSAKey:
    return RSAKey.import_key({**RSAKey.generate_key(2048).as_dict(private=True), "kid": kid})


def signed(body: object, kid: str = "current") -> bytes:
    payload = json.dumps(body).encode()
    return jws.serialize_compact({"alg": "RS256", "kid": kid}, payload, key(kid), algorithms=["RS256"]).encode()


def canvas(*kids: str, **settings: str) -> Any:
    found = load("canvas")
    connector = found(found.Settings.model_validate(settings or {"root_account_uuid": UUID}))
    if kids:
        keys = {"keys": [key(kid).as_dict(private=False) for kid in kids]}
        connector.refresh(ScriptedApi(connector, (f"GET {JWKS}", Answer(keys))))
    return connector


def test_a_signed_payload_is_verified_and_read_like_a_plain_one() -> None:
    connector = canvas("previous", "current", "next")
    request = inbound(signed(BODY), {"Content-Type": "application/jwt"})
    connector.verify(request)
    (event,) = connector.parse(request)
    (plain,) = canvas(url_token="canvas-test-url-token").parse(inbound(json.dumps(BODY).encode(), {}))
    assert event == plain


def test_the_key_of_next_month_is_known_already() -> None:
    canvas("previous", "current", "next").verify(inbound(signed(BODY, "next"), {}))


def test_before_the_keys_are_fetched_canvas_is_asked_to_deliver_again() -> None:
    connector = canvas()
    with pytest.raises(UnavailableError):
        connector.verify(inbound(signed(BODY), {}))
    assert connector.needs_refresh


def test_an_event_of_another_customer_of_instructure_is_refused() -> None:
    other = {**BODY, "metadata": {**BODY["metadata"], "root_account_uuid": "x" * 40}}
    with pytest.raises(SignatureError, match="another Canvas account"):
        canvas("current").verify(inbound(signed(other), {}))
    nameless = {**BODY, "metadata": {}}
    with pytest.raises(SignatureError, match="another Canvas account"):
        canvas("current").verify(inbound(signed(nameless), {}))


def test_an_unsigned_body_is_refused_where_signed_ones_are_expected() -> None:
    with pytest.raises(SignatureError):
        canvas("current").verify(inbound(json.dumps(BODY).encode(), {}))


def test_neither_account_nor_token_is_refused_with_the_configuration() -> None:
    found = load("canvas")
    with pytest.raises(ValidationError, match="otherwise anybody"):
        found.Settings.model_validate({})


def parsed(**progress: object) -> Any:
    body = {**BODY, "body": {**BODY["body"], "progress": {**BODY["body"]["progress"], **progress}}}
    (event,) = canvas().parse(inbound(json.dumps(body).encode(), {}))
    return event


def test_a_completion_that_is_told_again_is_the_same_event() -> None:
    again = {**BODY, "metadata": {**BODY["metadata"], "event_time": "2026-03-01T00:00:00Z", "request_id": "other"}}
    (event,) = canvas().parse(inbound(json.dumps(again).encode(), {}))
    assert event == parsed()


def test_local_and_global_ids_are_never_mixed() -> None:
    event = parsed()
    assert (event.subject, event.course) == ("4567", "812")
    assert "2107" not in event.model_dump_json()


def test_a_next_requirement_does_not_matter_once_all_are_met() -> None:
    assert parsed(next_requirement_url="https://school.instructure.com/x").skip is None
    assert parsed(requirement_completed_count=5).skip


@pytest.mark.parametrize("odd", [None, "many", []])
def test_requirements_that_cannot_be_compared_hold_the_event(odd: object) -> None:
    event = parsed(requirement_count=odd)
    assert event.skip is None
    with pytest.raises(HeldError, match="Not all requirements"):
        canvas().enrich(event, ScriptedApi(canvas()))


def test_the_format_caliper_is_refused_as_unreadable() -> None:
    caliper = {"sensor": "https://school.instructure.com/", "dataVersion": "http://purl.imsglobal.org/ctx/caliper/v1p1"}
    with pytest.raises(PayloadError, match="no type"):
        list(canvas().parse(inbound(json.dumps(caliper).encode(), {})))


def test_the_course_is_known_by_its_sis_id_too() -> None:
    outcome = TestCanvas().mapping().apply(parsed(), defaults=DEFAULTS).outcome
    assert outcome.course.short_name == "SAFE-2026-1"
