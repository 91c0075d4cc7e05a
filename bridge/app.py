"""The composition root: a configuration in, the running bridge out. The only module that knows all the others."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog

from bridge.clients.http import HttpClient
from bridge.clients.mail import Mailbox
from bridge.clients.smtp import FolderTransport, SmtpSettings, SmtpTransport
from bridge.config import Config, discover_connectors, load
from bridge.core.connector import ApiClient, Connector
from bridge.core.errors import ConfigError, MappingError, Problem
from bridge.core.mapping import Defaults
from bridge.core.models import Issuer
from bridge.core.source import Source
from bridge.flow.amend import Amending
from bridge.flow.clerk import Clerk, Exchange
from bridge.flow.issue import Issuing
from bridge.flow.mappings import MappingFile, Mappings, read_mapping
from bridge.flow.normalise import not_wanted
from bridge.flow.plan import MAIL, TEST_MAIL, Planner
from bridge.flow.receive import Receiver
from bridge.flow.send import Postbox, Sending
from bridge.flow.templates import Templates
from bridge.flow.view import Publisher
from bridge.flow.work import Workers
from bridge.issuing.renderer import Renderer, check_template
from bridge.issuing.template import load_template
from bridge.observe import Redactor
from bridge.store import inbox, queue
from bridge.store import sources as stored_sources
from bridge.store.engine import OwnerLock, Store, open_store

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
    # Beside this package rather than by import: a folder `mappings` in the working directory must not hide it.
    file = Path(__file__).parents[1] / "mappings" / f"{name}.yaml"
    return file.read_text(encoding="utf-8") if file.is_file() else None


def check(path: Path, environ: Mapping[str, str]) -> list[Problem]:
    """Returns every problem of configuration, mappings and templates at once; empty when all is well."""
    try:
        config = read_config(path, environ)
    except ConfigError as error:
        return list(error.problems)
    problems: list[Problem] = []
    templates: set[str] = {"classic"}
    for file in mapping_files(config).values():
        try:
            templates |= {course.template for course in read_mapping(file, shipped_mapping).courses()}
        except MappingError as error:
            problems += error.problems
    for name in sorted(templates):
        try:
            problems += check_template(load_template(name, config.templates))
        except ConfigError as error:
            problems += error.problems
    return problems


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
    """Everything that one process needs, put together from a configuration."""

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
    receiver: Receiver
    amending: Amending
    workers: Workers
    renderer: LazyRenderer
    clients: Mapping[str, HttpClient]
    daemon_running: bool

    def api(self, source: str, exchange: Exchange | None = None) -> ApiClient:
        """Returns the API client of a source; its calls are noted in the exchange."""
        client = self.clients[source]
        return client.observed_by(exchange.note) if exchange is not None else client

    def finish_work(self) -> bool:
        """Does what a command queued: returns True when it is done, False when the running daemon takes it on."""
        if self.daemon_running:
            return False
        with OwnerLock(self.config.database_url):
            self.workers.run_until_idle()
        return True

    def close(self) -> None:
        """Stops the children, closes connections and the store."""
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
    daemon_running = role == "command" and OwnerLock.held_elsewhere(config.database_url)
    if role == "daemon":
        lock.__enter__()
    try:
        store = open_store(config.database_url, owner=role == "daemon", queue_limit=config.limits.queued_writes)
        try:
            store.upgrade()
            if role == "daemon" and store.dialect == "sqlite":
                _take_over(store)
            bridge = _assemble(config, store, daemon_running=daemon_running)
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
    connectors = discover_connectors()
    redactor = Redactor(config.secrets())
    sources = {
        name: Source(name, connectors[source.connector](source.settings), source.mode == "test")
        for name, source in config.sources.items()
    }
    _register_sources(config, store)
    files, zone = mapping_files(config), ZoneInfo(config.issuer.zone)
    mappings = Mappings(store, files, shipped_mapping, node, beside=daemon_running, zone=zone)
    mappings.start()
    templates = Templates(store, config.templates, node)
    issuer = Issuer(name=config.issuer.name, url=config.issuer.url, email=config.issuer.email)
    publisher = Publisher(config.public_url, issuer, config.recipient_key())
    defaults = Defaults(zone=config.issuer.zone, locale=config.issuer.locale)
    planner = Planner(mail_is_set_up=config.mail.mode != "off")
    renderer = LazyRenderer(partial(_renderer, config))
    clients = {name: _client(config, source, redactor) for name, source in sources.items()}

    def wake() -> None:
        workers.wake()

    issuing = Issuing(store, renderer, templates, publisher, planner, wake)
    sending = Sending(store, publisher, postboxes(config), sources)
    clerk = Clerk(
        store=store,
        sources=sources,
        mappings=mappings,
        defaults=defaults,
        issuing=issuing,
        sending=sending,
        apis=lambda name, exchange: clients[name].observed_by(exchange.note),
        redactor=redactor,
        node=node,
    )
    upkeep = _Upkeep(store, mappings, templates, config.limits.waiting_events)
    workers = Workers(store, clerk, node, width=config.limits.workers, beat=upkeep)
    return Bridge(
        config=config,
        connectors=connectors,
        node=node,
        redactor=redactor,
        store=store,
        sources=sources,
        mappings=mappings,
        templates=templates,
        defaults=defaults,
        publisher=publisher,
        receiver=Receiver(
            store,
            sources,
            redactor,
            wake,
            events_per_request=config.limits.events_per_request,
            rejected_per_hour=config.limits.rejected_per_hour,
            unwanted=lambda name, event: not_wanted(event, mappings.current(name), defaults=defaults),
            overloaded=upkeep.overloaded,
        ),
        amending=Amending(store, sources, renderer, templates, publisher, planner, wake),
        workers=workers,
        renderer=renderer,
        clients=clients,
        daemon_running=daemon_running,
    )


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


class _Upkeep:
    """What the dispatcher's loop sees to every few seconds: edited files, and whether too much is waiting."""

    def __init__(self, store: Store, mappings: Mappings, templates: Templates, most_waiting: int) -> None:
        self._store = store
        self._mappings = mappings
        self._templates = templates
        self._most_waiting = most_waiting
        self._waiting: dict[str, int] = {}
        self._next = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH
        self._waiting = self._store.read(inbox.waiting)
        self._mappings.refresh()
        self._templates.refresh()

    def overloaded(self, source: str) -> bool:
        """Tells whether new events should come later."""
        return self._waiting.get(source, 0) >= self._most_waiting
