"""The verification page in a real Chromium: hostile text stays text, nothing is blocked, nothing runs off a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bridge.core import certificate_id
from bridge.core.models import Certificate, CertificateData, Course, Issuer, Recipient, Reply
from bridge.web.application import create_app
from bridge.web.doors import Doors, PublicCertificate, WebSettings
from bridge.web.server import Server, serve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="NOT TESTED: Chromium is not installed (apt install chromium)")

NAME = (
    "<script>document.title='owned'</script><img src=x onerror=document.title='owned'> {{ 7*7 }} \u202eRTL\u202c "
    + "W" * 90
)
COURSE = "</p><style>*{display:none}</style>" + "Ünbreakable" * 12
REASON = '"><svg onload="document.title=\'owned\'">'


def a_certificate(number: int, **more: Any) -> Certificate:
    body = f"{number:016d}".replace("0", "K")
    known = next(body + last for last in certificate_id.ALPHABET if certificate_id.read(body + last))
    data = CertificateData(
        recipient=Recipient(name=NAME),
        course=Course(id="1", title=COURSE),
        issuer=Issuer(name="Acme & <b>Söhne</b>", url="https://academy.example"),
        completed_on=date(2026, 3, 1),
        issued_on=date(2026, 3, 2),
        expires_on=more.pop("expires_on", None),
        zone="Europe/Berlin",
        locale="en",
    )
    values = {"test": False, "state": "issued", "version": 1, "source": "school", "subject": "1", **more}
    return Certificate(id=known, data=data, url="", pdf_url="", **values)


CERTIFICATES = {
    "valid": a_certificate(1, version=2, renews=a_certificate(3).id),
    "revoked": a_certificate(2, state="revoked", revoked_at=datetime(2026, 4, 1, tzinfo=UTC), revoke_reason=REASON),
    "expired": a_certificate(3, expires_on=date(2026, 4, 1)),
    "test": a_certificate(4, test=True),
    "erased": a_certificate(5, state="erased"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    later = {"renewed_by": CERTIFICATES["valid"].id}
    known = {c.id: PublicCertificate(c.model_copy(update=later), date(2026, 5, 5)) for c in CERTIFICATES.values()}
    doors = Doors(
        settings=WebSettings("http://localhost", "Acme"),
        receive=lambda source, request, *, peer: Reply(200, b""),
        certificate=known.get,
        pdf=lambda _: None,
        readiness=list,
    )
    running = serve(create_app(doors), "127.0.0.1:0")
    yield running
    running.close(grace=0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


def paths() -> dict[str, str]:
    shown = {name: f"/c/{certificate_id.grouped(c.id)}" for name, c in CERTIFICATES.items()}
    return {
        **shown,
        "find": "/",
        "mistyped": "/c/%3Cscript%3Ealert(1)%3C%2fscript%3E" + "U" * 60,
        "unknown": "/c/" + unknown(),
    }


def unknown() -> str:
    return certificate_id.grouped(a_certificate(99).id)


@pytest.mark.parametrize("which", paths())
@pytest.mark.parametrize("width", [320, 1280])
def test_a_page_fits_and_breaks_no_rule_of_its_own(server: Server, browser: Any, which: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(f"http://localhost:{server.port}{paths()[which]}", wait_until="load")
        # Chromium itself notes that the page's status is 404; every other line would be ours.
        assert [line for line in complaints if "status of 404" not in line] == []
        assert all(url.startswith(f"http://localhost:{server.port}/") for url in asked)
        assert any("/static/page.css" in url for url in asked)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Nothing sticks out of the card either, where it would be cut off.
        assert page.evaluate(OVERFLOWING) == []
        assert page.title() != "owned"
        assert page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") == "14px"
    finally:
        page.close()


OVERFLOWING = """[...document.querySelectorAll('main *:not(svg):not(svg *)')].filter(element =>
  element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
  || (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline'
      && element.tagName !== 'INPUT' && !element.closest('.test'))).map(element => element.outerHTML.slice(0, 120))"""


def test_a_hostile_name_is_read_literally(server: Server, browser: Any) -> None:
    page = browser.new_page()
    try:
        page.goto(f"http://localhost:{server.port}{paths()['revoked']}")
        assert page.text_content(".recipient") == NAME
        assert page.text_content(".course") == COURSE
        assert page.text_content(".reason bdi") == REASON
        assert page.evaluate("document.scripts.length") == 0
        assert page.is_visible(".recipient")
    finally:
        page.close()


def test_colours_are_readable_in_light_and_dark(server: Server, browser: Any) -> None:
    for scheme in ("light", "dark"):
        for which in ("valid", "revoked", "expired", "test", "erased", "mistyped"):
            page = browser.new_page(color_scheme=scheme)
            page.goto(f"http://localhost:{server.port}{paths()[which]}")
            weak = page.evaluate(CONTRAST)
            page.close()
            assert weak == [], (scheme, which)


# WCAG 2.2 success criterion 1.4.3: 4.5 to 1 (https://www.w3.org/TR/WCAG22/#contrast-minimum).
CONTRAST = """(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => parts(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const style = getComputedStyle(element);
      if (element.className === 'test-banner') return 'rgb(93, 42, 140)';
      const colour = style.backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('h1, p, a, dt, dd, li, span, strong, button, input, label')].filter(element => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map(element => element.outerHTML.slice(0, 100));
})()"""
