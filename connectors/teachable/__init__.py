"""Teachable: webhooks that nobody signs, confirmed over the API before they count, and a sweep for what got lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from bridge.core.answers import service_address
from bridge.core.connector import (
    Abilities,
    Access,
    ApiClient,
    ApiResponse,
    Connector,
    ConnectorSettings,
    CourseFound,
    Finding,
    Memo,
    Page,
    Rate,
    Receipt,
    Step,
)
from bridge.core.errors import BridgeError
from bridge.core.models import Certificate, InboundRequest, JsonObject, SignedRequest, SourceEvent, Value
from bridge.core.signatures import verify_token
from connectors.teachable import deliveries, record, source_field
from connectors.teachable.events import COMPLETED, EVENT_TYPES, cut
from connectors.teachable.rest import Rest, check
from connectors.teachable.sweep import Plan, Sweep

_CourseId = Annotated[str, Field(pattern=r"^\d{1,20}$")]


class WriteBack(Value):
    """What certbridge writes into Teachable; nothing, unless you ask for it."""

    src: bool = Field(
        False, description="Write the number of the latest certificate into the learner's sign-up source (src)."
    )
    overwrite: bool = Field(False, description="Also where a sign-up source stands there already; it is lost then.")


class TeachableSettings(ConnectorSettings):
    """One Teachable school. Its webhooks are not signed, so the address is the secret and the API has to confirm."""

    url_token: SecretStr = Field(
        min_length=16, description="Secret last part of the webhook address: /hooks/SOURCE/THIS-TOKEN."
    )
    previous_url_token: SecretStr | None = Field(
        None, min_length=16, description="The last part before, while you change it; still accepted."
    )
    api_key: SecretStr | None = Field(
        None, min_length=1, description="The school's API key (Settings, API); needed for all but bare webhooks."
    )
    confirm: bool = Field(
        True, description="Ask Teachable whether a completion is true, and for name and address, before it counts."
    )
    unenrolled: record.Policy = Field(
        "hold", description="For a learner who completed the course and was unenrolled before certbridge could ask."
    )
    sweep_every_days: int = Field(1, ge=1, le=31, description="Days from one sweep through all enrolments to the next.")
    sweep_courses: tuple[_CourseId, ...] = Field((), description="Sweep these course ids only. Default: all courses.")
    calls_per_day: int = Field(
        250, ge=10, le=100_000, description="Requests a day that sweeps may use; a longer sweep goes on the next day."
    )
    write_back: WriteBack = Field(WriteBack(), description="What is written into Teachable for each certificate.")
    api_url: Annotated[str, AfterValidator(service_address)] = Field(
        "https://developers.teachable.com/v1", description="Where Teachable's API is."
    )

    @model_validator(mode="after")
    def _possible(self) -> TeachableSettings:
        if self.api_key is None and (self.confirm or self.write_back.src):
            raise ValueError("confirm and write_back need api_key (Settings, API in Teachable)")
        return self


class Teachable(Connector[TeachableSettings]):
    """Teachable's `Enrollment.completed` says who and which course; `data` holds user, course and enrolment."""

    name = "teachable"
    title = "Teachable"
    docs_url = "https://docs.teachable.com/docs/add-and-manage-webhooks"
    Settings = TeachableSettings
    event_types = EVENT_TYPES
    # An event may bring only its own time, which is a little later than that of the completion.
    same_within = timedelta(minutes=10)
    poll_every = timedelta(days=1)
    rate = Rate(100, 60)
    abilities = Abilities(
        webhook="Enrollment.completed; added by hand in Teachable",
        proof="secret address, then asked back over the API",
        enrichment="name, address, course, time",
        poll="daily sweep of all enrolments, within a number of calls",
        write_back="sign-up source (src), if wanted",
        limits="API from the Growth plan; 100 calls a minute and a monthly quota; one text per user can be written",
    )

    # Teachable signs nothing: https://teachable.expert/api-guides/teachable-webhook-security
    def verify(self, request: InboundRequest) -> None:
        presented = request.path_token or parse_qs(urlsplit(request.url).query).get("token", [None])[0]
        accepted = (self.settings.url_token, self.settings.previous_url_token)
        verify_token(presented, accepted, what="the token in the webhook address")

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return cut(request.body)

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return SignedRequest(body, dict(headers), self.settings.url_token.get_secret_value())

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
        plan = Plan(every, settings.calls_per_day, settings.sweep_courses, self._tokens())
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
            yield from deliveries.findings(rest, self._tokens())
        except BridgeError as error:
            yield Finding("error", str(error))

    def _tokens(self) -> list[SecretStr]:
        return [token for token in (self.settings.url_token, self.settings.previous_url_token) if token is not None]
