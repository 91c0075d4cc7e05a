"""Two vendors, a configuration and a database that outlive every daemon; and what must be true in the end."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from crash_daemon import Daemon, alive, eventually, free_port
from sqlalchemy import Table, select, update

from bridge.core.certificate_id import grouped
from bridge.core.models import SignedRequest
from bridge.demo.stage import ENROLMENT, LEARNER, MOODLE, THINKIFIC, Stage, moodle_webhook
from bridge.store import tables
from bridge.store.engine import Store, Transaction

Row = Mapping[str, Any]
SETTLED = {"done", "ignored"}
MOODLE_LEARNER = 3
FIELD = "certificateid"
SIGNS_OF_LIFE = ("daemon:", "source:")
"""What nodes on PostgreSQL tell each other; a dead one's runs out by itself and keeps nobody from work."""
CERTIFICATE_FIELD = 8
"""The number of Thinkific's field `Certificate ID` on the demo's stage."""


@dataclass(frozen=True)
class Look:
    """What stood in the database at one moment."""

    inbox: Sequence[Row]
    outbox: Sequence[Row]
    certificates: Sequence[Row]
    completions: Sequence[Row]
    versions: Sequence[Row]
    files: Sequence[Row]
    leases: Sequence[Row] = field(compare=False)
    """Not compared: a living node renews its sign of life as it likes."""

    @property
    def work(self) -> list[Row]:
        """Every row that has a state and a lease."""
        return [*self.inbox, *self.outbox]

    @property
    def running(self) -> list[Row]:
        """Rows under a lease."""
        return [row for row in self.work if row["state"] == "running"]

    def delivery(self, step: str) -> Row:
        """The one outbox row of a step."""
        (row,) = [row for row in self.outbox if row["step"] == step]
        return row


@dataclass
class Site:
    """Everything around the daemons of one test."""

    stands: Stage
    store: Store
    """The test's own eyes and, on PostgreSQL, its clock; never the owner."""
    port: int
    daemons: list[Daemon] = field(default_factory=list)

    # -- daemons -------------------------------------------------------------------------------

    def start(self, *, crash_at: str | None = None) -> Daemon:
        """Starts a daemon on the site's own port and waits until it serves."""
        return self.spawn(crash_at=crash_at).wait_ready()

    def spawn(self, *, crash_at: str | None = None) -> Daemon:
        """Starts a daemon on the site's own port."""
        return self._spawn(self.stands.folder / "config.yaml", self.port, crash_at)

    def start_node(self) -> Daemon:
        """Starts one more node: the same configuration but for the port."""
        port = free_port()
        text = (self.stands.folder / "config.yaml").read_text(encoding="utf-8")
        path = self.stands.folder / f"node-{port}.yaml"
        path.write_text(text.replace(f"listen: 127.0.0.1:{self.port}", f"listen: 127.0.0.1:{port}"), encoding="utf-8")
        return self._spawn(path, port, None).wait_ready()

    def _spawn(self, config: Path, port: int, crash_at: str | None) -> Daemon:
        log = self.stands.folder / f"daemon-{len(self.daemons) + 1}.log"
        daemon = Daemon(config, port, log, crash_at=crash_at)
        self.daemons.append(daemon)
        return daemon

    def close(self) -> None:
        """Ends whatever a failed test left running."""
        for daemon in self.daemons:
            with suppress(ProcessLookupError):
                daemon.signal(signal.SIGCONT)
            daemon.kill()

    # -- webhooks ------------------------------------------------------------------------------

    def webhook(self, source: str) -> SignedRequest:
        """What a vendor sends when the demo's learner completes the demo's course."""
        if source == MOODLE:
            return self.moodle_request(moodle_webhook())
        return self.thinkific_request(ENROLMENT, event_id="20261120114530222333445")

    def moodle_request(self, body: bytes) -> SignedRequest:
        """A body as Moodle's plugin posts it; the token stands in it."""
        return SignedRequest(body, {"Content-Type": "application/json"})

    def thinkific_request(self, enrolment: int, *, event_id: str) -> SignedRequest:
        """The signed event about an enrolment, which is complete from now on."""
        school = self.stands.thinkific.school
        school.complete(enrolment, datetime(2026, 11, 20, 16, 45, 30, tzinfo=UTC))
        body = json.dumps(school.completed_event(enrolment, event_id=event_id), ensure_ascii=False).encode()
        return self.sign(THINKIFIC, body)

    def sign(self, source: str, body: bytes) -> SignedRequest:
        """Signs as the vendor does."""
        # Imported late: connectors are looked up by name everywhere else, too.
        from bridge.config import discover_connectors

        block = self.stands.config.sources[source]
        connector = discover_connectors()[block.connector](block.settings)
        return connector.sign(body, {"Content-Type": "application/json"}, datetime.now(UTC))

    # -- the database --------------------------------------------------------------------------

    @property
    def shared(self) -> bool:
        """Whether several nodes may use the database: then a dead one's leases have to run out."""
        return self.store.dialect == "postgresql"

    def look(self) -> Look:
        """Reads everything at one moment."""
        return self.store.read(
            lambda tx: Look(
                inbox=_all(tx, tables.inbox),
                outbox=_all(tx, tables.outbox),
                certificates=_all(tx, tables.certificates),
                completions=_all(tx, tables.completions),
                versions=_all(tx, tables.versions),
                files=_all(tx, tables.files),
                leases=_all(tx, tables.leases),
            )
        )

    def time_passes(self) -> None:
        """Makes every lease and every wait be over, as they would be by themselves after a minute or an hour.

        The daemons' own lease of 45 seconds stays as it is; only the moments in the database move.
        """
        self._pass_time("running", "retrying")

    def _pass_time(self, *states: str) -> None:
        def write(tx: Transaction) -> None:
            for table in (tables.inbox, tables.outbox):
                late = table.c.state.in_(states), table.c.due_at > tx.now
                tx.connection.execute(update(table).where(*late).values(due_at=tx.now - timedelta(seconds=1)))

        self.store.transact(write)

    def wait_settled(self, daemon: Daemon, *, events: int = 1, hurry: bool = False) -> Look:
        """Waits until at least so many events are there and nothing has anything left to do.

        `hurry` makes the waits before a next attempt be over, as they would be by themselves within the hour.
        """
        looks: list[Look] = []

        def settled() -> bool:
            looks[:] = [self.look()]
            work = looks[0].work
            if hurry and any(row["state"] == "retrying" for row in work):
                self._pass_time("retrying")
            return len(looks[0].inbox) >= events and all(row["state"] in SETTLED for row in work)

        daemon.eventually(settled, "settle everything")
        return looks[0]

    # -- the outside ---------------------------------------------------------------------------

    def message_ids(self) -> dict[str, str]:
        """The Message-ID in each mail file, by file name.

        A kill in the middle of writing leaves a hidden `.part` beside them, which no reader of mails takes for one.
        """
        files = sorted((self.stands.folder / "mail").glob("*.eml"))
        return {path.name: str(BytesHeaderParser().parsebytes(path.read_bytes())["Message-ID"]) for path in files}

    def notes(self) -> list[str]:
        """The notes in Moodle."""
        with self.stands.moodle.lock:
            return [note.content for note in self.stands.moodle.site.notes.values()]

    def moodle_field(self, user: int = MOODLE_LEARNER) -> str | None:
        """A learner's profile field in Moodle."""
        with self.stands.moodle.lock:
            return self.stands.moodle.site.users[user].profile.get(FIELD)

    def thinkific_field(self, user: int = LEARNER.id) -> str | None:
        """A learner's custom profile field in Thinkific."""
        with self.stands.thinkific.lock:
            return self.stands.thinkific.school.users[user].fields.get(CERTIFICATE_FIELD)


def _all(tx: Transaction, table: Table) -> list[Row]:
    return [dict(row) for row in tx.connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()]


def assert_sound(site: Site, look: Look) -> None:
    """Holds after every crash, whatever was going on: nothing stuck, nothing doubled, nothing damaged."""
    assert {row["state"] for row in look.work} <= SETTLED
    assert not [row for row in look.work if row["lease_token"] or row["leased_by"] or row["due_at"]]
    assert not [row for row in live_leases(look) if not (site.shared and row["name"].startswith(SIGNS_OF_LIFE))]
    assert {row["state"] for row in look.certificates} == {"issued"}
    assert len(look.certificates) == len(look.completions) == len(look.versions) == len(look.files)
    keys = [(row["source"], row["test"], row["subject"], row["course"]) for row in look.completions]
    assert len(set(keys)) == len(keys)
    assert {(row["certificate_id"], row["version"], row["kind"]) for row in look.files} == {
        (row["id"], 1, "pdf") for row in look.certificates
    }
    assert all(row["bytes"].startswith(b"%PDF-") for row in look.files)
    mails = [row for row in look.outbox if row["kind"] == "mail"]
    assert sorted(row["certificate_id"] for row in mails) == sorted(row["id"] for row in look.certificates)
    names = site.message_ids()
    assert len(names) == len(set(names.values())) == len(mails)
    for certificate in look.certificates:
        assert [one for one in names.values() if grouped(certificate["id"]).lower() in one], certificate["id"]
    assert_file_whole(site)


def live_leases(look: Look) -> list[Row]:
    """Named leases that have not run out."""
    return [row for row in look.leases if row["until"] > datetime.now(UTC)]


def assert_file_whole(site: Site) -> None:
    """Asks SQLite itself; PostgreSQL checks its pages while it recovers."""
    path = site.stands.config.database_url.removeprefix("sqlite:///")
    if site.shared:
        return
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()


def assert_no_children_left(children: set[int]) -> None:
    """The rendering processes of a dead daemon end by themselves."""
    eventually(lambda: not any(alive(pid) for pid in children), "end its rendering processes")
