"""How the work on one event ends."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core.errors import TemporaryError
from bridge.core.models import State


class TwinError(TemporaryError):
    """Another event about the same completion is being worked on; this one waits for how that ends."""

    code = "twin"


@dataclass(frozen=True, slots=True)
class Result:
    """How an inbox row ends."""

    state: State
    code: str | None = None
    reason: str | None = None
