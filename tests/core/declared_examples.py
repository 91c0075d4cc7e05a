"""Declarations to try things on: a small one, and what makes connectors and requests of its variants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.core.connector import ApiResponse, Connector
from bridge.core.declared import read_declared
from bridge.core.errors import MappingError
from bridge.core.models import Certificate, CertificateData, Course, InboundRequest, Issuer, Recipient, SourceEvent

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = "a-secret-for-the-tests"

HEAD = """\
source:
  title: Acme LMS
  docs_url: https://acme.example/webhooks
"""
WEBHOOK = """\
  webhook:
    proof: [{header: {name: X-Token}}]
    type: "{{ item.type }}"
"""
EVENT = """\
  event:
    id: "{{ data.id }}"
    subject: "{{ data.user }}"
    course: "{{ data.course }}"
    keys: ["done:{{ data.user }}:{{ data.course }}@{{ data.at }}"]
    occurred_at: "{{ data.at }}"
"""
EVENTS = """\
events:
  done:
    completion: {name: "{{ data.name }}"}
"""
SMALL = HEAD + WEBHOOK + EVENT + EVENTS
API = """\
  settings:
    site: {description: The address of the site., url: true}
    key: {description: The API key., secret: true}
  api:
    base_url: "{{ settings.site }}/api"
    headers: {X-Key: "{{ settings.key }}"}
"""
SITE = {"site": "https://lms.acme.example", "key": "api-key-1", "header_token": SECRET}


def kind(text: str) -> type[Connector[Any]]:
    """Returns the connector class of a declaration."""
    return read_declared("acme", text, "acme.yaml")


def build(text: str, **settings: Any) -> Connector[Any]:
    """Returns a connector of a declaration."""
    found = kind(text)
    return found(found.Settings.model_validate(settings or {"header_token": SECRET}))


def proven(proof: str, **settings: Any) -> Connector[Any]:
    """Returns a connector of the small declaration with another proof."""
    return build(SMALL.replace("[{header: {name: X-Token}}]", proof), **settings)


def refused(text: str) -> list[str]:
    """Returns the messages with which a declaration is refused."""
    try:
        kind(text)
    except MappingError as error:
        return str(error).splitlines()
    raise AssertionError("it was accepted")


def request(
    body: object = b"{}",
    headers: Mapping[str, str] | None = None,
    *,
    token: str | None = None,
    query: str = "",
    at: datetime = NOW,
) -> InboundRequest:
    """Returns a request as the receiver would hand it on; other than bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    url = "https://certificates.example/hooks/school" + (f"/{token}" if token else "") + (f"?{query}" if query else "")
    return InboundRequest("POST", url, lowered, raw, at, token)


def event(**changes: Any) -> SourceEvent:
    """Returns an event as the small declaration cuts it."""
    data = {"id": "e-1", "user": "7", "course": "68", "at": "2026-02-14T14:30:10Z", "name": "Dana Okafor"}
    found = {"event_id": "e-1", "event_type": "done", "subject": "7", "course": "68", "data": data}
    return SourceEvent.model_validate({**found, **changes})


def certificate(state: str = "issued", **changes: Any) -> Certificate:
    """Returns a certificate; its id is a valid one."""
    data = CertificateData(
        recipient=Recipient(name='Dana "D" O\'Kafor', email="dana@example.invalid"),
        course=Course(id="68", title="Safety & Rules"),
        issuer=Issuer(name="Acme Academy"),
        completed_on=NOW.date(),
        issued_on=NOW.date(),
        zone="UTC",
        locale="en",
    )
    values: dict[str, Any] = {
        "id": "0123456789ABCDEFP",
        "test": False,
        "state": state,
        "version": 1,
        "data": data,
        "url": "https://certificates.example/c/0123456789ABCDEFP",
        "pdf_url": "https://certificates.example/c/0123456789ABCDEFP.pdf",
        "source": "school",
        "subject": "7",
    }
    return Certificate.model_validate({**values, **changes})


class Script:
    """An API that answers in the order of a script; every answer passes the connector's `check`."""

    def __init__(self, connector: Connector[Any], *answers: object) -> None:
        """An answer is a JSON value, bytes, or (status, value) or (status, value, headers)."""
        self.connector = connector
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def request(self, method: str, path: str, **sent: Any) -> ApiResponse:
        self.asked.append({"method": method, "path": path, **{key: value for key, value in sent.items() if value}})
        assert self.answers, f"nothing was left to answer {method} {path} with"
        answer = self.answers.pop(0)
        status, body, headers = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = ApiResponse(status, headers, raw, "https://lms.acme.example/api")
        self.connector.check(response)
        return response


class KeptMemo(dict[str, str]):
    """A memo in memory."""

    def save(self, key: str, value: str) -> None:
        self[key] = value
