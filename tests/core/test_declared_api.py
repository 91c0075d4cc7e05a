"""What a declared source asks its vendor: signing in, confirming, listing; and where it never goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from declared_examples import (
    API,
    EVENT,
    EVENTS,
    HEAD,
    NOW,
    SECRET,
    SITE,
    WEBHOOK,
    Script,
    build,
    event,
    kind,
    request,
)
from pydantic import ValidationError

from bridge.core.connector import ApiResponse, Connector
from bridge.core.errors import HeldError, PermanentError, TemporaryError, UnconfirmedError

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def acme(lines: str = "", *, api: str = API, **settings: Any) -> Connector[Any]:
    block = "".join(f"  {line}\n" for line in lines.splitlines())
    return build(HEAD + WEBHOOK + api + block + EVENT + EVENTS, **{**SITE, **settings})


# -- signing in --------------------------------------------------------------------------------------


def test_requests_go_below_the_site_with_its_key_and_to_no_other_host() -> None:
    connector = acme()
    access = connector.authenticate(Script(connector))
    assert access is not None
    assert access.base_url == "https://lms.acme.example/api"
    assert access.headers == {"X-Key": "api-key-1"}
    assert connector.hosts() == ("lms.acme.example",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('bearer: "{{ settings.key }}"', "Bearer api-key-1"),
        ('basic: {username: "{{ settings.key }}"}', "Basic YXBpLWtleS0xOg=="),
        ('basic: {username: u, password: "{{ settings.key }}"}', "Basic dTphcGkta2V5LTE="),
    ],
)
def test_other_ways_to_sign_in(line: str, expected: str) -> None:
    connector = acme(api=API.replace('headers: {X-Key: "{{ settings.key }}"}', line))
    access = connector.authenticate(Script(connector))
    assert access is not None
    assert access.headers == {"Authorization": expected}


TOKEN = """headers: {Lw-Client: c-1}
    client_credentials:
      token_url: "{{ settings.site }}/oauth/token"
      client_id: c-1
      client_secret: "{{ settings.key }}"
"""


def test_a_token_is_asked_for_with_the_clients_secret() -> None:
    connector = acme(api=API.replace('headers: {X-Key: "{{ settings.key }}"}', TOKEN))
    script = Script(connector, {"access_token": "t-1", "expires_in": 3600})
    access = connector.authenticate(script)
    assert access is not None
    assert access.headers["Authorization"] == "Bearer t-1"
    assert access.expires_in == 3600
    (asked,) = script.asked
    assert asked["path"] == "https://lms.acme.example/oauth/token"
    assert dict(asked["form"]) == {
        "grant_type": "client_credentials",
        "client_id": "c-1",
        "client_secret": "api-key-1",
    }


def test_a_token_may_stand_elsewhere_in_the_answer_and_the_secret_in_a_login() -> None:
    token = TOKEN + "      send: basic\n      token: answer.tokenData.access_token\n"
    connector = acme(api=API.replace('headers: {X-Key: "{{ settings.key }}"}', token))
    script = Script(connector, {"tokenData": {"access_token": "t-2"}})
    access = connector.authenticate(script)
    assert access is not None
    assert access.headers["Authorization"] == "Bearer t-2"
    assert script.asked[0]["headers"]["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", {}, {"access_token": None}, {"access_token": 5}, [], {"access_token": " "}]
)
def test_an_answer_without_a_token_is_temporary(answer: object) -> None:
    connector = acme(api=API.replace('headers: {X-Key: "{{ settings.key }}"}', TOKEN))
    with pytest.raises(TemporaryError):
        connector.authenticate(Script(connector, answer))


@pytest.mark.parametrize(
    "site", ["lms.acme.example", "ftp://x.example", "https://u:p@x.example", "https://x.example/?a", ""]
)
def test_a_site_that_is_no_address_is_refused_with_the_configuration(site: str) -> None:
    with pytest.raises(ValidationError):
        acme(site=site)


def test_a_host_is_made_from_a_setting_that_can_only_be_part_of_a_host() -> None:
    api = API.replace("url: true", "optional: true").replace(
        "{{ settings.site }}/api", "https://{{ settings.site }}.acme.example/api"
    )
    assert acme(api=api, site="school").hosts() == ("school.acme.example",)
    for wrong in ("evil.example/", "evil.example#", "a@b", "a:1", "..", "a b", "é"):
        with pytest.raises(ValidationError, match="make no address"):
            acme(api=api, site=wrong)


def test_what_an_answer_means_is_said_in_the_declarations_words() -> None:
    connector = acme(api=API + "    explain: {403: The plan is too small for the API.}\n    wait_header: X-Reset\n")
    with pytest.raises(PermanentError, match=r"Acme LMS: The plan is too small for the API\. \(HTTP 403\)"):
        connector.check(ApiResponse(403, {}, b"", ""))
    with pytest.raises(TemporaryError) as caught:
        connector.check(ApiResponse(429, {"x-reset": "30"}, b"", ""))
    assert (caught.value.stable_code, caught.value.retry_after) == ("http_429", 30)


def test_the_rate_of_the_vendor_is_kept() -> None:
    rate = acme(api=API + "    rate: {requests: 30, per: 10 seconds}\n").rate
    assert rate is not None
    assert (rate.requests, rate.seconds) == (30, 10)


def test_the_credentials_can_be_tried() -> None:
    connector = acme(api=API + "    probe: /me\n")
    assert [finding.level for finding in connector.diagnose(Script(connector, {}))] == ["ok"]
    assert [finding.level for finding in connector.diagnose(Script(connector, (401, {})))] == ["error"]


def test_without_optional_credentials_there_is_no_api() -> None:
    api = API.replace("url: true", "url: true, optional: true").replace("secret: true", "secret: true, optional: true")
    text = HEAD + WEBHOOK + api + EVENT + EVENTS
    connector = build(text, header_token=SECRET)
    assert connector.authenticate(Script(connector)) is None
    assert connector.hosts() == ()
    with pytest.raises(ValidationError, match="site needs key"):
        build(text, header_token=SECRET, site="https://lms.acme.example")


# -- asking about an event ---------------------------------------------------------------------------

FETCH = """fetch:
  request: {url: "/users/{{ event.subject }}/courses/{{ data.course }}"}
  expect: answer.status == 'completed'
  because: The course is not completed (yet).
"""


def enriched(connector: Connector[Any], *answers: object, **changes: Any) -> Any:
    script = Script(connector, *answers)
    return connector.enrich(event(**changes), script), script


def test_what_the_vendor_says_stands_in_the_data() -> None:
    found, script = enriched(acme(FETCH), {"status": "completed", "grade": 9})
    assert found.data["fetched"] == {"status": "completed", "grade": 9}
    assert (found.event_id, found.subject) == ("e-1", "7")
    assert script.asked == [{"method": "GET", "path": "/users/7/courses/68"}]


@pytest.mark.parametrize("answer", [{"status": "started"}, {}, {"status": None}, [], b"", (404, {}), (410, b"")])
def test_what_the_vendor_does_not_confirm_is_asked_again_later(answer: object) -> None:
    with pytest.raises(UnconfirmedError, match="not completed"):
        enriched(acme(FETCH), answer)


@pytest.mark.parametrize(
    ("answer", "error"), [((500, b""), TemporaryError), ((403, b""), PermanentError), (b"<", TemporaryError)]
)
def test_other_answers_decide_as_their_status_says(answer: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        enriched(acme(FETCH), answer)


@pytest.mark.parametrize("odd", ["../admin", "a/b", "a?b=c", "a#b", "a%2fb", "ü", "a\r\nX: y", "a b"])
def test_a_value_is_one_part_of_the_address_and_never_more(odd: str) -> None:
    _, script = enriched(acme(FETCH), {"status": "completed"}, subject=odd)
    path = script.asked[0]["path"]
    assert path.startswith("/users/")
    assert path.endswith("/courses/68")
    assert path.count("/") == 4
    assert not set(path) & set("?#\r\n ")
    assert path.isascii()


@pytest.mark.parametrize("odd", [None, "", "..", ".", "x" * 600])
def test_an_event_that_lacks_what_is_needed_to_ask_is_held(odd: str | None) -> None:
    with pytest.raises(HeldError, match="cannot be asked about"):
        enriched(acme(FETCH), subject=odd)


def test_only_the_named_events_are_asked_about() -> None:
    found, _ = enriched(acme(FETCH.replace("fetch:\n", "fetch:\n  events: [other]\n")))
    assert "fetched" not in found.data


def test_of_the_answer_what_is_wanted_is_kept() -> None:
    found, _ = enriched(
        acme(FETCH + '  data: {grade: "{{ answer.grade }}", note: "{{ answer.note }}"}\n'),
        {"status": "completed", "grade": 9, "secret": "x"},
    )
    assert found.data["fetched"] == {"grade": 9, "note": None}


POINTER = """fetch:
  request: {follow: data.api_url, hosts: [www.acme.example]}
"""
POINTED = EVENT.replace("data.user", "data.fetched.user").replace("data.course", "data.fetched.course")


def pointing() -> Connector[Any]:
    block = "".join(f"  {line}\n" for line in POINTER.splitlines())
    return build(HEAD + WEBHOOK + API + block + POINTED + EVENTS, **SITE)


def test_an_event_that_only_points_is_completed_with_learner_and_course() -> None:
    connector = pointing()
    (thin,) = connector.parse(
        request({"type": "done", "id": "1", "api_url": "https://www.acme.example/v3/a/1/?x=1", "at": "2026-02-14"})
    )
    assert (thin.subject, thin.course, thin.keys) == (None, None, ())
    script = Script(connector, {"user": "7", "course": "68"})
    full = connector.enrich(thin, script)
    assert (full.subject, full.course, full.keys) == ("7", "68", ("done:7:68@2026-02-14",))
    assert full.event_id == thin.event_id
    assert script.asked[0]["path"] == "https://www.acme.example/v3/a/1/?x=1"
    assert set(connector.hosts()) == {"lms.acme.example", "www.acme.example"}


def test_an_answer_cannot_make_another_learner_of_the_one_that_was_named() -> None:
    words = EVENT.replace("{{ data.user }}", "{{ data.fetched.user | first_of(data.user) }}", 1)
    block = "".join(f"  {line}\n" for line in POINTER.splitlines())
    connector = build(HEAD + WEBHOOK + API + block + words + EVENTS, **SITE)
    item = {"type": "done", "id": "1", "user": "7", "api_url": "https://www.acme.example/v3/a/1/"}
    (thin,) = connector.parse(request(item))
    full = connector.enrich(thin, Script(connector, {"user": "8"}))
    assert (thin.subject, full.subject) == ("7", "7")


@pytest.mark.parametrize(
    "url",
    [
        "http://www.acme.example/",
        "https://www.acme.example.evil.example/",
        "https://evil.example/?www.acme.example",
        "https://www.acme.example@evil.example/",
        "https://evil.example\\@www.acme.example/",
        "https://www.acme.example:8443/",
        "https://www.acme.example:x/",
        "https://sub.www.acme.example/",
        "https://WWW.ACME.EXAMPLE@evil.example/",
        "https://127.0.0.1/",
        "https://www.acme.example/a b",
        "https://www.acme.examp\u0142e/",
        "//www.acme.example/",
        "/v3/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://[::1]/",
        "https://",
    ],
)
def test_a_pointer_to_anywhere_else_is_never_followed(url: str) -> None:
    connector = pointing()
    script = Script(connector)
    with pytest.raises(PermanentError, match="was not called"):
        connector.enrich(event(data={"api_url": url}), script)
    assert script.asked == []


# -- polls -------------------------------------------------------------------------------------------

POLL = """poll:
  every: 5 minutes
  request: {url: /completions, query: {since: "{{ since | to_iso }}", page: "{{ page }}"}}
  items: answer.data
  type: done
"""


def items(*numbers: int) -> dict[str, Any]:
    return {
        "data": [{"id": f"e-{number}", "user": str(number), "course": "68", "at": "2026-02-14"} for number in numbers]
    }


def polled(lines: str, *answers: object, cursor: dict[str, Any] | None = None) -> tuple[list[Any], Script]:
    connector = acme(lines)
    script = Script(connector, *answers)
    pages = list(connector.poll(script, cursor or {}, SINCE, NOW))
    assert not script.answers
    return pages, script


def ids(pages: list[Any]) -> list[list[str]]:
    return [[event.event_id for event in page.events] for page in pages]


def test_a_first_poll_asks_from_the_start_line_and_the_next_from_this_one_with_an_overlap() -> None:
    pages, script = polled(POLL, items(1, 2))
    assert ids(pages) == [["e-1", "e-2"]]
    assert script.asked[0]["query"] == {"since": "2026-01-01T00:00:00Z"}
    cursor = pages[-1].cursor
    _, again = polled(POLL, items(), cursor=cursor)
    expected = (NOW - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert again.asked[0]["query"] == {"since": expected}


def test_pages_are_counted_until_one_is_empty() -> None:
    pages, script = polled(POLL + "  pages: {by: number}\n", items(1), items(2), items())
    assert ids(pages) == [["e-1"], ["e-2"], []]
    assert [asked["query"]["page"] for asked in script.asked] == ["1", "2", "3"]


def test_an_offset_counts_items() -> None:
    _, script = polled(POLL + "  pages: {by: offset}\n", items(1, 2, 3), items(4), items())
    assert [asked["query"]["page"] for asked in script.asked] == ["0", "3", "4"]


def test_a_page_that_is_said_to_be_the_last_ends_the_poll() -> None:
    first = {**items(1), "more": True}
    pages, _ = polled(POLL + "  pages: {by: number, last: answer.more == false}\n", first, {**items(2), "more": False})
    assert ids(pages) == [["e-1"], ["e-2"]]


@pytest.mark.parametrize("link", ["/api/completions?page=b", "https://lms.acme.example/api/completions?page=b"])
def test_a_link_leads_to_the_next_page(link: str) -> None:
    first = {**items(1), "links": {"next": link}}
    pages, script = polled(
        POLL + "  pages: {by: link, next: answer.links.next}\n", first, {**items(2), "links": {"next": None}}
    )
    assert ids(pages) == [["e-1"], ["e-2"]]
    assert script.asked[1] == {"method": "GET", "path": "https://lms.acme.example/api/completions?page=b"}


@pytest.mark.parametrize("link", ["https://evil.example/x", "//evil.example/x", "http://lms.acme.example/x"])
def test_a_link_to_another_host_is_never_followed(link: str) -> None:
    with pytest.raises(PermanentError, match="another host"):
        polled(POLL + "  pages: {by: link, next: answer.next}\n", {**items(1), "next": link})


def test_a_token_asks_for_the_next_page() -> None:
    answers = ({**items(1), "more": "t-2"}, {**items(2), "more": ""})
    pages, script = polled(POLL + "  pages: {by: token, next: answer.more}\n", *answers)
    assert ids(pages) == [["e-1"], ["e-2"]]
    assert [asked["query"].get("page") for asked in script.asked] == [None, "t-2"]


REPEATED = {
    "token": ("{by: token, next: answer.more}", {**items(1), "more": "t"}, {**items(2), "more": "t"}),
    "link": ("{by: link, next: answer.more}", {**items(1), "more": "/api/a"}, {**items(2), "more": "/api/a"}),
    "number": ("{by: number}", items(1), items(1)),
    "offset": ("{by: offset}", items(1), items(1)),
    "the same page behind a link": ("{by: link, next: answer.more}", {**items(1), "more": "/api/a"}, items(1)),
}


@pytest.mark.parametrize("way", list(REPEATED))
def test_case_contracts_3_a_page_that_comes_again_is_an_error_and_never_the_end(way: str) -> None:
    pages, *answers = REPEATED[way]
    with pytest.raises(TemporaryError, match="does not go on") as caught:
        polled(f"{POLL}  pages: {pages}\n", *answers)
    assert caught.value.stable_code == "list"


def test_a_poll_that_stopped_in_the_middle_goes_on_from_there() -> None:
    lines = POLL + "  pages: {by: number, most: 1}\n"
    pages, _ = polled(lines, items(1))
    cursor = pages[-1].cursor
    later, script = polled(lines, items(), cursor=cursor)
    assert script.asked[0]["query"] == {"since": "2026-01-01T00:00:00Z", "page": "2"}
    assert later[-1].cursor == {"since": (NOW - timedelta(hours=1)).isoformat()}


@pytest.mark.parametrize("name", ["Dana \ud83d", "Dana \x00", "\udc00"])
def test_half_an_emoji_in_one_name_does_not_hide_the_others(name: str) -> None:
    answer = items(1, 2)
    answer["data"][0]["name"] = name
    pages, _ = polled(POLL, answer)
    assert ids(pages) == [["e-1", "e-2"]]
    assert "\ufffd" in pages[0].events[0].data["name"]


@pytest.mark.parametrize("odd", ["t" * 5_000, {"page": 2}, ["t"]])
def test_a_next_page_that_cannot_be_read_fails_the_poll_instead_of_ending_it(odd: object) -> None:
    with pytest.raises(TemporaryError, match="a next page that is none"):
        polled(POLL + "  pages: {by: token, next: answer.more}\n", {**items(1), "more": odd})


@pytest.mark.parametrize("none", [None, "", [], {}, False])
def test_no_next_page_ends_the_poll_however_that_is_written(none: object) -> None:
    pages, _ = polled(POLL + "  pages: {by: token, next: answer.more}\n", {**items(1), "more": none})
    assert "going" not in pages[-1].cursor


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_page_that_the_vendor_no_longer_knows_begins_the_list_anew_instead_of_failing_for_ever(status: int) -> None:
    lines = POLL + "  pages: {by: token, next: answer.more}\n"
    cursor = {"since": "2026-01-01T00:00:00Z", "going": {"page": "expired", "began": NOW.isoformat()}}
    pages, script = polled(lines, (status, {"error": "no such page"}), items(1), cursor=cursor)
    assert ids(pages) == [["e-1"]]
    assert [asked["query"].get("page") for asked in script.asked] == ["expired", None]
    assert "going" not in pages[-1].cursor


@pytest.mark.parametrize(("status", "cursor"), [(403, {"going": {"page": "t"}}), (404, {})])
def test_any_other_refusal_still_fails_the_poll(status: int, cursor: dict[str, Any]) -> None:
    with pytest.raises(PermanentError):
        polled(POLL + "  pages: {by: token, next: answer.more}\n", (status, {}), cursor=cursor)


def test_items_that_are_no_events_are_left_out() -> None:
    answer = {
        "data": [
            None,
            1,
            "x",
            {},
            [],
            {"done": "no", "id": "1"},
            {"id": "2"},
            {"done": "yes", "id": "3"},
            {"done": [], "id": "4"},
        ]
    }
    pages, _ = polled(POLL + "  only: item.done\n", answer)
    assert ids(pages) == [["3"]]


EACH = (
    POLL
    + """\
  each: {request: {url: "/users/{{ outer.id }}/courses"}, items: answer.courses}
  only: item.status == 'completed'
  data: {id: "{{ outer.id }}-{{ item.id }}", user: "{{ outer.id }}", course: "{{ item.id }}", name: "{{ outer.name }}"}
"""
)


def test_a_second_request_for_each_item_of_the_list_finds_what_is_below_it() -> None:
    learners = {"data": [{"id": 7, "name": "Dana"}, None, {"id": 8, "name": "Lee"}]}
    done, begun = {"id": 68, "status": "completed"}, {"id": 69, "status": "started"}
    pages, script = polled(EACH, learners, {"courses": [done, begun]}, {"courses": []})
    assert [asked["path"] for asked in script.asked] == ["/completions", "/users/7/courses", "/users/8/courses"]
    (event,) = pages[0].events
    assert (event.event_id, event.subject, event.course) == ("7-68", "7", "68")
    assert event.data["name"] == "Dana"


DETAILED = EACH.replace(
    "  only: item.status ==",
    """\
  detail:
    when: item.status is undefined
    request_of: x
  expect: (item.status | first_of(detail.status)) is defined
  only: (item.status | first_of(detail.status)) ==""",
).replace("    request_of: x\n", '    url: /progress\n    query: {user: "{{ outer.id }}", course: "{{ item.id }}"}\n')


def test_what_the_list_leaves_out_is_asked_for_item_by_item() -> None:
    listed = {"courses": [{"id": 68}, {"id": 69, "status": "completed"}, {"id": 70}, {"id": 71}]}
    answers = ({"status": "completed"}, {"status": "begun"}, (404, {}))
    pages, script = polled(DETAILED, {"data": [{"id": 7}]}, listed, *answers)
    assert ids(pages) == [["7-68", "7-69"]]
    assert [asked["query"] for asked in script.asked if asked["path"] == "/progress"] == [
        {"user": "7", "course": number} for number in ("68", "70", "71")
    ]


def test_items_of_which_neither_the_list_nor_a_look_says_anything_fail_the_poll() -> None:
    for nothing in ({}, (404, {})):
        with pytest.raises(TemporaryError, match="looks different from what is declared"):
            polled(DETAILED, {"data": [{"id": 7}]}, {"courses": [{"id": 68}]}, nothing)
    with pytest.raises(PermanentError):
        polled(DETAILED, {"data": [{"id": 7}]}, {"courses": [{"id": 68}]}, (403, {}))


PAGED = EACH.replace(
    ", items: answer.courses}", ", items: answer.courses, pages: {by: link, next: answer._links.next}}"
)


def test_the_second_list_is_followed_to_its_last_page_for_each_item() -> None:
    learners = {"data": [{"id": 7}, {"id": 8}]}
    done = [{"courses": [{"id": number, "status": "completed"}]} for number in (68, 69, 70)]
    more = {**done[0], "_links": {"next": "/api/users/7/courses?page=2"}}
    pages, script = polled(PAGED, learners, more, done[1], done[2])
    assert ids(pages) == [["7-68", "7-69", "8-70"]]
    assert [asked["path"] for asked in script.asked[1:]] == [
        "/users/7/courses",
        "https://lms.acme.example/api/users/7/courses?page=2",
        "/users/8/courses",
    ]


def test_a_second_list_without_an_end_fails_the_poll_instead_of_being_cut_off() -> None:
    lines = PAGED.replace("next: answer._links.next}", "next: answer.next, most: 2}")
    endless = [{"courses": [], "next": f"/api/{number}"} for number in range(2)]
    with pytest.raises(TemporaryError, match="more than 2 pages"):
        polled(lines, {"data": [{"id": 7}]}, *endless)


EXPECTING = POLL + "  expect: item.status is defined\n  only: item.status == 'completed'\n"


def test_a_list_that_looks_different_from_what_is_declared_fails_the_poll() -> None:
    with pytest.raises(TemporaryError, match=r'"item\.status is defined" is true of nothing in it') as caught:
        polled(EXPECTING, items(1, 2))
    assert caught.value.stable_code == "list"


def test_one_odd_item_among_others_and_an_empty_list_are_nothing_unusual() -> None:
    done = {"id": "e-1", "status": "completed"}
    assert ids(polled(EXPECTING, {"data": [{"id": "odd"}, None, done]})[0]) == [["e-1"]]
    assert ids(polled(EXPECTING, {"data": []})[0]) == [[]]


def test_more_items_than_can_be_read_at_once_fail_the_poll_instead_of_being_left_out() -> None:
    with pytest.raises(TemporaryError, match="more than 10,000 items in one answer"):
        polled(POLL, {"data": [{}] * 10_001})


def test_an_item_below_which_nothing_can_be_asked_stops_the_poll_and_not_silently() -> None:
    with pytest.raises(TemporaryError, match=r"outer\.id is missing"):
        polled(EACH, {"data": [{"name": "Dana"}]})


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": "x"}, {"data": {}}, [], b"", b"<html>"])
def test_a_list_that_is_none_is_temporary_and_moves_no_cursor(answer: object) -> None:
    with pytest.raises(TemporaryError):
        polled(POLL, answer)


@pytest.mark.parametrize(
    "cursor", [{"since": 5}, {"since": "soon"}, {"going": []}, {"going": {"page": None}}, {"going": {"since": {}}}]
)
def test_a_cursor_that_makes_no_sense_starts_over(cursor: dict[str, Any]) -> None:
    _, script = polled(POLL, items(), cursor=cursor)
    assert script.asked[0]["query"] == {"since": "2026-01-01T00:00:00Z"}


def test_webhook_and_poll_make_the_same_event_of_the_same_data() -> None:
    pages, _ = polled(POLL, items(1))
    (sent,) = acme(POLL).parse(request({"type": "done", **items(1)["data"][0]}))
    (found,) = pages[0].events
    assert (found.keys, found.subject, found.course) == (sent.keys, sent.subject, sent.course)


def test_a_source_is_polled_where_its_api_is_set_up() -> None:
    assert acme(POLL).polls()
    assert not acme().polls()
    assert acme(POLL).poll_every == timedelta(minutes=5)
    optional = API.replace("url: true", "url: true, optional: true").replace(
        "secret: true", "secret: true, optional: true"
    )
    text = HEAD + WEBHOOK + optional + "".join(f"  {line}\n" for line in POLL.splitlines()) + EVENT + EVENTS
    assert not build(text, header_token=SECRET).polls()


def test_a_source_may_be_polled_alone() -> None:
    text = HEAD + API + "".join(f"  {line}\n" for line in POLL.splitlines()) + EVENT + EVENTS
    connector = build(text, site="https://lms.acme.example", key="k-1")
    assert connector.polls()
    assert kind(text).abilities.webhook == "-"
    from bridge.core.errors import SignatureError

    with pytest.raises(SignatureError, match="polled"):
        connector.verify(request())
