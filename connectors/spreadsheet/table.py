"""Reads a CSV file as people make them: separators, encodings, blank rows; and says which line is wrong."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from bridge.core.errors import PayloadError

MOST_ROWS: Final = 100_000
_MOST_COLUMNS: Final = 200
_MOST_CELLS: Final = 2_000_000
"""Rows times columns: a row that is short in the file is as long as the others in memory."""
_LONGEST: Final = 10_000
_LONGEST_NAME: Final = 200
_ARCHIVE: Final = b"PK\x03\x04"
"""How a workbook begins: it is a ZIP archive."""
_DELIMITERS: Final = ";,\t|"
# NUL cannot be stored by PostgreSQL; half of a surrogate pair cannot be written as UTF-8.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def tidy(name: str) -> str:
    """Returns the name of a column as mappings write it: "Full Name" becomes full_name.

    For names of a sensible length: putting thousands of accents in order takes minutes.
    """
    plain = unicodedata.normalize("NFKC", name).strip().lower()
    return re.sub(r"\W+", "_", plain).strip("_") or "unnamed"


def rows(body: bytes) -> Iterator[dict[str, str]]:
    """Yields the cells of each row that is not blank, by column. Raises PayloadError."""
    text = _text(body)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header)
        filled = (cells for cells in reader if any(cell.strip() for cell in cells))
        for number, cells in enumerate(filled, start=1):
            if number > MOST_ROWS:
                raise PayloadError(f"The table has more than {MOST_ROWS:,} rows. Split it.")
            if number * len(header) > _MOST_CELLS:
                raise PayloadError(f"The table has more than {_MOST_CELLS:,} cells. Split it, or leave out columns.")
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
    if len(header) > _MOST_COLUMNS:
        raise PayloadError(f"The table has more than {_MOST_COLUMNS} columns.")
    if any(len(name) > _LONGEST_NAME for name in header):
        raise PayloadError(
            f"The first line of the table has a column name of more than {_LONGEST_NAME} characters. A table starts "
            "with a line of short column names."
        )
    names = [tidy(name) for name in header if name]
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if len(names) < 2:
        raise PayloadError("The first line names fewer than two columns. A table starts with a line of column names.")
    if repeated:
        raise PayloadError(f"Two columns of the table have the same name: {repeated[0]}. Rename one.")


def _cells(header: Sequence[str], cells: Sequence[str], line: int) -> dict[str, str]:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise PayloadError(f"Line {line} of the table has more cells than columns; a quotation mark may miss.")
    if any(len(cell) > _LONGEST for cell in cells):
        raise PayloadError(f"Line {line} of the table has a cell of more than {_LONGEST:,} characters.")
    padded = [*cells, *[""] * (len(header) - len(cells))]
    return {name: cell.strip() for name, cell in zip(header, padded, strict=False) if name}
