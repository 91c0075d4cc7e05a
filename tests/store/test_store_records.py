"""Completions, certificates, requests, sources, history, artifacts and leases."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
from store_samples import at_once, certificate, completion, data, delivery, event, request

from bridge.core import certificate_id
from bridge.core.errors import ConfigError, PermanentError
from bridge.core.models import State
from bridge.store import (
    artifacts,
    attempts,
    certificates,
    completions,
    history,
    inbox,
    leases,
    outbox,
    requests,
    sources,
)
from bridge.store.certificates import CertificateHit
from bridge.store.engine import Store
from bridge.store.find import find
from bridge.store.inbox import InboxRow

ID = "AAAABBBBCCCCDDDDE"

# -- completions ---------------------------------------------------------------------------------


def test_one_completion_whoever_comes_first(store: Store) -> None:
    def create(tx):
        return completions.create(
            tx,
            source="school",
            test=False,
            subject="7",
            course="68",
            cycle=1,
            completed_at=None,
            completed_on=date(2026, 11, 22),
        )

    results = at_once([lambda: store.transact(create) for _ in range(16)])
    made = [result for result in results if result is not None]
    assert len(made) == 1
    assert store.read(lambda tx: completions.all_cycles(tx, "school", False, "7", "68")) == made


def test_cycles_test_and_live_and_sources_are_apart(store: Store) -> None:
    def fill(tx):
        first = completion(tx, cycle=1)
        second = completion(tx, cycle=2, completed_at=tx.now)
        return first, second, completion(tx, test=True), completion(tx, source="other")

    first, second, *_ = store.transact(fill)
    assert store.read(lambda tx: completions.all_cycles(tx, "school", False, "7", "68")) == [first, second]
    assert store.read(lambda tx: completions.all_cycles(tx, "school", False, "8", "68")) == []


def test_keys_lead_to_their_completion_and_are_never_moved(store: Store) -> None:
    one, two = store.transact(lambda tx: (completion(tx, "1"), completion(tx, "2")))
    assert store.transact(lambda tx: completions.add_keys(tx, one, ["a", "b", "a"])) == ()
    assert store.transact(lambda tx: completions.add_keys(tx, one, ["a", "b"])) == ()
    assert store.transact(lambda tx: completions.add_keys(tx, two, ["c", "b"])) == ("b",)

    def by(*keys: str, source: str = "school", test: bool = False):
        return store.read(lambda tx: completions.by_keys(tx, source, test, keys))

    assert by("a") == by("unknown", "b") == by("b", "c") == one
    assert by("c", "b") == two
    assert by() is by("unknown") is by("a", source="other") is by("a", test=True) is None


# -- certificates --------------------------------------------------------------------------------


def test_a_draft_is_reserved_once_and_published(store: Store) -> None:
    row_of = store.transact(lambda tx: completion(tx))
    draft = store.transact(lambda tx: certificate(tx, ID, completion_id=row_of.id))
    again = store.transact(lambda tx: certificate(tx, "ZZZZZZZZZZZZZZZZZ", completion_id=row_of.id))
    assert again == draft
    assert (draft.id, draft.state, draft.version, draft.issued_at) == (ID, "draft", 1, None)
    store.transact(lambda tx: certificates.publish(tx, ID, 1))
    issued = store.read(lambda tx: certificates.get(tx, ID))
    assert issued is not None
    assert issued.state == "issued"
    assert issued.issued_at is not None
    store.transact(lambda tx: certificates.publish(tx, ID, 1))
    assert store.read(lambda tx: certificates.of_completion(tx, row_of.id)) == issued


def test_a_correction_is_shown_once_it_is_published(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    store.transact(lambda tx: certificates.publish(tx, ID, 1))
    more = {"template_sha": "t2", "mapping_sha": "m2", "by": "ana", "reason": "misspelt"}
    number = store.transact(lambda tx: certificates.add_version(tx, ID, data=data("Łukasz"), **more))
    assert number == 2
    before = store.read(lambda tx: certificates.get(tx, ID))
    store.transact(lambda tx: certificates.publish(tx, ID, 2))
    after = store.read(lambda tx: certificates.get(tx, ID))
    assert before is not None
    assert after is not None
    assert (before.version, after.version, after.issued_at) == (1, 2, before.issued_at)
    first, second = store.read(lambda tx: certificates.versions(tx, ID))
    assert (first.data.recipient.name, second.data.recipient.name, second.by) == ("Maria Silva", "Łukasz", "ana")
    assert second == store.read(lambda tx: certificates.version(tx, ID, 2))
    for version in (1, 3):
        with pytest.raises(PermanentError, match="cannot be published"):
            store.transact(lambda tx, version=version: certificates.publish(tx, ID, version))
    with pytest.raises(PermanentError, match="no certificate"):
        store.transact(lambda tx: certificates.add_version(tx, "nope", data=data(), **more))


def test_corrections_that_race_get_different_numbers(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    more = {"template_sha": "t", "mapping_sha": "m", "by": "a", "reason": "r"}
    results = at_once(
        [lambda: store.transact(lambda tx: certificates.add_version(tx, ID, data=data(), **more)) for _ in range(8)]
    )
    assert sorted(results) == list(range(2, 10))  # type: ignore[type-var]


def test_a_certificate_is_revoked_once_and_stays_revoked(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    store.transact(lambda tx: certificates.publish(tx, ID, 1))
    assert store.transact(lambda tx: certificates.revoke(tx, ID, reason="cheated"))
    assert not store.transact(lambda tx: certificates.revoke(tx, ID, reason="again"))
    assert not store.transact(lambda tx: certificates.revoke(tx, "unknown", reason="x"))
    store.transact(lambda tx: certificates.publish(tx, ID, 1))
    row = store.read(lambda tx: certificates.get(tx, ID))
    assert row is not None
    assert (row.state, row.revoke_reason) == ("revoked", "cheated")
    assert row.revoked_at is not None


def test_a_draft_that_was_revoked_never_becomes_valid(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    assert store.transact(lambda tx: certificates.revoke(tx, ID, reason="taken back"))
    store.transact(lambda tx: certificates.publish(tx, ID, 1))
    row = store.read(lambda tx: certificates.get(tx, ID))
    assert row is not None
    assert row.state == "revoked"


def test_files_belong_to_versions_and_a_new_rendering_replaces_the_old(store: Store) -> None:
    store.transact(lambda tx: certificate(tx, ID))
    for content in (b"%PDF-1", bytes(range(256)) * 100):
        sha = store.transact(lambda tx, c=content: certificates.put_file(tx, ID, 1, "pdf", "application/pdf", c))
        assert sha == hashlib.sha256(content).hexdigest()
        row = store.read(lambda tx: certificates.file(tx, ID, 1, "pdf"))
        assert row is not None
        assert (row.media_type, row.sha256, row.bytes) == ("application/pdf", sha, content)
    assert store.read(lambda tx: certificates.file(tx, ID, 1, "png")) is None


def test_certificates_are_found_by_what_they_say_and_by_their_id(store: Store) -> None:
    typed = certificate_id.new()
    people = {typed: "Łukasz Żółć", "B" * 17: "Maria Silva", "C" * 17: "Maria Costa"}
    for number, (id, name) in enumerate(people.items()):
        store.transact(lambda tx, i=id, n=name, s=number: certificate(tx, i, subject=f"s{s}", data=data(n)))
    store.transact(lambda tx: certificates.publish(tx, "B" * 17, 1))

    def found(**wanted: object) -> list[str]:
        return [hit.certificate.id for hit in store.read(lambda tx: certificates.search(tx, **wanted))]

    assert found() == ["C" * 17, "B" * 17, typed]
    assert found(text="żółć") == found(text=certificate_id.grouped(typed).lower()) == found(text="s0") == [typed]
    assert found(text="MARIA silva") == ["B" * 17]
    assert found(text="forklift") == ["C" * 17, "B" * 17, typed]
    assert found(text="forklift", state="issued") == ["B" * 17]
    assert found(source="other") == []
    assert found(recipient_key="k1", limit=1) == ["C" * 17]
    hit = store.read(lambda tx: certificates.hit(tx, typed))
    assert isinstance(hit, CertificateHit)
    assert (hit.completion.subject, hit.version.data.recipient.name) == ("s0", "Łukasz Żółć")
    assert store.read(lambda tx: certificates.hit(tx, "unknown")) is None


def test_find_answers_for_a_learner_with_and_without_a_certificate(store: Store) -> None:
    store.transact(lambda tx: inbox.put(tx, event("ignored", data={"mail": "maria@acme.example"}, state=State.IGNORED)))
    store.transact(lambda tx: inbox.put(tx, event("thin", data={"userid": 7})))
    (row,) = store.transact(lambda tx: inbox.claim(tx, ["school"], node="a"))
    issued = store.transact(lambda tx: certificate(tx, ID))
    done = {"state": State.DONE, "completion_id": issued.completion_id}
    store.transact(lambda tx: inbox.settle(tx, row.id, row.lease_token or "", **done))
    store.transact(lambda tx: inbox.put(tx, event("someone else", data={"mail": "joao@acme.example"})))
    found = store.read(lambda tx: find(tx, "MARIA@acme.example"))
    assert [one.event_id for one in found if isinstance(one, InboxRow)] == ["thin", "ignored"]
    assert [one.certificate.id for one in found if isinstance(one, CertificateHit)] == [ID]
    assert store.read(lambda tx: find(tx, "  ")) == []
    assert store.read(lambda tx: find(tx, "nobody at all")) == []


# -- requests ------------------------------------------------------------------------------------


def test_requests_come_back_as_they_were(store: Store) -> None:
    moment = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
    first = store.transact(lambda tx: requests.record(tx, request(body=b"\0\xff", received_at=moment)))
    second = store.transact(lambda tx: requests.record(tx, request(body=None, outcome="rejected", source="other")))
    rows = store.read(lambda tx: requests.search(tx))
    assert [row.id for row in rows] == [second, first]
    assert (rows[1].body, rows[1].received_at, rows[0].body) == (b"\0\xff", moment, None)
    assert rows[0].received_at > moment
    assert store.read(lambda tx: requests.search(tx, source="other")) == rows[:1]
    assert store.read(lambda tx: requests.search(tx, outcome="accepted")) == rows[1:]
    assert store.read(lambda tx: requests.search(tx, before_id=second)) == rows[1:]
    assert store.read(lambda tx: requests.get(tx, 999)) is None


def test_rejected_requests_are_kept_up_to_a_number_per_hour(store: Store) -> None:
    def reject(**more: object) -> int | None:
        new = request(outcome="signature", body=None, **more)
        return store.transact(lambda tx: requests.record_rejected(tx, new, per_hour=3))

    old = datetime.now(UTC) - timedelta(hours=2)
    store.transact(lambda tx: [requests.record(tx, request(outcome="signature", received_at=old)) for _ in range(5)])
    kept = [reject() is not None for _ in range(5)]
    assert kept == [True, True, True, False, False]
    assert reject(source="other") is not None


# -- sources -------------------------------------------------------------------------------------


def test_the_start_line_is_drawn_once_unless_it_is_configured(store: Store) -> None:
    first = store.transact(lambda tx: sources.ensure(tx, "school", "moodle", since=None))
    again = store.transact(lambda tx: sources.ensure(tx, "school", "moodle", since=None))
    assert again == first
    assert (first.connector, first.cursor, first.paused_until) == ("moodle", {}, None)
    earlier = datetime(2020, 1, 1, tzinfo=UTC)
    assert store.transact(lambda tx: sources.ensure(tx, "school", "moodle", since=earlier)).since == earlier
    assert store.transact(lambda tx: sources.ensure(tx, "school", "moodle", since=None)).since == earlier
    assert [row.name for row in store.read(lambda tx: sources.listing(tx))] == ["school"]


def test_nodes_that_start_together_agree_on_the_start_line(store: Store) -> None:
    results = at_once([lambda: store.transact(lambda tx: sources.ensure(tx, "s", "moodle", since=None))] * 8)
    assert len({result.since for result in results}) == 1  # type: ignore[union-attr]


def test_a_renamed_source_brings_its_past(store: Store) -> None:
    def fill(tx):
        sources.ensure(tx, "old", "moodle", since=None)
        sources.save_cursor(tx, "old", {"page": 3})
        requests.record(tx, request(source="old"))
        inbox.put(tx, event("e1", source="old"))
        completions.add_keys(tx, completion(tx, source="old"), ["k"])
        outbox.put(tx, delivery("d", destination="old"))
        return sources.get(tx, "old")

    old = store.transact(fill)
    row = store.transact(lambda tx: sources.ensure(tx, "new", "moodle", since=None, formerly=["old", "older", "new"]))
    assert (row.since, row.cursor) == (old.since, {"page": 3})
    assert store.read(lambda tx: sources.get(tx, "old")) is None
    assert store.transact(lambda tx: inbox.put(tx, event("e1", source="new"))).result == "duplicate"
    assert store.read(lambda tx: completions.by_keys(tx, "new", False, ["k"])) is not None
    assert store.read(lambda tx: requests.search(tx, source="new"))
    assert store.read(lambda tx: outbox.search(tx, destination="new"))
    again = store.transact(lambda tx: sources.ensure(tx, "new", "moodle", since=None, formerly=["old"]))
    assert again == row


def test_refuses_a_past_that_collides_with_the_present(store: Store) -> None:
    def fill(tx):
        for name in ("old", "new"):
            sources.ensure(tx, name, "moodle", since=None)
            inbox.put(tx, event("e1", source=name))

    store.transact(fill)
    with pytest.raises(ConfigError, match="cannot take over the past of old"):
        store.transact(lambda tx: sources.ensure(tx, "new", "moodle", since=None, formerly=["old"]))
    assert [row.name for row in store.read(lambda tx: sources.listing(tx))] == ["new", "old"]


def test_sources_remember_what_they_saw_and_why_they_rest(store: Store) -> None:
    def use(tx):
        sources.ensure(tx, "school", "moodle", since=None)
        sources.saw(tx, "school", event=False)
        sources.saw(tx, "school", event=True)
        sources.pause(tx, "school", tx.now + timedelta(hours=1), "refused")
        return tx.now

    now = store.transact(use)
    row = store.read(lambda tx: sources.get(tx, "school"))
    assert row is not None
    assert (row.last_request_at, row.last_event_at, row.pause_reason) == (now, now, "refused")
    assert row.paused_until == now + timedelta(hours=1)


# -- attempts, history, artifacts, leases --------------------------------------------------------


def test_attempts_belong_to_an_event_or_a_delivery(store: Store) -> None:
    def record(tx, n, **which):
        usual = {"node": "a", "started_at": tx.now, "outcome": "failed", "code": "c", "reason": "r"}
        return attempts.record(tx, n=n, **usual, request={"url": "x"}, response=None, **which)

    store.transact(lambda tx: [record(tx, 1, inbox_id=1), record(tx, 2, inbox_id=1), record(tx, 1, outbox_id=1)])
    assert [row.n for row in store.read(lambda tx: attempts.of(tx, inbox_id=1))] == [1, 2]
    (one,) = store.read(lambda tx: attempts.of(tx, outbox_id=1))
    assert (one.request, one.response, one.inbox_id) == ({"url": "x"}, None, None)
    assert one.ended_at >= one.started_at
    for which in ({}, {"inbox_id": 1, "outbox_id": 1}):
        with pytest.raises(ValueError, match="event or to a delivery"):
            store.transact(lambda tx, which=which: record(tx, 1, **which))


def test_history_tells_a_certificates_and_an_events_story_in_order(store: Store) -> None:
    def tell(tx):
        history.add(tx, "event.received", actor="school", inbox_id=1, data={"n": 1})
        history.add(tx, "certificate.issued", actor="certbridge", certificate_id=ID, inbox_id=1)
        history.add(tx, "mail.sent", actor="certbridge", certificate_id=ID, outbox_id=4, test=True)
        history.add(tx, "certificate.issued", actor="certbridge", certificate_id="other")

    store.transact(tell)

    def kinds(**wanted: object) -> list[str]:
        return [row.kind for row in store.read(lambda tx: history.timeline(tx, **wanted))]

    assert kinds(certificate_id=ID) == ["certificate.issued", "mail.sent"]
    assert kinds(inbox_id=1) == ["event.received", "certificate.issued"]
    assert kinds(certificate_id=ID, inbox_id=1) == ["event.received", "certificate.issued", "mail.sent"]
    assert kinds() == []


def test_artifacts_are_stored_by_content_and_one_is_in_force(store: Store) -> None:
    first = store.transact(lambda tx: artifacts.put(tx, "mapping", "school", b"a: 1\n"))
    second = store.transact(lambda tx: artifacts.put(tx, "mapping", "school", b"a: 2\n"))
    assert store.transact(lambda tx: artifacts.put(tx, "mapping", "school", b"a: 1\n")) == first
    assert store.read(lambda tx: artifacts.active(tx, "mapping", "school")) is None
    for sha in (first, second, first):
        store.transact(lambda tx, sha=sha: artifacts.activate(tx, "mapping", "school", sha, "ana"))
        row = store.read(lambda tx: artifacts.active(tx, "mapping", "school"))
        assert row is not None
        assert (row.sha256, row.by) == (sha, "ana")
    found = store.read(lambda tx: artifacts.get(tx, second))
    assert found is not None
    assert found.bytes == b"a: 2\n"


def test_a_lease_has_one_holder_until_it_runs_out_or_is_given_back(store: Store) -> None:
    def acquire(holder: str, seconds: float = 60) -> str | None:
        return store.transact(lambda tx: leases.acquire(tx, "poll", holder, seconds))

    tokens = [token for token in at_once([lambda: acquire("node")] * 8) if token]
    assert len(tokens) == 1
    token = str(tokens[0])
    assert store.transact(lambda tx: leases.renew(tx, "poll", token, -1))
    heir = acquire("other")
    assert heir
    assert not store.transact(lambda tx: leases.renew(tx, "poll", token, 60))
    assert not store.transact(lambda tx: leases.release(tx, "poll", token))
    assert acquire("third") is None
    assert store.transact(lambda tx: leases.release(tx, "poll", heir))
    assert acquire("third")
