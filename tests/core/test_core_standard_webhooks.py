"""Standard Webhooks: one message, signed once, at about this time, with a shared key or a key pair."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from bridge.core.errors import SignatureError
from bridge.core.signatures import standard_webhooks_key, standard_webhooks_signature, verify_standard_webhooks

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
BODY = b'{"name": "Zo\xc3\xab"}'
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
PAIR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def written(prefix: str, key: bytes) -> SecretStr:
    return SecretStr(prefix + base64.b64encode(key).decode())


SHARED, OLD, OTHER = (written("whsec_", bytes([number]) * 24) for number in (1, 2, 3))
PRIVATE, PUBLIC = written("whsk_", bytes(range(32))), written("whpk_", PAIR.public_key().public_bytes(*RAW))


def headers(secret: SecretStr = SHARED, *, at: int = AT, **changes: str) -> dict[str, str]:
    signature = standard_webhooks_signature(ID, at, BODY, secret)
    found = {"webhook-id": ID, "webhook-timestamp": str(at), "webhook-signature": signature}
    return found | {f"webhook-{name}": value for name, value in changes.items()}


def verify(found: dict[str, str], *secrets: SecretStr | None, body: bytes = BODY, now: datetime = NOW) -> None:
    verify_standard_webhooks(found, body, secrets or (SHARED,), now=now)


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = standard_webhooks_signature(ID, 1614265330, b'{"test": 2432232314}', secret)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_shared_key_signs_as_the_standard_library_does() -> None:
    expected = hmac.new(bytes([1]) * 24, f"{ID}.{AT}.".encode() + BODY, hashlib.sha256).digest()
    assert headers()["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


@pytest.mark.parametrize("secrets", [(SHARED,), (SHARED, None), (OTHER, SHARED), (PUBLIC, SHARED)], ids=len)
def test_any_of_the_secrets_is_accepted(secrets: tuple[SecretStr | None, ...]) -> None:
    verify(headers(), *secrets)


def test_a_shared_key_may_come_without_its_prefix() -> None:
    verify(headers(), SecretStr(SHARED.get_secret_value().removeprefix("whsec_")))


@pytest.mark.parametrize("key", [PUBLIC, PRIVATE], ids=["public", "private"])
def test_a_key_pair_is_accepted_by_either_half(key: SecretStr) -> None:
    verify(headers(PRIVATE), key)
    verify(headers(PRIVATE), None, OTHER, key)


def test_a_private_key_may_carry_its_public_half_behind_it() -> None:
    long = written("whsk_", bytes(range(32)) + PAIR.public_key().public_bytes(*RAW))
    verify(headers(long), PUBLIC)


def test_one_fitting_signature_of_several_is_enough() -> None:
    ours, theirs = headers()["webhook-signature"], headers(OTHER)["webhook-signature"]
    verify(headers(signature=f"{theirs} v1a,AAAA v2,BBBB  {ours}"))


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": headers(OTHER)["webhook-signature"]},
        {"signature": headers()["webhook-signature"].replace("v1,", "v1a,")},
        {"signature": headers()["webhook-signature"].removeprefix("v1,")},
        {"signature": headers()["webhook-signature"][:-4]},
        {"signature": "v1,"},
        {"signature": "v1,é"},
        {"signature": "\ud800"},
        {"signature": "v1a," * 100_000},
        {"id": "msg_other"},
        {"timestamp": str(AT + 1)},
        {"timestamp": f"0{AT}"},
    ],
    ids=lambda changed: next(iter(changed.items()))[0],
)
def test_every_other_signature_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(SignatureError, match="webhook-signature does not fit"):
        verify(headers(**changed), SHARED, PUBLIC)


@pytest.mark.parametrize("secret", [SHARED, PRIVATE], ids=["shared", "pair"])
def test_the_bytes_are_signed_not_what_they_mean(secret: SecretStr) -> None:
    with pytest.raises(SignatureError, match="does not fit"):
        verify(headers(secret), SHARED, PUBLIC, body=BODY + b" ")


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_a_missing_part_is_said_to_be_missing(name: str) -> None:
    for found in (headers(**{name: " "}), {key: value for key, value in headers().items() if key != f"webhook-{name}"}):
        with pytest.raises(SignatureError, match="not signed") as caught:
            verify(found)
        assert caught.value.stable_code == "signature_missing"


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_five_minutes_either_way_are_tolerated(seconds: int) -> None:
    verify(headers(at=AT + seconds))


@pytest.mark.parametrize(("seconds", "said"), [(-301, "301 seconds ago"), (301, "301 seconds from now")])
def test_more_than_five_minutes_are_not_and_the_clocks_are_named(seconds: int, said: str) -> None:
    with pytest.raises(SignatureError, match=rf"{said}.*clocks") as caught:
        verify(headers(at=AT + seconds))
    assert caught.value.stable_code == "timestamp"


def test_the_tolerance_can_be_chosen() -> None:
    verify_standard_webhooks(headers(at=AT - 900), BODY, (SHARED,), now=NOW, tolerance=timedelta(minutes=15))


@pytest.mark.parametrize("odd", ["soon", "-5", "1e9", "٣", "9" * 13])
def test_a_signed_time_that_is_none_is_refused(odd: str) -> None:
    key = standard_webhooks_key(SHARED)
    signature = key.sign(f"{ID}.{odd}.".encode() + BODY)
    with pytest.raises(SignatureError, match="no time"):
        verify(headers(timestamp=odd, signature=signature))


def test_the_headers_may_begin_with_another_word() -> None:
    found = {name.replace("webhook", "svix"): value for name, value in headers().items()}
    verify_standard_webhooks(found, BODY, (SHARED,), now=NOW, prefix="svix")
    with pytest.raises(SignatureError, match="not signed: it needs webhook-id"):
        verify(found)


@pytest.mark.parametrize("secrets", [(None,), (SecretStr(""),)])
def test_a_missing_secret_fails_whatever_is_presented(secrets: tuple[SecretStr | None, ...]) -> None:
    with pytest.raises(SignatureError, match="No secret"):
        verify(headers(), *secrets)


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_not base64", "whpk_AAAA", "whsk_AAAA", "whxx_" + "A" * 44, "secret in words", "x" * 9_000],
)
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="no key of Standard Webhooks") as caught:
        standard_webhooks_key(SecretStr(text))
    assert text in ("", "whsec_") or text not in str(caught.value)


def test_a_public_key_cannot_sign() -> None:
    with pytest.raises(ValueError, match="cannot sign"):
        standard_webhooks_signature(ID, AT, BODY, PUBLIC)
