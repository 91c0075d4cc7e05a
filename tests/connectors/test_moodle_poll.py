"""Finding completions without a webhook: a report for the whole site, or the enrolments; and asking about a learner."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract import DEFAULTS, NOW, Case, ConnectorContract, cases
from moodle_captures import COMPLETION, COURSES, USERS, Replay, answer, captured, moodle, parsed
from scripted_api import Answer, ScriptedApi

from bridge.core.connector import CourseFound, Page
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import SourceEvent
from connectors.moodle import enrolments, report

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
LIST, RETRIEVE = "core_reportbuilder_list_reports", "core_reportbuilder_retrieve_report"
ENROLLED, THEIRS = "core_enrol_get_enrolled_users", "core_enrol_get_users_courses"
# What criteria said when the report was captured; the report itself was shown an hour ahead of UTC.
SECOND = 1795353871
HEADERS = ["Full name with link", "Course full name with link", "Time completed"]


def polled(
    *script: tuple[str, Answer], cursor: dict[str, Any] | None = None, since: datetime = SINCE, **poll: Any
) -> list[Page]:
    connector = moodle(poll=poll)
    api = ScriptedApi(connector, *script)
    pages = list(connector.poll(api, cursor or {}, since, NOW))
    assert api.done
    for page in pages:
        json.dumps(page.cursor)
    return pages


def events(pages: list[Page]) -> list[SourceEvent]:
    return [event for page in pages for event in page.events]


def user_link(number: object = 3) -> str:
    return f'<a href="https://moodle.example/user/profile.php?id={number}">Maria</a>'


def course_link(number: object = 2) -> str:
    return f'<a href="https://moodle.example/course/view.php?id={number}">Fire &amp; Safety</a>'


def shown(*rows: list[object], headers: list[str] = HEADERS, total: int | None = None) -> tuple[str, Answer]:
    data = {"headers": headers, "rows": [{"columns": row} for row in rows]}
    return RETRIEVE, Answer({"details": {}, "data": {**data, "totalrowcount": len(rows) if total is None else total}})


def row(time: str, user: object = 3, course: object = 2) -> list[object]:
    return [user_link(user), course_link(course), time]


# -- the report ----------------------------------------------------------------------------------------


def test_one_request_finds_the_completions_of_the_whole_site() -> None:
    found = events(polled((RETRIEVE, answer("rb-retrieve")), report="1"))
    assert [(event.subject, event.course) for event in found] == [
        ("3", "2"),
        ("4", "3"),
        ("8", "4"),
        ("5", "4"),
        ("4", "4"),
        ("3", "4"),
    ]
    assert {event.event_type for event in found} == {"\\core\\event\\course_completed"}


def test_case_05_a_lost_webhook_is_found_and_means_the_same() -> None:
    connector = moodle()
    names = ["completion-complete", "users-by-id", "mlang-off-course2-raw"]
    (case,) = [case for case in cases("moodle") if case.folder.name == "course_completed-by-learner"]
    shown_at = datetime.fromtimestamp(SECOND, UTC).strftime("%A, %d %B %Y, %I:%M %p")
    (thin,) = events(polled(shown(row(shown_at)), report="1"))
    webhook, poll = (
        connector.enrich(event, Replay(connector, names)) for event in (connector.parse(case.request())[0], thin)
    )
    completions = [mapped(event) for event in (webhook, poll)]
    assert completions[0] == completions[1]
    assert set(webhook.keys) >= set(poll.keys)
    # Known by its minute before anything is asked about it again.
    assert set(thin.keys) <= set(webhook.keys)
    assert webhook.data.keys() == poll.data.keys()


def mapped(event: SourceEvent) -> Any:
    contract = Shipped()
    return contract.mapping().apply(event, defaults=DEFAULTS).outcome.model_copy(update={"keys": ()})


class Shipped(ConnectorContract):
    """The shipped mapping."""

    connector = "moodle"

    def api(self, case: Case) -> Any:
        return None


def test_a_report_is_found_by_its_name_whatever_the_capitals() -> None:
    details = captured("rb-retrieve")["response"]["body_json"]["details"]
    listed = (LIST, Answer({"reports": [{"id": 7, "name": "R &amp; D"}, details]}))
    connector = moodle(poll={"report": "recent Completions"})
    api = ScriptedApi(connector, listed, (RETRIEVE, answer("rb-retrieve")))
    assert events(list(connector.poll(api, {}, SINCE, NOW)))
    assert api.asked[1].form["reportid"] == "1"


def test_a_report_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(PermanentError, match=r"no report named 'Completions'.*'Other'.*reportbuilder:viewall"):
        polled((LIST, Answer({"reports": [{"id": 7, "name": "Other"}]})), report="Completions")


def test_case_28_a_report_that_may_not_be_seen_names_the_capability() -> None:
    with pytest.raises(PermanentError, match="moodle/reportbuilder:viewall"):
        polled((RETRIEVE, answer("rb-retrieve-noperm")), report="1")


def test_a_report_with_a_number_that_is_not_there_is_said_so() -> None:
    with pytest.raises(PermanentError, match=r"no such record.*core_reportbuilder_retrieve_report"):
        polled((RETRIEVE, answer("rb-retrieve-unknown")), report="77")


def test_a_learner_enrolled_twice_is_found_once() -> None:
    twice = row("Sunday, 22 November 2026, 2:24 PM")
    assert len(events(polled(shown(twice, twice), report="1"))) == 1


def test_all_pages_are_read_and_the_cursor_moves_with_the_last_one() -> None:
    many = [row("Sunday, 22 November 2026, 2:24 PM", user) for user in range(10, 260)]
    last = shown(row("Saturday, 21 November 2026, 2:24 PM", 9), total=251)
    pages = polled(shown(*many, total=251), last, report="1", cursor={"polled": "2026-11-22T00:00:00+00:00"})
    assert [len(page.events) for page in pages] == [250, 1]
    assert [page.cursor["polled"][:10] for page in pages] == ["2026-11-22", "2026-11-23"]


def test_an_empty_report_moves_the_cursor_too() -> None:
    assert [page.cursor for page in polled(shown(), report="1")] == [{"polled": NOW.isoformat()}]


def test_each_poll_looks_back_thirty_days_because_cron_dates_completions_back() -> None:
    rows = [row("Sunday, 22 November 2026, 2:24 PM"), row("Friday, 30 October 2026, 9:00 AM", 4)]
    rows.append(row("Thursday, 1 October 2026, 9:00 AM", 5))
    found = events(polled(shown(*rows), report="1", cursor={"polled": "2026-11-22T00:00:00+00:00"}))
    assert [event.subject for event in found] == ["3", "4"]
    after_an_outage = events(polled(shown(*rows), report="1", cursor={"polled": "2026-10-25T00:00:00+00:00"}))
    assert len(after_an_outage) == 3


def test_the_first_poll_looks_back_to_the_start_line() -> None:
    old = row("Thursday, 1 January 2026, 9:00 AM")
    assert len(events(polled(shown(old), report="1", since=SINCE))) == 1
    assert events(polled(shown(old), report="1", since=SINCE + timedelta(days=30))) == []


def test_a_completion_in_the_minute_of_the_start_line_is_not_older_than_it() -> None:
    start = datetime(2026, 11, 22, 14, 24, 30, tzinfo=UTC)
    (event,) = events(polled(shown(row("Sunday, 22 November 2026, 2:24 PM")), report="1", since=start))
    assert event.occurred_at is not None
    assert event.occurred_at >= start


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Sunday, 22 November 2026, 2:24 PM", (2026, 11, 22, 14, 24)),
        ("Sunday, 22 November 2026, 12:05 AM", (2026, 11, 22, 0, 5)),
        ("Sunday, 22 November 2026, 12:05 PM", (2026, 11, 22, 12, 5)),
        ("Sunday, November 22, 2026, 2:24 PM", (2026, 11, 22, 14, 24)),
        ("22 Nov 2026, 14:24", (2026, 11, 22, 14, 24)),
        ("Sunday, 22 November 2026, 2:24\u202fpm", (2026, 11, 22, 14, 24)),
        ("1 Sept. 2026 9:03 a.m.", (2026, 9, 1, 9, 3)),
        ("<span>Sunday, 22 November 2026, 2:24&nbsp;PM</span>", (2026, 11, 22, 14, 24)),
    ],
)
def test_a_time_is_read_in_every_english_way(text: str, moment: tuple[int, int, int, int, int]) -> None:
    assert report.instant(text) == datetime(*moment, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["Sonntag, 22. November 2026, 14:24", "dimanche 22 novembre 2026, 14:24", "soon", "31 June 2026, 9:00", "9" * 500],
)
def test_a_time_in_another_language_says_what_to_set_instead_of_being_left_out(text: str) -> None:
    with pytest.raises(PermanentError, match=r"language to English and the time zone to UTC"):
        polled(shown(row(text)), report="1")


def test_the_columns_may_stand_in_any_order_under_any_name() -> None:
    cells: list[object] = ["Sunday, 22 November 2026, 2:24 PM", None, course_link(), user_link()]
    (event,) = events(polled(shown(cells, headers=["Abgeschlossen", "", "Kurs", "Name"]), report="1"))
    assert (event.subject, event.course) == ("3", "2")


def test_a_row_that_is_not_completed_is_left_out() -> None:
    rows = [row(""), row("-"), row("Sunday, 22 November 2026, 2:24 PM", 4)]
    assert [event.subject for event in events(polled(shown(*rows), report="1"))] == ["4"]


@pytest.mark.parametrize("cells", [["Maria", course_link()], [user_link(), "Fire Safety"]])
def test_names_without_links_say_which_columns_to_add(cells: list[object]) -> None:
    with pytest.raises(PermanentError, match=r"Full name with link.*Course full name with link"):
        polled(shown([*cells, "Sunday, 22 November 2026, 2:24 PM"]), report="1")


def test_two_columns_of_dates_need_the_name_of_the_right_one() -> None:
    dates = ["Sunday, 22 November 2026, 2:24 PM", "Monday, 23 November 2026, 2:24 PM"]
    with pytest.raises(PermanentError, match=r"no column \"Time completed\" \(it has: A, B, C, D\)"):
        polled(shown([user_link(), course_link(), *dates], headers=["A", "B", "C", "D"]), report="1")
    cells: list[object] = [user_link(), course_link(), *dates]
    (event,) = events(polled(shown(cells, headers=["A", "B", "Time enrolled", "Time completed"]), report="1"))
    assert event.occurred_at is not None
    assert event.occurred_at.day == 23


def test_links_of_moodle_in_another_form_are_understood() -> None:
    cells: list[object] = [
        '<a href="https://m.example/user/view.php?course=2&amp;id=31">M</a>',
        '<a href="https://m.example/course/view.php?section=1&id=22">C</a>',
        "Sunday, 22 November 2026, 2:24 PM",
    ]
    (event,) = events(polled(shown(cells), report="1"))
    assert (event.subject, event.course) == ("31", "22")


def test_the_guest_and_the_front_page_are_skipped_in_reports_too() -> None:
    rows = [row("22 Nov 2026, 14:24", 1), row("22 Nov 2026, 14:24", 3, 1)]
    assert all(event.skip for event in events(polled(shown(*rows), report="1")))


@pytest.mark.parametrize("odd", [None, [], {}, {"data": None}, {"data": {"rows": [None, {"columns": 3}]}}], ids=str)
def test_an_answer_of_another_shape_is_an_empty_page(odd: object) -> None:
    assert events(polled((RETRIEVE, Answer(odd)), report="1")) == []


def test_a_report_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_PAGES", 3)
    monkeypatch.setattr(report, "_PER_PAGE", 2)
    page = shown(row("22 Nov 2026, 14:24"), row("22 Nov 2026, 14:25"), total=10**9)
    with pytest.raises(PermanentError, match="Time completed, in the last 30 days"):
        polled(page, page, page, report="1")


# -- the enrolments ------------------------------------------------------------------------------------


def learners(*numbers: int) -> tuple[str, Answer]:
    return ENROLLED, Answer([{"id": number, "fullname": "x"} for number in numbers])


def course(*numbers: int) -> list[tuple[str, Answer]]:
    """Returns a course's participants, and the empty page behind them."""
    return [learners(*numbers), learners()]


def theirs(**completed: bool) -> tuple[str, Answer]:
    return THEIRS, Answer([{"id": int(course[1:]), "completed": done} for course, done in completed.items()])


COMPLETED = (COMPLETION, answer("completion-complete"))
MINUTE = SECOND - SECOND % 60


def test_without_plugin_and_report_a_token_is_all_that_is_needed() -> None:
    connector = moodle(webhook_token=None)
    assert connector.polls()
    script = [(COURSES, answer("course-by-id")), *course(3, 4), theirs(c2=True), theirs(c2=False), COMPLETED]
    (event,) = events(list(connector.poll(ScriptedApi(connector, *script), {}, SINCE, NOW)))
    assert (event.subject, event.course, event.event_id) == ("3", "2", f"completed:3:2:{MINUTE}")
    assert event.occurred_at == datetime.fromtimestamp(SECOND, UTC)
    assert f"completed:3:2:{SECOND}" in event.keys


def test_a_source_with_a_webhook_looks_through_enrolments_only_when_asked_to() -> None:
    assert not moodle().polls()
    assert moodle(poll={"courses": "all"}).polls()
    assert moodle(poll={"report": "1"}).polls()
    assert moodle(webhook_token=None, url_token="token-of-the-address").polls() is False


def test_hidden_courses_and_those_without_completion_are_not_looked_through() -> None:
    courses = [
        {"id": 1, "visible": 1, "enablecompletion": 1},
        {"id": 2, "visible": 0, "enablecompletion": 1},
        {"id": 3, "visible": 1, "enablecompletion": 0},
        {"id": 4, "visible": 1, "enablecompletion": 1},
    ]
    connector = moodle(poll={"courses": "all"})
    api = ScriptedApi(connector, (COURSES, Answer({"courses": courses})), *course(3), theirs(c4=False))
    assert events(list(connector.poll(api, {}, SINCE, NOW))) == []
    assert api.asked[1].form["courseid"] == "4"


def test_a_completion_that_is_known_is_not_asked_about_again() -> None:
    first = polled(*course(3), theirs(c2=True, c9=True), COMPLETED, courses=["2"])
    assert [event.subject for event in events(first)] == ["3"]
    assert events(polled(*course(3), theirs(c2=True), courses=["2"], cursor=first[-1].cursor)) == []


def test_case_15_a_completion_after_a_reset_is_found_again() -> None:
    known = polled(*course(3), theirs(c2=True), COMPLETED, courses=["2"])[-1].cursor
    reset = polled(*course(3), theirs(c2=False), courses=["2"], cursor=known)[-1].cursor
    assert len(events(polled(*course(3), theirs(c2=True), COMPLETED, courses=["2"], cursor=reset))) == 1


def test_case_13_a_completion_of_a_suspended_enrolment_stops_nothing() -> None:
    suspended = (COMPLETION, answer("susp-enrol-1-completion"))
    script = [*course(3, 4), theirs(c2=True), theirs(c2=True), suspended, COMPLETED]
    assert [event.subject for event in events(polled(*script, courses=["2"]))] == ["4"]


def test_a_large_site_is_looked_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolments, "LEARNERS_A_POLL", 2)
    script = course(3, 4, 5)
    first = polled(*script, theirs(c2=False), theirs(c2=False), courses=["2"])[-1].cursor
    assert first["after"] == 4
    second = polled(*script, theirs(c2=False), courses=["2"], cursor=first)[-1].cursor
    assert second["after"] == 0


def test_each_part_is_committed_so_that_a_broken_poll_goes_on_where_it_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolments, "_COMMIT_EVERY", 1)
    connector = moodle(poll={"courses": ["2"]})
    down = (THEIRS, answer("http-200-database-down"))
    api = ScriptedApi(connector, *course(3, 4), theirs(c2=True), COMPLETED, down)
    pages = connector.poll(api, {}, SINCE, NOW)
    cursor = next(pages).cursor
    with pytest.raises(TemporaryError):
        next(pages)
    again = polled(*course(3, 4), theirs(c2=True), COMPLETED, courses=["2"], cursor=cursor)
    assert [event.subject for event in events(again)] == ["4"]


def test_a_page_of_participants_is_followed_by_the_next_one_even_where_it_is_short() -> None:
    connector = moodle(poll={"courses": ["2"]})
    full = learners(*range(10, 210))
    api = ScriptedApi(connector, full, *course(3), *[theirs(c2=False)] * 201)
    list(connector.poll(api, {}, SINCE, NOW))
    assert [asked.form["options[0][value]"] for asked in api.asked[:3]] == ["0", "200", "400"]
    # A server that ignores the offset repeats itself; that is the end, too.
    api = ScriptedApi(connector, full, full, *[theirs(c2=False)] * 200)
    list(connector.poll(api, {}, SINCE, NOW))
    assert api.done


def test_case_28_empty_answers_about_every_learner_are_a_missing_permission() -> None:
    nothing = (THEIRS, answer("min-userscourses"))
    with pytest.raises(PermanentError, match="moodle/course:viewparticipants"):
        polled(*course(3, 4, 5, 6, 7), *[nothing] * 5, courses=["2"])
    assert events(polled(*course(3), nothing, courses=["2"])) == []


def test_courses_whose_settings_are_hidden_are_not_courses_without_completion() -> None:
    names = Answer({"courses": [{"id": 1, "fullname": "Site"}, {"id": 2, "fullname": "Fire"}]})
    with pytest.raises(PermanentError, match=r"no more than the names of its 1 courses.*moodle/course:view"):
        polled((COURSES, names), courses="all")
    without = Answer({"courses": [{"id": 2, "fullname": "Fire", "enablecompletion": 0}]})
    assert events(polled((COURSES, without), courses="all")) == []


def test_case_28_courses_in_which_moodle_shows_nobody_are_a_missing_permission() -> None:
    with pytest.raises(PermanentError, match=r"no participant in any of 1 courses.*moodle/user:viewdetails"):
        polled(*course(), courses=["2"])


def test_case_28_a_course_that_may_not_be_entered_names_the_capability() -> None:
    with pytest.raises(PermanentError, match="core_enrol_get_enrolled_users, which needs moodle/course:view, "):
        polled((ENROLLED, answer("min-enrolled")), courses=["2"])


def test_a_completion_without_a_time_is_left_to_a_person() -> None:
    status = (COMPLETION, Answer({"completionstatus": {"completed": True, "completions": []}}))
    (event,) = events(polled(*course(3), theirs(c2=True), status, courses=["2"]))
    assert (event.occurred_at, event.keys) == (None, ())
    connector = moodle()
    api = ScriptedApi(connector, status, (USERS, answer("users-by-id")), (COURSES, answer("mlang-off-course2-raw")))
    contract = Shipped()
    outcome = contract.mapping().apply(connector.enrich(event, api), defaults=DEFAULTS).outcome
    assert outcome.kind == "held"


@pytest.mark.parametrize("cursor", [{"known": 3, "after": "x"}, {"known": {"3": None}}, {"known": []}])
def test_an_odd_cursor_begins_anew(cursor: dict[str, Any]) -> None:
    assert len(events(polled(*course(3), theirs(c2=True), COMPLETED, courses=["2"], cursor=cursor))) == 1


def test_case_18_a_burst_of_a_whole_course_is_one_event_for_each_learner() -> None:
    rows = [row("Sunday, 22 November 2026, 2:24 PM", user) for user in range(3, 203)]
    found = events(polled(shown(*rows), report="1"))
    assert len({event.event_id for event in found}) == len({key for event in found for key in event.keys}) == 200


# -- asking --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("learner", "field"), [("3", "id"), (" jose.obrien@example.invalid ", "email"), ("learner1", "username")]
)
def test_a_learner_is_asked_about_by_number_address_or_user_name(learner: str, field: str) -> None:
    connector = moodle()
    done = (COMPLETION, answer("completion-complete"))
    api = ScriptedApi(connector, (USERS, answer("users-by-id")), (THEIRS, answer("users-courses")), done, done)
    found = connector.ask(api, learner)
    assert [(event.subject, event.course) for event in found] == [("3", "4"), ("3", "2")]
    assert api.asked[0].form["field"] == field
    assert found[1].keys == tuple(key for key in parsed_keys() if key.startswith("completed:"))


def parsed_keys() -> tuple[str, ...]:
    connector = moodle()
    names = ["completion-complete", "users-by-id", "mlang-off-course2-raw"]
    return connector.enrich(parsed(), Replay(connector, names)).keys


def test_a_learner_whom_moodle_does_not_show_is_said_so() -> None:
    connector = moodle()
    with pytest.raises(PermanentError, match=r"with the email 'x@example\.invalid'"):
        connector.ask(ScriptedApi(connector, (USERS, answer("users-by-id-unknown"))), "x@example.invalid")


def test_courses_are_listed_in_one_language_without_markup_and_without_the_front_page() -> None:
    connector = moodle()
    courses = [
        {"id": 1, "fullname": "Site", "shortname": "S"},
        {"id": 2, "fullname": 'H &amp; S <span lang="en" class="multilang">Basics</span>', "shortname": "R&D-2"},
        {"id": 3, "fullname": None, "shortname": ""},
    ]
    found = list(connector.courses(ScriptedApi(connector, (COURSES, Answer({"courses": courses})))))
    assert found == [CourseFound("2", "H & S Basics", "R&D-2"), CourseFound("3", "", None)]
