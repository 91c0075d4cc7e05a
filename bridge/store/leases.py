"""Named leases: one leader among the nodes for polling, expiry and retention; and signs of life that nodes share."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store import queue
from bridge.store.tables import leases
from bridge.store.transaction import Transaction


def acquire(tx: Transaction, name: str, holder: str, seconds: float) -> str | None:
    """Takes a lease that is free or has run out, for `seconds`; returns its token, or None while another holds it."""
    values = _values(tx, holder, seconds)
    statement: Any = (sqlite.insert if tx.dialect == "sqlite" else postgresql.insert)(leases)
    taken = (
        statement.values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values, where=leases.c.until <= tx.now)
        .returning(leases.c.token)
    )
    token: str | None = tx.connection.scalar(taken)
    return token


def renew(tx: Transaction, name: str, token: str, seconds: float) -> bool:
    """Makes the lease end `seconds` from now; False when it is lost."""
    return queue.change(tx, leases, _mine(name, token), {"until": tx.now + timedelta(seconds=seconds)})


def release(tx: Transaction, name: str, token: str) -> bool:
    """Gives the lease back; False when it was lost before."""
    return tx.connection.execute(delete(leases).where(_mine(name, token))).rowcount > 0


# -- signs of life: a name that several may keep alive ---------------------------------------------


def keep(tx: Transaction, name: str, holder: str, seconds: float) -> None:
    """Makes the name live for `seconds` from now, whoever kept it alive before."""
    queue.upsert(tx, leases, ["name"], {"name": name, **_values(tx, holder, seconds)})


def until(tx: Transaction, name: str) -> datetime | None:
    """Returns when a lease ends or ended; None when there is none."""
    moment: datetime | None = tx.connection.scalar(select(leases.c.until).where(leases.c.name == name))
    return moment


def any_live(tx: Transaction, prefix: str) -> bool:
    """Tells whether a lease whose name begins so has not run out."""
    found = select(leases.c.name).where(leases.c.name.startswith(prefix, autoescape=True), leases.c.until > tx.now)
    return tx.connection.execute(found.limit(1)).first() is not None


def sweep(tx: Transaction, prefix: str) -> None:
    """Removes leases whose name begins so and that have run out."""
    gone = and_(leases.c.name.startswith(prefix, autoescape=True), leases.c.until <= tx.now)
    tx.connection.execute(delete(leases).where(gone))


def _values(tx: Transaction, holder: str, seconds: float) -> dict[str, Any]:
    return {"holder": holder, "token": secrets.token_hex(16), "until": tx.now + timedelta(seconds=seconds)}


def _mine(name: str, token: str) -> Any:
    return and_(leases.c.name == name, leases.c.token == token)
