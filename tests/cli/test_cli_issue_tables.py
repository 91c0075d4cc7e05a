"""issue --csv: a report row by row first, then certificates; the same file again issues nothing new."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from cli_harbour import Harbour

HEAD = "name,email,course,completed_at"
MARIA = "Maria Silva,maria@example.org,fire,2026-10-01"
NORA = "Nora Berg,nora@example.org,aid,01.10.2026"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "list.csv"
    write(file, MARIA, NORA)
    return file


def write(file: Path, *rows: str, head: str = HEAD) -> None:
    file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


def issue(harbour: Harbour, file: Path, *words: str, code: int = 0, input: str | None = None) -> str:
    yes = () if "--dry-run" in words or input else ("--yes",)
    return harbour.says("issue", "--csv", str(file), "--map", "attendance", *words, *yes, code=code, input=input)


def test_a_dry_run_says_of_each_row_what_would_come_of_it_and_does_nothing(harbour: Harbour, table: Path) -> None:
    write(
        table,
        MARIA,
        MARIA,
        "Old One,old@example.org,fire,2019-01-01",
        "No Date,nodate@example.org,fire,soon",
        "Other,other@example.org,knitting,2026-10-01",
        "Nora Berg,nora@example.org,aid,2026-10-01",
    )
    said = issue(harbour, table, "--dry-run")
    for part in (
        "The same row stands further up (number 1).",
        "a certificate that is expired already: with --expired only",
        '"soon": it is not a date',
        "The course is not listed.",
        "6 rows, 2 to be issued.",
    ):
        assert part in said
    found = harbour.json("issue", "--csv", str(table), "--map", "attendance", "--dry-run")
    assert isinstance(found, list)
    assert [one["verdict"] for one in found] == [
        "completion",
        "repeated",
        "completion",
        "bad_value",
        "course_not_listed",
        "completion",
    ]
    assert [one["expired"] for one in found] == [False, False, True, False, False, False]
    assert harbour.issued() == []
    assert harbour.json("events", "list") == []


def test_a_table_is_issued_after_a_yes_and_the_same_file_again_issues_nothing(harbour: Harbour, table: Path) -> None:
    assert harbour.certbridge("issue", "--csv", str(table), "--map", "attendance", input="n\n").exit_code == 130
    assert harbour.issued() == []
    said = issue(harbour, table, input="y\n")
    assert "Issue 2 certificates?" in said
    assert harbour.issued() == ["Maria Silva", "Nora Berg"]
    again = issue(harbour, table)
    assert "It has its certificate already." in again
    assert "Nothing is left to issue; the report says why." in again
    assert (len(harbour.issued()), harbour.mails()) == (2, 2)
    said_json = harbour.json("issue", "--csv", str(table), "--map", "attendance")
    assert said_json == {"finished": True, "refused": [], "notes": [], "events": []}


def test_next_weeks_file_adds_what_is_new_in_any_order(harbour: Harbour, table: Path) -> None:
    issue(harbour, table)
    write(table, NORA, "Dana Okafor,dana@example.org,fire,2026-10-08", MARIA)
    issue(harbour, table)
    assert harbour.issued() == ["Dana Okafor", "Maria Silva", "Nora Berg"]
    assert harbour.mails() == 3


def test_a_row_that_was_held_gets_another_try_when_the_mapping_was_mended(harbour: Harbour, table: Path) -> None:
    mapping = harbour.folder / "mappings" / "attendance.yaml"
    good = mapping.read_text()
    # The report sees nothing wrong; the door of the printer does.
    write(table, "李小龙,li@example.org,fire,2026-10-01", NORA)
    said = issue(harbour, table)
    assert "held" in said
    assert harbour.issued() == ["Nora Berg"]
    mapping.write_text(good + "events: {row: {completion: {name: Bruce Lee}}}\n")
    issue(harbour, table)
    assert harbour.issued() == ["Bruce Lee", "Nora Berg"]
    assert harbour.json("events", "list", "--state", "held") == []


def test_a_held_row_that_is_tried_again_without_mail_sends_none(harbour: Harbour, table: Path) -> None:
    write(table, "李小龙,li@example.org,fire,2026-10-01")
    issue(harbour, table)
    mapping = harbour.folder / "mappings" / "attendance.yaml"
    mapping.write_text(mapping.read_text() + "events: {row: {completion: {name: Bruce Lee}}}\n")
    issue(harbour, table, "--no-mail")
    assert (harbour.issued(), harbour.mails()) == (["Bruce Lee"], 0)


def test_a_held_row_that_is_tried_again_with_mail_sends_one(harbour: Harbour, table: Path) -> None:
    write(table, "李小龙,li@example.org,fire,2026-10-01")
    issue(harbour, table, "--no-mail")
    mapping = harbour.folder / "mappings" / "attendance.yaml"
    mapping.write_text(mapping.read_text() + "events: {row: {completion: {name: Bruce Lee}}}\n")
    issue(harbour, table)
    assert (harbour.issued(), harbour.mails()) == (["Bruce Lee"], 1)


def test_a_corrected_row_is_issued_as_corrected(harbour: Harbour, table: Path) -> None:
    write(table, "李小龙,li@example.org,fire,2026-10-01")
    issue(harbour, table)
    write(table, "Bruce Lee,li@example.org,fire,2026-10-01")
    issue(harbour, table)
    assert harbour.issued() == ["Bruce Lee"]


def test_another_name_at_an_address_with_a_certificate_is_held(harbour: Harbour, table: Path) -> None:
    issue(harbour, table)
    write(table, "Maria da Silva,maria@example.org,fire,2026-10-01")
    said = issue(harbour, table)
    assert "Number 1, Maria da Silva, has the address of Maria Silva on a certificate" in said
    assert harbour.issued() == ["Maria Silva", "Nora Berg"]


def test_expired_rows_and_rows_without_mail_write_to_nobody(harbour: Harbour, table: Path) -> None:
    write(table, "Old One,old@example.org,fire,2019-01-01", MARIA)
    issue(harbour, table, "--expired")
    assert (harbour.issued(), harbour.mails()) == (["Maria Silva", "Old One"], 1)
    write(table, NORA)
    assert "Issue 1 certificate, without mail?" in issue(harbour, table, "--no-mail", input="y\n")
    assert (len(harbour.issued()), harbour.mails()) == (3, 1)


def test_a_larger_table_than_a_flood_is_what_the_person_wants(harbour: Harbour, table: Path) -> None:
    text = harbour.config.read_text()
    harbour.config.write_text(text.replace("spreadsheet\n", "spreadsheet\n    hold_above: 1\n"))
    issue(harbour, table)
    assert len(harbour.issued()) == 2


@pytest.mark.parametrize("named", ["attendance", "attendance.yaml", "mappings/attendance.yaml"])
def test_the_map_is_a_source_or_its_file(harbour: Harbour, table: Path, named: str) -> None:
    harbour.says("issue", "--csv", str(table), "--map", named, "--yes")
    assert len(harbour.issued()) == 2


@pytest.mark.parametrize(
    ("named", "source"),
    [("evening.yaml", "evening"), ("Evening Course 2.yaml", "evening-course-2"), ("", "lists")],
)
def test_an_unknown_map_tells_what_to_add_and_that_is_a_working_configuration(
    harbour: Harbour, table: Path, named: str, source: str
) -> None:
    result = harbour.certbridge("issue", "--csv", str(table), "--map", named, "--yes")
    assert result.exit_code == 1
    assert "one of the sources for tables (attendance)" in result.output
    _, *lines = result.output.splitlines()
    if named:
        added = textwrap.indent(textwrap.dedent("\n".join(lines)), "  ")
        harbour.config.write_text(f"{harbour.config.read_text()}{added}\n")
        (harbour.folder / "mappings" / f"{source}.yaml").write_text("extends: spreadsheet\nother_courses: issue\n")
        harbour.says("issue", "--csv", str(table), "--map", source, "--yes")
        assert len(harbour.issued()) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "fewer than two columns"),
        (b"name,email,course,completed_at\n", "no row below it"),
        (b"PK\x03\x04\x00\x00", "not a CSV file"),
        (b"name,email\n\xe4\xf6,x\n", "is not UTF-8 text"),
        (b'a,b\n"open,1\n', "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused_in_words(harbour: Harbour, tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "odd.csv"
    file.write_bytes(content)
    assert said in issue(harbour, file, code=1)
    assert harbour.json("events", "list") == []


def test_a_file_that_is_too_large_is_not_read_to_its_end(
    harbour: Harbour, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.cli.issue.LARGEST", 10)
    assert "Split it." in issue(harbour, table, code=1)


def test_hostile_cells_stay_text(harbour: Harbour, table: Path) -> None:
    formula, markup = "=cmd|' /C calc'!A0", "<b>Ana</b> {{ 7*7 }}"
    write(table, f'"{formula}",a@example.org,fire,2026-10-01', f'"{markup}",b@example.org,fire,2026-10-01')
    said = issue(harbour, table)
    assert "49" not in said
    assert not set(said) & set("\x1b\x07")
    assert all("{{ 7*7 }}" in name or name.startswith("=cmd") for name in harbour.issued())
