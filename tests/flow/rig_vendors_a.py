"""A whole bridge with one vendor's stand-in as its source: polled, throttled and looked into when a test says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from flow.rig import Rig
from vendors.faults import Faults

from bridge.core.models import State
from bridge.demo.vendors.stand_in import StandIn
from bridge.flow.poll import Polled
from bridge.store import inbox, outbox, sources

V = TypeVar("V", bound=StandIn)


@dataclass
class Vendor(Generic[V]):
    """One source of a bridge, and the vendor behind it."""

    rig: Rig
    name: str
    stand_in: V
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.faults = Faults(self.stand_in)

    # -- before the start --------------------------------------------------------------------------

    def configure(self, mapping: str, **settings: Any) -> None:
        """Makes this the only source: live, polled when a test says so."""
        common = {"mode": "live", "since": "2026-01-01", "allow_private": True, "poll_every": "off"}
        self.rig.mapping(self.name, mapping)
        source = {**common, "connector": self.name, "mapping": f"{self.name}-courses.yaml", **settings}
        self.rig.set("sources", {self.name: source})

    def set(self, path: str, value: object) -> None:
        """Changes one setting of the source, for the next start."""
        self.rig.set(f"sources.{self.name}.{path}", value)

    # -- what happens ------------------------------------------------------------------------------

    def address(self, token: str = "") -> str:
        """Where the vendor's webhooks go."""
        assert self.rig.run is not None, "the bridge does not run"
        return f"{self.rig.run.url}/hooks/{self.name}" + (f"/{token}" if token else "")

    def poll(self) -> Polled:
        """Polls now, and waits until what it found is through."""
        polled = self.rig.bridge.polling.poll(self.rig.bridge.sources[self.name])
        assert polled is not None
        self.rig.wait_settled()
        found: Polled = polled
        return found

    def later(self) -> None:
        """Lets a pause and the time of every next attempt be over, and waits until they are through."""
        self.rig.bridge.store.transact(lambda tx: sources.resume(tx, self.name))
        self.rig.later()

    def replay(self, number: int, *, refetch: bool | None = None) -> None:
        """Has a person work an event once more."""
        self.rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test", refetch=refetch))
        self._go_on()

    def release(self, number: int, **overrides: str) -> None:
        """Has a person release a held event."""
        given = overrides or {"released": "yes"}
        self.rig.bridge.store.transact(
            lambda tx: inbox.release(tx, number, overrides=given, actor="test", reason="looked at")
        )
        self._go_on()

    def resend(self, number: int) -> None:
        """Has a person try a delivery once more."""
        self.rig.bridge.store.transact(lambda tx: outbox.replay(tx, number, actor="test"))
        self._go_on()

    def revoke(self, identifier: str, reason: str = "Issued by mistake") -> None:
        """Has a person take a certificate back, and waits until learner and vendor were told."""
        self.rig.bridge.amending.revoke(identifier, reason=reason, actor="test", mail=True)
        self.rig.wait_settled()

    def _go_on(self) -> None:
        self.rig.bridge.workers.wake()
        self.rig.wait_settled()

    # -- inside ------------------------------------------------------------------------------------

    def source(self) -> sources.SourceRow:
        """What the store knows about the source."""
        row = self.rig.read(lambda tx: sources.get(tx, self.name))
        assert isinstance(row, sources.SourceRow)
        return row

    def rested(self, since: datetime | None) -> float:
        """For how many seconds from this moment the source rests, whatever the clock says by now."""
        until = self.source().paused_until
        return (until - since).total_seconds() if until is not None and since is not None else 0.0

    def last_attempt(self, number: int) -> datetime:
        """When the last attempt at an event ended."""
        ended: datetime = self.rig.attempts(inbox_id=number)[-1].ended_at
        return ended

    def steps(self) -> Mapping[str, outbox.OutboxRow]:
        """The latest delivery of each write-back step."""
        return {row.step: row for row in self.rig.deliveries("write_back")}

    def assert_through(self) -> None:
        """Every delivery arrived, and everything that can be read back was."""
        rows = self.rig.deliveries()
        assert rows, self.rig.story()
        assert {row.state for row in rows} == {State.DONE}, self.rig.story()

    def refusals(self) -> list[str]:
        """Why the vendor refused requests so far; a test that does not ask for them may have none."""
        with self.stand_in.lock:
            reasons = [one.reason for one in self.stand_in.refused]
            self.stand_in.refused.clear()
        return reasons


@contextmanager
def checked(vendor: Vendor[V]) -> Iterator[None]:
    """Watches a test: at its end the vendor has refused nothing, and every fault was met."""
    yield
    assert vendor.refusals() == []
    assert not vendor.faults.pending


def ago(**span: float) -> datetime:
    """The time so long ago."""
    return datetime.now(UTC) - timedelta(**span)
