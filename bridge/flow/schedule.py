"""Polls sources when it is time, fetches their signing keys, and raises the alarm when one has fallen silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from bridge.core.connector import ApiClient, Connector
from bridge.core.errors import BridgeError
from bridge.core.source import Source
from bridge.flow.poll import Polling
from bridge.flow.upkeep import told
from bridge.store import history, leases, sources
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

LOOK = 5.0
"""Seconds between looks whether a source is due; the database knows when it was polled last, by any node."""
REFRESH = 3600.0
"""Seconds between fetches of signing keys."""
RUSH = 60.0
"""Seconds between fetches while a webhook came with a key nobody knows: anybody can send one."""
ALARM = 600.0
"""Seconds between looks for silent sources."""
DAY = timedelta(days=1)
SILENT = "silent:"
"""Begins the names of the leases under which the alarm was raised."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often one source is asked, and how long it may be silent."""

    poll_every: timedelta | None
    """None: it is not polled."""
    quiet_after: timedelta | None
    """None: it may be silent for ever."""


@dataclass
class Schedule:
    """Runs beside the workers: `start` to begin, `stop` to end."""

    store: Store
    sources: Mapping[str, Source]
    rhythms: Mapping[str, Rhythm]
    polling: Polling
    apis: Callable[[str], ApiClient]
    _scheduler: BackgroundScheduler | None = None
    _refreshed: dict[str, float] = field(default_factory=dict)
    """When signing keys were last asked for, by source."""
    _going: list[str] = field(default_factory=list)
    """What is being done right now."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self, *more: tuple[float, Callable[[], None], str]) -> None:
        """Begins; the first looks are taken at once. `more` tasks have their seconds, and a name."""
        self.polling.stopping.clear()
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        # A thread for each source: one whose vendor hangs must not keep the others waiting.
        pool = {"default": ThreadPoolExecutor(max(4, 2 * len(self.sources) + 1))}
        self._scheduler = BackgroundScheduler(timezone=UTC, job_defaults=defaults, executors=pool)
        for source in self.sources.values():
            if self.rhythms[source.name].poll_every is not None:
                self._every(LOOK, partial(self.poll_if_due, source), f"poll {source.name}")
            if type(source.connector).refresh is not Connector.refresh:
                self._every(LOOK, partial(self.refresh_if_due, source), f"keys {source.name}")
        for seconds, task, name in ((ALARM, self.alarm, "silent sources"), *more):
            self._every(seconds, task, name)
        self._scheduler.start()

    def stop(self) -> None:
        """Ends; polls end after the page they are at."""
        self.polling.stopping.set()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def left(self, timeout: float) -> list[str]:
        """Waits at most so many seconds for what is still going on after `stop`; returns the names of what is left."""
        with self._changed:
            self._changed.wait_for(lambda: not self._going, max(0.0, timeout))
            return sorted(self._going)

    def _every(self, seconds: float, task: Callable[[], None], name: str) -> None:
        assert self._scheduler is not None
        run = partial(self._run, told(task), name)
        self._scheduler.add_job(run, "interval", seconds=seconds, name=name, next_run_time=datetime.now(UTC))

    def _run(self, task: Callable[[], None], name: str) -> None:
        with self._changed:
            self._going.append(name)
        try:
            task()
        finally:
            with self._changed:
                self._going.remove(name)
                self._changed.notify_all()

    # -- what is done ----------------------------------------------------------------------------

    def poll_if_due(self, source: Source) -> None:
        """Polls a source when its time has come; trouble is noted and told, and the next poll tries again."""
        every = self.rhythms[source.name].poll_every
        if every is None or not self.polling.due(source, every):
            return
        try:
            self.polling.poll(source)
        except BridgeError as error:
            log.warning("not polled", source=source.name, reason=str(error), code=error.stable_code)

    def refresh_if_due(self, source: Source) -> None:
        """Fetches what a source needs to verify its webhooks: every hour, and soon after something was missing."""
        now = time.monotonic()
        since = now - self._refreshed.get(source.name, -REFRESH)
        if since < (RUSH if source.connector.needs_refresh else REFRESH):
            return
        self._refreshed[source.name] = now
        try:
            source.connector.refresh(self.apis(source.name))
        except BridgeError as error:
            source.connector.needs_refresh = True
            log.error("signing keys not fetched; webhooks are answered 503", source=source.name, reason=str(error))

    def alarm(self) -> None:
        """Tells once a day, one node for all, of each source that has been silent for longer than it may."""
        for name, since in self.store.read(lambda tx: silent(tx, self.rhythms)):
            if self.store.transact(partial(self._raise, name, since)):
                log.error("nothing was heard from this source", source=name, since=since.isoformat())

    def _raise(self, name: str, since: datetime, tx: Transaction) -> bool:
        # When it is heard again and falls silent once more, that is another silence, with a lease of its own.
        lease = f"{SILENT}{name}:{since.isoformat()}"
        leases.sweep(tx, f"{SILENT}{name}:")
        if leases.acquire(tx, lease, self.polling.node, DAY.total_seconds()) is None:
            return False
        data = {"source": name, "since": since.isoformat()}
        history.add(tx, "source.silent", actor="bridge", data=data)
        return True


def silent(tx: Transaction, rhythms: Mapping[str, Rhythm]) -> Sequence[tuple[str, datetime]]:
    """Returns the sources that were not heard of for longer than `quiet_after`, and since when."""
    found = []
    for row in sources.listing(tx):
        rhythm = rhythms.get(row.name)
        # A new source may begin with a start line of long ago.
        heard = max(filter(None, (row.last_event_at, row.last_request_at, row.added_at, row.since)))
        if rhythm and rhythm.quiet_after and tx.now - heard > rhythm.quiet_after:
            found.append((row.name, heard))
    return found
