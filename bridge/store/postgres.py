"""The store in PostgreSQL: a transaction per call on a pool, run again when the server says it may be."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bridge.core.errors import MisplacedError, UnavailableError
from bridge.store import schema
from bridge.store.identity import SAID
from bridge.store.place import Trouble
from bridge.store.transaction import WAIT, Store, Transaction, inside_fn, refuse_nesting, run_hooks

T = TypeVar("T")
TRIES: Final = 20

_log = logging.getLogger(__name__)

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONFLICTS: Final = ("40001", "40P01")  # serialization failure, deadlock: the work was undone and may be done again
_AWAY: Final = ("08", "57P01", "57P02", "57P03", "53300")  # connection lost, shutting down, starting, too many clients
_UNFIT: Final = ("53", "55P03", "57014", "25006", "58", "XX")  # full, locked, timed out, read-only, disk, damaged
_UNFIT_NOW: Final = ("28", "3D000", "42501")  # login refused, no such database, a right that was taken away
_UNPREPARED: Final = ("42P01", "42703", "3F000")  # no such table, column, schema: dropped, or half restored


class PostgresStore(Store):
    """A PostgreSQL database, shared by any number of nodes."""

    dialect = "postgresql"

    def __init__(self, url: URL) -> None:
        self._where = f"{url.database or url.username} on {url.host or 'the local socket'}"
        self._write_engine = _engine(url, pool_size=10, max_overflow=20)
        # A read sees one snapshot, as it does on SQLite.
        self._read_engine = _engine(
            url,
            pool_size=5,
            max_overflow=15,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
        self._expected: str | None = None
        self._trouble: Trouble | None = None
        for engine in (self._write_engine, self._read_engine):
            event.listen(engine, "connect", self._recognise)
        self._probed = 0.0
        self._probe_problems: list[str] = []

    def transact(self, fn: Callable[[Transaction], T], *, wait: float = WAIT) -> T:
        refuse_nesting()
        result = self._until(self._write_engine, fn, wait)
        self._fine()
        return result

    def read(self, fn: Callable[[Transaction], T], *, wait: float = WAIT) -> T:
        refuse_nesting()
        return self._until(self._read_engine, fn, wait)

    def upgrade(self) -> None:
        refuse_nesting()
        try:
            schema.upgrade(self._write_engine, before=lambda _: None)
        except (DBAPIError, PoolTimeout) as error:
            raise self._unavailable(error) from error

    def expect(self, identity: str) -> None:
        self._expected = identity

    def trouble(self) -> Trouble | None:
        self.problems()
        return self._trouble

    def problems(self) -> list[str]:
        # Cached for a second: /readyz is open to strangers, and each probe writes to the disk.
        if time.monotonic() - self._probed > 1.0:
            self._probe_problems = schema.probe(self)
            self._probed = time.monotonic()
        return list(self._probe_problems)

    def close(self) -> None:
        self._write_engine.dispose()
        self._read_engine.dispose()

    # -- inside --------------------------------------------------------------------------------

    def _recognise(self, connection: Any, _: object) -> None:
        """Looks into a database that is connected to (anew): it may have been dropped and made again meanwhile."""
        if self._expected is None:
            return
        try:
            found = connection.execute(SAID.text).fetchone()
        finally:
            connection.rollback()
        if found is None or found[0] != self._expected:
            raise self._misplaced(
                "The database is another one than before; certbridge has to be restarted.",
                f"The database {self._where} is another one than certbridge was started with. Put that one back and it "
                "goes on by itself; to work with this one, restart certbridge.",
            )

    def _misplaced(self, public: str, advice: str) -> MisplacedError:
        """Returns the error that says so; the log is told when it begins."""
        trouble = Trouble(public, advice)
        if trouble != self._trouble:
            self._trouble = trouble
            _log.error("not storing, issuing or sending anything: %s", advice)
        return MisplacedError(f"{advice} Nothing was stored.", public=public)

    def _fine(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            _log.warning("the database can be used again; going on")

    def _until(self, engine: Engine, fn: Callable[[Transaction], T], wait: float) -> T:
        """Runs `fn` again after a conflict or a lost connection, until it is committed or `wait` seconds are over."""
        deadline = time.monotonic() + wait
        for attempt in range(TRIES):
            try:
                return self._once(engine, fn)
            except PoolTimeout as error:
                raise UnavailableError(
                    "All connections to the database are in use; nothing was stored.", code="queue_full"
                ) from error
            except DBAPIError as error:
                if not _may_run_again(error):
                    if _is_unfit(error):
                        raise self._unavailable(error) from error
                    raise
                pause = min(1.0, 0.02 * 2**attempt) * (0.5 + random.random())  # noqa: S311 (spreads load only)
                if attempt + 1 == TRIES or time.monotonic() + pause > deadline:
                    raise self._unavailable(error) from error
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _once(self, engine: Engine, fn: Callable[[Transaction], T]) -> T:
        with engine.connect() as connection:
            transaction = Transaction(connection, self.dialect)
            with connection.begin() as running:
                with inside_fn():
                    result = fn(transaction)
                try:
                    running.commit()
                except DBAPIError as error:
                    if _is_lost(error):
                        raise UnavailableError(
                            f"The connection to the database {self._where} broke while storing; "
                            "it is not known whether this was stored.",
                            code="store_unavailable",
                        ) from error
                    raise
        run_hooks(transaction.hooks)
        return result

    def _unavailable(self, error: Exception) -> UnavailableError:
        state = _sqlstate(error)
        if state in _UNPREPARED:
            return self._misplaced("The database has no tables, or not all.", schema.not_prepared(self._where))
        if state == "25006":
            return self._misplaced(
                "The database can only be read now.",
                f"The database {self._where} can only be read now (a standby, or switched to read-only). certbridge "
                "goes on by itself once it can be written.",
            )
        orig = error.orig if isinstance(error, DBAPIError) else error
        cause = str(orig).strip().split("\n", maxsplit=1)[0]
        return UnavailableError(
            f"The database {self._where} cannot be used: {cause}. Nothing was stored.", code="store_unavailable"
        )


def _engine(url: URL, **options: Any) -> Engine:
    # Limits on every wait: a network that swallows packets must not hold a thread for hours.
    arguments = {
        "connect_timeout": 5,
        "application_name": "certbridge",
        "options": "-c timezone=UTC -c statement_timeout=30000 -c lock_timeout=10000"
        " -c idle_in_transaction_session_timeout=60000",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    kept = {name: value for name, value in arguments.items() if name not in url.query}
    return create_engine(url, connect_args=kept, pool_timeout=WAIT, pool_recycle=1800, pool_use_lifo=True, **options)


def _sqlstate(error: Exception) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _is_lost(error: DBAPIError) -> bool:
    # Failing to connect at all carries no SQLSTATE and no connection to invalidate.
    state = _sqlstate(error)
    return error.connection_invalidated or state.startswith(_AWAY) or (not state and error.statement is None)


def _may_run_again(error: DBAPIError) -> bool:
    return _is_lost(error) or _sqlstate(error) in _CONFLICTS


def _is_unfit(error: DBAPIError) -> bool:
    return _sqlstate(error).startswith((*_UNFIT, *_UNFIT_NOW, *_UNPREPARED))
