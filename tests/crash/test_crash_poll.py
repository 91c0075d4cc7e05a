"""The daemon is killed between two pages of a poll; the next one goes on there, and everybody has one certificate."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from crash_site import Site, assert_sound
from sqlalchemy import update
from vendors.harbour_lms import HarbourStandIn

from bridge.store import sources, tables
from bridge.store.engine import Transaction

STRANGER = Path(__file__).parents[1] / "stranger"
SOURCE = """\
  harbour:
    connector: harbour
    mode: live
    mapping: harbour-courses.yaml
    since: 2026-01-01
    allow_private: true
    url: {url}
    api_key: {key}
    signing_secret: harbour-signing-secret-0002
"""


@pytest.fixture
def vendor(site: Site) -> Iterator[HarbourStandIn]:
    """Harbour LMS with five completions on three pages, polled by daemons of the site."""
    folder = site.stands.folder
    # Daemons run in this folder: what lies here is installed for them.
    shutil.copy(STRANGER / "harbour.py", folder)
    shutil.copytree(STRANGER / "harbour-1.0.dist-info", folder / "harbour-1.0.dist-info")
    shutil.copy(STRANGER / "mappings" / "harbour.yaml", folder / "mappings")
    (folder / "mappings" / "harbour-courses.yaml").write_text("extends: harbour\nother_courses: issue\n")
    with HarbourStandIn() as made:
        text = (folder / "config.yaml").read_text()
        block = SOURCE.format(url=made.url, key=made.api_key)
        (folder / "config.yaml").write_text(text.replace("sources:\n", f"sources:\n{block}"))
        for learner in "12345":
            made.complete(learner, datetime(2026, 11, 20, 8, 30, tzinfo=UTC))
        yield made


def test_a_kill_between_two_pages_neither_loses_nor_doubles_anything(site: Site, vendor: HarbourStandIn) -> None:
    first = site.spawn(crash_at="after_poll_page:2")
    assert first.ended() == -signal.SIGKILL
    assert "killed at after_poll_page\n" in first.log()
    assert sorted(row["subject"] for row in _stored(site)) == ["1", "2", "3", "4"]
    assert _cursor(site) == {"after": 4}
    asked = len(vendor.calls)

    site.store.transact(_free)
    site.time_passes()  # it may have died over a row, too: on PostgreSQL that lease outlives a test's patience
    second = site.start()
    look = site.wait_settled(second, events=5)
    second.eventually(lambda: _row(site).cursor["ended_at"], "end its poll")
    look = site.look()
    assert len(look.certificates) == len(look.inbox) == 5
    assert {row["code"] for row in look.inbox} == {"issued"}
    # It went on at the second page (with the overlap of this platform), not at the first.
    lists = [call for call in vendor.calls[asked:] if call.path == "/completions"]
    assert [dict(call.query)["after"] for call in lists] == ["2", "4"]
    assert second.stop() == 0
    assert_sound(site, site.look())


def _free(tx: Transaction) -> None:
    """Lets the lease of the dead daemon's poll be over, as it would be by itself after two minutes."""
    tx.connection.execute(update(tables.leases).where(tables.leases.c.name == "poll:harbour").values(until=tx.now))


def _stored(site: Site) -> list[dict[str, str]]:
    return [{"subject": row["payload"]["subject"]} for row in site.look().inbox]


def _row(site: Site) -> sources.SourceRow:
    return site.store.read(lambda tx: sources.known(tx, "harbour"))


def _cursor(site: Site) -> object:
    return _row(site).cursor["cursor"]
