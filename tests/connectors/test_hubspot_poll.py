"""Finding completions by HubSpot's search: windows, pages, backlog; case numbers are those of our notes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any

import pytest
from scripted_api import Answer
from test_hubspot_connector import SETTINGS, batch, change, contact, decided, enriched, hubspot

from bridge.core.connector import ApiResponse, Page
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.models import JsonObject, SourceEvent

NOW = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)
SINCE = datetime(2026, 9, 1, tzinfo=UTC)
SEARCH = "/crm/v3/objects/contacts/search"
READ_MANY = "/crm/v3/objects/contacts/batch/read"


class Search:
    """A contact search that does what HubSpot's does with what certbridge asks, and refuses what it would refuse."""

    def __init__(self, *contacts: dict[str, Any]) -> None:
        self.connector = hubspot()
        self.contacts = list(contacts)
        self.asked: list[dict[str, Any]] = []
        self.most = 10_000

    def request(self, method: str, path: str, *, json: Any = None, **_: object) -> ApiResponse:
        if (method, path) == ("POST", READ_MANY):
            return self._many(json)
        assert (method, path) == ("POST", SEARCH)
        assert "after" not in json, "deep pages end at 10,000 results"
        assert json["sorts"] == [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
        assert len(dumps(json)) <= 3000
        assert 0 < json["limit"] <= 200
        self.asked.append(json)
        found = [one for one in self.contacts if any(_fits(one, group["filters"]) for group in json["filterGroups"])]
        found.sort(key=lambda one: int(one["id"]))
        page = found[: json["limit"]]
        paging = {"paging": {"next": {"after": str(len(page))}}} if len(found) > len(page) else {}
        shown = [_shown(one, json["properties"]) for one in page]
        response = Answer({"total": min(len(found), self.most), "results": shown, **paging}).response()
        self.connector.check(response)
        return response

    def _many(self, json: dict[str, Any]) -> ApiResponse:
        wanted = [one["id"] for one in json["inputs"]]
        assert 0 < len(wanted) <= 100
        found = [_shown(one, json["properties"]) for one in self.contacts if one["id"] in wanted]
        return Answer({"status": "COMPLETE", "results": found}).response()


def _shown(one: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {**one, "properties": {name: one["properties"].get(name) for name in names}}


def _fits(one: Mapping[str, Any], filters: list[dict[str, str]]) -> bool:
    return all(_true(one, single) for single in filters)


def _true(one: Mapping[str, Any], single: dict[str, str]) -> bool:
    name, operator = single["propertyName"], single["operator"]
    value = one["id"] if name == "hs_object_id" else one["properties"].get(name)
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return (value not in (None, "")) == (operator == "HAS_PROPERTY")
    number, wanted = _number(value), int(single["value"])
    if number is None:
        return False
    return {"GT": number > wanted, "GTE": number >= wanted, "LT": number < wanted}[operator]


def _number(value: Any) -> int | None:
    if value in (None, ""):
        return None
    if str(value).isdigit():
        return int(value)
    moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def changed(number: str, at: datetime, **properties: Any) -> dict[str, Any]:
    return contact(number, lastmodifieddate=at.isoformat(timespec="milliseconds"), **properties)


def poll(api: Any, cursor: JsonObject | None = None, now: datetime = NOW, **settings: Any) -> list[Page]:
    return list(hubspot(**settings).poll(api, cursor or {}, SINCE, now))


def subjects(pages: list[Page]) -> list[str | None]:
    return [event.subject for page in pages for event in page.events]


# -- what it finds -----------------------------------------------------------------------------------------


def test_a_poll_and_a_webhook_tell_of_the_same_completion() -> None:
    one = contact(hs_merged_object_ids="5", course_score="92.5")
    (polled,) = [event for page in poll(Search(one)) for event in page.events]
    (thin,) = batch(change())
    told = enriched(thin, one)
    assert decided(polled).kind == "completion"
    assert decided(polled) == decided(told)
    assert polled.data == told.data


def test_a_polled_event_has_the_same_id_the_next_time_and_needs_no_further_look() -> None:
    api = Search(contact())
    first, again = (poll(api)[0].events[0] for _ in range(2))
    assert first.event_id == again.event_id
    assert hubspot().enrich(first, api) is first


def test_a_date_never_counts_as_before_the_start_line_on_its_own_day() -> None:
    today = SINCE.date().isoformat()
    (event,) = poll(Search(contact(course_completed_at=today)))[0].events
    assert event.occurred_at is not None
    assert event.occurred_at > SINCE + timedelta(hours=23)
    (exact,) = poll(Search(contact(course_completed_at="2026-09-20T10:00:00Z")))[0].events
    assert exact.occurred_at == datetime(2026, 9, 20, 10, tzinfo=UTC)


def test_contacts_that_completed_nothing_or_say_no_are_left_out() -> None:
    odd = [contact("1", course_completed_at=""), contact("2", course_completed_at=None)]
    off = contact("3", course_completed="false", course_completed_at=None)
    assert subjects(poll(Search(*odd))) == []
    assert subjects(poll(Search(off), completed_property="course_completed", completed_at_property="done_on")) == []


def test_a_hidden_completion_is_found_and_then_held() -> None:
    api = Search(contact())

    def redacted(*arguments: Any, **options: Any) -> ApiResponse:
        return Answer({"results": [contact(course_completed_at="REDACTED")]}).response()

    api.request = redacted  # type: ignore[method-assign]
    (event,) = poll(api)[0].events
    with pytest.raises(HeldError, match="sensitive"):
        enriched(event, contact(course_completed_at="REDACTED"))


def test_each_course_with_a_property_of_its_own_is_looked_for() -> None:
    settings = {"completed_property": None, "courses": {"fire_on": "fire", "forklift_on": "forklift"}}
    both = contact(fire_on="2026-09-10", forklift_on="2026-09-11")
    events = [event for page in poll(Search(both), **settings) for event in page.events]
    assert {event.course for event in events} == {"fire", "forklift"}


# -- windows -----------------------------------------------------------------------------------------------


def test_case_17_a_contact_that_changed_just_now_is_found_by_a_later_poll() -> None:
    api = Search(changed("7", NOW - timedelta(seconds=5), certificate_id="OLD"))
    first = poll(api)
    assert subjects(first) == []
    later = poll(api, first[-1].cursor, NOW + timedelta(minutes=15))
    assert subjects(later) == ["7"]


def test_the_window_is_closed_and_the_next_one_overlaps_it() -> None:
    api = Search()
    cursor = poll(api)[-1].cursor
    poll(api, cursor, NOW + timedelta(minutes=15))
    bounds = [
        [int(one["value"]) for one in asked["filterGroups"][0]["filters"] if one["propertyName"] == "lastmodifieddate"]
        for asked in api.asked
    ]
    first, second = bounds
    assert first[0] == int(SINCE.timestamp() * 1000)
    assert first[1] == int((NOW - timedelta(seconds=60)).timestamp() * 1000)
    assert second[0] == first[1] - 600_000
    assert second[1] == first[1] + 900_000


def test_nothing_is_asked_before_the_start_line() -> None:
    api = Search(contact())
    assert list(hubspot().poll(api, {}, NOW, NOW)) == []
    assert api.asked == []


def test_a_poll_that_broke_off_goes_on_where_it_was_with_the_same_window() -> None:
    api = Search(*(changed(str(number), SINCE + timedelta(days=1)) for number in range(1, 451)))
    connector = hubspot()
    begun = connector.poll(api, {}, SINCE, NOW)
    cursor = next(begun).cursor
    rest = poll(api, cursor, NOW + timedelta(hours=3))
    assert subjects(rest) == [str(number) for number in range(201, 451)]
    assert rest[-1].cursor == {"end": int((NOW - timedelta(seconds=60)).timestamp() * 1000)}


@pytest.mark.parametrize("cursor", [{"end": "x"}, {"start": 1, "end": None}, {"property": 5, "after": []}, {"x": 1}])
def test_a_cursor_that_is_none_begins_anew(cursor: JsonObject) -> None:
    assert subjects(poll(Search(contact()), cursor)) == ["70000000101"]


def test_a_cursor_of_a_property_that_is_no_longer_looked_at_begins_with_the_first() -> None:
    cursor = {"start": 0, "end": int(NOW.timestamp() * 1000), "property": "gone", "after": 99999999999}
    assert subjects(poll(Search(contact()), cursor)) == ["70000000101"]


# -- pages -------------------------------------------------------------------------------------------------


def test_case_16_more_than_ten_thousand_changes_of_one_moment_are_all_found() -> None:
    moment = SINCE + timedelta(days=3)
    api = Search(*(changed(str(number), moment) for number in range(1, 10_202)))
    found = subjects(poll(api))
    assert len(found) == len(set(found)) == 10_201
    assert len(api.asked) == 52


def test_a_search_that_sends_the_same_page_again_is_not_followed_for_ever() -> None:
    api = Search()

    def same(*arguments: Any, **options: Any) -> ApiResponse:
        return Answer({"results": [contact()], "paging": {"next": {"after": "1"}}}).response()

    api.request = same  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match="page again"):
        poll(api)


@pytest.mark.parametrize(
    "answer",
    [{}, {"results": None}, {"results": [None, 3, {"id": "x"}, {"id": {}}], "paging": {"next": {"after": "1"}}}],
)
def test_odd_pages_end_the_poll(answer: object) -> None:
    api = Search()
    api.request = lambda *arguments, **options: Answer(answer).response()  # type: ignore[method-assign]
    assert subjects(poll(api)) == []


def test_a_school_with_a_property_for_each_of_a_hundred_courses_is_polled() -> None:
    courses = {f"course_number_{number}_completed_on": f"course-{number}" for number in range(100)}
    learners = [contact(str(number), course_number_7_completed_on="2026-09-20") for number in range(1, 251)]
    pages = poll(Search(*learners), completed_property=None, course_property=None, courses=courses)
    found = [event for page in pages for event in page.events]
    assert {(event.subject, event.course) for event in found} == {(one["id"], "course-7") for one in learners}
    assert {event.data["contact"]["email"] for event in found} == {"ada@example.org"}
    assert "end" in pages[-1].cursor


# -- what has no certificate yet ---------------------------------------------------------------------------


def test_a_completion_that_was_missed_is_found_until_it_has_a_certificate() -> None:
    long_ago = changed("7", SINCE + timedelta(days=1))
    api = Search(long_ago)
    cursor = {"end": int(NOW.timestamp() * 1000)}
    assert subjects(poll(api, cursor, NOW + timedelta(hours=1))) == ["7"]
    long_ago["properties"]["certificate_id"] = "0123-4567-89AB-CDEF4"
    assert subjects(poll(api, cursor, NOW + timedelta(hours=1))) == []


def test_what_was_completed_long_before_the_start_line_is_no_backlog() -> None:
    old = changed("7", SINCE - timedelta(days=300), course_completed_at="2025-11-01")
    assert subjects(poll(Search(old))) == []


def test_a_second_course_is_found_although_the_first_ones_number_stands_there() -> None:
    again = changed("7", NOW - timedelta(minutes=5), course_name="Forklift", certificate_id="0123-4567-89AB-CDEF4")
    events = [event for page in poll(Search(again)) for event in page.events]
    assert [event.course for event in events] == ["Forklift"]


def test_without_a_property_for_the_number_only_changes_are_looked_for() -> None:
    api = Search(contact())
    poll(api, write_back={"certificate_property": None})
    assert [len(asked["filterGroups"]) for asked in api.asked] == [1]


# -- one learner -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("learner", "path"),
    [("70000000101", "70000000101"), (" ada@example.org ", "ada%40example.org")],
)
def test_one_learner_can_be_asked_about_by_number_or_address(learner: str, path: str) -> None:
    connector = hubspot()
    api = OneContact(connector, f"/crm/v3/objects/contacts/{path}")
    assert [event.course for event in connector.ask(api, learner)] == ["Fire Safety"]


def test_a_learner_nobody_knows_is_said() -> None:
    connector = hubspot()
    with pytest.raises(PermanentError, match=r"no contact 'bo@example\.org'"):
        connector.ask(OneContact(connector, "/crm/v3/objects/contacts/1"), "bo@example.org")


@pytest.mark.parametrize("changes", [{"token": None}, {"completed_property": None}])
def test_a_source_without_token_or_property_is_neither_polled_nor_asked(changes: dict[str, Any]) -> None:
    connector = hubspot(**changes)
    assert not connector.polls()
    with pytest.raises(PermanentError, match="completed_property"):
        connector.ask(OneContact(connector, ""), "1")
    assert hubspot().polls()
    assert SETTINGS["token"]


class OneContact:
    """Knows a contact under one path."""

    def __init__(self, connector: Any, path: str) -> None:
        self.connector = connector
        self.path = path

    def request(self, method: str, path: str, **_: object) -> ApiResponse:
        response = Answer(contact(), 200 if path == self.path else 404).response()
        self.connector.check(response)
        return response


def test_events_of_a_poll_can_be_stored_and_read_back() -> None:
    for page in poll(Search(contact(), contact("9", email=None, course_name="x" * 500))):
        for event in page.events:
            assert SourceEvent.model_validate_json(event.model_dump_json()) == event
