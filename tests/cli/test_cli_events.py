from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cli_school import HOSTILE, School, completed
from rich.console import Console

from bridge.cli import replaying
from bridge.cli.session import actor


def test_the_list_says_for_each_event_what_came_of_it(busy: School) -> None:
    shown = busy.certbridge("events", "list").output
    assert "Maria Silva, Fire Safety" in shown
    assert 'The name "X" looks incomplete' in shown
    assert "Maria Silva, Knitting" in shown
    assert "The course is not listed." in shown
    assert "U+674E" in shown
    assert "One lesson was completed, not the course." in shown
    assert "a request that cannot be read" in shown
    assert "Times: Europe/Berlin" in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_programs_get_the_same_as_json(busy: School) -> None:
    rows = busy.json("events", "list")
    assert isinstance(rows, list)
    assert [row["id"] for row in rows] == [7, 6, 5, 4, 3, 2, 1]
    states = {row["id"]: (row["state"], row["code"]) for row in rows}
    assert states[1][0] == "done"
    assert states[2] == ("held", "hold_if")
    assert states[4] == ("held", "course_not_listed")
    assert states[6][0] == "ignored"
    assert states[7] == ("failed", "unreadable")
    assert rows[-1]["received_at"].endswith("Z")
    assert len(rows[-1]["certificate"]) == 17


def test_lists_can_be_narrowed_and_paged(busy: School) -> None:
    def ids(*words: str) -> list[int]:
        rows = busy.json("events", "list", *words)
        assert isinstance(rows, list)
        return [row["id"] for row in rows]

    assert ids("--state", "held") == [5, 4, 3, 2]
    assert ids("--state", "held", "--limit", "2") == [5, 4]
    assert ids("--state", "held", "--before", "4") == [3, 2]
    assert ids("--text", "knitting") == [4]
    assert ids("--source", "school", "--state", "failed") == [7]
    assert "certbridge events list --before 6" in busy.certbridge("events", "list", "--limit", "2").output


def test_one_event_is_shown_whole(busy: School) -> None:
    shown = busy.certbridge("events", "show", "1").output
    for part in (
        "Maria Silva, Fire Safety",
        "enrollment.completed",
        "Deliveries",
        "mail to 1001@example.org",
        "History",
    ):
        assert part in shown
    whole = busy.json("events", "show", "1")
    assert isinstance(whole, dict)
    assert whole["event"]["data"]["user"]["first_name"] == "Maria"
    assert [row["kind"] for row in whole["certificate_deliveries"]] == ["mail"]


def test_a_held_event_says_what_can_be_done(busy: School) -> None:
    shown = busy.certbridge("events", "show", "2").output
    assert "certbridge events release 2 --reason TEXT" in shown
    assert "certbridge events replay 2" in shown
    assert "certbridge events cancel 2" in shown


def test_what_the_source_sent_is_shown_on_request(busy: School) -> None:
    assert '"first_name": "Maria"' not in busy.certbridge("events", "show", "1").output
    assert '"first_name": "Maria"' in busy.certbridge("events", "show", "1", "--payload").output


@pytest.mark.parametrize(
    "words",
    [
        ("events", "list"),
        ("events", "show", "3"),
        ("events", "show", "3", "--payload"),
        ("events", "show", "3", "--json"),
        ("find", "Santos"),
        ("find", "Santos", "--json"),
        ("try", "--event", "3"),
        ("fields", "school"),
        ("outbox", "list"),
    ],
    ids=" ".join,
)
def test_a_hostile_name_stays_a_name(busy: School, words: tuple[str, ...]) -> None:
    result = busy.certbridge(*words)
    assert result.exit_code == 0, result.output
    assert not set(result.output) & set("\x1b\x07\x9b\u202e\r\x00")


def test_a_hostile_event_type_and_hostile_ids_are_only_text(school: School, tmp_path: Path) -> None:
    body = json.loads(completed(HOSTILE, user=9))
    body |= {"resource": HOSTILE, "id": HOSTILE}
    body["payload"]["user"]["id"] = HOSTILE
    body["payload"]["course"]["name"] = HOSTILE
    (tmp_path / "body").write_text(json.dumps(body))
    school.arrives(json.dumps(body).encode())
    for words in (
        ("events", "list"),
        ("events", "show", "1"),
        ("events", "show", "1", "--payload"),
        ("find", "pwned"),
        ("try", "--event", "1"),
        ("fields", "school", "--sample", str(tmp_path)),
    ):
        result = school.certbridge(*words)
        assert result.exit_code == 0, result.output
        assert "[bold red]" in result.output
        assert not set(result.output) & set("\x1b\x07\x9b\u202e\r\x00")


def test_markup_in_a_name_is_text(busy: School) -> None:
    assert "[bold red]" in busy.certbridge("events", "list").output
    assert ":smile:" in busy.certbridge("events", "list").output


# -- release ----------------------------------------------------------------------------------------


def test_a_released_event_becomes_a_certificate_with_the_corrected_name(school: School) -> None:
    school.arrives(completed("X", ""))
    result = school.certbridge(
        "events", "release", "1", "--set", "recipient.name=Xenia Novak", "--reason", "asked her on the phone"
    )
    assert result.exit_code == 0, result.output
    assert "Xenia Novak, Fire Safety" in result.output
    assert "done" in result.output
    shown = school.json("events", "show", "1")
    assert isinstance(shown, dict)
    assert shown["state"] == "done"
    released = next(line for line in shown["history"] if "released" in line["kind"])
    assert released["actor"] == actor()
    assert released["data"]["reason"] == "asked her on the phone"
    certificates = school.json("certificates", "list")
    assert isinstance(certificates, list)
    assert [one["recipient"]["name"] for one in certificates] == ["Xenia Novak"]


def test_a_release_without_corrections_overrules_the_rule(school: School) -> None:
    school.arrives(completed("Madonna", ""))
    assert school.certbridge("events", "release", "1", "--reason", "that is her name").exit_code == 0
    certificates = school.json("certificates", "list")
    assert isinstance(certificates, list)
    assert [one["recipient"]["name"] for one in certificates] == ["Madonna"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("1",), 2, "--reason"),
        (("1", "--reason", "  "), 2, "say why"),
        (("1", "--reason", "r", "--set", "recipient.nme=x"), 2, "did you mean recipient.name?"),
        (("1", "--reason", "r", "--set", "recipient.name"), 2, "says no value"),
        (("1", "--reason", "r", "--set", "fields.=x"), 2, "cannot be set"),
        (("one", "--reason", "r"), 2, "'one' is no number. `certbridge events list` shows the numbers."),
        (("99999999999999999999999", "--reason", "r"), 2, "is no number"),
        (("77", "--reason", "r"), 1, "There is no event 77."),
    ],
)
def test_a_wrong_release_says_what_to_write(busy: School, words: tuple[str, ...], code: int, said: str) -> None:
    result = busy.certbridge("events", "release", *words)
    assert result.exit_code == code
    assert said in result.output


def test_what_is_done_cannot_be_released(busy: School) -> None:
    result = busy.certbridge("events", "release", "1", "--reason", "again")
    assert result.exit_code == 1
    assert "Event 1 is done; only held and failed events can be released." in result.stderr


# -- replay and cancel ------------------------------------------------------------------------------


def test_a_replay_after_a_change_of_the_mapping_issues(school: School) -> None:
    school.arrives(completed(course=7, title="Knitting"))
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text(mapping.read_text() + "  7: Knitting for Beginners\n")
    result = school.certbridge("events", "replay", "1")
    assert result.exit_code == 0, result.output
    assert "Maria Silva, Knitting for Beginners" in result.output


def test_a_replay_never_issues_twice(school: School) -> None:
    school.arrives(completed())
    for _ in range(3):
        assert school.certbridge("events", "replay", "1").exit_code == 0
    certificates = school.json("certificates", "list")
    assert isinstance(certificates, list)
    assert len(certificates) == 1


def test_one_unknown_number_does_not_stop_the_others(school: School) -> None:
    school.arrives(completed(), work=False)
    result = school.certbridge("events", "replay", "99", "1", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["refused"] == ["There is no event 99."]
    assert [(row["id"], row["state"]) for row in said["events"]] == [(1, "done")]
    assert "There is no event 99." in result.stderr


def test_all_failed_events_can_be_replayed_at_once(school: School) -> None:
    school.arrives(b"{nope")
    result = school.certbridge("events", "replay", "--failed", "--yes")
    assert result.exit_code == 0
    assert "a request that cannot be read" in result.output
    assert "No event has failed." in School(_fresh(school)).certbridge("events", "replay", "--failed").output


def _fresh(school: School) -> Path:
    from cli_school import make_school

    return make_school(school.folder.parent / "another").folder


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("1", "--failed"),
        ("1", "--held"),
        ("1", "--source", "school"),
        ("1", "--correct"),
        ("1", "--reason", "r"),
        ("1", "--no-mail"),
        ("1", "--correct", "--resend", "--reason", "r"),
        ("--held", "--resend"),
        ("--failed", "--correct", "--reason", "r"),
    ],
    ids=" ".join,
)
def test_a_replay_refuses_what_does_not_go_together(busy: School, words: tuple[str, ...]) -> None:
    assert busy.certbridge("events", "replay", *words).exit_code == 2


def test_all_that_wait_are_counted_first_and_replayed_only_on_yes(school: School) -> None:
    school.arrives(completed("X", "", event="e-1"))
    school.arrives(completed(course=7, title="Knitting", event="e-2"))
    school.arrives(b"{nope")
    school.arrives(completed(event="e-4"))
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text(mapping.read_text() + "  7: Knitting for Beginners\n")
    no = school.certbridge("events", "replay", "--held", "--failed", "--source", "school", input="n\n")
    assert no.exit_code == 130
    assert "3 events (school: 1 failed, school: 2 held). Replay?" in no.output
    assert [row["state"] for row in rows(school)] == ["done", "failed", "held", "held"]
    yes = school.certbridge("events", "replay", "--held", input="y\n")
    assert yes.exit_code == 0, yes.output
    assert [row["state"] for row in rows(school)] == ["done", "failed", "done", "held"]
    assert len(replayed(school, 2)) == 1
    assert replayed(school, 3) == replayed(school, 4) == []


def rows(school: School) -> list[dict[str, Any]]:
    found = school.json("events", "list")
    assert isinstance(found, list)
    return found


def replayed(school: School, number: int) -> list[dict[str, Any]]:
    """The lines of history that say so."""
    shown = school.json("events", "show", str(number))
    assert isinstance(shown, dict)
    return [line for line in shown["history"] if line["kind"] == "event.replayed"]


def test_a_long_replay_takes_all_shows_how_far_it_is_and_lists_what_needs_a_person(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "SHOWN", 5)
    shown = io.StringIO()
    screen = Console(file=shown, force_terminal=True, width=90, _environ={"TERM": "xterm"})
    monkeypatch.setattr(replaying, "stderr_console", lambda: screen)
    for number in range(replaying.LONG):
        school.arrives(completed("X", "", user=2000 + number, event=f"e-{number}"), work=False)
    assert school.certbridge("events", "replay", "1").exit_code == 0
    school.arrives(completed("X", "", user=1999, event="e-x"))
    result = school.certbridge("events", "replay", "--held", "--yes")
    assert result.exit_code == 0, result.output
    assert f"{replaying.LONG + 1:,} replayed: {replaying.LONG + 1:,} held." in result.output
    assert result.output.count("looks incomplete") == 5
    assert f"{replaying.LONG + 1}/{replaying.LONG + 1}" in shown.getvalue()


# -- compare, correct, resend -----------------------------------------------------------------------


@pytest.fixture
def married(school: School) -> School:
    """A certificate for Maria Silva, whose course has another title in the mapping by now."""
    school.arrives(completed())
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text(mapping.read_text().replace("68: Fire Safety", "68: Fire Safety, Level 1"))
    return school


def test_a_replay_says_what_is_different_from_the_certificate_and_changes_nothing(married: School) -> None:
    result = married.certbridge("events", "replay", "1")
    said = " ".join(result.output.split())
    assert "Now different: course.title 'Fire Safety' → 'Fire Safety, Level 1'." in said
    (row,) = rows(married)
    assert (row["state"], row["code"]) == ("done", "already_issued")
    assert row["reason"].endswith("To take that over: certbridge events replay 1 --correct --reason TEXT")
    assert versions(married) == ["Fire Safety"]


def test_a_replay_that_finds_no_difference_says_none(school: School) -> None:
    school.arrives(completed())
    assert school.certbridge("events", "replay", "1").exit_code == 0
    assert "different" not in rows(school)[0]["reason"]


def versions(school: School) -> list[str]:
    """The course titles of every version of the only certificate."""
    (one,) = school.json("certificates", "list")  # type: ignore[misc]
    shown = school.json("certificates", "show", one["id"])
    assert isinstance(shown, dict)
    return [said["data"]["course"]["title"] for said in shown["versions"]]


def test_a_replay_that_corrects_makes_a_new_version_with_the_reason_and_says_so(married: School) -> None:
    result = married.certbridge("events", "replay", "1", "--correct", "--reason", "the course got levels")
    assert result.exit_code == 0, result.output
    assert "is corrected, version 2." in result.output
    assert versions(married) == ["Fire Safety", "Fire Safety, Level 1"]
    assert rows(married)[0]["reason"].endswith("says this since version 2.")
    history = married.json("events", "show", "1")
    assert isinstance(history, dict)
    assert [row["state"] for row in history["certificate_deliveries"]] == ["done", "done"]
    again = married.certbridge("events", "replay", "1", "--correct", "--reason", "once more")
    assert again.exit_code == 0
    assert "its certificate says all of this already" in again.output
    assert len(versions(married)) == 2


def test_a_replay_can_correct_without_writing_to_the_learner(married: School) -> None:
    words = ("--correct", "--no-mail", "--reason", "the course got levels")
    assert married.certbridge("events", "replay", "1", *words).exit_code == 0
    assert [row["state"] for row in married.json("outbox", "list")] == ["ignored", "done"]  # type: ignore[union-attr]


@pytest.mark.parametrize("words", [("--correct", "--reason", "r"), ("--resend",)], ids=" ".join)
def test_what_has_no_certificate_can_be_neither_corrected_nor_sent_again(
    school: School, words: tuple[str, ...]
) -> None:
    school.arrives(completed("X", ""))
    result = school.certbridge("events", "replay", "1", *words)
    assert result.exit_code == 1
    assert "Event 1 has no certificate yet." in result.stderr
    assert replayed(school, 1) == []


def test_a_replay_can_send_the_mail_again_with_the_same_message_id(school: School) -> None:
    school.arrives(completed())
    (before,) = (school.folder / "mail").glob("*.eml")
    before.unlink()
    result = school.certbridge("events", "replay", "1", "--resend")
    assert result.exit_code == 0, result.output
    assert "sent again: delivery 2." in result.output
    assert before.exists()
    assert [row["state"] for row in school.json("outbox", "list")] == ["done", "done"]  # type: ignore[union-attr]


def test_a_cancelled_event_ends_with_its_reason(school: School) -> None:
    school.arrives(completed("X", ""))
    result = school.certbridge("events", "cancel", "1", "--reason", "a test account")
    assert result.exit_code == 0
    assert "certbridge events replay 1" in result.output
    rows = school.json("events", "list")
    assert isinstance(rows, list)
    assert (rows[0]["state"], rows[0]["reason"]) == ("cancelled", "a test account")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--source", "shcool"), "did you mean school? Configured: school."),
        (("list", "--state", "stuck"), "'held'"),
        (("list", "--limit", "0"), "1<=x<=1000"),
        (("show", "-1"), "No such option"),
        (("show", "x\x1b[31m"), "is no number"),
    ],
)
def test_a_wrong_value_is_answered_with_the_right_ones(busy: School, words: tuple[str, ...], said: str) -> None:
    result = busy.certbridge("events", *words)
    assert result.exit_code == 2
    assert said in result.output
    assert "\x1b" not in result.output
