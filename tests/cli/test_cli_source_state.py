"""pause, resume, doctor and the list of sources; and a flood that a person lets through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cli_harbour import Harbour
from flow.harbour_site import request

from bridge.app import open_bridge, read_config
from bridge.store import sources

NOW = datetime.now(UTC)


def told(harbour: Harbour, *bodies: bytes) -> None:
    """Posts signed bodies to the real receiver and works on them."""
    with open_bridge(read_config(harbour.config, {}), role="command") as bridge:
        for body in bodies:
            signed = bridge.sources["harbour"].connector.sign(body, {}, NOW)
            reply = bridge.receiver.receive("harbour", request(body, dict(signed.headers)), peer="203.0.113.9")
            assert reply.status == 200
        assert bridge.finish_work()


def test_a_source_rests_until_it_is_resumed_and_keeps_what_comes(harbour: Harbour) -> None:
    harbour.since("2020-01-01")
    said = harbour.says("sources", "pause", "harbour", "--reason", "they move house")
    assert "harbour rests until you say `certbridge sources resume harbour`. What it sends meanwhile is kept." in said
    told(harbour, harbour.vendor.completed(1, harbour.vendor.complete("1", NOW, name="Maria Silva")))
    assert harbour.issued() == []
    assert "they move house" in harbour.says("sources", "show", "harbour")
    assert "they move house): what came from it waits. To end that" in harbour.says("events", "list")
    assert "harbour rests until" in harbour.says("poll", "harbour", code=1)
    assert "harbour goes on." in harbour.says("sources", "resume", "harbour")
    assert "what came from it waits" not in harbour.says("events", "list")
    assert harbour.issued() == ["Maria Silva"]
    assert "they move house" not in harbour.says("sources", "show", "harbour")


def test_a_rest_of_some_length_says_so_and_is_not_shown_when_it_is_over(harbour: Harbour) -> None:
    said = harbour.says("sources", "pause", "harbour", "--for", "2 hours", "--reason", "they move house")
    assert "harbour rests for 2 hours." in said
    assert "Paused until" in harbour.says("doctor", "harbour")
    with open_bridge(read_config(harbour.config, {}), role="command") as bridge:
        bridge.store.transact(lambda tx: sources.pause(tx, "harbour", tx.now - timedelta(minutes=1), "over"))
    for words in (("sources", "list"), ("doctor", "harbour")):
        assert "aused" not in harbour.says(*words)
    (one, _) = harbour.json("sources", "list")  # type: ignore[misc]
    assert (one["paused_until"], one["pause_reason"]) == (None, None)
    harbour.says("poll", "harbour")


def test_a_request_that_was_refused_is_shown_with_its_reason_until_something_is_accepted(harbour: Harbour) -> None:
    assert "last request none yet" in harbour.says("sources", "show", "harbour")
    with open_bridge(read_config(harbour.config, {}), role="command") as bridge:
        assert bridge.receiver.receive("harbour", request(b"{}", {}), peer="203.0.113.9").status == 401
    why = "HTTP 401: The request is not signed"
    for words in (("sources", "list"), ("sources", "show", "harbour")):
        said = harbour.says(*words)
        assert f"refused the last one, {why}" in said
        assert "last request none yet" not in said.partition("attendance")[0]
    assert "was refused (HTTP 401): The request is not signed" in harbour.says("doctor", "harbour")
    shown = harbour.json("sources", "show", "harbour")
    assert isinstance(shown, dict)
    assert shown["last_request_at"] == shown["last_refused"]["at"] is not None
    assert shown["last_refused"]["status"] == 401
    harbour.since("2020-01-01")
    told(harbour, harbour.vendor.completed(1, harbour.vendor.complete("1", NOW, name="Maria Silva")))
    assert "refused" not in harbour.says("sources", "show", "harbour")
    assert "refused" not in harbour.says("doctor", "harbour")


@pytest.mark.parametrize("length", ["off", "soon", "0 hours", "-1 hours", "never"])
def test_a_rest_of_no_length_is_refused_and_does_not_last_for_ever(harbour: Harbour, length: str) -> None:
    harbour.says("sources", "pause", "harbour", "--for", length, "--reason", "x", code=2)
    assert "aused" not in harbour.says("sources", "list")


def test_doctor_looks_at_the_house_and_at_every_source(harbour: Harbour) -> None:
    said = harbour.says("doctor")
    for part in (
        "The database can be read and written.",
        "Mail leaves by folder.",
        "https://certificates.acme.example is a public https address",
        "certbridge serve does not run",
        "Harbour accepts the key.",
    ):
        assert part in said
    harbour.vendor.api_key = "another-key-altogether"
    said = harbour.says("doctor", code=1)
    assert "1 thing is wrong; each line says what to do." in said
    assert harbour.certbridge("doctor", "harbour", "--json").exit_code == 1
    assert "Mail leaves" not in harbour.says("doctor", "attendance")


def test_doctor_names_the_poll_that_failed_and_what_is_stuck(harbour: Harbour) -> None:
    harbour.config.write_text(harbour.config.read_text().replace("poll_every: off", "poll_every: 1 hour"))
    mapping = harbour.folder / "mappings" / "harbour.yaml"
    mapping.write_text("extends: harbour\ncourses: {99: Other}\n")
    harbour.since("2020-01-01")
    told(harbour, harbour.vendor.completed(1, harbour.vendor.complete("1", NOW)))
    good, harbour.vendor.api_key = harbour.vendor.api_key, "another-key-altogether"
    assert "certbridge: harbour: " in harbour.says("poll", "harbour", code=1)
    harbour.vendor.api_key = good
    said = harbour.says("doctor", "harbour", code=1)
    assert "The last poll failed: " in said
    assert "1 event is held: certbridge events list --source harbour --state held" in said
    assert "failed: " in harbour.says("sources", "show", "harbour")
    harbour.says("poll", "harbour")
    assert "The last poll failed" not in harbour.says("doctor", "harbour")
    assert "every 1 hour" in harbour.says("sources", "show", "harbour")


# -- a flood ---------------------------------------------------------------------------------------


@pytest.fixture
def flooded(harbour: Harbour) -> Harbour:
    """A source that is expected to have two completions in an hour, and had four."""
    harbour.config.write_text(
        harbour.config.read_text().replace("    poll_every: off\n", "    poll_every: off\n    hold_above: 2\n")
    )
    harbour.since("2020-01-01")
    told(harbour, *(harbour.vendor.completed(n, harbour.vendor.complete(str(n), NOW)) for n in range(1, 5)))
    return harbour


def test_above_the_limit_of_an_hour_completions_wait_for_a_person_with_both_ways_out(flooded: Harbour) -> None:
    assert len(flooded.issued()) == 2
    held = flooded.json("events", "list", "--state", "held")
    assert isinstance(held, list)
    assert [one["code"] for one in held] == ["flood", "flood"]
    reason = held[-1]["reason"]
    assert "certbridge events release --code flood --source harbour" in reason
    assert "set hold_above for the source" in reason


def test_the_command_that_the_reason_names_lets_them_through(flooded: Harbour) -> None:
    words = ("events", "release", "--code", "flood", "--source", "harbour", "--reason", "the import is right")
    assert flooded.certbridge(*words, input="n\n").exit_code == 130
    assert len(flooded.issued()) == 2
    said = flooded.says(*words, input="y\n")
    assert "2 events (harbour: 2 held). Release?" in said
    assert len(flooded.issued()) == 4
    assert flooded.mails() == 4
    assert "No event is held as flood." in flooded.says(*words, "--yes")


def test_only_what_is_held_for_this_reason_is_released(flooded: Harbour) -> None:
    mapping = flooded.folder / "mappings" / "harbour.yaml"
    mapping.write_text("extends: harbour\ncourses: {68: Fire Safety}\n")
    told(flooded, flooded.vendor.completed(9, flooded.vendor.complete("9", NOW, course="70")))
    flooded.says("events", "release", "--code", "flood", "--reason", "right", "--yes")
    assert len(flooded.issued()) == 4
    (left,) = flooded.json("events", "list", "--state", "held")  # type: ignore[misc]
    assert left["code"] == "course_not_listed"


@pytest.mark.parametrize(
    "words", [(), ("--source", "harbour"), ("1", "--code", "flood"), ("1", "--source", "harbour")], ids=" ".join
)
def test_what_is_to_be_released_must_be_clear(flooded: Harbour, words: tuple[str, ...]) -> None:
    said = flooded.says("events", "release", *words, "--reason", "x", code=2)
    assert "Name the events, or all of one reason" in said


def test_a_repeat_of_what_has_its_certificate_is_no_flood(flooded: Harbour) -> None:
    told(flooded, flooded.vendor.completed(1, flooded.vendor.completions[0]))
    flooded.says("events", "replay", "1", "--refetch")
    (first,) = [one for one in flooded.json("events", "list") if one["id"] == 1]  # type: ignore[union-attr]
    assert first["state"] == "done"


def test_after_the_hour_the_next_ones_go_through(flooded: Harbour) -> None:
    from sqlalchemy import update

    from bridge.store import tables

    with open_bridge(read_config(flooded.config, {}), role="command") as bridge:
        long_ago = update(tables.certificates).values(issued_at=NOW - timedelta(minutes=61))
        bridge.store.transact(lambda tx: tx.connection.execute(long_ago) and None)
    told(flooded, flooded.vendor.completed(9, flooded.vendor.complete("9", NOW)))
    assert len(flooded.issued()) == 3
