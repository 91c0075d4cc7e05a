"""A tag counts once Kajabi's API shows it; the poll finds whoever has it without a certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from contract import NOW
from routed_api import Route, RoutedApi
from scripted_api import Answer, Asked
from test_kajabi_connector import CONTACT, TAG, contact, kajabi, outcome, parsed, tag

from bridge.core.connector import Page
from bridge.core.errors import HeldError, PermanentError, TemporaryError, UnconfirmedError
from bridge.core.models import Completion, Held, JsonObject, SourceEvent

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
DETAILS, TAGS = f"GET /contacts/{CONTACT}", f"GET /contacts/{CONTACT}/relationships/tags"
NOT_FOUND = Answer({"errors": [{"status": "404", "title": "Not found"}]}, 404)
KNOWN_TAGS = [tag(), tag("124", "completed: Fire Safety"), tag("789", "certificate: Safety"), tag("9", "newsletter")]
MARKED = tag("790", "Certificate: Fire Safety")


def details(*tags: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """Returns a contact's document with its tags beside it."""
    found = contact(**attributes)
    related = {"tags": {"data": [{"type": "contact_tags", "id": one["id"]} for one in tags]}}
    return {"data": {**found, "relationships": {**found["relationships"], **related}}, "included": list(tags)}


def enriched(event: SourceEvent, **routes: Route) -> SourceEvent:
    paths = {"contact": DETAILS, "tags": TAGS, "names": "GET /contact_tags"}
    return kajabi().enrich(event, RoutedApi(kajabi(), {paths[name]: route for name, route in routes.items()}))


# -- confirming ----------------------------------------------------------------------------------------


def test_case_12_a_contact_that_has_the_tag_is_confirmed_with_one_request() -> None:
    api = RoutedApi(kajabi(), {DETAILS: details(tag(), tag("9"))})
    assert kajabi().enrich(parsed(), api).course == TAG
    assert api.asked[0].query == {"include": "tags"}
    assert api.headers[0] == {"Accept": "application/vnd.api+json"}


def test_case_12_a_contact_that_lacks_the_tag_is_not_confirmed() -> None:
    with pytest.raises(UnconfirmedError, match=f"does not have the tag {TAG}"):
        enriched(parsed(), contact=details(tag("9")))


def test_case_12_the_tags_are_asked_for_where_they_do_not_come_along() -> None:
    plain = {"data": contact()}
    tags = {"data": [{"type": "contact_tags", "id": TAG}, {"type": "contact_tags", "id": "9"}]}
    assert enriched(parsed(), contact=plain, tags=tags, names=listed(*KNOWN_TAGS)).course == TAG
    # What the webhook calls a tag says nothing where the settings know it by its name.
    forged = parsed(contact(), tag("9", "completed: Fire Safety"))
    with pytest.raises(UnconfirmedError, match="'newsletter'"):
        enriched(forged, contact=plain, tags=tags, names=listed(*KNOWN_TAGS))
    with pytest.raises(UnconfirmedError):
        enriched(parsed(), contact=plain, tags={"data": []})


def test_case_12_name_address_and_title_are_those_of_the_api_not_of_whoever_sent_the_event() -> None:
    forged = parsed(contact(name="Mallory", email="mallory@example.invalid"), tag(TAG, "completed: Brain Surgery"))
    assert enriched(forged, contact=details(tag())) == enriched(parsed(), contact=details(tag()))


def test_a_name_in_the_settings_is_checked_against_the_name_of_the_tag() -> None:
    forged = parsed(contact(), tag("9", "completed: Fire Safety"))
    with pytest.raises(UnconfirmedError, match="'newsletter'"):
        enriched(forged, contact=details(tag("9", "newsletter")))


def test_case_05_a_name_that_kajabi_made_from_the_address_holds_the_event() -> None:
    held = outcome(enriched(parsed(), contact=details(tag(), name="dana")))
    assert isinstance(held, Held)
    assert "first part of the e-mail address" in held.reason
    assert isinstance(outcome(enriched(parsed(), contact=details(tag()))), Completion)


def test_case_05_a_name_of_one_word_holds_the_event() -> None:
    assert isinstance(outcome(enriched(parsed(), contact=details(tag(), name="Okafor"))), Held)


def test_case_05_custom_fields_are_there_for_a_mapping_that_knows_a_better_name() -> None:
    event = enriched(parsed(), contact=details(tag(), custom_2="Dana N. Okafor", custom_3=None, custom_4=[1]))
    assert event.data["contact"]["custom"] == {"custom_2": "Dana N. Okafor", "custom_3": None, "custom_4": None}


def test_case_06_an_address_is_known_by_its_small_letters() -> None:
    completion = outcome(enriched(parsed(), contact=details(tag(), email=" Dana@Example.Invalid ")))
    assert isinstance(completion, Completion)
    assert completion.recipient.email == "dana@example.invalid"


def test_case_07_a_contact_that_the_api_shows_on_another_site_is_not_confirmed() -> None:
    other = details(tag())
    other["data"]["relationships"]["site"] = {"data": {"type": "sites", "id": "3"}}
    with pytest.raises(UnconfirmedError, match="another site"):
        enriched(parsed(), contact=other)


def test_case_08_a_contact_that_is_gone_is_named() -> None:
    with pytest.raises(PermanentError, match=f"no contact {CONTACT}") as caught:
        enriched(parsed(), contact=NOT_FOUND)
    assert caught.value.stable_code == "contact_gone"


def test_an_event_without_contact_or_tag_waits_for_a_person() -> None:
    with pytest.raises(HeldError, match="by hand"):
        enriched(parsed(contact()))


def test_the_date_is_that_of_the_arrival() -> None:
    completion = outcome(enriched(parsed(), contact=details(tag())))
    assert isinstance(completion, Completion)
    assert completion.completed_at == NOW
    assert completion.course.title == "Safety Basics"


def test_a_tag_that_was_taken_away_is_confirmed_too() -> None:
    removed = parsed(event="tag_removed")
    assert enriched(removed, contact=details()).keys == removed.keys
    assert enriched(removed, contact=NOT_FOUND) == removed
    with pytest.raises(UnconfirmedError, match="still has"):
        enriched(removed, contact=details(tag()))


def test_events_of_no_interest_are_not_asked_about() -> None:
    event = parsed(contact(), tag("9", "newsletter"))
    assert enriched(event) == event


@pytest.mark.parametrize("odd", [b"", b"<html>", b"[]", b"null"])
def test_an_answer_that_is_none_is_tried_again(odd: bytes) -> None:
    with pytest.raises(TemporaryError):
        enriched(parsed(), contact=Answer(odd))


@pytest.mark.parametrize("odd", [None, 3, "x", [], {"attributes": 3, "relationships": []}])
def test_an_odd_contact_does_no_harm(odd: object) -> None:
    with pytest.raises((TemporaryError, PermanentError)):
        enriched(parsed(), contact={"data": odd, "included": odd}, tags={"data": odd})


@pytest.mark.parametrize("event_type", ["tag_added", "tag_removed"])
@pytest.mark.parametrize("hidden", [{}, {"data": None}, {"data": {}}])
def test_tags_that_are_not_shown_are_not_taken_for_none(event_type: str, hidden: dict[str, Any]) -> None:
    with pytest.raises(TemporaryError, match="shows no list 'data'") as caught:
        enriched(parsed(event=event_type), contact={"data": contact()}, tags=hidden)
    assert not isinstance(caught.value, UnconfirmedError)


def test_case_contracts_5_a_contact_that_is_gone_is_said_without_a_404() -> None:
    for gone in ({"data": None}, Answer({}, 404), Answer({}, 410)):
        with pytest.raises(PermanentError, match="has no contact") as caught:
            enriched(parsed(), contact=gone)
        assert caught.value.stable_code == "contact_gone"
        removed = parsed(event="tag_removed")
        assert enriched(removed, contact=gone) == removed


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("event_type", ["tag_added", "tag_removed"])
def test_case_contracts_5_a_contact_that_the_key_may_not_see_is_not_taken_for_one_that_is_gone(
    event_type: str, status: int
) -> None:
    with pytest.raises(PermanentError, match=f"about contact {CONTACT}: if other contacts work") as caught:
        enriched(parsed(event=event_type), contact=Answer({"errors": [{"title": "Forbidden"}]}, status))
    assert caught.value.stable_code == f"http_{status}"


# -- the poll ------------------------------------------------------------------------------------------


def listed(*rows: Any, following: str | None = None, **meta: Any) -> dict[str, Any]:
    return {"data": list(rows), "links": {"next": following}, "meta": meta}


def poll(cursor: JsonObject, answer: Any, **settings: Any) -> tuple[list[Page], RoutedApi]:
    connector = kajabi(**settings)
    api = RoutedApi(connector, {"GET /contact_tags": listed(*KNOWN_TAGS, MARKED), "GET /contacts": answer})
    return list(connector.poll(api, cursor, SINCE, NOW)), api


def events_of(pages: list[Page]) -> list[SourceEvent]:
    return [event for page in pages for event in page.events]


def by_tag(**rows: list[Any]) -> Any:
    return lambda asked: listed(*rows.get(f"t{asked.query['filter[has_tag_id]']}", []))


def test_asks_for_whoever_has_the_tag_and_not_the_mark_on_this_site() -> None:
    pages, api = poll({}, by_tag(t123=[contact()], t124=[contact("457")]))
    assert [(event.subject, event.course) for event in events_of(pages)] == [(CONTACT, TAG), ("457", "124")]
    first, second = [asked.query for asked in api.asked if asked.path == "/contacts"]
    assert first["filter[site_id]"] == second["filter[site_id]"] == "2"
    assert (first["filter[has_tag_id]"], first["filter[has_no_tag_id]"]) == ("123", "789")
    assert (second["filter[has_tag_id]"], second["filter[has_no_tag_id]"]) == ("124", "790")


def test_a_course_without_a_mark_is_polled_without_it() -> None:
    _, api = poll({}, listed(), tags={"123": None})
    assert "filter[has_no_tag_id]" not in api.asked[-1].query


def test_a_polled_completion_is_the_same_as_one_that_came_by_webhook() -> None:
    (polled,) = events_of(poll({}, by_tag(t123=[contact()]))[0])
    assert polled.event_id == parsed().event_id
    assert polled.keys == parsed().keys
    assert polled.occurred_at is None
    polled, sent = (enriched(event, contact=details(tag())) for event in (polled, parsed()))
    assert polled == sent
    assert outcome(polled) == outcome(sent)


def test_follows_the_pages_to_their_end() -> None:
    def answer(asked: Asked) -> Any:
        page = int(asked.query["page[number]"])
        return listed(contact(str(page)), following="https://api.kajabi.com/next" if page < 3 else None)

    pages, _ = poll({}, answer)
    assert [event.subject for event in events_of(pages)] == ["1", "2", "3", "1", "2", "3"]


@pytest.mark.parametrize("meta", [{}, {"total_pages": "x"}, {"total_pages": 0}])
def test_lists_without_links_end_with_an_empty_page(meta: Any) -> None:
    def answer(asked: Asked) -> Any:
        rows = [contact()] if asked.query["page[number]"] == "1" else []
        return {"data": rows, "meta": meta}

    assert [event.subject for event in events_of(poll({}, answer)[0])] == [CONTACT, CONTACT]


def test_case_contracts_3_a_page_that_comes_again_is_an_error_and_never_the_end() -> None:
    with pytest.raises(TemporaryError, match="page 2 is the one before again") as caught:
        poll({}, listed(contact(), following="https://api.kajabi.com/next"))
    assert caught.value.stable_code == "list"


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"links": {"next": None}, "meta": {"total_pages": 1}}])
def test_an_answer_that_shows_no_list_is_not_an_empty_one(answer: dict[str, Any]) -> None:
    with pytest.raises(TemporaryError, match="shows no list 'data'"):
        poll({}, answer)


@pytest.mark.parametrize("odd", [None, 3, {}, {"id": None}, {"id": "../1"}, {"id": [], "attributes": 3}])
def test_odd_rows_do_no_harm(odd: Any) -> None:
    assert [event.subject for event in events_of(poll({}, by_tag(t123=[odd, contact()]))[0])] == [CONTACT]


def test_the_cursor_is_never_empty_after_a_poll() -> None:
    pages, _ = poll({}, listed())
    assert all(page.cursor for page in pages)


def test_whoever_had_a_tag_before_it_joined_the_settings_counts_as_older() -> None:
    cursor = dict(poll({}, listed(), tags={"123": "789"})[0][-1].cursor)
    pages, _ = poll(cursor, by_tag(t123=[contact()], t124=[contact("457")]))
    known, joined = events_of(pages)
    assert known.skip is None
    assert joined.skip
    assert "before it was added to `tags`" in joined.skip
    # From then on, newcomers count.
    pages, _ = poll(pages[-1].cursor, by_tag(t124=[contact("458")]))
    assert [event.skip for event in events_of(pages)] == [None]


def test_a_tag_that_joined_is_new_until_all_its_pages_were_seen() -> None:
    cursor = dict(poll({}, listed(), tags={"123": "789"})[0][-1].cursor)
    connector = kajabi()
    busy = [listed(), listed(contact(), following="next"), Answer(b"", 503)]
    api = RoutedApi(connector, {"GET /contact_tags": listed(*KNOWN_TAGS, MARKED), "GET /contacts": busy})
    pages = connector.poll(api, cursor, SINCE, NOW)
    *_, broken = [next(pages) for _ in range(2)]
    with pytest.raises(TemporaryError):
        next(pages)
    resumed, _ = poll(broken.cursor, by_tag(t124=[contact(), contact("457")]))
    assert all(event.skip for event in events_of(resumed))


def test_a_first_poll_that_broke_off_leaves_it_to_the_flow_what_is_old() -> None:
    connector = kajabi()
    busy = [listed(contact(), following="next"), Answer(b"", 503)]
    api = RoutedApi(connector, {"GET /contact_tags": listed(*KNOWN_TAGS, MARKED), "GET /contacts": busy})
    broken = next(connector.poll(api, {}, SINCE, NOW))
    resumed, _ = poll(broken.cursor, by_tag(t123=[contact()], t124=[contact("457")]))
    assert [event.skip for event in events_of(resumed)] == [None, None]


def test_case_04_a_first_contact_with_a_tag_missing_does_not_begin() -> None:
    connector = kajabi()
    pages = connector.poll(RoutedApi(connector, {"GET /contact_tags": listed(tag(), tag("789"))}), {}, SINCE, NOW)
    with pytest.raises(PermanentError, match="no tag 'completed: fire safety'"):
        next(pages)


def test_case_04_a_tag_that_is_gone_is_said_after_the_others_were_polled() -> None:
    connector = kajabi()
    routes: dict[str, Route] = {"GET /contact_tags": listed(tag(), tag("789")), "GET /contacts": listed(contact())}
    pages = connector.poll(RoutedApi(connector, routes), {"known": [TAG, "124"]}, SINCE, NOW)
    assert next(pages).events
    assert next(pages).cursor["known"] == [TAG, "124"]
    with pytest.raises(PermanentError, match=r"no tag 'completed: fire safety', 'certificate: Fire Safety'"):
        next(pages)


@pytest.mark.parametrize("cursor", [{"known": None}, {"known": [3, None]}, {"x": 1}])
def test_an_odd_cursor_does_not_stop_the_source(cursor: JsonObject) -> None:
    assert poll(cursor, listed(contact()))[0][-1].cursor["known"] == ["123", "124"]


# -- asked by a person ---------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", [CONTACT, "Dana@Example.INVALID"])
def test_one_contact_can_be_asked_about_by_id_or_address(learner: str) -> None:
    routes: dict[str, Route] = {
        "GET /contacts": listed(contact("1", email="dana@example.invalid.example"), contact()),
        "GET /contact_tags": listed(*KNOWN_TAGS, MARKED),
        DETAILS: details(tag(), tag("9")),
    }
    api = RoutedApi(kajabi(), routes)
    (event,) = kajabi().ask(api, learner)
    assert event == parsed()
    searched = [asked.query for asked in api.asked if asked.path == "/contacts"]
    assert all(query["filter[search]"] == "dana@example.invalid" for query in searched)


def test_somebody_kajabi_does_not_know_has_no_completions() -> None:
    assert kajabi().ask(RoutedApi(kajabi(), {"GET /contacts": listed()}), "nobody@example.invalid") == ()


def test_tags_are_listed_as_courses() -> None:
    found = kajabi().courses(RoutedApi(kajabi(), {"GET /contact_tags": listed(*KNOWN_TAGS, {"id": None})}))
    assert [(course.id, course.title) for course in found][:2] == [
        ("123", "Safety Basics"),  # as it shall stand on the certificate
        ("124", "Fire Safety"),
    ]


def test_a_list_longer_than_is_read_fails_the_poll_instead_of_being_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.kajabi.rest.MOST_PAGES", 3)
    numbers = iter(range(100))

    def another(_: Asked) -> Answer:
        return Answer({"data": [tag(str(next(numbers)), "newsletter")], "links": {"next": "https://x.example/next"}})

    api = RoutedApi(kajabi(), {"GET /contact_tags": another})
    with pytest.raises(TemporaryError, match="more than 3 pages"):
        list(kajabi().poll(api, {}, SINCE, NOW))


def test_a_site_without_any_tag_is_most_likely_the_wrong_one_and_the_right_ones_are_named() -> None:
    connector = kajabi()
    sites = {"data": [{"id": "2", "type": "sites", "attributes": {"title": "Acme Academy"}}], "links": {"next": None}}
    api = RoutedApi(connector, {"GET /contact_tags": listed(), "GET /sites": sites})
    (finding,) = connector.diagnose(api)
    assert finding.level == "error"
    assert "`site_id` is that of another site" in finding.message
    assert "The sites that this key sees: 2 (Acme Academy)." in finding.message
    assert api.asked[-1].query == {"page[number]": "1", "page[size]": "100"}
    hidden = {"GET /contact_tags": listed(), "GET /sites": Answer({"errors": []}, 403)}
    with pytest.raises(PermanentError, match="shows no tag on site") as caught:
        list(connector.courses(RoutedApi(connector, hidden)))
    assert "this key sees" not in str(caught.value)
