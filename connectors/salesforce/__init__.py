"""Salesforce: Outbound Messages or a Flow's callout say which record; the API tells the rest and takes the number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

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
from bridge.core.models import Certificate, InboundRequest, JsonObject, Received, Reply, SignedRequest, SourceEvent
from bridge.core.payload import read_object
from connectors.salesforce import answers, diagnosis, login, lookup, messages, polling, proof, write_back
from connectors.salesforce.completion import COMPLETION
from connectors.salesforce.envelope import acknowledgement, read_message
from connectors.salesforce.rest import Rest
from connectors.salesforce.settings import SalesforceSettings


class Salesforce(Connector[SalesforceSettings]):
    """Salesforce sends records of one object; which fields say what is configuration, `data` has our words for it."""

    name = "salesforce"
    title = "Salesforce"
    docs_url = "https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging_understanding.htm"
    Settings = SalesforceSettings
    event_types = frozenset({COMPLETION})
    abilities = Abilities(
        webhook="Outbound Message (SOAP), or JSON from a Flow's HTTP Callout",
        proof="secret address and organisation id; for a Flow a token in a header",
        enrichment="the record and fields of related records, by SOQL",
        poll="by SystemModstamp, every 5 minutes; once a day what has no number yet",
        write_back="number and address into the record, a task, the PDF as a file",
        limits="API access (Enterprise, Unlimited, Developer, or bought); Salesforce signs nothing",
    )
    poll_every = timedelta(minutes=5)

    def verify(self, request: InboundRequest) -> None:
        proof.verify(self.settings, request)

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        if self.settings.entry == "flow":
            return [messages.of_callout(read_object(request.body), self.settings)]
        return messages.of_message(read_message(request.body), self.settings)

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return proof.sign(self.settings, body, headers)

    def reply(self, received: Received) -> Reply:
        if self.settings.entry == "flow":
            return super().reply(received)
        # One answer for up to a hundred records. True also for what was ignored or is unreadable: it is kept, and to
        # send it again would change nothing.
        body = acknowledgement(stored=200 <= received.status < 300)
        return Reply(
            received.status, body, {**super().reply(received).headers, "Content-Type": "text/xml; charset=utf-8"}
        )

    def hosts(self) -> Sequence[str]:
        return login.hosts(self.settings)

    def authenticate(self, api: ApiClient) -> Access | None:
        return login.sign_in(self.settings, api)

    def check(self, response: ApiResponse) -> None:
        answers.check(response)

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        if self.settings.url is None or event.skip is not None:
            return event
        return lookup.complete(event, self.settings, self._rest(api))

    def polls(self) -> bool:
        return self.settings.url is not None

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        return polling.poll(self.settings, self._rest(api), cursor, since, now)

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        return lookup.ask(self.settings, self._rest(api), learner)

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        return lookup.courses(self.settings, self._rest(api))

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        return write_back.steps(certificate, event, self.settings)

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        return write_back.carry_out(step, certificate, memo, self._rest(api), self.settings)

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        return diagnosis.diagnose(self.settings, api)

    def _rest(self, api: ApiClient) -> Rest:
        return Rest(api, self.settings.api_version)
