"""How deliveries wait for each other, take each other's place, and hear of each other's end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select, text

from bridge.core.errors import PermanentError
from bridge.core.models import State
from bridge.store import queue
from bridge.store.tables import outbox
from bridge.store.transaction import Transaction

FINISHED_WELL: Final = queue.values_of((State.DONE, State.IGNORED))
"""What a step must have come to before the one after it may start."""
OVERTAKEN: Final = "A newer delivery for the same certificate, destination and step took its place."
WAITS: Final = "waits_for"
"""The code of a step whose predecessor does not get on."""
LOCK_SPACE: Final = 1128616532
"""Any number nobody else uses as the first half of a PostgreSQL advisory lock."""

_other = outbox.alias("other")


# -- conditions ----------------------------------------------------------------------------------


def unblocked(now: datetime) -> list[ColumnElement[bool]]:
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


def overtaken() -> ColumnElement[bool]:
    """Matches rows for which a newer one with the same effect exists; one that was left out has no effect."""
    newer = and_(_other.c.id > outbox.c.id, _other.c.state != State.IGNORED.value)
    return select(_other.c.id).where(newer, *_same_effect()).exists()


def _same_effect() -> tuple[ColumnElement[bool], ...]:
    names = ("certificate_id", "kind", "destination", "step")
    return tuple(_other.c[name] == outbox.c[name] for name in names)


def free_locks(tx: Transaction, keys: set[str]) -> set[str]:
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


def cancel(
    tx: Transaction, which: ColumnElement[bool], *, code: str | None, reason: str | None, running: bool = False
) -> None:
    states = [state for state in queue.OPEN if running or state is not State.RUNNING]
    found = select(outbox.c.id).where(which, outbox.c.state.in_(queue.values_of(states))).with_for_update()
    row_ids = tx.connection.execute(found).scalars().all()
    if row_ids:
        values = queue.standing(tx, State.CANCELLED, code=code, reason=reason)
        queue.change(tx, outbox, outbox.c.id.in_(row_ids), values)
        cancel_followers(tx, row_ids, code=code, reason=reason)


def cancel_followers(tx: Transaction, row_ids: Collection[int], *, code: str | None, reason: str | None) -> None:
    # They would wait for ever, and nobody would be told.
    cancel(tx, outbox.c.after_id.in_(row_ids), code=code, reason=reason)


# -- followers -----------------------------------------------------------------------------------


def tell_followers(tx: Transaction, row_id: int, state: State, *, code: str | None, reason: str | None) -> None:
    """Passes a row's end on to the steps behind it, which would otherwise wait without anybody being told."""
    if state is State.CANCELLED:
        cancel_followers(tx, [row_id], code=code, reason=reason)
    elif state in (State.FAILED, State.HELD):
        _hold_followers(tx, row_id, state)
    elif state in (State.DONE, State.IGNORED):
        _free_followers(tx, row_id)


def _hold_followers(tx: Transaction, row_id: int, state: State) -> None:
    waiting = and_(outbox.c.after_id == row_id, outbox.c.state.in_(queue.values_of((State.READY, State.RETRYING))))
    followers = tx.connection.execute(select(outbox.c.id).where(waiting).with_for_update()).scalars().all()
    ended = "failed" if state is State.FAILED else "is held"
    for follower in followers:
        reason = f"Waits for delivery {row_id}, which {ended}. Mend that one and replay it; this one goes on by itself."
        values = queue.standing(tx, State.HELD, code=WAITS, reason=reason)
        queue.change(tx, outbox, outbox.c.id == follower, values)
        _hold_followers(tx, follower, State.HELD)


def _free_followers(tx: Transaction, row_id: int) -> None:
    held = and_(outbox.c.after_id == row_id, outbox.c.state == State.HELD.value, outbox.c.code == WAITS)
    queue.change(tx, outbox, held, queue.standing(tx, State.READY, code=None, reason=None))


def refuse_while_waiting(tx: Transaction, row_id: int, after_id: int | None) -> None:
    """Raises PermanentError for a step whose predecessor has not come to a good end: replaying it would do nothing."""
    if after_id is None:
        return
    state = tx.connection.scalar(select(outbox.c.state).where(outbox.c.id == after_id))
    if state is not None and state not in FINISHED_WELL:
        raise PermanentError(
            f"Delivery {row_id} waits for delivery {after_id}, which is {state}. Replay that one; this one follows.",
            code=WAITS,
        )
