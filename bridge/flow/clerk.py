"""Carries one row of the inbox or the outbox through its stages, and stores how that ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from bridge.core.connector import ApiClient
from bridge.core.errors import (
    BridgeError,
    HeldError,
    TemporaryError,
    UnavailableError,
    UnconfirmedError,
)
from bridge.core.mapping import Defaults, waived
from bridge.core.models import Completion, Held, Ignored, JsonObject, State
from bridge.core.retry import schedule_for
from bridge.core.source import Source
from bridge.core.text import plain_lines
from bridge.flow.acts import Acting
from bridge.flow.enrich import enrich
from bridge.flow.issue import Issuing
from bridge.flow.lease import LostLeaseError
from bridge.flow.mappings import Mappings
from bridge.flow.normalise import normalise, not_wanted
from bridge.flow.plan import WRITE_BACK
from bridge.flow.receive import UNREADABLE
from bridge.flow.result import Result, TwinError
from bridge.flow.send import Sending, Sent
from bridge.observe import Redactor
from bridge.store import attempts, certificates, erase, inbox, outbox, sources
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

FLOOD = "flood"
"""The code of events held because there were too many in an hour."""
TWIN_WAIT = 0.5
TWIN_LONGEST_WAIT = 300.0
"""Seconds between looks whether another event about the same completion is through: doubled each time, up to this."""


@dataclass
class Exchange:
    """What one attempt said to the outside and heard back, redacted, and when it began; kept with the attempt."""

    request: JsonObject | None = None
    response: JsonObject | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def took(self) -> timedelta:
        """How long the attempt has taken so far."""
        return timedelta(seconds=time.monotonic() - self.began)

    def note(self, request: JsonObject, response: JsonObject | None, _seconds: float) -> None:
        """Remembers the latest call; the earlier ones of the attempt succeeded."""
        self.request, self.response = request, response


Apis = Callable[[str, Exchange], ApiClient]
"""Gives the API client of a source whose calls are noted in the exchange."""


@dataclass(frozen=True, slots=True)
class Clerk:
    """Carries one row through its stages; holds everything the stages need, and no state."""

    store: Store
    sources: Mapping[str, Source]
    mappings: Mappings
    defaults: Defaults
    issuing: Issuing
    acting: Acting
    sending: Sending
    reread: Callable[[inbox.InboxRow], None]
    """Reads the stored request of a row nobody could read once more. Raises PayloadError."""
    apis: Apis
    redactor: Redactor
    node: str
    hold_above: Mapping[str, int] = field(default_factory=dict)
    """Certificates of a source in an hour above which the next ones are held; a source without a limit is left out."""

    def inbox_row(self, row: inbox.InboxRow) -> None:
        """Works one event to its end, or to its next attempt."""
        exchange = Exchange()
        try:
            result = self._inbox_stages(row, exchange)
        except LostLeaseError:
            log.warning("lease lost", inbox=row.id)
            return
        except TwinError as error:
            waiting = Result(State.RETRYING, error.stable_code, str(error))
            self._settle_inbox(row, waiting, due_in=_twin_wait(row.attempts))
            return
        except UnavailableError:
            raise
        except BridgeError as error:
            self._inbox_failed(row, error, exchange)
            return
        except Exception as error:
            log.exception("unexpected error", inbox=row.id)
            self._inbox_failed(row, _unexpected(error), exchange)
            return
        self._inbox_done(row, result, exchange)

    def _inbox_stages(self, row: inbox.InboxRow, exchange: Exchange) -> Result | None:
        if row.event_type == UNREADABLE:
            self.reread(row)
            return None
        source = self.sources[row.source]
        mapping = self.mappings.current(row.source)
        unwanted = not_wanted(row.event, mapping, defaults=self.defaults)
        if unwanted is not None:
            return Result(State.IGNORED, unwanted.code, unwanted.reason)
        event = enrich(self.store, source, row, self.apis(row.source, exchange))
        since = self.store.read(lambda tx: sources.known(tx, row.source).since) if row.completion_id is None else None
        decision = normalise(event, mapping, defaults=self.defaults, overrides=row.overrides, since=since)
        outcome = decision.outcome
        if isinstance(outcome, Ignored):
            return Result(State.IGNORED, outcome.code, outcome.reason)
        if isinstance(outcome, Held):
            return Result(State.HELD, outcome.code, outcome.reason)
        if not isinstance(outcome, Completion):
            return self.acting.act(row, outcome)
        flood = self._flood(row, outcome)
        return flood or self.issuing.issue(row, source, event, outcome, mapping.sha256)

    def _flood(self, row: inbox.InboxRow, completion: Completion) -> Result | None:
        """Holds a completion when its source had more in the last hour than anybody expects of it."""
        most = self.hold_above.get(row.source)
        if most is None or row.completion_id is not None or waived(row.overrides, FLOOD):
            return None
        since, test = timedelta(hours=1), row.test
        if self.store.read(lambda tx: certificates.issued_within(tx, row.source, test, since, most=most)) < most:
            return None
        reason = (
            f"{completion.recipient.name}, {completion.course.title}: {row.source} had {most:,} certificates within an "
            "hour. A mass import or a mistake at the source would send them all out. If it is right: certbridge "
            f"events release --code {FLOOD} --source {row.source}. If so many are usual: set hold_above for the source."
        )
        return Result(State.HELD, FLOOD, reason)

    def _inbox_done(self, row: inbox.InboxRow, result: Result | None, exchange: Exchange) -> None:
        """Settles a row that got somewhere (None: it is settled already) and keeps what the vendor said."""

        def write(tx: Transaction) -> bool:
            settled = result is None or _settle(tx, row, result, None)
            if exchange.request is not None:
                _attempt(tx, self.node, None, "", exchange, n=row.attempts, inbox_id=row.id)
            return settled

        if result is None and exchange.request is None:
            return
        if not self.store.transact(write):
            log.warning("lease lost", inbox=row.id)
        elif result is not None:
            log.info("event settled", inbox=row.id, source=row.source, state=result.state, code=result.code)

    def _inbox_failed(self, row: inbox.InboxRow, error: BridgeError, exchange: Exchange) -> None:
        reason = plain_lines(self.redactor.text(str(error)))

        def write(tx: Transaction) -> State | None:
            tries = _tries(error, row.attempts, attempts.of(tx, inbox_id=row.id))
            state, due_in = _verdict(error, tries)
            settled = _settle(tx, row, Result(state, error.stable_code, reason), due_in)
            _attempt(tx, self.node, error, reason, exchange, n=row.attempts, inbox_id=row.id)
            _pause_if_throttled(tx, row.source, error, due_in)
            return state if settled else None

        state = self.store.transact(write)
        if state is None:
            log.warning("lease lost", inbox=row.id)
            return
        log.warning("event not processed", inbox=row.id, source=row.source, state=state, reason=reason)

    def _settle_inbox(self, row: inbox.InboxRow, result: Result, *, due_in: float | None = None) -> None:
        if not self.store.transact(lambda tx: _settle(tx, row, result, due_in)):
            log.warning("lease lost", inbox=row.id)
            return
        log.info("event settled", inbox=row.id, source=row.source, state=result.state, code=result.code)

    def outbox_row(self, row: outbox.OutboxRow) -> None:
        """Sends one delivery, or plans its next attempt."""
        exchange = Exchange()
        try:
            sent = self.sending.send(row, lambda source: self.apis(source, exchange))
        except LostLeaseError:
            log.warning("lease lost", outbox=row.id)
        except UnavailableError:
            raise
        except BridgeError as error:
            self._outbox_failed(row, error, exchange)
        except Exception as error:
            log.exception("unexpected error", outbox=row.id)
            self._outbox_failed(row, _unexpected(error), exchange)
        else:
            self._outbox_sent(row, sent, exchange)

    def _outbox_sent(self, row: outbox.OutboxRow, sent: Sent, exchange: Exchange) -> None:
        def write(tx: Transaction) -> bool:
            token = row.lease_token or ""
            settled = outbox.settle(
                tx, row.id, token, state=sent.state, code=sent.code, reason=sent.reason, receipt=sent.receipt
            )
            said = str(sent.receipt.get("summary", ""))
            _attempt(tx, self.node, None, said, exchange, n=row.attempts, outbox_id=row.id)
            return settled

        if not self.store.transact(write):
            log.warning("lease lost", outbox=row.id)
            return
        log.info("sent", outbox=row.id, kind=row.kind, destination=row.destination, step=row.step, state=sent.state)

    def _outbox_failed(self, row: outbox.OutboxRow, error: BridgeError, exchange: Exchange) -> None:
        reason = plain_lines(self.redactor.text(str(error)))

        def write(tx: Transaction) -> State | None:
            state, due_in = _verdict(error, _tries(error, row.attempts, attempts.of(tx, outbox_id=row.id)))
            settled = outbox.settle(
                tx, row.id, row.lease_token or "", state=state, code=error.stable_code, reason=reason, due_in=due_in
            )
            _attempt(tx, self.node, error, reason, exchange, n=row.attempts, outbox_id=row.id)
            if row.kind == WRITE_BACK:
                _pause_if_throttled(tx, row.destination, error, due_in)
            return state if settled else None

        state = self.store.transact(write)
        if state is None:
            log.warning("lease lost", outbox=row.id)
            return
        log.warning("not sent", outbox=row.id, kind=row.kind, destination=row.destination, state=state, reason=reason)


def _settle(tx: Transaction, row: inbox.InboxRow, result: Result, due_in: float | None) -> bool:
    return inbox.settle(
        tx, row.id, row.lease_token or "", state=result.state, code=result.code, reason=result.reason, due_in=due_in
    )


def _attempt(
    tx: Transaction,
    node: str,
    error: BridgeError | None,
    reason: str,
    exchange: Exchange,
    *,
    n: int,
    inbox_id: int | None = None,
    outbox_id: int | None = None,
) -> None:
    # A call may have been under way while the learner was forgotten.
    bare = erase.emptied(tx, inbox_id=inbox_id, outbox_id=outbox_id)
    attempts.record(
        tx,
        inbox_id=inbox_id,
        outbox_id=outbox_id,
        n=n,
        node=node,
        started_at=tx.now - exchange.took,
        outcome="error" if error else "ok",
        code=error.stable_code if error else None,
        reason=None if bare else reason,
        request=None if bare else exchange.request,
        response=None if bare else exchange.response,
    )


def _tries(error: BridgeError, n: int, earlier: Sequence[attempts.AttemptRow]) -> int:
    """Returns how often in a row, this time included, the row failed in this way since it was last replayed.

    Waiting for a confirmation has a schedule of its own; a worker that died, or a wait for a twin, is no failure.
    """
    unconfirmed = isinstance(error, UnconfirmedError)
    tries = 1
    for attempt in sorted(earlier, key=lambda one: one.id, reverse=True):
        same = (attempt.code == UnconfirmedError.code) == unconfirmed
        if attempt.outcome != "error" or attempt.n >= n or not same:
            break
        tries, n = tries + 1, attempt.n
    return tries


def _pause_if_throttled(tx: Transaction, source: str, error: BridgeError, due_in: float | None) -> None:
    """Lets a whole source rest when its vendor asked for it: other requests would only be refused as well."""
    if isinstance(error, TemporaryError) and error.stable_code == "http_429" and error.retry_after and due_in:
        sources.rest(tx, source, tx.now + timedelta(seconds=due_in), str(error))


def _verdict(error: BridgeError, attempt: int) -> tuple[State, float | None]:
    """Returns the next state, and the seconds until the next attempt when there is one."""
    if isinstance(error, HeldError):
        return State.HELD, None
    if not isinstance(error, TemporaryError):
        return State.FAILED, None
    wait = schedule_for(error).wait(attempt, error)
    if wait is not None:
        return State.RETRYING, wait
    return (State.HELD if isinstance(error, UnconfirmedError) else State.FAILED), None


def _twin_wait(attempt: int) -> float:
    # It never gives up: the other event ends some day, and then this one has its answer.
    return min(TWIN_LONGEST_WAIT, TWIN_WAIT * 2.0 ** min(attempt - 1, 16))


def _unexpected(error: Exception) -> TemporaryError:
    return TemporaryError(f"Unexpected {type(error).__name__}: {error}. Please report this.", code="unexpected")
