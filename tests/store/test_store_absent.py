"""Sources that left the configuration: their work is held with a reason, and goes on when they are back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from store_samples import certificate, completion, delivery, event

from bridge.core.models import State
from bridge.flow.presence import Presence, daemon_lives
from bridge.store import absent, consequences, inbox, leases, outbox, sources, tables
from bridge.store.engine import Store
from bridge.store.transaction import Transaction

HOUR = 3600.0


def held(store: Store, *configured: str, patience: float = 0.0) -> dict[str, int]:
    return store.transact(lambda tx: absent.hold(tx, configured, node="n1", patience=patience))


def states(store: Store, row_ids: list[int], module=inbox) -> list[tuple[State, str | None]]:
    rows = [store.read(lambda tx, row_id=row_id: module.get(tx, row_id)) for row_id in row_ids]
    return [(row.state, row.code) for row in rows]


def time_passes(store: Store, table=tables.leases, column: str = "until") -> None:
    store.transact(
        lambda tx: tx.connection.execute(update(table).values({column: tx.now - timedelta(seconds=1)})) and None
    )


def two_sources(tx: Transaction) -> list[int]:
    return [inbox.put(tx, event("e1", source=name)).inbox_id for name in ("gone", "here")]


def test_work_of_a_source_that_is_gone_is_held_with_advice_and_no_other(store: Store) -> None:
    rows = store.transact(two_sources)
    sent = store.transact(
        lambda tx: [
            outbox.put(tx, delivery("1", destination="gone")),
            outbox.put(tx, delivery("2", destination="here")),
            outbox.put(tx, delivery("3", destination="mail", kind="mail", step="mail")),
        ]
    )
    assert held(store, "here") == {"gone": 2}
    assert states(store, rows) == [(State.HELD, "source_removed"), (State.READY, None)]
    assert states(store, sent, outbox) == [(State.HELD, "source_removed"), (State.READY, None), (State.READY, None)]
    row = store.read(lambda tx: inbox.get(tx, rows[0]))
    assert row.due_at is None
    assert row.reason.startswith(
        "The source gone is not in the configuration any more; name it under `formerly:` of the source that took its "
        "place, or put it back."
    )
    (line,) = store.read(lambda tx: [one for one in _history(tx) if one["kind"] == "source.removed"])
    assert (line["actor"], line["data"]) == ("n1", {"source": "gone", "held": 2})
    assert held(store, "here") == {}


def _history(tx: Transaction) -> list:
    return list(tx.connection.execute(tables.history.select()).mappings())


def test_rows_that_wait_for_another_attempt_or_lost_their_worker_are_held_too_and_those_in_work_are_not(
    store: Store,
) -> None:
    rows = store.transact(lambda tx: [inbox.put(tx, event(f"e{n}", source="gone")).inbox_id for n in range(4)])

    def work(tx: Transaction) -> None:
        for row, lease in zip(rows[:3], (30, 30, -1), strict=True):
            (claimed,) = inbox.claim(tx, ["gone"], node="n2", ids=[row], lease=lease)
            if row == rows[0]:
                inbox.settle(tx, row, claimed.lease_token, state=State.RETRYING, code="c", reason="r", due_in=60)
        inbox.cancel(tx, rows[3], actor="ana", reason="r")

    store.transact(work)
    assert held(store) == {"gone": 2}
    assert [state for state, _ in states(store, rows)] == [State.HELD, State.RUNNING, State.HELD, State.CANCELLED]


def test_they_go_on_when_the_source_is_back_under_its_name_or_a_new_one(store: Store) -> None:
    rows = store.transact(two_sources)
    sent = store.transact(lambda tx: [outbox.put(tx, delivery("1", destination="gone"))])
    other = store.transact(lambda tx: inbox.put(tx, event("e9", source="here", state=State.HELD, code="c", reason="r")))
    store.transact(lambda tx: sources.ensure(tx, "gone", "moodle", since=None))
    assert held(store) == {"gone": 2, "here": 1}
    assert store.transact(lambda tx: absent.resume(tx, ["here"])) == 1

    def renamed(tx: Transaction) -> int:
        sources.ensure(tx, "academy", "moodle", since=None, formerly=["gone"])
        return absent.resume(tx, ["academy", "here"])

    assert store.transact(renamed) == 2
    assert states(store, [*rows, other.inbox_id]) == [(State.READY, None), (State.READY, None), (State.HELD, "c")]
    assert states(store, sent, outbox) == [(State.READY, None)]
    assert store.transact(lambda tx: [row.id for row in inbox.claim(tx, ["academy"], node="n")]) == [rows[0]]


def test_where_there_may_be_other_nodes_a_source_is_given_up_when_none_has_known_it_for_an_hour(store: Store) -> None:
    rows = store.transact(two_sources)
    store.transact(lambda tx: absent.remember(tx, ["gone", "here"], node="n2", seconds=HOUR))
    assert held(store, "here", patience=HOUR) == {}
    time_passes(store)
    store.transact(lambda tx: absent.remember(tx, ["gone"], node="n2", seconds=HOUR))
    assert held(store, "here", patience=HOUR) == {}
    time_passes(store)
    assert held(store, "here", patience=HOUR) == {"gone": 1}
    assert states(store, rows)[1] == (State.READY, None)


def test_a_source_nobody_ever_noted_gets_its_hour_as_well(store: Store) -> None:
    store.transact(two_sources)
    assert held(store, "here", patience=HOUR) == {}
    assert held(store, "here", patience=HOUR) == {}
    time_passes(store)
    assert held(store, "here", patience=HOUR) == {"gone": 1}


def test_the_only_node_there_can_be_gives_up_at_once_and_one_of_several_waits(store: Store) -> None:
    rows = store.transact(two_sources)
    Presence(store, "n1", ["here"]).begin()
    at_once = store.dialect == "sqlite"
    assert states(store, rows)[0] == ((State.HELD, "source_removed") if at_once else (State.READY, None))
    time_passes(store)
    Presence(store, "n1", ["here"]).begin()
    assert states(store, rows)[0] == (State.HELD, "source_removed")
    Presence(store, "n1", ["gone", "here"]).begin()
    assert states(store, rows) == [(State.READY, None), (State.READY, None)]


# -- daemons ---------------------------------------------------------------------------------------


def test_a_daemon_is_seen_until_it_says_goodbye_or_is_silent_for_long(postgres_url: str) -> None:
    from bridge.store.engine import open_store

    with open_store(postgres_url) as store:
        one, other = Presence(store, "n1", ["here"]), Presence(store, "n2", ["here"])
        assert not daemon_lives(store)
        one.begin()
        other.begin()
        one.end()
        assert daemon_lives(store)
        other.end()
        assert not daemon_lives(store)

        one.begin()
        time_passes(store)
        assert not daemon_lives(store)
        one.renew()
        assert daemon_lives(store)
        time_passes(store)
        other.begin()
        names = store.read(lambda tx: set(tx.connection.execute(tables.leases.select()).scalars()))
        assert names == {"daemon:n2", "source:here"}


def test_a_prefix_is_text_and_no_pattern(store: Store) -> None:
    store.transact(lambda tx: leases.keep(tx, "daemonXn1", "n1", 60))
    assert not store.read(lambda tx: leases.any_live(tx, "daemon_"))
    assert store.read(lambda tx: leases.any_live(tx, "daemonX"))


# -- what follows ----------------------------------------------------------------------------------


def test_what_follows_from_an_event_are_its_certificates_deliveries_and_the_steps_behind_them(store: Store) -> None:
    def fill(tx: Transaction) -> tuple[list[int], list[int]]:
        events, deliveries = [], []
        for n in (1, 2):
            done = completion(tx, subject=str(n))
            made = certificate(tx, f"CERTIFICATE{n}", completion_id=done.id)
            row = inbox.put(tx, event(f"e{n}")).inbox_id
            tx.connection.execute(update(tables.inbox).where(tables.inbox.c.id == row).values(completion_id=done.id))
            events.append(row)
            deliveries.append(outbox.put(tx, delivery(f"a{n}", certificate_id=made.id, version=1)))
        deliveries.append(outbox.put(tx, delivery("b", after_id=deliveries[0], step="field")))
        deliveries.append(outbox.put(tx, delivery("c", after_id=deliveries[2], step="tag")))
        return events, deliveries

    (first, _), sent = store.transact(fill)

    def follow(inbox_ids: list[int], outbox_ids: list[int]) -> set[int]:
        return store.read(lambda tx: consequences.deliveries(tx, inbox_ids=inbox_ids, outbox_ids=outbox_ids))

    assert follow([first], []) == {sent[0], sent[2], sent[3]}
    assert follow([], [sent[2]]) == {sent[2], sent[3]}
    assert follow([first], [sent[1]]) == set(sent)
    assert follow([], []) == set()


@pytest.mark.parametrize(("code", "follows"), [("reread", True), ("issued", False)])
def test_what_follows_from_a_request_that_was_read_again_are_its_events(store: Store, code: str, follows: bool) -> None:
    from store_samples import request

    from bridge.store import requests

    def fill(tx: Transaction) -> list[int]:
        number = requests.record(tx, request())
        return [inbox.put(tx, event(f"e{n}", request_id=number)).inbox_id for n in (1, 2)]

    one, two = store.transact(fill)

    def read_again(tx: Transaction) -> set[int]:
        (row,) = inbox.claim(tx, ["school"], node="n", ids=[one])
        inbox.settle(tx, one, row.lease_token or "", state=State.DONE, code=code, reason="r")
        return consequences.events(tx, [one])

    assert store.transact(read_again) == ({one, two} if follows else {one})
