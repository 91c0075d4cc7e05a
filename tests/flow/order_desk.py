"""A desk whose learners, completions and fields are made up: the flow alone, step by step, with crashes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

import bridge.flow.issue
import bridge.flow.send
from bridge.core import certificate_id
from bridge.core.connector import ApiClient, Connector, Memo, Receipt, Step
from bridge.core.latest import needs_writing
from bridge.core.mapping import Decision, Defaults
from bridge.core.models import (
    Certificate,
    Completion,
    Course,
    InboundRequest,
    Issuer,
    Recipient,
    Revocation,
    SignedRequest,
    SourceEvent,
    State,
)
from bridge.core.source import Source
from bridge.flow.acts import Acting
from bridge.flow.amend import Amending
from bridge.flow.answer import Answering
from bridge.flow.arrival import digest
from bridge.flow.clerk import Clerk
from bridge.flow.issue import Issuing
from bridge.flow.plan import Planner
from bridge.flow.send import Sending
from bridge.flow.view import Publisher
from bridge.observe import Redactor
from bridge.store import certificates, inbox, outbox, sources, tables
from bridge.store.certificates import CertificateHit
from bridge.store.engine import Store
from bridge.store.transaction import Transaction

COMPLETED, TAKEN_BACK = "completed", "taken.back"

_WORK = (State.READY.value, State.RUNNING.value, State.RETRYING.value)


class Killed(BaseException):
    """The process died here."""


class DeskConnector(Connector[Any]):
    """Keeps one profile field for each learner, in memory."""

    name = "desk"
    title = "Desk"
    docs_url = ""
    event_types = frozenset({COMPLETED, TAKEN_BACK})

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    def verify(self, request: InboundRequest) -> None: ...

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return ()

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return SignedRequest(body, headers)

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        place = {"user": str(event.subject)}
        return (
            Step("number", place, "the field of all courses", latest=True),
            Step("course", {**place, "course": str(event.course)}, "the field of the course", latest=True),
        )

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        place = ":".join(step.target.values())
        wanted = certificate_id.grouped(certificate.id) if certificate.state == "issued" else ""
        if needs_writing(self.fields.get(place, ""), wanted, certificate, where=place):
            self.fields[place] = wanted
        return Receipt(place, confirmed=True)


class DeskMapping:
    """What `data` says is what is meant."""

    sha256 = "m1"

    def __init__(self, again: str) -> None:
        self.again = again

    def event_types(self) -> Sequence[str]:
        return (COMPLETED, TAKEN_BACK)

    def current(self, source: str) -> DeskMapping:
        return self

    def apply(self, event: SourceEvent, *, defaults: Defaults, overrides: Mapping[str, str] | None = None) -> Decision:
        data = event.data
        if event.event_type == TAKEN_BACK:
            reason = "taken back"
            return Decision(Revocation(keys=event.keys, subject=event.subject, course=event.course, reason=reason), ())
        assert event.occurred_at is not None
        name = (overrides or {}).get("recipient.name", data["name"])
        years = data.get("years")
        on = event.occurred_at.date()
        outcome = Completion(
            subject=str(event.subject),
            keys=event.keys,
            recipient=Recipient(name=name, email=f"{data['name'].split()[0].lower()}@example.org"),
            course=Course(id=str(event.course), title=f"Course {event.course}"),
            completed_at=event.occurred_at,
            completed_on=on,
            zone="UTC",
            expires_on=on.replace(year=on.year + years) if years else None,
            again=self.again,
            fields={"completion": data["completion"]},
        )
        return Decision(outcome, ())


class _Paper:
    """Renders and finds templates; what is drawn is tested elsewhere."""

    def version(self, name: str) -> str:
        return "t1"

    def job(self, *said: Any, **more: Any) -> None:
        return None

    def render(self, job: None) -> bytes:
        return b"%PDF-"


@dataclass
class OrderDesk:
    """One source, its learners and what becomes of them; every row is worked on when the test says so."""

    store: Store
    source: str
    again: str
    connector: DeskConnector = field(default_factory=DeskConnector)
    crash_in: int | None = None
    """Dies at this many crash points from now."""

    def __post_init__(self) -> None:
        configured = {self.source: Source(self.source, self.connector, test=False)}
        mapping, paper, defaults = DeskMapping(self.again), _Paper(), Defaults(zone="UTC", locale="en")
        publisher = Publisher("https://desk.example", Issuer(name="Desk"), b"key")
        planner = Planner(mail_is_set_up=False)
        parts: Any = self.store, lambda: paper, paper, publisher, planner
        amending: Any = self.store, configured, *parts[1:]
        self.amending = Amending(*amending, wake=lambda: None)
        self.publisher = publisher
        self.answering = Answering(self.store, publisher)
        self.clerk = Clerk(
            store=self.store,
            sources=configured,
            mappings=mapping,  # type: ignore[arg-type]
            defaults=defaults,
            issuing=Issuing(*parts, wake=lambda: None),
            acting=Acting(self.store, self.amending),
            sending=Sending(self.store, publisher, {}, configured),
            reread=lambda row: None,
            apis=lambda source, exchange: None,  # type: ignore[arg-type,return-value]
            redactor=Redactor(()),
            node="desk",
        )
        at = datetime.fromisoformat("2020-01-01T00:00:00Z")
        self.store.transact(
            lambda tx: tx.connection.execute(
                tables.sources.insert().values(name=self.source, since=at, cursor={}, connector="desk")
            )
        )

    # -- what happens ------------------------------------------------------------------------------

    def tell(self, event: SourceEvent) -> int:
        """Stores an event as a webhook would."""

        def put(tx: Transaction) -> int:
            told = event.model_copy(update={"received_at": tx.now})
            new = inbox.NewEvent(source=self.source, test=False, event=told, body_sha256=digest(told), request_id=None)
            return inbox.put(tx, new).inbox_id

        return self.store.transact(put)

    def step(self) -> bool:
        """Works on whatever is due, one row; False when nothing is."""
        found = self.store.transact(lambda tx: self._claim(tx))
        if found is None:
            return False
        with contextlib.suppress(Killed), _dying(self._passes):
            if isinstance(found, inbox.InboxRow):
                self.clerk.inbox_row(found)
            else:
                self.clerk.outbox_row(found)
        return True

    def work(self) -> None:
        """Works until nothing is left to do but what a person has to decide."""
        while self._time_passes():
            while self.step():
                pass

    def _claim(self, tx: Transaction) -> inbox.InboxRow | outbox.OutboxRow | None:
        rows: list[Any] = inbox.claim(tx, sources=[self.source], node="desk", limit=1)
        rows = rows or outbox.claim(tx, kinds=["write_back"], destinations=[self.source], node="desk", limit=1)
        return rows[0] if rows else None

    def _time_passes(self) -> bool:
        """Every wait is over, and the leases of whoever died as well; False when all that waits, waits for a person."""

        def hurry(tx: Transaction) -> bool:
            past, open_rows = tx.now - timedelta(seconds=1), 0
            for table, lane in ((tables.inbox, "source"), (tables.outbox, "destination")):
                mine = table.c[lane] == self.source, table.c.state.in_(_WORK)
                open_rows += tx.connection.scalar(select(func.count()).where(*mine)) or 0
                tx.connection.execute(update(table).where(*mine).values(due_at=past))
            waits = inbox.search(tx, source=self.source, state=State.RETRYING, limit=1000)
            asked = inbox.search(tx, source=self.source, state=State.HELD, limit=1)
            return open_rows > len([row for row in waits if row.code == "twin"] if asked else [])

        return self.store.transact(hurry)

    def _passes(self, place: str) -> None:
        if self.crash_in is None:
            return
        self.crash_in -= 1
        if self.crash_in < 0:
            self.crash_in = None
            raise Killed(place)

    # -- what people do ----------------------------------------------------------------------------

    def hits(self) -> list[CertificateHit]:
        """Every certificate that was issued at some time."""
        found = self.store.read(lambda tx: certificates.search(tx, source=self.source, limit=1000))
        return [hit for hit in found if hit.certificate.state != "draft"]

    def of(self, completion: str) -> CertificateHit | None:
        """The certificate of a completion, by its name in the test."""
        return next((hit for hit in self.hits() if hit.version.data.fields["completion"] == completion), None)

    def held(self) -> list[inbox.InboxRow]:
        """The events that wait for a person."""
        return self.store.read(lambda tx: inbox.search(tx, source=self.source, state=State.HELD, limit=1000))

    def release(self, number: int, **overrides: str) -> None:
        """A person lets a held event go on."""
        self.store.transact(lambda tx: inbox.release(tx, number, overrides=overrides, actor="test", reason="asked"))

    def answer(self, number: int) -> str | None:
        """The completion of whose certificate the sender of an event is told."""
        configured = self.clerk.sources[self.source]
        reply = self.answering.look(configured, number).body.decode()
        return next((name for name, number in self.numbers().items() if number in reply), None)

    def numbers(self) -> dict[str, str]:
        """The number of each completion's certificate."""
        return {
            hit.version.data.fields["completion"]: certificate_id.grouped(hit.certificate.id) for hit in self.hits()
        }


@contextlib.contextmanager
def _dying(passes: Callable[[str], None]) -> Iterator[None]:
    """Lets crash points end the work as a killed process would: nothing after it happens, nothing is cleaned up."""
    modules = bridge.flow.issue, bridge.flow.send
    before = [module.crash_point for module in modules]
    for module in modules:
        module.crash_point = passes  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, known in zip(modules, before, strict=True):
            module.crash_point = known  # type: ignore[attr-defined]


def start_line(store: Store, name: str) -> datetime:
    """When a source begins."""
    return store.read(lambda tx: sources.known(tx, name).since)
