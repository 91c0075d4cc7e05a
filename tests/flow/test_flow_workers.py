"""The loop behind the flow: leases while it works, commands beside it, sources that leave, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from flow.rig import PATIENCE, Rig, changed, sample
from flow.rig_settings import PUBLIC
from sqlalchemy import update
from vendors.faults import Faults

import bridge.flow.work
from bridge.app import Bridge, open_bridge
from bridge.core.models import InboundRequest, State
from bridge.demo.vendors.stand_in import Answer, Call, Wire
from bridge.store import artifacts, inbox, outbox, tables
from bridge.store.engine import OwnerLock

COMPLETED = "course_completed-by-learner"
CONFIRM = "core_completion_get_course_completion_status"
CREATE_NOTE = "core_notes_create_notes"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heart beats many times while a test waits."""
    monkeypatch.setattr(bridge.flow.work, "HEARTBEAT", 0.05)


class Silence:
    """Lets none of the first two calls to Moodle through before it is told to; each waits for its own word."""

    def __init__(self, rig: Rig) -> None:
        self.asked = threading.Semaphore(0)
        self._words: list[threading.Event] = []
        rig.moodle.interceptor = self._intercept

    def _intercept(self, call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
        if len(self._words) < 2:
            word = threading.Event()
            self._words.append(word)
            self.asked.release()
            word.wait(10 * PATIENCE)
        return respond()

    def wait(self) -> None:
        assert self.asked.acquire(timeout=PATIENCE)

    def answer(self, number: int) -> None:
        self._words[number].set()

    def end(self, rig: Rig) -> None:
        rig.moodle.interceptor = None
        for word in self._words:
            word.set()


@pytest.fixture
def silence(rig: Rig) -> Iterator[Silence]:
    """A Moodle that never answers by itself."""
    made = Silence(rig)
    yield made
    made.end(rig)


@pytest.fixture
def patient(rig: Rig) -> None:
    """A bridge that waits for Moodle far longer than a test waits for the bridge, and at its end one second."""
    rig.set("limits", {"read_seconds": 300, "request_seconds": 600, "render_workers": 1})
    rig.set("server.stop_seconds", 1)


def receive(bridge: Bridge, number: int = 1, source: str = "moodle") -> int:
    """Stores an event as the door would, with nobody there to work on it."""
    body, headers = sample(COMPLETED)
    request = InboundRequest(
        method="POST",
        url=f"{PUBLIC}/hooks/{source}",
        headers={name.lower(): value for name, value in headers.items()},
        body=changed(body, objectid=str(number)),
        received_at=datetime.now(UTC),
    )
    assert bridge.receiver.receive(source, request, peer="203.0.113.9").status == 200
    return max(row.id for row in bridge.store.read(inbox.search))


def state(bridge: Bridge, number: int) -> State:
    row = bridge.store.read(lambda tx: inbox.get(tx, number))
    assert row is not None
    return row.state


# -- leases ----------------------------------------------------------------------------------------


def test_the_heartbeat_survives_an_error_nobody_expected(
    rig: Rig, silence: Silence, patient: None, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, beats = inbox.renew, []

    def renew(*given: Any, **more: Any) -> bool:
        beats.append(given)
        if len(beats) == 1:
            raise ZeroDivisionError("a fault of ours")
        return real(*given, **more)

    monkeypatch.setattr(inbox, "renew", renew)
    with rig.running():
        rig.post_sample(COMPLETED)
        silence.wait()
        rig.wait(lambda: len(beats) > 1)
        assert rig.bridge.workers.alive()
        silence.end(rig)
        rig.wait_settled()


def test_a_row_that_was_lost_and_claimed_again_by_the_same_process_keeps_its_new_lease_renewed(
    rig: Rig, silence: Silence, patient: None
) -> None:
    with rig.running():
        number = rig.post_sample(COMPLETED).event
        silence.wait()
        # As after a sleep of the whole machine: the lease ran out, and this process claims the row once more.
        past = update(tables.inbox).where(tables.inbox.c.id == number)
        rig.bridge.store.transact(
            lambda tx: tx.connection.execute(past.values(due_at=tx.now - timedelta(seconds=1))) and None
        )
        rig.bridge.workers.wake()
        silence.wait()
        assert rig.event().attempts == 2
        silence.answer(0)
        rig.wait(lambda: len(_threads(f"inbox-moodle-{number}")) == 1)
        before = rig.event().due_at
        rig.bridge.workers.renew_leases()
        assert rig.event().due_at > before
        silence.end(rig)
        rig.wait_settled()
        assert rig.certificate().certificate.state == "issued"


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_a_command_holds_one_row_at_a_time_and_keeps_its_lease_alive(rig: Rig, quick: None) -> None:
    seen: list[tuple[list[State], bool]] = []

    def watch(call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
        if not seen:
            rows = alone.store.read(inbox.search)
            (running,) = [row for row in rows if row.state is State.RUNNING] or [rows[0]]
            seen.append((sorted(row.state for row in rows), _renewed(alone, running)))
        return respond()

    rig.set("sources.academy", {**rig.settings["sources"]["moodle"], "write_back": {"note": False}})
    rig.moodle.interceptor = watch
    with open_bridge(rig.config(), role="command") as alone:
        receive(alone, 1)
        receive(alone, 2, source="academy")
        assert alone.finish_work()
        assert {row.state for row in alone.store.read(inbox.search)} == {State.DONE}
    assert seen == [([State.READY, State.RUNNING], True)]


def _renewed(bridge: Bridge, row: inbox.InboxRow) -> bool:
    end = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    while datetime.now(UTC) < end:
        now = bridge.store.read(lambda tx: inbox.get(tx, row.id))
        assert now is not None
        if now.due_at != row.due_at:
            return True
    return False


# -- commands --------------------------------------------------------------------------------------


def test_a_command_sees_through_what_it_queued_and_what_follows_and_leaves_the_rest(any_rig: Rig) -> None:
    with open_bridge(any_rig.config(), role="command") as alone:
        first, second = receive(alone, 1), receive(alone, 2)
        assert alone.finish_work(inbox_ids=[second])
        assert [state(alone, number) for number in (first, second)] == [State.READY, State.DONE]
        sent = alone.store.read(outbox.search)
        assert {row.kind: row.state for row in sent} == {"mail": State.DONE, "write_back": State.DONE}

        for row in sent:
            alone.store.transact(lambda tx, row=row: outbox.replay(tx, row.id, actor="ana"))
        (mail,) = [row.id for row in sent if row.kind == "mail"]
        assert alone.finish_work(outbox_ids=[mail])
        left = alone.store.read(outbox.search)
        assert {row.kind: row.state for row in left} == {"mail": State.DONE, "write_back": State.READY}
        assert state(alone, first) is State.READY

        assert alone.finish_work()
        assert state(alone, first) is State.DONE


def test_a_command_leaves_its_work_to_a_daemon_wherever_that_runs(any_rig: Rig) -> None:
    config = any_rig.config()
    with any_rig.running(), open_bridge(config, role="command") as beside:
        assert beside.daemon_running
        assert not beside.finish_work()
    with open_bridge(config, role="command") as alone:
        assert not alone.daemon_running
        assert alone.finish_work()


def test_a_daemon_that_starts_while_a_command_runs_takes_the_work_over(rig: Rig) -> None:
    with open_bridge(rig.config(), role="command") as command:
        number = receive(command)
        with rig.running():
            assert not command.finish_work(inbox_ids=[number])
            rig.wait_settled()
            assert rig.event(number).state is State.DONE


def test_case_hostile_4_a_command_hands_its_work_over_to_a_daemon_that_waits_for_it(rig: Rig) -> None:
    ready = threading.Event()

    def serve() -> None:
        with rig.running():
            ready.set()
            rig.wait_settled()

    def begin(call: Call, respond: Callable[[], Answer], wire: Wire) -> Answer:
        if not daemon.is_alive() and not ready.is_set():
            daemon.start()
            while OwnerLock.serving(config.database_url) is None:
                threading.Event().wait(0.01)
        return respond()

    daemon, config = threading.Thread(target=serve), rig.config()
    rig.moodle.interceptor = begin
    with open_bridge(config, role="command") as command:
        numbers = [receive(command, number) for number in range(1, 5)]
        assert not command.finish_work(inbox_ids=numbers)
        daemon.join()
        assert {state(command, number) for number in numbers} == {State.DONE}


# -- sources that leave ------------------------------------------------------------------------------


def test_work_of_a_source_taken_out_of_the_configuration_says_so_and_goes_on_under_its_new_name(rig: Rig) -> None:
    faults = Faults(rig.moodle)
    with rig.running():
        faults.next(1, "503-html", CREATE_NOTE)
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        faults.next(1, "503-html", CONFIRM)
        body, headers = sample(COMPLETED)
        late = rig.post("moodle", changed(body, objectid="2", relateduserid="4"), headers).event
        rig.wait_settled()
        assert rig.event(late).state is rig.delivery("write_back").state is State.RETRYING
    moodle = rig.settings["sources"].pop("moodle")
    with rig.running():
        for row in (rig.event(late), rig.delivery("write_back")):
            assert (row.state, row.code, row.due_at) == (State.HELD, "source_removed", None)
            assert row.reason
            assert "name it under `formerly:` of the source that took its place, or put it back" in row.reason
        assert rig.events()[0].state is State.DONE
    rig.set("sources.academy", {**moodle, "formerly": ["moodle"]})
    with rig.running():
        rig.wait_settled()
        assert {row.code for row in rig.events()} & {"source_removed"} == set()
        assert rig.event(late).source == "academy"
        assert rig.event(late).attempts == 1
        assert {row.state for row in rig.deliveries("write_back")} == {State.DONE}


# -- mappings of another release ---------------------------------------------------------------------


def test_a_stored_mapping_that_this_release_cannot_read_is_reported_once(
    live: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    mappings = live.bridge.mappings
    before = mappings.current("moodle").sha256

    def by_another_node(content: bytes) -> None:
        live.bridge.store.transact(
            lambda tx: artifacts.activate(
                tx, "mapping", "moodle", artifacts.put(tx, "mapping", "moodle", content), "newer"
            )
        )

    with caplog.at_level(logging.WARNING):
        for content in (b'[["x.yaml", "connector: other"]]', b"a later form"):
            by_another_node(content)
            for _ in range(3):
                mappings.refresh()
    assert [record.getMessage().count("stored mapping not usable") for record in caplog.records] == [1, 1]
    assert mappings.current("moodle").sha256 == before


# -- the end ---------------------------------------------------------------------------------------

SERVE = """
import threading, sys
from pathlib import Path
from bridge.app import read_config
from bridge.daemon import serve
from bridge.observe import configure_logging

configure_logging(form="json")

def ready(run):
    # Whatever some library keeps running would keep Python from ending.
    threading.Thread(target=threading.Event().wait).start()
    print(run.server.port, flush=True)

serve(read_config(Path(sys.argv[1]), {}), on_ready=ready)
"""
BLOCK = """
import sys
from pathlib import Path
from bridge.app import read_config
from bridge.daemon import running

with running(read_config(Path(sys.argv[1]), {})) as run:
    print(run.server.port, flush=True)
    sys.stdin.readline()
"""


def test_a_daemon_ends_in_time_although_a_vendor_never_answers(rig: Rig, silence: Silence, patient: None) -> None:
    with _stuck(rig, silence, SERVE) as process:
        process.send_signal(signal.SIGTERM)
        said = _end(process)
    assert process.returncode == 0, said
    assert '"left": ["inbox 1"]' in said
    assert "Traceback" not in said
    silence.end(rig)
    with rig.running():
        rig.wait_settled()
        assert rig.event().state is State.DONE


def test_a_call_that_never_returns_does_not_keep_python_alive(rig: Rig, silence: Silence, patient: None) -> None:
    with _stuck(rig, silence, BLOCK) as process:
        said = _end(process)
    assert process.returncode == 0, said


def _stuck(rig: Rig, silence: Silence, program: str) -> subprocess.Popen[str]:
    """Starts a bridge in a process of its own; it waits for Moodle when this returns."""
    rig.config()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(rig.folder / "config.yaml")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        connection = HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=PATIENCE)
        body, headers = sample(COMPLETED)
        connection.request("POST", "/hooks/moodle", body, headers)
        assert connection.getresponse().status == 200
        connection.close()
        silence.wait()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return process


def _end(process: subprocess.Popen[str]) -> str:
    """Returns what the process said until its end; the end of its standard input is a word to it."""
    try:
        return process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"it did not end by itself: {process.communicate()[1]}")
