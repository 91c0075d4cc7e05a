"""The typeface of every certificate: three static faces, registered once per process, and what they can draw."""

from __future__ import annotations

import threading
from functools import cache
from importlib import resources
from typing import Any, Final

FAMILY: Final = "Gentium Plus"
REGULAR: Final = "GentiumPlus"
BOLD: Final = "GentiumPlus-Bold"
ITALIC: Final = "GentiumPlus-Italic"
_DEFAULT: Final = "Helvetica"
_FILES: Final = {REGULAR: "GentiumPlus-Regular.ttf", BOLD: "GentiumPlus-Bold.ttf", ITALIC: "GentiumPlus-Italic.ttf"}
_lock = threading.Lock()


def register() -> None:
    """Makes the faces known to ReportLab and to xhtml2pdf, once per process.

    Every family name a stylesheet may ask for (serif, Arial, ...) means this family: the PDF standard fonts cannot be
    embedded and lack most letters, so a template that names one would silently lose learners' names.
    """
    with _lock:
        _register()


@cache
def _register() -> None:
    from reportlab import rl_config
    from reportlab.lib.fonts import addMapping
    from reportlab.pdfbase import pdfmetrics
    from xhtml2pdf.default import DEFAULT_FONT

    for name in _FILES:
        pdfmetrics.registerFont(_face(name))
    # ReportLab starts each page in Helvetica and xhtml2pdf sets images in it; left alone, every file would name a font
    # that is not embedded.
    rl_config.canvas_basefontname = REGULAR
    pdfmetrics.registerFont(_face(REGULAR, alias=_DEFAULT))
    for family in (REGULAR, _DEFAULT):
        # The last mapping of a face decides how it is read back, so the plain ones come last. There is no bold italic:
        # an emphasised word inside a bold line stays bold.
        addMapping(family, 1, 1, BOLD)
        addMapping(family, 1, 0, BOLD)
        addMapping(family, 0, 1, ITALIC)
        addMapping(family, 0, 0, family)
    for family_name in [*DEFAULT_FONT, FAMILY.lower()]:
        DEFAULT_FONT[family_name] = REGULAR


@cache
def _face(name: str, alias: str | None = None) -> Any:
    from reportlab.pdfbase.ttfonts import TTFont

    with resources.as_file(resources.files("bridge.issuing") / "fonts" / _FILES[name]) as path:
        return TTFont(alias or name, str(path))


def text_width(text: str, *, size: float, bold: bool = False, italic: bool = False) -> float:
    """Returns the width of a line in points, as the PDF will set it."""
    with _lock:
        face = _face(BOLD if bold else ITALIC if italic else REGULAR)
    return float(face.stringWidth(text, size))


@cache
def drawable() -> frozenset[int]:
    """Returns the code points that all three faces can draw."""
    with _lock:
        faces = [frozenset(_face(name).face.charToGlyph) for name in _FILES]
    return frozenset.intersection(*faces)
