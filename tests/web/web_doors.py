"""Stand-in doors for the web's tests: a handful of certificates in every standing, and a receiver that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from bridge.core import certificate_id
from bridge.core.models import Certificate, CertificateData, Course, InboundRequest, Issuer, Recipient, Reply
from bridge.web.doors import Doors, PublicCertificate, WebSettings

PUBLIC_URL = "https://certificates.school.example"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>"
)


def an_id(number: int) -> str:
    """Returns a well-formed id that is the same in every run."""
    body = f"{number:016d}".replace("0", "K")
    return next(body + last for last in certificate_id.ALPHABET if certificate_id.read(body + last))


def a_certificate(
    number: int = 1, *, name: str = "Maria Silva", title: str = "Forklift Operator", **more: object
) -> Certificate:
    """Returns an issued certificate; `data` fields and Certificate fields may both be given by name."""
    data = CertificateData(
        recipient=Recipient(name=name, email="maria@example.org"),
        course=Course(id="68", title=title),
        issuer=Issuer(name="Acme Academy", url="https://academy.example"),
        completed_on=date(2026, 3, 1),
        issued_on=date(2026, 3, 2),
        zone="Europe/Berlin",
        locale="en",
    )
    data = data.model_copy(update={key: value for key, value in more.items() if key in CertificateData.model_fields})
    public = f"{PUBLIC_URL}/c/{certificate_id.grouped(an_id(number))}"
    certificate = Certificate(
        id=an_id(number),
        test=False,
        state="issued",
        version=1,
        data=data,
        url=public,
        pdf_url=public + ".pdf",
        source="school",
        subject="17",
    )
    return certificate.model_copy(update={key: value for key, value in more.items() if key in Certificate.model_fields})


def every_standing() -> dict[str, PublicCertificate]:
    """Returns one certificate for each thing the page can say."""
    soon, gone = date(2028, 3, 1), date(2026, 3, 31)
    revoked = datetime(2026, 4, 1, 22, 30, tzinfo=UTC)  # already 2 April in Berlin
    return {
        "valid": PublicCertificate(a_certificate(1, expires_on=soon)),
        "revoked": PublicCertificate(
            a_certificate(2, state="revoked", revoked_at=revoked, revoke_reason="Issued to the wrong person")
        ),
        "corrected": PublicCertificate(
            a_certificate(3, name="Łukasz Żółć-Dziewulski", version=3), corrected_on=date(2026, 5, 5)
        ),
        "expired": PublicCertificate(a_certificate(4, expires_on=gone, renewed_by=an_id(1))),
        "test": PublicCertificate(a_certificate(5, test=True, expires_on=soon)),
        "erased": PublicCertificate(a_certificate(6, name="", title="", state="erased")),
        "draft": PublicCertificate(a_certificate(7, state="draft")),
        "long": PublicCertificate(
            a_certificate(
                8,
                name="María-Fernanda Wolfeschlegelsteinhausenbergerdorff de la Santísima Trinidad y Nguyễn Văn Ánh",
                title="Occupational Health and Safety for Supervisors of Working-at-Height Operations, Level 3",
                expires_on=soon,
                renews=an_id(4),
                locale="de",
            )
        ),
        "german": PublicCertificate(a_certificate(9, locale="de", title="Staplerfahrer", expires_on=soon)),
    }


@dataclass
class Bench:
    """Remembers what came in; says what it is told to say."""

    certificates: dict[str, PublicCertificate] = field(default_factory=dict)
    received: list[tuple[str, InboundRequest, str]] = field(default_factory=list)
    asked: list[tuple[str, InboundRequest, int]] = field(default_factory=list)
    reply: Reply = field(default=Reply(200, b'{"outcome": "accepted"}', {"Content-Type": "application/json"}))
    problems: list[str] = field(default_factory=list)
    failure: Exception | None = None
    settings: WebSettings = field(default=WebSettings(PUBLIC_URL, "Acme Academy", body_bytes=100_000))

    def add(self, public: PublicCertificate) -> str:
        """Publishes a certificate; returns its grouped id."""
        self.certificates[public.certificate.id] = public
        return certificate_id.grouped(public.certificate.id)

    def receive(self, source: str, request: InboundRequest, *, peer: str) -> Reply:
        if self.failure:
            raise self.failure
        self.received.append((source, request, peer))
        return replace(self.reply)

    def status(self, source: str, request: InboundRequest, event: int, *, peer: str) -> Reply:
        self.asked.append((source, request, event))
        return Reply(202, b"still working")

    def certificate(self, number: str) -> PublicCertificate | None:
        if self.failure:
            raise self.failure
        return self.certificates.get(number)

    def doors(self) -> Doors:
        return Doors(
            settings=self.settings,
            receive=self.receive,
            certificate=self.certificate,
            pdf=lambda number: PDF,
            readiness=lambda: self.problems,
            clock=lambda: NOW,
            status=self.status,
        )
