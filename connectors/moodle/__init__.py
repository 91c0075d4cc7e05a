"""Moodle: its plugins report ids, or it is polled without any; its REST API says whether it is true, and the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    Receipt,
    Step,
)
from bridge.core.errors import SignatureError
from bridge.core.models import Certificate, InboundRequest, JsonObject, Received, Reply, SignedRequest, SourceEvent
from bridge.core.transforms import multilang, strip_html
from connectors.moodle import diagnose, enrolments, participants, record, report, write_back
from connectors.moodle.events import COMPLETED, EVENT_TYPES
from connectors.moodle.plugins import plugin_of
from connectors.moodle.refusals import check
from connectors.moodle.rest import Rest
from connectors.moodle.settings import MoodleSettings


class Moodle(Connector[MoodleSettings]):
    """Moodle sends who and which course as numbers; certbridge asks Moodle whether it is true, and for the names."""

    name = "moodle"
    title = "Moodle"
    docs_url = "https://moodle.org/plugins/local_webhooks"
    Settings = MoodleSettings
    event_types = EVENT_TYPES
    # Reports show the minute of a completion, events its second.
    same_within = timedelta(seconds=120)
    abilities = Abilities(
        webhook="plugin: local_webhooks, tool_trigger, logstore_xapi or local_webhookengine",
        proof="shared token; signature with local_webhookengine",
        enrichment="always: completion, learner, course, score",
        poll="Report builder report, or enrolments; needs no plugin",
        write_back="course note, profile field, list, activity, message",
        limits="needs a web service token; most plugins never repeat a lost webhook, so poll as well",
    )

    def __init__(self, settings: MoodleSettings) -> None:
        super().__init__(settings)
        self._plugin = plugin_of(settings)

    def verify(self, request: InboundRequest) -> None:
        settings = self.settings
        by_address = settings.url_token is not None and self._plugin.suffix is None
        if by_address:
            address_token.verify(request, settings)
        if settings.webhook_token is not None:
            secrets = (settings.webhook_token, settings.previous_webhook_token)
            self._plugin.prove(request, secrets, proven=by_address)
        elif not by_address:
            raise SignatureError(
                "This source is only polled: without webhook_token or url_token no webhook can be trusted.",
                code="no_secret",
            )

    def parse(self, request: InboundRequest) -> Iterable[SourceEvent]:
        return self._plugin.read(request.body)

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        secret = self.settings.webhook_token
        path_token = self._plugin.suffix or address_token.last_part(self.settings)
        signed = (body, dict(headers)) if secret is None else self._plugin.sign(body, headers, secret, now)
        return SignedRequest(*signed, path_token)

    def reply(self, received: Received) -> Reply:
        answer = super().reply(received)
        if self._plugin.suffix is None or received.status != 200:
            return answer
        # A learning record store answers with a list of ids; the plugin looks at the status only, and only 200 counts.
        return Reply(200, json.dumps(list(received.events)).encode(), answer.headers)

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

    def polls(self) -> bool:
        return self.settings.poll.report is not None or self.settings.polled_courses is not None

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        name, courses = self.settings.poll.report, self.settings.polled_courses
        if name is not None:
            yield from report.poll(self._rest(api), name, cursor, since, now)
        elif courses is not None:
            yield from enrolments.poll(self._rest(api), courses, cursor)

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        rest, asked = self._rest(api), learner.strip()
        field = "email" if "@" in asked else "id" if asked.isascii() and asked.isdigit() else "username"
        return enrolments.completed_by(rest, rest.user_by(field, asked)["id"])

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        for course in participants.all_courses(self._rest(api)):
            title, short_name = (strip_html(multilang(str(course.get(key) or ""))) for key in ("fullname", "shortname"))
            yield CourseFound(str(course["id"]), title, short_name or None)

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        return list(write_back.steps(certificate, event, self.settings.write_back))

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        return write_back.carry_out(step, certificate, memo, self._rest(api))

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        return diagnose.findings(self._rest(api), self.settings)

    def _rest(self, api: ApiClient) -> Rest:
        return Rest(api, self.settings.token)
