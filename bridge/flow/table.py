"""The rows of a table that an admin hands over (an attendance list): judged first, then issued like any completion."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.core.mapping import Defaults
from bridge.core.models import Ignored, InboundRequest, SourceEvent
from bridge.core.source import Source
from bridge.flow.bring import Bringing, Candidate, decided
from bridge.flow.mappings import Mappings
from bridge.flow.poll import certified
from bridge.store import inbox
from bridge.store.engine import Store


@dataclass(frozen=True, slots=True)
class Table:
    """Reads and issues tables."""

    store: Store
    mappings: Mappings
    defaults: Defaults
    bringing: Bringing

    def look(self, source: Source, content: bytes) -> list[Candidate]:
        """Returns what each row would come to, in the order of the file; nothing is stored.

        Raises PayloadError for what is no table.
        """
        request = InboundRequest("POST", "", {}, content, datetime.now(UTC))
        seen: set[str] = set()
        found = []
        for event in source.connector.parse(request):
            found.append(self._judged(source, event, repeated=event.event_id in seen))
            seen.add(event.event_id)
        return found

    def issue(self, source: Source, content: bytes, chosen: Sequence[Candidate], *, mail: bool) -> list[inbox.Put]:
        """Stores the chosen rows to be worked on; a row that came before is not stored again."""
        batch = hashlib.sha256(content).hexdigest()[:16]
        events = [one.event for one in chosen]
        return self.bringing.bring(source, events, entry="csv", overrides=decided(mail=mail), batch_id=batch)

    def _judged(self, source: Source, event: SourceEvent, *, repeated: bool) -> Candidate:
        if repeated:
            return Candidate(event, None, Ignored(code="repeated", reason="The same row stands further up."))
        if self.store.read(lambda tx: certified(tx, source, event)):
            return Candidate(event, None, Ignored(code="certified", reason="It has its certificate already."))
        mapping = self.mappings.current(source.name)
        outcome = mapping.apply(event, defaults=self.defaults, overrides=decided(mail=True)).outcome
        return Candidate(event, None, outcome)
