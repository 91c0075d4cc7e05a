"""A kind of source that an admin declared, in a whole bridge: one file, and everything that a connector does."""

from __future__ import annotations

import pytest
from flow.rig import Rig
from flow.rig_declared import NORTHWIND, NOVEMBER, Northwind, declare, issued, poll, refusal, states
from vendors.faults import Faults
from vendors.plain_api import PlainApi

from bridge.core.models import State
from bridge.store import inbox, sources


@pytest.fixture
def northwind(rig: Rig, plain: PlainApi) -> Northwind:
    """The admin's own vendor, and a bridge with its declaration that does not run yet."""
    vendor = Northwind(plain)
    vendor.set_up(rig)
    return vendor


def test_an_admins_own_declaration_goes_from_the_webhook_to_the_confirmed_record(
    rig: Rig, northwind: Northwind
) -> None:
    with rig.running():
        body = northwind.passed("a-1")
        assert northwind.send(rig, body).status == 200
        assert northwind.numbers() == [issued(rig)]
        row = rig.delivery("write_back")
        assert (row.step, row.state, row.receipt and row.receipt["confirmed"]) == ("record", State.DONE, True)
        assert len(rig.mails()) == 1
        assert northwind.send(rig, body).json()["outcome"] == "duplicate"
        assert states(rig) == [State.DONE]
        assert northwind.plain.refused == []


def test_its_signature_counts_and_its_time(rig: Rig, northwind: Northwind) -> None:
    with rig.running():
        body = northwind.passed("a-1")
        assert northwind.send(rig, body, secret="quite another secret").status == 401
        assert northwind.send(rig, body, at=NOVEMBER.timestamp()).status == 401
        raw, headers = northwind.signed(body)
        assert rig.post("northwind", raw.replace(b"a-1", b"a-2"), headers).status == 401
        assert rig.events() == []


def test_a_record_that_was_written_before_the_connection_broke_is_not_written_twice(
    rig: Rig, northwind: Northwind
) -> None:
    faults = Faults(northwind.plain)
    faults.next(1, "commit-then-drop", "POST")
    with rig.running():
        northwind.send(rig, northwind.passed("a-1"))
        assert rig.delivery("write_back").state is State.RETRYING
        assert len(northwind.numbers()) == 1
        rig.later()
        assert rig.delivery("write_back").state is State.DONE
        assert northwind.numbers() == [issued(rig)]
        assert not faults.pending


def test_a_vendor_that_asks_to_slow_down_pauses_its_source_and_no_other(rig: Rig, northwind: Northwind) -> None:
    faults = Faults(northwind.plain)
    faults.next(1, "429", "GET", seconds=120)
    with rig.running():
        northwind.send(rig, northwind.passed("a-1"))
        assert (rig.event().state, rig.event().code) == (State.RETRYING, "http_429")
        paused = {row.name: row.paused_until is not None for row in rig.read(sources.listing)}
        assert paused == {"moodle": False, "thinkific": False, "northwind": True}
        raw, headers = northwind.signed(northwind.passed("a-2", user=8))
        assert rig.post("northwind", raw, headers).status == 200
        rig.post_sample("course_completed-by-learner")
        rig.wait(lambda: len(rig.certificates()) == 1)
        assert states(rig)[:2] == [State.RETRYING, State.READY]
        assert rig.certificate().version.data.recipient.name == "José O'Brien & Sons"
        assert not faults.pending


def test_a_poll_finds_what_the_webhook_lost_and_nothing_twice(rig: Rig, northwind: Northwind) -> None:
    with rig.running():
        northwind.send(rig, northwind.passed("a-1"))
        northwind.passed("a-2", user=8)
        northwind.passed("a-3", state="started", user=9)
        found = poll(rig, "northwind")
        assert (len(found.new), found.known) == (1, 1)
        assert [hit.certificate.state for hit in rig.certificates()] == ["issued", "issued"]
        assert len(set(northwind.numbers())) == len(northwind.numbers()) == 2
        assert northwind.send(rig, northwind.passed("a-2", user=8)).status == 200
        assert len(rig.certificates()) == 2
        assert states(rig).count(State.DONE) == len(rig.events()) == 2


def test_a_wrong_declaration_never_replaces_the_one_that_works(rig: Rig, northwind: Northwind) -> None:
    with rig.running():
        wrong = NORTHWIND.replace("item.event", "itme.event").replace("data.fetched.user.name", "dat.fetched.user.name")
        declare(rig, "northwind", wrong)
        rig.take_over_mappings()
        said = refusal(rig, "check")
        assert 'mappings/northwind.yaml:14:11 source.webhook has "type: {{ itme.event }}". "itme" is not known' in said
        assert 'mappings/northwind.yaml:53:13 Event "course.finished", completion has "name:' in said
        assert "stays in use" in rig.bridge.mappings.problems["northwind"]
        northwind.send(rig, northwind.passed("a-1"))
        assert northwind.numbers() == [issued(rig)]


def test_with_a_wrong_declaration_the_bridge_says_so_and_does_not_start(rig: Rig, northwind: Northwind) -> None:
    declare(rig, "northwind", NORTHWIND.replace("signs:", "sings:"))
    with pytest.raises(Exception, match=r"mappings/northwind\.yaml:12:11 .*did you mean signs\?"), rig.running():
        pass


def test_an_event_of_which_a_rule_cannot_tell_is_held_until_a_person_releases_it(
    rig: Rig, northwind: Northwind
) -> None:
    rule = "    ignore: [{when: data.fetched.preview, because: This was a preview.}]\n  api:\n"
    declare(rig, "northwind", NORTHWIND.replace("  api:\n", rule, 1))
    with rig.running():
        northwind.send(rig, northwind.passed("a-1"))
        row = rig.event()
        assert (row.state, row.code) == (State.HELD, "ignore_unclear")
        assert "data.fetched.preview is missing. If it is not, release it" in (row.reason or "")
        rig.bridge.store.transact(lambda tx: inbox.release(tx, row.id, overrides={}, reason="no preview", actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert northwind.numbers() == [issued(rig)]
