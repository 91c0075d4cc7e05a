"""The inbox: stored once, worked on by one, never lost, never silent."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from store_samples import at_once, completion, event

from bridge.core.errors import PermanentError
from bridge.core.models import SourceEvent, State
from bridge.store import history, inbox, sources
from bridge.store.engine import Store
from bridge.store.inbox import InboxRow, NewEvent, Put

GONE = -1.0  # a lease that has run out by the time anybody looks


def put(store: Store, new: NewEvent) -> Put:
    return store.transact(lambda tx: inbox.put(tx, new))


def claim(store: Store, node: str = "a", lease: float = 45.0, **more: object) -> list[InboxRow]:
    names = more.pop("sources", ["school"])
    return store.transact(lambda tx: inbox.claim(tx, names, node=node, lease=lease, **more))


def get(store: Store, row_id: int) -> InboxRow:
    row = store.read(lambda tx: inbox.get(tx, row_id))
    assert row is not None
    return row


def settle(store: Store, row: InboxRow, state: State, **more: object) -> bool:
    assert row.lease_token is not None
    return store.transact(lambda tx: inbox.settle(tx, row.id, row.lease_token, state=state, **more))


# -- once ----------------------------------------------------------------------------------------


def test_a_repeat_is_counted_and_not_stored_again(store: Store) -> None:
    first = put(store, event("e1", body="b1"))
    again = put(store, event("e1", body="b1"))
    assert (first.result, again.result) == ("new", "duplicate")
    assert again.inbox_id == first.inbox_id
    assert get(store, first.inbox_id).deliveries == 2


def test_another_body_under_the_same_id_is_the_next_revision(store: Store) -> None:
    results = [put(store, event("e1", body=body)) for body in ("b1", "b2", "b2", "b3", "b1")]
    assert [result.result for result in results] == ["new", "revised", "duplicate", "revised", "revised"]
    rows = store.read(lambda tx: inbox.search(tx))
    assert [(row.revision, row.body_sha256) for row in reversed(rows)] == [(1, "b1"), (2, "b2"), (3, "b3"), (4, "b1")]


def test_sources_and_modes_do_not_share_ids(store: Store) -> None:
    results = [put(store, event("e1", source=source, test=test)) for source in ("a", "b") for test in (True, False)]
    assert [result.result for result in results] == ["new"] * 4


def test_a_repeat_revives_a_failed_row_as_it_is_read_now(store: Store) -> None:
    first = put(store, event("e1", subject=None))
    (row,) = claim(store)
    settle(store, row, State.FAILED, code="unreadable", reason="no learner")
    assert put(store, event("e1", subject="7")).result == "revived"
    revived = get(store, first.inbox_id)
    assert (revived.state, revived.code, revived.reason, revived.attempts) == (State.READY, None, None, 0)
    assert revived.event.subject == "7"
    assert revived.deliveries == 2
    assert [row.id for row in claim(store)] == [first.inbox_id]


def test_a_repeat_revives_a_row_that_is_held_because_the_source_never_confirmed_it(store: Store) -> None:
    first = put(store, event("e1"))
    (row,) = claim(store)
    settle(store, row, State.HELD, code="unconfirmed", reason="Moodle does not show it yet")
    assert put(store, event("e1")).result == "revived"
    assert (get(store, first.inbox_id).state, get(store, first.inbox_id).attempts) == (State.READY, 0)


@pytest.mark.parametrize("state", [State.DONE, State.IGNORED, State.HELD, State.CANCELLED])
def test_a_repeat_leaves_every_other_row_alone(store: Store, state: State) -> None:
    first = put(store, event("e1"))
    (row,) = claim(store)
    settle(store, row, state, code="c", reason="r")
    assert put(store, event("e1")).result == "duplicate"
    assert get(store, first.inbox_id).state is state


def test_an_unreadable_repeat_stays_failed(store: Store) -> None:
    broken = event("e1", state=State.FAILED, code="unreadable", reason="not JSON")
    assert [put(store, broken).result for _ in range(2)] == ["new", "duplicate"]
    assert claim(store) == []


def test_different_bodies_that_race_all_become_revisions(store: Store) -> None:
    results = at_once([lambda body=f"b{n}": put(store, event("same", body=body)) for n in range(12)])
    assert sorted(result.result for result in results) == ["new"] + ["revised"] * 11  # type: ignore[union-attr]
    assert sorted(row.revision for row in store.read(lambda tx: inbox.search(tx))) == list(range(1, 13))


def test_gives_back_what_was_put(store: Store) -> None:
    new = event("e1", keys=("k1", "k2"), occurred_at="2026-11-22T10:00:00Z", batch_id="b", row_key="7", request_id=3)
    row = get(store, put(store, new).inbox_id)
    assert row.event == new.event
    assert (row.event_id, row.event_type, row.occurred_at) == ("e1", "course_completed", new.event.occurred_at)
    assert (row.batch_id, row.row_key, row.request_id, row.stage) == ("b", "7", 3, "received")
    assert (row.record, row.completion, row.overrides, row.lease_token) == (None, None, {}, None)


# -- leases --------------------------------------------------------------------------------------


def test_a_claim_takes_the_oldest_due_rows_and_marks_them(store: Store) -> None:
    ids = [put(store, event(f"e{n}")).inbox_id for n in range(4)]
    rows = claim(store, "node-1", limit=3)
    assert [row.id for row in rows] == ids[:3]
    for row in rows:
        assert (row.state, row.leased_by, row.attempts) == (State.RUNNING, "node-1", 1)
        assert row.lease_token is not None
        assert row.due_at is not None
    assert [row.id for row in claim(store)] == ids[3:]
    assert claim(store) == []


def test_a_claim_takes_only_sources_it_knows_and_rows_it_asks_for(store: Store) -> None:
    one = put(store, event("e1", source="one")).inbox_id
    two = [put(store, event(f"e{n}", source="two")).inbox_id for n in range(2)]
    assert claim(store, sources=[]) == []
    assert claim(store, sources=["three"]) == []
    assert [row.id for row in claim(store, sources=["one", "two"], ids=[two[1]])] == [two[1]]
    assert [row.id for row in claim(store, sources=["one"])] == [one]


def test_two_workers_never_get_the_same_row(store: Store) -> None:
    store.transact(lambda tx: [inbox.put(tx, event(f"e{n}")) for n in range(150)])
    seen: list[int] = []

    def work() -> None:
        while rows := claim(store, threading.current_thread().name, limit=4):
            seen.extend(row.id for row in rows)

    assert at_once([work] * 6) == [None] * 6
    # A worker may find nothing while the others still hold the last rows locked.
    seen.extend(row.id for row in claim(store, limit=150))
    assert len(seen) == 150
    assert len(set(seen)) == 150


def test_a_lease_that_ran_out_is_taken_over_and_the_old_holder_changes_nothing(store: Store) -> None:
    row_id = put(store, event("e1")).inbox_id
    completion_id = store.transact(lambda tx: completion(tx).id)
    (old,) = claim(store, "old", lease=GONE)
    (new,) = claim(store, "new")
    assert new.id == old.id
    assert new.lease_token != old.lease_token
    assert new.attempts == 2
    token = old.lease_token or ""

    def late(tx):
        return [
            inbox.renew(tx, row_id, token),
            inbox.save_record(tx, row_id, token, SourceEvent(event_id="x", event_type="y")),
            inbox.link(tx, row_id, token, completion_id=completion_id, completion={}, mapping_sha="m", stage="s"),
            inbox.settle(tx, row_id, token, state=State.FAILED, code="late", reason="too late"),
        ]

    assert store.transact(late) == [False] * 4
    assert get(store, row_id) == new
    assert settle(store, new, State.DONE)
    assert not settle(store, new, State.FAILED)
    assert get(store, row_id).state is State.DONE


def test_a_late_worker_may_finish_while_nobody_took_over(store: Store) -> None:
    put(store, event("e1"))
    (row,) = claim(store, lease=GONE)
    assert settle(store, row, State.DONE)


def test_a_renewed_lease_is_not_taken_over(store: Store) -> None:
    put(store, event("e1"))
    (row,) = claim(store, lease=GONE)
    assert store.transact(lambda tx: inbox.renew(tx, row.id, row.lease_token or "", lease=30))
    assert claim(store, "other") == []


def test_a_result_ends_the_lease(store: Store) -> None:
    row_id = put(store, event("e1")).inbox_id
    (row,) = claim(store)
    assert settle(store, row, State.RETRYING, code="http_503", reason="The school is away.", due_in=60)
    waiting = get(store, row_id)
    assert (waiting.state, waiting.code, waiting.reason) == (State.RETRYING, "http_503", "The school is away.")
    assert (waiting.lease_token, waiting.leased_by) == (None, None)
    assert waiting.due_at is not None
    assert claim(store) == []
    left = waiting.due_at - store.read(lambda tx: tx.now)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)


@pytest.mark.parametrize("state", [State.DONE, State.IGNORED, State.HELD, State.FAILED, State.CANCELLED])
def test_a_row_at_rest_is_never_due(store: Store, state: State) -> None:
    row_id = put(store, event("e1")).inbox_id
    (row,) = claim(store)
    assert settle(store, row, state, code="c", reason="r", due_in=0)
    assert get(store, row_id).due_at is None
    assert claim(store) == []


def test_what_is_learnt_on_the_way_is_kept(store: Store) -> None:
    row_id = put(store, event("e1")).inbox_id
    completion_id = store.transact(lambda tx: completion(tx).id)
    (row,) = claim(store)
    token = row.lease_token or ""
    record = SourceEvent(event_id="e1", event_type="course_completed", data={"fullname": "Łukasz"})
    assert store.transact(lambda tx: inbox.save_record(tx, row_id, token, record))
    assert get(store, row_id).stage == "enriched"
    linked = {"completion_id": completion_id, "completion": {"subject": "7"}, "mapping_sha": "m1", "stage": "reserved"}
    assert store.transact(lambda tx: inbox.link(tx, row_id, token, **linked))
    assert get(store, row_id).state is State.RUNNING
    assert settle(store, row, State.DONE, stage="issued")
    done = get(store, row_id)
    assert (done.record, done.completion, done.completion_id) == (record, {"subject": "7"}, completion_id)
    assert (done.mapping_sha, done.stage) == ("m1", "issued")


def test_a_paused_source_rests(store: Store) -> None:
    def pause(tx):
        sources.ensure(tx, "school", "moodle", since=None)
        sources.pause(tx, "school", tx.now + timedelta(hours=1), "The token was refused.")

    store.transact(pause)
    row_id = put(store, event("e1")).inbox_id
    assert claim(store) == []
    assert store.read(lambda tx: inbox.due_sources(tx, ["school"])) == []
    store.transact(lambda tx: sources.resume(tx, "school"))
    assert [row.id for row in claim(store)] == [row_id]


# -- people --------------------------------------------------------------------------------------


def test_replay_starts_afresh_and_keeps_what_was_fetched_unless_asked(store: Store) -> None:
    row_id = put(store, event("e1")).inbox_id
    (row,) = claim(store)
    record = SourceEvent(event_id="e1", event_type="t")
    store.transact(lambda tx: inbox.save_record(tx, row_id, row.lease_token or "", record))
    settle(store, row, State.FAILED, code="c", reason="r")
    replayed = store.transact(lambda tx: inbox.replay(tx, row_id, refetch=False, actor="ana"))
    assert (replayed.state, replayed.attempts, replayed.code, replayed.stage) == (State.READY, 0, None, "enriched")
    assert replayed.record == record
    # By itself it asks again only for what stood still.
    assert store.transact(lambda tx: inbox.replay(tx, row_id, actor="ana")).record == record
    refetched = store.transact(lambda tx: inbox.replay(tx, row_id, refetch=True, actor="ana"))
    assert (refetched.record, refetched.stage) == (None, "received")
    told = store.read(lambda tx: history.timeline(tx, inbox_id=row_id))
    assert [(line.kind, line.actor, line.data["from"]) for line in told] == [
        ("event.replayed", "ana", "failed"),
        ("event.replayed", "ana", "ready"),
        ("event.replayed", "ana", "ready"),
    ]


@pytest.mark.parametrize("state", [State.HELD, State.FAILED])
def test_what_was_held_or_failed_asks_the_source_again_when_it_is_replayed(store: Store, state: State) -> None:
    row_id = put(store, event("e1")).inbox_id
    (row,) = claim(store)
    record = SourceEvent(event_id="e1", event_type="t")
    store.transact(lambda tx: inbox.save_record(tx, row_id, row.lease_token or "", record))
    settle(store, row, state, code="c", reason="r")
    replayed = store.transact(lambda tx: inbox.replay(tx, row_id, actor="ana"))
    assert (replayed.record, replayed.stage) == (None, "received")


def test_replay_refuses_what_is_being_worked_on(store: Store) -> None:
    row_id = put(store, event("e1")).inbox_id
    claim(store)
    with pytest.raises(PermanentError, match="being worked on"):
        store.transact(lambda tx: inbox.replay(tx, row_id, actor="ana"))
    with pytest.raises(PermanentError, match="no event 999"):
        store.transact(lambda tx: inbox.replay(tx, 999, actor="ana"))


def test_replay_takes_a_row_from_a_worker_that_is_gone(store: Store) -> None:
    row_id = put(store, event("e1")).inbox_id
    (row,) = claim(store, lease=GONE)
    assert store.transact(lambda tx: inbox.replay(tx, row_id, actor="ana")).state is State.READY
    assert not settle(store, row, State.DONE)


def test_release_adds_corrections_that_survive_a_replay(store: Store) -> None:
    row_id = put(store, event("e1", state=State.HELD, code="looks_incomplete", reason="M. Silva")).inbox_id
    fixes = [{"recipient.name": "Maria", "course.title": "T"}, {"recipient.name": "Maria Silva"}]
    store.transact(lambda tx: inbox.release(tx, row_id, overrides=fixes[0], actor="ana", reason="asked her"))
    with pytest.raises(PermanentError, match="only held and failed"):
        store.transact(lambda tx: inbox.release(tx, row_id, overrides={}, actor="ana", reason=""))
    (row,) = claim(store)
    settle(store, row, State.HELD, code="c", reason="r")
    released = store.transact(lambda tx: inbox.release(tx, row_id, overrides=fixes[1], actor="ana", reason="typo"))
    assert released.state is State.READY
    assert store.transact(lambda tx: inbox.replay(tx, row_id, actor="ana")).overrides == {
        "recipient.name": "Maria Silva",
        "course.title": "T",
        "released": "looks_incomplete,c",
    }
    line = store.read(lambda tx: history.timeline(tx, inbox_id=row_id))[1]
    assert (line.kind, line.data["reason"], line.data["overrides"]) == ("event.released", "typo", fixes[1])


def test_cancel_stops_a_row_even_under_a_worker(store: Store) -> None:
    row_id = put(store, event("e1")).inbox_id
    (row,) = claim(store)
    cancelled = store.transact(lambda tx: inbox.cancel(tx, row_id, actor="ana", reason="wrong course"))
    assert (cancelled.state, cancelled.code, cancelled.reason) == (State.CANCELLED, "cancelled", "wrong course")
    assert not settle(store, row, State.DONE)
    with pytest.raises(PermanentError, match="cancelled already"):
        store.transact(lambda tx: inbox.cancel(tx, row_id, actor="ana", reason="again"))


def test_search_finds_names_in_any_case_and_across_fields(store: Store) -> None:
    names = {
        "pl": {"first_name": "Łukasz", "last_name": "Żółć-Dziewulski"},
        "ru": {"name": "Дмитрий Иванов"},
        "gr": {"name": "Ελένη"},
        "quote": {"name": 'Ann "Annie" O\'Neil', "path": "a\\b"},
        "signs": {"name": "100%_sure"},
        "plain": {"name": "1000 sure"},
    }
    for event_id, told in names.items():
        put(store, event(event_id, data=told))

    def found(text: str) -> list[str]:
        return [row.event_id for row in store.read(lambda tx: inbox.search(tx, text=text))]

    assert found("łukasz żółć") == ["pl"]
    assert found("ŻÓŁĆ-DZIEWULSKI Łukasz") == ["pl"]
    assert found("ДМИТРИЙ") == found("иванов дмитрий") == ["ru"]
    assert found("ελένη") == ["gr"]
    assert found('"annie"') == ["quote"]
    assert found("a\\b") == ["quote"]
    assert found("100%_") == ["signs"]
    assert found("course_completed 100") == ["plain", "signs"]
    assert found("nobody") == []
    assert found("x" * 10_000) == []


def test_search_filters_and_pages(store: Store) -> None:
    ids = [put(store, event(f"e{n}", source="a" if n % 2 else "b")).inbox_id for n in range(6)]
    held = put(store, event("h", state=State.HELD, code="c", reason="Name looks incomplete")).inbox_id

    def search(**wanted: object) -> list[int]:
        return [row.id for row in store.read(lambda tx: inbox.search(tx, **wanted))]

    assert search(limit=2) == [held, ids[5]]
    assert search(limit=2, before_id=ids[5]) == [ids[4], ids[3]]
    assert search(source="a") == [ids[5], ids[3], ids[1]]
    assert search(state=State.HELD) == search(text="INCOMPLETE") == [held]
    counts = store.read(lambda tx: inbox.counts(tx))
    assert counts == {("a", State.READY): 3, ("b", State.READY): 3, ("school", State.HELD): 1}
