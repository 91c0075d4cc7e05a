"""Turns what the source said into what it means for us, by the mapping and the source's start line; no I/O."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from bridge.core.mapping import Decision, Defaults, Mapping, waived
from bridge.core.models import Completion, Ignored, SourceEvent


def normalise(
    event: SourceEvent,
    mapping: Mapping,
    *,
    defaults: Defaults,
    overrides: dict[str, str],
    since: datetime | None,
) -> Decision:
    """Returns the decision of the mapping, or Ignored for a completion before the source's start line.

    `since` is None for an event that led to a completion already: the line is for those that are still to come.
    """
    decision = mapping.apply(event, defaults=defaults, overrides=overrides)
    outcome = decision.outcome
    admitted = since is None or waived(overrides, "before_start")
    if since is not None and not admitted and isinstance(outcome, Completion) and _before(outcome, since):
        return Decision(outcome=_before_start(outcome, since), trace=decision.trace)
    return decision


def not_wanted(event: SourceEvent, mapping: Mapping, *, defaults: Defaults) -> Ignored | None:
    """Returns why an event needs no further look, before anybody asks the vendor about it; None when it does."""
    if event.skip is None and event.event_type in mapping.event_types():
        return None
    outcome = mapping.apply(event, defaults=defaults).outcome
    return outcome if isinstance(outcome, Ignored) else None


def _before(completion: Completion, since: datetime) -> bool:
    if completion.completed_at is not None:
        return completion.completed_at < since
    return completion.completed_on < since.astimezone(ZoneInfo(completion.zone)).date()


def _before_start(completion: Completion, since: datetime) -> Ignored:
    reason = (
        f"{completion.recipient.name}, {completion.course.title}: completed on {completion.completed_on}, before the "
        f"start line of this source ({since:%Y-%m-%d %H:%M} UTC). `certbridge past` lists older completions and issues "
        "those you choose; an earlier `since:` for the source and a replay of this event do so for all."
    )
    return Ignored(code="before_start", reason=reason)
