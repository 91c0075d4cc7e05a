"""The interface between the bridge and one kind of source system; connectors do no input or output of their own."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from bridge.core.errors import PermanentError
from bridge.core.models import (
    Certificate,
    InboundRequest,
    JsonObject,
    Received,
    Reply,
    SignedRequest,
    SourceEvent,
)
from bridge.core.retry import check_status


class ConnectorSettings(BaseModel):
    """What an admin sets for one source of this kind; secrets are `SecretStr`, names and help are the documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


S = TypeVar("S", bound=ConnectorSettings)


# -- talking to the vendor -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A vendor's answer: status, lower-cased headers, at most the size cap of the client in bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    """Without query; safe to show."""

    def json(self) -> object:
        """Reads the body as JSON. Raises ValueError when it is not."""
        return json.loads(self.body.decode("utf-8"))


class ApiClient(Protocol):
    """The one way out to a vendor: time-outs, size cap, pinned host, redaction, one token refresh on 401."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Sequence[tuple[str, str]] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        """Sends one request to `path` below the base URL (or an absolute URL on one of the connector's hosts).

        `headers` are added to those of `Access`; a name with an empty value leaves that one out.
        Every answer passes `Connector.check` before it is returned.
        Raises TemporaryError (network, time-out, too large, or what `check` decides) and PermanentError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the vendor's API; kept until it expires or the vendor answers 401."""

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; every value is redacted wherever requests are shown."""
    expires_in: float | None = None
    """Seconds, or None for no known end."""


class Memo(Protocol):
    """What a write-back step remembers between attempts; each `save` is on disk when it returns."""

    def get(self, key: str) -> str | None: ...

    def save(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One named effect in the source system; `target` is everything needed to find the record."""

    name: str
    target: Mapping[str, str]
    title: str
    """What it does, for people: "course note for Maria Silva"."""
    lock_key: str | None = None
    """Steps with the same key never run at the same time (read, change, write)."""
    latest: bool = False
    """The place holds one number: `write_back` is called with the learner's newest valid certificate for this place,
    whichever one the delivery is about, and with one that is not valid any more only when there is no valid one."""
    with_pdf: bool = False
    """The step needs the certificate's file."""
    pdf: bytes | None = None
    """The file, when the step is carried out; never planned."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a step took effect: what was written, and that it was read back."""

    summary: str
    """For people: "note 17 in course 2"."""
    confirmed: bool
    """True when it was read back from the vendor."""
    details: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Events found by one poll request and the cursor that goes with them; both are committed together."""

    events: Sequence[SourceEvent]
    cursor: JsonObject
    more: bool = False
    """On the last page: this poll ends before everything was looked at (a budget); the next one goes on here."""
    touched: Mapping[str, datetime] = field(default_factory=dict)
    """By event id, when its record was last changed, as far as the vendor says: of a completion that has only a date it
    tells whether a webhook could still be on its way."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `certbridge doctor` or `certbridge sources connect`."""

    level: Literal["ok", "warning", "error"]
    message: str


@dataclass(frozen=True, slots=True)
class CourseFound:
    """A course (or what stands for one: a tag, a form) at the source, for `certbridge sources courses`."""

    id: str
    title: str
    short_name: str | None = None


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a connector can do, in a few words a cell, for the table in the documentation; "-" where it cannot."""

    webhook: str
    proof: str
    """How a webhook is shown to be authentic."""
    enrichment: str
    poll: str
    write_back: str
    limits: str
    """What an admin should know before choosing it: plans, quotas, what the vendor cannot do."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The most requests a vendor allows in a stretch of time; the client waits rather than break it."""

    requests: int
    seconds: float


# -- the connector -------------------------------------------------------------------------------


class Connector(ABC, Generic[S]):
    """Understands one kind of source system; one instance per configured source."""

    # What you declare.
    name: ClassVar[str]
    """Module name, mapping name and `connector:` in the configuration."""
    title: ClassVar[str]
    """The vendor's own spelling."""
    docs_url: ClassVar[str]
    """The vendor's page on webhooks."""
    Settings: ClassVar[type[ConnectorSettings]]
    event_types: ClassVar[frozenset[str]]
    """The vendor's event names this connector understands."""
    same_within: ClassVar[timedelta] = timedelta(0)
    """Two completions of one learner and course this close together are one (a poll's minute, a webhook's second)."""
    abilities: ClassVar[Abilities]
    poll_every: ClassVar[timedelta] = timedelta(minutes=15)
    """The pause between two polls unless the source's `poll_every` says otherwise."""
    reads_tables: ClassVar[bool] = False
    """`parse` reads a table that an admin hands over as a file (`certbridge issue --csv`)."""
    rate: ClassVar[Rate | None] = None
    """None: as fast as answers come; a 429 pauses the source in any case."""
    answers_certificate: ClassVar[bool] = False
    """The sender wants the certificate in the answer: `certificate_id`, `verify_url` and `status`."""
    answer_wait: ClassVar[float] = 0.0
    """Seconds that such an answer may wait for the certificate; the sender gives up soon after."""
    own_secret: ClassVar[str] = "url_token"  # noqa: S105 (the name of a setting)
    """The setting, if there is one of this name, whose secret the admin makes up; `certbridge init` makes one."""
    setup: ClassVar[str] = ""
    """What an admin does at the vendor, in a few sentences; empty where the documentation says it."""
    needs_refresh: bool = False
    """Set by `verify` when it misses a signing key: the flow then calls `refresh` soon, and once in a while at most."""

    def __init__(self, settings: S) -> None:
        self.settings = settings

    # What you write.
    @abstractmethod
    def verify(self, request: InboundRequest) -> None:
        """Raises SignatureError unless the request is authentic; compares bytes in constant time."""

    @abstractmethod
    def parse(self, request: InboundRequest) -> Iterable[SourceEvent]:
        """Cuts an authentic request into events; none at all is fine. Raises PayloadError.

        What may hold many yields them one by one: the receiver takes no more than its limit allows.
        """

    @abstractmethod
    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        """Makes a sample authentic with the configured secret, for `certbridge send` and the tests."""

    # What you may write.
    def address_secrets(self) -> tuple[str | None, Mapping[str, str]]:
        """Returns what is secret in this source's webhook address: its last part, and what stands behind a question
        mark. The default: where `sign` sends a sample.
        """
        sample = self.sign(b"{}", {}, datetime.now(UTC))
        return sample.path_token, sample.query

    def reply(self, received: Received) -> Reply:
        """Answers the vendor; the default is JSON with what became of the request."""
        said = {"outcome": received.outcome, "reason": received.reason, "events": list(received.events)}
        body = {**said, **received.details}
        headers = {"Content-Type": "application/json"}
        if received.retry_after is not None:
            headers["Retry-After"] = str(max(1, round(received.retry_after)))
        return Reply(received.status, json.dumps(body).encode(), headers)

    def hosts(self) -> Sequence[str]:
        """Names the hosts (`lms.example`, `*.vendor.example`) this source may call; nothing else is reachable."""
        return ()

    def authenticate(self, api: ApiClient) -> Access | None:
        """Returns base URL and credentials, asking the vendor for a token if need be; None: this source has no API."""
        return None

    def check(self, response: ApiResponse) -> None:
        """Raises the error, with its retry decision, that this answer stands for; the default reads the status."""
        check_status(response.status, response.headers)

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        """Completes a thin event over the vendor's API.

        Raises TemporaryError, UnconfirmedError, PermanentError and HeldError, with the retry decision.
        """
        return event

    def enriches(self) -> bool:
        """Tells whether this source's events are completed over its API; the default: whether `enrich` is written."""
        return type(self).enrich is not Connector.enrich

    def polls(self) -> bool:
        """Tells whether this source can be polled as it is configured; the default: whether `poll` is written."""
        return type(self).poll is not Connector.poll

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        """Yields the completions the vendor knows of, a page and its cursor at a time.

        An empty cursor asks for everything completed from `since` on (as well as the vendor can tell; older and
        repeated ones do no harm). Each page is on disk with its cursor before the next one is asked for; after the
        last page the cursor must be one from which a later poll finds what came since, with an overlap. Events of
        poll and webhook about one completion share a key, or learner, course and time (`same_within`).
        `occurred_at` is when it was completed; None where the vendor cannot say: what is there at the first contact
        then counts as older than the start line. Events that take a completion back may be among them; their keys are
        those of the completion, so only their `event_id` tells that they came before.
        """
        return iter(())

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        """Returns the completions of one learner (an id or an e-mail address), for `certbridge sources ask`.

        Raises PermanentError where the vendor cannot be asked about one learner.
        """
        instead = " Poll the source instead." if self.polls() else ""
        raise PermanentError(f"{self.title} cannot be asked about one learner.{instead}", code="no_ask")

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        """Yields the courses at the source. Raises PermanentError where the vendor has no list of them."""
        raise PermanentError(f"{self.title} has no list of courses that certbridge could read.", code="no_courses")

    def connect(self, api: ApiClient, address: str) -> Iterator[Finding]:
        """Registers the webhook `address` (with its token) at the vendor, unless it is there already.

        Raises PermanentError where the vendor has no API for that.
        """
        raise PermanentError(
            f"{self.title} has no API to register webhooks. Enter this address there by hand: {address}",
            code="no_connect",
        )

    def refresh(self, api: ApiClient) -> None:
        """Fetches what `verify` needs from the vendor (signing keys); called at the start and every hour."""

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        """Plans the effects in the source system when a certificate is issued, corrected or revoked; in order."""
        return ()

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        """Makes one step true, whatever an earlier attempt left behind, and reads it back.

        What the vendor does not show is not empty: nothing is written over it and nothing is confirmed by it; raise
        HeldError and name the right that is missing. Text that is not ours is never overwritten (`core.latest`).
        """
        raise LookupError(f"{self.title} has no write-back step {step.name!r}")

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        """Tries what this source needs and says what is missing."""
        return iter(())
