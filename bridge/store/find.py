"""One question, "what do we know about this learner?", asked of events and certificates alike."""

from __future__ import annotations

from bridge.store import certificates, inbox
from bridge.store.certificates import CertificateHit
from bridge.store.inbox import InboxRow
from bridge.store.transaction import Transaction


def find(tx: Transaction, text: str, limit: int = 50) -> list[InboxRow | CertificateHit]:
    """Returns events, then certificates (at most `limit` of each, newest first) that match every word of `text`.

    Words are parts of a name, an address, a vendor's id, a course or its title; or `text` is a certificate id as
    people type it. Events of the certificates found are listed too, whatever they say themselves.
    """
    if not text.strip():
        return []
    hits = certificates.search(tx, text=text, limit=limit)
    events = {row.id: row for row in inbox.search(tx, text=text, limit=limit)}
    events |= {row.id: row for row in inbox.of_completions(tx, [hit.completion.id for hit in hits], limit=limit)}
    newest = sorted(events.values(), key=lambda row: row.id, reverse=True)
    return [*newest[:limit], *hits]
