"""Teachable: webhooks that nobody signs, confirmed over the API before they count, and a sweep for what got lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
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
from bridge.core.errors import BridgeError
from bridge.core.models import Certificate, InboundRequest, JsonObject, SignedRequest, SourceEvent
from connectors.teachable import deliveries, proof, record, source_field
from connectors.teachable.events import COMPLETED, EVENT_TYPES, cut
from connectors.teachable.rest import Rest, check
from connectors.teachable.settings import TeachableSettings
from connectors.teachable.sweep import Plan, Sweep


class Teachable(Connector[TeachableSettings]):
    """Teachable's `Enrollment.completed` says who and which course; `data` holds user, course and enrolment."""

    name = "teachable"
    title = "Teachable"
    docs_url = "https://docs.teachable.com/docs/add-and-manage-webhooks"
    Settings = TeachableSettings
    event_types = EVENT_TYPES
    # An event may bring only its own time, which is a little later than that of the completion.
    same_within = timedelta(minutes=10)
    # A sweep comes once a day; the polls in between ask for deliveries that failed, and sweep at once if there are any.
    poll_every = timedelta(hours=6)
    rate = Rate(100, 60)
    abilities = Abilities(
        webhook="Enrollment.completed; added by hand in Teachable",
        proof="secret address, then asked back over the API",
        enrichment="name, address, course, time",
        poll="daily sweep of all enrolments, within a number of calls",
        write_back="sign-up source (src), if wanted and shown",
        limits="API from the Growth plan; 100 calls a minute and a monthly quota; one text per user can be written",
    )

    # Teachable signs nothing: https://teachable.expert/api-guides/teachable-webhook-security
    def verify(self, request: InboundRequest) -> None:
        proof.verify(request, self.settings)

    def parse(self, request: InboundRequest) -> Iterator[SourceEvent]:
        return cut(request.body)

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return proof.sign(body, headers, self.settings)

    def hosts(self) -> Sequence[str]:
        return (urlsplit(self.settings.api_url).hostname or "",)

    def authenticate(self, api: ApiClient) -> Access | None:
        key = self.settings.api_key
        return Access(self.settings.api_url, {"apiKey": key.get_secret_value()}) if key is not None else None

    def check(self, response: ApiResponse) -> None:
        check(response)

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        if event.event_type != COMPLETED or event.skip is not None or self.settings.api_key is None:
            return event
        if self.settings.confirm or event.data["enrollment"]["confirmed"]:
            return record.confirmed(event, Rest(api), unenrolled=self.settings.unenrolled)
        return record.with_names(event, Rest(api))

    def polls(self) -> bool:
        return self.settings.api_key is not None

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        settings = self.settings
        every = timedelta(days=settings.sweep_every_days)
        plan = Plan(every, settings.calls_per_day, settings.sweep_courses, address_token.accepted(self.settings))
        yield from Sweep.resumed(Rest(api), plan, cursor, now).pages(since)

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        return record.of_learner(learner, Rest(api))

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        for course in Rest(api).courses():
            yield CourseFound(str(course["id"]), str(course.get("name") or "?"))

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        return source_field.steps(certificate, event) if self.settings.write_back.src else ()

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        if step.name != source_field.STEP:
            raise LookupError(f"Teachable has no write-back step {step.name!r}")
        return source_field.write(step, certificate, Rest(api), overwrite=self.settings.write_back.overwrite)

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        if self.settings.api_key is None:
            yield Finding("warning", "Without `api_key` nothing is confirmed, and a lost webhook is never noticed.")
            return
        rest = Rest(api)
        try:
            rest.get("/courses", page="1", per="1")
            yield Finding("ok", "Teachable accepts the API key.")
            if self.settings.write_back.src:
                yield from source_field.visible(rest)
            known = {str(course["id"]) for course in rest.courses()} if self.settings.sweep_courses else set()
            for course in self.settings.sweep_courses:
                if course not in known:
                    yield Finding("error", f"Teachable has no course {course}, which `sweep_courses` names.")
            yield from deliveries.findings(rest, address_token.accepted(self.settings))
        except BridgeError as error:
            yield Finding("error", str(error))
