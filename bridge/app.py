"""The composition root: a configuration in, the running bridge out. The only module that knows all the others."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parseaddr
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog

from bridge.clients.http import HttpClient
from bridge.clients.mail import Mailbox
from bridge.clients.smtp import FolderTransport, SmtpSettings, SmtpTransport
from bridge.config import Config, declaration_text, discover_connectors, load, shipped_folder
from bridge.core.connector import ApiClient, Connector
from bridge.core.errors import ConfigError, MappingError, Problem, UnavailableError
from bridge.core.mapping import Defaults
from bridge.core.mapping import Mapping as CompiledMapping
from bridge.core.models import Issuer
from bridge.core.source import Source
from bridge.flow.amend import Amending
from bridge.flow.clerk import Clerk, Exchange
from bridge.flow.issue import Issuing
from bridge.flow.mappings import MappingFile, Mappings
from bridge.flow.normalise import not_wanted
from bridge.flow.plan import MAIL, TEST_MAIL, Planner
from bridge.flow.presence import Presence, daemon_lives
from bridge.flow.receive import Receiver
from bridge.flow.send import Postbox, Sending
from bridge.flow.templates import Templates
from bridge.flow.upkeep import Upkeep
from bridge.flow.view import Publisher
from bridge.flow.work import Workers
from bridge.issuing.renderer import Renderer, check_template
from bridge.issuing.template import load_template
from bridge.observe import Redactor
from bridge.store import queue
from bridge.store import sources as stored_sources
from bridge.store.engine import OwnedError, OwnerLock, Store, open_store

log = structlog.get_logger(__name__)

Role = Literal["daemon", "command"]

REFRESH = 2.0
"""Seconds between looks at edited mappings and templates."""


# -- reading the configuration -------------------------------------------------------------------


def find_config(option: Path | None, environ: Mapping[str, str]) -> Path:
    """Returns the configuration file: `-c`, else CERTBRIDGE_CONFIG, else ./config.yaml. Raises ConfigError."""
    path = option or Path(environ.get("CERTBRIDGE_CONFIG") or "config.yaml")
    if not path.is_file():
        raise ConfigError(
            f"There is no configuration at {path}. Name it with -c FILE, or make one with `certbridge init DIR`."
        )
    return path


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Reads a configuration with every connector that is installed. Raises ConfigError with all problems."""
    return load(path, discover_connectors(), environ)


def shipped_mapping(name: str) -> str | None:
    """Returns the text of a mapping that came with the package, or None."""
    file = shipped_folder() / f"{name}.yaml"
    return file.read_text(encoding="utf-8") if file.is_file() else None


def mapping_texts(config: Config) -> Callable[[str], str | None]:
    """Returns what knows the mappings to extend: the shipped ones, and the admin's own that declare a source."""
    return lambda name: shipped_mapping(name) or declaration_text(config.mappings, name)


def mapping_files(config: Config) -> dict[str, MappingFile]:
    """Returns where the mapping of each source lives: the admin's file, else the one shipped with its connector."""
    return {
        name: MappingFile(name, source.connector, config.mapping_path(name)) for name, source in config.sources.items()
    }


# -- putting the bridge together -----------------------------------------------------------------


class LazyRenderer:
    """Starts the rendering child processes with the first certificate, so that short commands stay short."""

    def __init__(self, make: Callable[[], Renderer]) -> None:
        self._make = make
        self._made: Renderer | None = None

    def __call__(self) -> Renderer:
        if self._made is None:
            self._made = self._make()
        return self._made

    def close(self) -> None:
        """Ends the child processes, if any were started."""
        if self._made is not None:
            self._made.close()


@dataclass
class Bridge:
    """Everything that one process needs, put together from a configuration; the stages are made when first needed."""

    config: Config
    connectors: Mapping[str, type[Connector[Any]]]
    node: str
    redactor: Redactor
    store: Store
    sources: Mapping[str, Source]
    mappings: Mappings
    templates: Templates
    defaults: Defaults
    publisher: Publisher
    planner: Planner
    presence: Presence
    renderer: LazyRenderer
    clients: Mapping[str, HttpClient]
    daemon_running: bool
    woken: threading.Event = field(default_factory=threading.Event)
    """Set by every stage that queues something."""

    @cached_property
    def receiver(self) -> Receiver:
        """The door for webhooks."""
        limits = self.config.limits
        return Receiver(
            self.store,
            self.sources,
            self.redactor,
            self.woken.set,
            events_per_request=limits.events_per_request,
            rejected_per_hour=limits.rejected_per_hour,
            unwanted=lambda name, event: not_wanted(event, self.mappings.current(name), defaults=self.defaults),
            overloaded=self.upkeep.overloaded,
        )

    @cached_property
    def amending(self) -> Amending:
        """What people change afterwards."""
        parts = self.store, self.sources, self.renderer, self.templates, self.publisher, self.planner
        return Amending(*parts, self.woken.set)

    @cached_property
    def workers(self) -> Workers:
        """The loop that drives the flow."""
        width = self.config.limits.workers
        return Workers(self.store, self._clerk(), self.node, width, self.presence.renew, self.woken)

    @cached_property
    def upkeep(self) -> Upkeep:
        """What is seen to on a schedule."""
        most = self.config.limits.waiting_events
        return Upkeep(self.store, self.mappings, self.templates, self.presence, REFRESH, most)

    def _clerk(self) -> Clerk:
        parts = self.store, self.renderer, self.templates, self.publisher, self.planner
        return Clerk(
            store=self.store,
            sources=self.sources,
            mappings=self.mappings,
            defaults=self.defaults,
            issuing=Issuing(*parts, self.woken.set),
            sending=Sending(self.store, self.publisher, postboxes(self.config), self.sources),
            reread=self.receiver.reread,
            apis=self.api,
            redactor=self.redactor,
            node=self.node,
        )

    def api(self, source: str, exchange: Exchange | None = None) -> ApiClient:
        """Returns the API client of a source; its calls are noted in the exchange."""
        client = self.clients[source]
        return client.observed_by(exchange.note) if exchange is not None else client

    def finish_work(
        self, *, inbox_ids: Collection[int] | None = None, outbox_ids: Collection[int] | None = None
    ) -> bool:
        """Does what a command queued and what follows from it; without any ids everything that is due.

        Returns True when it is done, False when a running daemon takes it on.
        """
        if self.daemon_running:
            return False
        try:
            with OwnerLock(self.config.database_url):
                self.workers.run_until_idle(inbox_ids=inbox_ids, outbox_ids=outbox_ids)
        except OwnedError:
            # A daemon started since: what was queued is on disk, and it has seen it.
            return False
        return True

    def close(self) -> None:
        """Takes leave of the other nodes, stops the children, closes connections and the store."""
        try:
            self.presence.end()
        except UnavailableError as error:
            log.warning("the other nodes were not told; they see it in a minute", reason=str(error))
        self.renderer.close()
        for client in self.clients.values():
            client.close()
        self.store.close()


@contextmanager
def open_bridge(config: Config, *, role: Role) -> Iterator[Bridge]:
    """Opens the store, brings it up to date and puts the bridge together; closes everything at the end.

    `daemon` takes the lock of a SQLite file for as long as it lives; `command` works beside a daemon or without one.
    Raises ConfigError (and MappingError) with what is wrong.
    """
    _make_data_dir(config)
    lock = OwnerLock(config.database_url)
    if role == "daemon":
        lock.__enter__()
    try:
        store = open_store(config.database_url, owner=role == "daemon", queue_limit=config.limits.queued_writes)
        try:
            store.upgrade()
            if role == "daemon" and store.dialect == "sqlite":
                _take_over(store)
            beside = role == "command" and (OwnerLock.held_elsewhere(config.database_url) or daemon_lives(store))
            bridge = _assemble(config, store, daemon_running=beside)
            if role == "daemon":
                bridge.presence.begin()
        except BaseException:
            store.close()
            raise
        try:
            yield bridge
        finally:
            bridge.close()
    finally:
        if role == "daemon":
            lock.__exit__(None, None, None)


def _take_over(store: Store) -> None:
    """Frees what a daemon that died had in work: the lock of the file proves that nobody works on it any more."""
    left = store.transact(queue.forget_leases)
    if left:
        log.warning("taking over what certbridge had in work when it last ended", rows=left)


def _make_data_dir(config: Config) -> None:
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"data_dir: {config.data_dir} cannot be made ({error.strerror}). Name a folder that certbridge may write."
        ) from error


def _assemble(config: Config, store: Store, *, daemon_running: bool) -> Bridge:
    node = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
    connectors, redactor = config.connectors or discover_connectors(), Redactor(config.secrets())
    sources = _sources(config, connectors)
    if not daemon_running:  # beside a daemon that one says which sources there are, whatever was edited since
        _register_sources(config, store)
    renderer = LazyRenderer(partial(_renderer, config))
    issuer = Issuer(name=config.issuer.name, url=config.issuer.url, email=config.issuer.email)
    return Bridge(
        config=config,
        connectors=connectors,
        node=node,
        redactor=redactor,
        store=store,
        sources=sources,
        mappings=_mappings(config, store, node, beside=daemon_running),
        templates=Templates(store, config.templates, node, lambda bundle: check_template(bundle, renderer())),
        defaults=Defaults(zone=config.issuer.zone, locale=config.issuer.locale),
        publisher=Publisher(config.public_url, issuer, config.recipient_key()),
        planner=Planner(mail_is_set_up=config.mail.mode != "off"),
        presence=Presence(store, node, tuple(sources)),
        renderer=renderer,
        clients={name: _client(config, source, redactor) for name, source in sources.items()},
        daemon_running=daemon_running,
    )


def _sources(config: Config, connectors: Mapping[str, type[Connector[Any]]]) -> dict[str, Source]:
    return {
        name: Source(name, connectors[source.connector](source.settings), source.mode == "test")
        for name, source in config.sources.items()
    }


def _mappings(config: Config, store: Store, node: str, *, beside: bool) -> Mappings:
    files, zone = mapping_files(config), ZoneInfo(config.issuer.zone)
    check_names = partial(_check_templates, config)
    mappings = Mappings(store, files, mapping_texts(config), check_names, node, beside=beside, zone=zone)
    mappings.start()
    return mappings


def _check_templates(config: Config, mapping: CompiledMapping) -> None:
    """Raises MappingError for every course whose template is not there."""
    problems = []
    for course in mapping.courses():
        try:
            load_template(course.template, config.templates)
        except ConfigError as error:
            problems.append(Problem(course.template_mark or course.mark, str(error)))
    if problems:
        raise MappingError(problems)


def _renderer(config: Config) -> Renderer:
    limits = config.limits
    return Renderer(
        workers=limits.render_workers,
        timeout=limits.render_seconds,
        memory_bytes=limits.render_bytes,
        output_bytes=limits.pdf_bytes,
    )


def _client(config: Config, source: Source, redactor: Redactor) -> HttpClient:
    limits, block = config.limits, config.sources[source.name]
    return HttpClient(
        source.connector,
        allow_private=block.allow_private,
        redactor=redactor.text,
        timeout=(limits.connect_seconds, limits.read_seconds),
        max_bytes=limits.response_bytes,
        total_deadline=limits.request_seconds,
        ca_file=str(block.ca_file) if block.ca_file else None,
    )


def _register_sources(config: Config, store: Store) -> None:
    for name, source in config.sources.items():
        store.transact(
            lambda tx, name=name, source=source: stored_sources.ensure(  # type: ignore[misc]
                tx, name, source.connector, since=source.since, formerly=source.formerly
            )
        )


def postboxes(config: Config) -> dict[str, Postbox]:
    """Returns the ways mail may leave: `mail` when it is set up, and the folder for test certificates always."""
    host = urlsplit(config.public_url).hostname or "localhost"
    name, address = parseaddr(config.mail.sender or f"{config.issuer.name} <certbridge@{host}>")
    box = partial(Postbox, sender=Mailbox(address, name), reply_to=config.mail.reply_to, host=host)
    boxes = {TEST_MAIL: box(FolderTransport(config.mail.test_folder))}
    if config.mail.mode == "folder":
        boxes[MAIL] = box(FolderTransport(config.mail.folder))
    elif config.mail.smtp is not None and config.mail.mode == "smtp":
        smtp = config.mail.smtp
        ca_file = str(smtp.ca_file) if smtp.ca_file else None
        known = {name: getattr(smtp, name) for name in SmtpSettings.model_fields}
        boxes[MAIL] = box(SmtpTransport(SmtpSettings(**{**known, "ca_file": ca_file})))
    return boxes
