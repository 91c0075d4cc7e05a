"""Which certificate a place for one number holds: the learner's newest valid one, whichever delivery writes it."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from bridge.core.models import Certificate
from bridge.core.source import Source
from bridge.flow.view import Publisher
from bridge.store import certificates, chain, forewarned, inbox
from bridge.store.engine import Transaction


def latest(
    tx: Transaction,
    publisher: Publisher,
    certificate: Certificate,
    source: Source,
    step: str,
    target: Mapping[str, str],
) -> Certificate:
    """Returns the certificate whose number belongs into the place of a step, with those that are not valid any more.

    It is the newest valid one that would be written into the same place today, by the time of its completion; one
    that is expired only where all are. Without any it is the one the delivery is about: its number has to go.
    """
    hits = certificates.of_learner(tx, certificate.source, certificate.test, certificate.subject)
    today = tx.now.astimezone(ZoneInfo(certificate.data.zone)).date()
    # Where it would be written today: records that became one at the source are one place.
    place = _place(tx, certificate, source, step) or dict(target)
    chosen = certificate
    for hit in chain.newest_first(hits, today):
        found = publisher.certificate(tx, hit.certificate.id)
        if found.id == certificate.id or _place(tx, found, source, step) == place:
            chosen = found
            break
    others = (hit.certificate for hit in hits if hit.certificate.id != chosen.id)
    withdrawn = tuple(one.id for one in others if one.state in ("revoked", "erased"))
    return chosen.model_copy(update={"withdrawn": withdrawn})


def _place(tx: Transaction, certificate: Certificate, source: Source, step: str) -> dict[str, str] | None:
    """Returns where a step of this name would write its number today; None where there is no such step."""
    known = certificates.get(tx, certificate.id)
    row = inbox.of_completion(tx, known.completion_id) if known else None
    event = (row.record or row.event) if row else None
    if row is None or event is None:
        return None
    if event.subject is not None:
        now = forewarned.goes_on_as(tx, source.name, row.test, event.subject)
        event = event.model_copy(update={"subject": now})
    planned = source.connector.write_back_steps(certificate, event)
    return next((dict(one.target) for one in planned if one.latest and one.name == step), None)
