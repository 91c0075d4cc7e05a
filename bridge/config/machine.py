"""The settings of the machine: what strangers and slow systems may use, the web server, and the log."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, IPvAnyAddress, model_validator

from bridge.config.forms import HostHeader
from bridge.config.section import Section

Header = Literal[
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-by"
]


class Limits(Section):
    """What strangers and slow systems may use."""

    body_bytes: int = Field(1 << 20, ge=1024, le=10 << 20, description="The largest webhook, in bytes.")
    events_per_request: int = Field(1000, ge=1, le=100_000, description="The most events in one webhook.")
    queued_writes: int = Field(
        1000, ge=10, le=100_000, description="Requests that may wait for the database; then 503."
    )
    waiting_events: int = Field(
        100_000,
        ge=100,
        le=10_000_000,
        description="Events of one source that may wait to be worked on; then 503 (try again later).",
    )
    rejected_per_hour: int = Field(
        200, ge=0, le=100_000, description="Refused requests kept per source and hour, so that they can be explained."
    )
    workers: int = Field(
        4, ge=1, le=32, description="Events of one source, or mails, that are worked on at the same time."
    )
    render_workers: int = Field(2, ge=1, le=64, description="Processes that draw certificates.")
    render_seconds: int = Field(30, ge=1, le=600, description="The most seconds that drawing one certificate may take.")
    render_bytes: int = Field(
        512 << 20, ge=128 << 20, le=8 << 30, description="The most memory of one drawing process, in bytes."
    )
    pdf_bytes: int = Field(10 << 20, ge=65_536, le=100 << 20, description="The largest PDF, in bytes.")
    connect_seconds: float = Field(
        5.0, gt=0, le=60, allow_inf_nan=False, description="Seconds to reach a vendor's server."
    )
    read_seconds: float = Field(
        30.0, gt=0, le=300, allow_inf_nan=False, description="Seconds that a vendor's server may be silent."
    )
    request_seconds: float = Field(
        60.0, gt=0, le=600, allow_inf_nan=False, description="Seconds for one request to a vendor in all."
    )
    response_bytes: int = Field(
        5 << 20, ge=65_536, le=100 << 20, description="The largest answer of a vendor, in bytes."
    )


class Server(Section):
    """The web server inside certbridge; the defaults withstand slow and broken senders."""

    threads: int = Field(12, ge=1, le=128, description="Requests answered at the same time.")
    connections: int = Field(
        800, ge=10, le=10_000, description="Connections open at the same time, slow ones included."
    )
    connections_per_peer: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Connections of one address (IPv6: of one /64 network) at the same time; more get 503. Those "
        "of trusted_proxy are not counted. Default: a quarter of connections.",
        examples=[200],
    )
    header_bytes: int = Field(32_768, ge=4096, le=262_144, description="The largest request header, in bytes.")
    idle_seconds: int = Field(30, ge=1, le=600, description="Seconds after which a silent connection is closed.")
    request_seconds: int = Field(60, ge=1, le=3600, description="Seconds from the first byte of a request to its last.")
    stop_seconds: int = Field(
        30, ge=1, le=3600, description="Seconds that running work gets to finish when certbridge stops."
    )
    allowed_hosts: tuple[HostHeader, ...] = Field(
        (),
        max_length=100,
        description="Host names that are answered besides that of public_url and this machine's own. Default: none.",
        examples=[["bridge.acme.example"]],
    )
    trusted_proxy: IPvAnyAddress | None = Field(
        None,
        description="The address of the one reverse proxy whose forwarded headers are believed.",
        examples=["127.0.0.1"],
    )
    trusted_proxy_count: int = Field(1, ge=1, le=10, description="How many proxies stand in a row before certbridge.")
    trusted_proxy_headers: tuple[Header, ...] = Field(
        ("x-forwarded-for", "x-forwarded-proto"), description="The headers that are believed; forwarded stands alone."
    )

    @model_validator(mode="after")
    def _one_kind_of_header(self) -> Self:
        if "forwarded" in self.trusted_proxy_headers and len(self.trusted_proxy_headers) > 1:
            raise ValueError("trusted_proxy_headers: forwarded cannot be mixed with the x-forwarded headers.")
        return self


class Log(Section):
    """What certbridge says about its work, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least important lines shown.")
    form: Literal["auto", "text", "json"] = Field(
        "auto", description="text for people, json for programs; auto: text on a terminal, json elsewhere."
    )
