"""Kajabi: a tag that an automation adds says that a course is completed; the API confirms it and takes the number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator

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
from connectors.kajabi import contacts, hooks, write_back
from connectors.kajabi.events import ADDED, EVENT_TYPES, REMOVED, cut
from connectors.kajabi.rest import Rest, check, sign_in
from connectors.kajabi.tags import configured, course_tags, found, no_tag


class WriteBack(Value):
    """What certbridge writes to the contact besides the tags under `tags`."""

    field: str | None = Field(
        None,
        min_length=1,
        examples=["Certificate ID"],
        description="Title of a custom text field that receives the number of the latest certificate.",
    )
    note: bool = Field(True, description="A note about the contact, for staff; holds number and link.")


class KajabiSettings(ConnectorSettings):
    """One site of a Kajabi account. Its webhooks are not signed: the address is the secret, and the API confirms."""

    url_token: SecretStr = Field(
        min_length=16, description="Secret last part of the webhook address: /hooks/SOURCE/THIS-TOKEN."
    )
    previous_url_token: SecretStr | None = Field(
        None, min_length=16, description="The last part before, while you change it; still accepted."
    )
    client_id: str = Field(
        min_length=1, description="Client ID of an API key (Settings, Public API).", examples=["KAJABI_CLIENT_ID"]
    )
    client_secret: SecretStr = Field(min_length=1, description="Client secret of the same API key.")
    site_id: str = Field(
        pattern=r"^\d{1,20}$",
        description="Id of the site: the number in the admin pages' address.",
        examples=["123456"],
    )
    tags: dict[str, str | None] = Field(
        min_length=1,
        description="Tag that says a course is completed (id or name): tag that marks its certificate as issued "
        "(another one for each course; may be left empty).",
        examples=[{"1001": "2001"}],
    )
    write_back: WriteBack = Field(WriteBack(), description="What is written to the contact for each certificate.")
    api_url: Annotated[str, AfterValidator(service_address)] = Field(
        "https://api.kajabi.com/v1", description="Where Kajabi's API is."
    )

    @field_validator("tags")
    @classmethod
    def _apart(cls, tags: dict[str, str | None]) -> dict[str, str | None]:
        tags = {tag.strip(): (issued or "").strip() or None for tag, issued in tags.items()}
        markers = [issued for issued in tags.values() if issued]
        names = [name.casefold() for name in (*tags, *markers)]
        if "" in names:
            raise ValueError("a tag has no name")
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            # One marker for two courses would hide everybody who has the first certificate from the second course.
            raise ValueError(f"every tag may stand here once, as a course or as a mark: {', '.join(doubled)}")
        return tags


class Kajabi(Connector[KajabiSettings]):
    """Kajabi's `tag_added` names a contact and a tag; the tag's id is the course, `data` holds both."""

    name = "kajabi"
    title = "Kajabi"
    docs_url = "https://developers.kajabi.com/api-reference/webhooks/list-hooks"
    Settings = KajabiSettings
    event_types = EVENT_TYPES
    # No limit is documented.
    rate = Rate(1, 1.0)
    abilities = Abilities(
        webhook="tag_added, by an automation; registered by `sources connect`",
        proof="secret address, then asked back over the API",
        enrichment="name, address, custom fields, tag",
        poll="contacts with the tag and without the mark",
        write_back="custom field, note, tag",
        limits="no completion event and no time of it; API with the Pro plan or as an add-on; one certificate per tag",
    )

    def verify(self, request: InboundRequest) -> None:
        accepted = (self.settings.url_token, self.settings.previous_url_token)
        verify_token(request.path_token, accepted, what="the token at the end of the webhook address")

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return cut(request.body, self.settings.site_id, self.settings.tags)

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return SignedRequest(body, dict(headers), self.settings.url_token.get_secret_value())

    def hosts(self) -> Sequence[str]:
        return (urlsplit(self.settings.api_url).hostname or "",)

    def authenticate(self, api: ApiClient) -> Access | None:
        settings = self.settings
        return sign_in(api, settings.api_url, settings.client_id, settings.client_secret)

    def check(self, response: ApiResponse) -> None:
        check(response)

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        if event.event_type not in (ADDED, REMOVED) or event.skip is not None:
            return event
        return contacts.confirmed(event, self._rest(api), self.settings.tags)

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        yield from contacts.waiting(self._rest(api), self.settings.tags, cursor, now)

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        return contacts.of_learner(learner, self._rest(api), self.settings.tags)

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        yield from found(self._rest(api))

    def connect(self, api: ApiClient, address: str) -> Iterator[Finding]:
        yield from hooks.connect(self._rest(api), self.settings.tags, address)

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        tags, wanted = self.settings.tags, self.settings.write_back
        tag: Any = event.data.get("tag") or {}
        course = configured(tags, event.course, tag.get("name"))
        issued = tags[course] if course is not None else None
        return write_back.steps(certificate, event, field=wanted.field, note=wanted.note, issued=issued)

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        return write_back.carry_out(step, certificate, memo, self._rest(api))

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        rest, settings = self._rest(api), self.settings
        try:
            known = found(rest)
            yield Finding("ok", f"Kajabi accepts the API key; site {settings.site_id} has {len(known)} tags.")
            ready, missing = course_tags(settings.tags, known)
            for tag in ready:
                yield Finding("ok", f"Tag {tag.id} is called {tag.name!r}.")
            if missing:
                yield Finding("error", str(no_tag(missing)))
            if settings.write_back.field:
                handle = write_back.handle_of(settings.write_back.field, rest)
                yield Finding("ok", f"Custom field {settings.write_back.field!r} has the handle {handle}.")
            tokens = [token for token in (settings.url_token, settings.previous_url_token) if token is not None]
            yield from hooks.findings(rest, settings.tags, known, tokens)
        except BridgeError as error:
            yield Finding("error", str(error))

    def _rest(self, api: ApiClient) -> Rest:
        return Rest(api, self.settings.site_id)
