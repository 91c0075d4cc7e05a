"""Rows of sources that are not configured any more: held with a reason, and let go on when their source is back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select, update

from bridge.core.models import State
from bridge.store import history, leases, queue
from bridge.store.tables import inbox, outbox
from bridge.store.transaction import Transaction

CODE: Final = "source_removed"


def remember(tx: Transaction, configured: Collection[str], *, node: str, seconds: float) -> None:
    """Notes that a node knows these sources, so that no other gives them up for so long."""
    # In order, so that two nodes wait for each other instead of locking each other out.
    for name in sorted(configured):
        leases.keep(tx, _name(name), node, seconds)


def hold(tx: Transaction, configured: Collection[str], *, node: str, patience: float) -> dict[str, int]:
    """Holds what waits for a source that is not among these; returns how many rows of which source.

    `patience`: seconds for which no node must have known the source; 0 where this is the only node there can be.
    """
    gone = sorted(_waited_for(tx) - set(configured))
    held = {name: _hold(tx, name) for name in gone if not patience or _given_up(tx, name, node, patience)}
    for name, rows in held.items():
        history.add(tx, "source.removed", actor=node, data={"source": name, "held": rows})
    return held


def resume(tx: Transaction, configured: Collection[str]) -> int:
    """Lets go on what was held for the want of a source that is configured (again, or under this new name)."""
    resumed = 0
    for table, of_source in ((inbox, inbox.c.source), (outbox, outbox.c.destination)):
        back = and_(table.c.state == State.HELD.value, table.c.code == CODE, of_source.in_(configured))
        values = {"attempts": 0, **queue.standing(tx, State.READY, code=None, reason=None)}
        resumed += tx.connection.execute(update(table).where(back).values(values)).rowcount
    return resumed


def _waited_for(tx: Transaction) -> set[str]:
    events = select(inbox.c.source).where(inbox.c.due_at.is_not(None)).distinct()
    write_backs = select(outbox.c.destination).where(outbox.c.due_at.is_not(None), outbox.c.kind == "write_back")
    return {*tx.connection.execute(events).scalars(), *tx.connection.execute(write_backs.distinct()).scalars()}


def _given_up(tx: Transaction, name: str, node: str, patience: float) -> bool:
    until = leases.until(tx, _name(name))
    if until is None:
        # Nobody has noted this source yet, a node of an older release perhaps: its time begins now.
        leases.keep(tx, _name(name), node, patience)
        return False
    return until <= tx.now


def _hold(tx: Transaction, name: str) -> int:
    reason = (
        f"The source {name} is not in the configuration any more; name it under `formerly:` of the source that took "
        "its place, or put it back. Then this goes on by itself."
    )
    values = queue.standing(tx, State.HELD, code=CODE, reason=reason)
    rows = 0
    for table, of_source in (
        (inbox, inbox.c.source == name),
        (outbox, and_(outbox.c.destination == name, outbox.c.kind == "write_back")),
    ):
        rows += tx.connection.execute(update(table).where(of_source, _at_rest(table, tx)).values(values)).rowcount
    return rows


def _at_rest(table: Any, tx: Transaction) -> ColumnElement[bool]:
    """Matches rows that wait, and rows whose worker died."""
    waits = table.c.state.in_(queue.values_of((State.READY, State.RETRYING)))
    return or_(waits, and_(table.c.state == State.RUNNING.value, table.c.due_at <= tx.now))


def _name(source: str) -> str:
    return f"source:{source}"
