"""Keeps requests within the rate that a vendor allows, across the threads of one source."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.core.connector import Rate


@dataclass
class Pace:
    """Lets `rate.requests` begin in any stretch of `rate.seconds`; the others wait for their turn."""

    rate: Rate | None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _begun: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Returns when the next request may begin."""
        if self.rate is None:
            return
        with self._lock:
            now = self.clock()
            start = max(now, self._begun[0] + self.rate.seconds) if len(self._begun) >= self.rate.requests else now
            self._begun.append(start)
            while len(self._begun) > self.rate.requests:
                self._begun.popleft()
        # Outside the lock: the turn is taken, and others may work out theirs meanwhile.
        if start > now:
            self.sleep(start - now)
