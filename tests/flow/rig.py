"""A whole bridge in a temporary folder: configuration, mappings, both vendors as stand-ins, and a look inside."""

from __future__ import annotations

import http.client
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner
from flow.rig_settings import MOODLE_MAPPING, SECRETS, THINKIFIC_MAPPING, furnish, settings
from pypdf import PdfReader
from sqlalchemy import select, update

from bridge.app import read_config
from bridge.cli.commands import certbridge
from bridge.config import Config
from bridge.core import certificate_id
from bridge.core.models import SignedRequest, State
from bridge.daemon import Running, running
from bridge.demo.vendors.moodle import MoodleStandIn
from bridge.demo.vendors.moodle_site import Note
from bridge.demo.vendors.thinkific import ThinkificStandIn
from bridge.store import attempts, certificates, chain, history, inbox, outbox, requests, tables
from bridge.store.find import find
from bridge.store.transaction import Transaction

SAMPLES = Path(__file__).parents[1] / "samples"
PATIENCE = 30.0


@dataclass(frozen=True)
class Answer:
    """What the bridge answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def event(self) -> int:
        """The number of the only event."""
        (number,) = self.json()["events"]
        return int(number)


@dataclass
class Rig:
    """`with rig.running():` starts the bridge as it is configured then; the vendors live as long as the test."""

    folder: Path
    moodle: MoodleStandIn
    thinkific: ThinkificStandIn
    settings: dict[str, Any]
    run: Running | None = None

    # -- before the start --------------------------------------------------------------------------

    def set(self, path: str, value: object) -> None:
        """Changes the configuration: `set("sources.moodle.mode", "test")`; None removes the line."""
        *parents, last = path.split(".")
        block = self.settings
        for name in parents:
            block = block.setdefault(name, {})
        if value is None:
            block.pop(last, None)
        else:
            block[last] = value

    def mapping(self, source: str, text: str) -> Path:
        """Writes the mapping of a source, whole at once: a running bridge never finds half of it."""
        path = self.folder / "mappings" / f"{source}-courses.yaml"
        path.parent.mkdir(exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
        return path

    def take_over_mappings(self) -> None:
        """Has edited mappings taken over, as the running bridge does at its second look."""
        for _ in range(2):
            self.bridge.mappings.refresh()

    def config(self) -> Config:
        """Writes the configuration and reads it as the command does."""
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.settings, allow_unicode=True), encoding="utf-8")
        return read_config(path, {})

    @contextmanager
    def running(self) -> Iterator[Rig]:
        """Starts the bridge and stops it in order."""
        with running(self.config()) as run:
            self.run = run
            try:
                yield self
            finally:
                self.run = None

    @property
    def bridge(self) -> Any:
        assert self.run is not None, "the bridge does not run"
        return self.run.bridge

    # -- from outside ------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Sends one HTTP request to the bridge."""
        assert self.run is not None, "the bridge does not run"
        connection = http.client.HTTPConnection("127.0.0.1", self.run.server.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def post(
        self, source: str, body: bytes, headers: Mapping[str, str] | None = None, token: str | None = None
    ) -> Answer:
        """Posts a body as it is to the door of a source."""
        path = f"/hooks/{source}" + (f"/{token}" if token else "")
        return self.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def post_sample(self, name: str, source: str = "moodle") -> Answer:
        """Posts what a real Moodle sent, byte for byte, with its headers."""
        body, headers = sample(name)
        return self.post(source, body, headers)

    def post_signed(self, event: Mapping[str, Any] | bytes, source: str = "thinkific") -> Answer:
        """Signs an event with the configured secret and posts it."""
        body = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
        signed: SignedRequest = self.bridge.sources[source].connector.sign(
            body, {"Content-Type": "application/json"}, datetime.now(UTC)
        )
        return self.post(source, signed.body, signed.headers, signed.path_token)

    def post_at_once(self, bodies: list[bytes], source: str = "moodle", threads: int = 16) -> list[Answer]:
        """Posts bodies in parallel."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda body: self.post(source, body), bodies))

    def page(self, identifier: str) -> Answer:
        """Opens the verification page of a certificate."""
        return self.request("GET", f"/c/{certificate_id.grouped(identifier)}")

    def pdf_text(self, identifier: str) -> str:
        """Downloads the PDF and returns what stands on it."""
        answer = self.request("GET", f"/c/{certificate_id.grouped(identifier)}.pdf")
        assert answer.status == 200, answer
        return " ".join(PdfReader(io.BytesIO(answer.body)).pages[0].extract_text().split())

    # -- waiting -----------------------------------------------------------------------------------

    def wait(self, what: Callable[[], Any]) -> Any:
        """Waits until something is true and returns it."""
        end = time.monotonic() + PATIENCE
        while not (found := what()):
            assert time.monotonic() < end, f"not within {PATIENCE:.0f} s; {self.story()}"
            time.sleep(0.02)
        return found

    def wait_settled(self) -> None:
        """Waits until nothing is worked on, and nothing is due by itself before its next attempt."""
        self.wait(lambda: self.read(_settled))

    def later(self, *, leases: bool = False) -> None:
        """Lets the time of every next attempt come now, and waits until they are through.

        `leases`: also lets the leases run out under which work was lost.
        """

        def hurry(tx: Transaction) -> None:
            for table in (tables.inbox, tables.outbox):
                waiting = table.c.state == State.RETRYING.value
                tx.connection.execute(update(table).where(waiting).values(state=State.READY.value, due_at=tx.now))
                if leases:
                    running = table.c.state == State.RUNNING.value
                    tx.connection.execute(update(table).where(running).values(due_at=tx.now))

        self.bridge.store.transact(hurry)
        self.bridge.workers.wake()
        self.wait_settled()

    # -- inside ------------------------------------------------------------------------------------

    def read(self, fn: Callable[[Transaction], Any]) -> Any:
        """Reads from the store of the running bridge."""
        return self.bridge.store.read(fn)

    def events(self) -> list[inbox.InboxRow]:
        """Every event, oldest first."""
        return list(reversed(self.read(lambda tx: inbox.search(tx, limit=1000))))

    def event(self, number: int | None = None) -> inbox.InboxRow:
        """One event; without a number the only one."""
        if number is None:
            (only,) = self.events()
            return only
        found: inbox.InboxRow | None = self.read(lambda tx: inbox.get(tx, number))
        assert found is not None
        return found

    def certificates(self) -> list[certificates.CertificateHit]:
        """Every certificate, oldest first."""
        return list(reversed(self.read(lambda tx: certificates.search(tx, limit=1000))))

    def certificate(self) -> certificates.CertificateHit:
        """The only certificate."""
        (only,) = self.certificates()
        return only

    def renews(self, hit: certificates.CertificateHit) -> str | None:
        """The id of the certificate that this one renews."""
        links: chain.Links = self.read(lambda tx: chain.links(tx, hit))
        return links.renews

    def deliveries(self, kind: str | None = None) -> list[outbox.OutboxRow]:
        """Every delivery, oldest first."""
        return list(reversed(self.read(lambda tx: outbox.search(tx, kind=kind, limit=1000))))

    def delivery(self, kind: str) -> outbox.OutboxRow:
        """The only delivery of a kind."""
        (only,) = self.deliveries(kind)
        return only

    def requests(self) -> list[requests.RequestRow]:
        """Every request at the door, oldest first."""
        return list(reversed(self.read(lambda tx: requests.search(tx, limit=1000))))

    def attempts(self, *, inbox_id: int | None = None, outbox_id: int | None = None) -> list[Any]:
        """Every attempt at one row, oldest first."""
        found: list[Any] = self.read(lambda tx: attempts.of(tx, inbox_id=inbox_id, outbox_id=outbox_id))
        return found

    def timeline(self, **which: Any) -> list[history.HistoryRow]:
        """The history of one certificate or event."""
        found: list[history.HistoryRow] = self.read(lambda tx: history.timeline(tx, **which))
        return found

    def find(self, text: str) -> list[Any]:
        """What `certbridge find` would list."""
        found: list[Any] = self.read(lambda tx: find(tx, text))
        return found

    def mails(self, folder: str = "mail") -> list[EmailMessage]:
        """Every mail in a folder, in the order of their file names."""
        paths = sorted((self.folder / folder).glob("*.eml"))
        return [read_mail(path.read_bytes()) for path in paths]

    def notes(self) -> list[Note]:
        """Every note in Moodle."""
        with self.moodle.lock:
            return list(self.moodle.site.notes.values())

    def fields(self, user: int = 123456) -> dict[str, str]:
        """The profile fields of a user in Thinkific, by label."""
        school = self.thinkific.school
        with self.thinkific.lock:
            return {school.definitions[number].label: value for number, value in school.users[user].fields.items()}

    def certbridge(self, *words: str) -> str:
        """Runs the command beside the running bridge; returns what it says, every white space as one."""
        arguments = ["-c", str(self.folder / "config.yaml"), *words]
        result = CliRunner().invoke(certbridge, arguments, env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    def dump(self) -> str:
        """Everything the database holds, as text."""

        def look(tx: Transaction) -> str:
            rows = (
                row for table in tables.metadata.sorted_tables for row in tx.connection.execute(select(table)).all()
            )
            return "\n".join(repr(tuple(row)) for row in rows)

        return str(self.read(look))

    def story(self) -> str:
        """Says how every row stands, for a test that failed."""
        if self.run is None:
            return "the bridge does not run"
        rows = [*self.events(), *self.deliveries()]
        return "; ".join(f"{type(row).__name__} {row.id} {row.state} {row.code}: {row.reason}" for row in rows)


def _settled(tx: Transaction) -> bool:
    """Looks at the states alone: it is asked again and again while the bridge works in the same process."""
    moving = tables.inbox.c.state.in_((State.READY.value, State.RUNNING.value))
    if tx.connection.execute(select(tables.inbox.c.id).where(moving).limit(1)).first() is not None:
        return False
    found = tx.connection.execute(select(tables.outbox.c.id, tables.outbox.c.state, tables.outbox.c.after_id))
    rows = {number: (State(state), after) for number, state, after in found.all()}
    return not any(
        state is State.RUNNING or (state is State.READY and not _stuck(after, rows)) for state, after in rows.values()
    )


def _stuck(after: int | None, rows: Mapping[int, tuple[State, int | None]]) -> bool:
    """Tells whether a step waits for an earlier one that will not be done before its next attempt, if ever."""
    if after is None or after not in rows:
        return False
    state, before = rows[after]
    if state in (State.DONE, State.IGNORED, State.RUNNING):
        return False
    return state is not State.READY or _stuck(before, rows)


def sample(name: str, source: str = "moodle") -> tuple[bytes, dict[str, str]]:
    """Returns body and headers of a captured request; the headers of the connection itself are left out."""
    folder = SAMPLES / source / name
    headers = json.loads((folder / "headers.json").read_text())
    kept = {key: value for key, value in headers.items() if key not in ("Host", "Content-Length")}
    return (folder / "body").read_bytes(), kept


def changed(body: bytes, **changes: Any) -> bytes:
    """Returns a JSON body with other fields."""
    return json.dumps({**json.loads(body), **changes}).encode()


def read_mail(raw: bytes) -> EmailMessage:
    """Reads a mail as a mail program would."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def to(mail: EmailMessage) -> list[str]:
    """Returns the addresses a mail says it is for."""
    return [address.addr_spec for address in mail["To"].addresses]


@contextmanager
def build(folder: Path, database: str) -> Iterator[Rig]:
    """Writes the files and starts the vendors; the bridge itself starts with `running`."""
    with ExitStack() as stack:
        moodle = stack.enter_context(MoodleStandIn(token=SECRETS["token"]))
        thinkific = stack.enter_context(ThinkificStandIn(api_key=SECRETS["api_key"]))
        furnish(thinkific)
        rig = Rig(folder, moodle, thinkific, settings(moodle, thinkific, database))
        rig.mapping("moodle", MOODLE_MAPPING)
        rig.mapping("thinkific", THINKIFIC_MAPPING)
        yield rig
