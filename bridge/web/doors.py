"""What the web needs from the rest of the bridge: a few callables and values, and nothing of the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Protocol
from urllib.parse import urlsplit

from bridge.core.models import Certificate, InboundRequest, Reply


class Receive(Protocol):
    """Answers one webhook; returns only when what it accepted is on disk. May raise UnavailableError."""

    def __call__(self, source: str, request: InboundRequest, *, peer: str) -> Reply: ...


class Status(Protocol):
    """Answers a sender that asks what became of one of its events. May raise UnavailableError."""

    def __call__(self, source: str, request: InboundRequest, event: int, *, peer: str) -> Reply: ...


def no_status(source: str, request: InboundRequest, event: int, *, peer: str) -> Reply:
    """Knows of no event; for an application without a store."""
    return Reply(404, b"")


class Refused(Protocol):
    """Keeps a request that the web itself refused, so that "it never arrived" can be disproved; never raises."""

    def __call__(self, source: str, *, status: int, reason: str, method: str, size: int, peer: str) -> None: ...


def forget_refusal(source: str, *, status: int, reason: str, method: str, size: int, peer: str) -> None:
    """Keeps nothing; for an application without a store."""


@dataclass(frozen=True, slots=True)
class PublicCertificate:
    """A certificate and what a stranger may know about it beyond what it says."""

    certificate: Certificate
    corrected_on: date | None = None
    """The civil date on which the present version replaced the one before; None for version 1."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What the web is told about its place in the world."""

    public_url: str
    """The base of every address given out, without a slash at its end."""
    issuer_name: str
    """Shown on pages that belong to no certificate."""
    allowed_hosts: tuple[str, ...] = ()
    """Further Host names that are answered, beside the one of `public_url` and the loopback names."""
    body_bytes: int = 1_048_576
    """The largest request body, in bytes."""

    @property
    def host(self) -> str:
        """Returns the host name of `public_url`, as a reader sees it in the address bar."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def prefix(self) -> str:
        """Returns the path of `public_url` without a slash at its end; mostly empty."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def https(self) -> bool:
        """Tells whether strangers reach us over https."""
        return urlsplit(self.public_url).scheme == "https"


def utc_now() -> datetime:
    """Returns the present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything the web may do; each callable is safe to call from several threads."""

    settings: WebSettings
    receive: Receive
    certificate: Callable[[str], PublicCertificate | None]
    """Takes an id without hyphens; None when no certificate carries it. May raise UnavailableError."""
    pdf: Callable[[str], bytes | None]
    """Returns the PDF of the present version, or None when there is none (erased, not rendered yet)."""
    readiness: Callable[[], Sequence[str]]
    """Returns why the bridge is not ready, in plain words; empty when it is."""
    clock: Callable[[], datetime] = field(default=utc_now)
    """Decides what "expired" means; aware."""
    refused: Refused = forget_refusal
    status: Status = no_status
