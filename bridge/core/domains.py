"""Names of hosts and mail domains in ASCII, by one standard everywhere: IDNA 2008 as UTS #46 applies it.

An older standard (IDNA 2003, which Python's own codec speaks) turns `faß.de` into `fass.de`: somebody else's domain.
https://www.unicode.org/reports/tr46/ (non-transitional), https://www.rfc-editor.org/rfc/rfc5891
"""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import idna

_MAX: Final = 253
_PREFIX: Final = "xn--"


def ascii_domain(name: str) -> str:
    """Returns the name in small ASCII letters; a label beyond ASCII becomes its `xn--` form.

    Raises ValueError with a sentence when a label is none that IDNA 2008 allows, an `xn--` one included.
    """
    if len(name) > _MAX:
        raise ValueError("The domain is too long")
    if name.isascii() and not any(label.startswith(_PREFIX) for label in name.lower().split(".")):
        return name.lower()
    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError as failure:
        raise ValueError(f"There can be no such domain (IDNA 2008): {_named(name, failure)}") from None


def _named(name: str, failure: idna.IDNAError) -> str:
    """Says which sign is in the way by its name: many such cannot be told, or not even be seen, by looking."""
    odd = [sign for sign in name if not (sign.isalnum() or sign.isascii())]
    if odd:
        return f"it holds {unicodedata.name(odd[0], 'a sign without a name')} (U+{ord(odd[0]):04X})"
    return str(failure)[:120].rstrip(".")


def small_letters(name: str) -> str:
    """Returns the name in small letters, each by itself: a whole word would get another sigma at its end."""
    return "".join(sign.lower() for sign in name)


def ascii_host(name: str) -> str:
    """Returns the name of a host, or an IP address as it is (an IPv6 one without brackets). Raises ValueError."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return ascii_domain(name)


def ascii_address(url: str) -> str:
    """Returns a web address with its host in ASCII; everything else stays. Raises ValueError."""
    parts = urlsplit(url)
    if parts.netloc.isascii() and _PREFIX not in parts.netloc.lower():
        return url
    host = written_host(parts.netloc)
    before, _, after = parts.netloc.rpartition(host)
    return urlunsplit(parts._replace(netloc=before + ascii_host(host) + after))


def written_host(netloc: str) -> str:
    """Returns the host out of `user@host:port` as it was written; an IPv6 address without its brackets."""
    place = netloc.rpartition("@")[2]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0]
