"""Looks, for `certbridge doctor`, whether a source shows what its poll and its write-back are declared to look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from bridge.core.connector import ApiClient, Finding
from bridge.core.declared.steps import WriteStep
from bridge.core.models import SourceEvent

BACK: Final = timedelta(days=365)
"""How far back the list is asked for."""


def poll_finding(event: SourceEvent | None, title: str, *, expects: bool) -> Finding:
    """Tells what a look at the list of completions found: its first item, or None."""
    if event is not None:
        return Finding("ok", f"{title}: the list of completions looks as it is declared.")
    message = f"{title}: the list of completions can be read; nothing stands in it yet, so no more can be told."
    return Finding("warning" if expects else "ok", message)


def place_finding(
    step: WriteStep, event: SourceEvent | None, settings: Mapping[str, object], api: ApiClient, title: str
) -> Finding:
    """Tells whether the place of a `one_number` step is shown, by looking at the one of the learner in this event.

    Raises HeldError where it is not shown, TemporaryError, PermanentError.
    """
    seen = step.seen(event, settings, api) if event is not None else None
    if seen is None:
        return Finding(
            "warning", f"{title}: whether the place of {step.name} is shown cannot be told: no learner was found."
        )
    return Finding("ok", f"{title}: the place of {step.name} is shown.")
