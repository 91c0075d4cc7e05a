"""Tells the other processes that this daemon lives and which sources it knows, and gives up sources nobody knows."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from bridge.store import absent, leases
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

LEASE = 45.0
"""Seconds for which a sign of life counts; the workers' heartbeat gives three in that time."""
DAEMON = "daemon:"
PATIENCE = 3600.0
"""Seconds for which no node may have known a source before its work is held: nodes get a new configuration in turn."""
LOOK = 300.0
"""Seconds between looks for work of sources that are not configured."""


@dataclass
class Presence:
    """What the other nodes know of this one. On SQLite the lock of the file says it all: there is no other node."""

    store: Store
    node: str
    sources: Collection[str]
    _token: str | None = None
    _next_look: float = 0.0

    def begin(self) -> None:
        """Shows up, and lets the work go on that waited for one of these sources to be configured."""
        self.renew()
        resumed = self.store.transact(lambda tx: absent.resume(tx, self.sources))
        if resumed:
            log.info("going on with what waited for its source", rows=resumed)
        self.look()

    def renew(self) -> None:
        """Gives a sign of life; called by the heartbeat."""
        if self.store.dialect != "sqlite":
            self._token = self.store.transact(self._renew)

    def _renew(self, tx: Transaction) -> str | None:
        name = f"{DAEMON}{self.node}"
        absent.remember(tx, self.sources, node=self.node, seconds=PATIENCE)
        if self._token is not None and leases.renew(tx, name, self._token, LEASE):
            return self._token
        leases.sweep(tx, DAEMON)
        return leases.acquire(tx, name, self.node, LEASE)

    def look(self) -> None:
        """Holds, every few minutes, what waits for sources that nobody has configured for long."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK
        patience = PATIENCE if self.store.dialect != "sqlite" else 0.0
        held = self.store.transact(lambda tx: absent.hold(tx, self.sources, node=self.node, patience=patience))
        for source, rows in held.items():
            log.warning("held: the source is not in the configuration any more", source=source, rows=rows)

    def end(self) -> None:
        """Says that this daemon is gone; its sources are remembered."""
        token, self._token = self._token, None
        if token is not None:
            self.store.transact(lambda tx: leases.release(tx, f"{DAEMON}{self.node}", token))


def daemon_lives(store: Store) -> bool:
    """Tells whether any node runs a daemon on this database; on SQLite its lock tells."""
    return store.dialect != "sqlite" and store.read(lambda tx: leases.any_live(tx, DAEMON))
