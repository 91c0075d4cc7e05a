"""The public pages: one per certificate, for learners and employers, for years; and a form to find it."""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bridge import __version__
from bridge.core import certificate_id
from bridge.web import typed
from bridge.web.doors import Doors, PublicCertificate, WebSettings
from bridge.web.standing import Standing, facts, standing, verdict, zone_of
from bridge.web.words import LANGUAGES, Words, words_for

NAME: Final = "pages"
# A page must never say "valid" from a cache after the certificate was revoked.
_ASK_AGAIN: Final = "private, no-cache"
_KEEP_NOT: Final = "no-store"


def blueprint(doors: Doors) -> Blueprint:
    """Returns `/`, `/c/<id>` and `/c/<id>.pdf`."""
    pages = Blueprint(NAME, __name__)

    @pages.get("/")
    def find() -> AnyResponse:
        text = typed.id_within(request.args.get("id", ""))
        if not text:
            return _message(doors.settings, 200, "find.html", lang=_words())
        known = certificate_id.read(text)
        return redirect(_address(doors.settings, known), 303) if known else _mistyped(doors.settings, text)

    @pages.get("/c/<text>")
    def certificate(text: str) -> AnyResponse:
        found = _look_up(doors, text, "")
        return found if isinstance(found, AnyResponse) else _certificate_page(doors, found)

    @pages.get("/c/<text>.pdf")
    def pdf(text: str) -> AnyResponse:
        found = _look_up(doors, text, ".pdf")
        return found if isinstance(found, AnyResponse) else _pdf(doors, found)

    return pages


def render_refusal(status: int, settings: WebSettings) -> str:
    """Renders the page for a request that was refused or failed."""
    lang = _words()
    headline, sentence = lang.refusals.get(status, lang.refusal)
    return _render("refusal.html", settings, lang, headline=headline, sentence=sentence)


def _look_up(doors: Doors, text: str, suffix: str) -> PublicCertificate | AnyResponse:
    known = certificate_id.read(text)
    if known is None:
        return _mistyped(doors.settings, text)
    if text != certificate_id.grouped(known):
        return redirect(_address(doors.settings, known) + suffix, 301)
    public = doors.certificate(known)
    # A draft was never given to anybody: nobody can hold a document that names it.
    if public is None or public.certificate.state == "draft":
        return _message(doors.settings, 404, "unknown.html", lang=_words(), text=text)
    return public


def _certificate_page(doors: Doors, public: PublicCertificate) -> Response:
    certificate = public.certificate
    lang = _words(certificate.data.locale)
    now = doors.clock()
    page = _render(
        "certificate.html",
        doors.settings,
        lang,
        certificate=certificate,
        verdict=verdict(public, now, lang),
        # A printed page has to say of which day it speaks.
        today=now.astimezone(zone_of(certificate)).date(),
        facts=facts(certificate, lang),
        renewed_by=public.certificate.renewed_by,
        issuer_url=_web_address(certificate.data.issuer.url),
    )
    return _page(page, 200, _ASK_AGAIN)


def _pdf(doors: Doors, public: PublicCertificate) -> AnyResponse:
    certificate = public.certificate
    content = None if certificate.state == "erased" else doors.pdf(certificate.id)
    if content is None:
        status = 410 if certificate.state == "erased" else 404
        return _message(doors.settings, status, "no_pdf.html", lang=_words(certificate.data.locale), id=certificate.id)
    response = Response(content, content_type="application/pdf")
    name = f"certificate-{certificate_id.grouped(certificate.id)}.pdf"
    response.headers["Content-Disposition"] = f'inline; filename="{name}"'
    revoked = standing(certificate, doors.clock()) is Standing.REVOKED
    response.headers["Cache-Control"] = _KEEP_NOT if revoked else _ASK_AGAIN
    response.set_etag(hashlib.sha256(content).hexdigest()[:32])
    return response.make_conditional(request)


def _mistyped(settings: WebSettings, text: str) -> Response:
    lang = _words()
    return _message(
        settings, 404, "mistyped.html", lang=lang, text=typed.shown(text), mistakes=typed.mistakes(text, lang)
    )


def _message(settings: WebSettings, status: int, template: str, *, lang: Words, **values: object) -> Response:
    return _page(_render(template, settings, lang, **values), status, _KEEP_NOT if status >= 400 else _ASK_AGAIN)


def _page(html: str, status: int, cache: str) -> Response:
    response = Response(html, status, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = cache
    response.headers["Vary"] = "Accept-Language"
    return response


def _render(template: str, settings: WebSettings, lang: Words, **values: object) -> str:
    return render_template(
        template,
        words=lang,
        languages=LANGUAGES.values(),
        prefix=settings.prefix,
        host=settings.host,
        issuer_name=settings.issuer_name,
        version=__version__,
        grouped=certificate_id.grouped,
        **values,
    )


def _words(certificate_locale: str | None = None) -> Words:
    # Best first; Werkzeug's best_match would put an exact "de;q=0.5" above "en-GB".
    reads = [language for language, quality in request.accept_languages if quality > 0]
    return words_for(request.args.get("lang"), *reads, certificate_locale)


def _address(settings: WebSettings, known: str) -> str:
    return f"{settings.prefix}/c/{quote(certificate_id.grouped(known))}"


def _web_address(url: str | None) -> str | None:
    # Only what a browser opens as a page: a javascript: address in the configuration stays text.
    return url if url and urlsplit(url).scheme in ("https", "http") else None
