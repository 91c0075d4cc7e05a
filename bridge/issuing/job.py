"""What a rendering process is asked to draw, and its form on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bridge.core.models import Certificate
from bridge.issuing.preflight import clean_data, clean_text
from bridge.issuing.template import TemplateBundle

Status = Literal["valid", "revoked", "corrected"]


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One version of one certificate, drawn with one template."""

    certificate: Certificate
    template: TemplateBundle
    status: Status = "valid"
    corrected_on: date | None = None
    """The civil date of the correction, with status `corrected`."""

    @property
    def locale(self) -> str:
        """The language of the certificate."""
        return self.certificate.data.locale

    @property
    def revoked_on(self) -> date | None:
        """The civil date of the revocation in the certificate's zone, or None."""
        moment = self.certificate.revoked_at
        return moment.astimezone(ZoneInfo(self.certificate.data.zone)).date() if moment else None

    def cleaned(self) -> RenderJob:
        """Returns the job with every printed text as it will be printed."""
        reason = self.certificate.revoke_reason
        changes = {"data": clean_data(self.certificate.data), "revoke_reason": clean_text(reason) if reason else None}
        return replace(self, certificate=self.certificate.model_copy(update=changes))


def to_wire(job: RenderJob) -> dict[str, Any]:
    """Returns the job as JSON values: the template only by its hash, and nothing of the learner that is not printed."""
    certificate = job.cleaned().certificate
    recipient = certificate.data.recipient.model_copy(update={"email": None})
    printed = {"data": certificate.data.model_copy(update={"recipient": recipient}), "subject": "", "source": ""}
    return {
        "certificate": certificate.model_copy(update=printed).model_dump(mode="json"),
        "template": job.template.sha256,
        "status": job.status,
        "corrected_on": job.corrected_on.isoformat() if job.corrected_on else None,
    }


def from_wire(values: dict[str, Any], template: TemplateBundle) -> RenderJob:
    """Returns the job that `to_wire` wrote."""
    corrected_on = values["corrected_on"]
    return RenderJob(
        certificate=Certificate.model_validate_json(json.dumps(values["certificate"])),
        template=template,
        status=values["status"],
        corrected_on=date.fromisoformat(corrected_on) if corrected_on else None,
    )
