"""The ways out that messages promise: corrected at the source and replayed, read again, corrected, sent once more."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence

import pytest
from flow.rig import Rig, changed, sample

from bridge.core.errors import PayloadError
from bridge.core.models import InboundRequest, SourceEvent, State
from bridge.store import inbox

COMPLETED = "course_completed-by-learner"
USERS = "core_user_get_users_by_field"
URL_TOKEN = "url-token-of-the-tests-0009"
UNREADABLE = b'{"a": NaN}'


def replay(rig: Rig, number: int, refetch: bool | None = None) -> inbox.InboxRow:
    """Does what `certbridge events replay` does beside the running bridge."""
    rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, refetch=refetch, actor="test"))
    rig.bridge.workers.wake()
    rig.wait_settled()
    return rig.event(number)


def rename(rig: Rig, name: str) -> None:
    """Corrects the learner's first name at the source."""
    with rig.moodle.lock:
        rig.moodle.site.users[3] = dataclasses.replace(rig.moodle.site.users[3], firstname=name)


# -- corrected at the source ---------------------------------------------------------------------


@pytest.fixture
def unprintable(live: Rig) -> int:
    """The number of an event that is held because nobody can print the learner's name."""
    rename(live, "小龍")
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    row = live.event(number)
    assert (row.state, row.code) == (State.HELD, "glyphs")
    assert row.reason
    assert "Correct it at the source and replay the event" in row.reason
    return number


def test_a_held_event_corrected_at_the_source_is_issued_by_replaying_it(live: Rig, unprintable: int) -> None:
    rename(live, "José")
    row = replay(live, unprintable)
    assert (row.state, row.code) == (State.DONE, "issued"), row.reason
    assert live.certificate().version.data.recipient.name == "José O'Brien & Sons"
    (line,) = [line for line in live.timeline(inbox_id=unprintable) if line.kind == "event.replayed"]
    assert line.data["refetch"] is True


def test_the_stored_record_is_kept_on_request(live: Rig, unprintable: int) -> None:
    rename(live, "José")
    asked = len(live.moodle.named(USERS))
    assert replay(live, unprintable, refetch=False).code == "glyphs"
    assert len(live.moodle.named(USERS)) == asked


def test_a_name_too_long_for_its_place_is_asked_for_again_although_a_draft_is_there(live: Rig) -> None:
    rename(live, "W" * 150)
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    row = live.event(number)
    assert (row.state, row.code) == (State.HELD, "does_not_fit")
    assert row.completion_id is not None
    rename(live, "José")
    assert replay(live, number).code == "issued"
    assert live.certificate().version.data.recipient.name == "José O'Brien & Sons"


def test_an_event_with_its_certificate_is_compared_with_what_was_known_then_unless_asked(live: Rig) -> None:
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    rename(live, "Josefina")
    asked = len(live.moodle.named(USERS))
    assert "different" not in (replay(live, number).reason or "")
    assert len(live.moodle.named(USERS)) == asked
    row = replay(live, number, refetch=True)
    assert (row.state, row.code) == (State.DONE, "already_issued")
    assert row.reason
    different = "recipient.name 'José O'Brien & Sons' → 'Josefina O'Brien & Sons'"
    assert f"Now different: {different}. To take that over: certbridge events replay {number} --correct" in row.reason


def test_another_event_about_a_certified_completion_tells_another_name_and_compares_nothing_else(live: Rig) -> None:
    live.post_sample(COMPLETED)
    live.wait_settled()
    rename(live, "Josefina")
    live.moodle.site.users[3].email = "josefina@example.invalid"
    other = live.post("moodle", changed(sample(COMPLETED)[0], objectid="88")).event
    live.wait_settled()
    row = live.event(other)
    assert row.code == "already_issued"
    assert "Now different: recipient.name 'José O'Brien & Sons' → 'Josefina O'Brien & Sons'." in (row.reason or "")
    assert "recipient.email" not in (row.reason or "")
    # Whoever has an id stays the same person; the command that the reason names takes the new name over.
    live.certbridge("events", "replay", str(other), "--correct", "--reason", "renamed")
    assert live.certificate().version.data.recipient.name == "Josefina O'Brien & Sons"


def test_a_replay_beside_the_running_bridge_corrects_to_what_the_source_says_now(live: Rig) -> None:
    number = live.post_sample(COMPLETED).event
    live.wait_settled()
    rename(live, "Josefina")
    said = live.certbridge("events", "replay", str(number), "--refetch", "--correct", "--reason", "a new name")
    assert "is corrected, version 2." in said
    live.wait_settled()
    assert live.certificate().version.data.recipient.name == "Josefina O'Brien & Sons"
    assert len(live.mails()) == 2
    assert len(live.notes()) == 1


# -- once more -----------------------------------------------------------------------------------


def test_mail_and_write_back_are_had_once_more_and_nothing_is_doubled(any_rig: Rig) -> None:
    with any_rig.running() as rig:
        rig.post_sample(COMPLETED)
        rig.wait_settled()
        identifier = rig.certificate().certificate.id
        (before,) = rig.mails()
        numbers = rig.bridge.amending.resend(identifier, actor="ana")
        rig.wait_settled()
        assert [row.id for row in rig.deliveries()][-2:] == numbers
        assert all(row.state is State.DONE for row in rig.deliveries()), rig.story()
        assert [mail["Message-ID"] for mail in rig.mails()] == [before["Message-ID"]]
        assert len(rig.notes()) == 1
        assert len(rig.bridge.amending.resend(identifier, actor="ana", mail=False)) == 1
        rig.wait_settled()
        assert [row.kind for row in rig.deliveries()].count("write_back") == 3
        resent = [line for line in rig.timeline(certificate_id=identifier) if line.kind == "certificate.resent"]
        assert [(line.actor, len(line.data["deliveries"])) for line in resent] == [("ana", 2), ("ana", 1)]


# -- read again ----------------------------------------------------------------------------------


@pytest.fixture
def by_address(any_rig: Rig) -> Iterator[Rig]:
    """Moodle proves itself by the end of its address, whatever the body is."""
    any_rig.set("sources.moodle.url_token", URL_TOKEN)
    any_rig.set("sources.moodle.webhook_token", None)
    with any_rig.running():
        yield any_rig


Parse = Callable[[InboundRequest], Sequence[SourceEvent]]


def test_a_request_that_can_be_read_by_now_is_read_again_by_replaying_it(
    by_address: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = by_address
    connector = rig.bridge.sources["moodle"].connector
    seen: list[InboundRequest] = []
    parse: Parse = connector.parse

    def cannot(request: InboundRequest) -> Sequence[SourceEvent]:
        raise PayloadError("A shape nobody knew when it came.")

    def can(request: InboundRequest) -> Sequence[SourceEvent]:
        seen.append(request)
        return parse(request)

    body, headers = sample(COMPLETED)
    monkeypatch.setattr(connector, "parse", cannot)
    number = rig.post("moodle", body, headers, URL_TOKEN).event
    assert (rig.event(number).state, rig.event(number).code) == (State.FAILED, "unreadable")
    assert replay(rig, number).reason == "A shape nobody knew when it came."
    monkeypatch.setattr(connector, "parse", can)
    row = replay(rig, number)
    made = rig.events()[-1]
    assert (row.state, row.code) == (State.DONE, "reread")
    assert row.reason == f"Can be read by now: event {made.id}."
    assert (made.request_id, made.test, made.state) == (row.request_id, False, State.DONE)
    assert rig.certificate().version.data.recipient.name == "José O'Brien & Sons"
    assert [request.body for request in seen] == [rig.requests()[0].body]
    assert seen[0].received_at == rig.requests()[0].received_at
    # Once more, and sent again by the source: the same event.
    replay(rig, number)
    assert rig.post("moodle", body, headers, URL_TOKEN).event == made.id
    rig.wait_settled()
    assert len(rig.events()) == 2
    assert len(rig.certificates()) == 1


def test_what_nobody_can_read_stays_failed_with_its_reason(by_address: Rig) -> None:
    answer = by_address.post("moodle", UNREADABLE, token=URL_TOKEN)
    row = replay(by_address, answer.event)
    assert (row.state, row.code, row.reason) == (State.FAILED, "unreadable", answer.json()["reason"])
    assert len(by_address.events()) == 1


def test_the_command_lists_what_came_of_a_request_that_was_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.set("limits.events_per_request", 1)
    with rig.running():
        connector = rig.bridge.sources["thinkific"].connector
        parse: Parse = connector.parse
        event = rig.thinkific.school.completed_event(97472, event_id="e-1")
        monkeypatch.setattr(connector, "parse", lambda request: [*parse(request), *parse(request)])
        number = rig.post_signed(event).event
        assert "(limits: events_per_request)" in (rig.event(number).reason or "")
        monkeypatch.undo()
        said = json.loads(rig.certbridge("events", "replay", str(number), "--json"))
    assert [(one["id"], one["state"]) for one in said["events"]] == [(number, "done"), (number + 1, "done")]
    assert said["finished"] is True
