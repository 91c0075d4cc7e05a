"""What is seen to on a schedule: edited files, how much waits, sources that are gone, and the write-ahead log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from bridge.core.errors import UnavailableError
from bridge.flow.mappings import Mappings
from bridge.flow.presence import Presence
from bridge.flow.templates import Templates
from bridge.observe import put_off
from bridge.store import inbox
from bridge.store.engine import Store

log = structlog.get_logger(__name__)

CHECKPOINT = 600.0
"""Seconds between attempts to empty the write-ahead log, which a long reader may have kept from being emptied."""


@dataclass
class Upkeep:
    """Runs beside the workers: `start` to begin, `stop` to end; a look that fails is told and tried again."""

    store: Store
    mappings: Mappings
    templates: Templates
    presence: Presence
    every: float
    """Seconds between looks."""
    most_waiting: int
    """Events of one source."""
    _waiting: dict[str, int] = field(default_factory=dict)
    _scheduler: BackgroundScheduler | None = None

    def start(self) -> None:
        """Begins to look, at once and then every `every` seconds."""
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = BackgroundScheduler(timezone=UTC, job_defaults=defaults)
        self._scheduler.add_job(told(self.look), "interval", seconds=self.every, next_run_time=datetime.now(UTC))
        self._scheduler.add_job(told(self.store.checkpoint), "interval", seconds=CHECKPOINT)
        self._scheduler.start()

    def stop(self) -> None:
        """Ends; a look that is going on may finish."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def look(self) -> None:
        """Looks once."""
        self._waiting = self.store.read(inbox.waiting)
        self.presence.look()
        self.mappings.refresh()
        self.templates.refresh()

    def overloaded(self, source: str) -> bool:
        """Tells whether new events should come later."""
        return self._waiting.get(source, 0) >= self.most_waiting


def told(task: Callable[[], None]) -> Callable[[], None]:
    """Returns the task with its trouble told in our words; the next run starts afresh."""

    def run() -> None:
        try:
            task()
        except UnavailableError as error:
            put_off(log, "the store is not available", error)
        except Exception:
            # Whatever it is, the schedule has to go on: without it no edited mapping would be taken over any more.
            log.exception("unexpected error in the upkeep")

    return run
