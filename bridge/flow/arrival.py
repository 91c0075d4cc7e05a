"""What an event is at the door, whichever way it came: wanted or not, and what tells a repeat from a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from bridge.core.models import Ignored, SourceEvent, State
from bridge.core.source import Source
from bridge.store import inbox

Unwanted = Callable[[str, SourceEvent], Ignored | None]
"""Says of a source's event why its mapping has no use for it; None when it has."""


def new_event(source: Source, event: SourceEvent, unwanted: Unwanted) -> inbox.NewEvent:
    """Returns the event as it is stored: ready, or ignored with the reason."""
    new = inbox.NewEvent(source=source.name, test=source.test, event=event, body_sha256=digest(event), request_id=None)
    if event.skip is None and event.event_type not in source.connector.event_types:
        reason = f"{source.connector.title} sent {event.event_type!r}, which certbridge does not act on."
        return replace(new, state=State.IGNORED, code="event_type", reason=reason)
    refused = unwanted(source.name, event)
    if refused is not None:
        return replace(new, state=State.IGNORED, code=refused.code, reason=refused.reason)
    return new


def digest(event: SourceEvent) -> str:
    """Returns the hash that tells a redelivery from a changed event: over the content, not over the vendor's bytes."""
    content = event.model_dump(mode="json", exclude={"received_at"})
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
