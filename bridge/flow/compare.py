"""Compares what the mapping now says of a completion with what its issued certificate says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.core.models import CertificateData, Completion
from bridge.core.person import same_name
from bridge.core.text import one_line
from bridge.flow.view import Publisher
from bridge.store import certificates, inbox
from bridge.store.engine import Transaction

WORDS: Final[Mapping[str, str]] = {
    "recipient.name": "the learner's name",
    "recipient.email": "the learner's address, or empty for none",
    "course.title": "the course title",
    "completed_on": "the completion date, as 2026-11-23",
    "expires_on": "the expiry date, as 2026-11-23, or empty for none",
}
"""What a correction may change; `fields.<name>` besides."""
_LONGEST: Final = 80
"""Characters of a value in a reason; the certificate's own page has all of it."""
_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class Difference:
    """A word that was published in one way and would be written in another now."""

    word: str
    published: str
    now: str

    def __str__(self) -> str:
        return f"{self.word} {_quoted(self.published)} → {_quoted(self.now)}"


def differing(published: CertificateData, now: CertificateData) -> list[Difference]:
    """Returns the correctable words in which two sets of data differ; what is missing counts as empty."""
    old, new = words_of(published), words_of(now)
    pairs = [Difference(word, old.get(word, ""), new.get(word, "")) for word in {**old, **new}]
    return [one for one in pairs if one.published != one.now]


def words_of(data: CertificateData) -> dict[str, str]:
    """Returns every correctable word as a person would write it, an empty text for what is not there."""
    words = {
        "recipient.name": data.recipient.name,
        "recipient.email": data.recipient.email or "",
        "course.title": data.course.title,
        "completed_on": data.completed_on.isoformat(),
        "expires_on": data.expires_on.isoformat() if data.expires_on else "",
    }
    return words | {f"fields.{name}": value for name, value in sorted(data.fields.items())}


def against_published(
    tx: Transaction, publisher: Publisher, existing: certificates.CertificateRow, completion: Completion
) -> list[Difference]:
    """Returns what is different now from the version of the certificate that is shown."""
    published = certificates.version(tx, existing.id, existing.version)
    if published is None:
        raise LookupError(f"certificate {existing.id} has no version {existing.version}")
    return differing(published.data, publisher.data(completion, issued_on=existing.issued_on))


def finding(
    tx: Transaction,
    publisher: Publisher,
    row: inbox.InboxRow,
    existing: certificates.CertificateRow,
    completion: Completion,
) -> str:
    """Returns what an event found different, and what to do about it: of a replayed one every word.

    An event that only now turns out to be about a certified completion is no news about that completion, but for
    another name of the learner.
    """
    found = against_published(tx, publisher, existing, completion)
    if row.completion_id is None:
        found = [one for one in found if one.word == "recipient.name" and not same_name(one.published, one.now)]
    if not found:
        return ""
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    listed = ", ".join(str(one) for one in found[:_NAMED]) + more
    version = f" from version {existing.version}" if existing.version > 1 else ""
    command = f"certbridge events replay {row.id} --correct --reason TEXT"
    return f" Now different{version}: {listed}. To take that over: {command}"


def _quoted(value: str) -> str:
    text = one_line(value)
    return f"'{text}'" if len(text) <= _LONGEST else f"'{text[: _LONGEST - 1]}…'"
