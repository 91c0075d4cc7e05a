"""A table as a file (CSV): each row that an admin hands over is one completion."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import Field, SecretStr

from bridge.core.connector import Abilities, Connector, ConnectorSettings
from bridge.core.errors import PayloadError, SignatureError
from bridge.core.models import InboundRequest, JsonObject, SignedRequest, SourceEvent
from bridge.core.signatures import verify_token
from bridge.core.wording import suggestion

ROW: Final = "row"
_MOST_ROWS: Final = 100_000
_MOST_COLUMNS: Final = 200
_LONGEST: Final = 10_000
_ARCHIVE: Final = b"PK\x03\x04"
"""How a workbook begins: it is a ZIP archive."""
_DELIMITERS: Final = ";,\t|"
# NUL cannot be stored by PostgreSQL; half of a surrogate pair cannot be written as UTF-8.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class SpreadsheetSettings(ConnectorSettings):
    """Which columns say who and what; names as `data.row` has them: small letters, _ for everything else."""

    learner: str = Field("email", min_length=1, description="The column that tells learners apart.")
    course: str = Field("course", min_length=1, description="The column with the course.")
    date: str = Field("completed_at", min_length=1, description="The column with the date of completion.")
    key: str | None = Field(
        None,
        min_length=1,
        description="A column that never repeats, such as an order number. Default: learner, course and date together.",
        examples=["order_number"],
    )
    url_token: SecretStr | None = Field(
        None, min_length=8, description="If set, a table may also be posted to /hooks/SOURCE/THIS-TOKEN."
    )
    previous_url_token: SecretStr | None = Field(
        None, min_length=8, description="The last part before, while you change it; still accepted."
    )


class Spreadsheet(Connector[SpreadsheetSettings]):
    """`data.row` holds the cells by tidied column name, `data.columns` by the name as written."""

    name = "spreadsheet"
    title = "CSV file"
    docs_url = "https://www.rfc-editor.org/rfc/rfc4180"
    Settings = SpreadsheetSettings
    event_types = frozenset({ROW})
    reads_tables = True
    abilities = Abilities(
        webhook="a file: `certbridge issue --csv`; or POST of the file",
        proof="whoever runs the command; token in the address",
        enrichment="-",
        poll="-",
        write_back="-",
        limits=f"{_MOST_ROWS:,} rows a file",
    )

    def verify(self, request: InboundRequest) -> None:
        settings = self.settings
        if settings.url_token is None:
            raise SignatureError("This source takes files only: certbridge issue --csv FILE.", code="no_webhook")
        accepted = (settings.url_token, settings.previous_url_token)
        verify_token(request.path_token, accepted, what="the token at the end of the address")

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        rows = list(_rows(request.body))
        if not rows:
            raise PayloadError("The table has a line of column names and no row below it.")
        self._check_columns(list(rows[0]))
        return [self._event(columns) for columns in rows]

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        token = self.settings.url_token
        return SignedRequest(body, dict(headers), token.get_secret_value() if token else None)

    def _check_columns(self, names: Sequence[str]) -> None:
        """Raises PayloadError where a column is missing without which no row can be told from another."""
        tidied = [tidy(name) for name in names]
        for setting, wanted in (("learner", self.settings.learner), ("key", self.settings.key)):
            if wanted is not None and wanted not in tidied:
                near = suggestion(wanted, tidied) or "."
                raise PayloadError(
                    f'The table has no column "{wanted}" (the setting {setting} of this source){near} Its columns: '
                    f"{', '.join(tidied)[:500]}. Rename one in the first line of the table, or name another one with "
                    f"{setting}: in the configuration."
                )

    def _event(self, columns: Mapping[str, str]) -> SourceEvent:
        row = {tidy(name): text for name, text in columns.items()}
        settings = self.settings
        learner, course, day = (row.get(name, "") for name in (settings.learner, settings.course, settings.date))
        key = row.get(settings.key, "") if settings.key else ""
        who = " ".join(learner.casefold().split())
        # The same row in next week's file is the same event; without an id it is known by what it says.
        said = [who, course.casefold(), day] if who or course else sorted(row.items())
        digest = hashlib.sha256(json.dumps([key] if key else said).encode()).hexdigest()
        data: JsonObject = {"row": row, "columns": dict(columns)}
        return SourceEvent(
            event_id=f"{ROW}:{digest}",
            event_type=ROW,
            subject=who[:200] or None,
            course=course[:200] or None,
            keys=(f"{ROW}:{digest}",),
            data=data,
        )


def tidy(name: str) -> str:
    """Returns the name of a column as mappings write it: "Full Name" becomes full_name."""
    plain = unicodedata.normalize("NFKC", name).strip().lower()
    return re.sub(r"\W+", "_", plain).strip("_") or "unnamed"


def _rows(body: bytes) -> Iterator[dict[str, str]]:
    """Yields the cells of each row that is not blank, by column. Raises PayloadError."""
    text = _text(body)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header)
        for number, cells in enumerate(reader, start=1):
            if number > _MOST_ROWS:
                raise PayloadError(f"The table has more than {_MOST_ROWS:,} rows. Split it.")
            if any(cell.strip() for cell in cells):
                yield _cells(header, cells, reader.line_num)
    except csv.Error as error:
        raise PayloadError(
            f"Line {reader.line_num} of the table cannot be read: {error}. Usual cause: a quotation mark "
            "that is opened and not closed."
        ) from None


def _text(body: bytes) -> str:
    if body.startswith(_ARCHIVE):
        raise PayloadError("This is a workbook (.xlsx or .ods), not a CSV file. In Excel: Save as, CSV UTF-8.")
    encoding = "utf-16" if body.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        raise PayloadError(
            f"The table is not UTF-8 text (byte {error.start + 1} is wrong). In Excel: Save as, CSV UTF-8."
        ) from None
    if _UNSTORABLE.search(text):
        raise PayloadError("The table holds a NUL or another character that cannot be stored; is it a CSV file?")
    return text


def _check_header(header: Sequence[str]) -> None:
    names = [tidy(name) for name in header if name]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if len(names) < 2:
        raise PayloadError("The first line names fewer than two columns. A table starts with a line of column names.")
    if len(header) > _MOST_COLUMNS:
        raise PayloadError(f"The table has more than {_MOST_COLUMNS} columns.")
    if repeated:
        raise PayloadError(f"Two columns of the table have the same name: {repeated[0]}. Rename one.")


def _cells(header: Sequence[str], cells: Sequence[str], line: int) -> dict[str, str]:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise PayloadError(f"Line {line} of the table has more cells than columns; a quotation mark may miss.")
    if any(len(cell) > _LONGEST for cell in cells):
        raise PayloadError(f"Line {line} of the table has a cell of more than {_LONGEST:,} characters.")
    padded = [*cells, *[""] * (len(header) - len(cells))]
    return {name: cell.strip() for name, cell in zip(header, padded, strict=False) if name}
