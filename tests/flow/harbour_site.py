"""A bridge whose only source is Harbour LMS, the stranger's connector, with its stand-in behind real HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flow.rig import Answer, Rig
from sqlalchemy import select
from vendors.harbour_lms import HarbourStandIn

from bridge.core.models import InboundRequest
from bridge.core.source import Source
from bridge.flow.poll import Polled, Polling
from bridge.store import polls, sources, tables
from bridge.store.polls import PollState

STRANGER = Path(__file__).parents[1] / "stranger"
SINCE = datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
AT = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
"""When somebody completed a course: after the start line, and longer ago than a webhook needs."""
SIGNING_SECRET = "harbour-signing-secret-0002"
MAPPING = "extends: harbour\nother_courses: issue\n"


@contextmanager
def installed(folder: Path = STRANGER) -> Iterator[None]:
    """Has the stranger's connector installed, as pip would: its module and its entry point lie on the path."""
    before = sys.modules.pop("harbour", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield
    sys.modules.pop("harbour", None)
    if before is not None:
        sys.modules["harbour"] = before


def block(vendor: HarbourStandIn, **more: Any) -> dict[str, Any]:
    """Returns the source in the configuration."""
    return {
        "connector": "harbour",
        "mode": "live",
        "mapping": "harbour-courses.yaml",
        "since": SINCE.date().isoformat(),
        "poll_every": "off",
        "allow_private": True,
        "url": vendor.url,
        "api_key": vendor.api_key,
        "signing_secret": SIGNING_SECRET,
        **more,
    }


@dataclass
class Site:
    """The rig, and what only Harbour has. Polls happen when a test says so."""

    rig: Rig
    vendor: HarbourStandIn

    @property
    def source(self) -> Source:
        found: Source = self.rig.bridge.sources["harbour"]
        return found

    @property
    def polling(self) -> Polling:
        found: Polling = self.rig.bridge.polling
        return found

    def poll(self) -> Polled:
        """Polls once, and waits until everything is worked on."""
        polled = self.polling.poll(self.source)
        assert polled is not None, "somebody else is polling"
        self.rig.wait_settled()
        return polled

    def first_contact(self) -> None:
        """Has the first poll behind it, with nothing there yet."""
        assert self.poll() == Polled()

    def webhook(self, body: bytes) -> Answer:
        """Sends a signed webhook."""
        return self.rig.post_signed(body, "harbour")

    def told(self, body: bytes) -> Answer:
        """Sends a signed webhook, and waits until everything is worked on."""
        answer = self.webhook(body)
        assert answer.status == 200, answer
        self.rig.wait_settled()
        return answer

    def state(self) -> PollState:
        """Where the poll stands."""
        row = self.rig.read(lambda tx: sources.get(tx, "harbour"))
        assert row is not None
        return polls.state(row, test=self.source.test)

    def codes(self) -> list[tuple[str, str | None]]:
        """How every event stands, oldest first."""
        return [(row.state.value, row.code) for row in self.rig.events()]

    def names(self) -> list[str]:
        """Who has a certificate, oldest first."""
        return [hit.version.data.recipient.name for hit in self.rig.certificates()]

    def history(self, kind: str) -> list[dict[str, Any]]:
        """What the history says of one kind of happening, oldest first."""
        return history_of(self.rig, kind)

    def transact(self, fn: Callable[[Any], Any]) -> Any:
        """Changes the store."""
        return self.rig.bridge.store.transact(fn)

    def time_passes(self, time: timedelta) -> None:
        """Lets the last poll and the last sign of life be so long ago."""

        def write(tx: Any) -> None:
            row = sources.get(tx, "harbour")
            assert row is not None
            state = polls.state(row, test=self.source.test)
            if state.ended_at is not None:
                polls.save(tx, "harbour", replace(state, ended_at=state.ended_at - time))

        self.transact(write)


def history_of(rig: Rig, kind: str) -> list[dict[str, Any]]:
    """Returns the data of every line of one kind."""
    found = select(tables.history.c.data).where(tables.history.c.kind == kind).order_by(tables.history.c.id)
    return list(rig.read(lambda tx: tx.connection.execute(found).scalars().all()))


@contextmanager
def site_on(rig: Rig) -> Iterator[Site]:
    """Gives a rig Harbour as its only source; the bridge itself does not run yet."""
    with installed(), HarbourStandIn() as vendor:
        rig.settings["sources"] = {"harbour": block(vendor)}
        rig.mapping("harbour", MAPPING)
        yield Site(rig, vendor)


def request(body: bytes, headers: dict[str, str]) -> InboundRequest:
    """Returns a request as the door hands it on."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return InboundRequest("POST", "https://certificates.acme.example/hooks/harbour", lowered, body, datetime.now(UTC))
