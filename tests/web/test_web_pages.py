"""The public pages: what each standing says, what a mistyped id is told, and that learners' text stays text."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import date, datetime

import pytest
from web_client import Client
from web_doors import NOW, PDF, PUBLIC_URL, Bench, a_certificate, an_id, every_standing

from bridge.core import certificate_id
from bridge.core.errors import UnavailableError
from bridge.core.models import Issuer
from bridge.web import words
from bridge.web.application import create_app
from bridge.web.doors import PublicCertificate, WebSettings
from bridge.web.standing import Standing, standing
from bridge.web.typed import id_within

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% raw %}",
    "</title><svg/onload=alert(1)>",
    "' autofocus onfocus=alert(1) x='",
    "\u202egnp.exe\u200b",
    "javascript:alert(1)",
    "{date} {0} %s",
]


def headline(text: str) -> str:
    """Returns the first heading, which is what a reader sees first."""
    return text.split("<h1>")[1].split("</h1>")[0]


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ("valid", ["Valid", "genuine and in force"]),
        ("revoked", ["Revoked", "on 2 April 2026", "Issued to the wrong person"]),
        ("corrected", ["Valid", "Corrected on 5 May 2026: this is version 3"]),
        ("expired", ["Expired", "expired on 31 March 2026", certificate_id.grouped(an_id(1))]),
        ("test", ["Test, not a certificate", "Test – certifies nothing"]),
        ("erased", ["Erased", "personal details were erased"]),
    ],
)
def test_the_page_says_first_where_the_certificate_stands(
    web: Client, bench: Bench, which: str, says: list[str]
) -> None:
    answer = web.get("/c/" + bench.add(every_standing()[which]))
    assert answer.status == 200
    assert headline(answer.text) == says[0]
    for words_said in says:
        assert words_said in answer.text


def test_the_page_shows_what_is_printed(web: Client, bench: Bench) -> None:
    number = bench.add(every_standing()["valid"])
    text = web.get("/c/" + number).text
    for printed in ("Maria Silva", "Forklift Operator", "Acme Academy", "1 March 2026", "2 March 2026", "1 March 2028"):
        assert printed in text
    assert '<time datetime="2028-03-01">' in text
    assert f'href="/c/{number}.pdf"' in text
    assert f">{number}<" in text
    assert "How to read this" in text
    assert "Checked on 23 November 2026." in text
    assert "certificates.school.example" in text


def test_an_address_never_stands_on_the_page(web: Client, bench: Bench) -> None:
    assert "maria@example.org" not in web.get("/c/" + bench.add(every_standing()["valid"])).text


def test_an_erased_certificate_shows_no_person_and_has_no_pdf(web: Client, bench: Bench) -> None:
    number = bench.add(every_standing()["erased"])
    text = web.get("/c/" + number).text
    assert "Awarded to" not in text
    assert ".pdf" not in text
    assert web.get(f"/c/{number}.pdf").status == 410


def test_a_test_is_never_called_valid_in_the_headline_or_title(web: Client, bench: Bench) -> None:
    text = web.get("/c/" + bench.add(every_standing()["test"])).text
    assert "<title>Test, not a certificate" in text
    assert '<body class="test">' in text


def test_a_revoked_test_is_still_a_test(web: Client, bench: Bench) -> None:
    certificate = a_certificate(5, test=True, state="revoked", revoked_at=NOW)
    text = web.get("/c/" + bench.add(PublicCertificate(certificate))).text
    assert headline(text) == "Test, not a certificate"
    assert "would say: Revoked" in text


def test_the_last_day_of_validity_still_counts_in_the_certificates_zone() -> None:
    certificate = a_certificate(1, expires_on=date(2026, 3, 31), zone="Europe/Berlin")
    assert standing(certificate, datetime.fromisoformat("2026-03-31T21:59:59+00:00")) is Standing.VALID
    assert standing(certificate, datetime.fromisoformat("2026-03-31T22:00:00+00:00")) is Standing.EXPIRED
    unknown = a_certificate(1, expires_on=date(2026, 3, 31), zone="Nowhere/../Land")
    assert standing(unknown, datetime.fromisoformat("2026-03-31T23:59:59+00:00")) is Standing.VALID


def test_a_draft_looks_exactly_like_an_id_nobody_carries(web: Client, bench: Bench) -> None:
    draft = bench.add(every_standing()["draft"])
    nobody = certificate_id.grouped(an_id(99))
    known, unknown = web.get("/c/" + draft), web.get("/c/" + nobody)
    assert (known.status, unknown.status) == (404, 404)
    assert known.text.replace(draft, nobody) == unknown.text
    assert headline(unknown.text) == "No such certificate"
    assert web.get(f"/c/{draft}.pdf").status == 404


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("KKKK-KKKK-KKKK-KKK1", "It has 16 letters and digits; a certificate id has 17."),
        ("KKKK-KKKK-KKKK-KKK1VV", "It has 18 letters"),
        ("KKKK-KUKK-KKKK-KKK1V", "characters that no certificate id uses: U"),
        ("KKKK-KKKK-KKKK-KKK1W", "at least one is wrong, or two are swapped"),
        ("KKKK-KKKK-KKKK-KK1KV", "at least one is wrong, or two are swapped"),
        ("%C3%A9", "no certificate id uses: É"),
        ("x" * 200, "It has 200 letters"),
    ],
)
def test_a_mistyped_id_is_told_what_is_wrong(web: Client, bench: Bench, typed: str, told: str) -> None:
    bench.add(every_standing()["valid"])
    for path in (f"/c/{typed}", f"/c/{typed}.pdf", f"/?id={typed}"):
        answer = web.get(path)
        assert answer.status == 404
        assert headline(answer.text) == "This id is mistyped"
        assert told in answer.text


@pytest.mark.parametrize("variant", ["{plain}", "{lower}", "{lower_grouped}", "{spaced}", "%20{grouped}%20"])
@pytest.mark.parametrize("suffix", ["", ".pdf"])
def test_other_spellings_lead_to_the_one_address(web: Client, bench: Bench, variant: str, suffix: str) -> None:
    grouped = bench.add(every_standing()["valid"])
    plain = grouped.replace("-", "")
    spelt = variant.format(
        plain=plain,
        lower=plain.lower(),
        lower_grouped=grouped.lower(),
        spaced=grouped.replace("-", "%20"),
        grouped=grouped,
    )
    answer = web.get(f"/c/{spelt}{suffix}")
    assert answer.status == 301
    assert answer.headers["location"] == f"/c/{grouped}{suffix}"


@pytest.mark.parametrize(
    "typed", ["{id}", "  {lower} ", PUBLIC_URL + "/c/{id}", PUBLIC_URL + "/c/{id}.pdf?x=1#y", "host/c/{spaced}/"]
)
def test_the_form_finds_an_id_or_a_pasted_link(typed: str) -> None:
    number = certificate_id.grouped(an_id(1))
    text = typed.format(id=number, lower=number.lower(), spaced=number.replace("-", "%20"))
    assert certificate_id.read(id_within(text)) == an_id(1)


def test_the_form_leads_to_the_page(web: Client, bench: Bench) -> None:
    grouped = bench.add(every_standing()["valid"])
    assert '<form class="finder" action="/" method="get"' in web.get("/").text
    answer = web.get("/?id=" + grouped.lower())
    assert (answer.status, answer.headers["location"]) == (303, f"/c/{grouped}")
    assert web.get("/?id=").status == 200
    assert web.get("/?id=https%3A%2F%2Fevil.example%2F").status == 404


def test_links_keep_the_path_of_the_public_url(start: object, bench: Bench) -> None:
    bench.settings = replace(bench.settings, public_url="https://school.example/certificates")
    grouped = bench.add(every_standing()["valid"])
    app = create_app(bench.doors()).test_client()
    page = app.get(f"/c/{grouped}", headers={"Host": "school.example"}).text
    assert f'href="/certificates/c/{grouped}.pdf"' in page
    assert 'href="/certificates/static/page.css' in page
    assert app.get(f"/c/{grouped.lower()}").headers["Location"] == f"/certificates/c/{grouped}"


def test_the_pdf_is_shown_inline_under_a_safe_name(web: Client, bench: Bench) -> None:
    number = bench.add(PublicCertificate(a_certificate(1, name='../../"evil\r\n.html')))
    answer = web.get(f"/c/{number}.pdf")
    assert answer.status == 200
    assert answer.body == PDF
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == f'inline; filename="certificate-{number}.pdf"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = web.get(f"/c/{number}.pdf", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert "content-security-policy" in again.headers


def test_no_cache_may_keep_saying_valid(web: Client, bench: Bench) -> None:
    valid, revoked = (bench.add(every_standing()[which]) for which in ("valid", "revoked"))
    assert web.get(f"/c/{valid}").headers["cache-control"] == "private, no-cache"
    assert web.get(f"/c/{valid}.pdf").headers["cache-control"] == "private, no-cache"
    assert web.get(f"/c/{revoked}.pdf").headers["cache-control"] == "no-store"


def test_a_missing_pdf_is_a_page_not_a_crash(bench: Bench) -> None:
    number = bench.add(every_standing()["valid"])
    app = create_app(replace(bench.doors(), pdf=lambda _: None)).test_client()
    answer = app.get(f"/c/{number}.pdf")
    assert answer.status_code == 404
    assert "No PDF" in answer.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_learners_text_stays_text(web: Client, bench: Bench, hostile: str) -> None:
    certificate = a_certificate(
        1,
        name=hostile,
        title=hostile,
        locale=hostile,
        issuer=Issuer(name=hostile, url="javascript:alert(1)"),
        state="revoked",
        revoked_at=NOW,
        revoke_reason=hostile,
        zone=hostile,
    )
    text = web.get("/c/" + bench.add(PublicCertificate(certificate))).text
    for markup in ("<script", "<img src=x", "onload=alert(1)>", "' autofocus", "49", 'href="javascript'):
        assert markup not in text
    assert text.count("<svg") == 1


@pytest.mark.parametrize("hostile", HOSTILE)
def test_typed_text_stays_text(web: Client, hostile: str) -> None:
    app_text = web.request("GET", "/?id=" + "".join(f"%{byte:02x}" for byte in hostile.encode())).text
    for markup in ("<script", "<img src=x", "onload=alert(1)>", "' autofocus", "49"):
        assert markup not in app_text


def test_speaks_the_readers_language_else_the_certificates(web: Client, bench: Bench) -> None:
    number = bench.add(every_standing()["german"])
    assert '<html lang="de">' in web.get(f"/c/{number}").text
    assert "Gültig bis" in web.get(f"/c/{number}", Accept_Language="fr, pl").text
    assert '<html lang="en">' in web.get(f"/c/{number}", Accept_Language="en-GB, de;q=0.5").text
    assert "1. März 2026" in web.get(f"/c/{number}?lang=de", Accept_Language="en").text
    assert web.get(f"/c/{number}").headers["vary"] == "Accept-Language"
    assert "Hier ist nichts" in web.get("/nothing", Accept_Language="de-AT").text


def test_every_sentence_has_the_same_blanks_in_every_language() -> None:
    for field in dataclasses.fields(words.Words):
        english, german = getattr(words.ENGLISH, field.name), getattr(words.GERMAN, field.name)
        if isinstance(english, str):
            assert english.strip()
            assert sorted(blanks(english)) == sorted(blanks(german)), field.name
        else:
            assert len(english) == len(german)
    assert words.ENGLISH.refusals.keys() == words.GERMAN.refusals.keys()


def blanks(text: str) -> list[str]:
    """Returns the `{names}` in a sentence."""
    return [part.split("}")[0] for part in text.split("{")[1:]]


@pytest.mark.parametrize(
    "path", ["/", "/c/{valid}", "/c/{valid}.pdf", "/c/nonsense", "/nothing", "/healthz", "/static/page.css"]
)
def test_every_answer_carries_the_strict_headers(web: Client, bench: Bench, path: str) -> None:
    headers = web.get(path.format(valid=bench.add(every_standing()["valid"]))).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["strict-transport-security"].startswith("max-age=")
    assert "noindex" in headers["x-robots-tag"]
    assert "server" not in headers
    assert "set-cookie" not in headers


def test_no_hsts_where_the_public_url_is_not_https(start: object, bench: Bench) -> None:
    bench.settings = WebSettings("http://127.0.0.1:8080", "Acme Academy")
    assert "Strict-Transport-Security" not in create_app(bench.doors()).test_client().get("/").headers


def test_a_page_needs_nothing_but_its_own_style(web: Client, bench: Bench) -> None:
    text = web.get("/c/" + bench.add(every_standing()["valid"])).text
    assert "<script" not in text
    assert " style=" not in text
    assert "<style" not in text
    sheet = web.get("/static/page.css")
    assert sheet.headers["content-type"].startswith("text/css")
    assert "url(" not in sheet.text
    assert "@import" not in sheet.text


def test_errors_are_friendly_pages(web: Client, bench: Bench) -> None:
    bench.failure = RuntimeError("inner detail")
    broken = web.get("/c/" + bench.add(every_standing()["valid"]))
    assert broken.status == 500
    assert "inner detail" not in broken.text
    assert headline(broken.text) == "Something went wrong"
    bench.failure = UnavailableError(retry_after=9)
    away = web.get("/c/" + certificate_id.grouped(an_id(1)))
    assert (away.status, away.headers["retry-after"]) == (503, "9")
    assert headline(web.get("/nothing").text) == "Nothing here"
    posted = web.post("/c/x", b"")
    assert posted.status == 405
    assert {"GET", "HEAD"} <= set(posted.headers["allow"].split(", "))


def test_health_tells_alive_from_ready(web: Client, bench: Bench) -> None:
    assert web.get("/healthz").json == {"status": "ok"}
    assert web.get("/readyz").json == {"ready": True, "problems": []}
    bench.problems.append("The database is read-only.")
    answer = web.get("/readyz")
    assert answer.status == 503
    assert answer.json == {"ready": False, "problems": ["The database is read-only."]}
    assert web.get("/healthz").status == 200
