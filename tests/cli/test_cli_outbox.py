from __future__ import annotations

import json
import shutil

import pytest
from cli_school import School, completed

from bridge.app import open_bridge, read_config
from bridge.store import tables


@pytest.fixture
def stuck(school: School) -> School:
    """A school whose mail folder is a file, so that its one mail cannot be delivered."""
    (school.folder / "mail").write_text("in the way")
    school.arrives(completed())
    return school


def test_a_delivery_shows_its_proof(busy: School) -> None:
    shown = busy.certbridge("outbox", "list").output
    assert "mail to 1001@example.org" in shown
    assert "written to" in shown
    whole = busy.certbridge("outbox", "show", "1").output
    assert "Delivery 1" in whole
    assert "message-id" in whole
    assert "@certificates.acme.example>" in whole


def test_lists_can_be_narrowed(busy: School) -> None:
    def ids(*words: str) -> list[int]:
        rows = busy.json("outbox", "list", *words)
        assert isinstance(rows, list)
        return [row["id"] for row in rows]

    certificates = busy.json("certificates", "list")
    assert isinstance(certificates, list)
    assert ids() == [1]
    assert ids("--certificate", certificates[0]["shown_id"].lower()) == [1]
    assert ids("--kind", "write_back") == []
    assert ids("--state", "failed") == []
    assert ids("--before", "1") == []
    assert "No such deliveries." in busy.certbridge("outbox", "list", "--state", "failed").output


def test_a_delivery_that_does_not_work_says_why_and_can_be_sent_again(stuck: School) -> None:
    rows = stuck.json("outbox", "list")
    assert isinstance(rows, list)
    assert rows[0]["state"] in ("retrying", "failed")
    shown = stuck.certbridge("outbox", "show", "1").output
    assert "Attempts" in shown
    assert "mail" in shown
    (stuck.folder / "mail").unlink()
    result = stuck.certbridge("outbox", "replay", "1")
    assert result.exit_code == 0, result.output
    assert "done" in result.output
    assert len(list((stuck.folder / "mail").glob("*.eml"))) == 1


def test_a_mail_sent_again_carries_the_same_message_id(school: School) -> None:
    school.arrives(completed())
    before = [path.name for path in (school.folder / "mail").glob("*.eml")]
    shutil.rmtree(school.folder / "mail")
    assert school.certbridge("outbox", "replay", "1").exit_code == 0
    assert [path.name for path in (school.folder / "mail").glob("*.eml")] == before


def test_a_delivery_can_be_stopped(stuck: School) -> None:
    result = stuck.certbridge("outbox", "cancel", "1", "--reason", "the address is wrong")
    assert result.exit_code == 0, result.output
    rows = stuck.json("outbox", "list")
    assert isinstance(rows, list)
    assert (rows[0]["state"], rows[0]["reason"]) == ("cancelled", "the address is wrong")


def test_unknown_numbers_are_refused_and_named(busy: School) -> None:
    assert "There is no delivery 9. `certbridge outbox list`" in busy.certbridge("outbox", "show", "9").stderr
    result = busy.certbridge("outbox", "replay", "9", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["refused"] == ["There is no delivery 9."]
    assert busy.certbridge("outbox", "replay").exit_code == 2


def test_all_that_wait_are_counted_first_and_sent_only_on_yes(stuck: School) -> None:
    school = stuck
    school.arrives(completed("Ana", "Costa", user=1002, event="e-2"))
    (school.folder / "mail").unlink()
    end(school, 1, "held", "mail_login")
    end(school, 2, "failed", "smtp_550")

    def states() -> list[str]:
        found = school.json("outbox", "list")
        assert isinstance(found, list)
        return [row["state"] for row in found]

    assert school.certbridge("outbox", "replay", "--held", "--destination", "school", "--yes").output == (
        "No delivery is held.\n"
    )
    no = school.certbridge("outbox", "replay", "--held", "--failed", input="n\n")
    assert no.exit_code == 130
    assert "2 deliveries (mail: 1 failed, mail: 1 held). Replay?" in no.output
    assert states() == ["failed", "held"]
    assert school.certbridge("outbox", "replay", "--held", "--destination", "mail", input="y\n").exit_code == 0
    assert states() == ["failed", "done"]
    assert school.certbridge("outbox", "replay", "--failed", "--yes").exit_code == 0
    assert states() == ["done", "done"]


def test_a_destination_that_does_not_exist_is_answered_with_those_that_do(busy: School) -> None:
    result = busy.certbridge("outbox", "replay", "--held", "--destination", "shcool")
    assert result.exit_code == 2
    assert "did you mean school?" in result.output
    assert busy.certbridge("outbox", "replay", "1", "--destination", "mail").exit_code == 2
    assert busy.certbridge("outbox", "replay", "1", "--held").exit_code == 2


def test_a_step_behind_a_stuck_one_is_left_to_follow_by_itself(stuck: School) -> None:
    end(stuck, 1, "held", "waits_for")
    assert stuck.certbridge("outbox", "replay", "--held", "--yes").output == "No delivery is held.\n"


def end(school: School, number: int, state: str, code: str) -> None:
    """Lets a delivery stand as if that had become of it."""
    values = {"state": state, "code": code, "reason": "tried in vain", "due_at": None}
    with open_bridge(read_config(school.config, {}), role="command") as bridge:
        row = tables.outbox.update().where(tables.outbox.c.id == number).values(values)
        bridge.store.transact(lambda tx: tx.connection.execute(row).rowcount)


def test_nothing_failed_is_said(busy: School) -> None:
    result = busy.certbridge("outbox", "replay", "--failed")
    assert (result.exit_code, result.output) == (0, "No delivery has failed.\n")
