"""Salesforce's token endpoint: client credentials and the JWT bearer flow, checked to the letter.

https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm
https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from vendors.salesforce.org import ORG_ID, USER_ID

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST: Final = 180
"""Seconds an assertion may live."""


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    """One key for the whole run: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Tokens:
    """The app that certbridge signs in as, and the sessions it was given."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.client_id = "3MVG9_SAMPLE_CONSUMER_KEY"
        self.client_secret = "sample-consumer-secret"
        self.username = "integration@acme-training.example"
        self.audience = "https://login.salesforce.com"
        """https://test.salesforce.com for a sandbox."""
        self.flows = {"client_credentials", JWT_BEARER}
        self.approved = True
        """Whether the admin has approved the app for the user (JWT)."""
        self.sessions: set[str] = set()
        self.sign_ins = 0
        self._clock = clock

    @property
    def private_key_pem(self) -> str:
        """The private key that belongs to the certificate uploaded to the app."""
        return (
            _key()
            .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            .decode("ascii")
        )

    def end_sessions(self) -> None:
        """Makes every token invalid, as the org's session policy does after a while."""
        self.sessions.clear()

    def answer(self, call: Call, instance_url: str) -> Answer:
        """POST /services/oauth2/token. Raises RefusalError."""
        form = self._form(call)
        grant = form.get("grant_type")
        if grant not in self.flows:
            _refuse("unsupported_grant_type", "grant type not supported")
        if grant == "client_credentials":
            self._client(call, form)
        else:
            self._assertion(form)
        self.sign_ins += 1
        token = f"{ORG_ID[:15]}!{secrets.token_urlsafe(60)}"
        self.sessions.add(token)
        return _answer(
            200,
            {
                "access_token": token,
                "signature": "c2FtcGxlIHNpZ25hdHVyZQ==",
                "instance_url": instance_url,
                "id": f"https://login.salesforce.com/id/{ORG_ID}/{USER_ID}",
                "token_type": "Bearer",
                "issued_at": str(int(self._clock().timestamp() * 1000)),
            },
        )

    def _form(self, call: Call) -> dict[str, str]:
        kind = call.headers.get("content-type", "").partition(";")[0].strip()
        if call.method != "POST" or kind != "application/x-www-form-urlencoded" or call.query:
            _refuse("invalid_request", "must use HTTP POST with a form and without a query")
        try:
            pairs = call.form()
        except ValueError as error:
            _refuse("invalid_request", f"the body is no form: {error}")
        if len(dict(pairs)) != len(pairs):
            _refuse("invalid_request", "a parameter is there twice")
        return dict(pairs)

    def _client(self, call: Call, form: Mapping[str, str]) -> None:
        given = (form.get("client_id"), form.get("client_secret"))
        if (header := call.headers.get("authorization")) is not None:
            if given != (None, None):
                _refuse("invalid_request", "client credentials in the body and in the header")
            given = _basic(header)
        if unknown := set(form) - {"grant_type", "client_id", "client_secret"}:
            _refuse("invalid_request", f"unknown parameters {sorted(unknown)}")
        if given[0] != self.client_id:
            _refuse("invalid_client_id", "client identifier invalid")
        if given[1] != self.client_secret:
            _refuse("invalid_client", "invalid client credentials")

    def _assertion(self, form: Mapping[str, str]) -> None:
        if set(form) != {"grant_type", "assertion"}:
            _refuse("invalid_request", f"a JWT sign-in has grant_type and assertion, not {sorted(form)}")
        claims = _claims(form["assertion"])
        if claims.get("iss") != self.client_id:
            _refuse("invalid_client_id", "client identifier invalid")
        if claims.get("aud") != self.audience:
            _refuse("invalid_grant", "audience is invalid")
        expires, now = claims.get("exp"), self._clock().timestamp()
        if isinstance(expires, bool) or not isinstance(expires, int) or not now < expires <= now + _LONGEST:
            _refuse("invalid_grant", "expired authorization code" if isinstance(expires, int) else "invalid assertion")
        if claims.get("sub") != self.username or not self.approved:
            _refuse("invalid_grant", "user hasn't approved this consumer")


def _basic(header: str) -> tuple[str | None, str | None]:
    scheme, _, encoded = header.partition(" ")
    try:
        client, colon, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if scheme != "Basic" or not colon:
        _refuse("invalid_client", "invalid client credentials")
    return client, secret


def _claims(assertion: str) -> dict[str, Any]:
    """Returns the claims of an assertion that our key signed."""
    try:
        header, claims, signature = assertion.split(".")
        if json.loads(_decoded(header)).get("alg") != "RS256":
            _refuse("invalid_grant", "invalid assertion")
        signed = f"{header}.{claims}".encode()
        _key().public_key().verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        found = json.loads(_decoded(claims))
    except (ValueError, AttributeError, InvalidSignature) as error:
        _refuse("invalid_grant", f"invalid assertion ({type(error).__name__})")
    if not isinstance(found, dict):
        _refuse("invalid_grant", "invalid assertion")
    return found


def _decoded(part: str) -> bytes:
    """Base64 for addresses, without padding."""
    if "=" in part:
        raise ValueError("padding has no place in a JWT")
    return base64.b64decode(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4), validate=True)


def _refuse(code: str, description: str) -> NoReturn:
    raise RefusalError(f"{code}: {description}", _answer(400, {"error": code, "error_description": description}))


def _answer(status: int, body: dict[str, str]) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json;charset=UTF-8"})
