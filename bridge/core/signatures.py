"""Proves that a request comes from the source: HMAC signatures and shared tokens, several secrets valid at once."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import SecretStr

from bridge.core.errors import SignatureError

Encoding = Literal["hex", "base64"]
Secrets = Sequence[SecretStr | None]
"""The secret in use and the one before it; None where a setting is not set."""

_MAX_LENGTH: Final = 4096


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


def _usable(secrets: Secrets) -> list[bytes]:
    keys = [secret.get_secret_value().encode() for secret in secrets if secret and secret.get_secret_value()]
    if not keys:
        raise SignatureError("No secret is set for this source, so no request can be trusted.", code="no_secret")
    return keys


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
