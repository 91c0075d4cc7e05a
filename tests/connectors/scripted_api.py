"""Stands in for a vendor's API in the connectors' tests: answers from a script, and remembers what was asked."""

from __future__ import annotations

import json as jsonlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bridge.core.connector import ApiResponse, Connector
from bridge.core.models import Certificate, CertificateData, Course, Issuer, Recipient


@dataclass(frozen=True)
class Asked:
    """One request that the connector made."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    json: Any


@dataclass(frozen=True)
class Answer:
    """One answer: JSON from a value, or bytes as they are."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = ()  # type: ignore[assignment]

    def response(self) -> ApiResponse:
        body = self.body if isinstance(self.body, bytes) else jsonlib.dumps(self.body).encode()
        return ApiResponse(self.status, dict(self.headers), body, "https://vendor.example/api")


class FakeApi(ABC):
    """Remembers what was asked; every answer passes the connector's `check`, as with the real client."""

    def __init__(self, connector: Connector[Any]) -> None:
        self._connector = connector
        self.asked: list[Asked] = []
        self.headers: list[dict[str, str]] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Sequence[tuple[str, str]] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        asked = Asked(method, path, dict(query or {}), dict(form or ()), json)
        self.asked.append(asked)
        self.headers.append(dict(headers or {}))
        response = self.answer(asked)
        self._connector.check(response)
        return response

    @abstractmethod
    def answer(self, asked: Asked) -> ApiResponse:
        """Returns the answer to one request; one that nobody expected fails the test."""


class ScriptedApi(FakeApi):
    """Answers in the order of the script."""

    def __init__(self, connector: Connector[Any], *script: tuple[str, Answer]) -> None:
        """`script` pairs what must be asked (the form's `wsfunction`, or method and path) with the answer."""
        super().__init__(connector)
        self._script = list(script)

    def answer(self, asked: Asked) -> ApiResponse:
        assert self._script, f"nothing was left to be asked, but {asked} was"
        expected, answer = self._script.pop(0)
        assert expected == (asked.form.get("wsfunction") or f"{asked.method} {asked.path}")
        return answer.response()

    @property
    def done(self) -> bool:
        """True when everything was asked for."""
        return not self._script


class KeptMemo(dict[str, str]):
    """A memo in memory."""

    def save(self, key: str, value: str) -> None:
        self[key] = value


def certificate(state: str = "issued", **changes: Any) -> Certificate:
    """Returns a certificate; its id is a valid one."""
    data = CertificateData(
        recipient=Recipient(name="José O'Brien & <b>Sons</b>", email="jose.obrien@example.invalid"),
        course=Course(id="2", title="Health & Safety"),
        issuer=Issuer(name="Acme Academy"),
        completed_on=date(2026, 11, 22),
        issued_on=date(2026, 11, 22),
        zone="Europe/Berlin",
        locale="en",
    )
    number = "0123456789ABCDEFP"
    values: dict[str, Any] = {
        "id": number,
        "test": False,
        "state": state,
        "version": 1,
        "data": data,
        "url": f"https://certificates.example/c/{number}",
        "pdf_url": f"https://certificates.example/c/{number}.pdf",
        "source": "school",
        "subject": "3",
    }
    return Certificate.model_validate({**values, **changes})
