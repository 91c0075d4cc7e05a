"""`issue --csv`: a report row by row, certificates once, and words that say what to mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_school import School

CONFIG = """\
public_url: https://certificates.acme.example
issuer: {name: Acme Academy, zone: Europe/Berlin}
keys: {recipient: recipient-key-recipient-key-0001}
mail: {mode: folder, from: Acme Academy <training@acme.example>}
sources:
"""
TABLES = "  lists: {connector: spreadsheet, mapping: attendance.yaml}\n"
OTHER = "  zaps: {connector: zapier, mapping: zaps.yaml, header_token: a-long-random-text}\n"
MAPPING = "extends: spreadsheet\ncourses:\n  68: Fire Safety\n"
HEAD = "Name,Email,Course,Completed at\n"
ROWS = "MARIA DA SILVA,maria@example.com,68,31.01.2026\nDana Okafor,dana@example.com,68,2026-02-01\n"


@pytest.fixture
def academy(tmp_path: Path) -> School:
    """A school whose courses are taught in a room; attendance comes as a table."""
    folder = tmp_path / "academy"
    (folder / "mappings").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG + TABLES)
    (folder / "mappings" / "attendance.yaml").write_text(MAPPING)
    return School(folder)


def report(school: School, table: str | bytes, *words: str, using: str = "lists") -> str:
    """Hands a table over; returns everything that was said, on one line."""
    file = school.folder / "table.csv"
    file.write_bytes(table if isinstance(table, bytes) else table.encode())
    result = school.certbridge("issue", "--csv", str(file), "--map", using, *(words or ("--dry-run",)))
    return " ".join(f"{result.stdout} {result.stderr}".split())


def certificates(school: School) -> list[object]:
    found = school.json("certificates", "list")
    assert isinstance(found, list)
    return found


# -- the way it goes -------------------------------------------------------------------------------


def test_a_dry_run_reports_and_issues_nothing(academy: School) -> None:
    assert "2 rows, 2 to be issued." in report(academy, HEAD + ROWS)
    assert certificates(academy) == []


def test_each_row_gets_one_certificate_however_often_the_file_is_handed_over(academy: School) -> None:
    report(academy, HEAD + ROWS, "--yes")
    assert len(certificates(academy)) == 2
    again = report(academy, HEAD + ROWS, "--yes")
    assert "It has its certificate already." in again
    assert "Nothing is left to issue" in again
    assert len(certificates(academy)) == 2


def test_a_row_that_is_held_is_issued_once_the_table_is_mended(academy: School) -> None:
    said = report(academy, HEAD + "Kim Lee,kim@example.com,68,yesterday\n" + ROWS, "--yes")
    assert "Held rows are not kept: mend the table or the mapping, and run the same command again." in said
    assert len(certificates(academy)) == 2
    report(academy, HEAD + "Kim Lee,kim@example.com,68,2026-02-02\n" + ROWS, "--yes")
    assert len(certificates(academy)) == 3


def test_asking_first_counts_one_certificate_as_one(academy: School) -> None:
    assert "Issue 1 certificate?" in report(academy, HEAD + ROWS.splitlines()[0], "--mail")
    assert certificates(academy) == []


# -- which source ----------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["lists", "attendance", "attendance.yaml"])
def test_the_source_is_named_by_itself_or_by_its_mapping(academy: School, named: str) -> None:
    assert "2 to be issued" in report(academy, HEAD + ROWS, using=named)


def test_a_path_means_that_very_file(academy: School, tmp_path: Path) -> None:
    assert "2 to be issued" in report(academy, HEAD + ROWS, using=str(academy.folder / "mappings" / "attendance.yaml"))
    assert "No source uses" in report(academy, HEAD + ROWS, using=str(tmp_path / "attendance.yaml"))


def test_a_misspelt_mapping_is_answered_with_the_right_one(academy: School) -> None:
    said = report(academy, HEAD + ROWS, using="atendance.yaml")
    assert "No source uses atendance.yaml; did you mean attendance.yaml?" in said
    assert "--map names one of the sources for tables (lists), or its mapping file." in said


def test_a_source_of_another_kind_takes_no_tables(academy: School) -> None:
    academy.config.write_text(CONFIG + TABLES + OTHER)
    (academy.folder / "mappings" / "zaps.yaml").write_text("extends: zapier\n")
    said = report(academy, HEAD + ROWS, using="zaps")
    assert "The source zaps (Zapier) takes no tables. --map names one of the sources for tables (lists)" in said


def test_a_missing_source_is_answered_with_lines_that_can_be_pasted(academy: School) -> None:
    academy.config.write_text(CONFIG + OTHER)
    (academy.folder / "mappings" / "zaps.yaml").write_text("extends: zapier\n")
    file = academy.folder / "table.csv"
    file.write_text(HEAD + ROWS)
    result = academy.certbridge("issue", "--csv", str(file), "--map", "attendees.yaml")
    assert "There is no source for tables yet." in result.stderr
    block = result.stderr.partition("mapping file:\n")[2]
    indented = [line.removeprefix("  ") for line in block.splitlines()]
    academy.config.write_text(CONFIG + "\n".join(indented) + "\n")
    (academy.folder / "mappings" / "attendees.yaml").write_text(MAPPING)
    assert "2 to be issued" in report(academy, HEAD + ROWS, using="attendees")


# -- the table -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("Name,E-Mail,Course\nA B,a@example.com,68\n", "(the setting learner of this source); did you mean e_mail?"),
        ("Name,Mail,Course\nA B,a@example.com,68\n", "Its columns: name, mail, course. Rename one in the first line"),
        (ROWS, "Rename one in the first line of the table, or name another one with learner: in the configuration."),
        (b"PK\x03\x04 and so on", "This is a workbook (.xlsx or .ods), not a CSV file. In Excel: Save as, CSV UTF-8."),
        (HEAD + 'Maria,"m@example.com,68,2026-01-01\n', "Usual cause: a quotation mark that is opened and not closed."),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_answered_with_what_to_mend(
    academy: School, table: str | bytes, said: str
) -> None:
    assert said in report(academy, table)


def test_a_table_whose_column_for_the_name_is_called_otherwise_is_told_which_one_is_missing(academy: School) -> None:
    said = report(academy, "Full name,Email,Course,Completed at\nKim Lee,kim@example.com,68,2026-01-31\n")
    assert "The event brought no name." in said
    assert "data.row.name is missing" in said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Kim Lee,kim@example.com,68,5/6/2026", "it can be read as 5 June 2026 and as 6 May 2026. Say which in your"),
        ("Kim Lee,kim@example.com,68,yesterday", "it is not a date such as 2026-01-31 or 31.01.2026."),
        ("Kim Lee,kim@example.com,99,2026-01-31", 'write "99: 99" under courses.'),
        ("Kim Lee,,68,2026-01-31", "The event brought no e-mail address."),
        ("Kim Lee,kim@,68,2026-01-31", '"kim@" is not an e-mail address.'),
        (",kim@example.com,68,2026-01-31", "The event brought no name."),
        ("Kim Lee,kim@example.com,68,", "The time of completion cannot be used"),
    ],
)
def test_a_row_that_cannot_be_used_is_held_with_the_reason(academy: School, row: str, said: str) -> None:
    assert said in report(academy, HEAD + row + "\n")


def test_a_source_that_cannot_be_asked_says_so_without_sending_anybody_elsewhere(academy: School) -> None:
    result = academy.certbridge("sources", "ask", "lists", "dana@example.com")
    assert result.stderr == "certbridge: CSV file cannot be asked about one learner.\n"


def test_polling_where_nothing_can_be_polled_says_so(academy: School) -> None:
    result = academy.certbridge("poll")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No source can be polled as it is configured" in result.stderr


@pytest.mark.parametrize(
    "name",
    ["#N/A", "#REF!", "NULL", "#NV", "MARIA NULL undefined", "maria null", "Jos&eacute; O&#039;Brien", "JOSÃ‰ SILVA"],
)
def test_case_integrations_13_and_12_a_cell_that_holds_no_name_is_held(academy: School, name: str) -> None:
    said = report(academy, HEAD + f"{name},maria@example.org,68,2026-11-20\n" + ROWS)
    assert "3 rows, 2 to be issued." in said
    assert "Held rows are not kept" in said
    report(academy, HEAD + f"{name},maria@example.org,68,2026-11-20\n" + ROWS, "--yes")
    assert len(certificates(academy)) == 2
