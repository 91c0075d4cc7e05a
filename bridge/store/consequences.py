"""What follows from events and deliveries: the rows a command has to see through that queued these."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, or_, select

from bridge.store.stuck import REREAD
from bridge.store.tables import certificates, inbox, outbox
from bridge.store.transaction import Transaction


def events(tx: Transaction, inbox_ids: Collection[int]) -> set[int]:
    """Returns these events, and those found in the requests that were read again for them."""
    read_again = select(inbox.c.request_id).where(inbox.c.id.in_(inbox_ids), inbox.c.code == REREAD)
    found = select(inbox.c.id).where(or_(inbox.c.id.in_(inbox_ids), inbox.c.request_id.in_(read_again)))
    return set(tx.connection.execute(found).scalars())


def deliveries(tx: Transaction, *, inbox_ids: Collection[int], outbox_ids: Collection[int]) -> set[int]:
    """Returns these deliveries, those of the certificates these events led to, and every step behind them."""
    led_to = and_(inbox.c.completion_id == certificates.c.completion_id, inbox.c.id.in_(inbox_ids))
    certificate_ids = select(certificates.c.id).join(inbox, led_to)
    newest = or_(outbox.c.id.in_(outbox_ids), outbox.c.certificate_id.in_(certificate_ids))
    found: set[int] = set()
    while rows := set(tx.connection.execute(select(outbox.c.id).where(newest)).scalars()) - found:
        found |= rows
        newest = outbox.c.after_id.in_(rows)
    return found
