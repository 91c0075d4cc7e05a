"""Time of arrival is not the order of events: chains, revocations and mails follow the completion."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flow.rig import Rig

import bridge.flow.reserve
from bridge.core import certificate_id
from bridge.core.models import State
from bridge.store import certificates
from bridge.store.certificates import CertificateHit
from bridge.store.transaction import Transaction

TOKEN = "a-token-for-the-order-of-time"
MAPPING = """\
extends: zapier
every_course: {hold_if: {name: looks incomplete}}
other_courses: issue
courses:
  68: Fire Safety
  RENEW: {title: First Aid, valid_for: 1 year, again: renew}
  LASTS: {title: Welding, again: renew}
"""


@pytest.fixture
def zap(rig: Rig) -> Iterator[Rig]:
    """A running bridge whose sender composes the fields: an address, a name, a course and a time."""
    yield from _with_zap(rig)


@pytest.fixture
def any_zap(any_rig: Rig) -> Iterator[Rig]:
    """The same, once on SQLite and once on PostgreSQL."""
    yield from _with_zap(any_rig)


def _with_zap(rig: Rig) -> Iterator[Rig]:
    block = {"connector": "zapier", "mode": "live", "mapping": "zap-courses.yaml", "since": "2020-01-01"}
    rig.set("sources.zap", {**block, "header_token": TOKEN})
    rig.mapping("zap", MAPPING)
    with rig.running():
        yield rig


def send(rig: Rig, **fields: Any) -> int:
    """Posts one completion and waits until it is through; returns the event's number."""
    said = {"event_id": fields.get("completed_at", ""), "email": "bk@example.com", "name": "Maria da Silva", **fields}
    answer = rig.post("zap", json.dumps(said).encode(), {"X-Bridge-Token": TOKEN})
    assert answer.status in (200, 202), answer
    rig.wait_settled()
    return int(answer.json()["events"][0])


def take_back(rig: Rig, completed_at: str) -> int:
    """The source takes a completion of learner 7 back."""
    told = {"event": "certificate.revoked", "event_id": "back", "course_id": "LASTS", "learner_id": "7"}
    return send(rig, completed_at=completed_at, **told)


def by_day(rig: Rig) -> list[CertificateHit]:
    """The certificates, the oldest completion first."""
    return sorted(rig.certificates(), key=certificates.moment)


def numbers(*hits: CertificateHit) -> list[str]:
    return [certificate_id.grouped(hit.certificate.id) for hit in hits]


# -- an older completion comes later ---------------------------------------------------------------


def test_case_certificates_02_an_older_completion_that_arrives_later_is_an_older_link_of_the_chain(
    any_zap: Rig,
) -> None:
    rig = any_zap
    send(rig, course_id="RENEW", completed_at="2026-06-01T00:00:00Z")
    send(rig, course_id="RENEW", completed_at="2024-06-01T00:00:00Z")
    older, newer = by_day(rig)
    assert (rig.renews(older), rig.renews(newer)) == (None, older.certificate.id)
    (old,), (new,) = numbers(older), numbers(newer)
    valid = rig.page(newer.certificate.id).text
    assert "renewed by a later certificate" not in valid
    assert old in valid, "it says what it renews"
    assert new in rig.page(older.certificate.id).text
    (mail,) = rig.mails()
    assert new in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    quiet = next(row for row in rig.deliveries("mail") if row.certificate_id == older.certificate.id)
    assert (quiet.state, quiet.code) == (State.IGNORED, "already_expired")
    assert "nobody is congratulated" in (quiet.reason or "")
    # Whoever wants it sent all the same says so.
    rig.certbridge("certificates", "replay", old, "--mail")
    rig.wait_settled()
    assert len(rig.mails()) == 2


def test_an_older_completion_between_two_others_joins_the_chain_there(zap: Rig) -> None:
    for year in (2026, 2022, 2024):
        send(zap, course_id="LASTS", completed_at=f"{year}-06-01T09:00:00Z")
    chain = by_day(zap)
    assert [zap.renews(hit) for hit in chain] == [None, chain[0].certificate.id, chain[1].certificate.id]


def test_a_correction_of_the_day_moves_a_certificate_in_its_chain(zap: Rig) -> None:
    for year in (2022, 2024):
        send(zap, course_id="LASTS", completed_at=f"{year}-06-01T09:00:00Z")
    first, second = by_day(zap)
    zap.certbridge(
        "certificates", "correct", *numbers(first), "--set", "completed_on=2025-01-01", "--reason", "wrong year"
    )
    zap.wait_settled()
    first, second = (zap.read(lambda tx, i=hit.certificate.id: certificates.hit(tx, i)) for hit in (first, second))
    assert (zap.renews(first), zap.renews(second)) == (second.certificate.id, None)


# -- seconds between two tellings ----------------------------------------------------------------


@pytest.mark.parametrize(
    "again",
    [
        pytest.param("2026-06-01T08:00:07Z", id="seven seconds"),
        pytest.param("2026-06-01T08:09:00Z", id="nine minutes"),
        pytest.param("2026-06-01T19:30:00Z", id="the same day"),
        pytest.param("2026-06-01", id="the day alone"),
    ],
)
def test_case_certificates_17_two_tellings_of_one_completion_are_no_renewal(any_zap: Rig, again: str) -> None:
    send(any_zap, course_id="RENEW", completed_at="2026-06-01T08:00:00Z", event_id="rd1")
    number = send(any_zap, course_id="RENEW", completed_at=again, event_id="rd2")
    assert any_zap.event(number).code == "already_issued"
    assert len(any_zap.certificates()) == len(any_zap.mails()) == 1


def test_two_tellings_with_midnight_between_them_are_no_renewal(zap: Rig) -> None:
    send(zap, course_id="LASTS", completed_at="2026-06-01T22:59:58Z")  # 23:59:58 in the issuer's zone
    send(zap, course_id="LASTS", completed_at="2026-06-01T23:00:05Z")
    assert len(zap.certificates()) == 1


def test_another_day_is_a_renewal(zap: Rig) -> None:
    send(zap, course_id="LASTS", completed_at="2026-06-01T08:00:00Z")
    send(zap, course_id="LASTS", completed_at="2026-06-02T08:00:00Z")
    assert len(zap.certificates()) == 2


# -- after a revocation --------------------------------------------------------------------------


def test_case_hostile_2a_an_older_completion_after_a_revocation_waits_for_a_person(any_zap: Rig) -> None:
    rig = any_zap
    send(rig, course_id="LASTS", completed_at="2026-11-20T10:00:00Z")
    (revoked,) = numbers(*rig.certificates())
    rig.certbridge("certificates", "revoke", revoked, "--reason", "by mistake", "--yes")
    number = send(rig, course_id="LASTS", completed_at="2026-05-01T10:00:00Z")
    row = rig.event(number)
    assert (row.state, row.code) == (State.HELD, "completed_after_revocation")
    assert row.reason == (
        "Maria da Silva completed Welding on 2026-05-01, which came after the later completion of 2026-11-20. "
        f"That certificate, {revoked}, was revoked: release this event to issue a new one."
    )
    assert len(rig.certificates()) == 1
    rig.certbridge("events", "release", str(number), "--reason", "it was right")
    rig.wait_settled()
    older, newer = by_day(rig)
    assert (older.certificate.state, newer.certificate.state) == ("issued", "revoked")


def test_a_later_completion_after_a_revocation_is_a_new_achievement(zap: Rig) -> None:
    send(zap, course_id="LASTS", completed_at="2026-05-01T10:00:00Z")
    zap.certbridge("certificates", "revoke", *numbers(*zap.certificates()), "--reason", "by mistake", "--yes")
    send(zap, course_id="LASTS", completed_at="2026-11-20T10:00:00Z")
    assert [hit.certificate.state for hit in by_day(zap)] == ["revoked", "issued"]
    assert zap.renews(by_day(zap)[1]) is None, "what was taken back is not renewed"


def test_the_same_day_again_after_a_revocation_waits_for_a_person(zap: Rig) -> None:
    send(zap, course_id="LASTS", completed_at="2026-05-01T10:00:00Z")
    zap.certbridge("certificates", "revoke", *numbers(*zap.certificates()), "--reason", "by mistake", "--yes")
    number = send(zap, course_id="LASTS", completed_at="2026-05-01T15:00:00Z", event_id="later")
    assert (zap.event(number).state, zap.event(number).code) == (State.HELD, "completed_after_revocation")


def test_a_revocation_takes_back_nothing_that_was_completed_after_it(zap: Rig) -> None:
    for day in ("2026-05-01", "2026-11-20"):
        send(zap, course_id="LASTS", completed_at=f"{day}T10:00:00Z", learner_id="7")
    first = by_day(zap)[0]
    take_back(zap, "2026-05-01T10:00:00Z")
    states = {hit.certificate.id: hit.certificate.state for hit in zap.certificates()}
    assert states.pop(first.certificate.id) == "revoked"
    assert list(states.values()) == ["issued"]


def test_a_revocation_by_an_unknown_key_takes_nobody_elses_place(zap: Rig) -> None:
    send(zap, course_id="LASTS", completed_at="2026-05-01T10:00:00Z", learner_id="7")
    # The completion it means is not known here (yet), and happened after the one that is.
    number = take_back(zap, "2026-05-20T10:00:00Z")
    for _ in range(4):
        zap.later()
    assert (zap.event(number).state, zap.event(number).code) == (State.HELD, "which_completion")
    assert numbers(zap.certificate())[0] in (zap.event(number).reason or "")
    assert zap.certificate().certificate.state == "issued"


# -- the default: one certificate ------------------------------------------------------------------


def test_where_one_certificate_is_enough_an_older_completion_says_what_to_do_about_the_day(zap: Rig) -> None:
    send(zap, course_id="68", completed_at="2026-11-20T10:00:00Z")
    number = send(zap, course_id="68", completed_at="2026-05-01T10:00:00Z")
    assert zap.event(number).code == "reused"
    assert "--set completed_on=2026-05-01 --reason TEXT" in (zap.event(number).reason or "")
    assert len(zap.certificates()) == 1


# -- two at the same moment ------------------------------------------------------------------------


def test_a_second_telling_that_looks_while_the_first_is_being_stored_is_no_renewal(
    any_zap: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What made two certificates of one on PostgreSQL: another transaction committed between two looks of one."""
    rig = any_zap
    looked, stored = threading.Event(), threading.Event()
    before = bridge.flow.reserve.certificates.of_learner
    first: list[int] = []

    def of_learner(tx: Transaction, *which: Any) -> list[CertificateHit]:
        found = before(tx, *which)
        if tx.dialect == "postgresql" and threading.get_ident() not in first:
            first.append(threading.get_ident())
            if len(first) == 1:  # whoever looks first saw nothing, and goes on when the other one has committed
                looked.set()
                stored.wait(20)
        return found

    class Watching:
        def __getattr__(self, name: str) -> Any:
            return of_learner if name == "of_learner" else getattr(certificates, name)

    monkeypatch.setattr(bridge.flow.reserve, "certificates", Watching())
    for second in (0, 3):
        said = {"email": "bk@example.com", "name": "Maria da Silva", "course_id": "LASTS", "event_id": f"t{second}"}
        body = json.dumps({**said, "completed_at": f"2026-06-01T08:00:0{second}Z"}).encode()
        assert rig.post("zap", body, {"X-Bridge-Token": TOKEN}).status in (200, 202)
        if second == 0 and "postgresql" in rig.settings["database"]:
            assert looked.wait(20)
    threading.Timer(1.0, stored.set).start()
    rig.wait_settled()
    stored.set()
    rig.later()
    assert len(rig.certificates()) == 1, rig.story()


# -- tables and the past -------------------------------------------------------------------------


def test_the_past_brings_older_links_too(zap: Rig, tmp_path: Path) -> None:
    assert datetime.now(UTC).year >= 2026
    send(zap, course_id="LASTS", completed_at="2026-06-01T09:00:00Z")
    send(zap, course_id="LASTS", completed_at="2019-06-01T09:00:00Z")
    assert zap.events()[-1].code == "before_start"
    zap.certbridge("past", "zap", "--since", "2019-01-01", "--issue", "all", "--yes")
    zap.wait_settled()
    older, newer = by_day(zap)
    assert (zap.renews(older), zap.renews(newer)) == (None, older.certificate.id)
