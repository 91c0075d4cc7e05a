from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from issuing_samples import a_job, a_template, run_tool, words_of
from PIL import Image
from pypdf import PdfReader

from bridge.core.errors import HeldError, PermanentError
from bridge.issuing import artwork, pdf, qr
from bridge.issuing.html import render_html
from bridge.issuing.job import RenderJob
from bridge.issuing.renderer import Renderer

LONG_TITLE = (
    "Workplace Health, Safety and Environmental Protection: "
    "Advanced Risk Assessment for Supervisors and Team Leads (Part II)"
)
LONG_NAME = "Maximiliana-Alexandrina Konstantinopoulou Wolfeschlegelstein"
NAMES = ["Łukasz Żółć-Dziewulski", "Дмитрий", "Ελένη", "Nguyễn Văn Ánh", "Ἀθηνᾶ Παπαδοπούλου", LONG_NAME]


def revoked(job: RenderJob, reason: str | None = "Issued in error") -> RenderJob:
    changes = {"state": "revoked", "revoked_at": datetime(2026, 12, 3, 23, 30, tzinfo=UTC), "revoke_reason": reason}
    return replace(job, certificate=job.certificate.model_copy(update=changes), status="revoked")


def page_as_image(content: bytes, folder: Path) -> Image.Image:
    (folder / "c.pdf").write_bytes(content)
    run_tool("pdftoppm", "-r", "100", "-png", "-singlefile", folder / "c.pdf", folder / "c")
    with Image.open(folder / "c.png") as image:
        return image.convert("RGB")


def reddish(image: Image.Image) -> int:
    """How many of 117 × 83 patches of the page have a reddish tint."""
    pixels = image.resize((117, 83)).tobytes()
    return sum(red > 180 and red - green > 20 for red, green in zip(pixels[::3], pixels[1::3], strict=True))


# -- what it says ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_prints_every_name_and_text_exactly(name: str, renderer: Renderer) -> None:
    text = words_of(renderer.render(a_job(name=name, course=LONG_TITLE, fields={"hours": "8"})))
    for expected in (
        name,
        LONG_TITLE,
        "Example Academy",
        "Completed 21 November 2026",
        "Issued 23 November 2026",
        "Valid until 21 November 2028",
        "7K3M-XW9Q-AB2C-D4EF3",
        "certificates.example/c/7K3MXW9QAB2CD4EF3",
        "Hours 8",
    ):
        assert expected in text
    assert len(LONG_TITLE) == 120
    assert len(LONG_NAME) == 60


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "{{7*7}} {% raw %}",
        "[[[x]]]",
        '"><img src=file:///etc/passwd>',
        "&amp; &lt; <b>bold</b>",
    ],
)
def test_a_learners_text_is_never_markup(hostile: str, renderer: Renderer) -> None:
    assert hostile in words_of(renderer.render(a_job(name=hostile, course=hostile)))
    assert PdfReader(io.BytesIO(renderer.render(a_job(name=hostile)))).metadata.title.endswith(hostile)  # type: ignore[union-attr]


def test_speaks_the_learners_language(renderer: Renderer) -> None:
    text = words_of(renderer.render(a_job(locale="de")))
    assert "Hiermit wird bescheinigt" in text
    assert "21. November 2026" in text


def test_prints_no_line_for_what_is_not_there(renderer: Renderer) -> None:
    job = a_job(fields={"hours": "", "trainer": "Ana"})
    data = job.certificate.data.model_copy(update={"expires_on": None})
    text = words_of(renderer.render(replace(job, certificate=job.certificate.model_copy(update={"data": data}))))
    assert "Trainer Ana" in text
    assert "Valid until" not in text
    assert "Hours" not in text
    assert "None" not in text


def test_carries_its_title_author_and_language(renderer: Renderer) -> None:
    reader = PdfReader(io.BytesIO(renderer.render(a_job(name="Ελένη", issuer="Žluťoučká škola", locale="pl"))))
    assert reader.metadata is not None
    assert reader.metadata.title == "Certyfikat ukończenia: Fire Safety, Ελένη"
    assert reader.metadata.author == "Žluťoučká škola"
    assert reader.metadata.creation_date == datetime(2026, 11, 23, tzinfo=UTC)
    assert reader.trailer["/Root"]["/Lang"] == "pl"
    assert reader.pages[0].mediabox.width > reader.pages[0].mediabox.height


def test_a_correction_says_so(renderer: Renderer) -> None:
    job = replace(a_job(version=2), status="corrected", corrected_on=date(2026, 12, 3))
    assert "Version 2, corrected on 3 December 2026" in words_of(renderer.render(job))
    assert "Version" not in words_of(renderer.render(a_job()))


# -- test and revoked ------------------------------------------------------------------------------


def test_a_test_certificate_is_unmistakable_in_any_template(renderer: Renderer, tmp_path: Path) -> None:
    own = a_template("<p>{{ name }}</p>")
    plain = words_of(renderer.render(a_job(template=own)))
    text = words_of(renderer.render(a_job(template=own, test=True)))
    assert "TEST" not in plain
    assert text.count("TEST") == 2
    assert "TEST: this is not a valid certificate" in text
    # The mark really covers the page, and the code can still be read through it.
    image = page_as_image(renderer.render(a_job(test=True)), tmp_path)
    assert reddish(image) > 300
    assert reddish(page_as_image(renderer.render(a_job()), tmp_path)) < 20
    assert [code.text for code in zxingcpp.read_barcodes(image)] == [a_job().certificate.url]


def test_a_revoked_certificate_says_when_and_why(renderer: Renderer) -> None:
    text = words_of(renderer.render(revoked(a_job())))
    assert "REVOKED" in text
    assert "Revoked on 3 December 2026: Issued in error" in text


def test_the_revocation_is_dated_in_the_certificates_zone(renderer: Renderer) -> None:
    job = revoked(a_job(), reason=None)
    data = job.certificate.data.model_copy(update={"zone": "Europe/Warsaw"})
    job = replace(job, certificate=job.certificate.model_copy(update={"data": data}))
    assert "Revoked on 4 December 2026" in words_of(renderer.render(job))


def test_no_reason_however_odd_holds_up_a_revocation(renderer: Renderer) -> None:
    text = words_of(renderer.render(revoked(a_job(), reason="李 \ud800 <b>" + "very " * 500)))
    assert ": ? ? <b>very" in text
    assert "…" in text


# -- the QR code -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["https://a.example/c/X", "https://certificates.training.example.org/academy/c/" + "7" * 17]
)
def test_the_code_is_read_from_a_coarse_rendering(url: str, renderer: Renderer, tmp_path: Path) -> None:
    image = page_as_image(renderer.render(a_job(url=url)), tmp_path)
    assert [code.text for code in zxingcpp.read_barcodes(image)] == [url]


def test_a_second_reader_agrees(renderer: Renderer, tmp_path: Path) -> None:
    page_as_image(renderer.render(a_job()), tmp_path)
    assert run_tool("zbarimg", "-q", "--raw", tmp_path / "c.png").strip() == a_job().certificate.url


def test_an_address_too_long_for_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="400 characters"):
        qr.matrix("h" * 400)


# -- the file --------------------------------------------------------------------------------------


def test_the_file_is_sound(renderer: Renderer, tmp_path: Path) -> None:
    for number, job in enumerate([a_job(), a_job(test=True), revoked(a_job())]):
        path = tmp_path / f"{number}.pdf"
        path.write_bytes(renderer.render(job))
        assert "No syntax or stream encoding errors" in run_tool("qpdf", "--check", path)


def test_every_font_is_embedded_as_a_subset(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "c.pdf"
    path.write_bytes(renderer.render(a_job(fields={"hours": "8"}, test=True)))
    rows = [line.split() for line in run_tool("pdffonts", path).splitlines()[2:]]
    assert {row[0].split("+")[1] for row in rows} == {"GentiumPlus", "GentiumPlus-Bold", "GentiumPlus-Italic"}
    assert all(row[-5:-2] == ["yes", "yes", "yes"] for row in rows)


def test_any_family_a_template_asks_for_is_drawn_in_ours(renderer: Renderer) -> None:
    own = a_template(
        '<p style="font-family: Arial">{{ name }}</p><p style="font-family: Courier"><b>{{ course }}</b></p>'
    )
    content = renderer.render(a_job(template=own, name="Дмитрий", course="Ελένη"))
    assert words_of(content) == "Дмитрий Ελένη"
    assert b"Helvetica" not in content
    assert b"Courier" not in content


DRAW = """
import sys
sys.path[:0] = {paths!r}
from bridge.issuing import html, pdf
from test_issuing_pdf import *
jobs = [a_job(name=name) for name in NAMES] + [a_job(test=True), revoked(a_job())]
import hashlib
print([hashlib.sha256(pdf.draw(html.render_html(job), job, seconds=60).content).hexdigest() for job in jobs])
"""


def test_equal_inputs_give_equal_bytes_in_every_process(renderer: Renderer) -> None:
    jobs = [*(a_job(name=name) for name in NAMES), a_job(test=True), revoked(a_job())]
    warm = [hashlib.sha256(renderer.render(job)).hexdigest() for job in [*reversed(jobs)]][::-1]
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    # Another process, without the warm one's shortcuts, in another zone and with other hashes.
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", DRAW.format(paths=paths)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(warm)


def test_keeping_drawings_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    from xhtml2pdf import xhtml2pdf_reportlab as engine

    parsed: list[bytes] = []
    original = engine.svg2rlg

    def counted(stream: io.BytesIO, **options: Any) -> Any:
        parsed.append(stream.getvalue())
        return original(stream, **options)

    monkeypatch.setattr(engine, "svg2rlg", counted)
    job = a_job()
    before = pdf.draw(render_html(job), job, seconds=60).content
    times = len(parsed)
    artwork.keep_parsed()
    assert pdf.draw(render_html(job), job, seconds=60).content == before
    assert pdf.draw(render_html(job), job, seconds=60).content == before
    assert len(parsed) == times + len(set(parsed))


# -- what does not fit -----------------------------------------------------------------------------


def test_holds_what_does_not_fit_and_names_it(renderer: Renderer) -> None:
    for job, label in (
        (a_job(name="Wolfeschlegelstein" * 6), "the learner's name"),
        (a_job(course="Sicherheit " * 30), "the course title"),
        (a_job(fields={"trainer": "Ana Silva " * 40}), "the line of hours, score and trainer"),
    ):
        with pytest.raises(HeldError, match=label) as caught:
            renderer.render(job)
        assert caught.value.stable_code == "does_not_fit"


def test_holds_a_certificate_that_runs_onto_a_second_page(renderer: Renderer) -> None:
    with pytest.raises(HeldError, match="needs 3 pages") as caught:
        renderer.render(a_job(template=a_template("<p>x</p>" * 120)))
    assert caught.value.stable_code == "does_not_fit"
    two = a_template("<p>{{ name }}</p><pdf:nextpage /><p>{{ course }}</p>")
    assert len(PdfReader(io.BytesIO(renderer.render(a_job(template=two)))).pages) == 2


def test_holds_a_name_that_cannot_be_drawn(renderer: Renderer) -> None:
    with pytest.raises(HeldError, match=r"U\+674E") as caught:
        renderer.render(a_job(name="李"))
    assert caught.value.stable_code == "glyphs"


def test_holds_a_certificate_without_a_field_the_template_prints(renderer: Renderer) -> None:
    own = a_template("<p>\n{{ fields.hours }}</p>")
    assert words_of(renderer.render(a_job(template=own, fields={"hours": "8"}))) == "8"
    with pytest.raises(HeldError, match=r'own/certificate.html:2: prints the field "hours"') as caught:
        renderer.render(a_job(template=own))
    assert caught.value.stable_code == "missing_field"


def test_never_prints_none(renderer: Renderer) -> None:
    with pytest.raises(HeldError, match="has none"):
        renderer.render(a_job(template=a_template("<p>{{ corrected_on }}</p>")))


def test_fields_may_have_the_names_of_methods(renderer: Renderer) -> None:
    own = a_template("<p>{{ fields.items }} {{ fields.get }}</p>")
    assert words_of(renderer.render(a_job(template=own, fields={"items": "three", "get": "four"}))) == "three four"


def test_reads_no_file_and_asks_no_network(renderer: Renderer) -> None:
    own = a_template('<p>{{ name }}</p><img src="file:///etc/passwd"><img src="http://127.0.0.1:9/x.png">')
    with pytest.raises(PermanentError, match="Blocked by the resource policy: '/etc/passwd' cannot be read"):
        renderer.render(a_job(template=own))
    own = a_template('<p>{{ name }}</p><img src="http://127.0.0.1:9/x.png">')
    with pytest.raises(PermanentError, match="remote resources are not allowed"):
        renderer.render(a_job(template=own))


def test_shows_the_images_of_its_template(renderer: Renderer) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(buffer, "PNG")
    own = a_template('<img src="{{ image("logo.png") }}">', **{"logo.png": buffer.getvalue()})
    assert len(PdfReader(io.BytesIO(renderer.render(a_job(template=own)))).pages[0].images) == 1


def test_an_engine_error_is_the_templates_fault(renderer: Renderer) -> None:
    with pytest.raises(PermanentError, match="cannot be drawn") as caught:
        renderer.render(a_job(template=a_template("<div>" * 3000)))
    assert caught.value.stable_code == "template"


def test_html_alone_gives_a_file_without_the_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    reader = PdfReader(io.BytesIO(pdf.to_pdf("<p>Maria</p>")))
    assert reader.metadata is not None
    assert reader.metadata.creation_date == datetime(2000, 1, 1, tzinfo=UTC)
