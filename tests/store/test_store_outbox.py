"""The outbox: each effect once, in order, one at a time where it must be."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select
from store_samples import at_once, certificate, delivery

from bridge.core.errors import PermanentError
from bridge.core.models import State
from bridge.store import outbox, sources, steps
from bridge.store.engine import Store, open_store
from bridge.store.history import HistoryRow
from bridge.store.outbox import NewDelivery, OutboxRow
from bridge.store.tables import history

GONE = -1.0
KINDS = ["mail", "write_back"]
ID = "AAAABBBBCCCCDDDDE"


def put(store: Store, new: NewDelivery) -> int:
    row_id = store.transact(lambda tx: outbox.put(tx, new))
    assert row_id is not None
    return row_id


def claim(store: Store, node: str = "a", lease: float = 45.0, limit: int = 10, **more: object) -> list[OutboxRow]:
    wanted = {"kinds": KINDS, "destinations": None, **more}
    return store.transact(lambda tx: outbox.claim(tx, node=node, lease=lease, limit=limit, **wanted))


def get(store: Store, row_id: int) -> OutboxRow:
    row = store.read(lambda tx: outbox.get(tx, row_id))
    assert row is not None
    return row


def settle(store: Store, row: OutboxRow, state: State, **more: object) -> bool:
    return store.transact(lambda tx: outbox.settle(tx, row.id, row.lease_token or "", state=state, **more))


def finish(store: Store, row_id: int, state: State = State.DONE) -> None:
    (row,) = claim(store, ids=[row_id])
    assert settle(store, row, state, code="c", reason="r")


def test_an_effect_is_stored_once_per_key(store: Store) -> None:
    results = at_once([lambda: store.transact(lambda tx: outbox.put(tx, delivery("mail:1"))) for _ in range(20)])
    assert sum(result is not None for result in results) == 1
    assert len(store.read(lambda tx: outbox.search(tx))) == 1


def test_gives_back_what_was_put(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    more = {"certificate_id": ID, "version": 1, "payload": {"name": "Łukasz\0"}, "lock_key": "user:7"}
    row = get(store, put(store, delivery("d", **more, state=State.HELD, code="no_mail", reason="Mail is not set up.")))
    assert (row.certificate_id, row.version, row.payload, row.lock_key) == (ID, 1, {"name": "Łukasz\0"}, "user:7")
    assert (row.kind, row.destination, row.step, row.target) == ("write_back", "school", "note", {"user": "7"})
    assert (row.state, row.code, row.reason) == (State.HELD, "no_mail", "Mail is not set up.")
    assert (row.memo, row.receipt, row.attempts, row.due_at) == ({}, None, 0, None)


def test_a_claim_takes_kinds_and_destinations_it_is_asked_for(store: Store) -> None:
    mail = put(store, delivery("m", kind="mail", destination="mail"))
    one = put(store, delivery("a", destination="one"))
    two = put(store, delivery("b", destination="two"))
    assert claim(store, kinds=["webhook"]) == claim(store, destinations=[]) == claim(store, kinds=[]) == []
    assert [row.id for row in claim(store, kinds=["mail"])] == [mail]
    assert [row.id for row in claim(store, destinations=["two"])] == [two]
    assert [row.id for row in claim(store)] == [one]


def test_two_workers_never_get_the_same_delivery(store: Store) -> None:
    store.transact(lambda tx: [outbox.put(tx, delivery(f"d{n}")) for n in range(120)])
    seen: list[int] = []

    def work() -> None:
        while rows := claim(store, threading.current_thread().name, limit=3):
            seen.extend(row.id for row in rows)

    assert at_once([work] * 6) == [None] * 6
    seen.extend(row.id for row in claim(store, limit=120))
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == 120


def test_a_lost_lease_settles_nothing(store: Store) -> None:
    row_id = put(store, delivery("d"))
    (old,) = claim(store, "old", lease=GONE)
    (new,) = claim(store, "new")
    token = old.lease_token or ""

    def late(tx):
        return [
            outbox.renew(tx, row_id, token),
            outbox.save_memo(tx, row_id, token, {"id": "late"}),
            outbox.settle(tx, row_id, token, state=State.DONE, receipt={"late": True}),
        ]

    assert store.transact(late) == [False] * 3
    assert get(store, row_id) == new
    assert store.transact(lambda tx: outbox.save_memo(tx, row_id, new.lease_token or "", {"note": "17"}))
    assert settle(store, new, State.DONE, receipt={"summary": "note 17"})
    done = get(store, row_id)
    assert (done.state, done.memo, done.receipt) == (State.DONE, {"note": "17"}, {"summary": "note 17"})


def test_the_memo_survives_retries_and_replays(store: Store) -> None:
    row_id = put(store, delivery("d"))
    (row,) = claim(store)
    store.transact(lambda tx: outbox.save_memo(tx, row_id, row.lease_token or "", {"note": "17"}))
    assert settle(store, row, State.RETRYING, code="http_503", reason="away", due_in=0)
    (row,) = claim(store)
    assert (row.memo, row.attempts) == ({"note": "17"}, 2)
    assert settle(store, row, State.FAILED, code="http_400", reason="no")
    replayed = store.transact(lambda tx: outbox.replay(tx, row_id, actor="ana"))
    assert (replayed.state, replayed.memo, replayed.attempts) == (State.READY, {"note": "17"}, 0)


# -- one after the other -------------------------------------------------------------------------


def test_a_step_waits_for_the_one_before_it(store: Store) -> None:
    first = put(store, delivery("1", step="note"))
    second = put(store, delivery("2", step="field", after_id=first))
    third = put(store, delivery("3", step="tag", after_id=second))
    (row,) = claim(store)
    assert row.id == first
    assert claim(store) == []
    assert settle(store, row, State.DONE)
    (row,) = claim(store)
    assert row.id == second
    assert settle(store, row, State.IGNORED, code="not_wanted", reason="r")
    assert [row.id for row in claim(store)] == [third]


@pytest.mark.parametrize("state", [State.HELD, State.FAILED, State.RETRYING])
def test_a_step_goes_on_waiting_while_the_one_before_it_is_stuck(store: Store, state: State) -> None:
    first = put(store, delivery("1", step="note"))
    second = put(store, delivery("2", step="field", after_id=first))
    (row,) = claim(store)
    assert settle(store, row, state, code="c", reason="r", due_in=600)
    assert claim(store) == []
    # A waiting row must not make the workers spin.
    assert store.read(lambda tx: outbox.due_destinations(tx, ["school"])) == []
    store.transact(lambda tx: outbox.replay(tx, first, actor="ana"))
    finish(store, first)
    assert [row.id for row in claim(store)] == [second]


def test_cancelling_a_step_cancels_those_that_wait_for_it(store: Store) -> None:
    first = put(store, delivery("1", step="note"))
    second = put(store, delivery("2", step="field", after_id=first))
    third = put(store, delivery("3", step="tag", after_id=second))
    store.transact(lambda tx: outbox.cancel(tx, first, actor="ana", reason="wrong record"))
    rows = [get(store, row_id) for row_id in (first, second, third)]
    assert [(row.state, row.code, row.reason) for row in rows] == [(State.CANCELLED, "cancelled", "wrong record")] * 3
    (line,) = store.read(lambda tx: [one for one in _history(tx) if one.kind == "delivery.cancelled"])
    assert (line.outbox_id, line.actor) == (first, "ana")
    with pytest.raises(PermanentError, match="cancelled already"):
        store.transact(lambda tx: outbox.cancel(tx, first, actor="ana", reason="again"))


def _history(tx):
    return [HistoryRow(**dict(row)) for row in tx.connection.execute(select(history)).mappings()]


# -- one at a time -------------------------------------------------------------------------------


def test_rows_with_one_lock_run_one_at_a_time(store: Store) -> None:
    ids = [put(store, delivery(f"d{n}", lock_key="user:7")) for n in range(3)]
    free = put(store, delivery("free", lock_key="user:8"))
    (row, other) = claim(store)
    assert [row.id, other.id] == [ids[0], free]
    assert claim(store) == []
    assert store.read(lambda tx: outbox.due_destinations(tx, ["school"])) == []
    assert settle(store, row, State.RETRYING, code="c", reason="r", due_in=600)
    assert [row.id for row in claim(store)] == [ids[1]]


def test_the_lock_holds_under_racing_workers(store: Store) -> None:
    store.transact(lambda tx: [outbox.put(tx, delivery(f"d{n}", lock_key=f"user:{n % 4}")) for n in range(60)])
    running: Counter[str] = Counter()
    guard = threading.Lock()
    most: list[int] = []
    finished: list[int] = []

    def work() -> None:
        for _ in range(400):
            for row in claim(store, threading.current_thread().name, limit=3):
                assert row.lock_key is not None
                with guard:
                    running[row.lock_key] += 1
                    most.append(running[row.lock_key])
                threading.Event().wait(0.001)
                with guard:
                    running[row.lock_key] -= 1
                assert settle(store, row, State.DONE)
                finished.append(row.id)
            if len(finished) == 60:
                return

    assert at_once([work] * 6) == [None] * 6
    assert sorted(finished) == sorted(set(finished))
    assert len(finished) == 60
    assert max(most) == 1


def test_the_lock_holds_when_the_other_node_was_quicker(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(postgres_url) as store:
        ids = [put(store, delivery(f"d{n}", lock_key="user:7")) for n in range(2)]
        free_locks, quicker = steps.free_locks, []

        def look_late(tx, keys):
            # Our query is done and saw the lock free; now the other node claims, and commits.
            monkeypatch.setattr(steps, "free_locks", free_locks)
            quicker.extend(at_once([lambda: claim(store, "other", ids=ids[1:])]))
            return free_locks(tx, keys)

        monkeypatch.setattr(steps, "free_locks", look_late)
        assert claim(store, ids=ids[:1]) == []
        assert [row.id for row in quicker[0]] == ids[1:]


def test_a_dead_workers_lock_is_freed_and_it_cannot_get_it_back(store: Store) -> None:
    ids = [put(store, delivery(f"d{n}", lock_key="user:7")) for n in range(2)]
    (dead,) = claim(store, lease=GONE, ids=ids[:1])
    (heir,) = claim(store, ids=ids[1:])
    assert heir.id == ids[1]
    assert not store.transact(lambda tx: outbox.renew(tx, dead.id, dead.lease_token or ""))
    assert store.transact(lambda tx: outbox.renew(tx, heir.id, heir.lease_token or ""))
    assert claim(store) == []


def test_a_paused_sources_write_backs_rest_and_mail_goes_on(store: Store) -> None:
    def pause(tx):
        sources.ensure(tx, "school", "moodle", since=None)
        sources.pause(tx, "school", tx.now + timedelta(hours=1), "The token was refused.")

    store.transact(pause)
    note = put(store, delivery("n"))
    mail = put(store, delivery("m", kind="mail", destination="school"))
    assert [row.id for row in claim(store)] == [mail]
    store.transact(lambda tx: sources.resume(tx, "school"))
    assert [row.id for row in claim(store)] == [note]


# -- the newer overtakes the older ---------------------------------------------------------------


def about(key: str, **more: object) -> NewDelivery:
    return delivery(key, certificate_id=ID, version=1, **more)


def test_a_newer_row_cancels_the_older_and_what_waits_for_it(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    note = put(store, about("note:1"))
    field = put(store, about("field:1", step="field", after_id=note))
    other_place = put(store, about("note:other", destination="crm"))
    newer = put(store, about("note:2"))
    assert [get(store, row_id).state for row_id in (note, field)] == [State.CANCELLED] * 2
    assert get(store, note).code == get(store, field).code == "overtaken"
    assert sorted(row.id for row in claim(store)) == [other_place, newer]
    with pytest.raises(PermanentError, match="took its place"):
        store.transact(lambda tx: outbox.replay(tx, note, actor="ana"))


def test_a_finished_row_is_not_overtaken(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    note = put(store, about("note:1"))
    finish(store, note)
    put(store, about("note:2"))
    assert get(store, note).state is State.DONE


def test_the_newer_waits_for_the_older_that_is_running(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    put(store, about("note:1"))
    (old,) = claim(store)
    newer = put(store, about("note:2"))
    assert get(store, old.id).state is State.RUNNING
    assert claim(store) == []
    assert settle(store, old, State.DONE)
    assert get(store, old.id).state is State.DONE
    assert [row.id for row in claim(store)] == [newer]


@pytest.mark.parametrize("state", [State.RETRYING, State.FAILED, State.HELD])
def test_an_overtaken_row_that_does_not_succeed_is_not_tried_again(store: Store, state: State) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    put(store, about("note:1"))
    (old,) = claim(store)
    newer = put(store, about("note:2"))
    assert settle(store, old, state, code="http_503", reason="away", due_in=0)
    assert (get(store, old.id).state, get(store, old.id).code) == (State.CANCELLED, "overtaken")
    assert [row.id for row in claim(store)] == [newer]


def test_an_overtaken_row_whose_worker_died_is_cancelled_when_found(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    put(store, about("note:1"))
    (old,) = claim(store, lease=GONE)
    newer = put(store, about("note:2"))
    assert [row.id for row in claim(store)] == [newer]
    assert get(store, old.id).state is State.CANCELLED


def test_search_filters(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    note = put(store, about("n"))
    mail = put(store, delivery("m", kind="mail", destination="mail", state=State.HELD, code="c", reason="r"))

    def search(**wanted: object) -> list[int]:
        return [row.id for row in store.read(lambda tx: outbox.search(tx, **wanted))]

    assert search() == [mail, note]
    assert search(certificate_id=ID) == search(state=State.READY) == search(before_id=mail) == [note]
    assert search(state=State.HELD) == search(kind="mail") == search(destination="mail") == [mail]
    counted = store.read(lambda tx: outbox.counts(tx))
    assert counted == {("school", State.READY): 1, ("mail", State.HELD): 1}


def chain(store: Store, length: int = 3) -> list[int]:
    """Returns the numbers of steps that wait for each other."""
    ids: list[int] = []
    for number in range(length):
        ids.append(put(store, delivery(f"s{number}", step=f"step{number}", after_id=ids[-1] if ids else None)))
    return ids


@pytest.mark.parametrize(("ended", "word"), [(State.FAILED, "failed"), (State.HELD, "is held")])
def test_steps_behind_one_that_does_not_get_on_are_held_and_say_so(store: Store, ended: State, word: str) -> None:
    first, second, third = chain(store)
    finish(store, first, ended)
    for number, before in ((second, first), (third, second)):
        row = get(store, number)
        assert (row.state, row.code) == (State.HELD, "waits_for")
        assert f"Waits for delivery {before}, which" in (row.reason or "")
    assert word in (get(store, second).reason or "")


def test_steps_go_on_by_themselves_once_the_one_before_is_replayed_and_done(store: Store) -> None:
    ids = chain(store)
    finish(store, ids[0], State.FAILED)
    store.transact(lambda tx: outbox.replay(tx, ids[0], actor="cli:ana"))
    for number in ids:
        assert [row.id for row in claim(store, ids=ids, limit=1)] == [number]
        row = get(store, number)
        assert settle(store, row, State.DONE)


def test_a_step_that_waits_cannot_be_replayed_past_the_one_before(store: Store) -> None:
    first, second, _ = chain(store)
    finish(store, first, State.FAILED)
    with pytest.raises(PermanentError, match=f"Delivery {second} waits for delivery {first}, which is failed"):
        store.transact(lambda tx: outbox.replay(tx, second, actor="cli:ana"))


def test_a_delivery_that_is_left_out_takes_no_other_ones_place(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    same = {"kind": "mail", "destination": "mail", "step": "mail", "certificate_id": ID}
    first = put(store, delivery("m1", version=1, **same))
    put(store, delivery("m2", version=2, state=State.IGNORED, code="mail_off", reason="No.", **same))
    (row,) = claim(store)
    assert row.id == first
    assert settle(store, row, State.RETRYING, due_in=0.0)
    assert [again.id for again in claim(store)] == [first]
