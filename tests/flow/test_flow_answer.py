"""A sender that wants the certificate in the answer gets it, or learns where to ask for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flow.rig import Answer, Rig

from bridge.core import certificate_id
from bridge.core.models import State
from bridge.flow import answer as answering
from bridge.store import sources

TOKEN = "a-token-for-the-answers"
FIELDS = {
    "event_id": "run-1",
    "email": "dana.okafor@example.invalid",
    "name": "Dana Okafor",
    "course_id": "68",
    "course_name": "Forklift Operator",
    "completed_at": "2026-11-20T14:30:10Z",
}


def with_zap(rig: Rig, **settings: Any) -> None:
    block = {"connector": "zapier", "mode": "live", "mapping": "zap-courses.yaml", "since": "2026-01-01"}
    rig.set("sources.zap", {**block, "header_token": TOKEN, **settings})
    rig.mapping("zap", "extends: zapier\ncourses:\n  68: Forklift Operator\n")


def send(rig: Rig, *changes: dict[str, str], token: str = TOKEN) -> Answer:
    bodies = [{**FIELDS, **change} for change in changes or ({},)]
    body = json.dumps(bodies if len(bodies) > 1 else bodies[0]).encode()
    return rig.post("zap", body, {"X-Bridge-Token": token})


def ask(rig: Rig, address: str, token: str = TOKEN) -> Answer:
    parts = urlsplit(address)
    return rig.request("GET", f"{parts.path}?{parts.query}", headers={"X-Bridge-Token": token})


def test_the_answer_carries_the_certificate_so_that_a_zap_can_pass_it_on(rig: Rig) -> None:
    with_zap(rig)
    with rig.running():
        answer = send(rig)
        assert answer.status == 200
        said = answer.json()
        issued = rig.certificate().certificate
        assert said["certificate_id"] == certificate_id.grouped(issued.id)
        assert said["verify_url"] == f"{rig.settings['public_url']}/c/{said['certificate_id']}"
        assert (said["status"], said["test"], said["outcome"]) == ("issued", False, "accepted")
        again = send(rig).json()
        assert (again["certificate_id"], again["outcome"]) == (said["certificate_id"], "duplicate")


def test_what_is_not_ready_in_time_is_told_where_to_ask(rig: Rig) -> None:
    with_zap(rig)
    with rig.running():
        rig.bridge.store.transact(lambda tx: sources.pause(tx, "zap", tx.now.replace(year=2099), "rest"))
        type(rig.bridge.sources["zap"].connector).answer_wait = 0.0
        answer = send(rig)
        assert (answer.status, answer.json()["status"]) == (202, "processing")
        address = answer.json()["status_url"]
        assert ask(rig, address).status == 202
        rig.bridge.store.transact(lambda tx: sources.resume(tx, "zap"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        later = ask(rig, address)
        assert (later.status, later.json()["status"]) == (200, "issued")
        assert later.json()["certificate_id"] == certificate_id.grouped(rig.certificate().certificate.id)


def test_where_to_ask_keeps_what_the_sender_had_in_its_address(rig: Rig) -> None:
    """Some senders prove themselves by a parameter there."""
    with_zap(rig)
    with rig.running():
        rig.bridge.store.transact(lambda tx: sources.pause(tx, "zap", tx.now.replace(year=2099), "rest"))
        type(rig.bridge.sources["zap"].connector).answer_wait = 0.0
        body, headers = json.dumps(FIELDS).encode(), {"X-Bridge-Token": TOKEN, "Content-Type": "application/json"}
        said = rig.request("POST", "/hooks/zap?key=a%26b&event=99", body, headers=headers).json()
        parts = urlsplit(said["status_url"])
        assert (parts.path, parts.query) == ("/hooks/zap", f"key=a%26b&event={said['event']}")
        assert ask(rig, said["status_url"]).json()["status"] == "processing"


def test_an_event_that_is_held_says_why(rig: Rig) -> None:
    with_zap(rig)
    with rig.running():
        said = send(rig, {"course_id": "99"}).json()
        assert said["status"] == "held"
        assert "not listed" in said["reason"]
        assert "certificate_id" not in said


def test_several_events_are_answered_one_by_one(rig: Rig) -> None:
    with_zap(rig)
    with rig.running():
        one, two = {"event_id": "a"}, {"event_id": "b", "email": "kim@example.invalid", "name": "Kim Lee"}
        results = send(rig, one, two).json()["results"]
        assert [one["status"] for one in results] == ["issued", "issued"]
        assert len({one["certificate_id"] for one in results}) == 2


def test_nobody_learns_anything_without_the_token_or_about_other_sources(rig: Rig) -> None:
    with_zap(rig)
    with rig.running():
        number = send(rig).json()["event"]
        assert ask(rig, f"/hooks/zap?event={number}", token="quite-another-token").status == 401
        other = rig.post_sample("course_completed-by-learner").event
        assert ask(rig, f"/hooks/zap?event={other}").json()["status"] == "unknown"
        assert ask(rig, f"/hooks/moodle?event={other}").status == 404
        assert ask(rig, "/hooks/zap?event=999999").status == 404


def test_too_many_who_wait_are_answered_at_once(rig: Rig, monkeypatch: Any) -> None:
    with_zap(rig)
    with rig.running():
        rig.bridge.store.transact(lambda tx: sources.pause(tx, "zap", tx.now.replace(year=2099), "rest"))
        seats = rig.bridge.receiver.answering._seats
        taken: list[Callable[[], None]] = []
        while seats.acquire(blocking=False):
            taken.append(seats.release)
        assert len(taken) == answering.SEATS
        assert send(rig).status == 202
        for release in taken:
            release()


def test_the_guide_shows_the_answer_as_it_is_given(rig: Rig) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "connect" / "zapier.md").read_text(encoding="utf-8")
    sent, shown = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", guide, re.DOTALL))
    assert sent.keys() <= FIELDS.keys() | {"event"}
    with_zap(rig)
    with rig.running():
        said = send(rig).json()
        assert shown.keys() <= said.keys()
        assert {key: said[key] for key in ("outcome", "status", "test")} == {
            key: shown[key] for key in ("outcome", "status", "test")
        }
    told = set(re.findall(r"^\| `(\w+)` \| ", guide.partition("## B.")[2].partition("## C.")[0], re.MULTILINE))
    assert {state.value for state in State} - {"ready", "running", "retrying", "cancelled"} <= told
    assert {"issued", "revoked", "processing"} <= told
