"""Thinkific by asking: the safety net of completed enrolments, one learner, the courses; registering the webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract import DEFAULTS, NOW, ConnectorContract, inbound
from scripted_api import Answer, ScriptedApi
from test_thinkific_connector import SECRET, SETTINGS, body, thinkific

from bridge.core.connector import ApiResponse, CourseFound, Finding, Page
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Completion, Held, SourceEvent
from connectors.thinkific.admin_api import pages

SINCE = datetime(2026, 2, 1, tzinfo=UTC)
LIST, USER = "GET /enrollments", "GET /users/123456"
DANA = (
    USER,
    Answer({"id": 123456, "email": "dana.okafor@example.invalid", "first_name": "Dana", "last_name": "Okafor"}),
)


class Shipped(ConnectorContract):
    """The shipped mapping, with an admin's file on top."""

    connector = "thinkific"


def row(**changes: Any) -> dict[str, Any]:
    """Returns the completion of the webhook's sample as Thinkific lists it."""
    found = {
        "id": 97472,
        "created_at": "2026-01-05T10:00:00.000Z",
        "user_email": "dana.okafor@example.invalid",
        "user_name": "Dana Okafor",
        "expiry_date": None,
        "user_id": 123456,
        "course_name": "Safety Basics",
        "course_id": 68,
        "percentage_completed": "1.0",
        "completed_at": "2026-02-14T14:30:10.900Z",
        "expired": False,
        "is_free_trial": False,
        "completed": True,
        "started_at": "2026-01-05T10:01:00.000Z",
        "activated_at": "2026-01-05T10:00:00.000Z",
        "updated_at": "2026-02-14T14:30:10.950Z",
    }
    return {key: value for key, value in {**found, **changes}.items() if value is not ...}


def page(*rows: object, following: object = None) -> tuple[str, Answer]:
    return LIST, Answer({"items": list(rows), "meta": {"pagination": {"next_page": following}}})


def polled(*script: tuple[str, Answer], cursor: dict[str, Any] | None = None) -> tuple[list[Page], ScriptedApi]:
    connector = thinkific()
    api = ScriptedApi(connector, *script)
    pages = list(connector.poll(api, cursor or {}, SINCE, NOW))
    assert api.done
    return pages, api


def events(*rows: object) -> list[SourceEvent]:
    return [event for found in polled(page(*rows))[0] for event in found.events]


def mapped(event: SourceEvent, admin: str = "other_courses: issue\n") -> Any:
    contract = Shipped()
    contract.admin = admin  # type: ignore[misc]
    return contract.mapping().apply(event, defaults=DEFAULTS).outcome


def enriched(event: SourceEvent, *script: tuple[str, Answer]) -> SourceEvent:
    connector = thinkific()
    api = ScriptedApi(connector, *script)
    found = connector.enrich(event, api)
    assert api.done
    return found


# -- the safety net ------------------------------------------------------------------------------------


def test_a_lost_webhook_is_found_by_the_poll_and_means_the_same() -> None:
    (webhook,) = thinkific().parse(inbound(json.dumps(body()).encode(), {}))
    (thin,) = events(row())
    poll = enriched(thin, DANA)
    assert set(webhook.keys) & set(thin.keys)
    ours, theirs = mapped(webhook), mapped(poll)
    assert isinstance(ours, Completion)
    assert ours.model_copy(update={"keys": ()}) == theirs.model_copy(update={"keys": ()})
    assert set(poll.data["user"]) == set(webhook.data["user"])


def test_the_poll_still_meets_the_webhook_where_thinkific_leaves_the_milliseconds_out() -> None:
    (webhook,) = thinkific().parse(inbound(json.dumps(body()).encode(), {}))
    (thin,) = events(row(completed_at="2026-02-14T14:30:10Z"))
    assert set(webhook.keys) & set(thin.keys)


def test_the_first_poll_begins_before_the_start_line_and_the_next_ones_overlap_by_two_days() -> None:
    pages, api = polled(page(row()))
    assert api.asked[0].query == {
        "query[completed]": "true",
        "query[updated_after]": "2026-01-30T00:00:00Z",
        "page": "1",
        "limit": "250",
    }
    _, api = polled(page(), cursor=dict(pages[-1].cursor))
    assert api.asked[0].query["query[updated_after]"] == (NOW - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_cursor_moves_with_the_last_page_only() -> None:
    pages, api = polled(page(row(), following=2), page(row(id=97473)), cursor={"polled": "2026-11-20T00:00:00+00:00"})
    assert [found.cursor["polled"][:10] for found in pages] == ["2026-11-20", "2026-11-20", "2026-11-23"]
    assert [asked.query["page"] for asked in api.asked] == ["1", "2"]


@pytest.mark.parametrize("following", [1, 0, -5, "x", True, [2]], ids=str)
def test_case_contracts_3_a_list_that_does_not_go_on_is_an_error_and_never_an_end(following: object) -> None:
    with pytest.raises(TemporaryError, match="does not go on") as caught:
        polled(page(row(), following=following))
    assert caught.value.stable_code == "list"


def test_case_contracts_3_a_page_that_comes_again_is_an_error() -> None:
    with pytest.raises(TemporaryError, match="page 2 is the one before again"):
        polled(page(row(), following=2), page(row(), following=3))


@pytest.mark.parametrize("last", [page(row()), page(following=1), (LIST, Answer({"items": [row()]}))])
def test_the_end_is_where_no_page_follows(last: tuple[str, Answer]) -> None:
    assert len(polled(page(row(id=97473), following="2"), last)[0]) == 3


def test_a_full_page_that_says_nothing_of_pages_is_not_the_end() -> None:
    full = [row(id=97472 + number) for number in range(25)]
    with pytest.raises(TemporaryError, match="does not name the next one"):
        polled((LIST, Answer({"items": full})))


@pytest.mark.parametrize("answer", [{}, {"items": None}, {"items": {}}])
def test_an_answer_that_shows_no_list_is_not_an_empty_one(answer: dict[str, object]) -> None:
    with pytest.raises(TemporaryError, match="shows no list 'items'"):
        polled((LIST, Answer(answer)))


def test_case_18_a_refusal_half_way_leaves_the_cursor_where_it_was() -> None:
    connector = thinkific()
    slow = (LIST, Answer(b"", 429, {"ratelimit-reset": "30"}))
    pages = connector.poll(ScriptedApi(connector, page(row(), following=2), slow), {"polled": "x"}, SINCE, NOW)
    assert next(pages).cursor == {"polled": "x"}
    with pytest.raises(TemporaryError) as caught:
        next(pages)
    assert caught.value.retry_after == 30


def test_the_same_enrolment_has_the_same_id_in_every_poll_until_it_is_completed_anew() -> None:
    first, later = events(row())[0], events(row(updated_at="2026-11-01T00:00:00Z", percentage_completed="100.0"))[0]
    assert first == later
    assert events(row(completed_at="2027-02-14T14:30:10.900Z"))[0].event_id != first.event_id


@pytest.mark.parametrize(
    "odd",
    [
        *(None, 3, [], {}),
        row(id=None),
        row(completed=False),
        row(completed=..., completed_at=None),
    ],
    ids=str,
)
def test_rows_that_are_no_completion_are_left_out(odd: object) -> None:
    assert events(odd) == []


@pytest.mark.parametrize("odd", [None, "x", -1, True, [], {}, 10**40, "../.."], ids=str)
@pytest.mark.parametrize("field", ["user_id", "course_id", "completed_at", "user_name", "user_email", "is_free_trial"])
def test_an_odd_row_never_crashes_and_never_becomes_an_address(field: str, odd: object) -> None:
    for event in events(row(**{field: odd})):
        assert SourceEvent.model_validate_json(event.model_dump_json()) == event
        script = [(f"GET /users/{event.subject}", Answer({}))] if (event.subject or "").isdigit() else []
        mapped(enriched(event, *script))


def test_case_06_a_free_preview_is_spelled_otherwise_in_the_list_and_held_all_the_same() -> None:
    outcome = mapped(enriched(events(row(is_free_trial=True))[0], DANA))
    assert isinstance(outcome, Held)
    assert "free preview" in outcome.reason


def test_case_12_a_learner_who_is_gone_is_held_with_the_name_the_list_gave() -> None:
    gone = (USER, Answer({"error": "Record not found."}, 404))
    event = enriched(events(row())[0], gone)
    assert event.data["user"]["first_name"] == "Dana Okafor"
    outcome = mapped(event)
    assert isinstance(outcome, Held)
    assert "deleted" in outcome.reason


def test_a_webhook_brings_its_learner_along_and_nothing_is_asked() -> None:
    (webhook,) = thinkific().parse(inbound(json.dumps(body()).encode(), {}))
    assert enriched(webhook) is webhook


# -- names (case 7) --------------------------------------------------------------------------------------

STRICT = "other_courses: issue\nevery_course: {hold_if: {name: looks incomplete}}\n"


def named(first: object, last: object, admin: str) -> Any:
    user = (USER, Answer({"id": 123456, "email": "d@example.invalid", "first_name": first, "last_name": last}))
    return mapped(enriched(events(row())[0], user), admin)


@pytest.mark.parametrize(("first", "last"), [("", "Okafor"), ("Colin", ""), ("D.", "O.")])
def test_case_07_a_name_that_looks_incomplete_is_held_where_the_admin_says_so(first: str, last: str) -> None:
    assert isinstance(named(first, last, STRICT), Held)


def test_case_07_one_word_is_a_name_unless_the_admin_says_otherwise() -> None:
    outcome = named("Colin", "", "other_courses: issue\n")
    assert isinstance(outcome, Completion)
    assert outcome.recipient.name == "Colin"


def test_case_07_a_name_in_capitals_can_be_written_as_names_are() -> None:
    admin = (
        "other_courses: issue\nevents:\n  enrollment.completed:\n    completion:\n"
        '      name: "{{ data.user.first_name | name_case }} {{ data.user.last_name | name_case }}"\n'
    )
    outcome = named("DANA", "OKAFOR", admin)
    assert isinstance(outcome, Completion)
    assert outcome.recipient.name == "Dana Okafor"


@pytest.mark.parametrize(("first", "last"), [(None, "Okafor"), (None, None)])
def test_case_07_a_name_that_is_missing_never_prints_as_a_word(first: object, last: object) -> None:
    assert isinstance(named(first, last, "other_courses: issue\n"), Held)


# -- one learner, the courses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [("123456", "user_id", "123456"), (" Dana.Okafor@example.invalid", "email", "dana.okafor@example.invalid")],
)
def test_case_08_a_learner_is_asked_about_by_number_or_address_in_any_case(asked: str, field: str, value: str) -> None:
    connector = thinkific()
    api = ScriptedApi(connector, page(row(user_email="Dana.Okafor@example.invalid ")))
    assert [event.course for event in connector.ask(api, asked)] == ["68"]
    assert api.asked[0].query[f"query[{field}]"] == value


def test_a_filter_that_is_not_heeded_shows_nobody_elses_completions() -> None:
    connector = thinkific()
    assert (
        connector.ask(ScriptedApi(connector, page(row(), row(user_id=5, id=9))), "5")[0]
        .keys[0]
        .startswith("enrollment:9@")
    )


def test_a_learner_who_is_named_in_another_way_is_refused() -> None:
    with pytest.raises(PermanentError, match="neither an e-mail address nor a user id"):
        thinkific().ask(ScriptedApi(thinkific()), "Dana")


def test_courses_are_listed_over_all_pages() -> None:
    connector = thinkific()
    first = Answer({"items": [{"id": 68, "name": "Safety"}, {"name": "?"}], "meta": {"pagination": {"next_page": 2}}})
    second = Answer({"items": [{"id": 69, "name": None}]})
    api = ScriptedApi(connector, ("GET /courses", first), ("GET /courses", second))
    assert list(connector.courses(api)) == [CourseFound("68", "Safety"), CourseFound("69", "")]


# -- registering the webhook -------------------------------------------------------------------------------

HOOKS = "https://api.thinkific.com/api/v2/webhooks"
ADDRESS = "https://certificates.example/hooks/school/token-of-the-address"
NEW = (f"POST {HOOKS}", Answer({"id": "20", "status": "active", "topic": "enrollment.completed"}, 201))


def hooks(*found: Mapping[str, object], following: str = "") -> tuple[str, Answer]:
    meta = {"page": {"has_next": bool(following), "next_page": following}}
    return f"GET {HOOKS}", Answer({"items": list(found), "meta": meta})


def hook(**changes: object) -> dict[str, object]:
    return {"id": "19", "status": "active", "topic": "enrollment.completed", "target_url": ADDRESS, **changes}


class Watched(ScriptedApi):
    """Remembers the headers, too."""

    headers: list[Mapping[str, str]]

    def request(self, method: str, path: str, **options: Any) -> ApiResponse:
        self.headers = [*getattr(self, "headers", []), options.get("headers") or {}]
        return super().request(method, path, **options)


def connected(*script: tuple[str, Answer], address: str = ADDRESS, **changes: Any) -> tuple[list[Finding], Watched]:
    connector = thinkific(**{"signing_secret": SETTINGS["api_key"], **changes})
    api = Watched(connector, *script)
    found = list(connector.connect(api, address))
    assert api.done
    return found, api


def test_an_address_that_is_not_there_is_registered_with_the_key_as_bearer() -> None:
    (finding,), api = connected(hooks(), NEW)
    assert (finding.level, "webhook 20" in finding.message) == ("ok", True)
    assert api.asked[1].json == {"topic": "enrollment.completed", "target_url": ADDRESS}
    for headers in api.headers:
        assert headers == {
            "Authorization": "Bearer thinkific-test-api-key",
            "X-Auth-API-Key": "",
            "X-Auth-Subdomain": "",
        }


def test_an_access_token_is_used_where_there_is_one() -> None:
    _, api = connected(hooks(), NEW, access_token="token-1")
    assert api.headers[0] == {"Authorization": "Bearer token-1"}


def test_an_address_that_is_there_on_any_page_is_not_registered_twice() -> None:
    others = (hook(target_url="https://other.example/"), hook(topic="enrollment.created"))
    (finding,), api = connected(hooks(*others, following="19"), hooks(hook(target_url=f"{ADDRESS}/")))
    assert (finding.level, "already" in finding.message) == ("ok", True)
    assert api.asked[1].query["next"] == "19"


def test_an_inactive_webhook_is_named_and_no_second_one_is_made() -> None:
    (finding,), _ = connected(hooks(hook(status="disabled")))
    assert finding.level == "warning"
    assert "disabled (webhook 19). Delete it" in finding.message


def test_a_list_of_webhooks_that_repeats_itself_is_an_error_and_nothing_is_registered_twice() -> None:
    with pytest.raises(TemporaryError, match="the same page again"):
        connected(hooks(following="7"), hooks(following="7"), NEW)


def test_another_signing_secret_than_the_key_is_warned_about() -> None:
    found, _ = connected(hooks(hook()), signing_secret=SECRET)
    assert [finding.level for finding in found] == ["ok", "warning"]
    assert "signing_secret" in found[1].message
    assert [finding.level for finding in connected(hooks(hook()), signing_secret=SECRET, access_token="t")[0]] == ["ok"]


@pytest.mark.parametrize("address", ["http://certificates.example/hooks/school", "http://127.0.0.1:8080/hooks/school"])
def test_an_address_without_https_is_refused_before_anything_is_sent(address: str) -> None:
    with pytest.raises(PermanentError, match="public_url"):
        connected(address=address)


def test_without_a_key_nothing_can_be_registered() -> None:
    with pytest.raises(PermanentError, match="api_key"):
        connected(api_key=None, subdomain=None, profile_field=None, profile_field_by_course={}, signing_secret=SECRET)


def test_case_14_a_plan_without_webhooks_is_said_in_thinkifics_words() -> None:
    refused = Answer({"error": "Access to Apps is not available on your plan. Upgrade to gain access"}, 403)
    with pytest.raises(PermanentError, match="not available on your plan"):
        connected((f"GET {HOOKS}", refused))


def test_a_refused_address_is_said_in_thinkifics_words() -> None:
    with pytest.raises(PermanentError, match="url is not valid"):
        connected(hooks(), (f"POST {HOOKS}", Answer({"errors": {"url": "is not valid"}}, 422)))


def test_a_webhook_that_begins_inactive_is_an_error() -> None:
    with pytest.raises(PermanentError, match="pending"):
        connected(hooks(), (f"POST {HOOKS}", Answer({"id": "20", "status": "pending"}, 201)))


def test_a_list_longer_than_is_read_fails_the_poll_instead_of_being_cut_off() -> None:
    api = ScriptedApi(thinkific(), page(row(), following=2), page(row(id=2), following=3))
    with pytest.raises(TemporaryError, match="more than 2 pages"):
        list(pages(api, "/enrollments", {}, most=2))
