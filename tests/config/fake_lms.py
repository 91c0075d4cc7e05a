"""A small connector of our own, so that these tests depend on no real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from bridge.core.connector import Connector, ConnectorSettings
from bridge.core.models import InboundRequest, SignedRequest, SourceEvent


class LmsWriteBack(BaseModel):
    """What is written into the LMS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: bool = Field(True, description="A note about the learner.")


class LmsSettings(ConnectorSettings):
    """One LMS."""

    address: str = Field(description="The address of the LMS.", examples=["https://lms.acme.example"])
    signing_secret: SecretStr = Field(min_length=8, description="Signs the webhooks.")
    older_secrets: tuple[SecretStr, ...] = Field((), description="Accepted as well.", examples=[["${LMS_OLD}"]])
    url_token: SecretStr | None = Field(None, min_length=8, description="The last part of the webhook address.")
    api_key: SecretStr | None = Field(None, description="For writing back.")
    minutes: int = Field(5, ge=0, le=60, description="How long.")
    write_back: LmsWriteBack = Field(LmsWriteBack(), description="What is written into the LMS.")

    @model_validator(mode="after")
    def _not_twice(self) -> LmsSettings:
        if self.url_token and self.url_token == self.signing_secret:
            raise ValueError("needs two different secrets for signing_secret and url_token")
        return self


class Lms(Connector[LmsSettings]):
    """Understands nothing, which is all that a configuration needs."""

    name = "lms"
    title = "Example LMS"
    docs_url = "https://lms.example/webhooks"
    Settings = LmsSettings
    event_types = frozenset({"done"})

    def verify(self, request: InboundRequest) -> None:
        raise AssertionError

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        raise AssertionError

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        raise AssertionError


class PlainSettings(ConnectorSettings):
    """Nothing to set."""


class Plain(Lms):
    """A second one, with no settings of its own."""

    name = "plain"
    title = "Plain"
    Settings = PlainSettings  # type: ignore[assignment]


CONNECTORS: Mapping[str, type[Connector[Any]]] = {"lms": Lms, "plain": Plain}

MINIMAL = """\
public_url: https://certificates.acme.example
issuer: {name: Acme Academy, zone: Europe/Berlin}
keys: {recipient: 0123456789abcdef}
"""
