"""What the learner reads: the mail that brings a certificate, its correction or its withdrawal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from bridge.clients.mail import Mailbox, OutgoingMail, header_text
from bridge.core import certificate_id
from bridge.core.errors import HeldError
from bridge.core.models import Certificate

Occasion = Literal["issued", "corrected", "revoked"]


@dataclass(frozen=True, slots=True)
class _Words:
    """One language; `{course}` and `{date}` are filled in."""

    months: str
    date: str
    subject: dict[Occasion, str]
    heading: dict[Occasion, str]
    lead: dict[Occasion, str]
    attached: dict[Occasion, str]
    button: dict[Occasion, str]
    greeting: str
    lasting: str
    reason: str
    number: str
    expires: str
    questions: str
    write_to: str
    test_mark: str
    test_note: str


_ENGLISH: Final = _Words(
    months="January February March April May June July August September October November December",
    date="{day} {month} {year}",
    subject={
        "issued": "Your certificate: {course}",
        "corrected": "Your corrected certificate: {course}",
        "revoked": "Certificate withdrawn: {course}",
    },
    heading={
        "issued": "Congratulations!",
        "corrected": "Your certificate has been corrected",
        "revoked": "Your certificate has been withdrawn",
    },
    lead={
        "issued": "You completed “{course}” on {date}.",
        "corrected": "We have corrected your certificate for “{course}”, completed on {date}.",
        "revoked": "Your certificate for “{course}”, completed on {date}, is no longer valid.",
    },
    attached={
        "issued": "Your certificate is attached as a PDF.",
        "corrected": "The attached PDF replaces the earlier one. Number and link have stayed the same.",
        "revoked": "Please do not use the PDF you received any more.",
    },
    button={
        "issued": "View certificate",
        "corrected": "View certificate",
        "revoked": "View status",
    },
    greeting="Hello {name},",
    lasting="Anyone you give this link to can check the certificate there.",
    reason="Reason: {reason}",
    number="Certificate number",
    expires="Valid until",
    questions="Questions? Just reply to this mail.",
    write_to="Questions? Write to {address}.",
    test_mark="TEST",
    test_note="This is a test. It is not a valid certificate.",
)

_GERMAN: Final = _Words(
    months="Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    date="{day}. {month} {year}",
    subject={
        "issued": "Ihr Zertifikat: {course}",
        "corrected": "Ihr berichtigtes Zertifikat: {course}",
        "revoked": "Zertifikat zurückgezogen: {course}",
    },
    heading={
        "issued": "Herzlichen Glückwunsch!",
        "corrected": "Ihr Zertifikat wurde berichtigt",
        "revoked": "Ihr Zertifikat wurde zurückgezogen",
    },
    lead={
        "issued": "Sie haben „{course}“ am {date} abgeschlossen.",
        "corrected": "Wir haben Ihr Zertifikat für „{course}“ (abgeschlossen am {date}) berichtigt.",
        "revoked": "Ihr Zertifikat für „{course}“ (abgeschlossen am {date}) ist nicht mehr gültig.",
    },
    attached={
        "issued": "Ihr Zertifikat liegt als PDF bei.",
        "corrected": "Das beigefügte PDF ersetzt das frühere. Nummer und Link sind gleich geblieben.",
        "revoked": "Bitte verwenden Sie das PDF, das Sie erhalten haben, nicht mehr.",
    },
    button={
        "issued": "Zertifikat ansehen",
        "corrected": "Zertifikat ansehen",
        "revoked": "Status ansehen",
    },
    greeting="Guten Tag {name},",
    lasting="Wem Sie diesen Link geben, der kann das Zertifikat dort prüfen.",
    reason="Grund: {reason}",
    number="Zertifikatsnummer",
    expires="Gültig bis",
    questions="Fragen? Antworten Sie einfach auf diese Nachricht.",
    write_to="Fragen? Schreiben Sie an {address}.",
    test_mark="TEST",
    test_note="Dies ist ein Test und kein gültiges Zertifikat.",
)

_LANGUAGES: Final = {"en": _ENGLISH, "de": _GERMAN}


def certificate_mail(
    certificate: Certificate,
    pdf: bytes,
    *,
    sender: Mailbox,
    reply_to: str | None,
    cc: Sequence[str],
    message_id: str,
    date: datetime | None = None,
) -> OutgoingMail:
    """Returns the mail that fits the certificate's state, in its language (English when we do not speak it).

    A withdrawn certificate goes without its PDF. Raises HeldError (code `mail_address`) for a learner without address.
    """
    recipient = certificate.data.recipient
    if not recipient.email:
        raise HeldError(f"{header_text(recipient.name, 80)} has no mail address.", code="mail_address")
    language = certificate.data.locale.replace("-", "_").partition("_")[0].lower()
    language = language if language in _LANGUAGES else "en"
    occasion = _occasion(certificate)
    text = _text(certificate, occasion, _LANGUAGES[language], reply_to)
    templates = _templates()
    return OutgoingMail(
        sender=sender,
        recipient=Mailbox(recipient.email, recipient.name),
        subject=text["subject"],
        text=templates.get_template("mail.txt").render(text, language=language),
        html=templates.get_template("mail.html").render(text, language=language),
        message_id=message_id,
        reply_to=reply_to,
        cc=tuple(cc),
        pdf=None if occasion == "revoked" else pdf,
        pdf_name=f"certificate-{certificate_id.grouped(certificate.id)}.pdf",
        language=language,
        date=date,
    )


def _occasion(certificate: Certificate) -> Occasion:
    if certificate.state == "revoked":
        return "revoked"
    return "corrected" if certificate.version > 1 else "issued"


def _text(certificate: Certificate, occasion: Occasion, words: _Words, reply_to: str | None) -> dict[str, str]:
    """Returns every sentence of the mail, ready to be placed; values from outside are single lines by now."""
    data = certificate.data
    course = header_text(data.course.title, 300)
    completed = _long_date(data.completed_on, words)
    subject = words.subject[occasion].format(course=course)
    reason = header_text(certificate.revoke_reason or "", 300)
    address = data.issuer.email or ""
    return {
        "subject": f"[{words.test_mark}] {subject}" if certificate.test else subject,
        "greeting": words.greeting.format(name=header_text(data.recipient.name, 300)),
        "heading": words.heading[occasion],
        "lead": words.lead[occasion].format(course=course, date=completed),
        "attached": words.attached[occasion],
        "reason": words.reason.format(reason=reason) if occasion == "revoked" and reason else "",
        "button": words.button[occasion],
        "lasting": "" if occasion == "revoked" else words.lasting,
        "url": certificate.url,
        "number_label": words.number,
        "number": certificate_id.grouped(certificate.id),
        "expires_label": words.expires,
        "expires": _long_date(data.expires_on, words) if data.expires_on and occasion != "revoked" else "",
        "questions": words.questions if reply_to else words.write_to.format(address=address) if address else "",
        "issuer": header_text(data.issuer.name, 300),
        "issuer_url": data.issuer.url or "",
        "test_mark": words.test_mark if certificate.test else "",
        "test_note": words.test_note if certificate.test else "",
    }


def _long_date(day: date, words: _Words) -> str:
    return words.date.format(day=day.day, month=words.months.split()[day.month - 1], year=day.year)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("bridge.clients"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
