"""Builds the certificate as the outside may see it from the rows of the store, with its permanent links."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from bridge.core import certificate_id
from bridge.core.models import Certificate, CertificateData, Completion, Issuer
from bridge.issuing.preflight import clean_data
from bridge.store import certificates, chain, history
from bridge.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class Publisher:
    """Knows who issues and under which public address."""

    public_url: str
    """Without a slash at the end."""
    issuer: Issuer
    key: bytes
    """Keys the hash under which a recipient's address can be found without being readable."""

    def data(self, completion: Completion, *, issued_on: date) -> CertificateData:
        """Returns what the first version of a certificate says: the texts as they will be printed, everywhere."""
        data = CertificateData(
            recipient=completion.recipient,
            course=completion.course,
            issuer=self.issuer,
            completed_on=completion.completed_on,
            issued_on=issued_on,
            expires_on=completion.expires_on,
            zone=completion.zone,
            locale=completion.locale,
            fields=completion.fields,
        )
        return clean_data(data)

    def recipient_key(self, email: str | None) -> str | None:
        """Returns the keyed hash of an address, or None without one."""
        if email is None:
            return None
        return hmac.new(self.key, email.strip().casefold().encode(), hashlib.sha256).hexdigest()

    def url(self, identifier: str) -> str:
        """Returns the permanent address of the verification page."""
        return f"{self.public_url}/c/{certificate_id.grouped(identifier)}"

    def find(self, tx: Transaction, identifier: str, *, version: int | None = None) -> Certificate | None:
        """Returns one version (default: the current one) of a certificate, or None for an unknown id."""
        hit = certificates.hit(tx, identifier)
        if hit is None:
            return None
        row, completion, links = hit.certificate, hit.completion, chain.links(tx, hit)
        said = certificates.version(tx, identifier, version) if version else hit.version
        if said is None:
            raise LookupError(f"certificate {identifier} has no version {version}")
        return Certificate(
            id=row.id,
            test=row.test,
            state=row.state,
            version=said.n,
            data=said.data,
            url=self.url(row.id),
            pdf_url=f"{self.url(row.id)}.pdf",
            source=completion.source,
            subject=completion.subject,
            revoked_at=row.revoked_at,
            revoke_reason=row.revoke_reason,
            renews=links.renews,
            renewed_by=links.renewed_by,
        )

    def corrected_on(self, tx: Transaction, certificate: Certificate) -> date | None:
        """Returns the civil date of the last correction, or None for a certificate that never had one."""
        lines = history.timeline(tx, certificate_id=certificate.id)
        last = max((line.at for line in lines if line.kind == "certificate.corrected"), default=None)
        return None if last is None else last.astimezone(ZoneInfo(certificate.data.zone)).date()

    def certificate(self, tx: Transaction, identifier: str, *, version: int | None = None) -> Certificate:
        """Returns like `find`. Raises LookupError for an unknown id."""
        found = self.find(tx, identifier, version=version)
        if found is None:
            raise LookupError(f"there is no certificate {identifier}")
        return found
