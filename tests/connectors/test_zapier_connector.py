"""The declared connector for Zapier and other senders of a few fields of their own choice."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from contract import DEFAULTS, NOW, ConnectorContract, inbound, load

from bridge.core.errors import PayloadError, SignatureError
from bridge.core.models import Received, SourceEvent

TOKEN = "a-token-for-the-zapier-tests"
SETTINGS = {"header_token": TOKEN}
FIELDS = {
    "event_id": "evt-1",
    "email": "dana@example.com",
    "name": "Dana Okafor",
    "course_id": "68",
    "completed_at": "2026-02-14T14:30:10Z",
}


class TestZapier(ConnectorContract):
    connector = "zapier"
    settings = SETTINGS
    rotated = {"header_token": "the-next-zapier-token", "previous_header_token": TOKEN}
    signs_body = False

    def variants(self, case: Any) -> Any:
        if "form" not in case.folder.name:
            yield from super().variants(case)
            return
        for odd in ("", "x", "é" * 300, "\x01", "-1", "9" * 5_000):
            for name in FIELDS:
                yield urlencode({**FIELDS, name: odd}).encode()
        yield b"event_id[]=1&event_id[]=2&email__=x&email__a=y"


def zapier() -> Any:
    found = load("zapier")
    return found(found.Settings.model_validate(SETTINGS))


def parsed(body: object, headers: dict[str, str] | None = None) -> SourceEvent:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (event,) = zapier().parse(inbound(raw, headers or {}))
    return event


def test_a_form_and_json_of_the_same_fields_give_the_same_completion() -> None:
    form, by_json = parsed(urlencode(FIELDS).encode()), parsed(FIELDS)
    assert (form.subject, form.course, form.keys) == (by_json.subject, by_json.course, by_json.keys)


def test_a_replayed_run_with_another_event_id_is_the_same_completion() -> None:
    first, again = parsed(FIELDS), parsed({**FIELDS, "event_id": "evt-77"})
    assert first.event_id != again.event_id
    assert first.keys == again.keys != ()


def test_without_an_event_id_the_content_says_whether_it_is_a_repeat() -> None:
    bare = {key: value for key, value in FIELDS.items() if key != "event_id"}
    assert parsed(bare).event_id == parsed(bare).event_id
    assert parsed(bare).event_id != parsed({**bare, "course_id": "69"}).event_id


@pytest.mark.parametrize("mark", ["1", "true", "yes", "Ja"])
def test_a_sample_record_of_the_editor_is_skipped_as_a_test(mark: str) -> None:
    assert "test" in (parsed(FIELDS, {"X-Bridge-Test": mark}).skip or "")
    assert parsed({**FIELDS, "test": mark}).skip


@pytest.mark.parametrize("mark", ["0", "false", "no", ""])
def test_a_mark_that_says_no_changes_nothing(mark: str) -> None:
    assert parsed(FIELDS, {"X-Bridge-Test": mark}).skip is None


def test_a_mark_that_says_neither_counts_as_a_test() -> None:
    assert parsed(FIELDS, {"X-Bridge-Test": "perhaps"}).skip


def test_old_times_are_accepted_because_runs_are_replayed_hours_later() -> None:
    zapier().verify(inbound(b"{}", {"X-Bridge-Token": TOKEN}, received_at=NOW.replace(year=2099)))


def test_a_learner_id_outlives_a_changed_address() -> None:
    one = parsed({**FIELDS, "learner_id": "L-7"})
    other = parsed({**FIELDS, "learner_id": "L-7", "email": "new@example.com"})
    assert one.subject == other.subject == "l-7"
    assert one.keys == other.keys


@pytest.mark.parametrize("body", [b"", b"{}", b"name", b"a=\xff", b"[]", b"[1]", b'"x"', b"<a/>"])
def test_what_is_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        zapier().parse(inbound(body, {}))


@pytest.mark.parametrize("token", [None, "", "a-token-for-the-zapier-test", f"{TOKEN}x", "é"])
def test_another_token_is_refused(token: str | None) -> None:
    with pytest.raises(SignatureError):
        zapier().verify(inbound(b"{}", {} if token is None else {"X-Bridge-Token": token}))


def test_the_sender_gets_the_certificate_in_the_answer() -> None:
    assert load("zapier").answers_certificate
    assert 0 < load("zapier").answer_wait < 10
    assert zapier().reply(Received(401, "rejected", "why")).status == 401


def test_without_a_time_the_completion_is_dated_when_it_came() -> None:
    bare = {key: value for key, value in FIELDS.items() if key != "completed_at"}
    event = parsed(bare).model_copy(update={"received_at": NOW})
    outcome = TestZapier().mapping().apply(event, defaults=DEFAULTS).outcome
    assert outcome.kind == "completion"
    assert outcome.completed_at == NOW


def outcome(**fields: str) -> Any:
    return TestZapier().mapping().apply(parsed({**FIELDS, **fields}), defaults=DEFAULTS).outcome


@pytest.mark.parametrize("name", ["{{name}}", "{{ $json.name }}", "{{1.name}} Okafor"])
def test_a_place_that_was_not_filled_in_is_never_printed_as_a_name(name: str) -> None:
    assert outcome(name=name).kind == "held"
    assert "choose the field from the list" in outcome(name=name).reason


def test_a_blank_address_is_named_as_what_is_missing() -> None:
    assert "brought no e-mail address" in outcome(email="").reason
    assert "data.email" in outcome(email="").reason


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"[{}]"])
def test_an_empty_body_is_called_empty(body: bytes) -> None:
    with pytest.raises(PayloadError, match="The body is empty"):
        zapier().parse(inbound(body, {}))
