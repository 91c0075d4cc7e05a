"""Kajabi: a tag that an automation adds says that a course is completed; the API confirms it and takes the number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
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
from connectors.kajabi import contacts, custom_field, hooks, write_back
from connectors.kajabi.events import ADDED, EVENT_TYPES, REMOVED, cut
from connectors.kajabi.login import sign_in
from connectors.kajabi.refusals import check
from connectors.kajabi.rest import Rest
from connectors.kajabi.settings import KajabiSettings
from connectors.kajabi.tags import configured, course_tags, found, listed, no_tag, no_tags


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
        address_token.verify(request, self.settings)

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return cut(request.body, self.settings.site_id, self.settings.tags)

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return SignedRequest(body, dict(headers), address_token.last_part(self.settings))

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
        yield from listed(self._rest(api), self.settings.tags)

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
            if not known:
                raise no_tags(rest)
            yield Finding("ok", f"Kajabi accepts the API key; site {settings.site_id} has {len(known)} tags.")
            ready, missing = course_tags(settings.tags, known)
            for tag in ready:
                yield Finding("ok", f"Tag {tag.id} is called {tag.name!r}.")
            if missing:
                yield Finding("error", str(no_tag(missing)))
            if settings.write_back.field:
                yield from custom_field.visible(settings.write_back.field, rest)
            yield from hooks.findings(rest, settings.tags, known, address_token.accepted(settings))
        except BridgeError as error:
            yield Finding("error", str(error))

    def _rest(self, api: ApiClient) -> Rest:
        return Rest(api, self.settings.site_id)
