"""Any source with any stand-in, on top of the rig: the vendor's own webhooks, polls, a clock that goes on when told."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from flow.rig import Answer, Rig
from flow.rig_settings import PUBLIC, WEBHOOK_TOKEN
from sqlalchemy import select
from vendors.faults import Faults
from vendors.kajabi import KajabiStandIn
from vendors.kajabi_account import Tag
from vendors.teachable import TeachableStandIn

from bridge.cli.commands import certbridge
from bridge.clients.pace import Pace
from bridge.core import certificate_id
from bridge.core.errors import BridgeError
from bridge.core.models import State
from bridge.demo.vendors.json_vendor import Delivery
from bridge.demo.vendors.moodle import MoodleStandIn
from bridge.demo.vendors.moodle_site import User
from bridge.demo.vendors.stand_in import StandIn
from bridge.demo.vendors.thinkific import ThinkificStandIn
from bridge.flow.poll import Polled
from bridge.store import outbox, polls, sources, tables
from bridge.store.transaction import Transaction

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""When every test begins."""
ADDRESS_TOKEN = "sample-address-token-0005"
V = TypeVar("V", bound=StandIn)


def number(rig: Rig, at: int = -1) -> str:
    """Returns the number of the newest certificate (or of another) as people read it."""
    return certificate_id.grouped(rig.certificates()[at].certificate.id)


class Clock:
    """The clock of the database and of the vendors: it stands still until a test lets time pass.

    So nothing that waits for its next attempt tries again by itself, however slow the machine is.
    """

    def __init__(self) -> None:
        self._now = NOON
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Returns what time it is; no two looks give the same."""
        with self._lock:
            self._now += timedelta(microseconds=1)
            return self._now

    def seconds(self) -> float:
        """Returns the same as Unix seconds, as vendors want it."""
        return self.now().timestamp()

    def forward(self, **much: float) -> None:
        """Lets time pass: `forward(days=1)`."""
        with self._lock:
            self._now += timedelta(**much)

    def ago(self, **much: float) -> datetime:
        """Returns a moment in the past, without parts of a second."""
        return (self.now() - timedelta(**much)).replace(microsecond=0)


@dataclass
class Place(Generic[V]):
    """One source of a bridge, and the vendor that it talks to."""

    rig: Rig
    name: str
    vendor: V
    clock: Clock
    faults: Faults
    token: str | None = None
    """The end of the webhook's address."""

    @property
    def address(self) -> str:
        """The webhook's address as the vendor knows it."""
        return f"{PUBLIC}/hooks/{self.name}" + (f"/{self.token}" if self.token else "")

    def set(self, setting: str, value: object) -> None:
        """Changes a setting of the source."""
        self.rig.set(f"sources.{self.name}.{setting}", value)

    def running(self) -> AbstractContextManager[Rig]:
        """Starts the bridge; several times one after the other are restarts."""
        return self.rig.running()

    # -- what the vendor does ----------------------------------------------------------------------

    def deliver(self, deliveries: Iterable[Delivery]) -> list[Answer]:
        """Brings webhooks where the vendor sends them, byte for byte, and waits until they are through."""
        found = []
        for one in deliveries:
            address = urlsplit(one.url)
            assert f"{address.scheme}://{address.netloc}" == PUBLIC
            target = address.path + (f"?{address.query}" if address.query else "")
            found.append(self.rig.request("POST", target, one.body, one.headers))
        self.settle()
        return found

    # -- what the bridge does ----------------------------------------------------------------------

    def settle(self) -> None:
        """Waits until nothing is worked on and nothing waits for another event about the same completion."""
        self.rig.wait_settled()
        while any(row.code == "twin" and row.state is State.RETRYING for row in self.rig.events()):
            self.tried_again(seconds=1)

    def poll(self) -> Polled:
        """Polls the source now, and waits until what was found is through."""
        polled: Polled | None = self.rig.bridge.polling.poll(self.rig.bridge.sources[self.name])
        assert polled is not None
        self.settle()
        return polled

    def fails_to_poll(self) -> BridgeError:
        """Polls the source now, which must fail, and returns why."""
        with pytest.raises(BridgeError) as caught:
            self.rig.bridge.polling.poll(self.rig.bridge.sources[self.name])
        self.settle()
        return caught.value

    def tried_again(self, **later: float) -> None:
        """Lets time pass (an hour, unless told otherwise) and what waits for its next attempt try again."""
        self.clock.forward(**(later or {"hours": 1}))
        self.rig.later()

    def command(self, *words: str, fails: bool = False) -> str:
        """Runs the command beside the bridge and waits until what it queued is through; returns what it says."""
        arguments = ["-c", str(self.rig.folder / "config.yaml"), *words]
        result = CliRunner().invoke(certbridge, arguments, env={"COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1"})
        assert result.exit_code == int(fails), result.output
        self.settle()
        return " ".join(result.output.split())

    # -- how things stand --------------------------------------------------------------------------

    def row(self) -> sources.SourceRow:
        """What the store knows about the source."""
        found: sources.SourceRow | None = self.rig.read(lambda tx: sources.get(tx, self.name))
        assert found is not None
        return found

    def rests_for(self) -> float | None:
        """The seconds until the source is asked again; None: it does not rest."""
        until = self.row().paused_until
        return (until - self.clock.now()).total_seconds() if until else None

    def due(self, every: timedelta = timedelta(minutes=15)) -> bool:
        """Tells whether the schedule would poll the source now."""
        return bool(self.rig.bridge.polling.due(self.rig.bridge.sources[self.name], every))

    def poll_error(self) -> str | None:
        """What went wrong with the last poll, as the admin is shown it."""
        return polls.state(self.row(), test=False).error

    def steps(self) -> list[tuple[str, State, str | None]]:
        """Step, state and code of every write-back, oldest first."""
        return [(row.step, row.state, row.code) for row in self.write_backs()]

    def write_backs(self) -> list[outbox.OutboxRow]:
        """Every write-back, oldest first."""
        return self.rig.deliveries("write_back")

    def assert_loop_closed(self, certificates: int = 1) -> None:
        """So many certificates, a mail for each, and everything written back and read back; nothing was refused."""
        hits = self.rig.certificates()
        assert [hit.certificate.state for hit in hits] == ["issued"] * certificates, self.rig.story()
        assert len(self.rig.mails()) == certificates
        assert self.write_backs()
        assert all(row.state is State.DONE for row in self.rig.deliveries()), self.rig.story()
        # Of a message Moodle shows nothing that could be read back.
        unconfirmed = {row.step for row in self.write_backs() if not (row.receipt or {})["confirmed"]}
        assert unconfirmed <= {"message"}, self.rig.story()
        assert not self.vendor.refused

    def reconciled(self) -> list[Any]:
        """What the history says of completions that no webhook told of."""
        told = select(tables.history.c.data).where(tables.history.c.kind == "source.reconciled")
        return list(self.rig.read(lambda tx: tx.connection.execute(told).scalars().all()))


# -- the four vendors ----------------------------------------------------------------------------


@contextmanager
def teachable(rig: Rig, patch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Place[TeachableStandIn]]:
    """A bridge whose only source is a Teachable school whose answers show `src`, and that gets the number into it."""
    clock = still_clock(patch)
    with TeachableStandIn(clock=clock.seconds) as vendor:
        vendor.shows_src = True
        ours = {
            "url_token": ADDRESS_TOKEN,
            "api_key": vendor.api_key,
            "api_url": vendor.base_url,
            "write_back": {"src": True},
        }
        yield _place(rig, "teachable", vendor, clock, {**ours, **settings}, ADDRESS_TOKEN)


@contextmanager
def kajabi(rig: Rig, patch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Place[KajabiStandIn]]:
    """A bridge whose only source is a Kajabi site with two courses and a mark for each."""
    clock = still_clock(patch)
    with KajabiStandIn(clock=clock.seconds) as vendor:
        vendor.account.add(Tag("789", "certificate: Safety Basics"), Tag("790", "certificate: Forklift Operator"))
        ours = {
            "url_token": ADDRESS_TOKEN,
            "client_id": vendor.tokens.client_id,
            "client_secret": vendor.tokens.client_secret,
            "site_id": "2",
            "api_url": vendor.base_url,
            "tags": {"123": "789", "124": "790"},
            "write_back": {"field": "Certificate ID"},
        }
        yield _place(rig, "kajabi", vendor, clock, {**ours, **settings}, ADDRESS_TOKEN)


@contextmanager
def thinkific(rig: Rig, patch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Place[ThinkificStandIn]]:
    """A bridge whose only source is the rig's Thinkific, which signs with its API key."""
    ours = {
        "subdomain": rig.thinkific.subdomain,
        "api_key": rig.thinkific.api_key,
        "signing_secret": rig.thinkific.api_key,
        "api_url": rig.thinkific.base_url,
        "profile_field": "Certificate ID",
    }
    yield _place(rig, "thinkific", rig.thinkific, still_clock(patch), {**ours, **settings}, None)


@contextmanager
def moodle(rig: Rig, patch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Place[MoodleStandIn]]:
    """A bridge whose only source is the rig's Moodle, with local_webhooks unless told otherwise.

    Every learner has a name that the certificate's typeface can draw; what happens to others has a test elsewhere.
    """
    rig.moodle.site.add(User(4, "learner2", "Xiaolong", "Li", "li.xiaolong@example.invalid"))
    ours = {"url": rig.moodle.url, "token": rig.moodle.token, "webhook_token": WEBHOOK_TOKEN}
    yield _place(rig, "moodle", rig.moodle, still_clock(patch), {**ours, **settings}, None)


def _place(rig: Rig, name: str, vendor: V, clock: Clock, settings: dict[str, Any], token: str | None) -> Place[V]:
    only_source(rig, name, settings)
    return Place(rig, name, vendor, clock, Faults(vendor), token)


def only_source(rig: Rig, name: str, settings: dict[str, Any], *, mapping: str = "other_courses: issue\n") -> None:
    """Gives the bridge one source, live and polled when a test means to, that is named like its connector."""
    base = {"connector": name, "mode": "live", "mapping": f"{name}-courses.yaml", "since": "2026-01-01"}
    rig.set("sources", {name: {**base, "allow_private": True, "poll_every": "off", **settings}})
    rig.mapping(name, f"extends: {name}\n{mapping}")


def still_clock(patch: pytest.MonkeyPatch) -> Clock:
    """Puts the clock into the database, and takes the pauses between requests away: they have tests of their own."""
    clock = Clock()
    patch.setattr(Transaction, "now", property(lambda tx: clock.now()))
    patch.setattr(Pace, "wait", lambda pace: None)
    return clock
