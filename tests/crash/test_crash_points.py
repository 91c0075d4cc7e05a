"""The daemon is killed at every named point, on both databases; the next one finishes what it had begun, once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from crash_daemon import Daemon
from crash_site import Look, Site, assert_no_children_left, assert_sound
from crash_vendor import Moment

from bridge.core.certificate_id import grouped
from bridge.demo.stage import MOODLE, THINKIFIC

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Case:
    """One place to die, and what shows in database and vendors that it was this place."""

    source: str
    place: str
    left: Callable[[Site, Look], bool]

    def __str__(self) -> str:
        return f"{self.source}-{self.place}"


def _drafted(_: Site, look: Look) -> bool:
    return [row["state"] for row in look.certificates] == ["draft"] and not look.files and not look.outbox


def _running(look: Look, step: str) -> bool:
    return bool(look.delivery(step)["state"] == "running")


CASES = [
    Case(MOODLE, "after_store", lambda site, look: len(look.inbox) == 1 and not look.outbox),
    Case(MOODLE, "after_enrich", lambda site, look: look.inbox[0]["record"] is not None and not look.completions),
    Case(MOODLE, "after_reserve", _drafted),
    Case(MOODLE, "after_render", _drafted),
    Case(MOODLE, "before_commit", _drafted),
    Case(MOODLE, "after_commit", lambda site, look: len(look.files) == 1 and len(look.outbox) == 3),
    Case(MOODLE, "after_mail", lambda site, look: len(site.message_ids()) == 1 and _running(look, "mail")),
    Case(MOODLE, "after_memo", lambda site, look: bool(site.notes() and look.delivery("note")["memo"])),
    Case(MOODLE, "after_write_back", lambda site, look: len(site.notes()) == 1 and _running(look, "note")),
    Case(
        MOODLE,
        "after_write_back:2",
        lambda site, look: bool(site.moodle_field()) and _running(look, "profile_field"),
    ),
    Case(THINKIFIC, "after_store", lambda site, look: len(look.inbox) == 1 and not look.outbox),
    Case(
        THINKIFIC,
        "after_write_back",
        lambda site, look: bool(site.thinkific_field()) and _running(look, "profile_field"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_kill_at_any_point_leaves_one_certificate_one_mail_and_one_write_back(site: Site, case: Case) -> None:
    first = site.start(crash_at=case.place)
    children = first.children()
    request = site.webhook(case.source)
    answer = first.post(case.source, request)

    assert first.ended() == KILLED
    assert f"killed at {case.place.partition(':')[0]}\n" in first.log()
    assert case.left(site, site.look())
    assert (answer is None) == (case.place == "after_store")

    assert len(children) == 1
    assert_no_children_left(children)
    assert_finished_once(site, case.source)


@dataclass(frozen=True)
class Window:
    """A call of a vendor that was carried out, and whose answer nobody was there to hear."""

    source: str
    call: str

    def __str__(self) -> str:
        return f"{self.source}-{self.call.strip()}"


WINDOWS = [
    Window(MOODLE, "core_notes_create_notes"),
    Window(THINKIFIC, "PUT "),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_kill_between_the_vendors_deed_and_its_answer_does_not_repeat_the_deed(site: Site, window: Window) -> None:
    first = site.start()
    stand_in = site.stands.moodle if window.source == MOODLE else site.stands.thinkific
    Moment(stand_in, window.call, lambda: first.signal(signal.SIGKILL), when="after")
    assert first.post(window.source, site.webhook(window.source)) == 200

    assert first.ended() == KILLED
    assert len(stand_in.named(window.call)) == 1

    assert_finished_once(site, window.source)
    assert len(stand_in.named(window.call)) == 1


def assert_finished_once(site: Site, source: str) -> None:
    """Starts the next daemon, lets the vendor send its webhook again, and looks at everything there is."""
    interrupted = {(row["id"], "step" in row) for row in site.look().running}
    if site.shared:
        # Other nodes may live, so PostgreSQL's rows wait for their lease; on SQLite the next owner needs not wait.
        site.time_passes()
    second = site.start()
    assert second.post(source, site.webhook(source)) == 200
    look = site.wait_settled(second)

    assert_shown(second, look)
    # Killed as well: what is settled is on disk, whoever held it open.
    assert second.kill() == KILLED
    assert site.look() == look
    assert_sound(site, look)
    assert len(look.inbox) == len(look.certificates) == len(site.message_ids()) == 1
    assert look.inbox[0]["deliveries"] == 2
    again = {(row["id"], "step" in row): row["attempts"] for row in look.work}
    assert all(again[row] == 2 for row in interrupted)
    assert_written_back(site, source, grouped(look.certificates[0]["id"]))


def assert_shown(daemon: Daemon, look: Look) -> None:
    """The page and the PDF of the certificate are there."""
    number = grouped(look.certificates[0]["id"])
    page, pdf = daemon.get(f"/c/{number}"), daemon.get(f"/c/{number}.pdf")
    assert page is not None
    assert page[0] == 200
    assert pdf == (200, look.files[0]["bytes"])


def assert_written_back(site: Site, source: str, number: str) -> None:
    """The vendor holds the number exactly once, and the other vendor was left alone."""
    if source == MOODLE:
        assert [number in note for note in site.notes()] == [True]
        assert site.moodle_field() == number
        assert site.thinkific_field() is None
    else:
        assert site.thinkific_field() == number
        assert site.notes() == []
    assert site.stands.moodle.refused == site.stands.thinkific.refused == []
