"""Thinkific: signed enrolment events that carry everything; certificate numbers go back into a profile field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
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
from bridge.core.errors import BridgeError, SignatureError
from bridge.core.models import Certificate, InboundRequest, SignedRequest, SourceEvent
from bridge.core.signatures import hmac_signature, verify_hmac, verify_token
from connectors.thinkific import profile_field
from connectors.thinkific.answers import check
from connectors.thinkific.events import EVENT_TYPES, cut

_SIGNATURE: Final = "X-Thinkific-Hmac-Sha256"
_UNSIGNED: Final = (
    "Thinkific signs the webhooks that are registered through its API; those made on the admin page (Settings, Code & "
    "Analytics, Webhooks) may come unsigned. Register this address with POST https://api.thinkific.com/api/v2/webhooks."
)


class ThinkificSettings(ConnectorSettings):
    """One Thinkific site: what proves its webhooks, and how to reach its API (for writing back)."""

    signing_secret: SecretStr = Field(
        min_length=8, description="The site's API key (for a public app, its client secret); it signs the webhooks."
    )
    previous_signing_secret: SecretStr | None = Field(
        None, min_length=8, description="The key before, while you change it; still accepted."
    )
    url_token: SecretStr | None = Field(
        None, min_length=8, description="If set, the webhook address must end in it as well: /hooks/SOURCE/THIS-TOKEN."
    )
    previous_url_token: SecretStr | None = Field(
        None, min_length=8, description="The last part before, while you change it; still accepted."
    )
    subdomain: str | None = Field(
        None, pattern=r"^[\w-]{1,100}$", description="SCHOOL of SCHOOL.thinkific.com.", examples=["your-school"]
    )
    api_key: SecretStr | None = Field(None, min_length=1, description="The site's API key; needs `subdomain`.")
    access_token: SecretStr | None = Field(None, min_length=1, description="API access token, instead of `api_key`.")
    api_url: str = Field("https://api.thinkific.com/api/public/v1", description="Where Thinkific's API is.")
    profile_field: str | None = Field(
        None,
        min_length=1,
        description="Label of the custom profile field that receives the certificate number.",
        examples=["Certificate ID"],
    )
    profile_field_by_course: dict[str, str] = Field(
        {}, description="Other labels by course id, so that a learner's certificates do not overwrite each other."
    )

    @field_validator("api_url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in url or parts.query or parts.fragment:
            raise ValueError("is no web address")
        return url.strip().rstrip("/")

    @model_validator(mode="after")
    def _reachable(self) -> ThinkificSettings:
        if self.api_key and not self.subdomain:
            raise ValueError("api_key needs subdomain (SCHOOL of SCHOOL.thinkific.com)")
        if (self.profile_field or self.profile_field_by_course) and not (self.api_key or self.access_token):
            raise ValueError("profile_field needs api_key with subdomain, or access_token")
        return self


class Thinkific(Connector[ThinkificSettings]):
    """Thinkific's `enrollment.completed` names learner, course and time; `data` is its `payload`, unchanged."""

    name = "thinkific"
    title = "Thinkific"
    docs_url = "https://support.thinkific.dev/hc/en-us/articles/4422685850775-Using-Webhooks"
    Settings = ThinkificSettings
    event_types = EVENT_TYPES
    # A second look at the same completion may lose the milliseconds.
    same_within = timedelta(seconds=5)

    # Hexadecimal HMAC-SHA256 over the raw body, no timestamp: a replayed request is caught by its id, not by its age.
    def verify(self, request: InboundRequest) -> None:
        settings = self.settings
        if settings.url_token is not None:
            accepted = (settings.url_token, settings.previous_url_token)
            verify_token(request.path_token, accepted, what="the token at the end of the webhook address")
        signature = request.headers.get(_SIGNATURE.lower())
        secrets = (settings.signing_secret, settings.previous_signing_secret)
        try:
            verify_hmac(request.body, signature, secrets, what=f"the header {_SIGNATURE}")
        except SignatureError as error:
            if error.stable_code != "signature_missing":
                raise
            raise SignatureError(f"{error} {_UNSIGNED}", code=error.stable_code) from error

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return [cut(request.body, request.headers)]

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        token = self.settings.url_token
        kept = {name: value for name, value in headers.items() if name.lower() != _SIGNATURE.lower()}
        signature = hmac_signature(body, self.settings.signing_secret)
        return SignedRequest(body, {**kept, _SIGNATURE: signature}, token.get_secret_value() if token else None)

    def hosts(self) -> Sequence[str]:
        return (urlsplit(self.settings.api_url).hostname or "",)

    def authenticate(self, api: ApiClient) -> Access | None:
        settings = self.settings
        if settings.access_token is not None:
            return Access(settings.api_url, {"Authorization": f"Bearer {settings.access_token.get_secret_value()}"})
        if settings.api_key is not None:
            key = settings.api_key.get_secret_value()
            return Access(settings.api_url, {"X-Auth-API-Key": key, "X-Auth-Subdomain": settings.subdomain or ""})
        return None

    def check(self, response: ApiResponse) -> None:
        check(response)

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
        wanted = {self.settings.profile_field, *self.settings.profile_field_by_course.values()} - {None}
        if not wanted:
            yield Finding("ok", "Nothing is written back to Thinkific: `profile_field` is not set.")
            return
        try:
            labels = profile_field.definitions(api)
        except BridgeError as error:
            yield Finding("error", str(error))
            return
        for label in sorted(filter(None, wanted)):
            known = label in labels
            yield Finding(
                "ok" if known else "error",
                f"Thinkific {'has a' if known else 'has no'} custom profile field labelled {label!r}.",
            )
