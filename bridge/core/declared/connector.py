"""A connector made from a declaration: the same interface, with nothing programmed for the vendor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from bridge.core.connector import (
    Abilities,
    Access,
    ApiClient,
    ApiResponse,
    Connector,
    ConnectorSettings,
    Finding,
    Memo,
    Page,
    Receipt,
    Step,
)
from bridge.core.declared import access, proof
from bridge.core.declared.bodies import read_body
from bridge.core.declared.events import Cutter, elements, marked_as_test, shaped, type_of
from bridge.core.declared.keys import KeyRing
from bridge.core.declared.looking import BACK, place_finding, poll_finding
from bridge.core.declared.model import Declaration
from bridge.core.declared.polling import MARKED, Polling
from bridge.core.declared.proofs import Draft, query_of
from bridge.core.declared.reach import base_of, check_api, hosts_of, is_set, key_addresses
from bridge.core.declared.settings import settings_model, visible
from bridge.core.declared.texts import Unclear
from bridge.core.errors import BridgeError, PayloadError, SignatureError, UnavailableError
from bridge.core.models import Certificate, InboundRequest, JsonObject, Received, Reply, SignedRequest, SourceEvent

_SHORTEST_PAUSE = timedelta(minutes=1)
_LONGEST_WAIT = 25.0


class DeclaredConnector(Connector[ConnectorSettings]):
    """What all declared sources have in common; `declare` makes the class of one kind."""

    declaration: ClassVar[Declaration]

    def __init__(self, settings: ConnectorSettings) -> None:
        super().__init__(settings)
        self._keys = KeyRing()
        self._visible = visible(settings)
        self._cutter = Cutter(self.declaration.event, self._visible, self.declaration.not_wanted)

    # -- what comes in -----------------------------------------------------------------------------

    def verify(self, request: InboundRequest) -> None:
        webhook = self.declaration.webhook
        if webhook is None:
            raise SignatureError(f"{self.title} is polled; it sends no webhooks.", code="no_webhook")
        try:
            proof.verify(webhook.proof, request, self.settings, self._keys)
        except UnavailableError:
            self.needs_refresh = True
            raise

    def parse(self, request: InboundRequest) -> Iterator[SourceEvent]:
        webhook = self.declaration.webhook
        if webhook is None:
            raise PayloadError(f"{self.title} sends no webhooks.")
        body = read_body(request, webhook.body, webhook.nested)
        around = {
            "body": body,
            "headers": dict(request.headers),
            "query": query_of(request),
            "settings": self._visible,
        }
        return (self._event({**around, "item": item}) for item in elements(body, webhook.items))

    def _event(self, scope: dict[str, object]) -> SourceEvent:
        webhook = self.declaration.webhook
        assert webhook is not None
        event_type = type_of(webhook.type, scope, self.declaration.types)
        event = self._cutter.cut(shaped(webhook.data, scope), event_type)
        marked = marked_as_test(webhook.test_mark, scope)
        return event.model_copy(update={"skip": MARKED}) if marked else event

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        draft = Draft(body, dict(headers), now)
        if self.declaration.webhook is not None:
            proof.sign(self.declaration.webhook.proof, draft, self.settings)
        return SignedRequest(draft.body, draft.headers, draft.path_token, draft.query)

    def address_secrets(self) -> tuple[str | None, Mapping[str, str]]:
        # A sample cannot be signed where only the vendor has the key; the address is known all the same.
        webhook = self.declaration.webhook
        return proof.address_secrets(webhook.proof, self.settings) if webhook else (None, {})

    def reply(self, received: Received) -> Reply:
        webhook = self.declaration.webhook
        return (webhook.reply.answer(received) if webhook else None) or super().reply(received)

    def enriches(self) -> bool:
        return self.declaration.fetch is not None

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        fetch, data = self.declaration.fetch, event.data
        if fetch is not None and fetch.concerns(event):
            data = {**data, "fetched": fetch.about(event, self._visible, api)}
        return self._cutter.completed(event, data)

    # -- the API -----------------------------------------------------------------------------------

    def hosts(self) -> Sequence[str]:
        return self._hosts

    @cached_property
    def _hosts(self) -> Sequence[str]:
        return tuple(dict.fromkeys(hosts_of(self.declaration, self.settings)))

    def authenticate(self, api: ApiClient) -> Access | None:
        words = self.declaration.api
        if words is not None and self._can(words):
            return access.sign_in(words, self.settings, api)
        keys = self._key_addresses()
        # The list of keys is public: there is nothing to sign in with.
        return Access(keys[0].rpartition("/")[0]) if keys else None

    def check(self, response: ApiResponse) -> None:
        access.check(self.declaration.api, self.title, response)

    def refresh(self, api: ApiClient) -> None:
        for url in self._key_addresses():
            self._keys.fetch(api, url)
        self.needs_refresh = False

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        try:
            if self._key_addresses():
                self.refresh(api)
                yield Finding("ok", f"{self.title}: the vendor's signing keys were fetched.")
            words = self.declaration.api
            if words is not None and self._can(words) and words.probe is not None:
                api.request("GET", words.probe.at({"settings": self._visible}))
                yield Finding("ok", f"{self.title}: the credentials work.")
            if self.polls():
                yield from self._looked(api)
        except (BridgeError, Unclear) as error:
            yield Finding("error", str(error))

    def _looked(self, api: ApiClient) -> Iterator[Finding]:
        """Does what a poll and a write-back begin with: working credentials may see too little."""
        polling = self._polling(api, datetime.now(UTC))
        event = polling.look(polling.now - BACK)
        yield poll_finding(event, self.title, expects=polling.words.expect is not None)
        for step in self.declaration.write_back:
            if step.one_number and self._can(step):
                yield place_finding(step, event, self._visible, api, self.title)

    def _key_addresses(self) -> list[str]:
        return key_addresses(self.declaration, self.settings)

    def _can(self, *parts: object) -> bool:
        return is_set(self.settings, self.declaration.api, *parts)

    # -- polls and write-back ----------------------------------------------------------------------

    def polls(self) -> bool:
        return self.declaration.poll is not None and self._can(self.declaration.poll)

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        return self._polling(api, now).pages(cursor, since) if self.polls() else iter(())

    def _polling(self, api: ApiClient, now: datetime) -> Polling:
        assert self.declaration.poll is not None
        base_url = base_of(self.declaration, self.settings)
        return Polling(self.declaration.poll, self._cutter, api, now, base_url, self.declaration.types)

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        wanted = [step for step in self.declaration.write_back if self._can(step)]
        planned = [step.plan(certificate, event, self._visible) for step in wanted]
        return [step for step in planned if step is not None]

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        for words in self.declaration.write_back:
            if words.name == step.name:
                return words.carry_out(step, certificate, memo, api, self._visible)
        raise LookupError(f"{self.title} has no write-back step {step.name!r}")


def declare(name: str, declaration: Declaration, event_types: Sequence[str]) -> type[Connector[Any]]:
    """Returns the connector class of a declared kind of source; `event_types` are those its mapping knows."""

    def check(settings: Any) -> None:
        if declaration.webhook is not None:
            proof.check_proofs(declaration.webhook.proof, settings)
        check_api(declaration, settings)

    fields = proof.proof_fields(declaration.webhook.proof) if declaration.webhook else {}
    reply = declaration.webhook.reply if declaration.webhook else None
    made = {
        "__doc__": f"{declaration.title}, as its declaration describes it.",
        "__module__": __name__,
        "declaration": declaration,
        "name": name,
        "title": declaration.title,
        "docs_url": declaration.docs_url,
        "setup": declaration.setup,
        "own_secret": proof.own_secret(declaration.webhook.proof) if declaration.webhook else "",
        "Settings": settings_model(declaration.title, declaration.settings, fields, check),
        "event_types": frozenset((*event_types, *declaration.not_wanted)),
        "same_within": declaration.same_within,
        "abilities": abilities(declaration, event_types),
        "rate": declaration.api.pace() if declaration.api else None,
        "poll_every": max(declaration.poll.every, _SHORTEST_PAUSE) if declaration.poll else Connector.poll_every,
        "answers_certificate": bool(reply and reply.certificate),
        "answer_wait": min(reply.wait.total_seconds(), _LONGEST_WAIT) if reply and reply.certificate else 0.0,
    }
    return type(f"Declared{name.title().replace('-', '').replace('_', '')}", (DeclaredConnector,), made)


def abilities(declaration: Declaration, event_types: Sequence[str]) -> Abilities:
    """Returns the row of the documentation's table."""
    webhook, fetch, poll = declaration.webhook, declaration.fetch, declaration.poll
    ways = [" or ".join(dict.fromkeys(kind.words for kind in one.kinds())) for one in webhook.proof] if webhook else []
    written = [step.name.replace("_", " ") for step in declaration.write_back]
    answered = ["the answer carries number and link"] if webhook and webhook.reply.certificate else []
    return Abilities(
        webhook=", ".join(event_types) if webhook else "-",
        proof="; ".join(dict.fromkeys(ways)) or "-",
        enrichment="-" if fetch is None else ("confirmed by the API" if fetch.expect else "completed by the API"),
        poll=f"every {_length(poll.every)}" if poll else "-",
        write_back=", ".join([*written, *answered]) or "-",
        limits=declaration.limits,
    )


def _length(pause: timedelta) -> str:
    minutes = round(pause.total_seconds() / 60)
    return f"{minutes // 60} h" if minutes and minutes % 60 == 0 else f"{minutes} minutes"
