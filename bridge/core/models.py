"""The values that travel through the bridge, from a vendor's request to a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

JsonObject = dict[str, Any]


class Value(BaseModel):
    """A frozen value that can be stored as JSON and read back unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class State(StrEnum):
    """Where a row of the inbox or the outbox stands; all but ready, running and done carry a code and a reason."""

    READY = "ready"
    """To be worked on as soon as a worker is free."""
    RUNNING = "running"
    """A worker holds the lease."""
    RETRYING = "retrying"
    """The last attempt failed; the next one is at `due_at`."""
    HELD = "held"
    """A person has to decide: `events release`."""
    DONE = "done"
    """Finished, and nothing is left to do."""
    IGNORED = "ignored"
    """Not for us, or not wanted; the reason says which rule."""
    FAILED = "failed"
    """Will not succeed by itself; can be replayed when the cause is mended."""
    CANCELLED = "cancelled"
    """Overtaken by something newer, or stopped by a person."""


CLAIMABLE = (State.READY, State.RUNNING, State.RETRYING)
"""States a worker may claim once `due_at` has passed (a running row only when its lease ran out)."""


# -- at the door ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One HTTP request as it arrived, free of any web framework."""

    method: str
    url: str
    """The configured public base plus the raw request target: what a vendor signs."""
    headers: Mapping[str, str]
    """Names in lower case; repeated headers joined by a comma."""
    body: bytes
    received_at: datetime
    """The clock for every tolerance check, so that tests can set it."""
    path_token: str | None = None
    """The part after `/hooks/<source>/`, for vendors that cannot sign."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A sample made authentic with the configured secret, ready to be posted."""

    body: bytes
    headers: Mapping[str, str]
    path_token: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    """What stands behind the question mark of the address, for vendors that put their token there."""


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a request, for the connector to answer in the vendor's dialect."""

    status: int
    outcome: Literal["accepted", "ignored", "duplicate", "unreadable", "rejected", "unavailable"]
    reason: str = ""
    events: tuple[str, ...] = ()
    retry_after: float | None = None
    """Seconds, with status 503."""
    details: Mapping[str, object] = field(default_factory=dict)
    """What became of the events, for senders that ask for it: `status`, `certificate_id`, `verify_url`, ..."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class SourceEvent(Value):
    """What a source told us, in the vendor's own words, cut to one completion (or other happening)."""

    event_id: str
    """The same for every redelivery; scoped so that two happenings never share it."""
    event_type: str
    """The vendor's word."""
    subject: str | None = None
    """The learner's stable id at the source, as text."""
    course: str | None = None
    """The course's stable id at the source, as text."""
    keys: tuple[str, ...] = ()
    """Every vendor id that stands for this completion (enrolment, completion row, ...)."""
    occurred_at: AwareDatetime | None = None
    """When it happened, as far as the source says; UTC."""
    data: JsonObject = {}
    """One documented shape per connector, the same from webhook and from poll."""
    skip: str | None = None
    """Why this is of no interest (an unwanted event type, a guest), or None. Stored as ignored."""
    received_at: AwareDatetime | None = None
    """When it came to us; set by the flow, never by a connector. The only time there is where a source sends none."""

    def words(self) -> JsonObject:
        """Returns what `event` means in texts and expressions, by whatever way and whenever it came."""
        return {
            "id": self.event_id,
            "type": self.event_type,
            "subject": self.subject,
            "course": self.course,
            "keys": list(self.keys),
            "occurred_at": self.occurred_at,
        }


# -- what the mapping makes of it ------------------------------------------------------------------


class Recipient(Value):
    """The learner as the certificate names them."""

    name: str
    email: str | None = None
    """None: no mail is sent, and the delivery says so."""


class Course(Value):
    """The course as the certificate names it."""

    id: str
    title: str
    short_name: str | None = None


class MailChoice(Value):
    """How the learner is told."""

    send: bool = True
    cc: tuple[str, ...] = ()
    reply_to: str | None = None


class Completion(Value):
    """A learner completed a course: everything a certificate is made from."""

    kind: Literal["completion"] = "completion"
    subject: str
    keys: tuple[str, ...] = ()
    recipient: Recipient
    course: Course
    completed_at: AwareDatetime | None = None
    """The instant, or None where the source knows only a date (or nothing)."""
    completed_on: date
    """The civil date that is printed, in `zone`."""
    zone: str
    """The IANA time zone in which `completed_on` was read."""
    expires_on: date | None = None
    locale: str = "en"
    template: str = "classic"
    again: Literal["reuse", "renew", "hold"] = "reuse"
    fields: dict[str, str] = {}
    """Extra values for certificate and mail; `score` stands here too when the source has one."""
    mail: MailChoice = MailChoice()


class Revocation(Value):
    """The source took a completion back: the one with any of these keys; without any the learner's latest."""

    kind: Literal["revocation"] = "revocation"
    keys: tuple[str, ...] = ()
    subject: str | None = None
    course: str | None = None
    reason: str


class Erasure(Value):
    """The source asks us to forget a learner."""

    kind: Literal["erasure"] = "erasure"
    subject: str
    policy: Literal["erase", "ask"] = "ask"


class Merge(Value):
    """Several records of one learner became one at the source."""

    kind: Literal["merge"] = "merge"
    subject: str
    """The record that stays."""
    merged: tuple[str, ...]
    """The records that are gone."""


class Ignored(Value):
    """Not for us, or not wanted."""

    kind: Literal["ignored"] = "ignored"
    code: str
    reason: str


class Held(Value):
    """A person has to decide."""

    kind: Literal["held"] = "held"
    code: str
    reason: str


Outcome = Completion | Revocation | Erasure | Merge | Ignored | Held


# -- certificates --------------------------------------------------------------------------------


class Issuer(Value):
    """Who issues, as printed."""

    name: str
    url: str | None = None
    email: str | None = None


class CertificateData(Value):
    """What one version of a certificate says: stored, printed on the PDF, shown on the page."""

    recipient: Recipient
    course: Course
    issuer: Issuer
    completed_on: date
    issued_on: date
    expires_on: date | None = None
    zone: str
    locale: str
    fields: dict[str, str] = {}


class Certificate(Value):
    """A certificate as the outside may see it: for mail, page and write-back."""

    id: str
    """16 + 1 Crockford symbols without hyphens; `certificate_id.grouped` for people."""
    test: bool
    state: Literal["draft", "issued", "revoked", "erased"]
    version: int
    data: CertificateData
    url: str
    """The verification page."""
    pdf_url: str
    source: str
    subject: str
    revoked_at: AwareDatetime | None = None
    revoke_reason: str | None = None
    renews: str | None = None
    """The id of the valid certificate for the completion before, of the same learner and course."""
    renewed_by: str | None = None
    """The id of the valid certificate for the completion after, of the same learner and course."""
    withdrawn: tuple[str, ...] = ()
    """The ids of the learner's other certificates from this source that are valid no more; told to write-back only."""
