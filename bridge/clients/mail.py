"""Composes one mail as bytes: exactly the headers we mean, whatever a name or a course title contains.

The header lines are written by our own code and nothing re-reads them: up to Python 3.11.9 the standard library decodes
an encoded word inside a value and writes the line break hidden in it (CVE-2024-6923).
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from bridge.core.domains import ascii_domain
from bridge.core.errors import HeldError

# RFC 5321 4.1.2 without quoted local parts, RFC 5321 4.5.3.1 for the lengths.
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}")
_MESSAGE_ID: Final = re.compile(r"<[A-Za-z0-9._+-]{1,120}@[A-Za-z0-9.-]{1,120}>")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,80}\.pdf")
_PLAIN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~. -]*")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~ -]*")
# They turn the reading direction of what follows: "Ana <moc.live@…>".
_TURNING: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])
_ENCODED_BYTES: Final = 42  # of UTF-8 per encoded word: 56 characters of base64, lines below 78
HEADER_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail address and the name shown with it."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail to one learner; `message_id` stays the same when it is sent again."""

    sender: Mailbox
    recipient: Mailbox
    subject: str
    text: str
    html: str
    message_id: str
    reply_to: str | None = None
    cc: tuple[str, ...] = ()
    pdf: bytes | None = None
    pdf_name: str = "certificate.pdf"
    """ASCII letters, digits and hyphens, made by us."""
    language: str = "en"
    date: datetime | None = None
    """Aware; None for the moment of composing."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses to hand to the mail server, the learner first, nobody twice."""
        found = {address.lower(): address for address in map(one_address, reversed((self.recipient.address, *self.cc)))}
        return tuple(reversed(found.values()))


def compose(message: OutgoingMail) -> bytes:
    """Returns the mail with CRLF line ends; the same mail gives the same bytes when it carries its date.

    Raises HeldError (code `mail_address`) when an address is not one plain mail address.
    """
    if not _MESSAGE_ID.fullmatch(message.message_id):
        raise ValueError(f"{message.message_id!r} is no Message-ID")
    date = message.date or datetime.now(UTC)
    if date.tzinfo is None:
        raise ValueError("the date of a mail needs a time zone")
    headers = [
        ("From", _mailbox(message.sender)),
        ("To", _mailbox(message.recipient)),
        ("Cc", ",\r\n ".join(one_address(address) for address in message.cc)),
        ("Reply-To", one_address(message.reply_to) if message.reply_to else ""),
        ("Subject", _encoded(header_text(message.subject), _PLAIN, used=len("Subject: "))),
        ("Date", format_datetime(date.astimezone(UTC))),
        ("Message-ID", message.message_id),
        ("Content-Language", _language(message.language)),
        # Keeps out-of-office replies away (RFC 3834).
        ("Auto-Submitted", "auto-generated"),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers if value)
    return lines.encode("ascii") + _body(message)


def stable_message_id(*parts: str, domain: str) -> str:
    """Returns a Message-ID that is the same for the same parts (certificate id, version, what is told)."""
    name = ".".join(re.sub(r"[^A-Za-z0-9_+-]", "-", part) for part in parts)
    return f"<{name[:120]}@{_ascii_domain(domain, domain)}>"


# -- text from outside ---------------------------------------------------------------------------


def header_text(text: str, limit: int = HEADER_LIMIT) -> str:
    """Returns text from outside as one harmless line: no control characters, no encoded word, at most `limit` long."""
    text = text.translate(_TURNING)
    text = "".join(_harmless(character) for character in text[: 4 * limit])
    text = " ".join(text.split()).replace("=?", "= ?")
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    return "\ufffd" if category == "Cs" else character


def one_address(text: str) -> str:
    """Returns the one mail address in ASCII (international domains as `xn--…`).

    Raises HeldError (code `mail_address`) for anything else: lists, quoted names, line breaks, names beyond ASCII.
    """
    local, at, domain = text.strip(" ").rpartition("@")
    if not at or len(local) > 64 or "=?" in local or not _LOCAL.fullmatch(local):
        raise _no_address(text)
    return f"{local}@{_ascii_domain(domain, text)}"


def _ascii_domain(domain: str, shown: str) -> str:
    try:
        encoded = ascii_domain(domain)
    except ValueError:
        raise _no_address(shown) from None
    if not _DOMAIN.fullmatch(encoded):
        raise _no_address(shown)
    return encoded


def _no_address(text: str) -> HeldError:
    return HeldError(
        f"{header_text(text, 80)!r} is not one mail address that mail servers accept."
        " Correct it: certbridge certificates correct ID --set recipient.email=… --reason TEXT"
        " (a copy's: in the mapping, then certbridge events replay N --resend).",
        code="mail_address",
    )


# -- headers -------------------------------------------------------------------------------------


def _mailbox(mailbox: Mailbox) -> str:
    address = one_address(mailbox.address)
    name = header_text(mailbox.name, 100)
    if not name:
        return address
    return f"{_encoded(name, _PLAIN_NAME, used=len('Reply-To: '))}\r\n <{address}>"


def _encoded(text: str, plain: re.Pattern[str], *, used: int) -> str:
    """Returns the text as it is when it is short and plain, else as encoded words (RFC 2047), one per line."""
    if len(text) + used <= 76 and plain.fullmatch(text):
        return text
    words, chunk = [], b""
    for character in text:
        data = character.encode("utf-8")
        if len(chunk) + len(data) > _ENCODED_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += data
    words.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode('ascii')}?=" for word in words)


def _language(text: str) -> str:
    text = text.replace("_", "-")
    return text if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", text) else ""


# -- body ----------------------------------------------------------------------------------------


def _body(message: OutgoingMail) -> bytes:
    body = EmailMessage(policy=SMTP)
    body.set_content(_writable(message.text), cte="quoted-printable")
    body.add_alternative(_writable(message.html), subtype="html", cte="quoted-printable")
    _bound(body, message.message_id)
    if message.pdf is not None:
        if not _FILE_NAME.fullmatch(message.pdf_name):
            raise ValueError(f"{message.pdf_name!r} is no file name for an attachment")
        body.add_attachment(message.pdf, maintype="application", subtype="pdf", filename=message.pdf_name)
        _bound(body, message.message_id + "+pdf")
    del body["MIME-Version"]
    body["MIME-Version"] = "1.0"
    return body.as_bytes()


def _bound(body: EmailMessage, seed: str) -> None:
    # "=_" can stand neither in quoted-printable nor in base64, so no text ends a part early, even if it knows the rest.
    body.set_boundary("=_cb_" + hashlib.sha256(seed.encode()).hexdigest()[:32])


def _writable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\0", "\ufffd")
