"""Turns HTML into the bytes of a PDF: the same HTML gives the same bytes, in any process."""

from __future__ import annotations

import calendar
import io
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.core.errors import HeldError, PermanentError
from bridge.issuing import fonts, wording
from bridge.issuing.fitting import shorten
from bridge.issuing.job import RenderJob
from bridge.issuing.preflight import can_draw, clean_text

_TEST_COLOUR: Final = (0.72, 0.16, 0.10)
_MARGIN: Final = 8.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finished PDF and what the engine grumbled about."""

    content: bytes
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A word across every page and a line at its foot, whatever the template says."""

    word: str
    line: str


def stamp_for(job: RenderJob) -> Stamp | None:
    """Returns the stamp for a test or revoked certificate; a revoked test is first of all a test."""
    lines = []
    if job.certificate.test:
        lines.append(wording.say("test", locale=job.locale))
    if job.status == "revoked":
        lines.append(_revocation_line(job))
    if not lines:
        return None
    return Stamp("TEST" if job.certificate.test else "REVOKED", " · ".join(lines))


def _revocation_line(job: RenderJob) -> str:
    day = wording.format_date(job.revoked_on, job.locale) if job.revoked_on else "?"
    line = wording.say("revoked", locale=job.locale, date=day)
    reason = clean_text(job.certificate.revoke_reason or "")
    # A revocation must never wait for a prettier reason, so what cannot be drawn becomes a question mark.
    drawn = "".join(letter if can_draw(letter) else "?" for letter in reason)
    return f"{line}: {shorten(drawn, most=100)}" if drawn else line


def to_pdf(html: str) -> bytes:
    """Returns the PDF of the HTML, as xhtml2pdf draws it under our policy, fonts and invariant mode."""
    return _convert(html, seconds=60).content


def draw(html: str, job: RenderJob, *, seconds: float) -> Drawn:
    """Returns the finished PDF of a job: one page for each the template makes, stamped where it must be.

    Raises HeldError `does_not_fit` when the text runs onto another page, PermanentError `template` when the engine
    refuses the HTML.
    """
    from pypdf import PdfReader

    # The file's own dates are the day of issue, because "now" would make every copy differ.
    os.environ["SOURCE_DATE_EPOCH"] = str(calendar.timegm(job.certificate.data.issued_on.timetuple()))
    drawn = _convert(html, seconds=seconds)
    expected = 1 + html.count("<pdf:nextpage")
    pages = len(PdfReader(io.BytesIO(drawn.content)).pages)
    if pages > expected:
        raise HeldError(
            f'A certificate cannot be made: its text needs {pages} pages in the template "{job.template.name}", '
            f"which has {expected}. Shorten the texts, or give the template more room.",
            code="does_not_fit",
        )
    _check_images(drawn.warnings)
    stamp = stamp_for(job)
    return Drawn(_stamped(drawn.content, stamp), drawn.warnings) if stamp else drawn


def _check_images(warnings: Sequence[str]) -> None:
    """Refuses a page that lost an image: the engine only warns, and it may have been the logo or the QR code."""
    lost = [warning for warning in warnings if "image" in warning.lower() or warning.startswith("Blocked")]
    if lost:
        raise PermanentError(
            f"The template has an image that cannot be drawn: {shorten(lost[0], most=300)}", code="template"
        )


def _convert(html: str, *, seconds: float) -> Drawn:
    from reportlab import rl_config
    from xhtml2pdf.config.resources import RenderLimitError, ResourceAccessPolicy
    from xhtml2pdf.document import pisaDocument

    fonts.register()
    rl_config.invariant = 1
    # No directory and no network: whatever a page shows stands in the HTML itself.
    policy = ResourceAccessPolicy.server(allow_remote=False, max_render_seconds=seconds)
    out = io.BytesIO()
    with _Quiet() as warnings:
        try:
            context = pisaDocument(html, dest=out, resource_policy=policy)
        except RenderLimitError as error:
            raise PermanentError(f"The template cannot be drawn: {error}.", code="template") from error
    if context.err:
        raise PermanentError(f"The template cannot be drawn: {'; '.join(warnings)[:500]}.", code="template")
    return Drawn(out.getvalue(), tuple(warnings))


class _Quiet(logging.Handler):
    """Collects what the engine would log: it may quote learners, and `check` wants to show it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[str] = []
        self._logger = logging.getLogger("xhtml2pdf")

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._messages) < 20:
            self._messages.append(record.getMessage()[:300])

    def __enter__(self) -> list[str]:
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._logger.addHandler(self)
        return self._messages

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated


# -- the stamp -------------------------------------------------------------------------------------


def _stamped(content: bytes, stamp: Stamp) -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    for page in writer.pages:
        overlay = _overlay(stamp, width=float(page.mediabox.width), height=float(page.mediabox.height))
        page.merge_page(PdfReader(io.BytesIO(overlay)).pages[0])
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _overlay(stamp: Stamp, *, width: float, height: float) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(width, height), initialFontName=fonts.BOLD, pageCompression=1)
    canvas.setFillColorRGB(*_TEST_COLOUR)
    _foot_line(canvas, stamp.line, width=width)
    _diagonal(canvas, stamp.word, width=width, height=height)
    canvas.save()
    return out.getvalue()


def _foot_line(canvas: Any, line: str, *, width: float) -> None:
    size = min(11.0, 11.0 * (width - 40) / fonts.text_width(line, size=11, bold=True))
    canvas.setFont(fonts.BOLD, size)
    canvas.drawCentredString(width / 2, _MARGIN, line)


def _diagonal(canvas: Any, word: str, *, width: float, height: float) -> None:
    diagonal = (width**2 + height**2) ** 0.5
    size = min(0.62 * diagonal / fonts.text_width(word, size=1, bold=True), 0.42 * height)
    canvas.translate(width / 2, height / 2)
    canvas.rotate(30)
    canvas.setFillAlpha(0.18)
    canvas.setFont(fonts.BOLD, size)
    canvas.drawCentredString(0, -size / 3, word)
