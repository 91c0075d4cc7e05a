"""Limits before work behind the door: what is authentic but far too much is refused in words, and nothing is lost."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from contract import NOW
from flow.rig import Rig
from security.attack import posted

import connectors.spreadsheet
import connectors.spreadsheet.table
from bridge.core import signatures
from bridge.core.errors import PayloadError, SignatureError
from bridge.core.models import State
from bridge.core.signatures import verify_standard_webhooks
from bridge.store import sources
from connectors.moodle import links
from connectors.moodle.links import COURSE, LEARNER, number_in
from connectors.salesforce.xml_reader import read_xml

TOKEN = "a-token-for-tables-0001"
HEAD = "name;email;course;completed_at"
ROW = "Ana Silva;ana{0}@example.invalid;68;2026-11-20"


def with_tables(rig: Rig) -> None:
    rig.set("sources.table", {"connector": "spreadsheet", "url_token": TOKEN, "mapping": "table-courses.yaml"})
    rig.mapping("table", "extends: spreadsheet\ncourses:\n  99: Another\nother_courses: skip\n")


class Counted:
    """A function that remembers how often it was called."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return self.function(*arguments, **options)


def test_case_hostile_3_a_table_of_thirty_thousand_columns_is_refused_before_its_names_are_read(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tables(rig)
    tidied = Counted(connectors.spreadsheet.table.tidy)
    for module in (connectors.spreadsheet, connectors.spreadsheet.table):
        monkeypatch.setattr(module, "tidy", tidied)
    tables = [";".join([HEAD, f"n{number}", *(f"c{one}" for one in range(30_000))]).encode() for number in range(12)]
    with rig.running():
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda body: rig.post("table", body, token=TOKEN), tables))
        assert {(one.status, one.json()["outcome"]) for one in answers} == {(200, "unreadable")}
        assert {one.json()["reason"] for one in answers} == {"The table has more than 200 columns."}
        assert tidied.calls == 0
        assert rig.request("GET", "/readyz").status == 200
        rows = rig.events()
        assert {(row.state, row.code) for row in rows} == {(State.FAILED, "unreadable")}
        assert sorted(row.body or b"" for row in rig.requests()) == sorted(tables)


def test_a_table_of_many_rows_is_refused_after_as_many_as_one_request_may_have(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tables(rig)
    rig.set("limits.events_per_request", 10)
    made = Counted(connectors.spreadsheet.Spreadsheet._event)
    monkeypatch.setattr(connectors.spreadsheet.Spreadsheet, "_event", lambda *given: made(*given))
    with rig.running():
        few = "\n".join([HEAD, *(ROW.format(number) for number in range(10))]).encode()
        assert len(rig.post("table", few, token=TOKEN).json()["events"]) == 10
        many = "\n".join([HEAD, *(ROW.format(number) for number in range(20_000))]).encode()
        answer = rig.post("table", many, token=TOKEN)
        assert (answer.status, answer.json()["outcome"]) == (200, "unreadable")
        assert "More than 10 events in one request (limits: events_per_request)" in answer.json()["reason"]
        assert made.calls == 21
        assert rig.event(answer.event).state is State.FAILED


def test_a_message_about_a_body_never_repeats_all_of_it(rig: Rig) -> None:
    rig.set("sources.moodle.plugin", "tool_trigger")
    rig.set("sources.moodle.token_header", "X-Token")
    with rig.running():
        answer = posted(rig, {"eventname": "{" + "x" * 500_000 + "}"}, "moodle")
        assert (answer.status, answer.json()["outcome"]) == (200, "unreadable")
        assert len(answer.body) < 2_500
        assert rig.event(answer.event).state is State.FAILED


def test_a_long_list_of_events_is_answered_at_once_and_not_looked_after_while_its_sender_waits(rig: Rig) -> None:
    rig.set(
        "sources.zap",
        {"connector": "zapier", "header_token": "a-token-for-zaps-0001", "mapping": "zap-courses.yaml"},
    )
    rig.mapping("zap", "extends: zapier\nother_courses: issue\n")
    fields = {"email": "a@example.invalid", "name": "Ana Silva", "course_id": "68", "completed_at": "2026-11-20"}
    with rig.running():
        rig.bridge.store.transact(lambda tx: sources.pause(tx, "zap", tx.now.replace(year=2099), "rest"))
        looks = Counted(rig.bridge.receiver.answering.sleep)
        object.__setattr__(rig.bridge.receiver.answering, "sleep", looks)
        many = [{**fields, "event_id": str(number)} for number in range(300)]
        answer = rig.post("zap", json.dumps(many).encode(), {"X-Bridge-Token": "a-token-for-zaps-0001"})
        assert answer.status == 202
        assert len(answer.json()["results"]) == 300
        assert looks.calls == 0


# -- what C code would do in one line --------------------------------------------------------------


def test_a_list_of_two_thousand_signatures_is_not_worked_out_over_the_body_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked_out = Counted(signatures.hmac.digest)
    monkeypatch.setattr(signatures.hmac, "digest", worked_out)
    secret = signatures.SecretStr("whsec_bXktc2VjcmV0LWtleS1mb3ItdGVzdHM=")
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": " ".join(["v1,eA=="] * 2_000),
    }
    with pytest.raises(SignatureError):
        verify_standard_webhooks(headers, b"{}", [secret, secret], now=NOW)
    assert worked_out.calls == 20


class Searched(str):
    """A text that adds up how many characters were searched through."""

    length = 0

    def find(self, *given: Any) -> int:
        found = super().find(*given)
        start = given[1] if len(given) > 1 else 0
        Searched.length += (found if found >= 0 else len(self)) - start
        return found


class ReadOn:
    """The pattern that reads on from where a search ended; what it reads counts, too."""

    def __init__(self, pattern: Any) -> None:
        self.pattern = pattern

    def match(self, *given: Any) -> Any:
        found = self.pattern.match(*given)
        Searched.length += len(found[0]) if found else 0
        return found


LINKS = ["/course/view.php?", "/course/view.php?&", "/course/view.php?id=", "/course/view.php", "/course/view.php?a#"]


@pytest.mark.parametrize("half", LINKS)
def test_half_a_link_again_and_again_is_searched_once(half: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_QUERY", ReadOn(links._QUERY))
    Searched.length = 0
    text = Searched(half * 5_000)
    assert number_in(text, COURSE) is None
    assert Searched.length <= 2 * len(text)


def test_a_link_is_read_as_moodle_writes_it() -> None:
    assert number_in("https://m.example/course/view.php?id=68", COURSE) == 68
    assert number_in("https://m.example/course/view.php?section=2&id=68#top", COURSE) == 68
    assert number_in('<a href="https://m.example/user/view.php?course=5&amp;id=7">A</a>', *LEARNER) == 7
    assert number_in("<a href='/user/profile.php?id=7'>A</a>", *LEARNER) == 7
    assert number_in("/course/view.php?cid=68", COURSE) is None
    assert number_in("/course/view.php?id=" + "9" * 19, COURSE) is None
    assert number_in('/course/view.php"?id=5', COURSE) is None


@pytest.mark.parametrize("prefix", ["", ":a"])
def test_a_long_namespace_is_refused_before_it_is_written_in_front_of_every_element(prefix: str) -> None:
    body = f'<r xmlns{prefix}="{"u" * 300_000}">{"<b/>" * 50_000}</r>'.encode()
    with pytest.raises(PayloadError, match="a namespace of more than 200 characters"):
        read_xml(body)


ACCENTS = ["a" + "\u0316\u0301" * 60_000, "a\u0327\u0301\u0316" * 30_000]


@pytest.mark.parametrize("name", ACCENTS, ids=["one letter", "many letters"])
def test_a_column_of_a_hundred_thousand_accents_is_refused_before_they_are_put_in_order(name: str) -> None:
    with pytest.raises(PayloadError, match="a column name of more than 200 characters"):
        list(connectors.spreadsheet.table.rows(f"{HEAD};{name}\n1;2;3;4;5\n".encode()))


def test_a_file_of_short_rows_may_not_become_a_hundred_times_as_large() -> None:
    head = ";".join([HEAD, *(f"c{number}" for number in range(190))])
    with pytest.raises(PayloadError, match="more than 2,000,000 cells"):
        for _ in connectors.spreadsheet.table.rows(f"{head}\n".encode() + b"a\n" * 99_999):
            pass


def test_blank_rows_are_no_rows_however_many_a_program_writes() -> None:
    body = f"{HEAD}\n{ROW}\n".encode() + b";;;\n" * 150_000
    assert len(list(connectors.spreadsheet.table.rows(body))) == 1
