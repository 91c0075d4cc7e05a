"""A record in Salesforce and its fields that hold a certificate: what they should hold, and what has to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.core import certificate_id
from bridge.core.models import Certificate


@dataclass(frozen=True, slots=True)
class Place:
    """A record, and the fields of it that hold this certificate while it is valid."""

    kind: str
    id: str
    fields: Mapping[str, str]
    renewal: Mapping[str, str] = field(default_factory=dict)
    """What they hold where the record was completed again and the certificate that renews this one stands there."""

    @property
    def path(self) -> str:
        """Below the version of the API."""
        return f"/sobjects/{self.kind}/{self.id}"

    def wrong(self, shown: Mapping[str, object], state: str) -> dict[str, str | None]:
        """Returns what has to be written: all of it when issued (unless its renewal stands there), and when revoked
        nothing where another one stands.
        """
        held = {name: str(shown.get(name) or "").strip() for name in self.fields}
        if any(held[name] == value for name, value in self.renewal.items()):
            return {}
        if state == "issued":
            return {name: value for name, value in self.fields.items() if held[name] != value}
        return {name: None for name, value in self.fields.items() if held[name] == value}


def of_renewal(fields: Mapping[str, str], certificate: Certificate) -> dict[str, str]:
    """Returns what the fields hold for the certificate that renews this one; nothing where there is none."""
    if certificate.renewed_by is None:
        return {}
    ours, theirs = certificate_id.grouped(certificate.id), certificate_id.grouped(certificate.renewed_by)
    return {name: value.replace(ours, theirs) for name, value in fields.items()}
