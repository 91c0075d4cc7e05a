"""The vendor's rate is kept, whoever asks; below it nobody waits."""

from __future__ import annotations

from bridge.clients.pace import Pace
from bridge.core.connector import Rate


class Watch:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def pace(rate: Rate | None) -> tuple[Pace, Watch]:
    watch = Watch()
    return Pace(rate, clock=lambda: watch.now, sleep=watch.sleep), watch


def test_a_burst_within_the_rate_waits_for_nothing() -> None:
    made, watch = pace(Rate(3, 10))
    for _ in range(3):
        made.wait()
    assert watch.slept == []


def test_what_is_above_the_rate_begins_when_the_window_allows() -> None:
    made, watch = pace(Rate(3, 10))
    begun = []
    for _ in range(8):
        made.wait()
        begun.append(watch.now)
    assert all(later - earlier >= 10 for earlier, later in zip(begun, begun[3:], strict=False))
    assert begun[-1] == 120.0


def test_a_pause_gives_the_whole_rate_back() -> None:
    made, watch = pace(Rate(2, 10))
    for _ in range(2):
        made.wait()
    watch.now += 10
    for _ in range(2):
        made.wait()
    assert watch.slept == []


def test_without_a_rate_nobody_waits() -> None:
    made, watch = pace(None)
    for _ in range(1000):
        made.wait()
    assert watch.slept == []
