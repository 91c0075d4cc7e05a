"""One address is not one person: where a source knows learners by address alone, another name is asked about once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flow.rig import Rig

from bridge.cli.commands import certbridge
from bridge.core import certificate_id
from bridge.core.connector import Page
from bridge.core.models import InboundRequest, SourceEvent, State
from bridge.flow.poll import Polled
from bridge.store import certificates, erase

TOKEN = "a-token-for-a-shared-mailbox"
ANA = {
    "event_id": "sh1",
    "email": "office@example.com",
    "name": "Ana Lima",
    "course_id": "68",
    "completed_at": "2026-11-20T10:00:00Z",
}
RUI = {**ANA, "event_id": "sh2", "name": "Rui Lima"}


@pytest.fixture
def office(any_rig: Rig) -> Iterator[Rig]:
    """A running bridge whose sender knows learners by their address; once on SQLite, once on PostgreSQL."""
    rig = any_rig
    block = {"connector": "zapier", "mode": "live", "mapping": "zap-courses.yaml", "since": "2020-01-01"}
    rig.set("sources.zap", {**block, "header_token": TOKEN})
    decisions = "other_courses: issue\nevery_course: {again: renew}\ncourses:\n  68: Fire Safety\n"
    rig.mapping("zap", f"extends: zapier\n{decisions}")
    rig.set("sources.lists", {**block, "connector": "spreadsheet", "mapping": "lists-courses.yaml"})
    rig.mapping("lists", "extends: spreadsheet\nother_courses: issue\n")
    with rig.running():
        yield rig


def send(rig: Rig, fields: dict[str, str]) -> dict[str, Any]:
    """Posts one completion, and returns what the sender is told."""
    answer = rig.post("zap", json.dumps(fields).encode(), {"X-Bridge-Token": TOKEN})
    rig.wait_settled()
    return dict(answer.json())


def _now() -> datetime:
    return datetime(2026, 11, 21, tzinfo=UTC)


def _inbound(body: bytes) -> InboundRequest:
    return InboundRequest("POST", "", {"content-type": "application/json"}, body, _now())


def names(rig: Rig) -> list[str]:
    """The names on the certificates, oldest first."""
    return [hit.version.data.recipient.name for hit in rig.certificates()]


def test_case_certificates_01_two_people_behind_one_address_are_asked_about_and_get_a_certificate_each(
    office: Rig,
) -> None:
    first = send(office, ANA)
    told = send(office, RUI)
    number = int(told["events"][0])
    held = office.event(number)
    assert (held.state, held.code) == (State.HELD, "another_name")
    assert held.reason.startswith(
        "Rui Lima, Fire Safety: the address office@example.com already has a certificate for this course under the "
        "name Ana Lima"
    )
    assert first["certificate_id"] not in json.dumps(told), "the sender is not answered with somebody else's number"
    assert told["status"] == "held"
    assert names(office) == ["Ana Lima"]
    assert "Rui Lima" in office.certbridge("find", "office@example.com")
    office.certbridge("events", "release", str(number), "--reason", "a colleague")
    office.wait_settled()
    assert names(office) == ["Ana Lima", "Rui Lima"]
    ana, rui = office.certificates()
    assert (office.renews(ana), office.renews(rui)) == (None, None), "nobody renews somebody else's"
    assert len(office.mails()) == 2


def test_the_same_question_is_asked_once_and_its_answer_counts_for_all(office: Rig) -> None:
    send(office, ANA)
    number = int(send(office, RUI)["events"][0])
    for other in ("sh3", "sh4"):
        send(office, {**RUI, "event_id": other, "name": "LIMA  Rúi"})
    later = send(office, {**RUI, "event_id": "sh5", "completed_at": "2027-01-20T10:00:00Z"})
    assert [row.id for row in office.events() if row.state is State.HELD] == [number]
    waiting = office.event(int(later["events"][0]))
    assert (waiting.state, waiting.code) == (State.RETRYING, "twin")
    assert f"event {number} asks about the same name" in waiting.reason
    office.certbridge("events", "release", str(number), "--reason", "a colleague")
    office.wait_settled()
    office.later()
    assert names(office) == ["Ana Lima", "Rui Lima", "Rui Lima"]
    # Those that waited are worked on in any order.
    his = [hit for hit in office.certificates() if hit.version.data.recipient.name == "Rui Lima"]
    rui, again = sorted(his, key=certificates.moment)
    assert office.renews(again) == rui.certificate.id
    known = send(office, {**RUI, "event_id": "sh6"})
    assert known["certificate_id"] == certificate_id.grouped(rui.certificate.id)


def test_the_same_person_under_another_name_is_said_once_too(office: Rig) -> None:
    first = send(office, ANA)
    number = int(send(office, {**ANA, "event_id": "m1", "name": "Ana Souza"})["events"][0])
    office.certbridge(
        "events", "release", str(number), "--set", "recipient.name=Ana Lima", "--reason", "she was married"
    )
    office.wait_settled()
    assert office.event(number).code == "already_issued"
    told = send(office, {**ANA, "event_id": "m2", "name": "ana souza"})
    assert told["certificate_id"] == first["certificate_id"]
    assert names(office) == ["Ana Lima"]


def test_after_a_cancelled_question_nothing_is_asked_again(office: Rig) -> None:
    send(office, ANA)
    number = int(send(office, RUI)["events"][0])
    office.certbridge("events", "cancel", str(number), "--reason", "a typing error")
    told = send(office, {**RUI, "event_id": "sh9"})
    row = office.event(int(told["events"][0]))
    assert (row.state, row.code) == (State.IGNORED, "another_name")
    assert "a person cancelled it" in row.reason
    assert names(office) == ["Ana Lima"]


@pytest.mark.parametrize("spelling", ["ANA LIMA", "Lima, Ana", "Ána  Límá", "ana-lima"])
def test_another_spelling_is_the_same_person(office: Rig, spelling: str) -> None:
    first = send(office, ANA)
    told = send(office, {**ANA, "event_id": "sp", "name": spelling})
    assert told["certificate_id"] == first["certificate_id"]
    assert names(office) == ["Ana Lima"]


def test_a_corrected_name_is_known_as_both(office: Rig) -> None:
    first = send(office, ANA)
    office.certbridge(
        "certificates", "correct", first["certificate_id"], "--set", "recipient.name=Ana Souza", "--reason", "married"
    )
    for number, name in enumerate(("Ana Lima", "Ana Souza")):
        assert (
            send(office, {**ANA, "event_id": f"c{number}", "name": name})["certificate_id"] == first["certificate_id"]
        )


def test_with_an_id_two_people_are_two_and_whoever_is_renamed_stays_one_person(office: Rig) -> None:
    send(office, {**ANA, "learner_id": "1"})
    send(office, {**RUI, "learner_id": "2"})
    assert names(office) == ["Ana Lima", "Rui Lima"]
    told = send(office, {**ANA, "event_id": "r", "learner_id": "1", "name": "Ana Souza"})
    row = office.event(int(told["events"][0]))
    assert row.code == "already_issued"
    assert "Now different: recipient.name 'Ana Lima' → 'Ana Souza'" in row.reason
    assert names(office) == ["Ana Lima", "Rui Lima"]


def test_another_course_of_the_same_address_asks_nothing(office: Rig) -> None:
    send(office, ANA)
    send(office, {**RUI, "course_id": "69", "course_name": "First Aid"})
    assert names(office) == ["Ana Lima", "Rui Lima"]


def test_a_revocation_by_a_shared_address_asks_whose_it_is(office: Rig) -> None:
    send(office, ANA)
    number = int(send(office, RUI)["events"][0])
    office.certbridge("events", "release", str(number), "--reason", "a colleague")
    office.wait_settled()
    told = send(office, {**ANA, "event_id": "back", "event": "certificate.revoked"})
    row = office.event(int(told["events"][0]))
    assert (row.state, row.code) == (State.HELD, "which_learner")
    for hit in office.certificates():
        assert certificate_id.grouped(hit.certificate.id) in row.reason
        assert hit.certificate.state == "issued"


def test_a_poll_does_not_take_another_person_for_one_it_knows(any_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a poll leaves out as known goes by the name as well."""
    rig = any_rig
    block = {"connector": "zapier", "mode": "live", "mapping": "zap-courses.yaml", "since": "2020-01-01"}
    rig.set("sources.zap", {**block, "header_token": TOKEN})
    rig.mapping("zap", "extends: zapier\nother_courses: issue\n")
    with rig.running():
        connector = rig.bridge.sources["zap"].connector
        rows = [ANA, RUI]

        def poll(*_: Any) -> Iterator[Page]:
            parsed: list[SourceEvent] = []
            for row in rows:
                request = connector.sign(json.dumps({**row, "event_id": "same"}).encode(), {}, _now())
                parsed += connector.parse(_inbound(request.body))
            yield Page(parsed, {})

        monkeypatch.setattr(type(connector), "poll", poll, raising=False)
        assert len(rig.bridge.polling.poll(rig.bridge.sources["zap"]).new) == 2
        rig.wait_settled()
        assert len(names(rig)) == 1, "whoever is first"
        assert sorted(str(row.code) for row in rig.events()) == ["another_name", "issued"]
        assert rig.bridge.polling.poll(rig.bridge.sources["zap"]) == Polled(known=2)


def test_an_erasure_of_the_address_forgets_everybody_behind_it(office: Rig) -> None:
    send(office, ANA)
    number = int(send(office, RUI)["events"][0])
    office.certbridge("events", "release", str(number), "--reason", "a colleague")
    office.wait_settled()
    office.bridge.store.transact(
        lambda tx: erase.erase(tx, "zap", False, "office@example.com", actor="test", reason="asked")
    )
    assert "Rui" not in office.dump()
    assert [hit.certificate.state for hit in office.certificates()] == ["erased", "erased"]


# -- tables ----------------------------------------------------------------------------------------


def run(rig: Rig, table: Path, *words: str) -> str:
    arguments = ["-c", str(rig.folder / "config.yaml"), "issue", "--csv", str(table), "--map", "lists", *words]
    result = CliRunner().invoke(certbridge, arguments, env={"COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    rig.wait_settled()
    return " ".join(result.output.split())


def test_case_certificates_01_a_table_says_which_row_and_which_name(office: Rig, tmp_path: Path) -> None:
    table = tmp_path / "att.csv"
    table.write_text(
        "name,email,course,completed_at\n"
        "Ana Lima,office@firm.example,Fire Safety,2026-11-20\n"
        "Rui Lima,office@firm.example,Fire Safety,2026-11-20\n"
    )
    said = run(office, table, "--yes")
    assert "held: Number 2, Rui Lima, has the address of Ana Lima in number 1" in said
    assert "2 rows, 1 to be issued." in said
    assert names(office) == ["Ana Lima"]
    said = run(office, table, "--yes")
    assert "It has its certificate already." in said
    assert "Number 2, Rui Lima, has the address of Ana Lima on a certificate for this course" in said
    # A column that tells learners apart settles it.
    office.set("sources.lists.learner", "name")
    office.config()
    assert "2 rows, 2 to be issued." in run(office, table, "--dry-run")
