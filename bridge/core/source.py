"""One configured source system, as every stage of the flow sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.core.connector import Connector


@dataclass(frozen=True, slots=True)
class Source:
    """A name from the configuration, the connector that understands it, and whether it is still in test mode."""

    name: str
    connector: Connector[Any]
    test: bool
