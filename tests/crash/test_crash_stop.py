"""SIGTERM: what is in work is finished, nothing new is begun, nothing is lost; a second one ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
from crash_daemon import Daemon
from crash_site import Site, assert_no_children_left, assert_sound, live_leases
from crash_vendor import Moment

from bridge.demo.stage import MOODLE, THINKIFIC


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """Lets Moodle answer; set in any case at the end."""
    event = threading.Event()
    yield event
    event.set()


def test_sigterm_finishes_what_is_in_work_and_keeps_what_arrives_meanwhile(site: Site, go_on: threading.Event) -> None:
    first = _stopping_in_the_middle(site, go_on)
    children = first.children()

    health = first.get("/healthz")
    assert health is not None
    assert health[0] == 200
    assert first.post(THINKIFIC, site.webhook(THINKIFIC)) == 200
    go_on.set()
    assert first.ended() == 0

    assert_no_children_left(children)
    look = site.look()
    assert look.running == []
    assert [(row["source"], row["state"]) for row in look.inbox] == [(MOODLE, "done"), (THINKIFIC, "ready")]
    assert [row["state"] for row in look.certificates] == ["issued"]
    # What follows from the certificate waits for the next start: a stopping daemon begins nothing.
    assert {row["attempts"] for row in look.outbox} == {0}
    _finishes(site)


def test_a_second_sigterm_ends_at_once_and_loses_nothing(site: Site, go_on: threading.Event) -> None:
    first = _stopping_in_the_middle(site, go_on)
    children = first.children()
    assert first.post(THINKIFIC, site.webhook(THINKIFIC)) == 200

    first.signal(signal.SIGTERM)
    assert first.ended() == 1
    go_on.set()

    assert_no_children_left(children)
    assert [(row["source"], row["state"]) for row in site.look().inbox] == [(MOODLE, "running"), (THINKIFIC, "ready")]
    if site.shared:
        site.time_passes()
    _finishes(site)


def test_sigterm_ends_an_idle_daemon_and_leaves_no_write_ahead_log(site: Site) -> None:
    daemon = site.start()
    children = daemon.children()
    assert daemon.stop() == 0
    assert_no_children_left(children)
    assert "Traceback" not in daemon.log()
    assert [row["name"] for row in live_leases(site.look()) if row["name"].startswith("daemon:")] == []
    assert [path.name for path in site.stands.folder.parent.rglob("*-wal") if path.stat().st_size] == []


def _stopping_in_the_middle(site: Site, go_on: threading.Event) -> Daemon:
    """A daemon that was told to stop while it waits for Moodle's first answer, and that says so."""
    daemon = site.start()
    moment = Moment(site.stands.moodle, "core_", lambda: _wait(go_on), when="before")
    assert daemon.post(MOODLE, site.webhook(MOODLE)) == 200
    daemon.eventually(lambda: moment.begun.is_set(), "ask Moodle")
    daemon.signal(signal.SIGTERM)
    daemon.eventually(lambda: (daemon.get("/readyz") or (0,))[0] == 503, "say that it is stopping")
    answer = daemon.get("/readyz")
    assert answer is not None
    assert b"stopping" in answer[1]
    return daemon


def _wait(event: threading.Event) -> None:
    assert event.wait(60)


def _finishes(site: Site) -> None:
    second = site.start()
    look = site.wait_settled(second, events=2)
    assert second.stop() == 0
    assert_sound(site, look)
    assert len(look.certificates) == 2
    assert len(site.notes()) == 1
    assert site.moodle_field()
    assert site.thinkific_field()
