"""Proves that a request comes from HubSpot: its three signatures over body and address, or an API key in a header."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from bridge.core import address_token
from bridge.core.errors import SignatureError, UnavailableError
from bridge.core.models import InboundRequest, SignedRequest
from bridge.core.signatures import verify_hmac, verify_token
from connectors.hubspot.settings import HubSpotSettings

_SIGNATURE: Final = "X-HubSpot-Signature"
_VERSION: Final = "X-HubSpot-Signature-Version"
_SIGNATURE_3: Final = "X-HubSpot-Signature-v3"
_TIMESTAMP: Final = "X-HubSpot-Request-Timestamp"
_OURS: Final = frozenset(name.lower() for name in (_SIGNATURE, _VERSION, _SIGNATURE_3, _TIMESTAMP))
_TOLERANCE_MS: Final = 300_000
# The twelve escapes that HubSpot says it decodes before it signs version 3; its own libraries decode none.
# https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
_DECODED: Final = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_RETRY_AFTER: Final = 60.0


def verify(request: InboundRequest, settings: HubSpotSettings) -> None:
    """Raises SignatureError unless the request is authentic.

    Raises UnavailableError where it is this side that lacks the secret: HubSpot's workflows never repeat what was
    answered with 401, and repeat for three days what was answered with 503.
    """
    headers = request.headers
    signed = _SIGNATURE_3.lower() in headers or _SIGNATURE.lower() in headers
    key = headers.get(settings.api_key_header.lower())
    if signed and settings.client_secret is not None:
        _verify_signature(request, (settings.client_secret, settings.previous_client_secret))
    elif key and settings.api_key is not None:
        accepted = (settings.api_key, settings.previous_api_key)
        verify_token(_without_scheme(key), accepted, what=f"the API key in the header {settings.api_key_header}")
    elif signed:
        raise UnavailableError("This request is signed: set client_secret.", code="no_secret", retry_after=_RETRY_AFTER)
    elif settings.client_secret is None and settings.api_key is None:
        message = "This source only asks HubSpot: to receive webhooks, set client_secret or api_key."
        raise UnavailableError(message, code="no_secret", retry_after=_RETRY_AFTER)
    elif key:
        message = f"This request shows an API key in the header {settings.api_key_header}: set api_key."
        raise UnavailableError(message, code="no_secret", retry_after=_RETRY_AFTER)
    else:
        raise SignatureError(
            f"The request carries no proof: neither a signature of HubSpot nor the header {settings.api_key_header}. "
            "In the workflow's webhook, choose the authentication type that the settings of this source are made for.",
            code="signature_missing",
        )


def sign(body: bytes, headers: Mapping[str, str], settings: HubSpotSettings) -> SignedRequest:
    """Returns the sample with a signature of version 1, which alone does not depend on the address; or the API key."""
    key_header = settings.api_key_header
    kept = {name: value for name, value in headers.items() if name.lower() not in {*_OURS, key_header.lower()}}
    token = address_token.last_part(settings)
    if settings.client_secret is not None:
        digest = _plain_hash(settings.client_secret, body).hex()
        return SignedRequest(body, {**kept, _SIGNATURE: digest, _VERSION: "v1"}, token)
    if settings.api_key is not None:
        return SignedRequest(body, {**kept, key_header: settings.api_key.get_secret_value()}, token)
    return SignedRequest(body, kept, token)


def _verify_signature(request: InboundRequest, secrets: Sequence[SecretStr | None]) -> None:
    if _SIGNATURE_3.lower() in request.headers:
        # Where it is there, it alone decides: an older signature beside it says nothing about when it was made.
        _verify_3(request, secrets)
        return
    version = request.headers.get(_VERSION.lower(), "").strip().lower()
    address = _bytes(request.method + request.url)
    messages = {"v1": [request.body], "v2": [address + request.body]}
    known = messages.get(version) or [*messages["v1"], *messages["v2"]]
    presented = _hex(request.headers.get(_SIGNATURE.lower(), ""))
    keys = [secret for secret in secrets if secret is not None]
    matches = [hmac.compare_digest(presented, _plain_hash(key, message)) for key in keys for message in known]
    if not any(matches):
        raise SignatureError(_does_not_fit(_SIGNATURE, request))


def _verify_3(request: InboundRequest, secrets: Sequence[SecretStr | None]) -> None:
    stamp = request.headers.get(_TIMESTAMP.lower(), "")
    _verify_fresh(stamp, request.received_at)
    signature = request.headers[_SIGNATURE_3.lower()]
    decoded = _DECODED.sub(lambda escape: unquote(escape.group()), request.url)
    for url in dict.fromkeys((decoded, request.url)):
        message = _bytes(request.method + url) + request.body + stamp.encode()
        try:
            verify_hmac(message, signature, secrets, what=f"the header {_SIGNATURE_3}", encoding="base64")
            return
        except SignatureError:
            continue
    raise SignatureError(_does_not_fit(_SIGNATURE_3, request))


def _verify_fresh(stamp: str, now: datetime) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15):
        raise SignatureError(f"The header {_TIMESTAMP} is missing or no number.", code="timestamp")
    skew = int(stamp) - round(now.timestamp() * 1000)
    if abs(skew) > _TOLERANCE_MS:
        when = "ahead of" if skew > 0 else "behind"
        raise SignatureError(
            f"The signature's time is {abs(skew) // 1000} seconds {when} this machine's clock; at most 300 are "
            "accepted. If this happens to every request, set the clock of this machine.",
            code="timestamp",
        )


def _does_not_fit(header: str, request: InboundRequest) -> str:
    # Without the path, which may end in a token.
    public = urlsplit(request.url)
    return (
        f"The header {header} does not fit. Usual causes: client_secret is not that of the app whose ID stands in the "
        f"workflow (or of the app that sends); the address in HubSpot does not begin with {public.scheme}://"
        f"{public.netloc}, which is `public_url` here; or a proxy changed path or body."
    )


def _plain_hash(secret: SecretStr, message: bytes) -> bytes:
    return hashlib.sha256(secret.get_secret_value().encode() + message).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _hex(signature: str) -> bytes:
    try:
        return bytes.fromhex(signature) if len(signature) <= 200 else b""
    except ValueError:
        return b""


def _without_scheme(key: str) -> str:
    return key[7:].strip() if key[:7].lower() == "bearer " else key
