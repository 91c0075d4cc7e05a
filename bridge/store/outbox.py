"""The outbox: every effect outside (mail, write-back step, webhook) is a row with its own attempts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, and_, func, or_, select, text

from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject, State
from bridge.store import history, queue
from bridge.store.queue import LEASE
from bridge.store.tables import outbox
from bridge.store.transaction import Transaction

FINISHED_WELL: Final = queue.values_of((State.DONE, State.IGNORED))
"""What a step must have come to before the one after it may start."""
OVERTAKEN: Final = "A newer delivery for the same certificate, destination and step took its place."
LOCK_SPACE: Final = 1128616532
"""Any number nobody else uses as the first half of a PostgreSQL advisory lock."""

_other = outbox.alias("other")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """An effect to be had."""

    kind: str
    """`mail`, `write_back` or `webhook`."""
    destination: str
    """For a write-back: the source."""
    step: str
    test: bool
    certificate_id: str | None
    version: int | None
    target: JsonObject
    payload: JsonObject | None
    dedupe_key: str
    after_id: int | None = None
    lock_key: str | None = None
    state: State = State.READY
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One row of the outbox."""

    id: int
    kind: str
    destination: str
    step: str
    test: bool
    certificate_id: str | None
    version: int | None
    target: JsonObject
    payload: JsonObject | None
    dedupe_key: str
    after_id: int | None
    lock_key: str | None
    memo: JsonObject
    """What the step remembers between attempts, such as the id a vendor gave."""
    receipt: JsonObject | None
    state: State
    due_at: datetime | None
    lease_token: str | None
    leased_by: str | None
    attempts: int
    code: str | None
    reason: str | None


def put(tx: Transaction, new: NewDelivery) -> int | None:
    """Stores an effect once per `dedupe_key` (None: it is there already) and cancels what it overtakes.

    Overtaken are older unfinished rows of the same certificate, destination and step, with the steps that wait for
    them. One that is running finishes; if it fails, it is not tried again.
    """
    values = {
        "kind": new.kind,
        "destination": new.destination,
        "step": new.step,
        "test": new.test,
        "certificate_id": new.certificate_id,
        "version": new.version,
        "target": new.target,
        "payload": new.payload,
        "dedupe_key": new.dedupe_key,
        "after_id": new.after_id,
        "lock_key": new.lock_key,
        "memo": {},
        **queue.standing(tx, new.state, code=new.code, reason=new.reason),
        "attempts": 0,
    }
    row_id = queue.insert_new_id(tx, outbox, values)
    if row_id is not None and new.certificate_id is not None:
        older = and_(
            outbox.c.certificate_id == new.certificate_id,
            outbox.c.kind == new.kind,
            outbox.c.destination == new.destination,
            outbox.c.step == new.step,
            outbox.c.id < row_id,
        )
        _cancel(tx, older, code="overtaken", reason=OVERTAKEN)
    return row_id


# -- for workers ---------------------------------------------------------------------------------


def claim(
    tx: Transaction,
    *,
    kinds: Collection[str],
    destinations: Collection[str] | None,
    node: str,
    limit: int = 10,
    lease: float = LEASE,
    ids: Collection[int] | None = None,
) -> list[OutboxRow]:
    """Leases up to `limit` due rows for `lease` seconds, oldest due first; `destinations` None means any.

    A row waits for the one in `after_id`, for a running row with its `lock_key`, and for a running row it overtook.
    """
    if not kinds or limit < 1 or (destinations is not None and not destinations):
        return []
    found = (
        select(outbox.c.id, outbox.c.lock_key, _overtaken().label("overtaken"))
        .where(queue.due(outbox, tx.now), *_wanted(kinds, destinations), *_unblocked(tx.now))
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(limit * 4)
        .with_for_update(skip_locked=True)
    )
    if ids is not None:
        found = found.where(outbox.c.id.in_(ids))
    candidates = tx.connection.execute(found).all()
    late = [row.id for row in candidates if row.overtaken]
    if late:  # its worker died after it was overtaken
        _cancel(tx, outbox.c.id.in_(late), code="overtaken", reason=OVERTAKEN, running=True)
    free = _free_locks(tx, {row.lock_key for row in candidates if row.lock_key is not None and not row.overtaken})
    chosen: list[int] = []
    for row in candidates:
        if row.overtaken or len(chosen) == limit:
            continue
        if row.lock_key is not None:
            if row.lock_key not in free:
                continue
            free.discard(row.lock_key)
        chosen.append(row.id)
    return [_row(row) for row in queue.take(tx, outbox, chosen, node=node, lease=lease)]


def renew(tx: Transaction, row_id: int, lease_token: str, *, lease: float = LEASE) -> bool:
    """Makes the lease end `lease` seconds from now; False when it is lost."""
    # Once the lease of a row with a lock has run out, another row may have the lock.
    condition = and_(
        queue.mine(outbox, row_id, lease_token), or_(outbox.c.lock_key.is_(None), outbox.c.due_at > tx.now)
    )
    return queue.change(tx, outbox, condition, {"due_at": tx.now + timedelta(seconds=lease)})


def save_memo(tx: Transaction, row_id: int, lease_token: str, memo: JsonObject) -> bool:
    """Keeps what the step has to remember; False when the lease is lost."""
    return queue.change(tx, outbox, queue.mine(outbox, row_id, lease_token), {"memo": memo})


def settle(
    tx: Transaction,
    row_id: int,
    lease_token: str,
    *,
    state: State,
    code: str | None = None,
    reason: str | None = None,
    due_in: float | None = None,
    receipt: JsonObject | None = None,
) -> bool:
    """Ends the lease with a result; False when it is lost, and then nothing changed.

    `due_in` (seconds) counts for ready and retrying. An overtaken row that did not succeed becomes cancelled.
    """
    mine = queue.mine(outbox, row_id, lease_token)
    if state in queue.OPEN and tx.connection.scalar(select(outbox.c.id).where(mine, _overtaken())) is not None:
        state, code, reason = State.CANCELLED, "overtaken", OVERTAKEN
    values = queue.standing(tx, state, code=code, reason=reason, due_in=due_in)
    if receipt is not None:
        values["receipt"] = receipt
    settled = queue.change(tx, outbox, mine, values)
    if settled and state is State.CANCELLED:
        _cancel_followers(tx, [row_id], code=code, reason=reason)
    return settled


def next_due(
    tx: Transaction, *, kinds: Collection[str], destinations: Collection[str] | None = None
) -> datetime | None:
    """Returns when the next row that waits for nothing but its time falls due (perhaps in the past), or None."""
    moment: datetime | None = tx.connection.scalar(
        select(func.min(outbox.c.due_at)).where(
            outbox.c.due_at.is_not(None), *_wanted(kinds, destinations), *_unblocked(tx.now)
        )
    )
    return moment


def due_destinations(tx: Transaction, destinations: Collection[str]) -> list[str]:
    """Returns the destinations of these that have a row to be claimed now."""
    wanted = outbox.c.destination.in_(destinations)
    found = select(outbox.c.destination).where(queue.due(outbox, tx.now), wanted, *_unblocked(tx.now)).distinct()
    return list(tx.connection.execute(found).scalars())


# -- for people ----------------------------------------------------------------------------------


def replay(tx: Transaction, row_id: int, *, actor: str) -> OutboxRow:
    """Puts a row back to ready, at once and with a fresh series of attempts; the memo stays.

    Raises PermanentError for an unknown row, one that is being worked on and one that was overtaken.
    """
    row = _existing(tx, row_id)
    queue.refuse_while_running(tx, row.state, row.due_at, f"Delivery {row_id}")
    if tx.connection.scalar(select(outbox.c.id).where(outbox.c.id == row_id, _overtaken())) is not None:
        raise PermanentError(f"Delivery {row_id} cannot be replayed. {OVERTAKEN} Replay that one.", code="overtaken")
    values = {"attempts": 0, **queue.standing(tx, State.READY, code=None, reason=None)}
    queue.change(tx, outbox, outbox.c.id == row_id, values)
    _remember(tx, "delivery.replayed", row, actor, {"from": row.state.value})
    return _existing(tx, row_id)


def cancel(tx: Transaction, row_id: int, *, actor: str, reason: str) -> OutboxRow:
    """Stops a row that is not finished, and the steps that wait for it; a worker that has it loses its lease.

    Raises PermanentError for an unknown row and for a finished one.
    """
    row = _existing(tx, row_id)
    if row.state not in queue.OPEN:
        raise PermanentError(f"Delivery {row_id} is {row.state.value} already.", code="finished")
    _cancel(tx, outbox.c.id == row_id, code="cancelled", reason=reason, running=True)
    _remember(tx, "delivery.cancelled", row, actor, {"from": row.state.value, "reason": reason})
    return _existing(tx, row_id)


def get(tx: Transaction, row_id: int) -> OutboxRow | None:
    """Returns one row."""
    row = tx.connection.execute(select(outbox).where(outbox.c.id == row_id)).mappings().one_or_none()
    return None if row is None else _row(row)


def search(
    tx: Transaction,
    *,
    certificate_id: str | None = None,
    kind: str | None = None,
    destination: str | None = None,
    state: State | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[OutboxRow]:
    """Returns rows, newest first; `before_id` goes on to the next page."""
    found = select(outbox).order_by(outbox.c.id.desc()).limit(limit)
    equal = {"certificate_id": certificate_id, "kind": kind, "destination": destination}
    for name, value in equal.items():
        if value is not None:
            found = found.where(outbox.c[name] == value)
    if state is not None:
        found = found.where(outbox.c.state == state.value)
    if before_id is not None:
        found = found.where(outbox.c.id < before_id)
    return [_row(row) for row in tx.connection.execute(found).mappings()]


def counts(tx: Transaction) -> dict[tuple[str, State], int]:
    """Returns how many rows each destination has in each state."""
    grouped = select(outbox.c.destination, outbox.c.state, func.count()).group_by(outbox.c.destination, outbox.c.state)
    return {(destination, State(state)): number for destination, state, number in tx.connection.execute(grouped)}


# -- conditions ----------------------------------------------------------------------------------


def _wanted(kinds: Collection[str], destinations: Collection[str] | None) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [outbox.c.kind.in_(kinds)]
    if destinations is not None:
        wanted.append(outbox.c.destination.in_(destinations))
    return wanted


def _unblocked(now: datetime) -> list[ColumnElement[bool]]:
    """Matches rows that wait for no other row and no paused source."""
    other = _other.c
    running = and_(other.state == State.RUNNING.value, other.due_at > now, other.id != outbox.c.id)
    before = select(other.id).where(other.id == outbox.c.after_id, other.state.in_(FINISHED_WELL))
    locked = select(other.id).where(running, other.lock_key == outbox.c.lock_key)
    same_effect = select(other.id).where(running, *_same_effect())
    return [
        or_(outbox.c.after_id.is_(None), before.exists()),
        or_(outbox.c.lock_key.is_(None), ~locked.exists()),
        or_(outbox.c.certificate_id.is_(None), ~same_effect.exists()),
        or_(outbox.c.kind != "write_back", queue.not_paused(outbox.c.destination, now)),
    ]


def _overtaken() -> ColumnElement[bool]:
    """Matches rows for which a newer one with the same effect exists."""
    return select(_other.c.id).where(_other.c.id > outbox.c.id, *_same_effect()).exists()


def _same_effect() -> tuple[ColumnElement[bool], ...]:
    names = ("certificate_id", "kind", "destination", "step")
    return tuple(_other.c[name] == outbox.c[name] for name in names)


def _free_locks(tx: Transaction, keys: set[str]) -> set[str]:
    """Returns the keys nobody works under. Raises nothing: a key that is being claimed right now is simply not free."""
    if not keys or tx.dialect == "sqlite":  # one writer at a time: what the query saw still stands
        return keys
    # Two nodes may have seen different rows of one key; only the one that gets the advisory lock (until its
    # transaction ends) may go on, and looks again, because the other may have committed in between.
    tried = text(
        "SELECT k FROM unnest(CAST(:keys AS text[])) AS k WHERE pg_try_advisory_xact_lock(:space, hashtext(k))"
    )
    got = set(tx.connection.execute(tried, {"keys": sorted(keys), "space": LOCK_SPACE}).scalars())
    running = and_(outbox.c.lock_key.in_(got), outbox.c.state == State.RUNNING.value, outbox.c.due_at > tx.now)
    return got - set(tx.connection.execute(select(outbox.c.lock_key).where(running)).scalars())


# -- cancelling ----------------------------------------------------------------------------------


def _cancel(
    tx: Transaction, which: ColumnElement[bool], *, code: str | None, reason: str | None, running: bool = False
) -> None:
    states = [state for state in queue.OPEN if running or state is not State.RUNNING]
    found = select(outbox.c.id).where(which, outbox.c.state.in_(queue.values_of(states))).with_for_update()
    row_ids = tx.connection.execute(found).scalars().all()
    if row_ids:
        values = queue.standing(tx, State.CANCELLED, code=code, reason=reason)
        queue.change(tx, outbox, outbox.c.id.in_(row_ids), values)
        _cancel_followers(tx, row_ids, code=code, reason=reason)


def _cancel_followers(tx: Transaction, row_ids: Collection[int], *, code: str | None, reason: str | None) -> None:
    # They would wait for ever, and nobody would be told.
    _cancel(tx, outbox.c.after_id.in_(row_ids), code=code, reason=reason)


def _remember(tx: Transaction, kind: str, row: OutboxRow, actor: str, data: JsonObject) -> None:
    history.add(tx, kind, actor=actor, test=row.test, certificate_id=row.certificate_id, outbox_id=row.id, data=data)


def _existing(tx: Transaction, row_id: int) -> OutboxRow:
    found = select(outbox).where(outbox.c.id == row_id).with_for_update()
    row = tx.connection.execute(found).mappings().one_or_none()
    if row is None:
        raise queue.unknown("delivery", row_id)
    return _row(row)


def _row(row: RowMapping) -> OutboxRow:
    values: dict[str, Any] = dict(row)
    values["state"] = State(values["state"])
    return OutboxRow(**values)
