"""Polls: page by page, once, from where the last one ended; what is known by any way is left out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flow.harbour_site import AT, SINCE, Site, block
from flow.rig import PATIENCE

from bridge.app import open_bridge
from bridge.core.connector import Page
from bridge.core.errors import HeldError, PermanentError, TemporaryError, UnavailableError
from bridge.core.models import SourceEvent, State
from bridge.flow.poll import LONGEST_REST, Polled
from bridge.store import inbox, leases, outbox, sources

LIST = "GET /completions"
LATE = timedelta(minutes=20)


# -- what is new -----------------------------------------------------------------------------------


def test_what_the_source_tells_becomes_certificates_with_mail_and_write_back(any_harbour: Site) -> None:
    site = any_harbour
    site.first_contact()
    for learner in ("1", "2", "3"):
        site.vendor.complete(learner, AT)
    polled = site.poll()
    assert (len(polled.new), polled.lost, polled.known) == (3, (), 0)
    assert len(site.names()) == 3
    assert {row.state for row in site.rig.deliveries()} == {State.DONE}
    assert all("certificate" in one for one in site.vendor.learners.values())
    assert [row.entry for row in site.rig.requests()] == ["poll", "poll"], "one request stands for a page"
    # The vendor repeats an overlap each time.
    assert (site.poll().new, len(site.names())) == ((), 3)


def test_a_page_that_cannot_be_had_leaves_the_pages_before_it_and_the_next_poll_goes_on_there(harbour: Site) -> None:
    for learner in "12345":
        harbour.vendor.complete(learner, AT)
    pages = _pages_of(harbour, fail_after=1)
    with pytest.raises(TemporaryError):
        harbour.polling.poll(harbour.source)
    assert (harbour.state().cursor, len(harbour.rig.events())) == ({"after": 2}, 2)
    pages.clear()
    harbour.poll()
    assert harbour.state().cursor == {"after": 5}
    assert len(harbour.names()) == 5


def _pages_of(site: Site, *, fail_after: int) -> list[int]:
    """Lets the vendor fail after so many answers, until the list is emptied."""
    left = [fail_after]

    def answer(call: Any, respond: Any, wire: Any) -> Any:
        if left and LIST in call.name:
            if left[0] == 0:
                return site.vendor.problem(503, "down")
            left[0] -= 1
        return respond()

    site.vendor.interceptor = answer
    return left


def test_many_completions_of_the_same_second_are_all_found(harbour: Site) -> None:
    harbour.first_contact()
    for number in range(1, 14):
        harbour.vendor.complete(str(number), AT)
    assert len(harbour.poll().new) == 13
    assert len(harbour.names()) == 13


def test_completions_before_the_start_line_are_left_alone(harbour: Site) -> None:
    harbour.first_contact()
    harbour.vendor.complete("1", SINCE - timedelta(seconds=1))
    harbour.vendor.complete("2", SINCE)
    polled = harbour.poll()
    assert (len(polled.new), polled.older) == (1, 1)
    assert [row.event.subject for row in harbour.rig.events()] == ["2"]


def test_what_has_no_date_at_the_first_contact_was_there_before_and_later_ones_are_issued(any_harbour: Site) -> None:
    site = any_harbour
    site.vendor.complete("1", None)
    polled = site.poll()
    assert (polled.new, polled.older) == ((), 1)
    row = site.rig.event()
    assert (row.state, row.code) == (State.IGNORED, "before_start")
    assert "certbridge past" in (row.reason or "")
    site.vendor.complete("2", None)
    assert len(site.poll().new) == 1
    assert site.names() == ["Maria Novc"]


def test_the_first_contact_is_over_only_when_a_poll_came_to_its_end(harbour: Site) -> None:
    for learner in "1234":
        harbour.vendor.complete(learner, None)
    pages = _pages_of(harbour, fail_after=1)
    with pytest.raises(TemporaryError):
        harbour.polling.poll(harbour.source)
    assert harbour.state().first
    pages.clear()
    assert harbour.poll() == Polled(known=2, older=2)
    assert not harbour.state().first
    assert harbour.codes() == [("ignored", "before_start")] * 4


# -- what is known ---------------------------------------------------------------------------------


def test_a_completion_that_a_webhook_told_of_is_left_out(any_harbour: Site) -> None:
    site = any_harbour
    site.first_contact()
    said = site.vendor.complete("1", AT)
    site.told(site.vendor.completed(1, said))
    assert site.poll() == Polled(known=1)
    assert len(site.rig.events()) == 1


def test_without_a_shared_key_learner_course_and_time_tell(any_harbour: Site) -> None:
    site = any_harbour
    site.first_contact()
    said = site.vendor.complete("1", AT, enrolment=None)
    site.told(site.vendor.completed(1, {**said, "completed_at": (AT + timedelta(seconds=80)).isoformat()}))
    assert site.poll() == Polled(known=1)
    # Beyond `same_within` it is another completion; the mapping decides about that one.
    site.vendor.complete("1", AT + timedelta(days=1), enrolment=None)
    assert len(site.poll().new) == 1
    assert site.codes()[-1] == ("done", "reused")


@pytest.mark.parametrize("enrolment", ["", None])
def test_a_held_webhook_event_is_not_brought_in_once_more(any_harbour: Site, enrolment: str | None) -> None:
    site = any_harbour
    site.rig.mapping("harbour", "extends: harbour\nother_courses: hold\n")
    site.rig.take_over_mappings()
    site.first_contact()
    said = site.vendor.complete("1", AT, enrolment=enrolment)
    site.told(site.vendor.completed(1, said))
    assert site.codes() == [("held", "course_not_listed")]
    assert site.poll() == Polled(known=1)
    assert site.codes() == [("held", "course_not_listed")]


def test_a_webhook_event_that_nobody_came_to_work_on_yet_is_known_as_well(harbour: Site) -> None:
    harbour.first_contact()
    harbour.rig.bridge.workers.stop(timeout=5)
    said = harbour.vendor.complete("1", AT)
    assert harbour.webhook(harbour.vendor.completed(1, said)).status == 200
    assert harbour.polling.poll(harbour.source) == Polled(known=1)
    assert harbour.history("source.reconciled") == []


def test_what_enriching_told_of_a_held_event_counts_as_known(rig: Any, site: Site) -> None:
    site.rig.set("sources.harbour.thin", True)
    with site.rig.running():
        site.first_contact()
        said = site.vendor.complete("1", AT, enrolment=None)
        site.vendor.learners["1"]["name"] = ""
        site.told(site.vendor.completed(1, said))
        assert site.codes() == [("held", "held")]
        assert site.poll() == Polled(known=1)


def test_a_poll_event_that_came_before_is_known_by_its_id(harbour: Site) -> None:
    harbour.first_contact()
    harbour.vendor.complete("1", AT, enrolment=None)
    assert len(harbour.poll().new) == 1
    # Its record changed at the source; the event is the same.
    with harbour.vendor.lock:
        harbour.vendor.completions[0]["completed_at"] = (AT + timedelta(days=3)).isoformat()
    assert harbour.poll() == Polled(known=1)


def test_what_nobody_wants_is_stored_once_with_its_reason_and_is_not_called_old(harbour: Site) -> None:
    harbour.first_contact()
    unwanted = SourceEvent(event_id="x-1", event_type="lesson", keys=("x",), occurred_at=AT)
    skipped = SourceEvent(event_id="x-2", event_type="course.completed", skip="A guest.", occurred_at=AT)
    _yields(harbour, Page([unwanted, skipped], {"after": 0}))
    assert harbour.poll() == Polled(unwanted=2)
    assert harbour.codes() == [("ignored", "event_type"), ("ignored", "not_wanted")]
    assert harbour.poll() == Polled(known=2)


def _yields(site: Site, *pages: Any) -> None:
    site.source.connector.poll = lambda *_: iter(pages)  # type: ignore[method-assign]


# -- what a webhook lost ---------------------------------------------------------------------------


def test_what_is_found_although_webhooks_are_in_use_is_told(
    any_harbour: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site = any_harbour
    site.told(site.vendor.completed(1, site.vendor.complete("1", AT)))
    assert site.poll() == Polled(known=1)
    site.vendor.complete("2", AT)
    polled = site.poll()
    assert polled.lost == polled.new
    (said,) = site.history("source.reconciled")
    assert said == {"source": "harbour", "events": list(polled.new), "count": 1}
    assert "no webhook told of" in caplog.text


def test_what_a_webhook_may_still_tell_is_not_called_lost(harbour: Site) -> None:
    harbour.told(harbour.vendor.completed(1, harbour.vendor.complete("1", AT)))
    harbour.poll()
    harbour.vendor.complete("2", datetime.now(UTC) - timedelta(minutes=1))
    assert (len(harbour.poll().new), harbour.history("source.reconciled")) == (1, [])


def test_where_no_webhook_ever_came_nothing_is_lost(harbour: Site) -> None:
    harbour.first_contact()
    harbour.vendor.complete("1", AT)
    assert harbour.poll().lost == ()


# -- one node at a time ------------------------------------------------------------------------------


def test_only_one_node_polls_at_a_time(harbour: Site) -> None:
    harbour.vendor.complete("1", AT)
    begun, go_on = threading.Event(), threading.Event()

    def wait(call: Any, respond: Any, wire: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE)
        return respond()

    harbour.vendor.interceptor = wait
    other = replace(harbour.polling, node="another node")
    first: list[Polled | None] = []
    thread = threading.Thread(target=lambda: first.append(harbour.polling.poll(harbour.source)))
    thread.start()
    assert begun.wait(PATIENCE)
    assert other.poll(harbour.source) is None
    go_on.set()
    thread.join()
    assert [len(one.new) for one in first if one] == [1]
    assert other.poll(harbour.source) == Polled(known=1)


def test_a_poll_whose_lease_was_lost_stores_nothing(any_harbour: Site) -> None:
    site = any_harbour
    site.vendor.complete("1", AT)
    other = replace(site.polling, node="another node")

    def steal(call: Any, respond: Any, wire: Any) -> Any:
        site.vendor.interceptor = None
        # As after a sleep of the whole machine: the lease ran out, and another node took over.
        site.transact(lambda tx: leases.keep(tx, "poll:harbour", "x", -1))
        assert other.poll(site.source) is not None
        return respond()

    site.vendor.interceptor = steal
    with pytest.raises(TemporaryError, match="Another node has taken this poll over"):
        site.polling.poll(site.source)
    site.rig.wait_settled()
    assert len(site.rig.events()) == 1
    assert site.state().error is None


def test_a_person_who_ends_the_command_frees_the_source_at_once(harbour: Site) -> None:
    def interrupted(*_: object) -> Iterator[Page]:
        raise KeyboardInterrupt
        yield

    harbour.source.connector.poll = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        harbour.polling.poll(harbour.source)
    _yields(harbour)
    assert harbour.polling.poll(harbour.source) == Polled()


def test_a_poll_that_a_stop_interrupts_goes_on_later(site: Site) -> None:
    for learner in "12345":
        site.vendor.complete(learner, AT)
    with site.rig.running():

        def stop(call: Any, respond: Any, wire: Any) -> Any:
            site.polling.stopping.set()
            return respond()

        site.vendor.interceptor = stop
        assert len(site.poll().new) == 2
        site.vendor.interceptor = None
        state = site.state()
        assert (state.cursor, state.first, state.ended_at) == ({"after": 2}, True, None)
        assert site.polling.due(site.source, timedelta(days=1))
    with site.rig.running():
        site.poll()
        assert len(site.names()) == 5
        assert site.state().first is False


# -- when it fails -----------------------------------------------------------------------------------


def test_a_poll_that_failed_is_noted_without_secrets_and_comes_sooner(harbour: Site) -> None:
    secret = harbour.vendor.api_key

    def fails(*_: object) -> Iterator[Page]:
        raise ValueError(f"I was given {secret}")
        yield

    harbour.source.connector.poll = fails  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match=r"Unexpected ValueError: I was given \[redacted\]") as caught:
        harbour.polling.poll(harbour.source)
    assert secret not in repr((caught.value, caught.value.__cause__, harbour.state().error))
    assert "I was given [redacted]" in (harbour.state().error or "")
    assert secret not in harbour.rig.dump()
    day = timedelta(days=1)
    harbour.time_passes(timedelta(minutes=6))
    # A pause that is short anyway stays as it is.
    assert not harbour.polling.due(harbour.source, day)
    assert harbour.polling.due(harbour.source, timedelta(minutes=5))
    harbour.time_passes(timedelta(minutes=5))
    assert harbour.polling.due(harbour.source, day)


def test_what_a_connector_says_on_purpose_is_noted_without_secrets_too(harbour: Site) -> None:
    refused = PermanentError(f"Harbour refused the key {harbour.vendor.api_key}.")
    harbour.source.connector.poll = _raising(refused)  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match=r"refused the key \[redacted\]\."):
        harbour.polling.poll(harbour.source)
    assert harbour.state().error == "Harbour refused the key [redacted]."


def test_after_a_poll_that_went_well_its_pause_counts_and_the_error_is_gone(harbour: Site) -> None:
    harbour.source.connector.poll, real = _raising(PermanentError("no")), harbour.source.connector.poll  # type: ignore[method-assign]
    with pytest.raises(PermanentError):
        harbour.polling.poll(harbour.source)
    harbour.source.connector.poll = real  # type: ignore[method-assign]
    harbour.poll()
    assert harbour.state().error is None
    harbour.time_passes(timedelta(minutes=14))
    assert not harbour.polling.due(harbour.source, timedelta(minutes=15))
    harbour.time_passes(timedelta(minutes=2))
    assert harbour.polling.due(harbour.source, timedelta(minutes=15))


def _raising(error: BaseException) -> Any:
    def poll(*_: object) -> Iterator[Page]:
        raise error
        yield

    return poll


def _paused(site: Site) -> timedelta | None:
    def look(tx: Any) -> timedelta | None:
        row = sources.get(tx, "harbour")
        assert row is not None
        return row.paused_until - tx.now if row.paused_until else None

    found: timedelta | None = site.rig.read(look)
    return found


@pytest.mark.parametrize(
    ("asked", "longest"),
    [(90.0, 90.0), (1e300, LONGEST_REST), (float("inf"), LONGEST_REST), (31536000.0, LONGEST_REST)],
)
def test_a_vendor_that_is_asked_too_often_gets_its_rest_but_no_year(
    harbour: Site, asked: float, longest: float
) -> None:
    harbour.source.connector.poll = _raising(TemporaryError("slow down", code="http_429", retry_after=asked))  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match="slow down"):
        harbour.polling.poll(harbour.source)
    rests = _paused(harbour)
    assert rests is not None
    assert longest - 60 < rests.total_seconds() <= longest
    assert harbour.state().error == "slow down"
    assert not harbour.polling.due(harbour.source, timedelta(0))


@pytest.mark.parametrize("asked", [None, 0.0, -1.0, float("nan")])
def test_without_a_time_to_wait_the_source_does_not_rest(harbour: Site, asked: float | None) -> None:
    harbour.source.connector.poll = _raising(TemporaryError("slow down", code="http_429", retry_after=asked))  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match="slow down"):
        harbour.polling.poll(harbour.source)
    assert _paused(harbour) is None


def test_a_vendors_wish_does_not_end_the_rest_that_a_person_orders_meanwhile(harbour: Site) -> None:
    def ordered(*_: object) -> Iterator[Page]:
        harbour.rig.certbridge("sources", "pause", "harbour", "--reason", "they move house")
        raise TemporaryError("slow down", code="http_429", retry_after=5.0)
        yield

    harbour.source.connector.poll = ordered  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match="slow down"):
        harbour.polling.poll(harbour.source)
    assert (_paused(harbour) or timedelta()) > timedelta(days=1)


def test_a_source_that_rests_is_not_polled_and_says_why(harbour: Site) -> None:
    harbour.rig.certbridge("sources", "pause", "harbour", "--reason", "they move house")
    assert not harbour.polling.due(harbour.source, timedelta(0))
    with pytest.raises(PermanentError, match=r"harbour rests until .*they move house.*sources resume harbour"):
        harbour.polling.poll(harbour.source)
    assert harbour.vendor.named(LIST) == []
    harbour.rig.certbridge("sources", "resume", "harbour")
    assert harbour.polling.due(harbour.source, timedelta(0))


def test_a_source_with_too_much_waiting_is_not_asked_for_more(harbour: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert harbour.polling.due(harbour.source, timedelta(0))
    monkeypatch.setattr(harbour.polling, "overloaded", lambda name: name == "harbour")
    assert not harbour.polling.due(harbour.source, timedelta(0))


ODD = {
    "nothing": [None],
    "text": ["page"],
    "no list": [Page(None, {})],  # type: ignore[arg-type]
    "no events": [Page([None, "x"], {})],  # type: ignore[list-item]
    "a cursor that is no JSON": [Page([], {"at": AT})],
    "a cursor without end": [Page([], {"n": float("nan")})],
    "data that is no JSON": [
        Page([SourceEvent(event_id="1", event_type="course.completed", data={"x": object()})], {})
    ],
}


@pytest.mark.parametrize("pages", ODD.values(), ids=ODD.keys())
def test_a_connector_that_yields_garbage_harms_nobody_and_is_told_of(harbour: Site, pages: list[Any]) -> None:
    site = harbour
    _yields(site, *pages)
    with pytest.raises(TemporaryError, match=r"(?s)Unexpected \w+: .* Please report this"):
        site.polling.poll(site.source)
    assert site.rig.events() == []
    assert (site.state().first, site.state().cursor) == (True, {})
    assert "Please report this" in (site.state().error or "")
    # The lease is free again, and the next poll starts where the last good page ended.
    _yields(site, Page([], {"after": 1}))
    assert site.poll() == Polled()


@pytest.mark.parametrize(
    "error",
    [RuntimeError("odd"), RecursionError(), StopIteration(), HeldError("a person"), UnavailableError("no keys")],
)
def test_whatever_a_connector_raises_is_noted_and_the_lease_is_free_again(harbour: Site, error: Exception) -> None:
    harbour.source.connector.poll = _raising(error)  # type: ignore[method-assign]
    with pytest.raises((TemporaryError, HeldError, UnavailableError)):
        harbour.polling.poll(harbour.source)
    assert harbour.state().error
    _yields(harbour)
    assert harbour.polling.poll(harbour.source) == Polled()


def test_a_list_without_end_is_given_up(harbour: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.flow.poll.MOST_PAGES", 3)

    def endless(*_: object) -> Iterator[Page]:
        while True:
            yield Page([], {"after": 1})

    harbour.source.connector.poll = endless  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="more than 3 pages in one poll"):
        harbour.polling.poll(harbour.source)


def test_a_look_into_a_past_without_end_is_given_up(harbour: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.flow.past.MOST_PAGES", 3)
    given = iter(range(100))
    harbour.source.connector.poll = lambda *_: (Page([], {"after": number}) for number in given)  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="more than 3 pages"):
        harbour.rig.bridge.past.look(harbour.source, SINCE)


def test_a_page_of_very_many_is_stored_in_parts_and_the_cursor_moves_with_the_last(harbour: Site) -> None:
    harbour.first_contact()
    before = harbour.state().cursor
    many: list[Any] = [
        SourceEvent(event_id=f"e-{number}", event_type="completion", skip="a sample") for number in range(450)
    ]

    def yields(*_: object) -> Iterator[Page]:
        yield Page(many, {"after": 450})

    harbour.source.connector.poll = yields  # type: ignore[method-assign]
    whole, many[300] = many[300], None
    with pytest.raises(TemporaryError, match="AttributeError"):
        harbour.polling.poll(harbour.source)
    # What came before it is on disk: each part was a transaction of its own, between which webhooks are stored.
    assert (len(harbour.rig.events()), harbour.state().cursor) == (200, before)
    many[300] = whole
    polled = harbour.poll()
    assert (polled.known, polled.unwanted) == (200, 250)
    assert harbour.state().cursor == {"after": 450}


def test_a_pause_longer_than_the_calendar_is_no_reason_to_fail(harbour: Site) -> None:
    harbour.first_contact()
    assert harbour.polling.due(harbour.source, timedelta(weeks=999_999)) is False


def test_the_end_of_time_as_a_date_neither_stops_the_poll_nor_is_it_issued(harbour: Site) -> None:
    harbour.first_contact()
    harbour.vendor.complete("1", "9999-12-31T23:59:59+00:00")
    harbour.vendor.complete("2", AT)
    assert len(harbour.poll().new) == 2
    assert harbour.names() == ["Maria Novc"]
    assert harbour.codes()[0][0] == "held"


# -- test and live -----------------------------------------------------------------------------------


def test_a_source_that_went_from_test_to_live_is_polled_anew_and_nothing_of_the_test_counts(site: Site) -> None:
    site.rig.set("sources.harbour.mode", "test")
    site.vendor.complete("1", AT)
    site.vendor.complete("2", None)
    with site.rig.running():
        assert len(site.poll().new) == 1
        assert [hit.certificate.test for hit in site.rig.certificates()] == [True]
        assert site.state().cursor == {"after": 2}
    site.rig.set("sources.harbour.mode", "live")
    with site.rig.running():
        assert (site.state().cursor, site.state().first, site.state().ended_at) == ({}, True, None)
        polled = site.poll()
        assert (len(polled.new), polled.older) == (1, 1)
        assert sorted(hit.certificate.test for hit in site.rig.certificates()) == [False, True]
    site.rig.set("sources.harbour.mode", "test")
    with site.rig.running():
        assert site.state().cursor == {}


# -- by command --------------------------------------------------------------------------------------


def test_the_command_polls_beside_the_daemon_and_says_what_came_of_it(harbour: Site) -> None:
    harbour.first_contact()
    harbour.vendor.complete("1", AT)
    harbour.vendor.complete("2", SINCE - timedelta(days=1))
    said = harbour.rig.certbridge("poll")
    assert "harbour: 1 new, 0 known, 1 from before the start line." in said
    assert "done" in said
    assert harbour.names() == ["Maria Novb"]


def test_a_source_that_is_new_in_the_configuration_beside_a_daemon_is_explained(harbour: Site) -> None:
    harbour.rig.set("sources.second", {**block(harbour.vendor), "url": harbour.vendor.url})
    config = harbour.rig.config()
    with open_bridge(config, role="command") as beside:
        with pytest.raises(PermanentError, match="second is new in the configuration: restart certbridge serve first"):
            beside.polling.poll(beside.sources["second"])
        with pytest.raises(PermanentError, match="restart certbridge serve first"):
            beside.past.look(beside.sources["second"], SINCE)


def test_nothing_of_a_poll_is_lost_from_sight(harbour: Site) -> None:
    harbour.first_contact()
    harbour.vendor.complete("1", AT)
    (number,) = harbour.poll().new
    row = harbour.rig.read(lambda tx: inbox.get(tx, number))
    assert row is not None
    assert row.event.received_at is not None
    assert row.request_id is not None
    assert {one.kind for one in harbour.rig.read(lambda tx: outbox.search(tx, limit=10))} == {"mail", "write_back"}
