"""Proves that a request comes from the source: HMAC and Ed25519 signatures, shared tokens; several secrets at once."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import SecretStr

from bridge.core.errors import SignatureError

Encoding = Literal["hex", "base64"]
Secrets = Sequence[SecretStr | None]
"""The secret in use and the one before it; None where a setting is not set."""

_MAX_LENGTH: Final = 4096
_MOST_SIGNATURES: Final = 10
"""Of one request; each is worked out over the whole body."""
_ED25519: Final = 32
"""Bytes of either half of such a key."""


def hmac_signature(message: bytes, secret: SecretStr, *, encoding: Encoding = "hex", algorithm: str = "sha256") -> str:
    """Returns the HMAC of `message` as lower-case hex or padded base64."""
    digest = hmac.digest(secret.get_secret_value().encode(), message, algorithm)
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode("ascii")


def verify_hmac(
    message: bytes,
    signature: str | None,
    secrets: Secrets,
    *,
    what: str,
    encoding: Encoding = "hex",
    algorithm: str = "sha256",
) -> None:
    """Raises SignatureError unless one of `secrets` signed exactly these bytes.

    Hex may come in capitals, both encodings with white space around them. `what` names the place for people: "the
    header X-Signature". A missing secret fails as well as a missing signature.
    """
    keys = _usable(secrets)
    if not signature or not signature.strip():
        raise SignatureError(f"The request is not signed: {what} is missing.", code="signature_missing")
    presented = _decoded(signature, encoding)
    matches = [hmac.compare_digest(presented, hmac.digest(key, message, algorithm)) for key in keys]
    if not any(matches):
        raise SignatureError(
            f"{what[:1].upper()}{what[1:]} does not fit the body: another secret was used, or something changed the "
            f"body on its way (a proxy that rewrites JSON)."
        )


def verify_token(presented: object, secrets: Secrets, *, what: str) -> None:
    """Raises SignatureError unless `presented` is text and equals one of `secrets`, compared in constant time.

    A missing secret fails as well as a missing token.
    """
    keys = [hashlib.sha256(key).digest() for key in _usable(secrets)]
    if not isinstance(presented, str) or not presented:
        raise SignatureError(f"The request carries no proof: {what} is missing.", code="token_missing")
    # Equal lengths by hashing, so that not even the length of the secret can be timed.
    digest = hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()
    matches = [hmac.compare_digest(digest, key) for key in keys]
    if not any(matches):
        raise SignatureError(f"{what[:1].upper()}{what[1:]} is not the configured one.", code="token_wrong")


# -- Standard Webhooks -----------------------------------------------------------------------------
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md


@dataclass(frozen=True, slots=True)
class StandardKey:
    """A key of Standard Webhooks: shared (scheme v1), or an Ed25519 pair (v1a) or its public half."""

    shared: bytes | None = None
    public: Ed25519PublicKey | None = None
    private: Ed25519PrivateKey | None = None

    def sign(self, message: bytes) -> str:
        """Returns `scheme,base64`. Raises ValueError for a public key."""
        if self.shared is not None:
            return "v1," + base64.b64encode(hmac.digest(self.shared, message, "sha256")).decode("ascii")
        if self.private is None:
            raise ValueError("a public key (whpk_) cannot sign")
        return "v1a," + base64.b64encode(self.private.sign(message)).decode("ascii")

    def fits(self, message: bytes, presented: str) -> bool:
        """Tells whether `presented` (`scheme,base64`) is this key's signature of `message`."""
        scheme, _, text = presented.partition(",")
        signature = _decoded(text, "base64")
        if self.shared is not None:
            expected = hmac.digest(self.shared, message, "sha256")
            return scheme == "v1" and hmac.compare_digest(signature, expected)
        if scheme != "v1a" or self.public is None:
            return False
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def standard_webhooks_key(secret: SecretStr) -> StandardKey:
    """Reads `whsec_...` (or its base64 alone), `whpk_...` or `whsk_...`. Raises ValueError, without showing it."""
    kind, _, text = secret.get_secret_value().strip().rpartition("_")
    key = _decoded(text, "base64")
    if kind in ("", "whsec") and key:
        return StandardKey(shared=key)
    if kind == "whpk" and len(key) == _ED25519:
        return StandardKey(public=Ed25519PublicKey.from_public_bytes(key))
    if kind == "whsk" and len(key) in (_ED25519, 2 * _ED25519):  # some write the public half behind the private one
        private = Ed25519PrivateKey.from_private_bytes(key[:_ED25519])
        return StandardKey(public=private.public_key(), private=private)
    raise ValueError("is no key of Standard Webhooks; copy all of it, it begins with whsec_ (or whpk_)")


def verify_standard_webhooks(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Secrets,
    *,
    now: datetime,
    tolerance: timedelta = timedelta(minutes=5),
    prefix: str = "webhook",
) -> None:
    """Raises SignatureError unless one of `secrets` signed these bytes under this id at about this time.

    `secrets` are keys as `standard_webhooks_key` reads them. `headers` (lower-case) are PREFIX-id, PREFIX-timestamp
    (Unix seconds, at most `tolerance` away from `now`, the clock) and PREFIX-signature: signatures with spaces between.
    """
    keys = [standard_webhooks_key(secret) for secret in _configured(secrets)]
    parts = [headers.get(f"{prefix}-{part}", "").strip() for part in ("id", "timestamp", "signature")]
    if not all(parts):
        raise SignatureError(
            f"The request is not signed: it needs {prefix}-id, {prefix}-timestamp and {prefix}-signature.",
            code="signature_missing",
        )
    message, presented = _signed_content(parts[0], parts[1], body), parts[2][:_MAX_LENGTH].split()[:_MOST_SIGNATURES]
    if not any(key.fits(message, signature) for key in keys for signature in presented):
        raise SignatureError(
            f"The header {prefix}-signature does not fit the body: another secret was used, or something changed the "
            f"body on its way (a proxy that rewrites JSON)."
        )
    # Last, so that a clock that is wrong is not mistaken for a wrong secret.
    check_age(parts[1], now, tolerance, what=f"{prefix}-timestamp")


def standard_webhooks_signature(message_id: str, timestamp: int, body: bytes, secret: SecretStr) -> str:
    """Returns what stands in the signature header; `timestamp` is Unix seconds.

    Raises ValueError for a public key, and for what is no key.
    """
    return standard_webhooks_key(secret).sign(_signed_content(message_id, str(timestamp), body))


def _signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body


def check_age(written: str, now: datetime, tolerance: timedelta, *, what: str) -> None:
    """Raises SignatureError unless `written` is Unix seconds at most `tolerance` from `now`; `what`: its header."""
    if not (written.isascii() and written.isdigit() and len(written) <= 12):
        raise SignatureError(f"The header {what} is no time in Unix seconds.", code="timestamp")
    seconds = now.timestamp() - int(written)
    if abs(seconds) > tolerance.total_seconds():
        past = "ago" if seconds > 0 else "from now"
        raise SignatureError(
            f"The request was signed {abs(seconds):,.0f} seconds {past}; at most {tolerance.total_seconds():,.0f} are "
            "accepted. Is it sent again by somebody else, or is one of the two clocks wrong?",
            code="timestamp",
        )


# -- small things ----------------------------------------------------------------------------------


def _configured(secrets: Secrets) -> list[SecretStr]:
    found = [secret for secret in secrets if secret and secret.get_secret_value()]
    if not found:
        raise SignatureError("No secret is set for this source, so no request can be trusted.", code="no_secret")
    return found


def _usable(secrets: Secrets) -> list[bytes]:
    return [secret.get_secret_value().encode() for secret in _configured(secrets)]


def _decoded(signature: str, encoding: Encoding) -> bytes:
    """Returns the digest, or nothing when the text is no digest at all (which then matches no key)."""
    if len(signature) > _MAX_LENGTH:
        return b""
    try:
        if encoding == "hex":
            return bytes.fromhex(signature)
        return base64.b64decode(signature.strip(), validate=True)
    except ValueError:
        return b""
