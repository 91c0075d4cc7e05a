"""Lists completions that a person may choose from, and reads which ones were chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

import click

from bridge.core.models import Completion, Held, Ignored, JsonObject

if TYPE_CHECKING:
    from bridge.cli.output import Page
    from bridge.flow.bring import Candidate

_RANGE: Final = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
SHOWN: Final = 1_000
"""Rows of a list for people."""


class Selection(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """Which rows of a list are meant: `all`, or numbers and ranges: `1,3-5`."""

    name = "selection"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[int] | None:
        """Returns the numbers; None for all."""
        text = str(value).strip().lower()
        if text == "all":
            return None
        numbers: set[int] = set()
        for part in text.split(","):
            found = _RANGE.fullmatch(part.strip())
            if not found:
                self.fail(f"{part.strip()[:40]!r} is no number. Write all, or numbers such as 1,3-5.", param, ctx)
            first, last = int(found[1]), int(found[2] or found[1])
            if last < first:
                self.fail(f"{part.strip()!r} goes backwards. Write {last}-{first}.", param, ctx)
            numbers |= set(range(first, last + 1))
        return frozenset(numbers)


def chosen(found: Sequence[Candidate], wanted: frozenset[int] | None, today: date, *, expired: bool) -> list[Candidate]:
    """Returns the chosen rows that can be issued; expired ones only when they are wanted expressly.

    Raises a usage error for a number that the list does not have.
    """
    wrong = sorted(number for number in wanted or () if not 1 <= number <= len(found))
    if wrong:
        raise click.UsageError(f"The list has no number {wrong[0]}; it goes from 1 to {len(found)}.")
    rows = [one for number, one in enumerate(found, start=1) if wanted is None or number in wanted]
    return [one for one in rows if isinstance(one.outcome, Completion) and (expired or not one.expired(today))]


def print_list(page: Page, found: Sequence[Candidate], today: date) -> None:
    """Prints the list, with what would come of each row."""
    from bridge.cli.output import Column

    columns = [
        Column("No.", "right", fixed=True),
        Column("Learner"),
        Column("Course"),
        Column("Completed", fixed=True),
        Column("Valid until", fixed=True),
        Column("What would come of it"),
    ]
    rows = [[str(number), *_cells(one, today)] for number, one in enumerate(found[:SHOWN], start=1)]
    page.table(columns, rows)
    if len(found) > SHOWN:
        page.say(f"And {len(found) - SHOWN:,} more; --json has them all.", style="dim")


def _cells(one: Candidate, today: date) -> list[str]:
    outcome = one.outcome
    if isinstance(outcome, Completion):
        expires = outcome.expires_on.isoformat() if outcome.expires_on else "–"
        said = verdict(one, today)
        who = outcome.recipient.name + (f" <{outcome.recipient.email}>" if outcome.recipient.email else "")
        return [who, outcome.course.title, outcome.completed_on.isoformat(), expires, said]
    when = one.event.occurred_at.date().isoformat() if one.event.occurred_at else "–"
    return [one.event.subject or "?", one.event.course or "?", when, "–", verdict(one, today)]


def verdict(one: Candidate, today: date) -> str:
    """Says what would come of a row, in a few words."""
    if isinstance(one.outcome, Completion):
        return "a certificate that is expired already: with --expired only" if one.expired(today) else "a certificate"
    if isinstance(one.outcome, Held | Ignored):
        return f"{'held' if isinstance(one.outcome, Held) else 'none'}: {one.outcome.reason}"
    return f"none: it is a {one.outcome.kind}"


def as_json(one: Candidate, number: int, today: date) -> JsonObject:
    """Returns the stable shape for programs."""
    outcome = one.outcome
    issued = outcome if isinstance(outcome, Completion) else None
    return {
        "number": number,
        "event_id": one.event.event_id,
        "event": one.number,
        "subject": one.event.subject,
        "name": issued.recipient.name if issued else None,
        "email": issued.recipient.email if issued else None,
        "course": issued.course.id if issued else one.event.course,
        "title": issued.course.title if issued else None,
        "completed_on": issued.completed_on if issued else None,
        "expires_on": issued.expires_on if issued else None,
        "expired": one.expired(today),
        "verdict": outcome.kind if issued else getattr(outcome, "code", outcome.kind),
        "reason": getattr(outcome, "reason", None),
    }
