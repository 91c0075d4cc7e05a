"""Senders keep a ledger of what was acknowledged while the daemon is killed at random moments, again and again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from crash_load import Completed, complete, completions
from crash_site import Row, Site, assert_sound

from bridge.core.certificate_id import grouped
from bridge.demo.stage import MOODLE, THINKIFIC

SECONDS = float(os.environ.get("CERTBRIDGE_SOAK_SECONDS", "8"))
"""How long the killing goes on; an hour of it is for the night before a release."""
SEED = int(os.environ.get("CERTBRIDGE_SOAK_SEED") or time.time_ns() % 1_000_000)
PER_SECOND = 3
"""Learners who complete something, each reported several times."""
SENDERS = 3
KILLS = 4
ENOUGH = 8
"""Completions that somebody acknowledged: on a busy machine the killing goes on until there are as many."""
MOST_KILLS = 60


@dataclass
class Ledger:
    """What the senders did and what they were told; the only truth the test believes."""

    acknowledged: Counter[Completed] = field(default_factory=Counter)
    """How many posts about each completion were answered 200."""
    unanswered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def chance() -> random.Random:
    """Chance with a seed that a failed run shows."""
    print(f"CERTBRIDGE_SOAK_SEED={SEED}")
    return random.Random(SEED)


def test_what_was_acknowledged_is_certified_once_however_often_the_daemon_dies(
    site: Site, chance: random.Random
) -> None:
    made = completions(site, max(8, int(PER_SECOND * SECONDS)))
    ledger, over = Ledger(), threading.Event()
    senders = [
        threading.Thread(target=_send, args=(site, made[number::SENDERS], ledger, over, random.Random(chance.random())))
        for number in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    try:
        kills = _kill_again_and_again(site, chance, ledger)
    finally:
        over.set()
        for sender in senders:
            sender.join(60)

    last = site.start()
    look = site.wait_settled(last, events=len(ledger.acknowledged), hurry=True)
    assert last.stop() == 0
    assert kills >= KILLS
    assert ledger.unanswered >= 1, "no sender met a dead daemon: this run proved nothing"
    assert len(ledger.acknowledged) >= ENOUGH

    assert_sound(site, look)
    stored: Counter[tuple[str, str]] = Counter()
    for row in look.inbox:
        stored[row["source"], row["completion"]["subject"]] += row["deliveries"]
    lost = {one: n for one, n in ledger.acknowledged.items() if stored[one.source, str(one.user)] < n}
    assert lost == {}, "these were acknowledged more often than they were stored"
    assert set(stored) == {(row["source"], row["subject"]) for row in look.completions}
    assert {row["state"] for row in look.inbox} == {"done"}
    number_of = {row["completion_id"]: grouped(row["id"]) for row in look.certificates}
    _assert_written_back_once(site, number_of, look.completions)


def _kill_again_and_again(site: Site, chance: random.Random, ledger: Ledger) -> int:
    end, kills = time.monotonic() + SECONDS, 0
    while time.monotonic() < end or kills < KILLS or (len(ledger.acknowledged) < ENOUGH and kills < MOST_KILLS):
        daemon = site.spawn()
        # Some die while they start, most with their hands full.
        if chance.random() < 0.7 or kills < 2:
            daemon.wait_ready()
        time.sleep(chance.uniform(0.1, 1.5))
        assert daemon.kill() == -signal.SIGKILL, daemon.log()
        kills += 1
        if site.shared:
            site.time_passes()
    return kills


def _send(site: Site, mine: list[Completed], ledger: Ledger, over: threading.Event, chance: random.Random) -> None:
    """Reports one completion after the other, repeats itself, and keeps on trying while nobody answers."""
    told: list[tuple[Completed, int]] = []
    waiting = [(one, 0) for one in mine]
    while not over.is_set():
        if waiting and (not told or chance.random() < 0.5):
            report = waiting[0]
        elif told:
            one, number = chance.choice(told)
            report = (one, chance.choice([number, number, number + 1]))
        source, request = complete(site, report[0], again=report[1])
        status = site.daemons[-1].post(source, request) if site.daemons else None
        with ledger.lock:
            if status == 200:
                ledger.acknowledged[report[0]] += 1
            else:
                ledger.unanswered += 1
        if status == 200:
            told.append(report)
            waiting = [one for one in waiting if one != report]
        over.wait(chance.uniform(0.02, 0.2))


def _assert_written_back_once(site: Site, number_of: Mapping[int, str], certified: Sequence[Row]) -> None:
    for row in certified:
        user, number = int(row["subject"]), number_of[row["id"]]
        if row["source"] == THINKIFIC:
            assert site.thinkific_field(user) == number
            continue
        assert row["source"] == MOODLE
        assert site.moodle_field(user) == number
        notes = [note for note in site.stands.moodle.site.notes.values() if note.userid == user]
        assert [number in note.content for note in notes] == [True]
