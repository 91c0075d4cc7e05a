"""The declared connector for Google Forms: answers by question, as a script of the sheet sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract import DEFAULTS, SAMPLES, ConnectorContract, inbound, load
from pydantic import ValidationError

from bridge.core.errors import PayloadError

TOKEN = "a-token-for-the-forms-tests"
ANSWER = json.loads((SAMPLES / "google-forms" / "answer.SYNTHETIC" / "body").read_bytes())


class TestGoogleForms(ConnectorContract):
    connector = "google-forms"
    settings = {"header_token": TOKEN}
    rotated = {"header_token": "the-next-token", "previous_header_token": TOKEN}
    signs_body = False


def parsed(answer: Any = None, **settings: str) -> Any:
    found = load("google-forms")
    connector = found(found.Settings.model_validate({"header_token": TOKEN, **settings}))
    (event,) = connector.parse(inbound(json.dumps(ANSWER if answer is None else answer).encode(), {}))
    return event


def decided(event: Any) -> Any:
    return TestGoogleForms().mapping().apply(event, defaults=DEFAULTS).outcome


def test_questions_in_any_language_are_named_in_the_settings() -> None:
    answer = {
        "Zeitstempel": ["14.02.2026 14:30:11"],
        "E-Mail: bitte genau": ["dana@example.com"],
        "Vor- und Nachname\n(wie im Ausweis)": ["Dana Okafor"],
        "Kurs": ["Brandschutz"],
    }
    event = parsed(
        answer,
        name_question="Vor- und Nachname\n(wie im Ausweis)",
        email_question="E-Mail: bitte genau",
        course_question="Kurs",
        time_column="Zeitstempel",
        time_form="%d.%m.%Y %H:%M:%S",
        time_zone="Europe/Berlin",
    )
    assert event.occurred_at.isoformat() == "2026-02-14T13:30:11+00:00"
    assert decided(event).recipient.name == "Dana Okafor"
    assert decided(event).course.title == "Brandschutz"


def test_a_form_about_one_course_need_not_ask_for_it() -> None:
    answer = {key: value for key, value in ANSWER.items() if key != "Course"}
    assert parsed(answer, course="First Aid").course == "First Aid"
    assert parsed(answer).course is None


def test_a_renamed_question_is_named_when_the_event_is_held() -> None:
    answer = {("Your name" if key == "Full name" else key): value for key, value in ANSWER.items()}
    outcome = decided(parsed(answer))
    assert outcome.kind == "held"
    assert "data.name is null" in outcome.reason
    assert parsed(answer).data["answers"]["Your name"] == ["Dana Okafor"]


def test_an_edited_answer_is_ignored() -> None:
    assert "edited" in parsed({**{key: [""] for key in ANSWER}, "Timestamp": ["2/14/2026 15:00:00"]}).skip


def test_a_time_in_another_form_is_refused_with_what_it_should_be() -> None:
    with pytest.raises(PayloadError, match="does not have the form %m/%d/%Y"):
        parsed({**ANSWER, "Timestamp": ["14.02.2026 14:30:11"]})


def test_an_answer_that_is_sent_again_is_the_same_event() -> None:
    assert parsed().event_id == parsed().event_id
    assert parsed().keys == parsed().keys != ()


def test_a_quiz_score_counts_its_points() -> None:
    assert decided(parsed()).fields["score"] == "8"


def test_the_script_gets_the_certificate_in_the_answer() -> None:
    assert load("google-forms").answers_certificate
    assert 0 < load("google-forms").answer_wait < 10


@pytest.mark.parametrize(
    ("setting", "value"), [("time_form", "dd.mm.yyyy"), ("time_form", "%d.%m."), ("time_zone", "Berlin")]
)
def test_a_form_of_times_that_cannot_work_is_refused_at_once(setting: str, value: str) -> None:
    with pytest.raises(ValidationError, match=r"has not the right form; an example: (%d\.%m\.%Y|Europe/Berlin)"):
        parsed(**{setting: value})


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_every_time_zone_may_be_named(zone: str) -> None:
    assert parsed(time_zone=zone).occurred_at is not None
