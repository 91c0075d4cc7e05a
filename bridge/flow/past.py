"""Completions from before a source's start line, or there at the first contact: found, shown, issued by choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bridge.core.connector import ApiClient, Page
from bridge.core.errors import BridgeError, PermanentError
from bridge.core.mapping import Defaults
from bridge.core.models import Completion, Held, JsonObject, Outcome, SourceEvent
from bridge.core.source import Source
from bridge.flow.bring import CHOSEN, NO_MAIL, Bringing, Candidate, decided
from bridge.flow.known import certified
from bridge.flow.mappings import Mappings
from bridge.flow.poll import AT_ONCE, MOST_PAGES
from bridge.store import before_start, inbox, sources
from bridge.store.engine import Store, Transaction

MOST = 100_000


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look into the past found; not `whole` where the source's budget of requests ended before its list did."""

    candidates: list[Candidate]
    whole: bool


@dataclass(frozen=True, slots=True)
class Past:
    """Looks into the past of sources, and issues what a person chooses."""

    store: Store
    mappings: Mappings
    defaults: Defaults
    apis: Callable[[str], ApiClient]
    bringing: Bringing

    def look(self, source: Source, since: datetime, seen: Callable[[], None] = lambda: None) -> Looked:
        """Returns the completions since `since` that are older than the start line and have no certificate.

        Sorted by date, learner and course. `seen` is called for each. Raises what the source's API raises.
        """
        found = {one.event.event_id: one for one in self._stored(source, since)}
        start = self.store.read(lambda tx: sources.known(tx, source.name).since)
        whole = True
        for page in self._pages(source, since):
            whole = not page.more
            for event in page.events:
                asked_for = event.occurred_at is not None and since <= event.occurred_at < start
                if not asked_for or event.event_id in found:
                    continue
                seen()
                one = self._judged(source, event)
                if one is not None:
                    found[event.event_id] = one
            if len(found) > MOST:
                raise PermanentError(f"More than {MOST:,} completions: choose a later date.")
        return Looked(sorted(found.values(), key=_order), whole)

    def issue(self, source: Source, chosen: Sequence[Candidate], *, mail: bool, actor: str) -> list[int]:
        """Puts the chosen completions to work as if they had come today; returns their events' numbers."""
        known = [one.number for one in chosen if one.number is not None]
        for start in range(0, len(known), AT_ONCE):
            some = known[start : start + AT_ONCE]
            self.store.transact(partial(_release, some, mail, actor))
        new = [one.event for one in chosen if one.number is None]
        puts = self.bringing.bring(source, new, entry="cli", overrides=decided(mail=mail))
        self.bringing.wake()
        return known + [put.inbox_id for put in puts]

    # -- where they are found --------------------------------------------------------------------

    def _stored(self, source: Source, since: datetime) -> Iterator[Candidate]:
        """Yields what came by itself and was ignored because of its date."""
        rows = self.store.read(lambda tx: before_start.events(tx, source.name, source.test, limit=MOST))
        for row in rows:
            event = row.record or row.event
            old = event.occurred_at is not None and event.occurred_at < since
            outcome = self._outcome(source, event, row.overrides)
            # It may have come by two ways, of which one was issued.
            if not old and not self._certified(source, event, outcome):
                yield Candidate(event, row.id, outcome)

    def _pages(self, source: Source, since: datetime) -> Iterator[Page]:
        """Yields what the source lists, poll after poll, until it says that this is all or lets nobody go on today."""
        if not source.connector.polls():
            return
        now = self.store.read(lambda tx: tx.now)
        cursor: JsonObject = {}
        number, more = 0, True
        while more:
            begun, more = cursor, False
            for page in source.connector.poll(self.apis(source.name), dict(cursor), since, now):
                number += 1
                if number > MOST_PAGES:
                    raise PermanentError(f"{source.connector.title} sent more than {MOST_PAGES:,} pages.")
                yield page
                cursor, more = page.cursor, page.more
            more = more and cursor != begun

    def _judged(self, source: Source, event: SourceEvent) -> Candidate | None:
        number = self.store.read(lambda tx: before_start.number(tx, source.name, source.test, event.event_id))
        if self._certified(source, event, self._outcome(source, event, {})):
            return None
        try:
            event = source.connector.enrich(event, self.apis(source.name)) if event.skip is None else event
        except BridgeError as error:
            return Candidate(event, number, Held(code=error.stable_code, reason=str(error)))
        return Candidate(event, number, self._outcome(source, event, {}))

    def _certified(self, source: Source, event: SourceEvent, outcome: Outcome) -> bool:
        name = outcome.recipient.name if isinstance(outcome, Completion) else None
        return self.store.read(lambda tx: certified(tx, source, event, name))

    def _outcome(self, source: Source, event: SourceEvent, overrides: Mapping[str, str]) -> Outcome:
        mapping = self.mappings.current(source.name)
        answers = {**overrides, **decided(mail=True)}
        return mapping.apply(event, defaults=self.defaults, overrides=answers).outcome


def _release(numbers: Sequence[int], mail: bool, actor: str, tx: Transaction) -> None:
    why = "chosen from the past"
    for number in numbers:
        row = inbox.get(tx, number)
        # Somebody else may have chosen it meanwhile.
        if row is not None and row.code == inbox.BEFORE_START:
            inbox.release(tx, number, overrides={} if mail else NO_MAIL, actor=actor, reason=why, answered=CHOSEN)


def _order(one: Candidate) -> tuple[str, str, str, str]:
    event = one.event
    return (str(one.completed_on or ""), event.subject or "", event.course or "", event.event_id)
