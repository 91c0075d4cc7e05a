"""Tells a sender that wants to know what became of its event: the certificate's id and link, now or a bit later."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from bridge.core import certificate_id
from bridge.core.models import InboundRequest, JsonObject, Received, Reply, State
from bridge.core.source import Source
from bridge.flow.view import Publisher
from bridge.store import certificates, inbox
from bridge.store.engine import Store, Transaction

LOOK: Final = 0.05
"""Seconds between looks whether an event is settled."""
SEATS: Final = 4
"""Senders that may wait at the same time; the web server's other threads stay free for those who do not."""
MOST_WAITED_FOR: Final = 20
"""Events of one request; a longer list is answered at once, because each look at it asks the database for all."""
_MOVING: Final = (State.READY, State.RUNNING, State.RETRYING)
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answering:
    """Waits for certificates on behalf of senders, and answers who asks later."""

    store: Store
    publisher: Publisher
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _seats: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(SEATS))

    def complete(self, source: Source, received: Received, request: InboundRequest) -> Received:
        """Returns the answer with what became of each event; 202 while one of them is still worked on."""
        numbers = [int(number) for number in received.events]
        if received.status != 200 or not numbers:
            return received
        results = self._settled(source, numbers)
        for one in results:
            if one["status"] == "processing":
                one["status_url"] = _status_url(request.url, one["event"])
        moving = any(one["status"] == "processing" for one in results)
        details = results[0] if len(results) == 1 else {"results": results}
        return replace(received, status=202 if moving else 200, details=details)

    def look(self, source: Source, number: int) -> Reply:
        """Answers a sender that asks for one of its events again; the request was verified before."""
        found = self.store.read(lambda tx: _event(tx, self.publisher, source, number))
        if found is None:
            reason = f"{source.name} has no event {number}."
            return Reply(404, json.dumps({"status": "unknown", "reason": reason}).encode(), _JSON)
        return Reply(202 if found["status"] == "processing" else 200, json.dumps(found).encode(), _JSON)

    def _settled(self, source: Source, numbers: list[int]) -> list[JsonObject]:
        results = self._results(source, numbers)
        if len(numbers) > MOST_WAITED_FOR or not self._seats.acquire(blocking=False):
            return results
        try:
            end = self.clock() + source.connector.answer_wait
            while any(one["status"] == "processing" for one in results) and self.clock() < end:
                self.sleep(LOOK)
                results = self._results(source, numbers)
        finally:
            self._seats.release()
        return results

    def _results(self, source: Source, numbers: list[int]) -> list[JsonObject]:
        def look(tx: Transaction) -> list[JsonObject]:
            found = (_event(tx, self.publisher, source, number) for number in numbers)
            return [one for one in found if one is not None]

        return self.store.read(look)


def _status_url(url: str, number: int) -> str:
    """Returns where the sender can ask again: its own address, whose query may prove it, with the event's number."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair and not pair.startswith("event=")]
    return urlunsplit((*parts[:3], "&".join([*kept, f"event={number}"]), ""))


def _event(tx: Transaction, publisher: Publisher, source: Source, number: int) -> JsonObject | None:
    row = inbox.get(tx, number)
    if row is None or row.source != source.name:
        return None
    issued = certificates.of_completion(tx, row.completion_id) if row.completion_id is not None else None
    if issued is not None and issued.state != "draft":
        link = publisher.url(issued.id)
        said = {"certificate_id": certificate_id.grouped(issued.id), "verify_url": link, "pdf_url": f"{link}.pdf"}
        return {"event": number, "status": issued.state, **said, "test": row.test}
    moving = row.state in _MOVING
    reason = {"reason": row.reason} if row.reason and not moving else {}
    return {"event": number, "status": "processing" if moving else row.state.value, **reason, "test": row.test}
