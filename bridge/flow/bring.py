"""Takes in events that a person asked for: one learner looked up again, older completions, the rows of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from bridge.core.models import Completion, Outcome, SourceEvent
from bridge.core.source import Source
from bridge.flow.arrival import Unwanted, new_event
from bridge.flow.poll import AT_ONCE, poll_request
from bridge.store import inbox, requests
from bridge.store.engine import Store, Transaction

CHOSEN = (inbox.BEFORE_START, "flood", "already_expired")
"""The questions that a person answers by choosing a completion from a list."""
NO_MAIL = {"mail.send": "no"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A completion that a person may choose, and what would come of it."""

    event: SourceEvent
    """As the source tells of it; with what its API adds."""
    number: int | None
    """The event in the inbox, where it is known already."""
    outcome: Outcome
    """What the mapping makes of it."""

    @property
    def completed_on(self) -> date | None:
        """When it was completed, where it can be told."""
        return self.outcome.completed_on if isinstance(self.outcome, Completion) else None

    def expired(self, today: date) -> bool:
        """Tells whether its certificate would be expired by now."""
        expires = self.outcome.expires_on if isinstance(self.outcome, Completion) else None
        return expires is not None and expires < today


def decided(*, mail: bool) -> dict[str, str]:
    """Returns the overrides of completions that a person chose."""
    return {**({} if mail else NO_MAIL), "released": ",".join(CHOSEN)}


@dataclass(frozen=True, slots=True)
class Bringing:
    """Stores events on a person's word; what they come to is for the workers."""

    store: Store
    unwanted: Unwanted
    wake: Callable[[], None]

    def bring(
        self,
        source: Source,
        events: Sequence[SourceEvent],
        *,
        entry: str,
        overrides: dict[str, str] | None = None,
        batch_id: str | None = None,
    ) -> list[inbox.Put]:
        """Stores events and returns what became of each; one that is there already is counted, not stored again.

        `overrides` are what the person decided about all of them. Raises UnavailableError.
        """
        puts: list[inbox.Put] = []
        for start in range(0, len(events), AT_ONCE):
            some = events[start : start + AT_ONCE]
            puts += self.store.transact(
                lambda tx, some=some: self._put(tx, source, some, entry, overrides or {}, batch_id)  # type: ignore[misc]
            )
        return puts

    def _put(
        self,
        tx: Transaction,
        source: Source,
        events: Sequence[SourceEvent],
        entry: str,
        overrides: dict[str, str],
        batch_id: str | None,
    ) -> list[inbox.Put]:
        request_id = requests.record(tx, poll_request(source.name, entry))
        puts = []
        for event in events:
            new = new_event(source, event.model_copy(update={"received_at": tx.now}), self.unwanted)
            new = replace(new, request_id=request_id, overrides=overrides, batch_id=batch_id, row_key=event.event_id)
            puts.append(inbox.put(tx, new))
        tx.after_commit(self.wake)
        return puts
