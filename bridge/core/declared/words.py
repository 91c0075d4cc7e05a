"""What `certificate` means in the texts of a declaration."""

from __future__ import annotations

from bridge.core import certificate_id
from bridge.core.models import Certificate


def certificate_words(certificate: Certificate) -> dict[str, object]:
    """Returns what `certificate` means in a text; what there is none of is missing."""
    data = certificate.data
    return {
        "id": certificate.id,
        "number": certificate_id.grouped(certificate.id),
        "state": certificate.state,
        "version": certificate.version,
        "url": certificate.url,
        "pdf_url": certificate.pdf_url,
        "name": data.recipient.name,
        "email": data.recipient.email,
        "course": {"id": data.course.id, "title": data.course.title},
        "completed_on": data.completed_on,
        "issued_on": data.issued_on,
        "expires_on": data.expires_on,
        "fields": dict(data.fields),
        "revoke_reason": certificate.revoke_reason,
        "renews": certificate.renews,
    }
