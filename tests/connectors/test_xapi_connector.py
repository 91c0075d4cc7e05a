"""The declared connector for xAPI statements: forwarded by a record store, or asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from contract import DEFAULTS, NOW, SAMPLES, ConnectorContract, inbound, load
from pydantic import ValidationError
from scripted_api import Answer, ScriptedApi

from bridge.core.errors import HeldError
from bridge.core.models import Received, SourceEvent

PASSWORD = "xapi-test-password"
SETTINGS = {"username": "bridge", "password": PASSWORD}
STORE = {"lrs_url": "https://lrs.example.org/data/xAPI", "lrs_key": "key", "lrs_secret": "store-secret"}
STATEMENT = json.loads((SAMPLES / "xapi" / "completed.SYNTHETIC" / "body").read_bytes())


class TestXapi(ConnectorContract):
    connector = "xapi"
    settings = SETTINGS
    rotated = {"username": "bridge", "password": "the-next-password", "previous_password": PASSWORD}
    signs_body = False


def xapi(**more: str) -> Any:
    found = load("xapi")
    return found(found.Settings.model_validate({**SETTINGS, **more}))


def parsed(**changes: Any) -> SourceEvent:
    statement = {key: value for key, value in {**STATEMENT, **changes}.items() if value is not ...}
    (event,) = xapi().parse(inbound(json.dumps(statement).encode(), {}))
    return event


def decided(event: SourceEvent) -> Any:
    return TestXapi().mapping().apply(event, defaults=DEFAULTS).outcome


@pytest.mark.parametrize(
    ("actor", "subject"),
    [
        ({"mbox": "mailto:Dana@Example.com"}, "dana@example.com"),
        ({"openid": "https://dana.example.org/"}, "https://dana.example.org/"),
        ({"mbox_sha1sum": "ab" * 20}, "ab" * 20),
        ({"account": {"homePage": "https://lms.example.org", "name": "7"}}, "https://lms.example.org#7"),
        ({"account": {"name": "7"}}, None),
        ({"account": None}, None),
        ({}, None),
        (None, None),
        ("x", None),
    ],
)
def test_a_learner_is_known_in_every_way_that_the_standard_allows(actor: object, subject: str | None) -> None:
    assert parsed(actor=actor).subject == subject


def test_a_learner_without_an_address_is_held_until_somebody_knows_it() -> None:
    actor = {"name": "Lee O'Neill", "account": {"homePage": "https://lms.example.org", "name": "7"}}
    outcome = decided(parsed(actor=actor))
    assert outcome.kind == "held"
    assert "data.actor.mbox is missing" in outcome.reason


@pytest.mark.parametrize("verb", ["completed", "passed", "mastered"])
def test_each_verb_that_means_completed_counts(verb: str) -> None:
    assert parsed(verb={"id": f"http://adlnet.gov/expapi/verbs/{verb}"}).event_type == "completed"


def test_cmi5_tells_one_completion_three_times() -> None:
    assert load("xapi").same_within.total_seconds() == 3600


def test_a_statement_about_a_lesson_is_ignored_and_one_about_who_knows_what_is_held() -> None:
    assert parsed(object={"id": "https://x.example/1", "definition": {"type": "http://x.example/lesson"}}).skip
    event = parsed(object={"id": "https://x.example/1"})
    assert event.skip is None
    with pytest.raises(HeldError, match=r"data\.object\.definition is missing"):
        xapi().enrich(event, ScriptedApi(xapi()))


def test_another_type_of_activity_may_be_a_course() -> None:
    connector = xapi(activity_type="http://x.example/lesson")
    body = json.dumps({**STATEMENT, "object": {"id": "a", "definition": {"type": "http://x.example/lesson"}}})
    (event,) = connector.parse(inbound(body.encode(), {}))
    assert event.skip is None


def test_the_verb_alone_means_completed() -> None:
    assert parsed(result=...).skip is None


@pytest.mark.parametrize("result", [{"success": False}, {"completion": False}])
def test_a_result_that_says_no_is_ignored(result: object) -> None:
    assert parsed(result=result).skip


def test_a_voided_statement_revokes_what_it_led_to_and_not_the_one_who_voided() -> None:
    void = json.loads((SAMPLES / "xapi" / "voided.SYNTHETIC" / "body").read_bytes())
    (event,) = xapi().parse(inbound(json.dumps(void).encode(), {}))
    assert event.keys == parsed().keys == (f"statement:{STATEMENT['id']}",)
    assert (event.subject, event.course) == (None, None)
    assert decided(event).kind == "revocation"


def test_names_are_chosen_by_language() -> None:
    german = DEFAULTS.__class__(zone="Europe/Berlin", locale="de")
    outcome = TestXapi().mapping().apply(parsed(), defaults=german).outcome
    assert outcome.course.title == "Grundlagen der Sicherheit"


def test_a_scaled_score_is_shown_in_percent() -> None:
    assert decided(parsed()).fields["score"] == "93"
    assert decided(parsed(result={"score": {"scaled": 0.29}})).fields["score"] == "29"


def test_a_record_store_gets_a_list_back() -> None:
    reply = xapi().reply(Received(200, "accepted", events=("12",)))
    assert json.loads(reply.body) == ["12"]


def test_a_store_is_asked_from_the_start_line_and_its_more_links_are_followed() -> None:
    connector = xapi(**STORE)
    api = ScriptedApi(
        connector,
        ("GET /statements", Answer({"statements": [STATEMENT], "more": "/data/xAPI/statements/more/abc?x=1"})),
        ("GET https://lrs.example.org/data/xAPI/statements/more/abc?x=1", Answer({"statements": [], "more": ""})),
    )
    since = datetime(2026, 1, 1, tzinfo=UTC)
    pages = list(connector.poll(api, {}, since, NOW))
    assert api.done
    assert api.asked[0].query["since"] == "2026-01-01T00:00:00Z"
    (event,) = pages[0].events
    assert event == parsed()


def test_a_store_that_only_can_be_asked_tells_of_what_it_voided_where_all_verbs_are_asked_for() -> None:
    void = json.loads((SAMPLES / "xapi" / "voided.SYNTHETIC" / "body").read_bytes())
    visited = {**STATEMENT, "id": "x", "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"}}
    api = ScriptedApi(
        xapi(**STORE),
        ("GET /statements", Answer({"statements": [STATEMENT, visited, {"id": "odd"}, void], "more": ""})),
    )
    (page,) = xapi(**STORE, lrs_verb="all").poll(api, {}, datetime(2026, 1, 1, tzinfo=UTC), NOW)
    assert "verb" not in api.asked[0].query
    assert [event.event_type for event in page.events] == ["completed", "voided"]
    assert page.events[1].keys == page.events[0].keys
    assert decided(page.events[1]).kind == "revocation"


def test_a_store_is_asked_for_one_verb_otherwise_whichever_that_is() -> None:
    own = {**STATEMENT, "verb": {"id": "http://school.example/finished"}}
    api = ScriptedApi(xapi(**STORE), ("GET /statements", Answer({"statements": [own], "more": ""})))
    connector = xapi(**STORE, lrs_verb="http://school.example/finished")
    (page,) = connector.poll(api, {}, datetime(2026, 1, 1, tzinfo=UTC), NOW)
    assert api.asked[0].query["verb"] == "http://school.example/finished"
    assert [event.event_type for event in page.events] == ["http://school.example/finished"]


def test_the_store_is_signed_in_to_with_its_own_login_and_version() -> None:
    access = xapi(**STORE).authenticate(ScriptedApi(xapi()))
    assert access is not None
    assert access.headers["X-Experience-API-Version"] == "1.0.3"
    assert access.headers["Authorization"] == "Basic a2V5OnN0b3JlLXNlY3JldA=="


def test_without_a_store_nothing_is_polled_and_half_a_login_is_refused() -> None:
    assert not xapi().polls()
    assert xapi(**STORE).polls()
    with pytest.raises(ValidationError, match="lrs_key needs lrs_secret"):
        xapi(lrs_key="key", lrs_url=STORE["lrs_url"])
