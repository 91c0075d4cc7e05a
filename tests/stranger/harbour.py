"""Harbour LMS, a platform that does not exist: a connector as somebody outside the project writes it, in one module."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bridge.core.certificate_id import grouped
from bridge.core.connector import (
    Abilities,
    Access,
    ApiClient,
    Connector,
    ConnectorSettings,
    CourseFound,
    Finding,
    Memo,
    Page,
    Receipt,
    Step,
)
from bridge.core.errors import HeldError, PayloadError
from bridge.core.models import Certificate, InboundRequest, JsonObject, SignedRequest, SourceEvent
from bridge.core.payload import read_object
from bridge.core.signatures import hmac_signature, verify_hmac

SIGNATURE = "X-Harbour-Signature"
COMPLETED = "course.completed"
STEP = "certificate"
OVERLAP = 2


class HarbourSettings(ConnectorSettings):
    """One Harbour site."""

    url: str = Field("https://api.harbour.example", description="Where its API is.")
    api_key: SecretStr = Field(min_length=8, description="For its API.")
    signing_secret: SecretStr = Field(min_length=12, description="Signs its webhooks.")
    previous_signing_secret: SecretStr | None = Field(
        None, min_length=12, description="The secret before, while you change it; still accepted."
    )
    thin: bool = Field(False, description="Ask for each learner's name and address.")


class Harbour(Connector[HarbourSettings]):
    """`data` is a completion: learner {id, name, email}, course {id, title}, completed_at (ISO or null)."""

    name = "harbour"
    title = "Harbour LMS"
    docs_url = "https://harbour.example/webhooks"
    Settings = HarbourSettings
    event_types = frozenset({COMPLETED, "completion.revoked", "learner.deleted", "learner.merged"})
    same_within = timedelta(seconds=90)
    abilities = Abilities("completions", "HMAC", "names", "completions", "certificate number", "-")

    def verify(self, request: InboundRequest) -> None:
        secrets = (self.settings.signing_secret, self.settings.previous_signing_secret)
        verify_hmac(request.body, request.headers.get(SIGNATURE.lower()), secrets, what=f"the header {SIGNATURE}")

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        said = read_object(request.body)
        number, kind, data = _text(said.get("id")), _text(said.get("type")), _section(said, "data")
        if not number or not kind:
            raise PayloadError("Harbour's webhooks have an id and a type; this one has not.")
        if kind == COMPLETED:
            return [_completion(f"event:{number}", data)]
        learner = _section(data, "learner")
        return [
            SourceEvent(
                event_id=f"event:{number}",
                event_type=kind,
                subject=_text(learner.get("id")) or None,
                course=_text(_section(data, "course").get("id")) or None,
                keys=_keys(data),
                data=data,
            )
        ]

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        kept = {name: value for name, value in headers.items() if name.lower() != SIGNATURE.lower()}
        return SignedRequest(body, {**kept, SIGNATURE: hmac_signature(body, self.settings.signing_secret)})

    def hosts(self) -> Sequence[str]:
        return (urlsplit(self.settings.url).hostname or "",)

    def authenticate(self, api: ApiClient) -> Access:
        return Access(self.settings.url, {"X-Api-Key": self.settings.api_key.get_secret_value()})

    def enrich(self, event: SourceEvent, api: ApiClient) -> SourceEvent:
        if not self.settings.thin or event.event_type != COMPLETED:
            return event
        learner = _json(api.request("GET", f"/learners/{event.subject}"))
        if not learner.get("name"):
            raise HeldError(f"Learner {event.subject} has no name at Harbour.")
        return event.model_copy(update={"data": {**event.data, "learner": learner}})

    def poll(self, api: ApiClient, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
        after = max(0, int(cursor.get("after", 0)) - OVERLAP)
        while True:
            query = {"after": str(after), "since": since.isoformat()}
            found = _json(api.request("GET", "/completions", query=query))
            rows = found["rows"]
            after = max([after, *(int(row["number"]) for row in rows)])
            events = [_completion(f"completion:{row['number']}", row["completion"]) for row in rows]
            yield Page(events, {"after": after})
            if not found["more"]:
                return

    def ask(self, api: ApiClient, learner: str) -> Sequence[SourceEvent]:
        rows = _json(api.request("GET", "/completions", query={"learner": learner}))["rows"]
        return [_completion(f"completion:{row['number']}", row["completion"]) for row in rows]

    def courses(self, api: ApiClient) -> Iterator[CourseFound]:
        for one in _json(api.request("GET", "/courses"))["rows"]:
            yield CourseFound(one["id"], one["title"], one.get("short"))

    def connect(self, api: ApiClient, address: str) -> Iterator[Finding]:
        if address in _json(api.request("GET", "/webhooks"))["rows"]:
            yield Finding("ok", "The webhook is there already.")
            return
        api.request("POST", "/webhooks", json={"address": address})
        yield Finding("ok", "The webhook was registered.")

    def diagnose(self, api: ApiClient) -> Iterator[Finding]:
        api.request("GET", "/courses")
        yield Finding("ok", "Harbour accepts the key.")

    def write_back_steps(self, certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
        target = {"learner": certificate.subject}
        return (Step(STEP, target, f"certificate number of {certificate.data.recipient.name}", latest=True),)

    def write_back(self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient) -> Receipt:
        path = f"/learners/{step.target['learner']}"
        number = "" if certificate.state in ("revoked", "erased") else grouped(certificate.id)
        if _json(api.request("GET", path)).get("certificate") != number:
            api.request("PUT", path, json={"certificate": number})
        confirmed = _json(api.request("GET", path)).get("certificate") == number
        return Receipt(f"learner {step.target['learner']} has {number or 'no number'}", confirmed)


def _completion(event_id: str, data: JsonObject) -> SourceEvent:
    learner, course = _section(data, "learner"), _section(data, "course")
    # A broken time stays for the mapping to complain about: a poll must not end at it.
    at = _moment(data.get("completed_at"))
    return SourceEvent(
        event_id=event_id,
        event_type=COMPLETED,
        subject=_text(learner.get("id")) or None,
        course=_text(course.get("id")) or None,
        keys=_keys(data),
        occurred_at=at,
        data={"learner": learner, "course": course, "completed_at": data.get("completed_at")},
    )


def _keys(data: Mapping[str, Any]) -> tuple[str, ...]:
    number = _text(data.get("enrolment"))
    return (f"enrolment:{number}",) if number else ()


def _section(value: Mapping[str, Any], name: str) -> JsonObject:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    return text if len(text) <= 200 else hashlib.sha256(text.encode()).hexdigest()


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None


def _json(response: Any) -> JsonObject:
    found = response.json()
    if not isinstance(found, dict):
        raise PayloadError("Harbour answered something else than an object.")
    return found
