"""How a learner's certificates follow each other: by the time of completion, whatever arrived when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from bridge.store import certificates
from bridge.store.certificates import CertificateHit
from bridge.store.tables import versions
from bridge.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Links:
    """The neighbours of a certificate among the valid ones of the same learner and course."""

    renews: str | None
    """The id of the one before."""
    renewed_by: str | None
    """The id of the one after."""


def links(tx: Transaction, hit: CertificateHit) -> Links:
    """Returns what a certificate renews and what renews it, as things stand: nothing of it is stored."""
    known = hit.completion
    # A draft is not there for anybody yet, and what was taken back or erased renews nothing.
    issued = [
        one
        for one in certificates.of_learner(tx, known.source, known.test, known.subject, known.course)
        if one.certificate.state == "issued" and one.certificate.id != hit.certificate.id
    ]
    mine = certificates.moment(hit)
    before = [one.certificate.id for one in issued if certificates.moment(one) < mine]
    after = [one.certificate.id for one in issued if certificates.moment(one) > mine]
    return Links(before[-1] if before else None, after[0] if after else None)


def newest_first(hits: Sequence[CertificateHit], today: date) -> list[CertificateHit]:
    """Returns the issued ones, the newest completion first; those that are expired come after all others."""
    issued = [one for one in reversed(hits) if one.certificate.state == "issued"]
    return sorted(issued, key=lambda one: _expired(one, today))


def names(tx: Transaction, hits: Sequence[CertificateHit]) -> list[str]:
    """Returns the learner's names as any version of these certificates says them; of erased ones nothing is known."""
    known = [one.certificate.id for one in hits]
    found = select(versions.c.data).where(versions.c.certificate_id.in_(known))
    said = [str(data["recipient"]["name"]) for data in tx.connection.execute(found).scalars()]
    return list(dict.fromkeys(name for name in said if name))


def _expired(one: CertificateHit, today: date) -> bool:
    expires = one.certificate.expires_on
    return expires is not None and expires < today
