"""What commands print: tables for people, JSON for programs; data is text, never markup or terminal control."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import click
from rich.box import Box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bridge.core.text import one_line

Justify = Literal["left", "right"]

WIDEST: Final = 120
"""Columns. Longer lines are hard to read, however wide the window is."""
PIPED: Final = 100
"""Columns when nobody's window says otherwise."""

# ECMA-48: control sequences (colours, cursor), operating system commands (titles, links, clipboard), and the rest.
_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,1000}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
# What JSON may hold as it is, and what a terminal (or a reader's eye) would still act upon.
_UNSAFE_JSON: Final = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
# Text direction, invisible letters and control characters; whatever is left moves no cursor and hides no word.
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_RULE: Final = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")

STYLES: Final = {
    "done": "green",
    "issued": "green",
    "held": "bold yellow",
    "retrying": "yellow",
    "failed": "bold red",
    "rejected": "bold red",
    "revoked": "red",
    "ready": "cyan",
    "running": "cyan",
    "draft": "cyan",
    "ignored": "dim",
    "cancelled": "dim",
    "erased": "dim",
}
"""How a state looks; the word itself is always there, too."""


def plain(value: object) -> str:
    """Returns any value as one harmless line: no escape sequences, no control or direction characters."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return one_line(_SEQUENCE.sub("", text))


def paragraphs(value: object) -> str:
    """Returns a text of several lines as harmless lines; spaces stay where they are."""
    text = _SEQUENCE.sub("", value if isinstance(value, str) else "" if value is None else str(value))
    return "\n".join(_CONTROL.sub("", line.expandtabs(4)).rstrip() for line in text.splitlines()).strip("\n")


def short(value: object, longest: int) -> str:
    """Returns one harmless line of at most `longest` characters."""
    text = plain(value)
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def state(word: str) -> Text:
    """Returns a state in its colour."""
    return Text(plain(word), style=STYLES.get(word, ""))


def lines(*parts: Text | str | None, style: str = "dim") -> Text:
    """Returns a cell of several lines: the first one speaks, the others explain and are paler."""
    given = [part for part in parts if part]
    cell = Text()
    for number, part in enumerate(given):
        text = part if isinstance(part, Text) else Text(paragraphs(part), style=style if number else "")
        cell.append_text(text)
        if number + 1 < len(given):
            cell.append("\n")
    return cell


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `fixed` columns are never folded."""

    title: str
    justify: Justify = "left"
    fixed: bool = False
    style: str = ""


@dataclass(slots=True)
class Page:
    """Prints for people on standard output."""

    zone: str = "UTC"
    """Where the reader's clock hangs: the issuer's zone."""
    console: Console = field(default_factory=lambda: _console(sys.stdout))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """Prints a table; nothing is cut off, long cells go on in the next line."""
        table = Table(box=_RULE, show_edge=False, pad_edge=False, header_style="bold", border_style="dim")
        for column in columns:
            table.add_column(
                column.title, justify=column.justify, no_wrap=column.fixed, overflow="fold", style=column.style
            )
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self._print(table)

    def facts(self, pairs: Iterable[tuple[str, object]], *, indent: int = 0) -> None:
        """Prints names and values below each other; a pair without a value is left out."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        shown = [(name, value) for name, value in pairs if value not in (None, "", ())]
        for name, value in shown:
            table.add_row(Text(name), _cell(value))
        if shown:
            self._print(Padding(table, (0, 0, 0, indent), expand=False))

    def title(self, text: str | Text) -> None:
        """Prints the heading of a block."""
        self._print(text if isinstance(text, Text) else Text(plain(text), style="bold"))

    def heading(self, text: str) -> None:
        """Prints the heading of a part, after an empty line."""
        self.say()
        self.title(text)

    def say(self, text: str | Text = "", *, style: str = "", indent: int = 0) -> None:
        """Prints a sentence, folded at the window's width."""
        shown = text if isinstance(text, Text) else Text(paragraphs(text), style=style)
        self._print(Padding(shown, (0, 0, 0, indent), expand=False) if indent else shown)

    def step(self, seconds: float, text: Text) -> None:
        """Prints one line of something that is going on, with the time it took so far."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, justify="right", min_width=8, style="dim")
        grid.add_column(overflow="fold")
        grid.add_row(f"{seconds:.1f} s", text)
        self._print(grid)

    def when(self, moment: datetime | None, *, seconds: bool = False) -> str:
        """Returns an instant on the reader's clock, or a dash."""
        if moment is None:
            return "–"
        return f"{moment.astimezone(ZoneInfo(self.zone)):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"

    def clock(self) -> None:
        """Says whose clock the times were read from."""
        self.say()
        self.say(f"Times: {self.zone}", style="dim")

    def _print(self, renderable: RenderableType) -> None:
        # rich fills every line to the window's width; nobody wants those spaces in a file or a bug report.
        with self.console.capture() as captured:
            self.console.print(renderable)
        for line in captured.get().splitlines():
            click.echo(line.rstrip(), file=self.console.file, color=True)


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text(paragraphs(value))


def _console(stream: Any) -> Console:
    # Markup, highlighting and emoji codes are off: `[red]`, `:smile:` and 12 mean what they say in a learner's name.
    width = min(shutil.get_terminal_size((PIPED, 24)).columns, WIDEST)
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=max(width, 40), soft_wrap=False)


# -- for programs ----------------------------------------------------------------------------------


def print_json(value: object) -> None:
    """Prints a value as JSON; what a terminal would act upon is escaped, so the value is the same and harmless."""
    text = json.dumps(value, indent=2, ensure_ascii=not _speaks_utf8(), default=_as_json)
    click.echo(_UNSAFE_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", text))


def _speaks_utf8() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, frozenset | set | tuple):
        return sorted(value) if not isinstance(value, tuple) else list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def instant(moment: datetime) -> str:
    """Returns an instant as programs read it: UTC, RFC 3339."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
