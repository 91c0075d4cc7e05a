"""Takes a vendor's request: verify, read, store durably, and only then answer."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import structlog

from bridge.core.errors import PayloadError, SignatureError, UnavailableError
from bridge.core.models import InboundRequest, Received, Reply, SourceEvent, State
from bridge.core.source import Source
from bridge.flow.answer import Answering
from bridge.flow.arrival import Unwanted, new_event
from bridge.flow.lease import LostLeaseError
from bridge.observe import Redactor, crash_point, put_off
from bridge.store import inbox, requests, sources, stuck
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

PULSE = 1.0
"""Seconds."""
UNREADABLE = "unreadable"
"""The event type of an authentic request whose body could not be read."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The one door for webhooks; no network, no rendering, no admin expression in here."""

    store: Store
    sources: Mapping[str, Source]
    redactor: Redactor
    wake: Callable[[], None]
    """Called once the events are on disk."""
    events_per_request: int
    rejected_per_hour: int
    unwanted: Unwanted
    answering: Answering
    overloaded: Callable[[str], bool]
    """Tells of a source whether so many of its events wait that more would only wait longer."""
    _pulses: dict[str, float] = field(default_factory=dict)

    def receive(self, source: str, request: InboundRequest, *, peer: str) -> Reply:
        """Answers one POST to `/hooks/<source>`; 200 means that it is on disk.

        Every other answer (401, 404, 503) says why, and the refused request is kept without its body.
        """
        known = self.sources.get(source)
        if known is None:
            return self._unknown(source, request, peer)
        try:
            known.connector.verify(request)
        except (SignatureError, UnavailableError) as error:
            return self._refuse(known, request, error, peer)
        try:
            if self.overloaded(source):
                raise UnavailableError("Too many of its events wait already.", code="overloaded", retry_after=60)
            received = self._store(known, request, self._read(known, request), peer)
        except UnavailableError as error:
            return self._unavailable(known, error)
        if known.connector.answers_certificate:
            received = self.answering.complete(known, received, request)
        return known.connector.reply(received)

    def status(self, source: str, request: InboundRequest, event: int, *, peer: str) -> Reply:
        """Answers a sender that asks what became of one of its events; it proves itself as with a webhook."""
        known = self.sources.get(source)
        if known is None or not known.connector.answers_certificate:
            return self._unknown(source, request, peer)
        try:
            known.connector.verify(request)
        except (SignatureError, UnavailableError) as error:
            return self._refuse(known, request, error, peer)
        return self.answering.look(known, event)

    def _unavailable(self, source: Source, error: UnavailableError) -> Reply:
        put_off(log, "not stored", error, source=source.name)
        return source.connector.reply(Received(503, "unavailable", error.public, retry_after=error.retry_after))

    def _read(self, source: Source, request: InboundRequest) -> list[inbox.NewEvent]:
        try:
            return self._events(source, request)
        except PayloadError as error:
            return [_unreadable(source, request, str(error)[: requests.TEXT_LENGTH])]

    def _events(self, source: Source, request: InboundRequest) -> list[inbox.NewEvent]:
        """Returns the events of an authentic request. Raises PayloadError."""
        try:
            # One more than is allowed, and the rest is never made: a megabyte can hold a hundred thousand.
            events = list(islice(source.connector.parse(request), self.events_per_request + 1))
        except PayloadError:
            raise
        except Exception as error:
            # A fault of ours in an authentic request: a 500 would lose it, because most senders do not try again.
            log.exception("unexpected error", source=source.name)
            reason = f"certbridge could not read this request ({type(error).__name__}). Please report this."
            raise PayloadError(reason) from error
        if len(events) > self.events_per_request:
            raise PayloadError(
                f"More than {self.events_per_request:,} events in one request (limits: events_per_request). Have the "
                "source send fewer at once, or raise the limit."
            )
        at = request.received_at
        return [new_event(source, one.model_copy(update={"received_at": at}), self.unwanted) for one in events]

    def reread(self, row: inbox.InboxRow) -> None:
        """Reads the stored request of an `unreadable` row with today's connector, stores its events, ends the row.

        It was authentic when it was stored, so it is not verified again; its secrets were taken out then.
        Raises PayloadError (still unreadable, or no longer kept) and LostLeaseError.
        """
        kept = self.store.read(lambda tx: requests.get(tx, row.request_id) if row.request_id is not None else None)
        if kept is None or kept.body is None:
            raise PayloadError("This request is no longer kept. Have the source send it again.")
        request = InboundRequest(kept.method, kept.target, kept.headers, kept.body, kept.received_at)
        # The mode in which it came: a source that went live since must not make a test real.
        events = [replace(one, test=row.test) for one in self._events(self.sources[row.source], request)]

        def write(tx: Transaction) -> None:
            puts = [inbox.put(tx, replace(event, request_id=row.request_id)) for event in events]
            numbers = ", ".join(str(put.inbox_id) for put in puts)
            reason = f"Can be read by now: event {numbers}." if puts else "Can be read by now: it holds no event."
            token = row.lease_token or ""
            if not inbox.settle(tx, row.id, token, state=State.DONE, code=stuck.REREAD, reason=reason):
                raise LostLeaseError
            tx.after_commit(self.wake)

        self.store.transact(write)
        log.info("read again", inbox=row.id, source=row.source, events=len(events))

    def _store(self, source: Source, request: InboundRequest, events: Sequence[inbox.NewEvent], peer: str) -> Received:
        planned = _outcome(events)
        pulse = self._pulse_due(source.name)

        def write(tx: Transaction) -> Received:
            request_id = requests.record(tx, self._kept(source.name, request, planned, peer, with_body=True))
            puts = [inbox.put(tx, replace(event, request_id=request_id)) for event in events]
            if _repeats(puts):
                # Its content is kept with the first one; erasing a learner finds bodies by the events they brought.
                requests.forget_body(tx, request_id)
            if pulse:
                sources.saw(tx, source.name, event=bool(events))
            if any(put.result == "revived" for put in puts) or any(one.state is State.READY for one in events):
                tx.after_commit(self.wake)
            return _answer(planned, puts)

        received = self.store.transact(write)
        crash_point("after_store")
        log.info("received", source=source.name, outcome=received.outcome, events=received.events)
        return received

    def _pulse_due(self, source: str) -> bool:
        """Tells, at most once a second, that `sources list` should learn of a request: in a burst one row is enough."""
        now = time.monotonic()
        due = now - self._pulses.get(source, -PULSE) >= PULSE
        if due:
            self._pulses[source] = now
        return due

    def _refuse(
        self, source: Source, request: InboundRequest, error: SignatureError | UnavailableError, peer: str
    ) -> Reply:
        """Refuses what could not be shown to be authentic; where it is we who cannot tell yet (no secret, no signing
        keys), so that the vendor tries again.
        """
        received = Received(401, "rejected", str(error))
        if isinstance(error, UnavailableError):
            received = Received(503, "unavailable", str(error), retry_after=error.retry_after)
        kept = self._kept(source.name, request, received, peer, with_body=False)
        self._keep_rejected(replace(kept, outcome="rejected"))
        log.warning("rejected", source=source.name, reason=received.reason, status=received.status, peer=peer)
        return source.connector.reply(received)

    def _unknown(self, name: str, request: InboundRequest, peer: str) -> Reply:
        received = Received(404, "rejected", f"There is no source named {name[:64]!r} in the configuration.")
        self._keep_rejected(self._kept("", request, received, peer, with_body=False))
        body = json.dumps({"outcome": "rejected", "reason": received.reason})
        return Reply(404, body.encode(), {"Content-Type": "application/json"})

    def refused(self, source: str, *, status: int, reason: str, method: str, size: int, peer: str) -> None:
        """Keeps a request that the web server refused before anybody read it: too large, compressed, wrong method."""
        known = source if source in self.sources else ""
        self._keep_rejected(
            requests.NewRequest(
                source=known,
                entry="webhook",
                method=method[:16],
                target=f"/hooks/{known or '?'}",
                headers={},
                body=None,
                body_sha256="",
                size=size,
                peer=peer,
                outcome="rejected",
                reason=self.redactor.text(reason),
                status=status,
            )
        )

    def _keep_rejected(self, kept: requests.NewRequest) -> None:
        try:
            most = self.rejected_per_hour
            self.store.transact(lambda tx: requests.record_rejected(tx, kept, per_hour=most), wait=2.0)
        except UnavailableError as error:
            # The sender is refused either way; only our own record of the refusal is lost, and the log says so.
            put_off(log, "refusal not recorded", error, source=kept.source)

    def _kept(
        self, source: str, request: InboundRequest, received: Received, peer: str, *, with_body: bool
    ) -> requests.NewRequest:
        return requests.NewRequest(
            source=source,
            entry="webhook",
            method=request.method,
            target=_target(request),
            headers=self.redactor.headers(request.headers),
            # The secrets some vendors put in the body are taken out; the hash is that of the bytes that came.
            body=self.redactor.body(request.body) if with_body else None,
            body_sha256=hashlib.sha256(request.body).hexdigest(),
            size=len(request.body),
            peer=peer,
            outcome=received.outcome,
            reason=self.redactor.text(received.reason),
            status=received.status,
        )


def _target(request: InboundRequest) -> str:
    """Returns the path without its token and query, both of which may be secret."""
    path = "/" + request.url.split("://", 1)[-1].partition("/")[2].partition("?")[0]
    # Cut off rather than replaced: the token may have come percent-encoded, with capitals or without.
    return path.rstrip("/").rpartition("/")[0] + "/***" if request.path_token else path


def _unreadable(source: Source, request: InboundRequest, reason: str) -> inbox.NewEvent:
    sha256 = hashlib.sha256(request.body).hexdigest()
    event = SourceEvent(event_id=f"{UNREADABLE}:{sha256}", event_type=UNREADABLE)
    return inbox.NewEvent(
        source=source.name,
        test=source.test,
        event=event,
        body_sha256=sha256,
        request_id=None,
        state=State.FAILED,
        code=PayloadError.code,
        reason=reason,
    )


def _outcome(events: Sequence[inbox.NewEvent]) -> Received:
    if any(event.state is State.READY for event in events):
        return Received(200, "accepted")
    if any(event.state is State.FAILED for event in events):
        return Received(200, "unreadable", next(e.reason or "" for e in events if e.state is State.FAILED))
    return Received(200, "ignored", events[0].reason or "" if events else "The request held no event.")


def _answer(planned: Received, puts: Sequence[inbox.Put]) -> Received:
    ids = tuple(str(put.inbox_id) for put in puts)
    if _repeats(puts):
        return replace(planned, outcome="duplicate", reason="Already stored; counted.", events=ids)
    return replace(planned, events=ids)


def _repeats(puts: Sequence[inbox.Put]) -> bool:
    """Tells whether a request brought nothing but what is known already."""
    return bool(puts) and all(put.result == "duplicate" for put in puts)
