"""What the store knows about a text: the matching events and certificates, and who was refused at the door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.cli.output import Column, Page, lines, plain, print_json
from bridge.cli.shown import certificate, delivery, event, moments
from bridge.cli.shown import history as shown_history
from bridge.core.models import JsonObject, State
from bridge.store import certificates, history, requests, sources
from bridge.store import find as stored
from bridge.store.certificates import CertificateHit
from bridge.store.history import HistoryRow
from bridge.store.inbox import InboxRow
from bridge.store.requests import RequestRow
from bridge.store.sources import SourceRow
from bridge.store.transaction import Transaction

NOT_FOR_US = ("event_type", "not_wanted")
"""Codes of events that are about no completion."""
REFUSED = 5
"""Refused requests that are shown when nothing else was found."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything about a text."""

    text: str
    events: Sequence[tuple[event.ShownEvent, Sequence[HistoryRow]]]
    """Newest first, each with its history."""
    certificates: Sequence[moments.Known]
    refused: Sequence[RequestRow]
    sources: Sequence[SourceRow]

    @classmethod
    def read(cls, tx: Transaction, text: str, *, url: Callable[[str], str], named: event.Named, limit: int) -> Found:
        """Searches; `url` gives the page of a certificate, `named` reads names from events."""
        rows = stored.find(tx, text, limit=limit)
        events = event.look(tx, [row for row in rows if isinstance(row, InboxRow)], named)
        hits = {row.certificate.id: row for row in rows if isinstance(row, CertificateHit)}
        for one in events:
            if one.certificate is not None and one.certificate.id not in hits:
                hit = certificates.hit(tx, one.certificate.id)
                hits |= {one.certificate.id: hit} if hit else {}
        return cls(
            text,
            [(one, history.timeline(tx, inbox_id=one.row.id)) for one in events],
            [moments.Known.read(tx, hit, url(hit.certificate.id)) for hit in hits.values()],
            requests.search(tx, outcome="rejected", limit=REFUSED),
            sources.listing(tx),
        )

    @property
    def empty(self) -> bool:
        """Tells whether nothing matched."""
        return not self.events and not self.certificates

    def unserved(self) -> list[event.ShownEvent]:
        """Returns the latest event of each learner and course that led to no certificate, newest first."""
        served = {_about(one) for one, _ in self.events if one.certificate is not None}
        told = {_about(one)[:2] for one, _ in self.events if one.row.code not in NOT_FOR_US}
        latest: dict[tuple[str, str | None, str | None], event.ShownEvent] = {}
        for one, _ in self.events:
            # That a lesson was finished answers nothing once something is known about a course.
            aside = one.row.code in NOT_FOR_US and _about(one)[:2] in told
            if one.row.state is not State.DONE and _about(one) not in served and not aside:
                latest.setdefault(_about(one), one)
        return list(latest.values())

    def print(self, page: Page) -> None:
        """Prints the timeline, oldest first."""
        happened = [moment for one, decided in self.events for moment in moments.of_event(one, decided)]
        happened += [moment for known in self.certificates for moment in moments.of_certificate(known)]
        page.table(moments.COLUMNS, [moment.line(page) for moment in moments.in_order(happened)])

    def print_refused(self, page: Page) -> None:
        """Prints who was refused last."""
        columns = [Column("When", fixed=True), Column("Source"), Column("Why"), Column("Answer", "right")]
        page.table(
            columns,
            [
                [page.when(row.received_at), plain(row.source), lines(row.reason, f"from {row.peer}"), str(row.status)]
                for row in self.refused
            ],
        )

    def print_json(self) -> None:
        """Prints all of it for programs."""
        print_json(
            {
                "text": self.text,
                "events": [
                    {**event.as_json(one), "history": [shown_history.as_json(row) for row in decided]}
                    for one, decided in self.events
                ],
                "certificates": [_certificate(known) for known in self.certificates],
                "last_refused": [_refused(row) for row in self.refused],
            }
        )


def _about(one: event.ShownEvent) -> tuple[str, str | None, str | None]:
    return one.row.source, one.row.event.subject, one.row.event.course


def _certificate(known: moments.Known) -> JsonObject:
    return {
        **certificate.as_json(known.hit, known.links, known.url),
        "deliveries": [delivery.as_json(row) for row, _ in known.deliveries],
        "history": [shown_history.as_json(row) for row in known.history],
    }


def _refused(row: RequestRow) -> JsonObject:
    return {
        "id": row.id,
        "source": row.source,
        "received_at": row.received_at,
        "status": row.status,
        "reason": row.reason,
        "peer": row.peer,
        "body_sha256": row.body_sha256,
    }
