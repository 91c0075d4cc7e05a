"""Proves where a webhook comes from: its secret address and, only where an admin has a secret for it, a signature.

Teachable documents no signature, and who tells of one tells of different ones: all of them are read.
https://teachable.expert/api-guides/teachable-webhook-security
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from bridge.core import address_token
from bridge.core.models import InboundRequest, SignedRequest
from bridge.core.signatures import check_age, hmac_signature, verify_hmac, verify_token
from connectors.teachable.settings import TeachableSettings

_HEADERS: Final = ("Teachable-Signature", "X-Teachable-Signature")
_WHAT: Final = f"the header {_HEADERS[0]}"
_TOLERANCE: Final = timedelta(minutes=5)


def verify(request: InboundRequest, settings: TeachableSettings) -> None:
    """Raises SignatureError unless the address has its token and, where there is a secret, the signature fits."""
    presented = request.path_token or parse_qs(urlsplit(request.url).query).get("token", [None])[0]
    verify_token(presented, address_token.accepted(settings), what="the token in the webhook address")
    if settings.signing_secret is not None:
        _verify_signature(request, settings.signing_secret)


def sign(body: bytes, headers: Mapping[str, str], settings: TeachableSettings) -> SignedRequest:
    """Returns the request with the token in its address and, where there is a secret, a signature."""
    kept = {name: value for name, value in headers.items() if name.title() not in _HEADERS}
    if settings.signing_secret is not None:
        kept[_HEADERS[0]] = hmac_signature(body, settings.signing_secret)
    return SignedRequest(body, kept, address_token.last_part(settings))


def _verify_signature(request: InboundRequest, secret: SecretStr) -> None:
    found = next((request.headers[name.lower()] for name in _HEADERS if name.lower() in request.headers), "")
    parts = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in found.split(","))}
    if "t" in parts and "v1" in parts:  # t=1795169600,v1=HEX
        verify_hmac(f"{parts['t']}.".encode() + request.body, parts["v1"], [secret], what=_WHAT)
        # Last, so that a clock that is wrong is not mistaken for a wrong secret.
        check_age(parts["t"], request.received_at, _TOLERANCE, what=_HEADERS[0])
    else:
        verify_hmac(request.body, parts.get("sha256", found), [secret], what=_WHAT)
