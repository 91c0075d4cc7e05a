"""Finds the type size and line breaks with which a text fits its place: shrink to a floor, then wrap, then refuse."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.core.errors import HeldError
from bridge.issuing import fonts

_POINTS_PER_MM: Final = 72 / 25.4
_STEP: Final = 0.5
# A hair's breadth, so that rounding in the PDF engine never wraps a line that was measured to fit.
_SAFETY: Final = 0.995
_MAX_LINES: Final = 4
_MAX_PIECES: Final = 80
_PIECES: Final = re.compile(r"[^\s\-\u2013\u2014/]*[\s\-\u2013\u2014/]*")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text as it will be set: one size in points for all its lines."""

    size: float
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.lines)


def fit(
    text: str,
    *,
    label: str,
    width: float,
    size: float,
    least: float,
    lines: int = 1,
    wrapped: float | None = None,
    bold: bool = False,
    italic: bool = False,
) -> Fitted:
    """Fits a text into `width` millimetres.

    `size` and `least` are the wanted and the smallest type size in points, `lines` how many lines there is room for,
    `wrapped` the largest size once it takes more than one (default: `size`).
    Raises HeldError `does_not_fit`, naming `label`.
    """
    room = width * _POINTS_PER_MM * _SAFETY

    for count in range(1, min(lines, _MAX_LINES) + 1):
        parts = _broken(text, count, bold=bold, italic=italic)
        if parts is None:
            break
        per_point = max(fonts.text_width(part, size=100, bold=bold, italic=italic) for part in parts) / 100
        largest = size if count == 1 or wrapped is None else wrapped
        fitting = min(largest, _floor(room / per_point) if per_point else largest)
        if fitting >= least:
            return Fitted(fitting, parts)
    raise HeldError(
        f'A certificate cannot be made: {label} is too long for its place: "{_shortened(text)}" '
        f"({len(text)} characters). "
        "Shorten it at the source or in the mapping, or give the template more room, and replay the event.",
        code="does_not_fit",
    )


def shorten(text: str, *, most: int) -> str:
    """Returns at most `most` characters, cut between words and ended with an ellipsis."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[most // 2 :] else cut).rstrip(" ,;:-") + "…"


def _shortened(text: str) -> str:
    return shorten(text, most=60)


def _floor(size: float) -> float:
    return math.floor(size / _STEP) * _STEP


def _broken(text: str, count: int, *, bold: bool, italic: bool) -> tuple[str, ...] | None:
    """Returns the text in `count` lines as even as can be, or None when it has too few places to break."""
    if count == 1:
        return (text,)
    pieces = [piece for piece in _PIECES.findall(text) if piece]
    if not count <= len(pieces) <= _MAX_PIECES:
        return None
    ends = list(itertools.accumulate(fonts.text_width(piece, size=100, bold=bold, italic=italic) for piece in pieces))
    return tuple("".join(pieces[a:b]).strip() for a, b in itertools.pairwise(_even_cuts(ends, count)))


def _even_cuts(ends: Sequence[float], count: int) -> list[int]:
    """Returns the piece numbers at which lines begin and end, cutting greedily at the even share of the width."""
    cuts, before = [0], 0.0
    for remaining in range(count, 1, -1):
        goal = before + (ends[-1] - before) / remaining
        last = len(ends) - remaining + 1
        cut = min(range(cuts[-1] + 1, last + 1), key=lambda number: (abs(ends[number - 1] - goal), number))
        before = ends[cut - 1]
        cuts.append(cut)
    return [*cuts, len(ends)]
