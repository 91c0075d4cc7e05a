"""Named leases: one leader among the nodes for polling, expiry and retention."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store import queue
from bridge.store.tables import leases
from bridge.store.transaction import Transaction


def acquire(tx: Transaction, name: str, holder: str, seconds: float) -> str | None:
    """Takes a lease that is free or has run out, for `seconds`; returns its token, or None while another holds it."""
    values = {
        "holder": holder,
        "token": secrets.token_hex(16),
        "until": tx.now + timedelta(seconds=seconds),
    }
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


def _mine(name: str, token: str) -> Any:
    return and_(leases.c.name == name, leases.c.token == token)
