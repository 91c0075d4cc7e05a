"""The response headers that every answer carries, whoever makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NOTHING_BUT_OURS: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Everything a page could ask the browser for and ours never do.
_NO_DEVICES: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"
_A_YEAR: Final = 31_536_000


def strict_headers(*, https: bool) -> Mapping[str, str]:
    """Returns the headers of OWASP ASVS 5.0 chapter 3.4; `https`: whether `public_url` is https.

    Strict-Transport-Security names no subdomains: they are not ours to decide on.
    """
    headers = {
        "Content-Security-Policy": _NOTHING_BUT_OURS,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": _NO_DEVICES,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Names of learners are for those who hold the link, not for search engines.
        "X-Robots-Tag": "noindex, nofollow, noarchive",
    }
    if https:
        headers["Strict-Transport-Security"] = f"max-age={_A_YEAR}"
    return headers
