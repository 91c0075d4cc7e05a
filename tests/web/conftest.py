"""A real server on a free port for every test that wants one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from web_client import Client
from web_doors import Bench

from bridge.web.application import create_app
from bridge.web.server import ServerLimits, TrustedProxy, serve

LIMITS = ServerLimits(threads=4, connections=200, connections_per_peer=100, header_bytes=16_384, body_bytes=100_000)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def start(bench: Bench) -> Iterator[Callable[..., Client]]:
    """Starts the real server over the bench's doors; stops it after the test."""
    running = []

    def begin(*, limits: ServerLimits = LIMITS, proxy: TrustedProxy | None = None) -> Client:
        doors = bench.doors()
        server = serve(create_app(doors), "127.0.0.1:0", limits, proxy=proxy, https=doors.settings.https)
        running.append(server)
        return Client(server)

    yield begin
    for server in running:
        server.close(grace=0)


@pytest.fixture
def web(start: Callable[..., Client]) -> Client:
    return start()
