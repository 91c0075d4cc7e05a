"""poll and past: asking now, looking behind the start line, and issuing what a person chooses, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cli_harbour import Harbour

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=100)
EXPIRED = NOW - timedelta(days=900)
SINCE = ("--since", (NOW - timedelta(days=2000)).date().isoformat())


@pytest.fixture
def grown(harbour: Harbour) -> Harbour:
    """A school that begins with certbridge today, on a platform that knows of three earlier completions."""
    harbour.says("sources", "list")
    harbour.vendor.complete("1", OLD, name="Maria Silva")
    harbour.vendor.complete("2", OLD + timedelta(days=1), name="Nora Berg")
    harbour.vendor.complete("3", EXPIRED, name="Old Expired")
    return harbour


def numbers(harbour: Harbour, *words: str) -> dict[str, int]:
    """Lists the past; returns the number of each learner."""
    found = harbour.json("past", "harbour", *SINCE, *words)
    assert isinstance(found, list)
    return {one["name"] or one["subject"]: one["number"] for one in found}


def test_the_past_is_a_list_and_nothing_is_issued_by_looking(grown: Harbour) -> None:
    said = grown.says("past", "harbour", *SINCE)
    assert "Maria Silva" in said
    assert "a certificate that is expired already: with --expired only" in said
    assert "Nothing is issued yet. Choose with --issue all, or --issue 1,3-5." in said
    assert numbers(grown) == {"Old Expired": 1, "Maria Silva": 2, "Nora Berg": 3}
    assert grown.issued() == []
    assert grown.json("events", "list") == []


def test_a_selection_is_issued_with_the_dates_of_its_completion(grown: Harbour) -> None:
    said = grown.says("past", "harbour", *SINCE, "--issue", "2", input="y\n")
    assert "Issue 1 certificates?" in said
    assert "done" in said
    assert grown.issued() == ["Maria Silva"]
    assert grown.mails() == 1
    (one,) = grown.json("certificates", "list")  # type: ignore[misc]
    assert OLD.date().isoformat() in str(one)
    assert numbers(grown) == {"Old Expired": 1, "Nora Berg": 2}


def test_all_means_all_that_are_not_expired_and_twice_issues_nothing_twice(grown: Harbour) -> None:
    grown.says("past", "harbour", *SINCE, "--issue", "all", "--yes")
    assert grown.issued() == ["Maria Silva", "Nora Berg"]
    said = grown.says("past", "harbour", *SINCE, "--issue", "all", "--yes", code=1)
    assert "None of these can be issued" in said
    assert grown.issued() == ["Maria Silva", "Nora Berg"]
    assert grown.mails() == 2


def test_expired_ones_are_issued_only_on_purpose_and_nobody_is_written_to(grown: Harbour) -> None:
    grown.says("past", "harbour", *SINCE, "--issue", "all", "--expired", "--yes")
    assert grown.issued() == ["Maria Silva", "Nora Berg", "Old Expired"]
    assert grown.mails() == 2
    texts = [path.read_text() for path in (grown.folder / "mail").glob("*.eml")]
    assert not any("m3@example.invalid" in text for text in texts)


def test_without_mail_nobody_is_written_to(grown: Harbour) -> None:
    said = grown.says("past", "harbour", *SINCE, "--issue", "all", "--no-mail", input="y\n")
    assert "Issue 2 certificates, without mail?" in said
    assert len(grown.issued()) == 2
    assert grown.mails() == 0


@pytest.mark.parametrize("unseen", ["--yes", "--json"])
def test_numbers_are_only_issued_after_their_rows_were_shown_once_more(grown: Harbour, unseen: str) -> None:
    said = grown.says("past", "harbour", *SINCE, "--issue", "2", unseen, code=2)
    assert "the list as it is now, which may have changed since you saw it" in said
    assert grown.issued() == []


def test_no_is_no(grown: Harbour) -> None:
    assert grown.certbridge("past", "harbour", *SINCE, "--issue", "all", input="n\n").exit_code == 130
    assert grown.issued() == []


def test_what_came_without_a_date_at_the_first_contact_can_be_chosen_and_keeps_its_number(grown: Harbour) -> None:
    grown.vendor.complete("4", None, name="Dana Datelos")
    said = grown.says("poll", "harbour")
    assert "harbour: 0 new, 0 known, 4 from before the start line." in said
    listed = grown.json("past", "harbour", *SINCE)
    assert isinstance(listed, list)
    (one,) = [one for one in listed if one["name"] == "Dana Datelos"]
    assert one["event"] == 1
    grown.says("past", "harbour", *SINCE, "--issue", str(one["number"]), input="y\n")
    assert grown.issued() == ["Dana Datelos"]
    assert "Dana Datelos" not in numbers(grown)
    (event,) = grown.json("events", "list")  # type: ignore[misc]
    assert (event["id"], event["state"]) == (1, "done")


def test_what_came_by_itself_and_was_older_is_issued_without_mail_on_request(grown: Harbour) -> None:
    assert arrives(grown, grown.vendor.completed(1, grown.vendor.completions[0])) == 200
    grown.says("past", "harbour", *SINCE, "--issue", str(numbers(grown)["Maria Silva"]), "--no-mail", input="y\n")
    assert (grown.issued(), grown.mails()) == (["Maria Silva"], 0)


def test_what_came_by_two_ways_is_offered_once_and_no_more_when_one_was_issued(grown: Harbour) -> None:
    (said,) = grown.vendor.completions[:1]
    for number in (1, 2):
        with_id = grown.vendor.completed(number, said)
        assert arrives(grown, with_id) == 200
    listed = numbers(grown)
    assert listed["Maria Silva"]
    found = grown.json("past", "harbour", *SINCE)
    assert isinstance(found, list)
    (first, *_) = [one for one in found if one["name"] == "Maria Silva"]
    grown.says("past", "harbour", *SINCE, "--issue", str(first["number"]), input="y\n")
    assert "Maria Silva" not in numbers(grown)
    assert grown.issued() == ["Maria Silva"]


def arrives(harbour: Harbour, body: bytes) -> int:
    """Posts a signed body to the real receiver and works on it."""
    from bridge.app import open_bridge, read_config
    from bridge.core.models import InboundRequest

    with open_bridge(read_config(harbour.config, {}), role="command") as bridge:
        signed = bridge.sources["harbour"].connector.sign(body, {}, NOW)
        headers = {name.lower(): value for name, value in signed.headers.items()}
        url = "https://certificates.acme.example/hooks/harbour"
        reply = bridge.receiver.receive("harbour", InboundRequest("POST", url, headers, body, NOW), peer="203.0.113.9")
        assert bridge.finish_work()
    return reply.status


def test_what_the_mapping_holds_is_listed_with_its_reason_and_cannot_be_chosen(grown: Harbour) -> None:
    (grown.folder / "mappings" / "harbour.yaml").write_text("extends: harbour\ncourses: {99: Other}\n")
    said = grown.says("past", "harbour", *SINCE)
    assert "The course is not listed" in said
    assert "None of these can be issued" in grown.says("past", "harbour", *SINCE, "--issue", "1", code=1, input="y\n")


def test_a_flood_does_not_hold_what_a_person_chose(grown: Harbour) -> None:
    text = grown.config.read_text().replace("    poll_every: off\n", "    poll_every: off\n    hold_above: 1\n")
    grown.config.write_text(text)
    grown.says("past", "harbour", *SINCE, "--issue", "all", "--yes")
    assert grown.issued() == ["Maria Silva", "Nora Berg"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--issue", "x"), "'x' is no number"),
        (("--issue", "1,,2"), "'' is no number"),
        (("--issue", "3-1"), "'3-1' goes backwards. Write 1-3."),
        (("--issue", "9"), "The list has no number 9; it goes from 1 to 3."),
        (("--issue", "0"), "The list has no number 0"),
        (("--issue", "2-99999999999"), "is no number"),
    ],
)
def test_a_selection_that_means_nothing_is_refused(grown: Harbour, words: tuple[str, ...], said: str) -> None:
    assert said in grown.says("past", "harbour", *SINCE, *words, code=2)
    assert grown.issued() == []


def test_a_date_that_is_none_is_refused(harbour: Harbour) -> None:
    assert "--since needs a date such as 2026-01-31" in harbour.says("past", "harbour", "--since", "soon", code=2)


def test_a_platform_that_shows_nothing_old_is_said(harbour: Harbour) -> None:
    assert "has no older completion without a certificate" in harbour.says("past", "harbour", *SINCE)
    assert harbour.json("past", "harbour", *SINCE) == []


def test_that_a_platform_could_not_be_asked_for_its_past_is_said(harbour: Harbour) -> None:
    unasked = "as it is configured, there is nothing to ask its platform with. From a table: certbridge issue --csv"
    assert unasked in harbour.says("past", "attendance", *SINCE)
    assert unasked not in harbour.says("past", "harbour", *SINCE)


# -- poll -----------------------------------------------------------------------------------------


def test_trouble_with_one_source_does_not_keep_the_others_from_their_poll(harbour: Harbour) -> None:
    text = harbour.config.read_text()
    first = text[text.index("  harbour:\n") : text.index("  attendance:")]
    broken = first.replace("  harbour:", "  broken:").replace(
        "api_key_file: keys/api.key", "api_key: quite-another-key"
    )
    harbour.config.write_text(text.replace("  harbour:\n", f"{broken}  harbour:\n"))
    harbour.says("sources", "list")
    harbour.vendor.complete("1", datetime.now(UTC), name="Maria Silva")
    said = harbour.says("poll", code=1)
    assert "harbour: 1 new, 0 known." in said
    assert "certbridge: broken: " in said
    assert harbour.issued() == ["Maria Silva"]


def test_a_source_that_cannot_be_polled_says_so(harbour: Harbour) -> None:
    said = harbour.says("poll", "attendance", code=1)
    assert (
        "attendance cannot be polled as it is configured: it takes what CSV file sends, and has nothing to ask" in said
    )
    text = harbour.config.read_text()
    harbour.config.write_text(text[: text.index("  harbour:")] + text[text.index("  attendance:") :])
    assert "No source can be polled" in harbour.says("poll", code=1)


def test_a_poll_for_programs_is_json(harbour: Harbour) -> None:
    harbour.says("sources", "list")
    harbour.vendor.complete("1", datetime.now(UTC), name="Maria Silva")
    said = harbour.json("poll")
    assert isinstance(said, dict)
    assert [one["state"] for one in said["events"]] == ["done"]
    assert said["finished"] is True


# -- ask ------------------------------------------------------------------------------------------


def test_one_learner_is_asked_about_by_id_or_address_and_issued_once(harbour: Harbour) -> None:
    harbour.since("2020-01-01")
    harbour.vendor.complete("1", OLD, name="Maria Silva")
    harbour.vendor.complete("2", OLD, name="Nora Berg")
    assert "done" in harbour.says("sources", "ask", "harbour", "m1@example.invalid")
    assert harbour.issued() == ["Maria Silva"]
    harbour.says("sources", "ask", "harbour", "1")
    harbour.says("poll", "harbour")
    assert harbour.issued() == ["Maria Silva", "Nora Berg"]
    assert harbour.mails() == 2
    said = harbour.says("sources", "ask", "harbour", "nobody")
    assert "The platform of harbour knows no completion of 'nobody'." in said
    assert "cannot be asked about one learner" in harbour.says("sources", "ask", "attendance", "1", code=1)


def test_courses_are_written_as_lines_for_the_mapping(harbour: Harbour) -> None:
    harbour.vendor.complete("1", OLD, course="68")
    harbour.vendor.complete("1", OLD, course="yes: no")
    result = harbour.certbridge("sources", "courses", "harbour")
    assert result.output.startswith("courses:\n  68: Course 68\n")
    text = "extends: harbour\n" + result.output
    (harbour.folder / "mappings" / "harbour.yaml").write_text(text)
    assert "harbour" in harbour.says("check")


def test_the_webhook_is_registered_once(harbour: Harbour) -> None:
    assert "The webhook was registered." in harbour.says("sources", "connect", "harbour")
    assert harbour.vendor.webhooks == ["https://certificates.acme.example/hooks/harbour"]
    assert "there already" in harbour.says("sources", "connect", "harbour")
    assert len(harbour.vendor.webhooks) == 1
    text = harbour.config.read_text()
    harbour.config.write_text(text.replace("https://certificates.acme.example", "http://127.0.0.1:8080"))
    harbour.config.write_text(harbour.config.read_text().replace("mode: live", "mode: test"))
    assert "can only send to a public https address" in harbour.says("sources", "connect", "harbour", code=1)
    # A better address would not help where the platform has no API for it.
    assert "has no API to register webhooks" in harbour.says("sources", "connect", "attendance", code=1)
