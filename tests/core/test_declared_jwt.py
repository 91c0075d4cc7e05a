"""A declared source whose vendor signs with its own key: only its keys, its algorithms, its customer."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from declared_examples import NOW, SMALL, Script, build, request
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from bridge.core.connector import Connector
from bridge.core.errors import PermanentError, SignatureError, TemporaryError, UnavailableError

URL = "https://keys.acme.example/jwks.json"
TEXT = SMALL.replace(
    "[{header: {name: X-Token}}]",
    f"[{{jwt: {{jwks_url: '{URL}', algorithms: [RS256, ES256], expect: [{{that: claims.host == settings.host, "
    "because: It is that of another customer.}]}}]\n    body: jwt",
).replace("  webhook:", "  settings: {host: {description: The host., example: school.acme.example}}\n  webhook:")
CLAIMS = {"host": "school.acme.example", "type": "done", "id": "1", "user": "7"}


def key(kid: str, kind: str = "RSA") -> Any:
    return made_key(kid, kind)


@cache
def made_key(kid: str, kind: str) -> Any:
    made = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key("P-256")
    return type(made).import_key({**made.as_dict(private=True), "kid": kid})


def token(claims: object = None, *, kid: str = "k1", alg: str = "RS256", signer: Any = None, **header: Any) -> bytes:
    payload = json.dumps(CLAIMS if claims is None else claims).encode()
    signer = signer or key(kid, "RSA" if alg.startswith("RS") else "EC")
    return jws.serialize_compact({"alg": alg, "kid": kid, **header}, payload, signer, algorithms=[alg]).encode()


def encoded(part: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def signer_of(kind: str) -> Private:
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


def signed_by_hand(algorithm: str, kid: str, key: Private) -> bytes:
    """Signs without the library that verifies: after RFC 7518 (3.3 to 3.5) and RFC 8037."""
    start = encoded({"alg": algorithm, "kid": kid}) + b"." + encoded(CLAIMS)
    return start + b"." + base64.urlsafe_b64encode(_signature(algorithm, key, start)).rstrip(b"=")


def _signature(algorithm: str, key: Private, start: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(start)
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return key.sign(start, pss if algorithm.startswith("PS") else padding.PKCS1v15(), digest)
    halves = utils.decode_dss_signature(key.sign(start, ec.ECDSA(digest)))
    size = (key.key_size + 7) // 8
    return b"".join(half.to_bytes(size, "big") for half in halves)


def public_jwk(key: Private) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _url64(public.public_bytes_raw())}
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _url64(_bytes_of(numbers.n, 256)), "e": _url64(_bytes_of(numbers.e, 3))}
    size, point = (public.key_size + 7) // 8, public.public_numbers()
    curve = {256: "P-256", 384: "P-384", 521: "P-521"}[public.key_size]
    return {"kty": "EC", "crv": curve, "x": _url64(_bytes_of(point.x, size)), "y": _url64(_bytes_of(point.y, size))}


def _bytes_of(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwks(*keys: Any) -> dict[str, Any]:
    return {"keys": [one.as_dict(private=False) for one in keys]}


def acme(*keys: Any) -> Connector[Any]:
    connector = build(TEXT, host="school.acme.example")
    if keys:
        connector.refresh(Script(connector, jwks(*keys)))
    return connector


def test_a_token_of_the_vendor_is_verified_and_read() -> None:
    connector = acme(key("k1"))
    connector.verify(request(token()))
    (event,) = connector.parse(request(token()))
    assert (event.event_type, event.event_id, event.subject) == ("done", "1", "7")


def test_an_elliptic_key_is_one_too() -> None:
    acme(key("k2", "EC")).verify(request(token(kid="k2", alg="ES256")))


SIGNERS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519",
}  # fmt: skip


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_each_algorithm_that_can_be_declared_is_verified(algorithm: str) -> None:
    made, kid = signer_of(SIGNERS[algorithm]), "of-the-vendor"
    signed = signed_by_hand(algorithm, kid, made)
    text = TEXT.replace("algorithms: [RS256, ES256]", f"algorithms: [{algorithm}]")
    connector = build(text, host="school.acme.example")
    connector.refresh(Script(connector, {"keys": [{**public_jwk(made), "kid": kid}]}))
    connector.verify(request(signed))
    head, _, signature = signed.split(b".")
    with pytest.raises(SignatureError, match="does not fit"):
        connector.verify(request(b".".join((head, encoded({**CLAIMS, "user": "8"}), signature))))


def test_a_token_may_be_as_large_as_any_other_webhook() -> None:
    large = token({**CLAIMS, "text": "x" * 1_000_000}, x5c=["A" * 1_500] * 3)
    connector = acme(key("k1"))
    connector.verify(request(large))
    (event,) = connector.parse(request(large))
    assert event.event_id == "1"


def test_while_the_key_is_not_known_the_vendor_is_asked_to_try_again_and_the_keys_are_fetched() -> None:
    connector = acme()
    with pytest.raises(UnavailableError) as caught:
        connector.verify(request(token()))
    assert caught.value.retry_after > 0
    assert connector.needs_refresh
    connector.refresh(Script(connector, jwks(key("k1"))))
    assert not connector.needs_refresh
    connector.verify(request(token()))


def test_after_a_rotation_the_new_key_is_fetched_and_the_old_one_forgotten() -> None:
    connector = acme(key("k1"))
    with pytest.raises(UnavailableError):
        connector.verify(request(token(kid="k9")))
    connector.refresh(Script(connector, jwks(key("k9"))))
    connector.verify(request(token(kid="k9")))
    with pytest.raises(UnavailableError):
        connector.verify(request(token()))


def test_a_stranger_who_uses_a_known_key_id_is_refused() -> None:
    with pytest.raises(SignatureError, match="does not fit"):
        acme(key("k1")).verify(request(token(kid="k1", signer=key("stranger"))))


def test_an_unsigned_token_is_refused() -> None:
    unsigned = b".".join([*map(encoded, ({"alg": "none", "kid": "k1"}, CLAIMS)), b""])
    with pytest.raises(SignatureError, match="not accepted"):
        acme(key("k1")).verify(request(unsigned))


def test_the_public_key_is_never_taken_for_a_shared_one() -> None:
    start = b".".join(map(encoded, ({"alg": "HS256", "kid": "k1"}, CLAIMS)))
    signature = hmac.digest(key("k1").as_pem(private=False), start, "sha256")
    forged = start + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")
    with pytest.raises(SignatureError, match="not accepted"):
        acme(key("k1")).verify(request(forged))


def test_an_algorithm_that_does_not_belong_to_the_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        acme(key("k1")).verify(request(token(kid="k1", alg="ES256", signer=key("k1x", "EC"))))


def test_a_key_that_travels_in_the_token_is_not_used() -> None:
    stranger = key("stranger")
    sent = token(kid="k1", signer=stranger, jwk=stranger.as_dict(private=False))
    with pytest.raises(SignatureError):
        acme(key("k1")).verify(request(sent))


def test_a_token_for_another_customer_of_the_vendor_is_refused() -> None:
    with pytest.raises(SignatureError, match=r"not meant for this source\. It is that of"):
        acme(key("k1")).verify(request(token({**CLAIMS, "host": "other.acme.example"})))
    with pytest.raises(SignatureError, match="another customer"):
        acme(key("k1")).verify(request(token({})))


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["soon", True, -1, 1e30, [], {}])
def test_times_that_are_none_are_refused(claim: str, value: object) -> None:
    with pytest.raises(SignatureError):
        acme(key("k1")).verify(request(token({**CLAIMS, claim: value})))


@pytest.mark.parametrize(("claim", "minutes"), [("exp", -10), ("nbf", 10), ("iat", 10)])
def test_a_token_outside_its_time_is_refused(claim: str, minutes: int) -> None:
    moment = (NOW + timedelta(minutes=minutes)).timestamp()
    with pytest.raises(SignatureError, match="valid"):
        acme(key("k1")).verify(request(token({**CLAIMS, claim: moment})))
    acme(key("k1")).verify(request(token({**CLAIMS, claim: NOW.timestamp()})))


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"a.b.c", b"..", b"\xff.\xff.\xff", b"e30.e30.e30", b"bnVsbA.e30.e30", b"a" * 100_000 + b".b.c"],
)
def test_what_is_no_token_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureError):
        acme(key("k1")).verify(request(body))


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", {}, {"keys": []}, {"keys": "x"}, {"keys": [1, {}, {"kty": "RSA"}, {"kty": "oct", "k": "aaaa"}]}],
)
def test_keys_that_cannot_be_read_leave_the_known_ones_alone(answer: object) -> None:
    connector = acme(key("k1"))
    with pytest.raises(TemporaryError):
        connector.refresh(Script(connector, answer))
    connector.verify(request(token()))


def test_the_keys_are_fetched_from_their_own_host_without_credentials() -> None:
    connector = acme()
    assert connector.hosts() == ("keys.acme.example",)
    access = connector.authenticate(Script(connector))
    assert access is not None
    assert not access.headers


def test_nobody_here_can_sign_like_the_vendor() -> None:
    with pytest.raises(PermanentError, match="Only the vendor"):
        acme().sign(b"{}", {}, NOW)


def test_issuer_and_audience_are_compared() -> None:
    text = TEXT.replace("algorithms:", "issuer: acme, audience: certbridge, algorithms:")
    connector = build(text, host="school.acme.example")
    connector.refresh(Script(connector, jwks(key("k1"))))
    connector.verify(request(token({**CLAIMS, "iss": "acme", "aud": ["x", "certbridge"]})))
    for wrong in ({"iss": "other", "aud": "certbridge"}, {"iss": "acme"}, {"iss": "acme", "aud": ["x"]}):
        with pytest.raises(SignatureError, match="claim"):
            connector.verify(request(token({**CLAIMS, **wrong})))


def test_the_token_may_stand_in_the_header_instead() -> None:
    text = TEXT.replace("jwks_url:", "in: authorization, jwks_url:").replace("\n    body: jwt", "")
    connector = build(text, host="school.acme.example")
    connector.refresh(Script(connector, jwks(key("k1"))))
    connector.verify(request(b"{}", {"Authorization": "Bearer " + token().decode()}))
    with pytest.raises(SignatureError):
        connector.verify(request(b"{}", {"Authorization": "Basic " + token().decode()}))


def test_a_key_for_encryption_is_not_one_for_signatures() -> None:
    listed = jwks(key("k1"), key("k2", "EC"))
    listed["keys"][0]["use"] = "enc"
    connector = acme()
    connector.refresh(Script(connector, listed))
    with pytest.raises(UnavailableError):
        connector.verify(request(token()))
