"""Where a certificate stands today, and what is said about it: values for the page, no HTML."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.core.models import Certificate
from bridge.web.doors import PublicCertificate
from bridge.web.words import Words


class Standing(StrEnum):
    """What a stranger wants to know first."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Fact:
    """One printed line: a label and a value; `day` is the same for programs when the value is a civil date."""

    label: str
    value: str
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The top of the page: a colour (`tone`), one word, one sentence, and what else must be known."""

    tone: str
    headline: str
    sentence: str
    notes: tuple[str, ...]


def standing(certificate: Certificate, now: datetime) -> Standing:
    """Decides by state and by the civil date in the certificate's own zone; the last day still counts."""
    if certificate.state == "erased":
        return Standing.ERASED
    if certificate.state == "revoked":
        return Standing.REVOKED
    expires = certificate.data.expires_on
    today = now.astimezone(zone_of(certificate)).date()
    return Standing.EXPIRED if expires is not None and today > expires else Standing.VALID


def zone_of(certificate: Certificate) -> tzinfo:
    """Returns the zone of the printed dates; UTC where this machine does not know it (any more)."""
    try:
        return ZoneInfo(certificate.data.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def verdict(public: PublicCertificate, now: datetime, words: Words) -> Verdict:
    """Says where the certificate stands; a test never looks like anything else."""
    certificate = public.certificate
    stands = standing(certificate, now)
    headline, sentence = _stated(certificate, stands, words)
    notes = [] if stands is Standing.ERASED else _correction(public, words)
    if not certificate.test:
        return Verdict(stands.value, headline, sentence, tuple(notes))
    notes.insert(0, words.test_else.format(status=headline))
    return Verdict("test", words.test, words.test_text, tuple(notes))


def _stated(certificate: Certificate, stands: Standing, words: Words) -> tuple[str, str]:
    if stands is Standing.ERASED:
        return words.erased, words.erased_text
    if stands is Standing.REVOKED:
        return words.revoked, words.revoked_text.format(date=_revoked_on(certificate, words))
    if stands is Standing.EXPIRED and certificate.data.expires_on:
        return words.expired, words.expired_text.format(date=words.date(certificate.data.expires_on))
    return words.valid, words.valid_text


def _revoked_on(certificate: Certificate, words: Words) -> str:
    if certificate.revoked_at is None:
        return "?"
    return words.date(certificate.revoked_at.astimezone(zone_of(certificate)).date())


def _correction(public: PublicCertificate, words: Words) -> list[str]:
    version = public.certificate.version
    if version < 2:
        return []
    if public.corrected_on is None and public.certificate.state == "revoked":
        return []  # the revocation is that version
    if public.corrected_on is None:
        return [words.corrected.format(n=version)]
    return [words.corrected_on.format(n=version, date=words.date(public.corrected_on))]


def facts(certificate: Certificate, words: Words) -> list[Fact]:
    """Returns the printed civil dates; the same as on PDF, mail and badge."""
    data = certificate.data
    dates = [
        Fact(words.completed_on, words.date(data.completed_on), data.completed_on),
        Fact(words.issued_on, words.date(data.issued_on), data.issued_on),
    ]
    if data.expires_on is None:
        return [*dates, Fact(words.expires_on, words.never_expires)]
    return [*dates, Fact(words.expires_on, words.date(data.expires_on), data.expires_on)]
