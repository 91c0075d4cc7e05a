"""The outbox: every effect outside (mail, write-back step, webhook) is a row with its own attempts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, func, or_, select

from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject, State
from bridge.store import history, queue, steps
from bridge.store.queue import LEASE
from bridge.store.steps import OVERTAKEN
from bridge.store.tables import outbox
from bridge.store.transaction import Transaction


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
    them. One that is running finishes; if it fails, it is not tried again. A row born ignored overtakes nothing.
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
    # What is left out sends nothing, so it must not take the place of something that still has to be sent.
    if row_id is not None and new.certificate_id is not None and new.state is not State.IGNORED:
        older = and_(
            outbox.c.certificate_id == new.certificate_id,
            outbox.c.kind == new.kind,
            outbox.c.destination == new.destination,
            outbox.c.step == new.step,
            outbox.c.id < row_id,
        )
        steps.cancel(tx, older, code="overtaken", reason=OVERTAKEN)
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
        select(outbox.c.id, outbox.c.lock_key, steps.overtaken().label("overtaken"))
        .where(queue.due(outbox, tx.now), *_wanted(kinds, destinations), *steps.unblocked(tx.now))
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(limit * 4)
        .with_for_update(skip_locked=True)
    )
    if ids is not None:
        found = found.where(outbox.c.id.in_(ids))
    candidates = tx.connection.execute(found).all()
    late = [row.id for row in candidates if row.overtaken]
    if late:  # its worker died after it was overtaken
        steps.cancel(tx, outbox.c.id.in_(late), code="overtaken", reason=OVERTAKEN, running=True)
    free = steps.free_locks(tx, {row.lock_key for row in candidates if row.lock_key is not None and not row.overtaken})
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
    if state in queue.OPEN and tx.connection.scalar(select(outbox.c.id).where(mine, steps.overtaken())) is not None:
        state, code, reason = State.CANCELLED, "overtaken", OVERTAKEN
    values = queue.standing(tx, state, code=code, reason=reason, due_in=due_in)
    if receipt is not None:
        values["receipt"] = receipt
    settled = queue.change(tx, outbox, mine, values)
    if settled:
        steps.tell_followers(tx, row_id, state, code=code, reason=reason)
    return settled


def due_destinations(tx: Transaction, destinations: Collection[str]) -> list[str]:
    """Returns the destinations of these that have a row to be claimed now."""
    ready = queue.due(outbox, tx.now), *steps.unblocked(tx.now)
    return [name for name in destinations if queue.any_of(tx, outbox, outbox.c.destination == name, *ready)]


# -- for people ----------------------------------------------------------------------------------


def replay(tx: Transaction, row_id: int, *, actor: str) -> OutboxRow:
    """Puts a row back to ready, at once and with a fresh series of attempts; the memo stays.

    Raises PermanentError for an unknown row, one that is being worked on, one that was overtaken, and one that waits.
    """
    row = _existing(tx, row_id)
    queue.refuse_while_running(tx, row.state, row.due_at, f"Delivery {row_id}")
    if tx.connection.scalar(select(outbox.c.id).where(outbox.c.id == row_id, steps.overtaken())) is not None:
        raise PermanentError(f"Delivery {row_id} cannot be replayed. {OVERTAKEN} Replay that one.", code="overtaken")
    steps.refuse_while_waiting(tx, row_id, row.after_id)
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
    steps.cancel(tx, outbox.c.id == row_id, code="cancelled", reason=reason, running=True)
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


# -- rows ---------------------------------------------------------------------------------------


def _wanted(kinds: Collection[str], destinations: Collection[str] | None) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [outbox.c.kind.in_(kinds)]
    if destinations is not None:
        wanted.append(outbox.c.destination.in_(destinations))
    return wanted


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
