"""The declared connector for LearnWorlds on bodies written after its documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract import DEFAULTS, SAMPLES, ConnectorContract, inbound, load
from pydantic import SecretStr, ValidationError

from bridge.core.errors import SignatureError
from bridge.core.signatures import hmac_signature

SIGNATURE = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69"
HEADER = "Learnworlds-Webhook-Signature"
BODY = (SAMPLES / "learnworlds" / "course_completed.SYNTHETIC" / "body").read_bytes()


class TestLearnWorlds(ConnectorContract):
    connector = "learnworlds"
    settings = {"header_token": SIGNATURE}
    rotated = {"header_token": "the-next-signature", "previous_header_token": SIGNATURE}
    signs_body = False


def learnworlds(**settings: str) -> Any:
    found = load("learnworlds")
    return found(found.Settings.model_validate(settings))


@pytest.mark.parametrize("written", [SIGNATURE, f"v1={SIGNATURE}"])
@pytest.mark.parametrize("sent", [f"v1={SIGNATURE}", f"V1={SIGNATURE}", f" v1={SIGNATURE} ", SIGNATURE])
def test_the_signature_is_compared_with_or_without_its_prefix(written: str, sent: str) -> None:
    learnworlds(header_token=written).verify(inbound(BODY, {HEADER: sent}))


def test_a_school_that_signs_each_body_is_verified_by_its_secret() -> None:
    connector = learnworlds(signing_secret="a-signing-secret-1")
    signature = hmac_signature(BODY, SecretStr("a-signing-secret-1"))
    connector.verify(inbound(BODY, {HEADER: f"v1={signature}"}))
    with pytest.raises(SignatureError):
        connector.verify(inbound(BODY + b" ", {HEADER: f"v1={signature}"}))


def test_with_both_set_up_either_is_enough() -> None:
    connector = learnworlds(header_token=SIGNATURE, signing_secret="a-signing-secret-1")
    connector.verify(inbound(BODY, {HEADER: f"v1={SIGNATURE}"}))
    connector.verify(inbound(BODY, {HEADER: hmac_signature(BODY, SecretStr("a-signing-secret-1"))}))


def test_dummy_data_without_the_header_is_refused() -> None:
    with pytest.raises(SignatureError, match="Learnworlds-Webhook-Signature is missing"):
        learnworlds(header_token=SIGNATURE).verify(inbound(BODY, {}))


def test_neither_set_up_is_refused_when_the_configuration_is_read() -> None:
    with pytest.raises(ValidationError, match="needs one of: header_token, signing_secret; otherwise anybody"):
        learnworlds()


def test_the_name_of_the_older_trigger_means_the_same_event() -> None:
    body = {**json.loads(BODY), "type": None}
    (event,) = learnworlds(header_token=SIGNATURE).parse(inbound(json.dumps(body).encode(), {}))
    assert event.event_type == "courseCompleted"


def test_a_body_of_the_older_version_is_held_and_says_what_is_missing() -> None:
    body = {"trigger": "course_completed", "version": 1, "user": {"id": "1"}, "course": {"id": "x"}}
    (event,) = learnworlds(header_token=SIGNATURE).parse(inbound(json.dumps(body).encode(), {}))
    outcome = TestLearnWorlds().mapping().apply(event, defaults=DEFAULTS).outcome
    assert outcome.kind == "held"
    assert "missing" in outcome.reason


def test_completing_again_later_is_a_completion_of_its_own() -> None:
    later = json.loads(BODY)
    later["data"]["completed_at"] += 31_536_000
    connector = learnworlds(header_token=SIGNATURE)
    (first,), (second,) = (connector.parse(inbound(raw, {})) for raw in (BODY, json.dumps(later).encode()))
    assert first.event_id != second.event_id
    assert not set(first.keys) & set(second.keys)
