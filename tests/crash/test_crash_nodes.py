"""Two daemons on one PostgreSQL: one dies or sleeps in the middle of its work, the other takes it over, once."""

from __future__ import annotations

import signal
import time

from crash_daemon import Daemon
from crash_load import complete, completions
from crash_site import SETTLED, Look, Row, Site, assert_sound
from crash_vendor import Moment
from sqlalchemy import text

from bridge.core.certificate_id import grouped
from bridge.demo.stage import MOODLE, THINKIFIC

ASKS_MOODLE = "core_user_get_users_by_field"
TAKES_NOTE = "core_notes_create_notes"


def test_a_second_node_leaves_a_dead_ones_work_alone_until_its_lease_has_run_out(shared_site: Site) -> None:
    site = shared_site
    first = site.start()
    Moment(site.stands.moodle, ASKS_MOODLE, lambda: first.signal(signal.SIGKILL), when="before")
    assert first.post(MOODLE, site.webhook(MOODLE)) == 200
    assert first.ended() == -signal.SIGKILL
    (left,) = site.look().running

    second = site.start_node()
    assert second.post(THINKIFIC, site.webhook(THINKIFIC)) == 200
    second.eventually(lambda: site.thinkific_field(), "work on another event")
    assert [_lease(row) for row in site.look().inbox if row["id"] == left["id"]] == [_lease(left)]

    site.time_passes()
    look = site.wait_settled(second, events=2)
    assert [row["attempts"] for row in look.inbox] == [2, 1]
    assert second.stop() == 0
    assert_sound(site, look)
    assert len(look.certificates) == 2
    assert len(site.notes()) == 1


def test_a_node_that_slept_beyond_its_lease_finds_its_event_taken_and_drops_its_result(shared_site: Site) -> None:
    site = shared_site
    look, sleeper = _sleep_through(site, ASKS_MOODLE, when="before")

    assert sleeper.said("lease lost")
    assert [row["attempts"] for row in look.inbox] == [2]
    assert len(look.certificates) == len(site.notes()) == 1
    assert site.moodle_field() == grouped(look.certificates[0]["id"])


def test_a_node_that_slept_while_moodle_took_its_note_writes_no_second_one(shared_site: Site) -> None:
    site = shared_site
    look, sleeper = _sleep_through(site, TAKES_NOTE, when="after")

    assert sleeper.said("lease lost")
    note = look.delivery("note")
    assert note["attempts"] == 2
    assert note["memo"] == {}, "the sleeper's memo was stored although its lease was gone"
    assert len(site.notes()) == len(look.certificates) == 1
    assert len(site.stands.moodle.named(TAKES_NOTE)) == 1


def test_two_nodes_share_the_work_and_one_is_killed_in_the_middle_of_it(shared_site: Site) -> None:
    site = shared_site
    nodes = [site.start(), site.start_node()]
    requests = [complete(site, one) for one in completions(site, 12)]
    for source, request in requests:
        assert [node.post(source, request) for node in nodes] == [200, 200]
    nodes[0].eventually(lambda: len(site.look().files) >= 3, "make the first certificates")
    assert nodes[0].kill() == -signal.SIGKILL

    survivor = nodes[1]
    survivor.eventually(lambda: _nothing_to_do(survivor, site), "finish its own share")
    site.time_passes()
    look = site.wait_settled(survivor, events=len(requests))
    assert survivor.stop() == 0
    look = site.look()
    assert_sound(site, look)
    assert len(look.certificates) == len(look.inbox) == len(requests)
    assert {row["deliveries"] for row in look.inbox} == {2}
    assert len(site.notes()) == len({row["subject"] for row in look.completions if row["source"] == MOODLE})


def _sleep_through(site: Site, call: str, *, when: str) -> tuple[Look, Daemon]:
    """Pauses the node that makes a call, lets the other one do everything, and wakes it again."""
    nodes = {node.pid: node for node in (site.start(), site.start_node())}
    asleep: list[Daemon] = []

    def sleep() -> None:
        (row,) = [row for row in site.look().running if row.get("step", "note") == "note"]
        node = nodes[_pid(row)]
        _pause(site, node)
        asleep.append(node)

    moment = Moment(site.stands.moodle, call, sleep, when=when)  # type: ignore[arg-type]
    first = next(iter(nodes.values()))
    assert first.post(MOODLE, site.webhook(MOODLE)) == 200
    assert moment.came.wait(60)
    (sleeper,) = asleep
    (other,) = [node for node in nodes.values() if node is not sleeper]

    site.time_passes()
    before = site.wait_settled(other)
    sleeper.signal(signal.SIGCONT)
    sleeper.eventually(lambda: sleeper.said("lease lost"), "notice that its lease is lost")

    assert (sleeper.stop(), other.stop()) == (0, 0)
    after = site.look()
    assert after == before, "the sleeper changed what the other had settled"
    assert_sound(site, after)
    return after, sleeper


def _pause(site: Site, node: Daemon) -> None:
    """Pauses a node between its transactions: inside one it would keep the row locked until PostgreSQL ends it."""
    for _ in range(50):
        node.signal(signal.SIGSTOP)
        if not _in_transaction_for_long(site):
            return
        node.signal(signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("the node was never between two transactions")


def _in_transaction_for_long(site: Site) -> bool:
    query = text(
        "SELECT pid, xact_start FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    )

    def seen() -> set[object]:
        return {tuple(row) for row in site.store.read(lambda tx: tx.connection.execute(query).all())}

    first = seen()
    time.sleep(0.1)
    return bool(first & seen())


def _nothing_to_do(survivor: Daemon, site: Site) -> bool:
    """Tells whether what is left is under the dead node's leases, or waits for something that is."""
    left = [row for row in site.look().work if row["state"] not in SETTLED]
    return all(row.get("after_id") is not None if _pid(row) == 0 else _pid(row) != survivor.pid for row in left)


def _lease(row: Row) -> tuple[object, ...]:
    return row["state"], row["lease_token"], row["leased_by"], row["attempts"], row["due_at"]


def _pid(row: Row) -> int:
    """The process in `host:pid:random`; 0 for a row nobody has."""
    return int((row["leased_by"] or "::").split(":")[1] or 0)
