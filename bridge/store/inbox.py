"""The inbox: every event a source told us about, once, and how far its work has come."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, func, or_, select, update

from bridge.core.errors import PermanentError, UnavailableError, UnconfirmedError
from bridge.core.models import JsonObject, SourceEvent, State
from bridge.store import event_keys, history, queue, stuck
from bridge.store.inbox_rows import InboxRow, NewEvent, Put, read_row, stored
from bridge.store.matching import matches
from bridge.store.queue import LEASE
from bridge.store.tables import inbox
from bridge.store.transaction import Transaction

__all__ = ["InboxRow", "NewEvent", "Put"]

PUT_TRIES: Final = 100
BEFORE_START: Final = "before_start"
"""The code of a completion from before the start line of its source."""
_WITHOUT_CERTIFICATE: Final = (State.RETRYING, State.HELD, State.FAILED, State.IGNORED)
"""There the vendor's API may have told more than the event itself did."""
_UNCONFIRMED: Final = and_(inbox.c.state == State.HELD.value, inbox.c.code == UnconfirmedError.code)


# -- at the door ---------------------------------------------------------------------------------


def put(tx: Transaction, new: NewEvent) -> Put:
    """Stores an event once: a repeat is counted, a changed body is the next revision.

    A repeat revives a row that failed, and one that is held because the source never confirmed it: perhaps it does now.
    """
    revision = 1
    for _ in range(PUT_TRIES):
        row_id = queue.insert_new_id(tx, inbox, _values(tx, new, revision))
        if row_id is not None:
            if new.state is State.READY:
                event_keys.note(tx, new.source, new.test, new.event, row_id)
            return Put(row_id, "new" if revision == 1 else "revised")
        # Somebody else's row stands there; on PostgreSQL this next statement sees it, as it is committed by now.
        latest = tx.connection.execute(
            select(inbox.c.id, inbox.c.revision, inbox.c.body_sha256)
            .where(*_same_event(new))
            .order_by(inbox.c.revision.desc())
            .limit(1)
        ).one_or_none()
        if latest is None:
            continue
        if latest.body_sha256 == new.body_sha256:
            return _repeat(tx, latest.id, new)
        revision = latest.revision + 1
    raise UnavailableError(f"Event {new.event.event_id[:80]} is arriving too often at once.", code="store_unavailable")


def _same_event(new: NewEvent) -> tuple[Any, ...]:
    return inbox.c.source == new.source, inbox.c.test == new.test, inbox.c.event_id == new.event.event_id


def _repeat(tx: Transaction, row_id: int, new: NewEvent) -> Put:
    revive = new.state is State.READY and queue.change(
        tx,
        inbox,
        and_(inbox.c.id == row_id, or_(inbox.c.state == State.FAILED.value, _UNCONFIRMED)),
        # The same body, but perhaps a connector that reads it better by now.
        {**_event_values(new), "attempts": 0, **queue.standing(tx, State.READY, code=None, reason=None)},
    )
    counted = update(inbox).where(inbox.c.id == row_id).values(deliveries=inbox.c.deliveries + 1)
    tx.connection.execute(counted)
    return Put(row_id, "revived" if revive else "duplicate")


def _event_values(new: NewEvent) -> dict[str, Any]:
    return {
        "event_type": new.event.event_type,
        "occurred_at": new.event.occurred_at,
        "payload": stored(new.event),
    }


def _values(tx: Transaction, new: NewEvent, revision: int) -> dict[str, Any]:
    return {
        "request_id": new.request_id,
        "source": new.source,
        "test": new.test,
        "event_id": new.event.event_id,
        "revision": revision,
        "body_sha256": new.body_sha256,
        **_event_values(new),
        "stage": "received",
        **queue.standing(tx, new.state, code=new.code, reason=new.reason),
        "attempts": 0,
        "overrides": new.overrides,
        "batch_id": new.batch_id,
        "row_key": new.row_key,
        "deliveries": 1,
    }


# -- for workers ---------------------------------------------------------------------------------


def claim(
    tx: Transaction,
    sources: Collection[str],
    *,
    node: str,
    limit: int = 10,
    lease: float = LEASE,
    ids: Collection[int] | None = None,
) -> list[InboxRow]:
    """Leases up to `limit` due rows of these sources for `lease` seconds, oldest due first; paused sources rest."""
    if not sources or limit < 1:
        return []
    found = (
        select(inbox.c.id)
        .where(queue.due(inbox, tx.now), inbox.c.source.in_(sources), queue.not_paused(inbox.c.source, tx.now))
        .order_by(inbox.c.due_at, inbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if ids is not None:
        found = found.where(inbox.c.id.in_(ids))
    row_ids = tx.connection.execute(found).scalars().all()
    return [read_row(row) for row in queue.take(tx, inbox, row_ids, node=node, lease=lease)]


def renew(tx: Transaction, row_id: int, lease_token: str, *, lease: float = LEASE) -> bool:
    """Makes the lease end `lease` seconds from now; False when it is lost."""
    values = {"due_at": tx.now + timedelta(seconds=lease)}
    return queue.change(tx, inbox, queue.mine(inbox, row_id, lease_token), values)


def save_record(tx: Transaction, row_id: int, lease_token: str, record: SourceEvent) -> bool:
    """Keeps what the vendor's API told; False when the lease is lost."""
    values: dict[str, Any] = {"record": stored(record), "stage": "enriched"}
    if record.occurred_at is not None:
        values["occurred_at"] = record.occurred_at
    return queue.change(tx, inbox, queue.mine(inbox, row_id, lease_token), values)


def link(
    tx: Transaction,
    row_id: int,
    lease_token: str,
    *,
    completion_id: int,
    completion: JsonObject,
    mapping_sha: str,
    stage: str,
) -> bool:
    """Ties a running row to its completion; False when the lease is lost."""
    values = {"completion_id": completion_id, "completion": completion, "mapping_sha": mapping_sha, "stage": stage}
    return queue.change(tx, inbox, queue.mine(inbox, row_id, lease_token), values)


def settle(
    tx: Transaction,
    row_id: int,
    lease_token: str,
    *,
    state: State,
    code: str | None = None,
    reason: str | None = None,
    due_in: float | None = None,
    completion: JsonObject | None = None,
    completion_id: int | None = None,
    mapping_sha: str | None = None,
    stage: str | None = None,
) -> bool:
    """Ends the lease with a result; False when it is lost, and then nothing changed.

    `due_in` (seconds) counts for ready and retrying; what is None of the last four stays as it is.
    """
    extra = {"completion": completion, "completion_id": completion_id, "mapping_sha": mapping_sha, "stage": stage}
    values = queue.standing(tx, state, code=code, reason=reason, due_in=due_in)
    values |= {name: value for name, value in extra.items() if value is not None}
    settled = queue.change(tx, inbox, queue.mine(inbox, row_id, lease_token), values)
    if settled and state in _WITHOUT_CERTIFICATE:
        _note_keys(tx, _existing(tx, row_id))
    return settled


def due_sources(tx: Transaction, sources: Collection[str]) -> list[str]:
    """Returns the sources of these that have a row to be claimed now."""
    ready = queue.due(inbox, tx.now), queue.not_paused(inbox.c.source, tx.now)
    return [name for name in sources if queue.any_of(tx, inbox, inbox.c.source == name, *ready)]


def waiting(tx: Transaction) -> dict[str, int]:
    """Returns for each source how many rows wait for a worker, due or not."""
    grouped = select(inbox.c.source, func.count()).where(inbox.c.due_at.is_not(None)).group_by(inbox.c.source)
    return {row[0]: row[1] for row in tx.connection.execute(grouped)}


def others_active(tx: Transaction, completion_id: int, *, before: int) -> bool:
    """Tells whether an older event about the same completion is still being worked on."""
    active = queue.values_of((State.READY, State.RUNNING, State.RETRYING))
    found = select(inbox.c.id).where(
        inbox.c.completion_id == completion_id, inbox.c.id < before, inbox.c.state.in_(active)
    )
    return tx.connection.execute(found.limit(1)).first() is not None


# -- for people ----------------------------------------------------------------------------------


def replay(
    tx: Transaction,
    row_id: int,
    *,
    refetch: bool | None = None,
    actor: str,
    overrides: dict[str, str] | None = None,
) -> InboxRow:
    """Puts a row back to ready, at once and with a fresh series of attempts; links stay, and so do overrides.

    `overrides` replace those of the row. `refetch` forgets what the vendor's API said. None: so does a held or failed
    row that led to no certificate.
    Raises PermanentError for an unknown row and for one that is being worked on.
    """
    row = _changeable(tx, row_id)
    values = {"attempts": 0, **queue.standing(tx, State.READY, code=None, reason=None)}
    refetch = stuck.asks_anew(tx, row.state, row.completion_id) if refetch is None else refetch
    values["stage"] = "received" if refetch or row.record is None else "enriched"
    if refetch:
        values["record"] = None
    if overrides is not None:
        values["overrides"] = overrides
    queue.change(tx, inbox, inbox.c.id == row_id, values)
    data = {"from": row.state.value, "refetch": refetch}
    history.add(tx, "event.replayed", actor=actor, test=row.test, inbox_id=row_id, data=data)
    return _existing(tx, row_id)


def release(
    tx: Transaction,
    row_id: int,
    *,
    overrides: dict[str, str],
    actor: str,
    reason: str,
    answered: Collection[str] = (),
) -> InboxRow:
    """Lets a held (or failed) row go on, with values a person corrected; they survive every replay.

    The code of the hold is noted under `released`: that question is `answered` (with these, if any), and no other.
    A completion from before the start line goes on as well. Raises PermanentError for an unknown row and for one in
    another state.
    """
    row = _changeable(tx, row_id)
    if row.state not in (State.HELD, State.FAILED) and row.code != BEFORE_START:
        raise PermanentError(
            f"Event {row_id} is {row.state.value}; only held and failed events can be released.", code="not_held"
        )
    values = {"attempts": 0, **queue.standing(tx, State.READY, code=None, reason=None)}
    codes = [code for code in (*row.overrides.get("released", "").split(","), row.code, *answered) if code]
    merged = {**row.overrides, **overrides, "released": ",".join(dict.fromkeys(codes))}
    queue.change(tx, inbox, inbox.c.id == row_id, {**values, "overrides": merged})
    data = {"from": row.state.value, "overrides": overrides, "reason": reason}
    history.add(tx, "event.released", actor=actor, test=row.test, inbox_id=row_id, data=data)
    return _existing(tx, row_id)


def cancel(tx: Transaction, row_id: int, *, actor: str, reason: str) -> InboxRow:
    """Stops a row that is not finished; a worker that has it loses its lease.

    Raises PermanentError for an unknown row and for a finished one.
    """
    row = _existing(tx, row_id)
    if row.state not in queue.OPEN:
        raise PermanentError(f"Event {row_id} is {row.state.value} already.", code="finished")
    values = queue.standing(tx, State.CANCELLED, code="cancelled", reason=reason)
    queue.change(tx, inbox, inbox.c.id == row_id, values)
    _note_keys(tx, row)
    data = {"from": row.state.value, "reason": reason}
    history.add(tx, "event.cancelled", actor=actor, test=row.test, inbox_id=row_id, data=data)
    return _existing(tx, row_id)


def explain(tx: Transaction, row_id: int, reason: str) -> None:
    """Gives a row that is done another reason."""
    done = and_(inbox.c.id == row_id, inbox.c.state == State.DONE.value)
    queue.change(tx, inbox, done, {"reason": reason[: queue.REASON_LENGTH]})


def get(tx: Transaction, row_id: int) -> InboxRow | None:
    """Returns one row."""
    row = tx.connection.execute(select(inbox).where(inbox.c.id == row_id)).mappings().one_or_none()
    return None if row is None else read_row(row)


def of_completion(tx: Transaction, completion_id: int) -> InboxRow | None:
    """Returns the event that made a completion's certificate (the oldest of those that led to it)."""
    found = select(inbox).where(inbox.c.completion_id == completion_id).order_by(inbox.c.id).limit(1)
    row = tx.connection.execute(found).mappings().one_or_none()
    return None if row is None else read_row(row)


def search(
    tx: Transaction,
    *,
    source: str | None = None,
    state: State | None = None,
    text: str | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[InboxRow]:
    """Returns rows, newest first; `before_id` goes on to the next page.

    `text` is looked for in payload, record, completion and reason: every word must stand there, in any case.
    """
    found = select(inbox).order_by(inbox.c.id.desc()).limit(limit)
    if source is not None:
        found = found.where(inbox.c.source == source)
    if state is not None:
        found = found.where(inbox.c.state == state.value)
    if before_id is not None:
        found = found.where(inbox.c.id < before_id)
    if text:
        json_columns = [inbox.c.payload, inbox.c.record, inbox.c.completion, inbox.c.overrides]
        found = found.where(matches(text, [inbox.c.event_id, inbox.c.reason], json_columns=json_columns))
    return [read_row(row) for row in tx.connection.execute(found).mappings()]


def of_completions(tx: Transaction, completion_ids: Collection[int], *, limit: int = 50) -> list[InboxRow]:
    """Returns the rows tied to these completions, newest first."""
    found = select(inbox).where(inbox.c.completion_id.in_(completion_ids)).order_by(inbox.c.id.desc()).limit(limit)
    return [read_row(row) for row in tx.connection.execute(found).mappings()]


def counts(tx: Transaction) -> dict[tuple[str, State], int]:
    """Returns how many rows each source has in each state."""
    grouped = select(inbox.c.source, inbox.c.state, func.count()).group_by(inbox.c.source, inbox.c.state)
    return {(source, State(state)): number for source, state, number in tx.connection.execute(grouped)}


def _note_keys(tx: Transaction, row: InboxRow) -> None:
    event_keys.note(tx, row.source, row.test, row.record or row.event, row.id)


def _existing(tx: Transaction, row_id: int) -> InboxRow:
    row = tx.connection.execute(select(inbox).where(inbox.c.id == row_id).with_for_update()).mappings().one_or_none()
    if row is None:
        raise queue.unknown("event", row_id)
    return read_row(row)


def _changeable(tx: Transaction, row_id: int) -> InboxRow:
    row = _existing(tx, row_id)
    queue.refuse_while_running(tx, row.state, row.due_at, f"Event {row_id}")
    return row
