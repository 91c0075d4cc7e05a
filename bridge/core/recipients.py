"""The learner as the certificate names them: which names and addresses are good enough to print and to write to."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from bridge.core.domains import ascii_domain, small_letters
from bridge.core.doubts import about_name
from bridge.core.text import one_line, shown

MAX_NAME: Final = 200
MAX_ADDRESS: Final = 254

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What is copied along from web pages and address books: signs without width, direction marks around the text.
_WITHOUT_WIDTH: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")
_TURNING: Final = "\u061c\u180e\u200e\u200f\u202a-\u202e\u2061-\u2064\u2066-\u2069"
_UNSEEN_AROUND: Final = re.compile(rf"\A[\s\u200c\u200d{_TURNING}]+|[\s\u200c\u200d{_TURNING}]+\Z")
# A (non-)joiner is spelling in a domain, and nothing else before the @.
_UNSEEN: Final = re.compile(rf"[{_TURNING}]|[\u200c\u200d](?=.*@)")
# Scripts that write a whole name as one word.
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def clean_name(text: str) -> str:
    """Returns the name as printed: one line, NFC, no invisible characters; the case is never changed."""
    return one_line(text)


def incomplete(name: str, email: str | None = None) -> str | None:
    """Says why a name looks incomplete, or None when it looks complete.

    Incomplete: empty, with digits, an @ or a web address, the part of the address before the @, one word (unless it is
    written in Chinese, Japanese or Korean with at least two signs), initials only, and whatever holds a name without
    any rule: what stands for a missing one, or looks damaged. Capitals alone are not a reason.
    """
    words = name.split()
    if not words:
        return "it is empty"
    if "@" in name:
        return "it is an e-mail address"
    if "://" in name or "www." in name.casefold():
        return "it holds a web address"
    if any(sign.isdigit() for sign in name):
        return "it has digits"
    if email and name.casefold() == email.partition("@")[0].casefold():
        return "it is the first part of the e-mail address"
    if len(words) == 1 and len(_UNSPACED.findall(name)) < 2:
        return "it is one word"
    if all(_letters(word) <= 1 for word in words):
        return "it has initials only"
    return "it stands for a missing one, or is damaged" if about_name(name) else None


def _letters(word: str) -> int:
    if _UNSPACED.search(word):
        return 2
    # "J.R." is two initials, not a word of two letters.
    return max((sum(sign.isalpha() for sign in part) for part in word.split(".")), default=0)


def tidy_address(text: str) -> str:
    """Returns the address trimmed, without signs pasted along unseen, its domain in small letters; judges nothing."""
    local, at, domain = _UNSEEN_AROUND.sub("", _WITHOUT_WIDTH.sub("", text)).rpartition("@")
    return local + at + small_letters(domain) if at else domain


def read_address(text: str) -> str:
    """Returns one plain e-mail address; an international domain becomes its ASCII form (`xn--...`, IDNA 2008).

    Stricter than RFC 5322 on purpose: no display name, comment, quoted part, list or single-label domain.
    Raises ValueError with a sentence.
    """
    address = tidy_address(text)
    if len(address) > MAX_ADDRESS:
        raise _bad(text, f"It has more than {MAX_ADDRESS} characters")
    if re.search(r"[\s,;<>\"():\\\[\]\x00-\x1f\x7f]", address):
        raise _bad(text, "Only one plain address is allowed, without spaces, brackets, commas or a name")
    if unseen := _UNSEEN.search(address):
        raise _bad(text, f"It holds an invisible sign, {unicodedata.name(unseen[0], '')} (U+{ord(unseen[0]):04X})")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain or "@" in local:
        raise _bad(text, "It needs one @ with something on both sides")
    # Mail programs decode "=?...?=" wherever it stands, so it is no address to put into a header.
    if not _LOCAL.fullmatch(local) or len(local) > 64 or "=?" in local:
        raise _bad(text, "The part before the @ has characters or dots that mail servers do not take")
    ascii_domain = _mail_domain(text, domain)
    if len(local) + 1 + len(ascii_domain) > MAX_ADDRESS:
        raise _bad(text, f"It has more than {MAX_ADDRESS} characters")
    return f"{local}@{ascii_domain}"


def _mail_domain(text: str, domain: str) -> str:
    try:
        encoded = ascii_domain(domain)
    except ValueError as failure:
        raise _bad(text, str(failure)) from None
    labels = encoded.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise _bad(text, "Its domain is not one that mail can reach")
    return encoded


def _bad(text: str, why: str) -> ValueError:
    return ValueError(f"{shown(text)} is not an e-mail address. {why}.")
