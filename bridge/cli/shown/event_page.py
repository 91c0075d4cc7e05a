"""Everything that is known about one event, on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.cli.output import Page, print_json
from bridge.cli.shown import attempt, delivery, event
from bridge.cli.shown import history as shown_history
from bridge.core.errors import PermanentError
from bridge.store import attempts, history, inbox, outbox
from bridge.store.attempts import AttemptRow
from bridge.store.history import HistoryRow
from bridge.store.outbox import OutboxRow
from bridge.store.transaction import Transaction

if TYPE_CHECKING:
    from bridge.app import Bridge


@dataclass(frozen=True, slots=True)
class EventPage:
    """One event with its attempts, its certificate's deliveries and its history."""

    event: event.ShownEvent
    attempts: Sequence[AttemptRow]
    deliveries: Sequence[OutboxRow]
    history: Sequence[HistoryRow]
    redact: Callable[[object], Any]
    """Takes out secrets by value: some platforms repeat a token in a field that nobody expects."""

    @classmethod
    def read(cls, bridge: Bridge, number: int) -> EventPage:
        """Reads an event. Raises PermanentError for a number nothing has."""

        def look(tx: Transaction) -> EventPage:
            row = inbox.get(tx, number)
            if row is None:
                raise PermanentError(
                    f"There is no event {number}. `certbridge events list` shows the numbers.", code="unknown"
                )
            shown = event.look(tx, [row], event.names_by(bridge))[0]
            certificate = shown.certificate.id if shown.certificate else None
            return cls(
                shown,
                attempts.of(tx, inbox_id=number),
                outbox.search(tx, certificate_id=certificate)[::-1] if certificate else [],
                history.timeline(tx, inbox_id=number),
                bridge.redactor.data,
            )

        return bridge.store.read(look)

    def print_json(self) -> None:
        """Prints all of it for programs."""
        shape = event.as_json(self.event, whole=True)
        shape["attempts_made"] = [attempt.as_json(one) for one in self.attempts]
        shape["certificate_deliveries"] = [delivery.as_json(row) for row in self.deliveries]
        shape["history"] = [shown_history.as_json(row) for row in self.history]
        print_json(self.redact(shape))

    def print(self, page: Page, *, payload: bool) -> None:
        """Prints all of it for people; what the source sent only when asked for."""
        row = self.event.row
        page.title(f"Event {row.id}")
        page.facts(event.facts(self.event, page))
        if self.attempts:
            page.heading("Attempts that said something")
            attempt.table(page, self.attempts)
        if self.deliveries:
            page.heading("Deliveries of its certificate")
            delivery.table(page, self.deliveries)
        if self.history:
            page.heading("History")
            shown_history.table(page, self.history)
        if payload:
            self._print_payload(page)
        advice = event.advice(row)
        if advice:
            page.heading("What you can do")
            page.say(advice)
        page.clock()

    def _print_payload(self, page: Page) -> None:
        for name, said in (
            ("What the source sent", self.event.row.event),
            ("What its API added", self.event.row.record),
        ):
            if said is not None:
                page.heading(name)
                print_json(self.redact(said.data))
