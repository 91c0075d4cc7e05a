"""Outbound Messages at the door of a whole bridge: all records of a message or none, and one answer for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flow.rig import Answer, Rig, sample

from bridge.core.errors import UnavailableError
from bridge.core.models import State
from bridge.store import inbox

TOKEN = "salesforce-address-token"
FIVE = "message.five-records.SYNTHETIC"
FIRST = "message.single.SYNTHETIC"
AGAIN = "message.redelivered-newer-values.SYNTHETIC"


@pytest.fixture
def crm(rig: Rig) -> Iterator[Rig]:
    """A running bridge with an organisation that sends everything itself, in formula fields."""
    rig.mapping("crm", "extends: salesforce\nother_courses: issue\n")
    source: dict[str, Any] = {
        "connector": "salesforce",
        "mode": "live",
        "mapping": "crm-courses.yaml",
        "since": "2026-01-01",
        "url_token": TOKEN,
        "organization_ids": ["00D8d000004xYzA"],
        "fields": {
            "first_name": "First_Name__c",
            "last_name": "Last_Name__c",
            "email": "Email__c",
            "score": "Score__c",
        },
    }
    rig.set("sources.crm", source)
    with rig.running():
        yield rig


def post(crm: Rig, name: str, token: str = TOKEN) -> Answer:
    body, headers = sample(name, "salesforce")
    return crm.post("crm", body, headers, token)


def acknowledged(answer: Answer) -> bool:
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    return b"<Ack>true</Ack>" in answer.body


def test_case_01_every_record_of_a_message_becomes_a_certificate_and_the_answer_is_one(crm: Rig) -> None:
    answer = post(crm, FIVE)
    assert answer.status == 200
    assert acknowledged(answer)
    crm.wait_settled()
    assert [row.state for row in crm.events()] == [State.DONE] * 5
    assert len(crm.certificates()) == 5


def test_case_02_a_message_whose_answer_was_lost_makes_no_second_certificate(crm: Rig) -> None:
    for name in (FIRST, FIRST, AGAIN):
        assert acknowledged(post(crm, name))
        crm.wait_settled()
    assert [row.deliveries for row in crm.events()] == [2, 1]
    assert len(crm.certificates()) == len(crm.mails()) == 1


def test_case_03_a_record_that_is_there_twice_brings_one_certificate_with_its_last_values(crm: Rig) -> None:
    assert acknowledged(post(crm, "message.same-record-twice.SYNTHETIC"))
    crm.wait_settled()
    assert [row.state for row in crm.events()] == [State.IGNORED, State.DONE]
    crm.certificate()
    assert (crm.events()[1].completion or {})["fields"] == {"score": "95"}


def test_case_06_what_is_held_is_acknowledged_as_well(crm: Rig) -> None:
    assert acknowledged(post(crm, "message.missing-email.SYNTHETIC"))
    crm.wait_settled()
    assert crm.event().state is State.HELD


def test_case_11_and_12_a_store_that_fails_half_way_keeps_nothing_and_says_so(
    crm: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, tried = inbox.put, []

    def fails_at_the_third(tx: Any, new: Any) -> Any:
        tried.append(new)
        if len(tried) == 3:
            raise UnavailableError("The disk is full.")
        return put(tx, new)

    monkeypatch.setattr(inbox, "put", fails_at_the_third)
    answer = post(crm, FIVE)
    assert answer.status == 503
    assert not acknowledged(answer)
    assert crm.events() == []
    assert acknowledged(post(crm, FIVE))
    assert len(crm.events()) == 5


def test_case_08_and_09_what_is_refused_is_not_acknowledged_and_leaves_no_event(crm: Rig) -> None:
    body, headers = sample(FIRST, "salesforce")
    attack = body.replace(b"?>\n", b'?>\n<!DOCTYPE e [<!ENTITY a "injected">]>\n', 1).replace(b"Lovelace", b"&a;")
    for refused in (attack, body[:-100], body.replace(b"00D8d000004xYzAEAU", b"00D8d00000evilXEAQ"), b"", b"{}"):
        answer = crm.post("crm", refused, headers, TOKEN)
        assert answer.status == 401
        assert not acknowledged(answer)
    assert post(crm, FIRST, "another-token").status == 401
    assert crm.events() == []
    assert "injected" not in crm.dump()


def test_case_25_a_deleted_record_is_acknowledged_and_ignored_with_the_reason(crm: Rig) -> None:
    assert acknowledged(post(crm, "message.deleted-record.SYNTHETIC"))
    assert (crm.event().state, "deleted" in (crm.event().reason or "")) == (State.IGNORED, True)
