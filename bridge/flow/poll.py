"""Asks a source what it knows of completions, page by page, and stores what is new: what a webhook lost is found."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from bridge.core.connector import ApiClient, Page
from bridge.core.errors import BridgeError, PermanentError, TemporaryError, UnavailableError
from bridge.core.models import SourceEvent, State
from bridge.core.source import Source
from bridge.core.text import plain_lines
from bridge.flow.arrival import Unwanted, new_event
from bridge.flow.known import NameOf, knows
from bridge.observe import crash_point
from bridge.store import event_keys, history, inbox, leases, polls, requests, sources
from bridge.store.engine import Store, Transaction
from bridge.store.polls import PollState

log = structlog.get_logger(__name__)

LEASE = 120.0
"""Seconds a poll may go without storing a page before another node takes over."""
GRACE = timedelta(minutes=10)
"""How long a webhook may be on its way before the poll says that it was lost."""
AGAIN = timedelta(minutes=10)
"""The pause after a poll that failed, where the usual one is longer."""
LONGEST_REST = 36_000.0
"""Seconds: a vendor that asks for more is asked again after them."""
MOST_PAGES = 10_000
AT_ONCE = 200
"""Events in one transaction: while it lasts, no webhook is stored on SQLite."""
FIRST_CONTACT = (
    "This was there already when certbridge first asked the source, which does not say since when. "
    "`certbridge past` lists such completions and issues those you choose."
)


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought."""

    new: tuple[int, ...] = ()
    """Numbers of the events that were stored to be worked on."""
    lost: tuple[int, ...] = ()
    """Those of them that a webhook should have told of."""
    known: int = 0
    older: int = 0
    """Completed before the start line."""
    unwanted: int = 0
    """Stored as ignored: of no interest to the connector or the mapping."""
    more: bool = False
    """A budget ended it; the next poll goes on there."""

    def __add__(self, other: Polled) -> Polled:
        counts = self.known + other.known, self.older + other.older, self.unwanted + other.unwanted
        return Polled(self.new + other.new, self.lost + other.lost, *counts, other.more)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one poll goes by."""

    source: Source
    token: str
    """Of the lease."""
    since: datetime
    now: datetime
    webhooks: bool
    """The source has sent webhooks before."""


@dataclass
class Polling:
    """Polls sources; every instance may run in any number of threads and on any number of nodes."""

    store: Store
    apis: Callable[[str], ApiClient]
    unwanted: Unwanted
    acts: Callable[[str, SourceEvent], bool]
    """Says whether an event of a source takes something back, forgets or merges, and is no completion."""
    name_of: NameOf
    overloaded: Callable[[str], bool]
    node: str
    wake: Callable[[], None]
    redact: Callable[[str], str]
    """Takes secrets out of what went wrong; it is stored and shown."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the bridge stops: a poll ends after the page it is at."""

    def due(self, source: Source, every: timedelta) -> bool:
        """Tells whether it is time for the next poll of a source, whichever node made the last one."""
        return self.store.read(lambda tx: _due(tx, source, every)) and not self.overloaded(source.name)

    def poll(self, source: Source) -> Polled | None:
        """Polls a source to the end; None when another node is at it right now.

        Raises PermanentError while the source rests, and what the connector and the client raise, after noting it;
        pages stored before stay.
        """
        begun = self.store.transact(lambda tx: self._begin(tx, source))
        if begun is None:
            return None
        look, state = begun
        try:
            polled = self._pages(look, state)
        except BridgeError as error:
            error.args = (plain_lines(self.redact(str(error))),)
            self._failed(look, error)
            raise
        except Exception as error:
            log.exception("unexpected error", source=source.name)
            text = self.redact(f"Unexpected {type(error).__name__}: {error}. Please report this.")
            unexpected = TemporaryError(text, code="unexpected")
            self._failed(look, unexpected)
            # Without its cause, which may quote a secret.
            raise unexpected from None
        except BaseException:  # a person ended the command
            self.store.transact(lambda tx: leases.release(tx, _lease(source), look.token))
            raise
        self._ended(look, polled)
        return polled

    def _begin(self, tx: Transaction, source: Source) -> tuple[_Look, PollState] | None:
        row = sources.known(tx, source.name)
        rests = row.resting(tx.now)
        if rests is not None:
            raise PermanentError(f"{rests}. To end that: certbridge sources resume {source.name}", code="paused")
        token = leases.acquire(tx, _lease(source), self.node, LEASE)
        if token is None:
            return None
        webhooks = row.last_request_at is not None
        return _Look(source, token, row.since, tx.now, webhooks), polls.state(row, test=source.test)

    def _pages(self, look: _Look, state: PollState) -> Polled:
        polled = Polled()
        api = self.apis(look.source.name)
        found = look.source.connector.poll(api, dict(state.cursor), look.since, look.now)
        for number, page in enumerate(found, start=1):
            if number > MOST_PAGES:
                raise PermanentError(f"{look.source.connector.title} sent more than {MOST_PAGES:,} pages in one poll.")
            after = replace(state, cursor=page.cursor)
            for start in range(0, max(1, len(page.events)), AT_ONCE):
                last = start + AT_ONCE >= len(page.events)
                part = replace(page, events=page.events[start : start + AT_ONCE])
                polled += self._store(look, part, after if last else state)
            state = after
            crash_point("after_poll_page")
            if self.stopping.is_set():
                break
        return polled

    def _store(self, look: _Look, page: Page, state: PollState) -> Polled:
        def write(tx: Transaction) -> Polled:
            if not leases.renew(tx, _lease(look.source), look.token, LEASE):
                raise TemporaryError("Another node has taken this poll over.", code="lost_lease")
            found = _Found(tx, look, self.unwanted, self.acts, self.name_of, first=state.first)
            for event in page.events:
                found.take(event, page.touched.get(event.event_id))
            polls.save(tx, look.source.name, state)
            if found.new:
                tx.after_commit(self.wake)
            counts = found.known, found.older, found.unwanted
            return Polled(tuple(found.new), tuple(found.lost), *counts, page.more)

        return self.store.transact(write)

    def _ended(self, look: _Look, polled: Polled) -> None:
        name = look.source.name

        def write(tx: Transaction) -> None:
            self._note_end(tx, look, None, len(polled.new))
            if polled.new:
                sources.heard(tx, name)
            if polled.lost:
                data = {"source": name, "events": list(polled.lost[:100]), "count": len(polled.lost)}
                history.add(tx, "source.reconciled", actor="bridge", test=look.source.test, data=data)

        self.store.transact(write)
        if polled.new:
            log.info("polled", source=name, new=len(polled.new), known=polled.known)
        if polled.lost:
            log.warning("the poll found completions that no webhook told of", source=name, events=polled.lost[:20])

    def _failed(self, look: _Look, error: BridgeError) -> None:
        def write(tx: Transaction) -> None:
            self._note_end(tx, look, str(error), 0)
            asked = error.retry_after if isinstance(error, TemporaryError) else None
            if error.stable_code == "http_429" and asked is not None and asked > 0:
                until = tx.now + timedelta(seconds=min(asked, LONGEST_REST))
                sources.rest(tx, look.source.name, until, str(error))

        if error.stable_code != "lost_lease":
            with suppress(UnavailableError):  # perhaps it is the store that failed; the lease runs out by itself
                self.store.transact(write)

    def _note_end(self, tx: Transaction, look: _Look, error: str | None, new: int) -> None:
        row = sources.get(tx, look.source.name)
        if row is not None:
            # Stopped half-way: the first contact is not over, and the next poll is due at once.
            stopped = self.stopping.is_set() and error is None
            state = polls.state(row, test=look.source.test)
            if stopped:
                polls.save(tx, look.source.name, state)
            else:
                polls.ended(tx, look.source.name, state, error=error, new=new)
        leases.release(tx, _lease(look.source), look.token)


class _Found:
    """Sorts the events of one page, within one transaction."""

    def __init__(
        self,
        tx: Transaction,
        look: _Look,
        unwanted: Unwanted,
        acts: Callable[[str, SourceEvent], bool],
        name_of: NameOf,
        *,
        first: bool,
    ) -> None:
        self.tx = tx
        self.look = look
        self._unwanted = unwanted
        self._acts = acts
        self._name_of = name_of
        self.first = first
        self.new: list[int] = []
        self.lost: list[int] = []
        self.known = 0
        self.older = 0
        self.unwanted = 0
        self._request: int | None = None

    def take(self, event: SourceEvent, touched: datetime | None = None) -> None:
        """Stores an event unless it is known or from before the start line; `touched`: when its record changed."""
        look = self.look
        if event.occurred_at is not None and event.occurred_at < look.since:
            self.older += 1
        elif self._knows(event):
            self.known += 1
        else:
            self._put(event, touched)

    def _knows(self, event: SourceEvent) -> bool:
        source = self.look.source
        if self._acts(source.name, event):
            # Its keys are those of the completion that it takes back.
            return event_keys.has(self.tx, source.name, source.test, event)
        return knows(self.tx, source, event, self._name_of)

    def _put(self, event: SourceEvent, touched: datetime | None) -> None:
        look = self.look
        new = new_event(look.source, event.model_copy(update={"received_at": look.now}), self._unwanted)
        if self.first and event.occurred_at is None and new.state is State.READY:
            new = replace(new, state=State.IGNORED, code=inbox.BEFORE_START, reason=FIRST_CONTACT)
        put = inbox.put(self.tx, replace(new, request_id=self._request_id()))
        if new.state is not State.READY:
            event_keys.note(self.tx, look.source.name, look.source.test, event, put.inbox_id)
            self.older += new.code == inbox.BEFORE_START
            self.unwanted += new.code != inbox.BEFORE_START
            return
        self.new.append(put.inbox_id)
        late = any(at is not None and at < look.now - GRACE for at in (event.occurred_at, touched))
        if look.webhooks and late and not self.first:
            self.lost.append(put.inbox_id)

    def _request_id(self) -> int:
        if self._request is None:
            self._request = requests.record(self.tx, poll_request(self.look.source.name))
        return self._request


def poll_request(name: str, entry: str = "poll") -> requests.NewRequest:
    """Returns the request that stands for what a poll (or a file, or a person) brought in."""
    return requests.NewRequest(
        source=name,
        entry=entry,
        method="",
        target="",
        headers={},
        body=None,
        body_sha256=hashlib.sha256(b"").hexdigest(),
        size=0,
        peer="",
        outcome="accepted",
        reason="",
        status=200,
    )


def _due(tx: Transaction, source: Source, every: timedelta) -> bool:
    row = sources.get(tx, source.name)
    if row is None or row.resting(tx.now):
        return False
    state = polls.state(row, test=source.test)
    pause = min(every, AGAIN) if state.error else every
    return state.ended_at is None or tx.now - state.ended_at >= pause


def _lease(source: Source) -> str:
    return f"poll:{source.name}"
