"""Every word a template may print: its name, what it means, a sample, and where its value comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from bridge.core import certificate_id
from bridge.core.models import Certificate, CertificateData, Course, Issuer, Recipient
from bridge.issuing import qr, wording
from bridge.issuing.fitting import shorten
from bridge.issuing.job import RenderJob
from bridge.issuing.template import TemplateBundle


@dataclass(frozen=True, slots=True)
class Word:
    """One word for templates. `sample` is what it gives for the sample certificate; None where that is no text."""

    name: str
    label: str
    sample: str | None
    read: Callable[[RenderJob], Any]


class FieldValues:
    """The extra fields of a certificate: `fields.hours`, `fields["hours"]`, `"hours" in fields`.

    It has no methods of its own, so that a field may be called `items` or `get`.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        # An empty field counts as not given: no template should print its label.
        return bool(self._values.get(str(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._values))


def _date(day: date | None, job: RenderJob) -> str | None:
    return wording.format_date(day, job.locale) if day else None


def _without_scheme(url: str) -> str:
    return url.split("://", 1)[-1].rstrip("/")


def _reason(job: RenderJob) -> str | None:
    reason = job.certificate.revoke_reason
    return shorten(reason, most=200) if reason else None


WORDS: Final[Mapping[str, Word]] = {
    word.name: word
    for word in (
        Word("name", "The learner's name", "Maria da Silva", lambda job: job.certificate.data.recipient.name),
        Word("course", "The course title", "Fire Safety", lambda job: job.certificate.data.course.title),
        Word("issuer", "Who issues", "Example Academy", lambda job: job.certificate.data.issuer.name),
        Word("issuer_url", "The issuer's web address, or none", None, lambda job: job.certificate.data.issuer.url),
        Word("issuer_email", "The issuer's address, or none", None, lambda job: job.certificate.data.issuer.email),
        Word(
            "completed_on",
            "When the course was completed",
            "21 November 2026",
            lambda job: _date(job.certificate.data.completed_on, job),
        ),
        Word(
            "issued_on",
            "When the certificate was issued",
            "23 November 2026",
            lambda job: _date(job.certificate.data.issued_on, job),
        ),
        Word(
            "expires_on",
            "Until when it is valid, or none",
            "21 November 2028",
            lambda job: _date(job.certificate.data.expires_on, job),
        ),
        Word(
            "certificate_id",
            "The certificate id, grouped for reading",
            "7K3M-XW9Q-AB2C-D4EF3",
            lambda job: certificate_id.grouped(job.certificate.id),
        ),
        Word(
            "url",
            "The verification page",
            "https://certificates.example/c/7K3MXW9QAB2CD4EF3",
            lambda job: job.certificate.url,
        ),
        Word(
            "url_text",
            "The verification page as people type it",
            "certificates.example/c/7K3MXW9QAB2CD4EF3",
            lambda job: _without_scheme(job.certificate.url),
        ),
        Word("qr", "The verification page as a QR code, an image", None, lambda job: qr.data_uri(job.certificate.url)),
        Word("version", "The number of this version, from 1", "1", lambda job: str(job.certificate.version)),
        Word("corrected_on", "When it was corrected, or none", None, lambda job: _date(job.corrected_on, job)),
        Word("status", "valid, revoked or corrected", "valid", lambda job: job.status),
        Word("revoked_on", "When it was revoked, or none", None, lambda job: _date(job.revoked_on, job)),
        Word("revoke_reason", "Why it was revoked, or none", None, _reason),
        Word("test", "Whether this is a test", None, lambda job: job.certificate.test),
        Word("language", "The language of the certificate", "en", lambda job: wording.language_of(job.locale)),
        Word("fields", "The extra fields, by name", None, lambda job: FieldValues(job.certificate.data.fields)),
    )
}


def sample_job(template: TemplateBundle, *, fields: Mapping[str, str] | None = None) -> RenderJob:
    """Returns the sample certificate, for previews and for trying a template."""
    identifier = "7K3MXW9QAB2CD4EF3"
    url = f"https://certificates.example/c/{identifier}"
    data = CertificateData(
        recipient=Recipient(name="Maria da Silva", email="maria@example.com"),
        course=Course(id="68", title="Fire Safety"),
        issuer=Issuer(name="Example Academy", url="https://academy.example"),
        completed_on=date(2026, 11, 21),
        issued_on=date(2026, 11, 23),
        expires_on=date(2028, 11, 21),
        zone="Europe/Lisbon",
        locale="en",
        fields=dict(fields or {}),
    )
    certificate = Certificate(
        id=identifier,
        test=False,
        state="issued",
        version=1,
        data=data,
        url=url,
        pdf_url=f"{url}.pdf",
        source="sample",
        subject="1",
    )
    return RenderJob(certificate=certificate, template=template)
