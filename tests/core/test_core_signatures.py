"""Signatures and shared tokens: only the right secret over the right bytes counts."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.errors import SignatureError
from bridge.core.signatures import hmac_signature, verify_hmac, verify_token

SECRET, OLD, OTHER = SecretStr("the signing secret é"), SecretStr("the one before"), SecretStr("another")
BODY = b'{"name": "Zo\xc3\xab"}'
WHAT = "the header X-Signature"


def _hex(body: bytes = BODY, secret: SecretStr = SECRET) -> str:
    return hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()


def test_signs_as_the_standard_library_does() -> None:
    assert hmac_signature(BODY, SECRET) == _hex()
    assert base64.b64decode(hmac_signature(BODY, SECRET, encoding="base64")).hex() == _hex()


@pytest.mark.parametrize("secrets", [(SECRET,), (SECRET, None), (OTHER, SECRET), (None, SECRET)])
def test_any_of_the_secrets_is_accepted(secrets: Any) -> None:
    verify_hmac(BODY, _hex(), secrets, what=WHAT)
    verify_hmac(BODY, hmac_signature(BODY, SECRET, encoding="base64"), secrets, what=WHAT, encoding="base64")


@pytest.mark.parametrize(
    "written", [_hex().upper(), f" {_hex()} ", f"{_hex()}\r\n", " ".join([_hex()[:8], _hex()[8:]])]
)
def test_capitals_and_spaces_are_accepted_in_hex(written: str) -> None:
    verify_hmac(BODY, written, (SECRET,), what=WHAT)


@pytest.mark.parametrize(
    "signature",
    [
        _hex(secret=OTHER),
        _hex(BODY + b" "),
        _hex()[:-2],
        _hex() + "00",
        _hex()[:-1],
        f"{_hex()},{_hex()}",
        "é" * 64,
        "\ud800",
        "=" * 44,
        "0" * 1_000_000,
        hmac_signature(BODY, SECRET, encoding="base64"),
    ],
)
def test_every_other_signature_is_refused(signature: str) -> None:
    with pytest.raises(SignatureError, match="X-Signature does not fit"):
        verify_hmac(BODY, signature, (SECRET, OLD), what=WHAT)


@pytest.mark.parametrize("signature", ["", "  ", "YQ", "not base64 at all", "é", _hex()])
def test_base64_that_is_none_is_refused(signature: str) -> None:
    with pytest.raises(SignatureError):
        verify_hmac(BODY, signature, (SECRET,), what=WHAT, encoding="base64")


@pytest.mark.parametrize("signature", [None, "", " "])
def test_a_missing_signature_fails(signature: str | None) -> None:
    with pytest.raises(SignatureError, match="not signed") as caught:
        verify_hmac(BODY, signature, (SECRET,), what=WHAT)
    assert caught.value.stable_code == "signature_missing"


@pytest.mark.parametrize("secrets", [(), (None,), (SecretStr(""),), (None, SecretStr(""))])
def test_a_missing_secret_fails_whatever_is_presented(secrets: Any) -> None:
    with pytest.raises(SignatureError, match="No secret"):
        verify_hmac(BODY, hmac.new(b"", BODY, hashlib.sha256).hexdigest(), secrets, what=WHAT)
    for presented in (None, "", "x"):
        with pytest.raises(SignatureError, match="No secret"):
            verify_token(presented, secrets, what=WHAT)


def test_the_token_or_the_one_before_is_accepted() -> None:
    for token in (SECRET, OLD):
        verify_token(token.get_secret_value(), (SECRET, OLD), what="the token")


@pytest.mark.parametrize(
    "presented", [None, "", 0, 1, True, b"another", ["another"], "anothe", "another ", "\ud800", "x" * 10**6]
)
def test_every_other_token_is_refused(presented: object) -> None:
    with pytest.raises(SignatureError):
        verify_token(presented, (OTHER,), what="the token")


def test_a_refusal_shows_neither_what_was_presented_nor_what_was_expected() -> None:
    for attempt in (
        lambda: verify_token("presented", (OTHER,), what=WHAT),
        lambda: verify_hmac(BODY, "ab", (OTHER,), what=WHAT),
    ):
        with pytest.raises(SignatureError) as caught:
            attempt()
        assert "presented" not in str(caught.value)
        assert "another " not in str(caught.value).replace("another secret", "")
