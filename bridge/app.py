"""The composition root: a configuration in, the running bridge out. The only module that knows all the others."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import structlog

from bridge.clients.http import HttpClient
from bridge.config import Config, discover_connectors, installed_mapping, load, mappings_to_extend
from bridge.config.secret_files import holds_secrets
from bridge.core.connector import ApiClient, Connector
from bridge.core.errors import ConfigError, MappingError, Problem, UnavailableError
from bridge.core.mapping import Defaults
from bridge.core.mapping import Mapping as CompiledMapping
from bridge.core.models import Completion, Ignored, Issuer, SourceEvent
from bridge.core.source import Source
from bridge.flow.acts import Acting
from bridge.flow.amend import Amending
from bridge.flow.answer import Answering
from bridge.flow.bring import Bringing
from bridge.flow.clerk import Clerk, Exchange
from bridge.flow.issue import Issuing
from bridge.flow.mappings import MappingFile, Mappings
from bridge.flow.normalise import not_wanted
from bridge.flow.past import Past
from bridge.flow.plan import Planner
from bridge.flow.poll import Polling
from bridge.flow.presence import Presence
from bridge.flow.receive import Receiver
from bridge.flow.schedule import Schedule
from bridge.flow.send import Sending
from bridge.flow.table import Table
from bridge.flow.templates import Templates
from bridge.flow.upkeep import Upkeep
from bridge.flow.view import Publisher
from bridge.flow.work import Workers
from bridge.installation import open_database
from bridge.issuing.renderer import Renderer, check_template
from bridge.issuing.template import load_template
from bridge.observe import Redactor
from bridge.parts import client, postboxes, rhythms
from bridge.store import sources as stored_sources
from bridge.store.engine import OwnedError, OwnerLock, Store

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


def mapping_texts(config: Config) -> Callable[[str], str | None]:
    """Returns what knows the mappings to extend: those of connectors, and own ones that declare a source."""
    connectors, to_extend = discover_connectors(), mappings_to_extend(config.mappings)
    return lambda name: to_extend(name) or installed_mapping(name, connectors)


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
            unwanted=self._unwanted,
            answering=Answering(self.store, self.publisher),
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

    @cached_property
    def polling(self) -> Polling:
        """What asks the sources."""
        parts = self.upkeep.overloaded, self.node, self.woken.set, self.redactor.text
        return Polling(self.store, self.api, self._unwanted, self._acts, self._name_of, *parts)

    @cached_property
    def bringing(self) -> Bringing:
        """What takes in events on a person's word."""
        return Bringing(self.store, self._unwanted, self.woken.set)

    @cached_property
    def past(self) -> Past:
        """What looks behind the start line."""
        return Past(self.store, self.mappings, self.defaults, self.api, self.bringing)

    @cached_property
    def table(self) -> Table:
        """What issues from files."""
        return Table(self.store, self.mappings, self.defaults, self.bringing)

    @cached_property
    def schedule(self) -> Schedule:
        """What is done when its time has come."""
        return Schedule(self.store, self.sources, rhythms(self.config, self.sources), self.polling, self.api)

    def _unwanted(self, name: str, event: SourceEvent) -> Ignored | None:
        return not_wanted(event, self.mappings.current(name), defaults=self.defaults)

    def _acts(self, name: str, event: SourceEvent) -> bool:
        return self.mappings.current(name).acts(event.event_type)

    def _name_of(self, name: str, event: SourceEvent) -> str | None:
        outcome = self.mappings.current(name).apply(event, defaults=self.defaults).outcome
        return outcome.recipient.name if isinstance(outcome, Completion) else None

    def _clerk(self) -> Clerk:
        parts = self.store, self.renderer, self.templates, self.publisher, self.planner
        return Clerk(
            store=self.store,
            sources=self.sources,
            mappings=self.mappings,
            defaults=self.defaults,
            issuing=Issuing(*parts, self.woken.set),
            acting=Acting(self.store, self.amending),
            sending=Sending(self.store, self.publisher, postboxes(self.config), self.sources),
            reread=self.receiver.reread,
            apis=self.api,
            redactor=self.redactor,
            node=self.node,
            hold_above={name: source.hold_above for name, source in self.config.sources.items()},
        )

    def api(self, source: str, exchange: Exchange | None = None) -> ApiClient:
        """Returns the API client of a source; its calls are noted in the exchange."""
        client = self.clients[source]
        return client.observed_by(exchange.note) if exchange is not None else client

    def take_secrets(self, config: Config) -> list[str]:
        """Takes over the secrets of a configuration that was read anew; returns the sources whose secrets changed.

        Everything else that was edited waits for the next start.
        """
        self.redactor.learn(config.secrets())
        changed = []
        for name, source in self.sources.items():
            block = config.sources.get(name)
            if block is None or block.connector != source.connector.name:
                continue
            fields = type(source.connector.settings).model_fields
            secrets = {key: getattr(block.settings, key) for key, info in fields.items() if holds_secrets(info)}
            now = source.connector.settings.model_copy(update=secrets)
            if now != source.connector.settings:
                source.connector.settings = now
                self.clients[name].sign_out()
                changed.append(name)
        return changed

    def finish_work(
        self, *, inbox_ids: Collection[int] | None = None, outbox_ids: Collection[int] | None = None
    ) -> bool:
        """Does what a command queued and what follows from it; without any ids everything that is due.

        Returns True when it is done, False when a running daemon takes it on.
        """
        if self.daemon_running:
            return False
        try:
            with OwnerLock(self.config.database_url, command=True) as lock:
                # To a daemon that was started since: what was queued is on disk, and nobody can reach that one yet.
                return self.workers.run_until_idle(inbox_ids=inbox_ids, outbox_ids=outbox_ids, hand_over=lock.wanted)
        except OwnedError:
            return False

    def close(self) -> None:
        """Takes leave of the other nodes, stops the children, closes connections and the store."""
        try:
            self.presence.end()
        except UnavailableError as error:
            log.warning("the other nodes were not told; they see it in a minute", reason=str(error))
        self.renderer.close()
        for way_out in self.clients.values():
            way_out.close()
        self.store.close()


@contextmanager
def open_bridge(config: Config, *, role: Role, stopping: Callable[[], bool] = lambda: False) -> Iterator[Bridge]:
    """Opens the store, brings it up to date and puts the bridge together; closes everything at the end.

    `daemon` takes the lock of a SQLite file for as long as it lives; `command` works beside a daemon or without one.
    `stopping` ends the wait of a daemon for a command that still works.
    Raises ConfigError (and MappingError) with what is wrong.
    """
    with open_database(config, daemon=role == "daemon", stopping=stopping) as opened:
        bridge = _assemble(config, opened.store, daemon_running=opened.served)
        if role == "daemon":
            bridge.presence.begin()
        try:
            yield bridge
        finally:
            bridge.close()


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
        clients={name: client(config, source, redactor) for name, source in sources.items()},
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


def _register_sources(config: Config, store: Store) -> None:
    for name, source in config.sources.items():
        store.transact(
            lambda tx, name=name, source=source: stored_sources.ensure(  # type: ignore[misc]
                tx, name, source.connector, since=source.since, formerly=source.formerly
            )
        )
