"""Opens the database that belongs to a configuration, or says why it is not there: it never starts anew by mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from bridge.config import Config
from bridge.config.marker import Marker
from bridge.core.errors import ConfigError, UnavailableError
from bridge.flow.presence import daemon_lives
from bridge.store import identity, queue
from bridge.store.engine import Note, OwnerLock, Store, open_store
from bridge.store.mixed import refuse_mixed
from bridge.store.owner import noted_elsewhere
from bridge.store.place import database_path

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that is up to date and the right one."""

    store: Store
    served: bool
    """Whether a daemon works on it, beside this process."""


@contextmanager
def open_database(config: Config, *, daemon: bool, stopping: Callable[[], bool]) -> Iterator[Opened]:
    """Opens the database and brings it up to date; a daemon takes the lock of a SQLite file for as long as it lives.

    Raises ConfigError where it is not the one that belongs here, and UnavailableError where it may not be used now.
    """
    refuse_vanished(config)
    _make_data_dir(config)
    url, left = config.database_url, OwnerLock.last_note(config.database_url)
    with ExitStack() as closing:
        lock = closing.enter_context(OwnerLock(url, stopping=stopping)) if daemon else None
        serving = None if daemon else OwnerLock.serving(url)
        if serving is not None:
            _refuse_beside(config, serving)
        else:
            refuse_mixed(url, left)
        store = open_store(url, owner=daemon, queue_limit=config.limits.queued_writes, lock=lock)
        closing.callback(store.close)
        _bring_up(config, store, daemon=daemon)
        yield Opened(store, not daemon and (serving is not None or daemon_lives(store)))


def vanished(config: Config) -> str | None:
    """Says that a SQLite file which was there is not; None where it is, or was never."""
    path = _file(config)
    if path is None or _known(config) is None or (path.is_file() and path.stat().st_size):
        return None
    return (
        f"The database {path} is not there, and this is not a first start. If its disk is not mounted, mount it; if it "
        f"was moved, set data_dir or database; if it is lost, restore a backup. Only to begin anew, without any of the "
        f"certificates so far: delete {_marker_path(config)}"
    )


def refuse_vanished(config: Config) -> None:
    """Raises ConfigError where the database is not there that was."""
    said = vanished(config)
    if said is not None:
        raise ConfigError(said)


def _bring_up(config: Config, store: Store, *, daemon: bool) -> None:
    known = _known(config)
    if known is not None:
        _recognise(config, store, known)
    store.upgrade()
    if daemon and store.dialect == "sqlite":
        _take_over(store)
    found = store.transact(lambda tx: identity.ensure(tx, known))
    store.expect(found)
    if found != known:
        _remember(config, found, loud=daemon)


def _recognise(config: Config, store: Store, known: str) -> None:
    empty, found = store.read(lambda tx: (identity.is_empty(tx), identity.of(tx)))
    where = _place(config)
    if empty:
        raise ConfigError(
            f"The database {where} is empty, and this is not a first start. Restore a backup of it. Only to begin "
            f"anew, without any of the certificates so far: delete {_marker_path(config)}"
        )
    # A backup from before there were identities has none; it gets the one that is expected.
    if found not in (None, known):
        raise ConfigError(
            f"The database {where} belongs to another installation ({_marker_path(config)} names the right one by its "
            "identity). Put the right one there, or set database. To use the one that is there from now on, delete "
            "that file."
        )


def _take_over(store: Store) -> None:
    """Frees what a daemon that died had in work: the lock of the file proves that nobody works on it any more."""
    left = store.transact(queue.forget_leases)
    if left:
        log.warning("taking over what certbridge had in work when it last ended", rows=left)


def _refuse_beside(config: Config, serving: Note) -> None:
    path = _file(config)
    if serving.trouble:
        raise UnavailableError(f"The running certbridge does nothing now: {serving.trouble}")
    if path is not None and path.is_file() and noted_elsewhere(serving, path.stat()):
        raise UnavailableError(
            f"The database {path} is another file than the one that the running certbridge (process {serving.serves}) "
            "opened. Put the first file back, or restart certbridge to work with the new one."
        )


# -- the marker ------------------------------------------------------------------------------------


def _known(config: Config) -> str | None:
    return Marker.beside(config.file).known().get(_place(config)) if config.file is not None else None


def _marker_path(config: Config) -> str:
    return str(Marker.beside(config.file).path) if config.file is not None else ""


def _remember(config: Config, found: str, *, loud: bool) -> None:
    if config.file is None:
        return
    try:
        Marker.beside(config.file).remember(_place(config), found)
    except OSError as error:
        if loud:
            log.warning(
                "the marker of this installation cannot be written: a data folder that vanishes will look like a first "
                "start",
                file=_marker_path(config),
                reason=error.strerror,
            )


def _place(config: Config) -> str:
    """Returns where the database is, without secrets; relative to the configuration where it lies below it."""
    path = _file(config)
    if path is None:
        url = make_url(config.database_url)
        return f"postgresql://{url.host or ''}:{url.port or 5432}/{url.database or ''}"
    folder = config.file.parent if config.file is not None else path.parent
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _file(config: Config) -> Path | None:
    try:
        url = make_url(config.database_url)
    except ArgumentError:
        return None  # open_store says what is wrong with it
    return database_path(url) if url.drivername.startswith("sqlite") else None


def _make_data_dir(config: Config) -> None:
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"data_dir: {config.data_dir} cannot be made ({error.strerror}). Name a folder that certbridge may write."
        ) from error
