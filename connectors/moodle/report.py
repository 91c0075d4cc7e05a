"""Polls a custom report of Moodle (Report builder, source "Course participants"): a request a page, for all courses."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.core.answers import moment, sections
from bridge.core.connector import Page
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject, SourceEvent
from connectors.moodle.events import found
from connectors.moodle.links import COURSE, LEARNER, number_in
from connectors.moodle.report_dates import instant, is_date
from connectors.moodle.rest import Rest

WINDOW: Final = timedelta(days=30)
"""How far back each poll looks: Moodle's cron may date a completion days before it finds it."""
_PER_PAGE: Final = 250
_PAGES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """One page of the report: how many rows there are in all, and what each column holds as text or a link."""

    total: int
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


def poll(rest: Rest, name: str, cursor: JsonObject, since: datetime, now: datetime) -> Iterator[Page]:
    """Yields what the report shows of the last 30 days before the previous poll (the first one: from `since` on).

    Only the minute of a completion is shown; `enrich` asks for the second. Raises PermanentError where columns are
    missing or the language is not English.
    """
    last = moment(cursor.get("polled"))
    start = since if last is None else max(since, last - WINDOW)
    number, seen = number_of(rest, name), set[str]()
    for page in range(_PAGES):
        report = retrieve(rest, number, page, _PER_PAGE)
        # Two enrolments of a learner in a course are two rows about one completion.
        found_here = {event.event_id: event for event in completions(report, start)}
        fresh = [event for event_id, event in found_here.items() if event_id not in seen]
        seen.update(found_here)
        if len(report.rows) < _PER_PAGE or (page + 1) * _PER_PAGE >= report.total:
            break
        # Committed with the old cursor: a poll that breaks off begins anew.
        yield Page(fresh, cursor)
    else:
        raise PermanentError(
            f"The report {name!r} has more than {_PAGES * _PER_PAGE:,} rows. Give it a condition: Time completed, in "
            "the last 30 days.",
            code="report_too_long",
        )
    yield Page(fresh, {"polled": now.isoformat()})


def number_of(rest: Rest, name: str) -> str:
    """Returns the number of the report with this name (or number). Raises PermanentError, naming those there are."""
    if name.isascii() and name.isdigit():
        return name
    known: list[str] = []
    for page in range(100):
        arguments = {"page": str(page), "perpage": str(_PER_PAGE)}
        answer = rest.call("core_reportbuilder_list_reports", arguments)
        reports = sections(answer.get("reports")) if isinstance(answer, dict) else []
        for report in reports:
            title = html.unescape(str(report.get("name"))).strip()
            if title.casefold() == name.strip().casefold() and isinstance(report.get("id"), int):
                return str(report["id"])
            known.append(repr(title))
        if len(reports) < _PER_PAGE:
            break
    raise PermanentError(
        f"Moodle shows certbridge no report named {name!r} (it shows: {', '.join(known[:20]) or 'none'}). Create it, "
        "or put the service account into its audience or give its role moodle/reportbuilder:viewall.",
        code="report_missing",
    )


def retrieve(rest: Rest, number: str, page: int, per_page: int) -> Report:
    """Returns one page (from 0) of the report. Raises PermanentError, TemporaryError."""
    arguments = {"reportid": number, "page": str(page), "perpage": str(per_page)}
    answer = rest.call("core_reportbuilder_retrieve_report", arguments)
    data = answer.get("data") if isinstance(answer, dict) else None
    data = data if isinstance(data, dict) else {}
    headers, total = data.get("headers"), data.get("totalrowcount")
    columns = [row.get("columns") for row in sections(data.get("rows"))]
    return Report(
        total if isinstance(total, int) else 0,
        [str(header) for header in headers] if isinstance(headers, list) else [],
        [[str(cell) if cell is not None else "" for cell in row] for row in columns if isinstance(row, list)],
    )


def completions(report: Report, start: datetime) -> Iterator[SourceEvent]:
    """Yields the completions since `start`."""
    at = _time_column(report) if report.rows else 0
    for row in report.rows:
        shown = row[at].strip() if at < len(row) else ""
        if not shown or shown == "-":
            continue  # not completed
        user, course = _link(row, *LEARNER), _link(row, COURSE)
        if user is None or course is None:
            raise PermanentError(
                'The report has a row without a link to the learner or to the course. Add the columns "Full name with '
                'link" (user) and "Course full name with link" (course).',
                code="report_columns",
            )
        time = instant(shown)
        if time + timedelta(minutes=1) > start:
            yield found(user, course, int(time.timestamp()), exact=False)


def _time_column(report: Report) -> int:
    named = [at for at, header in enumerate(report.headers) if header.strip().casefold() == "time completed"]
    if named:
        return named[0]
    # Renamed or in another language: the one column in which every filled cell is a date.
    width = range(max(len(row) for row in report.rows))
    cells = {at: [row[at] for row in report.rows if at < len(row) and row[at].strip()] for at in width}
    dated = [at for at, shown in cells.items() if shown and all(is_date(cell) for cell in shown)]
    if len(dated) == 1:
        return dated[0]
    raise PermanentError(
        f'The report has no column "Time completed" (it has: {", ".join(report.headers) or "none"}). Add it, and set '
        "the language of the service account to English.",
        code="report_columns",
    )


def _link(row: Sequence[str], *pages: str) -> int | None:
    return next((number for cell in row if (number := number_in(cell, *pages)) is not None), None)
