"""The declared connector for TalentLMS: what it asks for, what it makes of the answers, and what it writes back."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from contract import DEFAULTS, NOW, ODD_VALUES, SAMPLES, load, odd_variants
from pydantic import SecretStr, ValidationError
from scripted_api import Answer, KeptMemo, ScriptedApi, certificate

from bridge.config.declared import shipped_mapping
from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PermanentError, SignatureError, TemporaryError
from bridge.core.mapping import Mapping, compile_mapping, gather
from bridge.core.models import InboundRequest, Outcome, SourceEvent

SETTINGS = {"url": "https://acme.talentlms.com/", "api_key": "a-key-for-the-talentlms-tests"}
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
FOLDER = SAMPLES / "talentlms" / "poll.SYNTHETIC"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
NUMBER = "0123-4567-89AB-CDEFP"


def sample(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def talentlms(**settings: str) -> Any:
    found = load("talentlms")
    return found(found.Settings.model_validate({**SETTINGS, **settings}))


def answers(**changes: Any) -> list[tuple[str, Answer]]:
    """Returns what a poll of the sample asks for, and the answers."""
    named = {"users": "GET /users", "courses-7": "GET /users/7/courses", "courses-8": "GET /users/8/courses"}
    return [(asked, Answer(changes.get(name, sample(name)))) for name, asked in named.items()]


def polled(*script: tuple[str, Answer], connector: Any = None) -> list[SourceEvent]:
    connector = connector or talentlms()
    api = ScriptedApi(connector, *(script or answers()))
    events = [event for page in connector.poll(api, {}, SINCE, NOW) for event in page.events]
    assert api.done
    return events


def courses(change: Callable[[dict[str, Any]], object]) -> Any:
    """Returns the courses of the sample's first learner, the first of them changed."""
    answer = sample("courses-7")
    change(answer["_data"]["courses"][0])
    return answer


@functools.cache
def mapping() -> Mapping:
    return compile_mapping(gather("school.yaml", "extends: talentlms\nother_courses: issue\n", shipped_mapping))


def decided(event: SourceEvent) -> Outcome:
    return mapping().apply(event, defaults=DEFAULTS).outcome


# -- the poll ----------------------------------------------------------------------------------------


def test_reads_the_sample_as_expected() -> None:
    events = polled()
    assert [event.model_dump(mode="json", exclude_defaults=True) for event in events] == EXPECTED["events"]
    outcomes = [decided(event) for event in events]
    shown = [{"kind": one.kind, **one.model_dump(mode="json", exclude_defaults=True)} for one in outcomes]
    assert shown == EXPECTED["outcomes"]


def test_every_active_learner_is_asked_for_because_a_completion_may_not_count_as_a_change() -> None:
    connector = talentlms()
    api = ScriptedApi(connector, *answers())
    (page,) = connector.poll(api, {"since": "2026-11-20T00:00:00+00:00"}, SINCE, NOW)
    assert api.asked[0].query == {"filter[status][eq]": "active", "page[number]": "1", "page[size]": "25"}
    assert len(page.events) == 1


def test_learners_come_in_pages_and_a_poll_that_stopped_goes_on_with_the_next() -> None:
    first, second = sample("users"), sample("users")
    first["_meta"]["pagination"]["total_pages"] = second["_meta"]["pagination"]["total_pages"] = 2
    second["_meta"]["pagination"]["page"] = 2
    connector = talentlms()
    api = ScriptedApi(connector, *answers(users=first), *answers(users=second))
    pages = list(connector.poll(api, {}, SINCE, NOW))
    assert [asked.query.get("page[number]") for asked in api.asked if asked.path == "/users"] == ["1", "2"]
    again = ScriptedApi(connector, *answers(users=second))
    list(connector.poll(again, pages[0].cursor, SINCE, NOW))
    assert again.asked[0].query["page[number]"] == "2"


def test_a_learners_courses_are_followed_to_their_last_page_should_they_come_in_pages() -> None:
    one, other = sample("courses-7"), sample("courses-7")
    other["_data"]["courses"][0]["id"] = 70
    more = "https://acme.talentlms.com/api/v2/users/7/courses?page[number]=2"
    users, mine, theirs = answers()
    script = (users, (mine[0], Answer({**one, "_links": {"next": more}})), (f"GET {more}", Answer(other)), theirs)
    assert [event.course for event in polled(*script)] == ["68", "70"]


def test_a_list_without_a_group_courses_is_read_as_well() -> None:
    bare = {"_data": sample("courses-7")["_data"]["courses"]}
    assert [event.course for event in polled(*answers(**{"courses-7": bare}))] == ["68"]


def test_completing_again_after_a_reset_is_a_completion_of_its_own() -> None:
    later = courses(lambda row: row.update(completed_on="2026-11-20T09:00:00+00:00"))
    (first,), (second,) = polled(), polled(*answers(**{"courses-7": later}))
    assert first.event_id != second.event_id
    assert not set(first.keys) & set(second.keys)


@pytest.mark.parametrize("status", ["completed", "Completed", "COMPLETED"])
def test_completed_is_completed_in_any_capitals(status: str) -> None:
    assert len(polled(*answers(**{"courses-7": courses(lambda row: row.update(completion_status=status))}))) == 1


@pytest.mark.parametrize("status", ["incomplete", "not_passed", "Not attempted", "", "completed_not"])
def test_any_other_status_is_no_completion(status: str) -> None:
    assert polled(*answers(**{"courses-7": courses(lambda row: row.update(completion_status=status))})) == []


def test_courses_that_look_different_fail_the_poll_instead_of_finding_nothing() -> None:
    thin = {"_data": {"courses": [{"id": 68, "name": "Health & Safety"}]}}
    with pytest.raises(TemporaryError, match="looks different from what is declared"):
        polled(*answers(**{"courses-7": thin}))


def test_a_time_in_the_portals_own_form_is_read_with_time_form() -> None:
    local = {"courses-7": courses(lambda row: row.update(completed_on="14/02/2026, 16:30:10"))}
    connector = talentlms(time_form="%d/%m/%Y, %H:%M:%S", time_zone="Europe/Athens")
    (event,) = polled(*answers(**local), connector=connector)
    assert event.occurred_at == datetime(2026, 2, 14, 14, 30, 10, tzinfo=UTC)
    outcome = decided(event)
    assert outcome.kind == "completion"
    assert outcome.completed_at == event.occurred_at
    (unread,) = polled(*answers(**local))
    held = decided(unread)
    assert (unread.occurred_at, held.kind) == (None, "held")
    assert "14/02/2026, 16:30:10" in held.reason  # type: ignore[union-attr]


def test_odd_values_anywhere_neither_crash_the_poll_nor_print_none() -> None:
    for odd in odd_variants(sample("courses-7")):
        try:
            events = polled(*answers(**{"courses-7": odd}))
        except (TemporaryError, AssertionError):
            continue
        for event in events:
            assert "None" not in decided(event).model_dump_json()


def test_odd_learners_neither_crash_the_poll_nor_print_none() -> None:
    for name in ("id", "name", "surname", "email", "login"):
        for odd in ODD_VALUES:
            users = sample("users")
            users["_data"] = [{**users["_data"][0], name: odd}]
            api = _Anything(talentlms(), users)
            try:
                events = [event for page in talentlms().poll(api, {}, SINCE, NOW) for event in page.events]
            except TemporaryError:
                continue
            for event in events:
                assert "None" not in decided(event).model_dump_json()


class _Anything:
    """Answers every learner's courses with the sample's."""

    def __init__(self, connector: Any, users: Any) -> None:
        self.connector, self.users = connector, users

    def request(self, method: str, path: str, **_: Any) -> ApiResponse:
        body = self.users if path == "/users" else sample("courses-7")
        return ApiResponse(200, {}, json.dumps(body).encode(), "")


def test_there_are_no_webhooks_and_none_is_believed() -> None:
    with pytest.raises(SignatureError, match="sends no webhooks"):
        talentlms().verify(InboundRequest("POST", "https://c.example/hooks/lms", {}, b"{}", NOW))


# -- the API -----------------------------------------------------------------------------------------


def no_api() -> ApiClient:
    return ScriptedApi(talentlms())


def test_the_key_and_the_version_are_sent_to_the_portal_and_nowhere_else() -> None:
    access = talentlms().authenticate(no_api())
    assert access.base_url == "https://acme.talentlms.com/api/v2"
    assert access.headers == {"X-API-Key": SETTINGS["api_key"], "X-API-Version": "2025-07-01"}
    assert talentlms().hosts() == ("acme.talentlms.com",)
    assert isinstance(talentlms().settings.api_key, SecretStr)


def test_the_rate_is_below_that_of_the_smallest_plan() -> None:
    rate = load("talentlms").rate
    assert rate is not None
    assert rate.requests * 3600 / rate.seconds < 2000


def test_a_429_pauses_for_as_long_as_the_portal_says() -> None:
    with pytest.raises(TemporaryError) as caught:
        talentlms().check(ApiResponse(429, {"x-ratelimit-reset": "42"}, b"", ""))
    assert (caught.value.stable_code, caught.value.retry_after) == ("http_429", 42)


@pytest.mark.parametrize("version", ["2", "latest", "2025-7-1"])
def test_a_version_that_is_no_date_is_refused(version: str) -> None:
    with pytest.raises(ValidationError, match="has not the right form"):
        talentlms(api_version=version)


# -- writing back ------------------------------------------------------------------------------------


def with_field(value: str | None, **changes: Any) -> Answer:
    answer = copy.deepcopy(sample("user-7"))
    answer["_data"]["custom_fields"][1]["value"] = value
    answer["_data"] |= changes
    return Answer(answer)


def written(state: str, *script: tuple[str, Answer]) -> tuple[Any, ScriptedApi]:
    connector = talentlms(certificate_field="Certificate ID")
    (event,) = polled()
    issued = certificate(state)
    (step,) = connector.write_back_steps(issued, event)
    assert (step.name, step.latest, step.lock_key, dict(step.target)) == (
        "certificate_number",
        True,
        "user:7",
        {"user": "7"},
    )
    api = ScriptedApi(connector, *script)
    receipt = connector.write_back(step, issued, KeptMemo(), api)
    assert api.done
    return receipt, api


LOOK, WRITE = "GET /users/7", "PATCH /users/7"


def test_the_number_is_written_into_the_field_and_read_back() -> None:
    receipt, api = written("issued", (LOOK, with_field(None)), (WRITE, Answer(b"", 204)), (LOOK, with_field(NUMBER)))
    assert receipt.confirmed
    assert api.asked[1].json == {"status": "active", "custom_fields": {"Certificate ID": NUMBER}}


def test_the_learners_status_stays_what_it_is() -> None:
    inactive = with_field(None, status="inactive")
    _, api = written("issued", (LOOK, inactive), (WRITE, Answer(b"", 204)), (LOOK, with_field(NUMBER)))
    assert api.asked[1].json["status"] == "inactive"


def test_what_is_there_already_is_not_written_again() -> None:
    receipt, _ = written("issued", (LOOK, with_field(NUMBER)))
    assert receipt.confirmed


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_the_field_is_emptied_when_the_certificate_is_gone(state: str) -> None:
    _, api = written(state, (LOOK, with_field(NUMBER)), (WRITE, Answer(b"", 204)), (LOOK, with_field("")))
    assert api.asked[1].json["custom_fields"] == {"Certificate ID": ""}


def test_a_field_that_does_not_take_it_is_no_success() -> None:
    with pytest.raises(TemporaryError, match="does not show"):
        written("issued", (LOOK, with_field(None)), (WRITE, Answer(b"", 204)), (LOOK, with_field(None)))
    with pytest.raises(PermanentError, match="Is certificate_field the name of a custom user field"):
        written("issued", (LOOK, with_field(None)), (WRITE, Answer(b"{}", 422)))


def test_without_a_field_nothing_is_written_back() -> None:
    (event,) = polled()
    assert talentlms().write_back_steps(certificate(), event) == []
