"""`try` and `fields`: what would become of an event, and what a mapping can use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_school import School, completed
from pypdf import PdfReader

from bridge.demo.vendors.moodle import MoodleStandIn

SAMPLES = Path(__file__).parents[1] / "samples"
MOODLE_BODY = SAMPLES / "moodle" / "course_completed-by-learner"


def tried(school: School, *words: str) -> dict[str, Any]:
    found = school.json("try", *words)
    assert isinstance(found, list)
    assert len(found) == 1
    return dict(found[0])


def counts(school: School) -> list[int]:
    return [len(rows) for rows in (school.json(table, "list") for table in ("events", "certificates", "outbox"))]  # type: ignore[arg-type]


def test_a_file_is_tried_without_storing_or_issuing_anything(school: School, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(completed())
    result = school.certbridge("try", "school", str(tmp_path / "body.json"))
    assert result.exit_code == 0, result.output
    for part in (
        "{{ data.user.first_name }}",
        "Maria Silva",
        "A certificate would be issued (nothing was)",
        "2028-02-14",
    ):
        assert part in " ".join(result.output.split())
    assert counts(school) == [0, 0, 0]
    assert not (school.folder / "mail").exists()


def test_each_word_has_its_expression_its_value_and_its_place(school: School, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(completed(course=99))
    words = {line["word"]: line for line in tried(school, "school", str(tmp_path / "body.json"))["words"]}
    assert words["email"]["expression"] == "{{ data.user.email | trim | lower }}"
    assert words["email"]["value"] == "1001@example.org"
    assert words["email"]["where"] == "mappings/thinkific.yaml:16:14"
    assert words["valid_for"]["where"] == "school.yaml:3:14"


def test_the_rule_that_decided_is_named(school: School, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(completed("X", ""))
    result = school.certbridge("try", "school", str(tmp_path / "body.json"))
    assert "this decided" in result.output
    assert "school.yaml:4:19" in result.output
    assert "No certificate: held." in result.output


def test_a_folder_with_body_and_headers_is_a_sample(school: School) -> None:
    shown = tried(school, "school", str(SAMPLES / "thinkific" / "enrollment.completed.SYNTHETIC"))
    assert shown["certificate"]["recipient"]["name"] == "Dana Okafor"


def test_a_record_as_json_is_tried_as_it_stands(school: School, tmp_path: Path) -> None:
    school.arrives(completed(), work=False)
    stored = school.json("events", "show", "1")
    assert isinstance(stored, dict)
    (tmp_path / "record.json").write_text(json.dumps(stored["event"]))
    shown = tried(school, "school", str(tmp_path / "record.json"))
    assert shown["certificate"]["recipient"]["name"] == "Maria Silva"
    assert "a record as it stands" in shown["read_from"]


def test_a_stored_event_and_the_latest_one_can_be_tried(busy: School) -> None:
    assert tried(busy, "--event", "1")["certificate"]["course"]["title"] == "Fire Safety"
    assert tried(busy, "school", "--event", "2")["outcome"]["code"] == "hold_if"
    latest = tried(busy, "school", "--last")
    assert latest["read_from"] == "event 5"
    assert "U+674E" in latest["unprintable"]


def test_what_cannot_be_printed_is_said_before_it_is_issued(busy: School) -> None:
    result = busy.certbridge("try", "--event", "5")
    assert "No certificate: held." in result.output
    assert "U+674E" in result.output


def test_a_preview_is_marked_test_and_shows_the_certificate(school: School, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(completed())
    out = tmp_path / "preview.pdf"
    result = school.certbridge("try", "school", str(tmp_path / "body.json"), "--pdf", str(out))
    assert result.exit_code == 0, result.output
    text = PdfReader(out).pages[0].extract_text()
    assert "TEST" in text
    assert "Maria Silva" in text
    assert counts(school) == [0, 0, 0]


def test_no_preview_is_drawn_of_what_would_be_held(busy: School, tmp_path: Path) -> None:
    result = busy.certbridge("try", "--event", "2", "--pdf", str(tmp_path / "x.pdf"))
    assert result.exit_code == 1
    assert "Nothing was drawn" in result.stderr
    assert not (tmp_path / "x.pdf").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "Say which event"),
        (("school",), 2, "Say which event"),
        (("--last",), 2, "Say of which source"),
        (("scool", "--last"), 2, "did you mean school?"),
        (("school", "--last", "--event", "1"), 2, "Say which event"),
        (("--event", "99"), 1, "There is no event 99."),
        (("school", "nothing.json"), 2, "nothing.json"),
    ],
)
def test_a_wrong_trial_says_what_to_write(busy: School, words: tuple[str, ...], code: int, said: str) -> None:
    result = busy.certbridge("try", *words)
    assert result.exit_code == code
    assert said in result.output


def test_a_file_that_cannot_be_read_says_why(school: School, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(b'{"a": NaN}')
    result = school.certbridge("try", "school", str(tmp_path / "body.json"))
    assert result.exit_code == 1
    assert "NaN" in result.stderr
    (tmp_path / "headers.json").write_text("[]")
    assert (
        "headers.json must be an object of texts"
        in school.certbridge("try", "school", str(tmp_path / "body.json")).stderr
    )


# -- a platform that says little in its events ------------------------------------------------------


@pytest.fixture
def moodle(school: School) -> Iterator[School]:
    """The school with a Moodle, whose stand-in answers as Moodle 4.5 does."""
    with MoodleStandIn(token="web-service-token-0001") as stand_in:
        source = (
            f"  campus:\n    connector: moodle\n    mode: live\n    since: 2020-01-01\n    allow_private: yes\n"
            f"    url: {stand_in.url}\n    token: {stand_in.token}\n    webhook_token: sample-shared-token\n"
        )
        school.config.write_text(school.config.read_text() + source)
        yield school


def test_a_thin_event_says_that_the_platform_was_not_asked(moodle: School) -> None:
    result = moodle.certbridge("try", "campus", str(MOODLE_BODY))
    assert result.exit_code == 0, result.output
    assert "--fetch asks it now" in result.output
    assert "No certificate" in result.output


def test_fetch_asks_the_platform_and_stores_nothing(moodle: School) -> None:
    shown = tried(moodle, "campus", str(MOODLE_BODY), "--fetch")
    assert shown["api_not_asked"] is False
    assert {line["word"]: line["value"] for line in shown["words"]}["name"]
    assert counts(moodle) == [0, 0, 0]


# -- fields -----------------------------------------------------------------------------------------


def test_fields_lists_words_with_examples_and_everything_the_platform_sends(busy: School) -> None:
    found = busy.json("fields", "school")
    assert isinstance(found, dict)
    words = {word["word"]: word for word in found["words"]}
    assert words["email"]["example"] == "1005@example.org"
    assert words["email"]["help"] == "the learner's e-mail address"
    assert found["sends"]["data.user.id"] == "1005"
    shown = busy.certbridge("fields", "school").output
    assert "data.user.first_name" in shown
    assert "{{ data.course.name }}" in shown


def test_fields_take_their_examples_from_a_sample(school: School) -> None:
    before = school.certbridge("fields", "school")
    assert before.exit_code == 0
    assert "Nothing has come from school yet. With --sample FILE" in " ".join(before.output.split())
    sample = SAMPLES / "thinkific" / "enrollment.completed.SYNTHETIC"
    assert "Dana Okafor" in school.certbridge("fields", "school", "--sample", str(sample)).output


def test_fields_of_an_unknown_source_are_answered_with_the_known_ones(school: School) -> None:
    result = school.certbridge("fields", "shool")
    assert result.exit_code == 2
    assert "There is no source 'shool'; did you mean school? Configured: school." in result.output


# -- sources of the guides -------------------------------------------------------------------------

ZAP = {"event_id": "e-1", "email": "dana@example.com", "name": "Dana Okafor", "course_id": "68"}
CANVAS = SAMPLES / "canvas" / "course_completed.SYNTHETIC"


def other(school: School, connector: str, settings: str) -> School:
    """Adds a source beside the school's own; its courses are all issued."""
    config = school.config.read_text()
    school.config.write_text(f"{config}  other:\n    connector: {connector}\n    mapping: other.yaml\n{settings}")
    (school.folder / "mappings" / "other.yaml").write_text(f"extends: {connector}\nother_courses: issue\n")
    return school


def test_a_file_counts_as_come_now_where_the_sender_names_no_time(school: School, tmp_path: Path) -> None:
    zaps = other(school, "zapier", "    header_token: a-long-random-text\n")
    (tmp_path / "body.json").write_text(json.dumps(ZAP))
    shown = tried(zaps, "other", str(tmp_path / "body.json"))
    assert shown["certificate"]["recipient"]["name"] == "Dana Okafor"


def test_nobody_is_sent_to_an_api_that_a_declared_source_never_asks(school: School) -> None:
    canvas = other(school, "canvas", "    url_token: a-long-random-text\n    since: 2020-01-01\n")
    assert tried(canvas, "other", str(CANVAS))["api_not_asked"] is False
    assert "--fetch" not in canvas.certbridge("try", "other", str(CANVAS)).output


@pytest.mark.parametrize(
    ("token", "address"), [("    url_token: a-long-random-text\n", "/a-long-random-text"), ("", "")]
)
def test_the_address_is_shown_also_where_only_the_vendor_can_sign(school: School, token: str, address: str) -> None:
    canvas = other(school, "canvas", f"    root_account_uuid: 7I1tRxZfLoPwmI2ihCVFh29cpbIwIYdKRfJYcV9c\n{token}")
    result = canvas.certbridge("sources", "show", "other", "--address")
    assert result.output == f"https://certificates.acme.example/hooks/other{address}\n"
    assert canvas.certbridge("sources", "list").exit_code == 0
    refused = canvas.certbridge("send", "other", str(CANVAS), columns=300)
    assert (
        "no sample of them can be sent. `certbridge try SOURCE FILE` shows what would become of one." in refused.stderr
    )
