"""Polls a custom report of Moodle (Report builder, source "Course participants"): a request a page, for all courses."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bridge.core.connector import Page
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject, SourceEvent
from connectors.moodle.events import found
from connectors.moodle.rest import Rest, objects

WINDOW: Final = timedelta(days=30)
"""How far back each poll looks: Moodle's cron may date a completion days before it finds it."""
_PER_PAGE: Final = 250
_PAGES: Final = 1_000
_USER: Final = re.compile(r"/user/(?:profile|view)\.php\?(?:[^\"'#]*[&;])?id=(\d{1,18})", re.ASCII)
_COURSE: Final = re.compile(r"/course/view\.php\?(?:[^\"'#]*[&;])?id=(\d{1,18})", re.ASCII)
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_SHORT: Final = {month[:3]: at for at, month in enumerate(_MONTHS, start=1)} | {"sept": 9}
_NUMBER_OF: Final = {month: at for at, month in enumerate(_MONTHS, start=1)} | _SHORT
# "Sunday, 22 November 2026, 2:24 PM", the American order, with or without AM and PM.
_DATE: Final = re.compile(
    r"(?:(?P<day>\d{1,2}) (?P<month>[a-z]{3,9})\.?|(?P<month2>[a-z]{3,9})\.? (?P<day2>\d{1,2}),?) "
    r"(?P<year>\d{4}),? (?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?(?: ?(?P<half>[ap])\.?m\.?)?",
    re.ASCII,
)


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
    last = _moment(cursor.get("polled"))
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
        reports = objects(answer.get("reports")) if isinstance(answer, dict) else []
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
    columns = [row.get("columns") for row in objects(data.get("rows"))]
    return Report(
        total if isinstance(total, int) else 0,
        [str(header) for header in headers] if isinstance(headers, list) else [],
        [[str(cell) if cell is not None else "" for cell in row] for row in columns if isinstance(row, list)],
    )


def instant(text: str) -> datetime:
    """Reads a date as Moodle shows it in English, as UTC. Raises PermanentError with what to change."""
    plain = " ".join(html.unescape(text).lower().split())
    match = _DATE.search(plain)
    try:
        if match is None:
            raise ValueError
        month = _NUMBER_OF[match["month"] or match["month2"]]
        hour = int(match["hour"])
        if match["half"]:
            hour = hour % 12 + (12 if match["half"] == "p" else 0)
        day = int(match["day"] or match["day2"])
        return datetime(int(match["year"]), month, day, hour, int(match["minute"]), tzinfo=UTC)
    except (ValueError, KeyError):
        raise PermanentError(
            f"The report shows the time {text[:60]!r}, which certbridge cannot read. In the profile of the service "
            "account set the language to English and the time zone to UTC.",
            code="report_language",
        ) from None


def completions(report: Report, start: datetime) -> Iterator[SourceEvent]:
    """Yields the completions since `start`."""
    at = _time_column(report) if report.rows else 0
    for row in report.rows:
        shown = row[at].strip() if at < len(row) else ""
        if not shown or shown == "-":
            continue  # not completed
        user, course = _link(row, _USER), _link(row, _COURSE)
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
    dated = [at for at, shown in cells.items() if shown and all(_DATE.search(cell.lower()) for cell in shown)]
    if len(dated) == 1:
        return dated[0]
    raise PermanentError(
        f'The report has no column "Time completed" (it has: {", ".join(report.headers) or "none"}). Add it, and set '
        "the language of the service account to English.",
        code="report_columns",
    )


def _link(row: Sequence[str], pattern: re.Pattern[str]) -> int | None:
    return next((int(match[1]) for cell in row if (match := pattern.search(cell))), None)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
