"""A table as a file (CSV): each row that an admin hands over is one completion."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Final

from pydantic import Field

from bridge.core import address_token, long_ids
from bridge.core.address_token import OptionalUrlToken, PreviousUrlToken
from bridge.core.connector import Abilities, Connector, ConnectorSettings
from bridge.core.errors import PayloadError, SignatureError
from bridge.core.models import InboundRequest, JsonObject, SignedRequest, SourceEvent
from bridge.core.wording import suggestion
from connectors.spreadsheet.table import MOST_ROWS, rows, tidy

ROW: Final = "row"
_OF_A_PERSON: Final = re.compile(r"00[135Q][A-Za-z0-9]{12}")
"""How ids of accounts, contacts, users and leads begin in a report out of a CRM."""


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
    url_token: OptionalUrlToken = Field(
        None, description="If set, a table may also be posted to /hooks/SOURCE/THIS-TOKEN."
    )
    previous_url_token: PreviousUrlToken = None


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
        limits=f"{MOST_ROWS:,} rows a file",
    )

    def verify(self, request: InboundRequest) -> None:
        if self.settings.url_token is None:
            raise SignatureError("This source takes files only: certbridge issue --csv FILE.", code="no_webhook")
        address_token.verify(request, self.settings)

    def parse(self, request: InboundRequest) -> Iterator[SourceEvent]:
        table = rows(request.body)
        first = next(table, None)
        if first is None:
            raise PayloadError("The table has a line of column names and no row below it.")
        tidied = [tidy(name) for name in first]
        self._check_columns(tidied)
        return (self._event(columns, tidied) for columns in chain([first], table))

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return SignedRequest(body, dict(headers), address_token.last_part(self.settings))

    def _check_columns(self, tidied: Sequence[str]) -> None:
        """Raises PayloadError where a column is missing without which no row can be told from another."""
        for setting, wanted in (("learner", self.settings.learner), ("key", self.settings.key)):
            if wanted is not None and wanted not in tidied:
                near = suggestion(wanted, tidied) or "."
                raise PayloadError(
                    f'The table has no column "{wanted}" (the setting {setting} of this source){near} Its columns: '
                    f"{', '.join(tidied)[:500]}. Rename one in the first line of the table, or name another one with "
                    f"{setting}: in the configuration."
                )

    def _event(self, columns: Mapping[str, str], tidied: Sequence[str]) -> SourceEvent:
        row = dict(zip(tidied, columns.values(), strict=True))
        settings = self.settings
        learner, course, day = (row.get(name, "") for name in (settings.learner, settings.course, settings.date))
        key = row.get(settings.key, "") if settings.key else ""
        who = _who(learner)
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


def _who(learner: str) -> str:
    """Returns what stands for a learner: names and addresses are the same in small letters and capitals, ids of a CRM's
    people in 15 characters are not (those in 18 are, and name the same people).
    """
    number = long_ids.normal(learner) if _OF_A_PERSON.match(learner.strip()) else None
    return number or " ".join(learner.casefold().split())
