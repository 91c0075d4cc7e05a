"""HubSpot: webhooks of a workflow or an app tell of completions, and the search finds those that got lost."""

from __future__ import annotations

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
    Rate,
    Receipt,
    Step,
)
from bridge.core.errors import PayloadError, PermanentError
from bridge.core.models import Certificate, InboundRequest, JsonObject, Received, Reply, SignedRequest, SourceEvent
from bridge.core.payload import read_json
from connectors.hubspot import answers, batch, diagnosis, enrichment, polling, proof, workflow, write_back
from connectors.hubspot.crm import crm
from connectors.hubspot.record import CHANGED, WORKFLOW
from connectors.hubspot.settings import HubSpotSettings


class HubSpot(Connector[HubSpotSettings]):
    """Contacts are the learners; `data` is made the same from a workflow's webhook, an app's webhook and a search."""

    name = "hubspot"
    title = "HubSpot"
    docs_url = "https://knowledge.hubspot.com/workflows/how-do-i-use-webhooks-with-hubspot-workflows"
    Settings = HubSpotSettings
    event_types = batch.EVENT_TYPES | {WORKFLOW}
    # A workflow's token may leave out the milliseconds that the API shows.
    same_within = timedelta(seconds=5)
    # The search allows five a second for the whole account, everything else 100 in ten seconds.
    rate = Rate(4, 1.0)
    abilities = Abilities(
        webhook="workflow webhook (four bodies), app webhooks",
        proof="signature v1, v2, v3, or an API key in a header",
        enrichment="contact, deal",
        poll="contact search: what changed, and what has no certificate yet",
        write_back="contact properties, timeline note, custom event",
        limits="workflow webhooks need Data Hub Professional; custom events need Enterprise",
    )

    def verify(self, request: InboundRequest) -> None:
        address_token.verify_if_set(request, self.settings)
        proof.verify(request, self.settings)

    def parse(self, request: InboundRequest) -> Iterable[SourceEvent]:
        body = read_json(request.body)
        if isinstance(body, list):
            return batch.cut(body, self.settings)
        if isinstance(body, dict):
            return workflow.cut(body, self.settings)
        raise PayloadError("The body is neither a batch of HubSpot's events nor the body of a workflow webhook.")

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return proof.sign(body, headers, self.settings)

    def reply(self, received: Received) -> Reply:
        """Answers as by default, but Retry-After in milliseconds, as HubSpot's workflows read it."""
        reply = super().reply(received)
        if received.retry_after is None:
            return reply
        wait = str(max(1000, round(received.retry_after * 1000)))
        return Reply(reply.status, reply.body, {**reply.headers, "Retry-After": wait})

    def hosts(self) -> Sequence[str]:
        return (urlsplit(self.settings.api_url).hostname or "",)

    def authenticate(self, api: ApiClient) -> Access | None:
        token = self.settings.token
        if token is None:
            return None
        return Access(self.settings.api_url, {"Authorization": f"Bearer {token.get_secret_value()}"})

    def check(self, response: ApiResponse) -> None:
        answers.check(response)

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        if event.event_type not in (CHANGED, WORKFLOW) or event.skip is not None:
            return event
        return enrichment.complete(event, crm(api, self.settings), self.settings)

    def polls(self) -> bool:
        return self.settings.token is not None and bool(self.settings.watched)

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        return polling.poll(crm(api, self.settings), self.settings, cursor, since, now)

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        if not self.polls():
            raise PermanentError("Set token and completed_property (or courses) to ask HubSpot.", code="no_ask")
        contact = crm(api, self.settings).contact(learner.strip(), self.settings.read_properties)
        if contact is None:
            raise PermanentError(f"HubSpot has no contact {learner[:100]!r}.", code="no_contact")
        return list(enrichment.found(contact, self.settings))

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        return diagnosis.courses(api, self.settings)

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        return write_back.steps(certificate, event, self.settings)

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        return write_back.carry_out(step, certificate, memo, crm(api, self.settings))

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        return diagnosis.diagnose(api, self.settings)
