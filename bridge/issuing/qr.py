"""The QR code that leads from the paper to the verification page."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

QUIET: Final = 4
"""Modules of white around the code; ISO/IEC 18004 asks for four."""
MAX_URL: Final = 300
"""Characters; a longer address makes modules too small for a phone."""


def matrix(text: str) -> Sequence[Sequence[bool]]:
    """Returns the modules, True for dark, without the quiet zone; error correction M survives a smudge.

    Raises ValueError when the text is too long to be scanned from paper.
    """
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.main import QRCode

    if len(text) > MAX_URL:
        raise ValueError(f"the verification address has {len(text)} characters; a QR code holds at most {MAX_URL}")
    code = QRCode(error_correction=ERROR_CORRECT_M, border=0)
    code.add_data(text)
    code.make(fit=True)
    modules: Sequence[Sequence[bool]] = code.get_matrix()
    return modules


def svg(text: str, *, colour: str = "#000000") -> bytes:
    """Returns the code as one vector path on white, quiet zone included, so that it is sharp at any size."""
    modules = matrix(text)
    side = len(modules) + 2 * QUIET
    path = "".join(f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z" for y, x, length in _runs(modules))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" viewBox="0 0 {side} {side}">'
        f'<rect width="{side}" height="{side}" fill="#ffffff"/><path d="{path}" fill="{colour}"/></svg>'
    ).encode()


def data_uri(text: str) -> str:
    """Returns the code as the `src` of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg(text)).decode()


def _runs(modules: Sequence[Sequence[bool]]) -> Iterator[tuple[int, int, int]]:
    """Yields row, column and length of each run of dark modules: gapless, unlike single squares."""
    for y, row in enumerate(modules):
        x = 0
        for dark, run in groupby(row):
            length = len(list(run))
            if dark:
                yield y, x, length
            x += length
