"""A record in Salesforce and its fields that hold a certificate: what they should hold, and what has to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bridge.core.errors import HeldError
from bridge.core.latest import needs_writing
from bridge.core.models import Certificate
from connectors.salesforce.composite import Part, PartAnswer


@dataclass(frozen=True, slots=True)
class Place:
    """A record, and the fields of it that hold this certificate while it is valid."""

    PART: ClassVar[str] = "record"
    kind: str
    id: str
    fields: Mapping[str, str]

    @property
    def path(self) -> str:
        """Below the version of the API."""
        return f"/sobjects/{self.kind}/{self.id}"

    def look(self) -> Part:
        """Returns the call that shows what stands there."""
        return Part(self.PART, "GET", f"{self.path}?fields={','.join(self.fields)}")

    def seen(self, answer: PartAnswer) -> dict[str, str]:
        """Returns what the fields hold. Raises HeldError for one that the answer leaves out: an empty field is null."""
        shown = answer.body if isinstance(answer.body, dict) else {}
        # Names are the same whatever their case; Salesforce answers in its own.
        known = {str(name).lower(): value for name, value in shown.items()}
        for name in self.fields:
            if name.lower() not in known:
                raise HeldError(
                    f"Salesforce does not show {self.kind}.{name} of {self.id}, so nothing was written and nothing is "
                    "confirmed. Give the integration user Read Access and Edit Access to this field in the permission "
                    "set (field-level security), then replay this delivery.",
                    code="hidden",
                )
        return {name: str(known[name.lower()] or "") for name in self.fields}

    def wrong(self, held: Mapping[str, str], certificate: Certificate) -> dict[str, str | None]:
        """Returns what has to be written. Raises HeldError where text stands that is not ours."""
        issued = certificate.state == "issued"
        wanted = {name: value if issued else "" for name, value in self.fields.items()}
        return {
            name: value or None
            for name, value in wanted.items()
            if needs_writing(held[name], value, certificate, where=f"{self.kind}.{name} of {self.id} in Salesforce")
        }
