"""Mails are re-read byte for byte: exactly the intended headers, whatever the names contain."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clients.certificate_mail import certificate_mail
from bridge.clients.mail import Mailbox, OutgoingMail, compose, header_text, one_address, stable_message_id
from bridge.core.errors import HeldError
from bridge.core.models import Certificate, CertificateData, Course, Issuer, Recipient

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 20
HEADERS = [
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "Content-Language",
    "Auto-Submitted",
    "Content-Type",
    "MIME-Version",
]
HOSTILE = [
    "José O'Brien & Sons",
    "Ana\r\nBcc: evil@evil.example",
    "Ana\nBcc: evil@evil.example\n\nbody",
    "Ana\0Bcc: x",
    "=?utf-8?q?x=0ABcc:evil@evil.example?=",
    "=?utf-8?q?x=0D=0ABcc:_evil@evil.example=0D=0A=0D=0Abody?=",
    "=\u202e?utf-8?b?DQpCY2M6IGE=?=",
    "=\u2028?utf-8?b?DQpCY2M6IGE=?=",
    "é, b@y.example",
    'a" <b@y.example>, "c',
    "Group: a@x.example, b@y.example;",
    "a@x.example",
    "(comment) name",
    "Ünï, Çödé; <x@y.example>: " * 8,
    "x" * 10_000,
    "李" * 500,
    "\ud800 lone",
    "مرحبا \u202e txt",
    "\x85next\x0b\x0c",
    " ",
]


def mail(**changes: Any) -> OutgoingMail:
    base = OutgoingMail(
        sender=Mailbox("training@acme.example", "Acme Training"),
        recipient=Mailbox("ana@example.invalid", "Ana"),
        subject="Your certificate",
        text="Hello\n",
        html="<p>Hello</p>\n",
        message_id="<cert.1@acme.example>",
        reply_to="help@acme.example",
        cc=("boss@example.invalid",),
        pdf=PDF,
        date=datetime(2026, 11, 23, 2, 0, tzinfo=UTC),
    )
    return dataclasses.replace(base, **changes)


def read(data: bytes) -> EmailMessage:
    parsed = message_from_bytes(data, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def shown_name(data: bytes) -> str:
    """The name in To as RFC 2047 says (the standard library puts spaces between the encoded words of a name)."""
    raw = message_from_bytes(data, policy=policy.compat32)["To"].rpartition("<")[0].strip()
    return str(make_header(decode_header(raw)))


def addresses(parsed: EmailMessage, header: str) -> list[str]:
    return [address.addr_spec for address in parsed[header].addresses]


# -- composing -----------------------------------------------------------------------------------


def test_carries_text_html_and_the_pdf() -> None:
    parsed = read(compose(mail(text="Grüße\n.\nFrom here\n", html="<p>Grüße</p>\n")))
    assert parsed.keys() == HEADERS
    text, html, pdf = parsed.get_body(("plain",)), parsed.get_body(("html",)), next(parsed.iter_attachments())
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == "Grüße\n.\nFrom here\n"
    assert html.get_content().replace("\r\n", "\n") == "<p>Grüße</p>\n"
    assert pdf.get_content() == PDF
    assert pdf.get_content_type() == "application/pdf"
    assert pdf.get_filename() == "certificate.pdf"
    assert parsed.defects == []


def test_leaves_out_what_is_not_there() -> None:
    parsed = read(compose(mail(cc=(), reply_to=None, pdf=None)))
    assert parsed.keys() == [name for name in HEADERS if name not in ("Cc", "Reply-To")]
    assert list(parsed.iter_attachments()) == []


def test_the_same_mail_gives_the_same_bytes() -> None:
    assert compose(mail()) == compose(mail())


def test_lines_end_in_crlf_and_stay_short() -> None:
    data = compose(mail(subject="é" * 200, recipient=Mailbox("ana@example.invalid", "é " * 60), text="x" * 5000))
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 78


def assert_only_the_intended(data: bytes) -> EmailMessage:
    head = data.partition(b"\r\n\r\n")[0].decode("ascii")
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    assert names == HEADERS
    parsed = read(data)
    assert parsed.keys() == HEADERS
    assert addresses(parsed, "To") == ["ana@example.invalid"]
    assert addresses(parsed, "From") == ["training@acme.example"]
    assert addresses(parsed, "Cc") == ["boss@example.invalid"]
    assert len(list(parsed.iter_attachments())) == 1
    # Written again by the standard library of this very Python, as some mail programs do.
    again = read(parsed.as_bytes(policy=policy.SMTP))
    assert again.keys() == HEADERS
    return parsed


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_adds_no_header_and_no_recipient(text: str) -> None:
    hostile = mail(
        recipient=Mailbox("ana@example.invalid", text),
        sender=Mailbox("training@acme.example", text),
        subject=text or "x",
        text=f"{text}\n",
        html=f"{text}\n",
    )
    parsed = assert_only_the_intended(compose(hostile)) if header_text(text) else read(compose(hostile))
    assert str(parsed["Subject"] or "") == header_text(text)
    if header_text(text):
        assert shown_name(compose(hostile)) == header_text(text, 100)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ana\r\nBcc: x", "Ana Bcc: x"),
        ("Ana\0\x07\x85x", "Ana x"),
        ("a\u2028b\u2029c", "a b c"),
        ("=?utf-8?q?x?=", "= ?utf-8?q?x?="),
        ("=\u202e?utf-8?q?x?=", "= ?utf-8?q?x?="),
        ("\u202eevil\u2066", "evil"),
        ("\ud800", "\ufffd"),
        ("x" * 300, "x" * 199 + "…"),
        ("  José   O'Brien & Sons ", "José O'Brien & Sons"),
    ],
)
def test_makes_one_harmless_line_of_any_text(text: str, line: str) -> None:
    assert header_text(text) == line


@given(st.text(max_size=300))
def test_any_text_stays_inside_its_header(text: str) -> None:
    text = text + "x"
    data = compose(
        mail(
            recipient=Mailbox("ana@example.invalid", text), sender=Mailbox("training@acme.example", text), subject=text
        )
    )
    assert str(assert_only_the_intended(data)["Subject"]) == header_text(text)


def test_a_text_cannot_end_its_part_early() -> None:
    boundary = read(compose(mail())).get_boundary()
    evil = f"\n--{boundary}\nContent-Type: text/html\n\n<b>evil</b>\n--{boundary}--\n"
    parsed = read(compose(mail(text=evil, html=evil)))
    assert len(list(parsed.iter_attachments())) == 1
    body = parsed.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == evil


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "-oQ/tmp",
        "a@x.example, b@y.example",
        '"a@x.example"@y.example',
        "a@x.example\n",
        "a@x.example\r\nBcc: b@y.example",
        "a\0@x.example",
        "a@x.example>",
        "<a@x.example>",
        "a b@x.example",
        "a@x..example",
        "a@-x.example",
        "a@[127.0.0.1]",
        "josé@x.example",
        "=?utf-8?q?a?=@x.example",
        ".a@x.example",
        "a@" + "x" * 10_000,
        "a" * 65 + "@x.example",
        "11a6eae7453e6a62700e5fc45c81fdd3",
        "[TEST] john@doe.com",
    ],
)
def test_refuses_what_is_not_one_address(address: str) -> None:
    for changes in ({"recipient": Mailbox(address)}, {"cc": (address,)}):
        with pytest.raises(HeldError) as caught:
            compose(mail(**changes))
        assert caught.value.stable_code == "mail_address"
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 350


def test_reads_addresses_as_people_write_them() -> None:
    assert one_address(" Ana.B+x@Example.org ") == "Ana.B+x@example.org"
    assert one_address("ana@straße.example") == "ana@xn--strae-oqa.example"


def test_names_recipients_once_the_learner_first() -> None:
    assert mail(cc=("boss@x.example", "ANA@example.invalid", "boss@x.example")).recipients == (
        "ana@example.invalid",
        "boss@x.example",
    )


@pytest.mark.parametrize("message_id", ["", "cert@x", "<a@b>\r\nBcc: x", "<a b@c>", "<@x>"])
def test_refuses_a_message_id_that_is_none(message_id: str) -> None:
    with pytest.raises(ValueError):
        compose(mail(message_id=message_id))


def test_makes_a_stable_message_id() -> None:
    made = stable_message_id("ABCD", "2", "issued é", domain="certs.example")
    assert made == "<ABCD.2.issued--@certs.example>"
    compose(mail(message_id=made))


# -- the certificate's mail ----------------------------------------------------------------------


def certificate(**changes: Any) -> Certificate:
    data = CertificateData(
        recipient=Recipient(
            name=changes.pop("name", "Maria Silva"), email=changes.pop("email", "maria@example.invalid")
        ),
        course=Course(id="68", title=changes.pop("title", "Forklift Operator")),
        issuer=Issuer(name="Acme Training", url="https://acme.example", email="info@acme.example"),
        completed_on=date(2026, 3, 1),
        issued_on=date(2026, 3, 2),
        expires_on=date(2028, 3, 1),
        zone="Europe/Berlin",
        locale=changes.pop("locale", "en"),
    )
    values: dict[str, Any] = {
        "id": "ABCDEFGHJKMNPQRST",
        "test": False,
        "state": "issued",
        "version": 1,
        "data": data,
        "url": "https://certs.example/c/ABCD-EFGH-JKMN-PQRST",
        "pdf_url": "https://certs.example/c/ABCD-EFGH-JKMN-PQRST.pdf",
        "source": "school",
        "subject": "3",
    }
    return Certificate(**{**values, **changes})


def letter(item: Certificate, **options: Any) -> OutgoingMail:
    options = {"reply_to": None, "cc": (), "message_id": "<cert.1@acme.example>"} | options
    return certificate_mail(item, PDF, sender=Mailbox("training@acme.example", "Acme Training"), **options)


def test_brings_the_certificate_with_link_number_and_dates() -> None:
    made = letter(certificate())
    assert made.subject == "Your certificate: Forklift Operator"
    for part in (made.text, made.html):
        assert "Maria Silva" in part
        assert "You completed “Forklift Operator” on 1 March 2026." in part
        assert "https://certs.example/c/ABCD-EFGH-JKMN-PQRST" in part
        assert "ABCD-EFGH-JKMN-PQRST" in part
        assert "1 March 2028" in part
        assert "Write to info@acme.example" in part
        assert "TEST" not in part
    assert made.pdf_name == "certificate-ABCD-EFGH-JKMN-PQRST.pdf"
    assert made.recipients == ("maria@example.invalid",)
    read(compose(made))


def test_speaks_german() -> None:
    made = letter(certificate(locale="de_AT"), reply_to="hilfe@acme.example")
    assert made.subject == "Ihr Zertifikat: Forklift Operator"
    assert "am 1. März 2026" in made.text
    assert "Antworten Sie" in made.html
    assert 'lang="de"' in made.html


def test_speaks_english_where_it_knows_no_better() -> None:
    assert letter(certificate(locale="fr")).subject.startswith("Your certificate")


def test_a_test_says_so_in_subject_and_body() -> None:
    made = letter(certificate(test=True))
    assert made.subject.startswith("[TEST] ")
    assert "not a valid certificate" in made.text
    assert "not a valid certificate" in made.html


def test_a_correction_says_that_it_replaces() -> None:
    made = letter(certificate(version=2))
    assert made.subject.startswith("Your corrected certificate")
    assert "replaces the earlier one" in made.text
    assert made.pdf == PDF


def test_a_withdrawal_gives_the_reason_and_no_pdf() -> None:
    made = letter(certificate(state="revoked", version=2, revoke_reason="Issued by mistake"))
    assert made.subject.startswith("Certificate withdrawn")
    assert "Reason: Issued by mistake" in made.text
    assert "no longer valid" in made.html
    assert made.pdf is None


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "{{7*7}} {% x %} {course} {0}", "a&b <b>'\"", *HOSTILE])
def test_names_and_titles_are_text_only(text: str) -> None:
    made = letter(certificate(name=text, title=text, state="revoked", revoke_reason=text))
    assert "<script>" not in made.html
    assert "<b>" not in made.html
    assert header_text(text, 300) in made.text
    assert len(made.text.splitlines()) == len(
        letter(certificate(state="revoked", revoke_reason="x")).text.splitlines()
    ) or (not header_text(text))
    parsed = read(compose(made))
    assert "Bcc" not in parsed


def test_a_learner_without_address_is_held() -> None:
    with pytest.raises(HeldError, match="Maria Silva has no mail address"):
        letter(certificate(email=None))
