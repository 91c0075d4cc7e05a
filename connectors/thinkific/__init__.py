"""Thinkific: signed enrolment events that carry everything; certificate numbers go back into a profile field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from bridge.core import address_token
from bridge.core.connector import (
    Abilities,
    Access,
    ApiClient,
    ApiResponse,
    Connector,
    CourseFound,
    Finding,
    Memo,
    Page,
    Rate,
    Receipt,
    Step,
)
from bridge.core.errors import SignatureError
from bridge.core.headers import with_header
from bridge.core.models import Certificate, InboundRequest, JsonObject, SignedRequest, SourceEvent
from bridge.core.signatures import hmac_signature, verify_hmac
from connectors.thinkific import diagnose, enrolments, profile_field, webhooks
from connectors.thinkific.admin_api import pages
from connectors.thinkific.answers import check
from connectors.thinkific.events import EVENT_TYPES, cut
from connectors.thinkific.settings import ThinkificSettings

_SIGNATURE: Final = "X-Thinkific-Hmac-Sha256"
_UNSIGNED: Final = (
    "Thinkific signs the webhooks that are registered through its API; those made on its admin page (Settings, Code & "
    "Analytics, Webhooks) may come unsigned. Delete it there, and register this address with: certbridge sources "
    "connect SOURCE"
)


class Thinkific(Connector[ThinkificSettings]):
    """Thinkific's `enrollment.completed` names learner, course and time; `data` is its `payload`, unchanged."""

    name = "thinkific"
    title = "Thinkific"
    docs_url = "https://support.thinkific.dev/hc/en-us/articles/4422685850775-Using-Webhooks"
    Settings = ThinkificSettings
    event_types = EVENT_TYPES
    # A second look at the same completion may lose the milliseconds.
    same_within = timedelta(seconds=5)
    rate = Rate(requests=120, seconds=60)
    abilities = Abilities(
        webhook="enrollment.completed; registered by certbridge",
        proof="HMAC-SHA256 with the API key",
        enrichment="none needed (a polled learner's name)",
        poll="completed enrolments that changed",
        write_back="custom profile field",
        limits="a plan with API and webhooks; the number belongs to the learner, not to the enrolment",
    )

    # Hexadecimal HMAC-SHA256 over the raw body, no timestamp: a replayed request is caught by its id, not by its age.
    def verify(self, request: InboundRequest) -> None:
        address_token.verify_if_set(request, self.settings)
        signature = request.headers.get(_SIGNATURE.lower())
        secrets = (self.settings.signing_secret, self.settings.previous_signing_secret)
        try:
            verify_hmac(request.body, signature, secrets, what=f"the header {_SIGNATURE}")
        except SignatureError as error:
            if error.stable_code != "signature_missing":
                raise
            raise SignatureError(f"{error} {_UNSIGNED}", code=error.stable_code) from error

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return [cut(request.body, request.headers)]

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        signed = with_header(headers, _SIGNATURE, hmac_signature(body, self.settings.signing_secret))
        return SignedRequest(body, signed, address_token.last_part(self.settings))

    def hosts(self) -> Sequence[str]:
        return (urlsplit(self.settings.api_url).hostname or "",)

    def authenticate(self, api: ApiClient) -> Access | None:
        return Access(self.settings.api_url, self.settings.headers()) if self.settings.has_api else None

    def check(self, response: ApiResponse) -> None:
        check(response)

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        return enrolments.with_learner(event, api)

    def polls(self) -> bool:
        return self.settings.has_api

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        return enrolments.poll(api, cursor, since, now)

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        return enrolments.completed_by(api, learner)

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        for page in pages(api, "/courses", {}):
            yield from (
                CourseFound(str(course["id"]), str(course.get("name") or "")) for course in page if "id" in course
            )

    def connect(self, api: ApiClient, address: str) -> Iterator[Finding]:
        return webhooks.connect(api, self.settings, address)

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        label = self.settings.profile_field_by_course.get(event.course or "", self.settings.profile_field)
        if not label or event.subject is None:
            return ()
        title = f"profile field {label!r} of {certificate.data.recipient.name}"
        target = {"user": event.subject, "label": label}
        return (Step(profile_field.STEP, target, title, lock_key=f"user:{event.subject}", latest=True),)

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        if step.name != profile_field.STEP:
            raise LookupError(f"Thinkific has no write-back step {step.name!r}")
        return profile_field.write(step, certificate, api)

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        return diagnose.findings(api, self.settings)
