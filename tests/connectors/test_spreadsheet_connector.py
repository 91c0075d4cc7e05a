"""A table as a file: what the contract asks for, and what spreadsheets do to text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from contract import Case, ConnectorContract, inbound

from bridge.core.errors import PayloadError, SignatureError
from bridge.core.models import SourceEvent
from connectors.spreadsheet import Spreadsheet, SpreadsheetSettings
from connectors.spreadsheet.table import tidy

ODD = ("", "x" * 9_999, "=cmd()", '"', "\n", "٣١.١٠.٢٠٢٦", "99999", "1e999", "31.31.2026", "{{ 7*7 }}")


class TestSpreadsheet(ConnectorContract):
    connector = "spreadsheet"
    settings = {"url_token": "the-table-token"}
    rotated = {"url_token": "the-table-token-of-today", "previous_url_token": "the-table-token"}
    signs_body = False

    def variants(self, case: Case) -> Iterator[bytes]:
        text = case.body.decode("utf-8-sig")
        delimiter = max(";,\t", key=text.partition("\n")[0].count)
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
        for row in range(len(rows)):
            for column in range(len(rows[row])):
                for odd in (
                    "",
                    "x" * 9_999,
                    "=cmd()",
                    '"',
                    "\n",
                    "٣١.١٠.٢٠٢٦",
                    "99999",
                    "1e999",
                    "31.31.2026",
                    "{{ 7*7 }}",
                ):
                    changed = [list(line) for line in rows]
                    changed[row][column] = odd
                    out = io.StringIO()
                    csv.writer(out, delimiter=delimiter).writerows(changed)
                    yield out.getvalue().encode()
                yield delimiter.join(rows[row][:column]).encode()


def events(text: str | bytes, **settings: str) -> list[SourceEvent]:
    body = text if isinstance(text, bytes) else text.encode()
    return list(Spreadsheet(SpreadsheetSettings.model_validate(settings)).parse(inbound(body, {})))


TABLE = "name,email,course,completed_at\nA,a@example.invalid,C1,2026-10-31\nB,b@example.invalid,C1,2026-10-31\n"


def test_the_same_row_in_another_file_is_the_same_event() -> None:
    other = "email;completed_at;course;name\nB@Example.invalid ;2026-10-31;C1;Bee\n"
    assert events(other)[0].event_id == events(TABLE)[1].event_id


def test_a_person_of_a_crm_is_the_same_by_15_and_by_18_characters_and_another_one_by_case_alone() -> None:
    ids = ("00558000001N0Ke", "00558000001N0KeAAK", "00558000001n0keaak", "00558000001N0kE")
    table = "id,course,completed_at\n" + "".join(f"{one},C1,2026-10-31\n" for one in ids)
    found = events(table, learner="id")
    assert [one.subject for one in found[:3]] == ["00558000001N0KeAAK"] * 3
    assert len({one.event_id for one in found[:3]}) == 1
    assert found[3].subject not in ("00558000001N0KeAAK", None)
    assert found[3].event_id != found[0].event_id


def test_a_column_that_never_repeats_decides_when_it_is_named() -> None:
    text = "order,email,course,completed_at\n1,a@example.invalid,C1,2026-10-31\n2,a@example.invalid,C1,2026-10-31\n"
    assert len({event.event_id for event in events(text, key="order")}) == 2
    assert len({event.event_id for event in events(text)}) == 1


@pytest.mark.parametrize(
    "encoded", [TABLE.encode("utf-8-sig"), TABLE.encode("utf-16"), TABLE.replace(",", ";").encode()]
)
def test_byte_order_marks_utf_16_and_semicolons_are_read(encoded: bytes) -> None:
    assert [event.event_id for event in events(encoded)] == [event.event_id for event in events(TABLE)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "fewer than two columns"),
        ("email\nx\n", "fewer than two columns"),
        ("Email,E-Mail,email\n", "same name: email"),
        ("a,b\n1,2,3\n", "Line 2 of the table has more cells"),
        ('a,b\n"1,2\n', "cannot be read"),
        ("a,b\n1,\x00\n", "cannot be stored"),
        ("a,b\n" + "x" * 10_001 + ",2\n", "more than 10,000 characters"),
    ],
)
def test_what_is_no_table_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        events(text)


def test_an_excel_file_in_the_old_encoding_is_answered_with_what_to_do() -> None:
    with pytest.raises(PayloadError, match="CSV UTF-8"):
        events(TABLE.replace("A,", "É,").encode("cp1252"))


def test_a_source_without_a_token_takes_files_only() -> None:
    with pytest.raises(SignatureError, match="issue --csv"):
        Spreadsheet(SpreadsheetSettings()).verify(inbound(TABLE.encode(), {}, "anything"))


@pytest.mark.parametrize(
    ("name", "tidied"), [("Full Name", "full_name"), (" E-Mail ", "e_mail"), ("?", "unnamed"), ("Größe", "größe")]
)
def test_names_of_columns_are_tidied(name: str, tidied: str) -> None:
    assert tidy(name) == tidied
