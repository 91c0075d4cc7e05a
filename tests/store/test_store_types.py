"""Whatever comes in goes out the same, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import StatementError
from store_samples import completion, event, request

from bridge.store import attempts, completions, history, inbox, requests, sources
from bridge.store.engine import Store
from bridge.store.tables import requests as requests_table
from bridge.store.types import clean, key

HOSTILE = "Łukasz\0 \ud83d😀 \udfff <b> '; DROP TABLE inbox; -- \r\n\u202e"


def test_json_keeps_nul_and_emoji_and_replaces_lone_surrogates(store: Store) -> None:
    told = {"name": HOSTILE, "list": ["\0", {"pair": "\ud83d\ude00", "lone \ud800": 1}]}
    put = store.transact(lambda tx: inbox.put(tx, event("e1", data=told)))
    row = store.read(lambda tx: inbox.get(tx, put.inbox_id))
    expected = HOSTILE.replace("\ud83d", "\ufffd").replace("\udfff", "\ufffd")
    assert row is not None
    lone = next(name for name in row.event.data["list"][1] if name.startswith("lone"))
    assert row.event.data == {"name": expected, "list": ["\0", {"pair": "😀", lone: 1}]}


def test_text_columns_take_any_text(store: Store) -> None:
    new = request(source=HOSTILE, target=HOSTILE, peer=HOSTILE, outcome=HOSTILE, reason=HOSTILE, headers={"a": HOSTILE})
    number = store.transact(lambda tx: requests.record(tx, new))
    row = store.read(lambda tx: requests.get(tx, number))
    assert row is not None
    assert row.target == row.reason == row.source == clean(HOSTILE)
    assert "\0" not in row.target


def test_an_event_with_a_hostile_id_is_found_again(store: Store) -> None:
    for hostile in (HOSTILE, "x" * 100_000, "€" * 300, ""):
        assert store.transact(lambda tx, id=hostile: inbox.put(tx, event(id))).result == "new"
        assert store.transact(lambda tx, id=hostile: inbox.put(tx, event(id))).result == "duplicate"


def test_long_keys_stay_apart(store: Store) -> None:
    first, second = "k" * 5000 + "1", "k" * 5000 + "2"

    def add(tx):
        one, two = completion(tx, "1"), completion(tx, "2")
        completions.add_keys(tx, one, [first])
        return one, two, completions.add_keys(tx, two, [first, second])

    one, two, elsewhere = store.transact(add)
    assert elsewhere == (first,)
    assert store.read(lambda tx: completions.by_keys(tx, "school", False, [first])) == one
    assert store.read(lambda tx: completions.by_keys(tx, "school", False, [second])) == two
    assert len(key(first)) < 200


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 2, 14, 0, 123456, tzinfo=UTC),
        datetime(2026, 11, 23, 2, 14, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_instants_come_back_as_the_same_instant_in_utc(store: Store, moment: datetime) -> None:
    number = store.transact(lambda tx: requests.record(tx, request(received_at=moment)))
    row = store.read(lambda tx: requests.get(tx, number))
    assert row is not None
    assert row.received_at == moment
    assert row.received_at.tzinfo is UTC


def test_instants_sort_by_time(store: Store) -> None:
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=step) for step in (0, 1, 999_999, 1_000_000)]
    for moment in reversed(moments):
        store.transact(lambda tx, moment=moment: requests.record(tx, request(received_at=moment)))
    column = requests_table.c.received_at
    found = store.read(lambda tx: tx.connection.execute(select(column).order_by(column)).scalars().all())
    assert list(found) == moments
    later = store.read(
        lambda tx: tx.connection.execute(select(column).where(column > moments[1]).order_by(column)).scalars().all()
    )
    assert list(later) == moments[2:]


def test_refuses_an_instant_without_a_zone(store: Store) -> None:
    naive = datetime(2026, 1, 1)  # the point of the test
    with pytest.raises(StatementError, match="no time zone"):
        store.transact(lambda tx: requests.record(tx, request(received_at=naive)))


def test_civil_dates_come_back(store: Store) -> None:
    days = [date(1, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
    rows = store.transact(lambda tx: [completion(tx, str(day), completed_on=day) for day in days])
    found = store.read(lambda tx: [completions.get(tx, row.id) for row in rows])
    assert [row.completed_on for row in found] == days
    with pytest.raises(StatementError, match="not a civil date"):
        store.transact(lambda tx: completion(tx, "now", completed_on=datetime.now(UTC)))


def test_refuses_numbers_that_json_does_not_have(store: Store) -> None:
    with pytest.raises(StatementError, match="not JSON compliant"):
        store.transact(lambda tx: history.add(tx, "x", actor="a", data={"score": float("nan")}))


def test_long_answers_are_cut_and_say_so(store: Store) -> None:
    def record(tx):
        attempts.record(
            tx,
            inbox_id=1,
            n=1,
            node="a",
            started_at=tx.now,
            outcome="failed",
            code="x",
            reason="r" * 10_000,
            request=None,
            response={"body": "é" * 100_000},
        )
        return attempts.of(tx, inbox_id=1)

    (row,) = store.transact(record)
    assert row.response is not None
    assert row.response["characters"] > 100_000
    assert len(row.response["cut"]) == attempts.SHOWN_LENGTH
    assert len(row.reason or "") == 2000


def test_the_clock_is_the_databases_and_stands_still_in_a_transaction(store: Store) -> None:
    first, second = store.transact(lambda tx: (tx.now, tx.now))
    assert first == second
    assert first.tzinfo is UTC
    assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)
    assert store.transact(lambda tx: tx.now) > first
    assert store.transact(lambda tx: sources.ensure(tx, "s", "moodle", since=None)).since > first


@given(st.text(alphabet=st.characters(codec=None)))
def test_cleaned_text_can_always_be_encoded_and_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert "\0" not in once
    assert clean(once.encode().decode()) == once
    assert len(key(text).encode()) <= 512
