"""Beyond the list: races, huge and colliding ids, files swapped under the bridge, links, forged log lines."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner
from flow.rig import Rig
from security.attack import COMPLETED, completion, posted, stopped, through_thinkific

import bridge.app
from bridge.cli.commands import certbridge
from bridge.core import certificate_id
from bridge.core.errors import BridgeError
from bridge.core.models import State
from bridge.core.text import one_line
from bridge.demo.vendors.stand_in import Answer
from bridge.observe import configure_logging
from bridge.store import inbox, outbox


def replay(rig: Rig, number: int) -> None:
    """Does what `certbridge events replay` does; the row may be in work."""
    try:
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, actor="test"))
    except BridgeError:
        return
    rig.bridge.workers.wake()


# -- races -----------------------------------------------------------------------------------------


def test_a_replay_that_races_a_revocation_never_makes_it_valid_again(live: Rig) -> None:
    number = posted(live, completion()).event
    live.wait_settled()
    identifier = live.certificate().certificate.id
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            replay(live, number)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            pool.submit(hammer)
        try:
            live.bridge.amending.revoke(identifier, reason="fraud", actor="test", mail=True)
            for event_id in ("e-2", "e-3"):
                posted(live, completion(event_id))
        finally:
            stop.set()
    replay(live, number)
    live.wait_settled()
    found = live.certificate()
    assert (found.certificate.state, found.certificate.version) == ("revoked", 2)
    assert "Revoked" in live.page(identifier).text
    assert "REVOKED" in live.pdf_text(identifier)
    subjects = sorted(str(mail["Subject"]).split(":")[0] for mail in live.mails())
    assert subjects == ["Certificate withdrawn", "Your certificate"]
    assert not live.fields().get("Certificate ID")


def test_corrections_and_revocations_at_once_leave_one_story(live: Rig) -> None:
    posted(live, completion())
    live.wait_settled()
    identifier = live.certificate().certificate.id

    def amend(number: int) -> str:
        try:
            if number % 2:
                live.bridge.amending.revoke(identifier, reason=f"r{number}", actor="test", mail=False)
            else:
                changes = {"recipient.name": f"Ana Number {'I' * (number + 1)}"}
                live.bridge.amending.correct(identifier, changes, reason="x", actor="test", mail=False)
        except BridgeError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(amend, range(8)))
    live.wait_settled()
    done = said.count("")
    found = live.certificate()
    assert done >= 1
    assert found.certificate.version == 1 + done
    assert live.page(identifier).status == 200
    told = [line.kind for line in live.timeline(certificate_id=identifier) if line.kind != "certificate.issued"]
    assert len(told) == done
    assert told.count("certificate.revoked") == (1 if found.certificate.state == "revoked" else 0)


def test_after_a_revocation_the_same_completion_in_other_clothes_stays_revoked(live: Rig) -> None:
    posted(live, completion())
    live.wait_settled()
    live.bridge.amending.revoke(live.certificate().certificate.id, reason="fraud", actor="test", mail=False)
    for number, changes in enumerate(
        (
            {"user": {"email": "other@example.invalid", "first_name": "Anna"}},
            {"id": 555},
            {"completed_at": "2026-11-20T16:45:33Z"},
            {"completed_at": "2026-11-20T17:45:30.000+01:00"},
            {"course": {"id": 68, "name": "Renamed"}},
            {"completed_at": "2026-11-21T08:00:00Z", "id": 556},
        )
    ):
        answer = posted(live, completion(f"again-{number}", **changes))
        live.wait_settled()
        row = live.event(answer.event)
        # Another day is another completion: then a person decides.
        wanted = State.HELD if changes.get("completed_at", "").startswith("2026-11-21") else State.IGNORED
        assert row.state is wanted, (changes, row.reason)
        assert "revoked" in (row.reason or "")
    assert live.certificate().certificate.state == "revoked"


# -- ids -------------------------------------------------------------------------------------------


def test_ids_of_any_size_neither_crash_nor_meet(live: Rig) -> None:
    long = "x" * 100_000
    for number, changes in enumerate(
        (
            {"id": long},
            {"id": long + "y"},
            {"id": int("9" * 3999)},
            {"id": -1},
            {"id": None},
            {"id": ["a"]},
            {"id": True},
            {"id": "1' OR '1'='1"},
            {"id": "../../etc/passwd"},
        )
    ):
        event = {**completion(), **changes}
        event["payload"] = completion(user={"id": 7000 + number}, id=number)["payload"]
        answer = posted(live, event)
        assert answer.status == 200
        live.wait_settled()
        assert live.event(answer.event).state is State.DONE, live.story()
    assert len(live.events()) == 9


def test_a_learner_without_a_usable_id_is_held(live: Rig) -> None:
    for number, subject in enumerate(("x" * 100_000, "", " ", None, [], {}, True, 1.5, "9" * 101)):
        row = stopped(live, completion(f"e-{number}", id=number, user={"id": subject}))
        assert (subject, row.state) == (subject, State.HELD), row.reason


def test_a_course_without_a_usable_id_is_held(live: Rig) -> None:
    for number, course in enumerate(("x" * 100_000, "68\n", [], {}, True, "68 OR 1=1", "６８", " 68 x")):
        payload = {"course_id": course, "course": {"id": course, "name": "Forklift"}}
        event = completion(f"e-{number}", id=number, user={"id": number}, **payload)
        answer = posted(live, event)
        live.wait_settled()
        row = live.event(answer.event)
        # White space around an id is not part of it.
        wanted = State.DONE if course == "68\n" else State.HELD
        assert (course, row.state) == (course, wanted), row.reason


def test_two_sources_may_use_the_same_ids(rig: Rig) -> None:
    rig.set("sources.other", {**rig.settings["sources"]["thinkific"], "signing_secret": "another-signing-secret-01"})
    with rig.running():
        for source in ("thinkific", "other"):
            assert posted(rig, completion(), source).json()["outcome"] == "accepted"
        rig.wait_settled()
        assert [row.state for row in rig.events()] == [State.DONE, State.DONE]
        assert len({found.certificate.id for found in rig.certificates()}) == 2
        # Both use one and the same mapping file: one artifact, two sources.
        assert {found.completion.source for found in rig.certificates()} == {"thinkific", "other"}


def test_an_answer_of_a_vendor_with_very_many_courses_is_read_or_refused(live: Rig) -> None:
    def crowded(call: Any, respond: Any, wire: Any) -> Answer:
        answer: Answer = respond()
        if call.name != "core_course_get_courses_by_field":
            return answer
        (course,) = json.loads(answer.body)["courses"]
        many = [{**course, "id": 100_000 + number, "fullname": "x"} for number in range(500)]
        return Answer(200, json.dumps({"courses": [*many, course], "warnings": []}).encode())

    live.moodle.interceptor = crowded
    live.post_sample(COMPLETED)
    live.wait_settled()
    row = live.event()
    assert row.state in (State.DONE, State.RETRYING), row.reason
    assert row.record is None or len(str(row.record.data)) < 20_000


# -- files swapped under the bridge ----------------------------------------------------------------


def test_a_mapping_that_changes_all_the_time_loses_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.app, "REFRESH", 0.01)
    texts = [f"extends: thinkific\ncourses:\n  68: Forklift Operator {number}\n" for number in "ABC"]
    texts += ["extends: thinkific\ncourses: [broken", "", "extends: ../../etc/passwd\n", "\x00", "a: &a [*a]\n"]
    with rig.running():
        numbers = []
        for number in range(24):
            rig.mapping("thinkific", texts[number % len(texts)])
            numbers.append(posted(rig, completion(f"e-{number}", id=number, user={"id": number + 1})).event)
        path = rig.mapping("thinkific", texts[0])
        path.unlink()
        path.mkdir()
        numbers.append(posted(rig, completion("last", id=99, user={"id": 99})).event)
        rig.wait_settled()
        assert {rig.event(number).state for number in numbers} == {State.DONE}
        titles = {found.version.data.course.title for found in rig.certificates()}
        assert titles <= {f"Forklift Operator {letter}" for letter in "ABC"} | {"Forklift Operator"}


def test_a_link_in_the_mail_folder_is_replaced_and_never_written_through(live: Rig) -> None:
    posted(live, completion())
    live.wait_settled()
    victim = live.folder / "victim"
    victim.write_text("precious")
    (mail,) = (live.folder / "mail").glob("*.eml")
    mail.unlink()
    mail.symlink_to(victim)
    number = live.delivery("mail").id
    live.bridge.store.transact(lambda tx: outbox.replay(tx, number, actor="test"))
    live.bridge.workers.wake()
    live.wait_settled()
    assert victim.read_text() == "precious"
    assert not mail.is_symlink()
    assert (live.folder / "mail").stat().st_mode & 0o077 == 0


# -- what a person types ---------------------------------------------------------------------------

HOSTILE_SETS = (
    {"recipient.email": "a@x.example, b@x.example"},
    {"recipient.email": "a@x.example\nBcc: b@x.example"},
    {"recipient.name": ""},
    {"recipient.name": "x" * 100_000},
    {"course.title": "y" * 100_000},
    {"completed_on": "9999-99-99"},
    {"completed_on": "0001-01-01"},
    {"completed_on": "{{ 7 * 7 }}"},
    {"__class__": "x"},
    {"recipient": "x"},
    {"recipient.__class__": "x"},
    {"completed_at": "2020-01-01"},
    {"template": "../../x"},
    {"fields.hours": "z" * 100_000},
)


def test_what_a_release_sets_is_checked_like_everything_else(rig: Rig) -> None:
    rig.mapping("thinkific", "extends: thinkific\ncourses:\n  1: x\n")
    with rig.running():
        for number, changes in enumerate(HOSTILE_SETS):
            row = stopped(rig, completion(f"e-{number}", id=number, user={"id": number}))
            assert row.state is State.HELD
            overrides = {**changes, "released": "yes"}
            rig.bridge.store.transact(
                lambda tx, row=row, overrides=overrides: inbox.release(
                    tx, row.id, overrides=overrides, actor="test", reason="x"
                )
            )
            rig.bridge.workers.wake()
            rig.wait_settled()
            after = rig.event(row.id)
            assert (changes, after.state) == (changes, State.HELD), after.reason
        assert rig.certificates() == []
        assert rig.mails() == []


NONSENSE = (
    ["events", "show", "9" * 30],
    ["events", "show", "-1"],
    ["events", "show", "1; DROP TABLE inbox"],
    ["events", "replay", "9" * 400],
    ["events", "list", "--before", "9" * 30],
    ["events", "list", "--limit", "9" * 30],
    ["events", "release", "1", "--set", "recipient.__class__=x", "--reason", "x"],
    ["events", "release", "1", "--set", "x" * 100_000, "--reason", "x"],
    ["outbox", "show", "9" * 30],
    ["outbox", "replay", "0"],
    ["certificates", "show", "x" * 100_000],
    ["certificates", "show", "../../etc/passwd"],
    ["certificates", "revoke", "\x00\x1b[31m", "--reason", "x", "--yes"],
    ["find", "x" * 100_000],
    ["find", "%" * 200 + "\x00\x1b[31m"],
    ["send", "../../x", "/etc/passwd"],
    ["send", "thinkific", "/dev/null"],
    ["try", "thinkific", "/etc/passwd"],
    ["fields", "\x1b[31m"],
)


def test_no_command_answers_nonsense_with_a_traceback(live: Rig) -> None:
    for words in NONSENSE:
        result = CliRunner().invoke(certbridge, ["-c", str(live.folder / "config.yaml"), *words])
        assert result.exit_code in (0, 1, 2), result.output
        assert "Traceback" not in result.output
        assert "\x1b[31m" not in result.output


# -- logs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_from_outside_forges_a_line_of_the_log(rig: Rig, form: str) -> None:
    stream = io.StringIO()
    configure_logging(level="debug", form=form, stream=stream)
    forged = '\n2026-11-23 [info] forged\r\n{"event": "forged"}\n\x1b[2J\u2028forged\x85forged'
    with rig.running():
        answer = Answer(200, json.dumps({"exception": "x", "errorcode": forged, "message": forged}).encode())
        rig.moodle.interceptor = lambda call, respond, wire: answer
        rig.post_sample(COMPLETED)
        posted(rig, completion(user={"first_name": forged, "email": forged}))
        posted(rig, {**completion("e-3"), "action": forged})
        rig.post("no%0asuch%1b[31m", b"{}")
        rig.post("thinkific", b"{}", {"X-Forwarded-For": "8.8.8.8\tforged"})
        rig.request("GET", "/%0aforged")
        rig.wait_settled()
    lines = stream.getvalue().split("\n")
    assert len(lines) > 5
    assert not [line for line in lines if line.lstrip().startswith(("2026-11-23 [info] forged", '{"event": "forged'))]
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in lines if line)


def test_a_peer_behind_the_trusted_proxy_may_claim_what_it_likes(rig: Rig) -> None:
    rig.set("server.trusted_proxy", "127.0.0.1")
    with rig.running():
        for claimed in ("1.2.3.4", "evil\x7f", "x" * 5000, "'; DROP TABLE requests;--", "::1, 10.0.0.1", ""):
            answer = rig.post("thinkific", b"{}", {"X-Forwarded-For": claimed})
            assert answer.status in (400, 401)
        assert all(len(row.peer) <= 5000 for row in rig.requests())
        assert rig.request("GET", "/readyz").status == 200


def test_a_mail_that_comes_back_in_brings_nothing_with_it(live: Rig) -> None:
    # What one bridge prints, another school's learner may be called.
    seen = through_thinkific(live, completion())
    url = live.page(live.certificate().certificate.id).text
    named = {"first_name": seen.mail["Subject"][:60], "last_name": "Silva", "id": 2}
    again = through_thinkific(live, completion("e-2", id=2, user=named))
    assert certificate_id.grouped(live.certificates()[0].certificate.id) in url
    assert len(again.mail["To"].addresses) == 1


def test_ten_thousand_accents_on_one_letter_are_cut_and_held(live: Rig) -> None:
    # Python takes a second to put them in order, and holds up every thread meanwhile.
    monster = "a" + "\u0345" * 9_900 + "\u0334" * 9_900
    assert len(one_line(monster)) <= 31
    assert len(one_line("a" + "\u0345\u200b" * 9_000)) <= 31
    row = stopped(live, completion(user={"first_name": monster}))
    assert row.state is State.HELD
    row = stopped(live, completion("e-2", course={"id": 68, "name": monster}, user={"email": monster}))
    assert row.state is State.HELD
    assert one_line("Nguyễn Văn Ánh") == "Nguyễn Văn Ánh"
