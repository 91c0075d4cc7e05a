"""Tells whether an event, or the completion it is about, came in before by any way."""

from __future__ import annotations

from collections.abc import Callable

from bridge.core.models import SourceEvent
from bridge.core.person import is_address, same_name
from bridge.core.source import Source
from bridge.flow.shared_address import people
from bridge.store import chain, completions, event_keys, inbox
from bridge.store.engine import Transaction

NameOf = Callable[[str, SourceEvent], str | None]
"""Returns the learner's name as a source's mapping reads it from an event; None where it does not (yet)."""


def knows(tx: Transaction, source: Source, event: SourceEvent, name_of: NameOf) -> bool:
    """Tells whether this event, or the completion it is about, came in before; under an address it goes by the name."""
    name = _name_that_tells(source, event, name_of)
    found = event_keys.matches(tx, source.name, source.test, event, source.connector.same_within)
    if name is None:
        return bool(found) or certified(tx, source, event, None)
    before = [name_of(source.name, row.record or row.event) for one in found if (row := inbox.get(tx, one))]
    return any(one is None or same_name(one, name) for one in before) or certified(tx, source, event, name)


def certified(tx: Transaction, source: Source, event: SourceEvent, name: str | None) -> bool:
    """Tells whether the completion this event is about has its certificate, or a draft of one.

    `name` is the learner's; where an address alone stands for the learner, somebody else's certificate does not count.
    """
    found = completions.by_keys(tx, source.name, source.test, event.keys)
    if found is None and event.subject is not None and event.course is not None and event.occurred_at is not None:
        within = source.connector.same_within
        at = event.occurred_at
        found = completions.at(tx, source.name, source.test, event.subject, event.course, at, within)
    if found is None or name is None or event.subject is None or not is_address(event.subject):
        return found is not None
    theirs = people(tx, source.name, source.test, event.subject, found.course)
    names = [one for hits in theirs for one in chain.names(tx, hits)]
    return not names or any(same_name(one, name) for one in names)


def _name_that_tells(source: Source, event: SourceEvent, name_of: NameOf) -> str | None:
    if event.subject is None or not is_address(event.subject):
        return None
    return name_of(source.name, event)
