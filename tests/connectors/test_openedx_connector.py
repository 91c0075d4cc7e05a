"""The declared connector for Open edX with the plugin openedx-webhooks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract import DEFAULTS, SAMPLES, ConnectorContract, inbound, load

from bridge.core.errors import PayloadError
from bridge.core.models import SourceEvent

KEY = "openedx_events.learning.data.CertificateData"
BODY = json.loads((SAMPLES / "openedx" / "certificate_created.SYNTHETIC" / "body").read_bytes())


class TestOpenEdx(ConnectorContract):
    connector = "openedx"
    settings = {"url_token": "openedx-test-url-token"}
    rotated = {"url_token": "the-next-url-token", "previous_url_token": "openedx-test-url-token"}
    signs_body = False


def parsed(metadata: dict[str, Any] | None = None, **certificate: Any) -> SourceEvent:
    body = {KEY: {**BODY[KEY], **certificate}, "event_metadata": {**BODY["event_metadata"], **(metadata or {})}}
    found = load("openedx")
    connector = found(found.Settings.model_validate(TestOpenEdx.settings))
    (event,) = connector.parse(inbound(json.dumps(body).encode(), {}))
    return event


def decided(event: SourceEvent) -> Any:
    return TestOpenEdx().mapping().apply(event, defaults=DEFAULTS).outcome


def test_a_key_with_dots_is_read_as_one_name() -> None:
    assert parsed().data["certificate"]["name"] == "Dana Okafor"


def test_a_completion_that_is_told_twice_under_two_ids_is_one() -> None:
    first, second = parsed(), parsed({"id": "another"})
    assert first.event_id != second.event_id
    assert first.keys == second.keys


def test_a_course_key_is_kept_with_its_signs() -> None:
    assert parsed().course == "course-v1:Org+Safety+2026"


@pytest.mark.parametrize("status", ["generating", "notpassing", "audit_passing", "unavailable"])
def test_only_a_certificate_that_can_be_downloaded_counts(status: str) -> None:
    assert parsed(current_status=status).skip


def test_learners_who_audit_earn_none() -> None:
    assert parsed(mode="audit").skip


def test_the_name_on_the_certificate_comes_before_that_of_the_profile() -> None:
    assert decided(parsed()).recipient.name == "Dana Okafor"
    pii = {"username": "dana", "email": "dana@example.com", "name": "Dana Profile"}
    assert decided(parsed(name="", user={"id": 4, "pii": pii})).recipient.name == "Dana Profile"


def test_a_revoked_certificate_revokes_ours() -> None:
    event = parsed({"event_type": "org.openedx.learning.certificate.revoked.v1"}, current_status="unavailable")
    outcome = decided(event)
    assert outcome.kind == "revocation"
    assert outcome.keys == parsed().keys


def test_a_grade_is_shown_in_percent() -> None:
    assert decided(parsed()).fields["score"] == "93"


def test_the_form_encoding_is_refused_as_unreadable() -> None:
    found = load("openedx")
    connector = found(found.Settings.model_validate(TestOpenEdx.settings))
    with pytest.raises(PayloadError):
        connector.parse(inbound(b"user_pii_email=dana%40example.com&mode=honor", {}))
