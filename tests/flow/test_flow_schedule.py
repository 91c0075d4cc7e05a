"""What is done when its time has come: polls, keys, the alarm for silence; and how all of it ends."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flow.harbour_site import AT, Site, block
from flow.rig import PATIENCE
from sqlalchemy import update

import bridge.flow.schedule
from bridge.core.connector import ApiClient
from bridge.core.errors import PermanentError
from bridge.flow.poll import Polled
from bridge.flow.schedule import Rhythm, Schedule
from bridge.store import tables

DAY = timedelta(days=1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks many times while a test waits."""
    monkeypatch.setattr(bridge.flow.schedule, "LOOK", 0.05)


def test_a_source_is_polled_by_itself_from_the_start_and_then_when_its_time_has_come(site: Site, quick: None) -> None:
    site.rig.set("sources.harbour.poll_every", "15 minutes")
    site.vendor.complete("1", AT)
    with site.rig.running():
        site.rig.wait(lambda: site.names() == ["Maria Novb"])
        site.rig.wait(lambda: site.state().ended_at)
        site.vendor.complete("2", AT)
        polls = len(site.vendor.named("GET /completions"))
        site.time_passes(timedelta(minutes=16))
        site.rig.wait(lambda: site.names() == ["Maria Novb", "Maria Novc"])
        assert len(site.vendor.named("GET /completions")) == polls + 1


def test_a_source_with_its_polls_off_is_left_alone(site: Site, quick: None) -> None:
    with site.rig.running():
        assert site.rig.bridge.schedule.rhythms["harbour"] == Rhythm(None, None)
        site.rig.bridge.schedule.poll_if_due(site.source)
        assert site.vendor.calls == []


def test_trouble_with_one_poll_is_told_and_ends_nothing(harbour: Site, caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: object) -> Any:
        raise PermanentError("The key was taken away.")

    harbour.source.connector.poll = fails  # type: ignore[method-assign]
    schedule = _schedule(harbour, timedelta(minutes=15))
    schedule.poll_if_due(harbour.source)
    assert "not polled" in caplog.text
    assert "The key was taken away." in caplog.text


def test_signing_keys_are_fetched_at_the_start(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ApiClient] = []
    with site.rig.running():
        kind = type(site.source.connector)
    monkeypatch.setattr(kind, "refresh", lambda self, api: asked.append(api))
    with site.rig.running():
        site.rig.wait(lambda: asked)


# -- silence ---------------------------------------------------------------------------------------


def _schedule(site: Site, every: timedelta | None = None, quiet: timedelta | None = None) -> Schedule:
    bridge = site.rig.bridge
    return Schedule(bridge.store, bridge.sources, {"harbour": Rhythm(every, quiet)}, site.polling, bridge.api)


def _heard(site: Site, ago: timedelta) -> None:
    """Lets the last sign of life be so long ago."""

    def write(tx: Any) -> None:
        at = tx.now - ago
        tx.connection.execute(
            update(tables.sources).values(last_request_at=at, last_event_at=at, since=at, added_at=at)
        )

    site.transact(write)


def _alarms(site: Site, caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    told = [record for record in caplog.records if "nothing was heard from this source" in record.getMessage()]
    assert all(record.levelno == logging.ERROR for record in told)
    return len(told), len(site.history("source.silent"))


def test_silence_raises_the_alarm_once_a_day_for_all_nodes_and_ends_when_the_source_is_heard(
    any_harbour: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site = any_harbour
    schedule = _schedule(site, quiet=timedelta(days=7))
    other = _schedule(site, quiet=timedelta(days=7))
    _heard(site, timedelta(days=6))
    schedule.alarm()
    assert _alarms(site, caplog) == (0, 0)
    _heard(site, timedelta(days=8))
    for one in (schedule, other, schedule):
        one.alarm()
    assert _alarms(site, caplog) == (1, 1)
    assert site.history("source.silent")[0]["source"] == "harbour"

    later = update(tables.leases).where(tables.leases.c.name.startswith("silent:"))
    site.transact(lambda tx: tx.connection.execute(later.values(until=tx.now)) and None)
    other.alarm()
    schedule.alarm()
    assert _alarms(site, caplog) == (2, 2)

    # Heard, and silent once more: that is told at once.
    site.told(site.vendor.completed(1, site.vendor.complete("1", AT)))
    schedule.alarm()
    assert _alarms(site, caplog) == (2, 2)
    _heard(site, timedelta(days=9))
    schedule.alarm()
    assert _alarms(site, caplog) == (3, 3)


def test_a_source_that_is_new_has_its_time_whatever_its_start_line(
    harbour: Site, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = _schedule(harbour, quiet=timedelta(days=7))
    _heard(harbour, timedelta(days=900))

    def add(tx: Any) -> None:
        tx.connection.execute(update(tables.sources).values(last_request_at=None, last_event_at=None, added_at=tx.now))

    harbour.transact(add)
    schedule.alarm()
    assert _alarms(harbour, caplog) == (0, 0)


def test_the_alarm_is_seen_in_the_list_and_by_doctor(site: Site) -> None:
    site.rig.set("sources.harbour.quiet_after", "7 days")
    with site.rig.running():
        _heard(site, timedelta(days=8))
        assert "silent since" in site.rig.certbridge("sources", "list")
        with pytest.raises(AssertionError, match="Nothing was heard since"):
            site.rig.certbridge("doctor", "harbour")
        _heard(site, timedelta(days=1))
        assert "silent" not in site.rig.certbridge("sources", "list")


def test_a_poll_that_finds_something_is_a_sign_of_life(harbour: Site, caplog: pytest.LogCaptureFixture) -> None:
    schedule = _schedule(harbour, quiet=timedelta(days=7))
    _heard(harbour, timedelta(days=8))
    harbour.vendor.complete("1", AT)
    harbour.transact(lambda tx: tx.connection.execute(update(tables.sources).values(since=AT)) and None)
    assert len(harbour.poll().new) == 1
    schedule.alarm()
    assert _alarms(harbour, caplog) == (0, 0)


# -- the end ---------------------------------------------------------------------------------------


def test_the_end_waits_for_a_poll_to_give_its_place_back(site: Site, quick: None) -> None:
    site.rig.set("sources.harbour.poll_every", "15 minutes")
    begun, go_on = threading.Event(), threading.Event()

    def slow(call: Any, respond: Any, wire: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE)
        return respond()

    for learner in "1234":
        site.vendor.complete(learner, AT)
    site.vendor.interceptor = slow
    with site.rig.running():
        assert begun.wait(PATIENCE)
        run = site.rig.run
        polling = site.polling
        threading.Thread(target=lambda: (polling.stopping.wait(PATIENCE), go_on.set())).start()
    assert run is not None
    assert run.left == []
    with site.rig.running():
        # The page it was at is stored, with its place; no other one was asked for.
        assert len(site.rig.events()) >= 2
        site.rig.wait(lambda: len(site.names()) == 4)
        assert len(site.vendor.named("GET /completions")) == 3


def test_a_vendor_that_never_answers_does_not_keep_the_process(site: Site, quick: None) -> None:
    site.rig.set("sources.harbour.poll_every", "15 minutes")
    site.rig.set("limits", {"read_seconds": 300, "request_seconds": 600, "render_workers": 1})
    site.rig.set("server.stop_seconds", 1)
    begun, end = threading.Event(), threading.Event()

    def silent(call: Any, respond: Any, wire: Any) -> Any:
        begun.set()
        end.wait(10 * PATIENCE)
        return respond()

    site.vendor.interceptor = silent
    try:
        with site.rig.running():
            assert begun.wait(PATIENCE)
            run = site.rig.run
        assert run is not None
        assert run.left == ["poll harbour"]
    finally:
        end.set()


def test_one_source_that_hangs_does_not_keep_the_others_waiting(site: Site, quick: None) -> None:
    begun, end = threading.Event(), threading.Event()

    def first_hangs(call: Any, respond: Any, wire: Any) -> Any:
        if call.headers.get("x-api-key") == site.vendor.api_key and not begun.is_set():
            begun.set()
            end.wait(PATIENCE)
        return respond()

    site.vendor.interceptor = first_hangs
    site.rig.settings["sources"] = {
        name: block(site.vendor, poll_every="15 minutes") for name in ("harbour", "second", "third")
    }
    site.vendor.complete("1", AT)
    try:
        with site.rig.running():
            assert begun.wait(PATIENCE)
            site.rig.wait(lambda: len(site.names()) == 2)
            end.set()
            site.rig.wait(lambda: len(site.names()) == 3)
    finally:
        end.set()


def test_two_nodes_with_the_same_schedule_poll_once(any_harbour: Site) -> None:
    site = any_harbour
    site.vendor.complete("1", AT)
    every = timedelta(minutes=15)
    first, second = _schedule(site, every), _schedule(site, every)
    second.polling = replace(site.polling, node="another node")
    first.poll_if_due(site.source)
    second.poll_if_due(site.source)
    assert len(site.vendor.named("GET /completions")) == 1
    assert site.poll() == Polled(known=1)
