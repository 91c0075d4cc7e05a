"""Keeps the credentials of one source until they end or are refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from bridge.core.connector import Access, ApiClient, Connector
from bridge.core.errors import PermanentError

_EARLY: Final = 30.0  # seconds before its end at which a token is no longer used


class SignedIn:
    """Keeps the Access of one source until it ends or is forgotten."""

    def __init__(self, connector: Connector[Any], clock: Callable[[], float]) -> None:
        self._connector = connector
        self._clock = clock
        self._lock = threading.Lock()
        self._access: Access | None = None
        self._until: float | None = None

    def access(self, api: ApiClient) -> Access:
        """Returns the valid Access, asking the connector for one if need be; other threads wait for the same one."""
        with self._lock:
            if self._access is None or (self._until is not None and self._clock() >= self._until):
                self._access = self._ask(api)
            return self._access

    def forget(self, access: Access | None = None) -> None:
        """Drops this Access unless another thread has renewed it already; None: whichever there is."""
        with self._lock:
            if access is None or self._access is access:
                self._access = None

    def _ask(self, api: ApiClient) -> Access:
        access = self._connector.authenticate(api)
        if access is None:
            raise PermanentError(
                f"Nothing is set with which certbridge could ask {self._connector.title} (an address, a key, a token).",
                code="no_api",
            )
        self._until = None
        if access.expires_in is not None:
            self._until = self._clock() + max(access.expires_in - _EARLY, access.expires_in / 2)
        return replace(access)  # an object of its own, so that `forget` can tell renewed from old
