"""Completes a thin event over the vendor's API, once: what was fetched is stored and used again on replay."""

from __future__ import annotations

from bridge.core.connector import ApiClient
from bridge.core.errors import HeldError
from bridge.core.mapping import waived
from bridge.core.models import SourceEvent
from bridge.core.source import Source
from bridge.flow.lease import LostLeaseError
from bridge.observe import crash_point
from bridge.store import inbox
from bridge.store.engine import Store


def enrich(store: Store, source: Source, row: inbox.InboxRow, api: ApiClient) -> SourceEvent:
    """Returns the event with everything the vendor knows about it.

    What a person released from a hold goes on with what the connector found out before it.

    Raises TemporaryError, UnconfirmedError, PermanentError and HeldError as the connector decides,
    LostLeaseError when another worker took the row over meanwhile.
    """
    if row.record is not None:
        return row.record
    try:
        record = source.connector.enrich(row.event, api)
    except HeldError as held:
        if held.record is None or not waived(row.overrides, held.stable_code):
            raise
        record = held.record
    if record == row.event:
        return record
    if not store.transact(lambda tx: inbox.save_record(tx, row.id, row.lease_token or "", record)):
        raise LostLeaseError
    crash_point("after_enrich")
    return record
