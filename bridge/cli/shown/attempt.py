"""One attempt at an event or a delivery."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.cli.output import Column, Page, lines, plain
from bridge.core.models import JsonObject
from bridge.store.attempts import AttemptRow


def as_json(one: AttemptRow) -> JsonObject:
    """Returns the stable shape for programs."""
    return {
        "n": one.n,
        "node": one.node,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "outcome": one.outcome,
        "code": one.code,
        "reason": one.reason,
        "request": one.request,
        "response": one.response,
    }


def table(page: Page, tried: Sequence[AttemptRow]) -> None:
    """Prints attempts, oldest first."""
    columns = [
        Column("Try", "right", fixed=True),
        Column("When", fixed=True),
        Column("Outcome"),
        Column("What was said"),
    ]
    rows = [
        [
            str(one.n),
            page.when(one.started_at, seconds=True),
            one.code or one.outcome,
            lines(one.reason or "–", _call(one)),
        ]
        for one in tried
    ]
    page.table(columns, rows)


def _call(one: AttemptRow) -> str:
    """Returns the last call of the attempt: `POST https://lms.example/… → 503`."""
    request, response = one.request or {}, one.response or {}
    asked = f"{request.get('method', '')} {request.get('url', '')}".strip()
    return plain(asked + (f" → {response['status']}" if "status" in response else ""))
