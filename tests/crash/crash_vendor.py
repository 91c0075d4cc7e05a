"""A moment inside a vendor's call: something happens to certbridge while it waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from bridge.demo.vendors.stand_in import Answer, Call, StandIn, Wire

When = Literal["before", "after"]


class Moment:
    """The first call whose name contains `match`: `act` runs before or after the vendor did what it was asked."""

    def __init__(self, stand_in: StandIn, match: str, act: Callable[[], None], *, when: When) -> None:
        self._match = match
        self._act = act
        self._when = when
        self._lock = threading.Lock()
        self._taken = False
        self.begun = threading.Event()
        """Set when the call is there."""
        self.came = threading.Event()
        """Set once `act` is through."""
        stand_in.interceptor = self._intercept

    def _intercept(self, call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer | None:
        with self._lock:
            mine = self._match in call.name and not self._taken
            self._taken = self._taken or mine
        if not mine:
            return respond()
        self.begun.set()
        answer = respond() if self._when == "after" else None
        try:
            self._act()
        finally:
            self.came.set()
        return answer or respond()
