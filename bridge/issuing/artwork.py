"""Keeps a template's parsed vector drawings, because xhtml2pdf parses each one twice for every certificate."""

from __future__ import annotations

import copy
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

_KEPT: Final = 24
"""Drawings. A template has a handful; the rest are QR codes, which are needed twice and then forgotten."""


def keep_parsed() -> None:
    """Makes xhtml2pdf in this process use drawings that were parsed before.

    More than half the time of a certificate went into svglib reading the same ornaments again. xhtml2pdf 0.2.28 calls
    `svg2rlg(BytesIO(...), resolve_entities=False)` through this module attribute and offers no other way in.
    """
    from xhtml2pdf import xhtml2pdf_reportlab as engine

    parse = engine.svg2rlg

    @lru_cache(maxsize=_KEPT)
    def parsed(content: bytes) -> Any:
        return parse(BytesIO(content), resolve_entities=False)

    def drawing(stream: BytesIO, *, resolve_entities: bool = False) -> Any:
        if resolve_entities:
            raise ValueError("entities in drawings are never resolved")
        # The engine scales the outermost drawing in place; what is inside is only read.
        return copy.copy(parsed(stream.getvalue()))

    engine.svg2rlg = drawing
