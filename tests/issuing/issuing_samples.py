"""Certificates and readers of PDFs for the issuing tests."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from bridge.core.models import Course, Issuer, Recipient
from bridge.issuing.job import RenderJob
from bridge.issuing.template import TemplateBundle, load_template
from bridge.issuing.words import sample_job


def a_job(
    *,
    name: str = "Maria da Silva",
    course: str = "Fire Safety",
    issuer: str = "Example Academy",
    locale: str = "en",
    fields: dict[str, str] | None = None,
    template: TemplateBundle | None = None,
    **changes: Any,
) -> RenderJob:
    job = sample_job(template or load_template("classic", None), fields=fields or {})
    data = job.certificate.data.model_copy(
        update={
            "recipient": Recipient(name=name, email="maria@example.com"),
            "course": Course(id="68", title=course),
            "issuer": Issuer(name=issuer),
            "locale": locale,
        }
    )
    return replace(job, certificate=job.certificate.model_copy(update={"data": data, **changes}))


def a_template(html: str, **files: bytes) -> TemplateBundle:
    return TemplateBundle("own", {"certificate.html": html.encode(), **files})


def words_of(content: bytes) -> str:
    """The page's text as a reader of the file gets it, every run of white space as one space."""
    return " ".join(PdfReader(io.BytesIO(content)).pages[0].extract_text().split())


def run_tool(tool: str, *arguments: str | Path) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
