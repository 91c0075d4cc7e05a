"""The error and the attempt decide when to try again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.core.errors import BridgeError, PermanentError, TemporaryError, UnconfirmedError
from bridge.core.retry import EFFECTS, UNCONFIRMED, Schedule, check_status, retry_after, schedule_for

SCHEDULE = Schedule((10, 100, 1000))


def test_waits_grow_along_the_schedule_and_then_end() -> None:
    waits = [SCHEDULE.wait(attempt, TemporaryError(), draw=0.5) for attempt in (1, 2, 3, 4)]
    assert waits == [10, 100, 1000, None]


def test_jitter_spreads_a_wait_by_a_fifth_either_way() -> None:
    assert SCHEDULE.wait(1, TemporaryError(), draw=0.0) == pytest.approx(8)
    assert SCHEDULE.wait(1, TemporaryError(), draw=1.0) == pytest.approx(12)


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(5, 10), (50, 50), (999_999_999, 1000), (-3, 10), (0, 10), (float("nan"), 10), (None, 10)],
    ids=["sooner than planned", "later than planned", "absurd", "negative", "zero", "not a number", "not given"],
)
def test_retry_after_is_honoured_within_the_schedule(asked: float | None, waited: float) -> None:
    assert SCHEDULE.wait(1, TemporaryError(retry_after=asked), draw=0.5) == waited


def test_an_unconfirmed_completion_has_its_own_shorter_schedule() -> None:
    assert schedule_for(UnconfirmedError()) is UNCONFIRMED
    assert schedule_for(TemporaryError()) is EFFECTS
    assert sum(UNCONFIRMED.waits) < 3600 < sum(EFFECTS.waits)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_success_passes(status: int) -> None:
    check_status(status, {})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 520, 527])
def test_these_statuses_are_worth_another_attempt(status: int) -> None:
    with pytest.raises(TemporaryError) as raised:
        check_status(status, {"retry-after": "7"})
    assert raised.value.retry_after == 7
    assert raised.value.stable_code == f"http_{status}"


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 410, 422])
def test_these_statuses_are_final(status: int) -> None:
    with pytest.raises(PermanentError):
        check_status(status, {})


def test_retry_after_may_be_a_date() -> None:
    now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    assert retry_after({"retry-after": "Mon, 23 Nov 2026 10:02:00 GMT"}, now=now) == 120
    assert retry_after({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT"}, now=now) == 0


@pytest.mark.parametrize(
    "value", ["", "soon", "1.5e3", "9" * 400, "9" * 5000, "²", "Mon, 23 Nov 99999999999999 10:02:00 GMT"]
)
def test_an_unreadable_retry_after_is_none(value: str) -> None:
    assert retry_after({"retry-after": value}) is None


def test_every_error_of_the_bridge_says_something_without_a_message() -> None:
    def below(kind: type[BridgeError]) -> list[type[BridgeError]]:
        return [kind, *(deep for sub in kind.__subclasses__() for deep in below(sub))]

    for kind in below(TemporaryError) + below(PermanentError):
        assert str(kind()).endswith(".")
