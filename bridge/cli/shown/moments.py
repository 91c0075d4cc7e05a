"""A learner's timeline: events, certificates, deliveries and what people decided, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from bridge.cli.output import Column, Page, lines, plain, state
from bridge.cli.shown import delivery, event
from bridge.cli.shown import history as shown_history
from bridge.core import certificate_id
from bridge.store import chain, history, outbox
from bridge.store.certificates import CertificateHit
from bridge.store.history import HistoryRow
from bridge.store.outbox import OutboxRow
from bridge.store.transaction import Transaction

COLUMNS = (Column("When", fixed=True), Column("What happened"), Column("State", fixed=True))
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    at: datetime | None
    """None: not yet."""
    rank: int
    """Order among moments of the same instant: event, person, certificate, delivery."""
    cell: Text
    state: Text

    def line(self, page: Page) -> list[object]:
        """Returns the row of a table; its columns are COLUMNS."""
        return [page.when(self.at), self.cell, self.state]


@dataclass(frozen=True, slots=True)
class Known:
    """What belongs to a certificate beside itself."""

    hit: CertificateHit
    links: chain.Links
    url: str
    deliveries: Sequence[tuple[OutboxRow, datetime | None]]
    history: Sequence[HistoryRow]

    @classmethod
    def read(cls, tx: Transaction, hit: CertificateHit, url: str) -> Known:
        """Reads deliveries and history of a certificate."""
        rows = outbox.search(tx, certificate_id=hit.certificate.id)
        return cls(
            hit,
            chain.links(tx, hit),
            url,
            [(row, delivery.settled_at(tx, row)) for row in reversed(rows)],
            history.timeline(tx, certificate_id=hit.certificate.id),
        )


def of_event(shown: event.ShownEvent, decided: Sequence[HistoryRow]) -> Iterator[Moment]:
    """Yields the event's arrival, and what people did about it."""
    row = shown.row
    came = f"Event {row.id} from {plain(row.source)}{' (test)' if row.test else ''}: {plain(row.event_type)}"
    yield Moment(
        shown.received_at, 0, lines(came, shown.who, shown.why, style=event.tone(row.state)), state(row.state.value)
    )
    yield from _decisions(decided, f"event {row.id}")


def of_certificate(known: Known) -> Iterator[Moment]:
    """Yields issue, corrections, revocation and deliveries of a certificate."""
    row, data = known.hit.certificate, known.hit.version.data
    test = " (TEST)" if row.test else ""
    name, title = plain(data.recipient.name), plain(data.course.title)
    issued = f"Certificate {certificate_id.grouped(row.id)}{test} for {name}: {title}"
    yield Moment(row.issued_at, 2, lines(issued, known.url), state(row.state))
    yield from _decisions(known.history, f"certificate {certificate_id.grouped(row.id)}")
    for sent, at in known.deliveries:
        cell = lines(_capital(delivery.what(sent)), delivery.proof(sent) or None, style=event.tone(sent.state))
        yield Moment(at or row.issued_at, 3, cell, state(sent.state.value))


def _decisions(rows: Sequence[HistoryRow], what: str) -> Iterator[Moment]:
    for row in rows:
        if not row.actor.startswith("cli:"):
            continue
        said = f"{_capital(shown_history.words(row))} by {plain(row.actor.removeprefix('cli:'))}"
        cell = lines(said, what if what.split()[0] not in said.lower() else None, plain(row.data.get("reason")) or None)
        yield Moment(row.at, 1, cell, Text(""))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def in_order(moments: Sequence[Moment]) -> list[Moment]:
    """Returns the moments, oldest first; what has not happened yet comes last."""
    return sorted(moments, key=lambda moment: (moment.at or _LAST, moment.rank))
