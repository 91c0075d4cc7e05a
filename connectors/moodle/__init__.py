"""Moodle with the plugin Webhooks (local_webhooks 3): ids arrive in a JSON body, Moodle's REST API tells the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.core.connector import (
    Access,
    ApiClient,
    ApiResponse,
    Connector,
    ConnectorSettings,
    Finding,
    Memo,
    Receipt,
    Step,
)
from bridge.core.errors import BridgeError, PayloadError, SignatureError
from bridge.core.models import Certificate, InboundRequest, SignedRequest, SourceEvent, Value
from bridge.core.payload import read_object
from bridge.core.signatures import verify_token
from connectors.moodle import record, write_back
from connectors.moodle.events import COMPLETED, EVENT_TYPES, cut
from connectors.moodle.rest import Rest, check


class WriteBack(Value):
    """What certbridge writes into Moodle once a certificate is issued."""

    note: bool = Field(True, description="A note in the course, about the learner, for staff; holds number and link.")
    profile_field: str | None = Field(
        None,
        pattern=r"^\w{1,100}$",
        examples=["certificateid"],
        description="Short name of a text profile field that receives the number of the latest certificate.",
    )


class MoodleSettings(ConnectorSettings):
    """One Moodle site. At least one of `webhook_token` and `url_token` is needed; if both are set, both must fit."""

    url: str = Field(
        description="The address of the site as learners see it.", examples=["https://moodle.school.example"]
    )
    token: SecretStr = Field(min_length=1, description="Web service token of the service account (REST protocol).")
    webhook_token: SecretStr | None = Field(
        None, min_length=8, description="The field Token of the service in the plugin Webhooks."
    )
    previous_webhook_token: SecretStr | None = Field(
        None, min_length=8, description="The Token before, while you change it; still accepted."
    )
    url_token: SecretStr | None = Field(
        None, min_length=8, description="Secret last part of the webhook address: /hooks/SOURCE/THIS-TOKEN."
    )
    previous_url_token: SecretStr | None = Field(
        None, min_length=8, description="The last part before, while you change it; still accepted."
    )
    score: bool = Field(False, description="Also fetch the course total from the gradebook (for `issue_if: {score}`).")
    write_back: WriteBack = Field(WriteBack(), description="What is written into Moodle for each certificate.")

    @field_validator("url")
    @classmethod
    def _site_root(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or "@" in url:
            raise ValueError("is no site address; write it like https://moodle.school.example")
        return url.strip().rstrip("/")

    @model_validator(mode="after")
    def _some_proof(self) -> MoodleSettings:
        if not (self.webhook_token or self.url_token):
            raise ValueError("needs webhook_token or url_token; otherwise anybody could report completions")
        return self


class Moodle(Connector[MoodleSettings]):
    """Moodle sends who and which course as numbers; certbridge asks Moodle whether it is true, and for the names."""

    name = "moodle"
    title = "Moodle"
    docs_url = "https://moodle.org/plugins/local_webhooks"
    Settings = MoodleSettings
    event_types = EVENT_TYPES
    # Reports show the minute of a completion, events its second.
    same_within = timedelta(seconds=120)

    # local_webhooks signs nothing. It puts the shared token into the body, and says form or JSON in Content-Type as
    # the admin chose, while the body is JSON either way: https://github.com/valentineus/moodle-webhooks
    def verify(self, request: InboundRequest) -> None:
        settings = self.settings
        by_address = settings.url_token is not None
        if by_address:
            accepted = (settings.url_token, settings.previous_url_token)
            verify_token(request.path_token, accepted, what="the token at the end of the webhook address")
        if settings.webhook_token is None:
            return
        try:
            presented = read_object(request.body).get("token")
        except PayloadError as error:
            if by_address:
                return  # proven by its address; parse says what is wrong with the body, and it is kept
            raise SignatureError(f"The body cannot be read, so its token cannot be checked. {error}") from error
        accepted = (settings.webhook_token, settings.previous_webhook_token)
        verify_token(presented, accepted, what="the field `token` of the body")

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return [cut(read_object(request.body))]

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        address, token = self.settings.url_token, self.settings.webhook_token
        path_token = address.get_secret_value() if address else None
        if token is not None:
            body = _with_token(body, token.get_secret_value())
        return SignedRequest(body, dict(headers), path_token)

    def hosts(self) -> Sequence[str]:
        return (urlsplit(self.settings.url).hostname or "",)

    def authenticate(self, api: ApiClient) -> Access | None:
        # The token is no header: Moodle reads it from the form field wstoken.
        return Access(self.settings.url)

    def check(self, response: ApiResponse) -> None:
        check(response)

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        if event.event_type != COMPLETED or event.skip is not None:
            return event
        return record.complete(event, self._rest(api), score=self.settings.score)

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        wanted = self.settings.write_back
        return write_back.steps(certificate, event, note=wanted.note, profile_field=wanted.profile_field)

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        return write_back.carry_out(step, certificate, memo, self._rest(api))

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        needed = [*record.FUNCTIONS, *(record.SCORE_FUNCTIONS if self.settings.score else ())]
        needed += write_back.NOTE_FUNCTIONS if self.settings.write_back.note else ()
        needed += write_back.PROFILE_FUNCTIONS if self.settings.write_back.profile_field else ()
        try:
            site = self._rest(api).site()
        except BridgeError as error:
            yield Finding("error", str(error))
            return
        yield Finding("ok", f"{site.name}, Moodle {site.release}: the token works.")
        for function in sorted(set(needed) - site.functions):
            yield Finding("error", f"The token may not call {function}: add it to the external service of the token.")

    def _rest(self, api: ApiClient) -> Rest:
        return Rest(api, self.settings.token)


def _with_token(body: bytes, token: str) -> bytes:
    """Returns the body with this token in it; unchanged to the byte where it is there already, or unreadable."""
    try:
        fields = read_object(body)
    except PayloadError:
        return body
    return body if fields.get("token") == token else json.dumps({**fields, "token": token}).encode()
