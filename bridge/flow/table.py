"""The rows of a table that an admin hands over (an attendance list): judged first, then issued like any completion."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.core.mapping import Defaults
from bridge.core.models import Completion, Held, Ignored, InboundRequest, Outcome, SourceEvent
from bridge.core.person import is_address, same_name
from bridge.core.source import Source
from bridge.flow.bring import Bringing, Candidate, decided
from bridge.flow.known import certified
from bridge.flow.mappings import Mappings
from bridge.flow.shared_address import ANOTHER_NAME, people
from bridge.store import chain, inbox
from bridge.store.engine import Store, Transaction


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
        judge = _Judge(self, source)
        return [judge.candidate(number, event) for number, event in enumerate(source.connector.parse(request), start=1)]

    def issue(self, source: Source, content: bytes, chosen: Sequence[Candidate], *, mail: bool) -> list[inbox.Put]:
        """Stores the chosen rows to be worked on; a row that came before is not stored again."""
        batch = hashlib.sha256(content).hexdigest()[:16]
        events = [one.event for one in chosen]
        return self.bringing.bring(source, events, entry="csv", overrides=decided(mail=mail), batch_id=batch)

    def outcome(self, source: Source, event: SourceEvent) -> Outcome:
        """Returns what the mapping makes of a row that a person chose."""
        mapping = self.mappings.current(source.name)
        return mapping.apply(event, defaults=self.defaults, overrides=decided(mail=True)).outcome


class _Judge:
    """Judges the rows of one table, each beside those above it."""

    def __init__(self, table: Table, source: Source) -> None:
        self._table = table
        self._source = source
        self._above: dict[str, list[tuple[int, str | None]]] = {}
        """By event: the number and the name of each row."""
        self._shared: dict[tuple[str, str], tuple[int, str]] = {}
        """By address and course: the number and the name of the first row."""

    def candidate(self, number: int, event: SourceEvent) -> Candidate:
        """Returns a row with what would come of it."""
        outcome = self._table.outcome(self._source, event)
        name = outcome.recipient.name if isinstance(outcome, Completion) else None
        above = self._above.setdefault(event.event_id, [])
        repeated = next((row for row, other in above if _same(name, other)), None)
        above.append((number, name))
        return Candidate(event, None, self._judged(event, outcome, name, number, repeated))

    def _judged(
        self, event: SourceEvent, outcome: Outcome, name: str | None, number: int, repeated: int | None
    ) -> Outcome:
        if repeated is not None:
            return Ignored(code="repeated", reason=f"The same row stands further up (number {repeated}).")
        if self._table.store.read(lambda tx: certified(tx, self._source, event, name)):
            return Ignored(code="certified", reason="It has its certificate already.")
        asked = self._question(outcome, number) if isinstance(outcome, Completion) else None
        return Held(code=ANOTHER_NAME, reason=asked) if asked else outcome

    def _question(self, said: Completion, number: int) -> str | None:
        """Returns what is to be settled where an address stands for two names, in the table or on a certificate."""
        if not is_address(said.subject):
            return None
        first, other = self._shared.setdefault((said.subject, said.course.id), (number, said.recipient.name))
        where = f"{other} in number {first}"
        if same_name(other, said.recipient.name):
            names = self._table.store.read(lambda tx: self._certified_names(tx, said))
            if not names:
                return None
            where = f"{' and '.join(names)} on a certificate for this course"
        return (
            f"Number {number}, {said.recipient.name}, has the address of {where}, and nothing else tells the two "
            "apart. Give the table a column with an id of each learner and name it with learner: in the configuration, "
            "correct the address, or write the name as it stands there if it is the same person."
        )

    def _certified_names(self, tx: Transaction, said: Completion) -> list[str]:
        theirs = people(tx, self._source.name, self._source.test, said.subject, said.course.id)
        names = [name for hits in theirs for name in chain.names(tx, hits)]
        return [] if any(same_name(one, said.recipient.name) for one in names) else names


def _same(name: str | None, other: str | None) -> bool:
    return name is None or other is None or same_name(name, other)
