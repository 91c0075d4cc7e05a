"""Which database this is: a word that lives in it, and so in every backup of it."""

from __future__ import annotations

import secrets
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store import schema
from bridge.store.tables import leases
from bridge.store.transaction import Transaction

NAME: Final = "installation"
"""The name of a lease that nobody takes; like the probe of /readyz it lives among them."""
SAID: Final = text("SELECT token FROM leases WHERE name = 'installation'")


def is_empty(tx: Transaction) -> bool:
    """Tells whether there are no tables yet."""
    return schema.revision(tx.connection) is None


def of(tx: Transaction) -> str | None:
    """Returns the word; None in an empty database, or one that certbridge last used before there were such words."""
    if is_empty(tx):
        return None
    found: str | None = tx.connection.scalar(select(leases.c.token).where(leases.c.name == NAME))
    return found


def ensure(tx: Transaction, wanted: str | None) -> str:
    """Gives the database a word (`wanted`, or a new one) unless it has one; returns the one that counts."""
    values = {"name": NAME, "holder": "certbridge", "token": wanted or secrets.token_hex(16), "until": tx.now}
    statement: Any = (sqlite.insert if tx.dialect == "sqlite" else postgresql.insert)(leases)
    tx.connection.execute(statement.values(**values).on_conflict_do_nothing(index_elements=["name"]))
    found = of(tx)
    assert found is not None
    return found
