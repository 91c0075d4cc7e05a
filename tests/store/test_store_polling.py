"""What polls and people ask of the store: known events, where a poll stands, the past, erasure, merging, the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select
from store_samples import certificate, completion, data, delivery, event, request

from bridge.core.errors import PermanentError
from bridge.core.models import SourceEvent, State
from bridge.store import (
    attempts,
    before_start,
    certificates,
    completions,
    erase,
    event_keys,
    history,
    inbox,
    merging,
    outbox,
    polls,
    requests,
    sources,
    tables,
)
from bridge.store.engine import Store
from bridge.store.inbox import NewEvent
from bridge.store.polls import PollState
from bridge.store.transaction import Transaction

AT = datetime(2026, 11, 22, 13, 24, 31, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def put(store: Store, new: NewEvent) -> int:
    return store.transact(lambda tx: inbox.put(tx, new)).inbox_id


def said(event_id: str = "other", **more: object) -> SourceEvent:
    usual: dict[str, object] = {"event_type": "course_completed", "subject": "7", "course": "68"}
    return SourceEvent.model_validate({"event_id": event_id, **usual, **more})


def knows(store: Store, one: SourceEvent, *, within: timedelta = MINUTE, test: bool = False) -> bool:
    return bool(store.read(lambda tx: event_keys.matches(tx, "school", test, one, within)))


def claim(store: Store) -> inbox.InboxRow:
    (row,) = store.transact(lambda tx: inbox.claim(tx, ["school"], node="n"))
    return row


# -- known -----------------------------------------------------------------------------------------


def test_an_event_is_known_by_its_id_its_key_or_learner_course_and_time(store: Store) -> None:
    put(store, event("e1", keys=("k1", "k2"), occurred_at=AT))
    assert knows(store, said("e1", subject=None))
    assert knows(store, said(subject=None, keys=("x", "k2")))
    assert knows(store, said(occurred_at=AT + MINUTE))
    assert knows(store, said(occurred_at=AT - MINUTE))
    assert not knows(store, said(occurred_at=AT + MINUTE + timedelta(seconds=1)))
    assert not knows(store, said())
    assert not knows(store, said(subject="8", occurred_at=AT))
    assert not knows(store, said(course="69", occurred_at=AT))
    assert not knows(store, said(subject=None, keys=("k3",)))


def test_what_another_source_or_mode_knows_is_not_known(store: Store) -> None:
    put(store, event("e1", keys=("k1",), occurred_at=AT))
    put(store, event("e2", source="academy", keys=("k2",), occurred_at=AT + MINUTE * 9))
    assert not knows(store, said("e1", keys=("k1",), occurred_at=AT), test=True)
    assert not knows(store, said("e2", keys=("k2",), occurred_at=AT + MINUTE * 9))


def test_times_meet_across_midnight_and_over_days(store: Store) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    put(store, event("e1", occurred_at=midnight - timedelta(seconds=20)))
    assert knows(store, said(occurred_at=midnight + timedelta(seconds=20)))
    assert not knows(store, said(occurred_at=midnight + timedelta(seconds=50)))
    assert knows(store, said(occurred_at=midnight + timedelta(days=3)), within=timedelta(days=4))
    assert not knows(store, said(occurred_at=midnight + timedelta(days=5)), within=timedelta(days=4))
    assert not knows(store, said(occurred_at=datetime.max.replace(tzinfo=UTC)))
    assert not knows(store, said(occurred_at=datetime.min.replace(tzinfo=UTC)))


def test_ids_and_keys_of_any_length_and_alphabet_are_known_again(store: Store) -> None:
    long, odd = "k" * 2000, "\ud800 \0 \u6f22 %_"
    put(store, event("e1", subject=long, course=odd, keys=(long, odd), occurred_at=AT))
    assert knows(store, said(subject=None, keys=(long,)))
    assert knows(store, said(subject=None, keys=(odd,)))
    assert knows(store, said(subject=long, course=odd, occurred_at=AT))
    assert not knows(store, said(subject=long + "x", course=odd, occurred_at=AT))


def test_what_the_vendors_api_told_later_counts_as_well(store: Store) -> None:
    put(store, event("e1", subject=None, course=None))
    row = claim(store)
    record = row.event.model_copy(update={"subject": "7", "course": "68", "keys": ("k9",), "occurred_at": AT})
    token = row.lease_token or ""
    assert store.transact(lambda tx: inbox.save_record(tx, row.id, token, record))
    assert store.transact(lambda tx: inbox.settle(tx, row.id, token, state=State.HELD, code="x", reason="y"))
    assert knows(store, said(subject=None, keys=("k9",)))
    assert knows(store, said(occurred_at=AT))


@pytest.mark.parametrize("state", [State.RETRYING, State.HELD, State.FAILED, State.IGNORED])
def test_an_event_without_a_certificate_stays_known(store: Store, state: State) -> None:
    put(store, event("e1", keys=("k1",), state=State.IGNORED, code="event_type", reason="unwanted"))
    assert not knows(store, said(subject=None, keys=("k1",))), "unwanted at the door, perhaps no completion at all"
    (number,) = store.read(lambda tx: tx.connection.execute(select(tables.inbox.c.id)).scalars().all())
    store.transact(lambda tx: inbox.replay(tx, number, actor="ana"))
    row = claim(store)
    token = row.lease_token or ""
    assert store.transact(lambda tx: inbox.settle(tx, row.id, token, state=state, code="x", reason="y"))
    assert knows(store, said(subject=None, keys=("k1",)))


# -- where a poll stands -----------------------------------------------------------------------------


def row_of(store: Store, name: str = "school") -> sources.SourceRow:
    return store.read(lambda tx: sources.known(tx, name))


def test_where_a_poll_stands_is_read_as_it_was_kept_and_not_in_the_other_mode(store: Store) -> None:
    store.transact(lambda tx: sources.ensure(tx, "school", "x", since=None))
    assert polls.state(row_of(store), test=False) == PollState(test=False)
    kept = PollState(test=False, cursor={"after": 7}, first=False, ended_at=AT, error="no", new=3)
    store.transact(lambda tx: polls.save(tx, "school", kept))
    assert polls.state(row_of(store), test=False) == kept
    assert polls.state(row_of(store), test=True) == PollState(test=True)


def test_the_first_contact_ends_with_a_poll_that_went_well(store: Store) -> None:
    store.transact(lambda tx: sources.ensure(tx, "school", "x", since=None))
    begun = PollState(test=False, cursor={"after": 1})
    failed = store.transact(lambda tx: polls.ended(tx, "school", begun, error="e" * 900, new=0))
    assert (failed.first, len(failed.error or ""), failed.cursor) == (True, 500, {"after": 1})
    well = store.transact(lambda tx: polls.ended(tx, "school", failed, error=None, new=4))
    assert (well.first, well.error, well.new) == (False, None, 4)
    again = store.transact(lambda tx: polls.ended(tx, "school", well, error="no", new=0))
    assert again.first is False
    assert polls.state(row_of(store), test=False) == again
    assert again.ended_at is not None


def test_a_source_nobody_started_is_no_bug_but_a_word_to_the_admin(store: Store) -> None:
    with pytest.raises(PermanentError, match="school is new in the configuration: restart certbridge serve first"):
        row_of(store)


def test_a_vendors_wish_only_ever_makes_a_rest_longer(store: Store) -> None:
    store.transact(lambda tx: sources.ensure(tx, "school", "x", since=None))

    def rest(seconds: float, reason: str) -> tuple[datetime | None, str | None]:
        store.transact(lambda tx: sources.rest(tx, "school", AT + timedelta(seconds=seconds), reason))
        return row_of(store).paused_until, row_of(store).pause_reason

    assert rest(60, "first") == (AT + timedelta(seconds=60), "first")
    assert rest(30, "shorter") == (AT + timedelta(seconds=60), "first")
    assert rest(90, "longer") == (AT + timedelta(seconds=90), "longer")
    store.transact(lambda tx: sources.pause(tx, "school", AT, "a person"))
    assert (row_of(store).paused_until, row_of(store).pause_reason) == (AT, "a person")


# -- the past ----------------------------------------------------------------------------------------


def test_the_past_is_what_was_ignored_as_older_than_the_start_line(store: Store) -> None:
    ignored = {"state": State.IGNORED, "code": inbox.BEFORE_START, "reason": "old"}
    old = put(store, event("e1", **ignored))
    put(store, event("e2", state=State.IGNORED, code="skip_if", reason="x"))
    put(store, event("e3", test=True, **ignored))
    put(store, event("e4", source="academy", **ignored))
    put(store, event("e5"))
    newer = put(store, event("e6", **ignored))
    assert [row.id for row in store.read(lambda tx: before_start.events(tx, "school", False, limit=9))] == [old, newer]
    assert [row.id for row in store.read(lambda tx: before_start.events(tx, "school", False, limit=1))] == [old]
    assert store.read(lambda tx: before_start.number(tx, "school", False, "e6")) == newer
    assert store.read(lambda tx: before_start.number(tx, "school", False, "e2")) is None
    assert store.read(lambda tx: before_start.number(tx, "school", True, "e6")) is None


def test_a_person_may_release_what_is_older_and_answer_more_with_it(store: Store) -> None:
    number = put(store, event("e1", state=State.IGNORED, code=inbox.BEFORE_START, reason="old"))
    row = store.transact(
        lambda tx: inbox.release(
            tx, number, overrides={"mail.send": "no"}, actor="ana", reason="chosen", answered=("flood",)
        )
    )
    assert (row.state, row.overrides) == (State.READY, {"mail.send": "no", "released": "before_start,flood"})
    other = put(store, event("e2", state=State.IGNORED, code="skip_if", reason="x"))
    with pytest.raises(PermanentError, match="only held and failed events can be released"):
        store.transact(lambda tx: inbox.release(tx, other, overrides={}, actor="ana", reason="x"))


# -- forgotten ---------------------------------------------------------------------------------------


def dump(store: Store) -> str:
    def look(tx: Transaction) -> str:
        rows = (row for table in tables.metadata.sorted_tables for row in tx.connection.execute(select(table)).all())
        return "\n".join(repr(tuple(row)) for row in rows)

    return store.read(look)


def whole_life(tx: Transaction, subject: str, name: str, number: int) -> str:
    """Stores a certificate with everything around it; returns its id."""
    at_the_door = requests.record(tx, request(body=name.encode()))
    told = event(f"e{number}", subject=subject, data={"name": name}, request_id=at_the_door)
    row = inbox.put(tx, told)
    done = completion(tx, subject=subject)
    (claimed,) = inbox.claim(tx, ["school"], node="n", ids=[row.inbox_id])
    token = claimed.lease_token or ""
    record = claimed.event.model_copy(update={"data": {"name": name, "more": name}})
    inbox.save_record(tx, row.inbox_id, token, record)
    more = {"completion": {"name": name}, "mapping_sha": "m", "stage": "issued", "completion_id": done.id}
    inbox.link(tx, row.inbox_id, token, **more)
    inbox.settle(tx, row.inbox_id, token, state=State.DONE, code="issued", reason=f"{name} has it.")
    made = certificate(tx, id=f"AAAABBBBCCCCDDD{number:02d}", completion_id=done.id, data=data(name), subject=subject)
    certificates.put_file(tx, made.id, 1, "pdf", "application/pdf", name.encode())
    certificates.publish(tx, made.id, 1)
    certificates.add_version(
        tx, made.id, data=data(f"{name} II"), template_sha="t", mapping_sha="m", by="ana", reason=f"{name} asked"
    )
    told_by = delivery(f"d{number}", certificate_id=made.id, target={"to": name}, payload={"text": name})
    sent = outbox.put(tx, told_by)
    shown = {"outcome": "ok", "code": None, "reason": name, "request": {"a": name}, "response": {"b": name}}
    for which in ({"inbox_id": row.inbox_id}, {"outbox_id": sent}):
        attempts.record(tx, n=1, node="n", started_at=tx.now, **which, **shown)
    history.add(tx, "event.released", actor="ana", inbox_id=row.inbox_id, data={"overrides": {"name": name}})
    history.add(tx, "certificate.corrected", actor="ana", certificate_id=made.id, data={"reason": name})
    return made.id


def test_erasing_leaves_a_tombstone_without_a_person_and_everybody_else_alone(store: Store) -> None:
    gone = store.transact(lambda tx: whole_life(tx, "7", "Zdenka Osobnova", 1))
    kept = store.transact(lambda tx: whole_life(tx, "70", "Nora Berg", 2))
    assert "Zdenka" in dump(store)
    before = dump(store).count("Nora")
    erased = store.transact(lambda tx: erase.erase(tx, "school", False, "7", actor="ana", reason="asked"))
    assert erased == [gone]
    assert "Zdenka" not in dump(store)
    assert "Osobnova" not in dump(store)
    assert dump(store).count("Nora") == before

    def look(tx: Transaction) -> tuple[str, str, str | None, int]:
        one, other = certificates.get(tx, gone), certificates.get(tx, kept)
        assert one is not None
        assert other is not None
        files = tx.connection.execute(select(tables.files.c.certificate_id)).scalars().all()
        return one.state, other.state, one.recipient_key, len(files)

    assert store.read(look) == ("erased", "issued", None, 1)
    assert store.read(lambda tx: completions.all_cycles(tx, "school", False, "7", "68")) != []
    assert store.transact(lambda tx: erase.erase(tx, "school", False, "7", actor="ana", reason="asked")) == []


def test_erasing_ends_what_is_not_finished_but_for_the_event_that_asks(store: Store) -> None:
    waiting, asking = put(store, event("e1")), put(store, event("e2", event_type="deleted", data={"name": "Zdenka"}))
    old = put(store, event("e3", state=State.IGNORED, code=inbox.BEFORE_START, reason="Zdenka is old"))
    (row,) = store.transact(lambda tx: inbox.claim(tx, ["school"], node="n", ids=[asking]))
    store.transact(lambda tx: erase.erase(tx, "school", False, "7", actor="x", reason="y", but=asking))
    found = {number: store.read(lambda tx, number=number: inbox.get(tx, number)) for number in (waiting, asking, old)}
    states = {number: (one.state, one.code) for number, one in found.items() if one}
    assert states == {
        waiting: (State.CANCELLED, "erased"),
        asking: (State.RUNNING, None),
        old: (State.IGNORED, "erased"),
    }
    assert store.read(lambda tx: before_start.events(tx, "school", False, limit=9)) == []
    assert "Zdenka" not in dump(store)
    token = row.lease_token or ""
    assert store.transact(lambda tx: inbox.settle(tx, asking, token, state=State.DONE, code="erased", reason="done"))


ODD_IDS = ["7", 'a"b', "a\\b", "a%b", "a_b", "\u6f22 \ud83d\ude00", "\ud800", "a\0b", "x" * 900]


@pytest.mark.parametrize("subject", ODD_IDS)
def test_whatever_an_id_looks_like_exactly_that_learner_is_forgotten(store: Store, subject: str) -> None:
    put(store, event("e1", subject=subject, data={"name": "Zdenka"}))
    others = ["A%B", "axb", "a b", subject + "x", "x" + subject]
    for number, other in enumerate(others):
        put(store, event(f"o{number}", subject=other, data={"name": "Nora"}))
    stored = store.read(lambda tx: inbox.search(tx, limit=1, before_id=2))[0].event.subject or ""
    store.transact(lambda tx: erase.erase(tx, "school", False, stored, actor="x", reason="y"))
    assert "Zdenka" not in dump(store)
    assert dump(store).count("Nora") == len(others)


# -- merged ------------------------------------------------------------------------------------------


def test_merging_moves_completions_as_later_cycles_and_leaves_keys_and_certificates_with_them(store: Store) -> None:
    def write(tx: Transaction) -> tuple[int, int]:
        into = completion(tx, "1")
        gone = completion(tx, "2", completed_on=date(2026, 1, 5))
        completion(tx, "2", course="70")
        completion(tx, "3", completed_on=date(2026, 1, 1))
        completions.add_keys(tx, gone, ["k2"])
        certificate(tx, completion_id=gone.id)
        return into.id, gone.id

    into, gone = store.transact(write)
    assert store.transact(lambda tx: merging.merge(tx, "school", False, into="1", merged=["2", "3", "1", "9"])) == 3
    cycles = store.read(lambda tx: completions.all_cycles(tx, "school", False, "1", "68"))
    assert [(one.cycle, one.completed_on.month) for one in cycles] == [(1, 11), (2, 1), (3, 1)]
    assert {into, gone} <= {one.id for one in cycles}
    found = store.read(lambda tx: completions.by_keys(tx, "school", False, ["k2"]))
    assert found is not None
    assert (found.id, found.subject) == (gone, "1")
    assert store.read(lambda tx: certificates.of_completion(tx, gone)) is not None
    assert store.transact(lambda tx: merging.merge(tx, "school", False, into="1", merged=["2", "3"])) == 0


def test_merging_stays_within_its_source_and_mode(store: Store) -> None:
    def write(tx: Transaction) -> None:
        completion(tx, "2", source="academy")
        completion(tx, "2", test=True)

    store.transact(write)
    assert store.transact(lambda tx: merging.merge(tx, "school", False, into="1", merged=["2"])) == 0


# -- deliveries once more ----------------------------------------------------------------------------


def test_the_body_of_a_request_can_be_forgotten_and_not_that_it_came(store: Store) -> None:
    number = store.transact(lambda tx: requests.record(tx, request(body=b"Zdenka")))
    store.transact(lambda tx: requests.forget_body(tx, number))
    kept = store.read(lambda tx: requests.get(tx, number))
    assert kept is not None
    assert (kept.body, kept.body_sha256) == (None, "b1")


def test_many_learners_of_one_second_are_told_apart(store: Store) -> None:
    def write(tx: Transaction) -> None:
        for number in range(300):
            inbox.put(tx, event(f"e{number}", subject=str(number), occurred_at=AT))

    store.transact(write)
    assert knows(store, said(subject="150", occurred_at=AT))
    assert not knows(store, said(subject="300", occurred_at=AT))
