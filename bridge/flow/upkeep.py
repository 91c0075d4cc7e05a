"""What the dispatcher's loop sees to every few seconds: edited files, how much waits, and sources that are gone."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bridge.flow.mappings import Mappings
from bridge.flow.presence import Presence
from bridge.flow.templates import Templates
from bridge.store import inbox
from bridge.store.engine import Store


@dataclass
class Upkeep:
    """Called at every look for work; does its own work no more often than every `every` seconds."""

    store: Store
    mappings: Mappings
    templates: Templates
    presence: Presence
    every: float
    most_waiting: int
    """Events of one source."""
    _waiting: dict[str, int] = field(default_factory=dict)
    _next: float = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self.every
        self._waiting = self.store.read(inbox.waiting)
        self.presence.look()
        self.mappings.refresh()
        self.templates.refresh()

    def overloaded(self, source: str) -> bool:
        """Tells whether new events should come later."""
        return self._waiting.get(source, 0) >= self.most_waiting
