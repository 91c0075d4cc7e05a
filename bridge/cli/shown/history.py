"""The audit trail in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bridge.cli.output import Column, Page, lines, plain
from bridge.core.models import JsonObject
from bridge.store.history import HistoryRow


def as_json(row: HistoryRow) -> JsonObject:
    """Returns the stable shape for programs."""
    return {
        "id": row.id,
        "at": row.at,
        "kind": row.kind,
        "actor": row.actor,
        "event": row.inbox_id,
        "delivery": row.outbox_id,
        "certificate": row.certificate_id,
        "data": row.data,
    }


def words(row: HistoryRow) -> str:
    """Returns what happened, as people say it: "event released", "certificate corrected, version 2"."""
    said = plain(row.kind.replace(".", " ").replace("_", " "))
    return said + (f", version {row.data['version']}" if "version" in row.data else "")


def cell(row: HistoryRow) -> Text:
    """Returns what happened, and below it why and with which values."""
    return lines(words(row), plain(row.data.get("reason")) or None, _values(row) or None)


def _values(row: HistoryRow) -> str:
    values = row.data.get("overrides")
    if not isinstance(values, dict):
        return ""
    return "\n".join(f"{plain(word)} = {plain(value)}" for word, value in values.items() if word != "released")


def table(page: Page, rows: Sequence[HistoryRow]) -> None:
    """Prints the history of one thing, oldest first."""
    columns = [Column("When", fixed=True), Column("What"), Column("Who", fixed=False)]
    page.table(columns, [[page.when(row.at, seconds=True), cell(row), plain(row.actor)] for row in rows])
