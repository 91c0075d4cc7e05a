"""A person at a bridge with one vendor, on top of the place: replays, releases, resends, revokes; and a strict end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from flow.rig_vendors_b import Place

from bridge.core import certificate_id
from bridge.core.models import State
from bridge.demo.vendors.stand_in import StandIn
from bridge.store import inbox, outbox

V = TypeVar("V", bound=StandIn)


class Desk(Place[V]):
    """A place with a person at it."""

    @property
    def door(self) -> str:
        """The webhook's address on this machine, without a token."""
        assert self.rig.run is not None, "the bridge does not run"
        return f"{self.rig.run.url}/hooks/{self.name}"

    def decide(self, mapping: str) -> None:
        """Writes other decisions into the mapping."""
        self.rig.mapping(self.name, f"extends: {self.name}\n{mapping}")

    # -- what a person does ------------------------------------------------------------------------

    def replay(self, number: int) -> None:
        """Works an event once more."""
        self.rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test"))
        self._go_on()

    def release(self, number: int) -> None:
        """Lets a held event go on."""
        self.rig.bridge.store.transact(
            lambda tx: inbox.release(tx, number, overrides={"released": "yes"}, actor="test", reason="looked at")
        )
        self._go_on()

    def resend(self, number: int) -> None:
        """Tries a delivery once more."""
        self.rig.bridge.store.transact(lambda tx: outbox.replay(tx, number, actor="test"))
        self._go_on()

    def revoke(self, identifier: str, reason: str = "Issued by mistake") -> None:
        """Takes a certificate back, and waits until learner and vendor were told."""
        self.rig.bridge.amending.revoke(identifier, reason=reason, actor="test", mail=True)
        self.settle()

    def _go_on(self) -> None:
        self.rig.bridge.workers.wake()
        self.settle()

    # -- how things stand --------------------------------------------------------------------------

    def number(self) -> str:
        """The only certificate's number, as it is printed."""
        return certificate_id.grouped(self.rig.certificate().certificate.id)

    def step(self, name: str) -> outbox.OutboxRow:
        """The latest delivery of a write-back step."""
        return {row.step: row for row in self.write_backs()}[name]

    def assert_through(self) -> None:
        """Every delivery arrived."""
        rows = self.rig.deliveries()
        assert rows, self.rig.story()
        assert {row.state for row in rows} == {State.DONE}, self.rig.story()

    def refusals(self) -> list[str]:
        """Why the vendor refused requests since the last time; a test that never asks may have none."""
        with self.vendor.lock:
            reasons = [one.reason for one in self.vendor.refused]
            self.vendor.refused.clear()
        return reasons


@contextmanager
def checked(desk: Desk[V]) -> Iterator[None]:
    """Watches a test: at its end the vendor has refused nothing, and every fault was met."""
    yield
    assert desk.refusals() == []
    assert not desk.faults.pending
