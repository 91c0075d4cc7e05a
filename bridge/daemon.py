"""Runs an assembled bridge: the web server, the workers, and an orderly end on SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from bridge.app import Bridge, open_bridge
from bridge.config import Config
from bridge.core.errors import ConfigError, UnavailableError
from bridge.observe import configure_logging, put_off
from bridge.store import certificates
from bridge.store.engine import StoppedWaitingError, Transaction
from bridge.web.application import create_app
from bridge.web.doors import Doors, PublicCertificate, WebSettings
from bridge.web.server import Server, ServerLimits, TrustedProxy
from bridge.web.server import serve as serve_web

log = structlog.get_logger(__name__)

SECRETS = 30.0
"""Seconds between looks for changed secrets."""
LISTEN = 0.5
"""Seconds after which a signal is heard at the latest."""


@dataclass
class Running:
    """A bridge that serves and works."""

    bridge: Bridge
    server: Server
    _stopping: threading.Event = field(default_factory=threading.Event)
    left: list[str] = field(default_factory=list)
    """What was still in work when the end came, such as `inbox 12`."""

    @property
    def url(self) -> str:
        """The address on this machine."""
        host = self.bridge.config.listen.rpartition(":")[0].strip("[]") or "127.0.0.1"
        shown = "127.0.0.1" if host in ("0.0.0.0", "::", "*") else host  # noqa: S104 (compared, not bound)
        return f"http://{shown}:{self.server.port}"

    def stop(self) -> None:
        """Ends in order: not ready, claim nothing, answer who is waiting, finish what is in work."""
        self._stopping.set()
        deadline = time.monotonic() + self.bridge.config.server.stop_seconds
        self.bridge.schedule.stop()
        self.bridge.upkeep.stop()
        # What is not done by then is taken over after its lease, by another node or by the next start.
        self.left = self.bridge.workers.stop(timeout=self.bridge.config.server.stop_seconds)
        self.left += self.bridge.schedule.left(deadline - time.monotonic())
        if self.left:
            log.warning("stopping without these; they are worked on again later", left=self.left)
        self.server.close()
        try:
            self.bridge.store.checkpoint()
        except UnavailableError as error:
            log.warning("the write-ahead log stays for the next start", reason=str(error))


@contextmanager
def running(
    config: Config, *, reread: Callable[[], Config] | None = None, give_up: Callable[[], bool] = lambda: False
) -> Iterator[Running]:
    """Serves and works for as long as the block lasts; `reread` reads the configuration anew, for its secrets.

    `give_up` is asked while a command still works with the database. Raises StoppedWaitingError when it says so.
    """
    with open_bridge(config, role="daemon", stopping=give_up) as bridge:
        stopping = threading.Event()
        bridge.renderer()  # children start now, not with the first certificate
        bridge.workers.start()
        bridge.upkeep.start()
        bridge.schedule.start(*([(SECRETS, _Secrets(bridge, reread).look, "secrets")] if reread else []))
        try:
            server = serve_web(
                create_app(_doors(bridge, stopping)),
                config.listen,
                _limits(config),
                proxy=_proxy(config),
                https=config.public_url.startswith("https:"),
            )
        except BaseException:
            bridge.schedule.stop()
            bridge.upkeep.stop()
            bridge.workers.stop(timeout=config.server.stop_seconds)
            raise
        run = Running(bridge, server, stopping)
        try:
            yield run
        finally:
            run.stop()


@dataclass
class _Secrets:
    """Takes over secrets that `certbridge sources secret` changed, and drops those whose week is over."""

    bridge: Bridge
    reread: Callable[[], Config]
    _told: str = ""

    def look(self) -> None:
        """Looks once; what is wrong with the configuration is told once, and not at every look."""
        try:
            changed, wrong = self.bridge.take_secrets(self.reread()), ""
        except ConfigError as error:
            changed, wrong = [], str(error)
        if wrong and wrong != self._told:
            log.warning("the configuration on disk cannot be read; its secrets stay as they were", reason=wrong)
        self._told = wrong
        for name in changed:
            log.info("the secrets of this source changed", source=name)


def serve(
    config: Config,
    *,
    on_ready: Callable[[Running], None] | None = None,
    reread: Callable[[], Config] | None = None,
) -> None:
    """Runs until SIGTERM or SIGINT; a second signal ends at once (nothing is lost: leases run out)."""
    told = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        if told.is_set():
            os._exit(1)
        told.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with running(config, reread=reread, give_up=told.is_set) as run:
            for warning in run.bridge.store.warnings():
                log.warning("store", warning=warning)
            log.info("ready", url=run.url, sources=sorted(run.bridge.sources))
            if on_ready is not None:
                _tell(on_ready, run)
            # Any thread may be given the signal; Python answers it in this one, and only when this one is awake.
            while not told.wait(LISTEN):
                pass
            log.info("stopping")
        if run.left:
            # Everything that can be closed is; a call that never returns must not keep the process.
            sys.stdout.flush()
            os._exit(0)
    except StoppedWaitingError:
        log.info("stopping")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(on_ready: Callable[[Running], None], run: Running) -> None:
    try:
        on_ready(run)
    except UnavailableError as error:
        # It may go away at any moment, this one too; the daemon goes on, and says on /readyz what it waits for.
        put_off(log, "the sources are not listed", error)


def _doors(bridge: Bridge, stopping: threading.Event) -> Doors:
    config = bridge.config

    def certificate(identifier: str) -> PublicCertificate | None:
        return bridge.store.read(lambda tx: _public(bridge, tx, identifier))

    def pdf(identifier: str) -> bytes | None:
        return bridge.store.read(lambda tx: _pdf(tx, identifier))

    settings = WebSettings(
        public_url=config.public_url,
        issuer_name=config.issuer.name,
        allowed_hosts=config.server.allowed_hosts,
        body_bytes=config.limits.body_bytes,
    )
    receiver, readiness = bridge.receiver, _Readiness(bridge, stopping)
    return Doors(
        settings, receiver.receive, certificate, pdf, readiness, refused=receiver.refused, status=receiver.status
    )


class _Readiness:
    """Says why this node is not ready: to strangers without names and paths, to the log with them, once for each."""

    def __init__(self, bridge: Bridge, stopping: threading.Event) -> None:
        self._bridge = bridge
        self._stopping = stopping
        self._told: list[str] = []

    def __call__(self) -> Sequence[str]:
        if self._stopping.is_set():
            return ["certbridge is stopping."]
        trouble = self._bridge.store.trouble()
        if trouble is not None:
            return [f"{trouble.public} The log says what to do."]
        details = list(self._bridge.store.problems())
        if details != self._told:
            self._told = details
            for detail in details:
                log.error("not ready", problem=detail)
        problems = ["The database cannot be used right now; the log says why."] if details else []
        if not self._bridge.workers.alive():
            problems.append("The workers do not run.")
        return problems


def _public(bridge: Bridge, tx: Transaction, identifier: str) -> PublicCertificate | None:
    certificate = bridge.publisher.find(tx, identifier)
    if certificate is None or certificate.state == "draft":
        return None
    corrected_on = bridge.publisher.corrected_on(tx, certificate)
    return PublicCertificate(certificate, corrected_on)


def _pdf(tx: Transaction, identifier: str) -> bytes | None:
    row = certificates.get(tx, identifier)
    if row is None or row.state == "draft":
        return None
    file = certificates.file(tx, identifier, row.version, "pdf")
    return file.bytes if file else None


def _limits(config: Config) -> ServerLimits:
    server = config.server
    return ServerLimits(
        threads=server.threads,
        connections=server.connections,
        connections_per_peer=server.connections_per_peer,
        header_bytes=server.header_bytes,
        body_bytes=config.limits.body_bytes,
        idle_seconds=server.idle_seconds,
        request_seconds=server.request_seconds,
    )


def _proxy(config: Config) -> TrustedProxy | None:
    server = config.server
    if server.trusted_proxy is None:
        return None
    return TrustedProxy(str(server.trusted_proxy), server.trusted_proxy_count, frozenset(server.trusted_proxy_headers))


__all__ = ["Running", "configure_logging", "running", "serve"]
