"""The key that signs certbridge in without a secret shared with Salesforce (OAuth's JWT bearer flow)."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Final

from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

_LIFETIME: Final = 120
"""Seconds. Salesforce refuses assertions that are valid for more than three minutes by its own clock."""
_BEGIN: Final = "-----BEGIN"


def one_line(key: SecretStr) -> SecretStr:
    """Returns an RSA key in PEM form as one line, so that it can be kept out of texts by value like any secret.

    Raises ValueError, without a word of the key.
    """
    try:
        private = _read(key.get_secret_value()).as_der(private=True)
    except Exception:  # noqa: BLE001 (the library's errors are many, and may quote the key)
        text = "must be a private RSA key in PEM form without a password (-----BEGIN PRIVATE KEY-----)"
        raise ValueError(text) from None
    return SecretStr(base64.b64encode(private).decode("ascii"))


def assertion(key: SecretStr, *, client_id: str, username: str, audience: str, now: datetime) -> str:
    """Returns the signed claim that `username` lets this app in, good for two minutes.

    https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
    """
    claims = {"iss": client_id, "sub": username, "aud": audience, "exp": int(now.timestamp()) + _LIFETIME}
    return jwt.encode({"alg": "RS256"}, claims, _read(key.get_secret_value()))


def _read(text: str) -> RSAKey:
    if not text.lstrip().startswith(_BEGIN):
        text = f"{_BEGIN} PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----"
    return RSAKey.import_key(text)
