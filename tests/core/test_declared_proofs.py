"""Proofs of a declared source: what is accepted, what is refused, and that our own samples are accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from declared_examples import NOW, SECRET, SMALL, build, kind, proven, request
from pydantic import SecretStr, ValidationError

from bridge.cli.shown.source import webhook_url
from bridge.core.errors import PermanentError, SignatureError
from bridge.core.signatures import standard_webhooks_signature

BODY = b'{"type": "done", "id": "1"}'


def digest(message: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.digest(SECRET.encode(), message, algorithm)


def basic(login: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "header": ("[{header: {name: X-Token}}]", {"header_token": SECRET}),
    "header with prefix": ("[{header: {name: X-Token, prefix: v1=}}]", {"header_token": SECRET}),
    "bearer": ("[{bearer: {}}]", {"bearer_token": SECRET}),
    "basic": ("[{basic: {}}]", {"username": "bridge", "password": SECRET}),
    "url token": ("[{url_token: {}}]", {"url_token": SECRET}),
    "query": ("[{query: {name: key}}]", {"query_token": SECRET}),
    "hmac": ("[{hmac: {header: X-Sig, prefix: sha256=}}]", {"signing_secret": SECRET}),
    "hmac base64": ("[{hmac: {header: X-Sig, encoding: base64, algorithm: sha512}}]", {"signing_secret": SECRET}),
    "hmac with time": (
        '[{hmac: {header: X-Sig, signs: "{{ timestamp }}.{{ body }}", timestamp: {header: X-Time}}}]',
        {"signing_secret": SECRET},
    ),
    "hmac with parts": (
        '[{hmac: {header: X-Sig, part: v1, signs: "{{ timestamp }}.{{ body }}", timestamp: {part: t}}}]',
        {"signing_secret": SECRET},
    ),
    "hmac with a prefix inside its part": (
        '[{hmac: {header: X-Sig, part: sig, prefix: sha256=, signs: "{{ timestamp }}.{{ body }}", '
        "timestamp: {part: t}}}]",
        {"signing_secret": SECRET},
    ),
    "hmac with id": (
        '[{hmac: {header: X-Sig, signs: "{{ id }}:{{ body }}", id_header: X-Id}}]',
        {"signing_secret": SECRET},
    ),
    "standard webhooks": (
        "[{standard_webhooks: {}}]",
        {"signing_secret": "whsec_" + base64.b64encode(b"k" * 24).decode()},
    ),
    "two at once": (
        "[{header: {name: X-Token}}, {url_token: {}}]",
        {"header_token": SECRET, "url_token": SECRET[::-1]},
    ),
    "one of two": (
        "[{any_of: [{header: {name: X-Token}}, {hmac: {header: X-Sig}}]}]",
        {"signing_secret": SECRET},
    ),
}


@pytest.mark.parametrize("proof", KINDS)
def test_what_we_sign_is_accepted_and_everything_else_refused(proof: str) -> None:
    text, settings = KINDS[proof]
    connector = proven(text, **settings)
    signed = connector.sign(BODY, {"Content-Type": "application/json", "X-Id": "e-1"}, NOW)
    query = "&".join(f"{name}={value}" for name, value in signed.query.items())
    good = request(signed.body, signed.headers, token=signed.path_token, query=query)
    connector.verify(good)
    with pytest.raises(SignatureError) as caught:
        connector.verify(request(signed.body, {}))
    assert not any(secret in str(caught.value) for secret in settings.values() if secret != "bridge")
    strangers = {name: value if name == "username" else _other(value) for name, value in settings.items()}
    with pytest.raises(SignatureError):
        proven(text, **strangers).verify(good)


ADDRESSED = {"signing_secret": SECRET, "url_token": SECRET[::-1]}


def _other(secret: str) -> str:
    return "whsec_" + base64.b64encode(b"x" * 24).decode() if secret.startswith("whsec_") else f"other-{secret}"


@pytest.mark.parametrize("proof", KINDS)
def test_the_secret_before_is_accepted_while_it_is_changed(proof: str) -> None:
    text, settings = KINDS[proof]
    signed = proven(text, **settings).sign(BODY, {}, NOW)
    query = "&".join(f"{name}={value}" for name, value in signed.query.items())
    changed: dict[str, str] = {}
    for name, value in settings.items():
        changed |= {name: value} if name == "username" else {name: _other(value), f"previous_{name}": value}
    proven(text, **changed).verify(request(BODY, signed.headers, token=signed.path_token, query=query))


@pytest.mark.parametrize("proof", [name for name in KINDS if "hmac" in name or "standard" in name])
def test_a_changed_body_is_refused(proof: str) -> None:
    text, settings = KINDS[proof]
    connector = proven(text, **settings)
    signed = connector.sign(BODY, {}, NOW)
    with pytest.raises(SignatureError, match="does not fit"):
        connector.verify(request(BODY.replace(b"1", b"2"), signed.headers))


@pytest.mark.parametrize("proof", ["hmac with time", "hmac with parts", "standard webhooks"])
@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_early_request_is_refused(proof: str, minutes: int) -> None:
    text, settings = KINDS[proof]
    connector = proven(text, **settings)
    signed = connector.sign(BODY, {}, NOW)
    connector.verify(request(BODY, signed.headers, at=NOW + timedelta(minutes=minutes / 2)))
    with pytest.raises(SignatureError, match="clock"):
        connector.verify(request(BODY, signed.headers, at=NOW + timedelta(minutes=minutes)))


def test_every_signature_in_the_header_is_tried() -> None:
    connector = proven(KINDS["hmac with parts"][0], signing_secret=SECRET)
    moment = str(int(NOW.timestamp()))
    right = digest(f"{moment}.".encode() + BODY).hex()
    connector.verify(request(BODY, {"X-Sig": f"t={moment},v0=00,v1={'0' * 64},v1={right}"}))


def test_the_method_and_the_address_may_be_signed() -> None:
    connector = proven('[{hmac: {header: X-Sig, signs: "{{ method }}{{ url }}{{ body }}"}}]', signing_secret=SECRET)
    made = request(BODY)
    signature = digest(f"POST{made.url}".encode() + BODY).hex()
    connector.verify(request(BODY, {"X-Sig": signature}))


def test_sha1_in_base64_is_what_some_older_systems_send() -> None:
    connector = proven("[{hmac: {header: X-Sig, algorithm: sha1, encoding: base64}}]", signing_secret=SECRET)
    connector.verify(request(BODY, {"X-Sig": base64.b64encode(digest(BODY, "sha1")).decode()}))


@pytest.mark.parametrize("prefix", ["", "sha=", "HMAC "])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_each_hash_is_read_in_each_form(algorithm: str, encoding: str, prefix: str) -> None:
    words = f"header: X-Sig, algorithm: {algorithm}, encoding: {encoding}" + (f", prefix: '{prefix}'" if prefix else "")
    connector = proven(f"[{{hmac: {{{words}}}}}]", signing_secret=SECRET)
    made = digest(BODY, algorithm)
    written = made.hex() if encoding == "hex" else base64.b64encode(made).decode()
    connector.verify(request(BODY, {"X-Sig": prefix + written}))
    connector.verify(request(BODY, connector.sign(BODY, {}, NOW).headers))
    for wrong in (digest(BODY + b" ", algorithm), digest(BODY, "sha384")):
        other = wrong.hex() if encoding == "hex" else base64.b64encode(wrong).decode()
        with pytest.raises(SignatureError):
            connector.verify(request(BODY, {"X-Sig": prefix + other}))


@pytest.mark.parametrize(
    ("proof", "lost", "said"),
    [
        ("hmac with time", "X-Time", "the header X-Time is missing"),
        ("hmac with parts", None, "the part t of the header X-Sig is missing"),
        ("hmac with id", "X-Id", "the header X-Id is missing"),
    ],
)
def test_what_is_signed_besides_and_did_not_come_is_named_and_no_secret_suspected(
    proof: str, lost: str | None, said: str
) -> None:
    text, settings = KINDS[proof]
    headers = dict(proven(text, **settings).sign(BODY, {}, NOW).headers)
    if lost is None:
        headers["X-Sig"] = headers["X-Sig"].partition(",")[2]
    else:
        del headers[lost]
    with pytest.raises(SignatureError, match=said) as caught:
        proven(text, **settings).verify(request(BODY, headers))
    assert caught.value.stable_code == "signature_missing"


def test_where_the_address_is_signed_no_sample_can_be_sent_and_it_is_said() -> None:
    connector = proven('[{hmac: {header: S, signs: "{{ url }}{{ body }}"}}, {url_token: {}}]', **ADDRESSED)
    with pytest.raises(PermanentError, match="so no sample of one can be sent"):
        connector.sign(BODY, {}, NOW)
    assert connector.address_secrets() == (SECRET[::-1], {})


def test_a_vendors_public_key_verifies_and_cannot_sign_a_sample() -> None:
    pair = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = pair.public_key().public_bytes_raw()
    ours, theirs = ("whsk_" + base64.b64encode(bytes(range(32))).decode(), "whpk_" + base64.b64encode(public).decode())
    seconds = int(NOW.timestamp())
    signature = standard_webhooks_signature("msg_1", seconds, BODY, SecretStr(ours))
    assert signature.startswith("v1a,")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(seconds), "webhook-signature": signature}
    connector = proven("[{standard_webhooks: {}}]", signing_secret=theirs)
    connector.verify(request(BODY, headers))
    with pytest.raises(SignatureError, match="does not fit"):
        connector.verify(request(BODY + b" ", headers))
    with pytest.raises(PermanentError, match="Only the vendor has the key"):
        connector.sign(BODY, {}, NOW)


@pytest.mark.parametrize("unit", ["milliseconds", "iso"])
def test_the_time_of_signing_is_read_in_other_units(unit: str) -> None:
    proof = (
        f'[{{hmac: {{header: S, signs: "{{{{ timestamp }}}}{{{{ body }}}}", timestamp: {{header: T, unit: {unit}}}}}}}]'
    )
    connector = proven(proof, signing_secret=SECRET)
    connector.verify(request(BODY, connector.sign(BODY, {}, NOW).headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        basic(f"bridge:{SECRET}x"),
        basic(f"other:{SECRET}"),
        basic("bridge"),
        {"Authorization": f"Bearer {SECRET}"},
    ],
)
def test_a_login_that_is_none_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        proven(KINDS["basic"][0], username="bridge", password=SECRET).verify(request(BODY, headers))


@pytest.mark.parametrize("value", ["", " ", "é" * 100, "=" * 5_000, "sha256=", "sha256=zz", "\ud800", "t=,v1=", ",,,"])
@pytest.mark.parametrize("proof", KINDS)
def test_hostile_values_anywhere_are_refused_and_nothing_else(proof: str, value: str) -> None:
    text, settings = KINDS[proof]
    names = ["X-Token", "X-Sig", "X-Time", "X-Id", "Authorization"]
    names += [f"webhook-{part}" for part in ("id", "timestamp", "signature")]
    hostile = request(BODY, dict.fromkeys(names, value), token=value or None, query="key=" + value)
    with pytest.raises(SignatureError):
        proven(text, **settings).verify(hostile)


def test_all_that_are_set_up_must_fit() -> None:
    connector = proven(KINDS["two at once"][0], header_token=SECRET, url_token="the-token-of-the-address")
    for headers, token in (({"X-Token": SECRET}, None), ({}, "the-token-of-the-address")):
        with pytest.raises(SignatureError):
            connector.verify(request(BODY, headers, token=token))


def test_an_optional_proof_is_asked_for_only_where_it_is_set_up() -> None:
    proof = "[{header: {name: X-Token}}, {url_token: {optional: true}}]"
    proven(proof, header_token=SECRET).verify(request(BODY, {"X-Token": SECRET}))
    with pytest.raises(SignatureError):
        proven(proof, header_token=SECRET, url_token="an-address").verify(request(BODY, {"X-Token": SECRET}))


def test_what_is_secret_in_the_address_is_known_so_that_an_admin_can_paste_it() -> None:
    in_address = proven("[{url_token: {}}, {query: {name: key}}]", url_token=SECRET, query_token="another-secret")
    assert in_address.address_secrets() == (SECRET, {"key": "another-secret"})
    shown = webhook_url("https://certs.example/", "school", in_address, hidden=False)
    assert shown == f"https://certs.example/hooks/school/{SECRET}?key=another-secret"
    assert webhook_url("https://certs.example", "school", in_address) == (
        "https://certs.example/hooks/school/***?key=***"
    )
    # Also where only the vendor can sign.
    signed = proven('[{jwt: {jwks_url: "https://keys.example/jwks.json"}}, {url_token: {}}]', url_token=SECRET)
    assert signed.address_secrets() == (SECRET, {})
    assert proven("[{bearer: {}}]", bearer_token=SECRET).address_secrets() == (None, {})


@pytest.mark.parametrize(
    ("proof", "settings", "said"),
    [
        ("[{header: {name: X-Token}}]", {}, "Field required"),
        ("[{header: {name: A, optional: true}}, {bearer: {optional: true}}]", {}, "header_token, bearer_token; other"),
        ("[{any_of: [{basic: {}}, {bearer: {}}]}]", {"username": "x"}, "username needs password"),
        ("[{any_of: [{basic: {}}, {bearer: {}}]}]", {}, "username with password, bearer_token; otherwise anybody"),
        ("[{header: {name: A}}]", {"header_token": "short"}, "at least 8"),
        ("[{standard_webhooks: {}}]", {"signing_secret": "not-a-key-at-all"}, "whsec_"),
    ],
)
def test_settings_that_prove_nothing_are_refused(proof: str, settings: dict[str, Any], said: str) -> None:
    found = kind(SMALL.replace("[{header: {name: X-Token}}]", proof))
    with pytest.raises(ValidationError, match=said):
        found.Settings.model_validate(settings)


def test_each_secret_is_a_setting_with_help_and_a_predecessor() -> None:
    fields = kind(SMALL).Settings.model_fields
    assert list(fields) == ["header_token", "previous_header_token"]
    assert all(field.description for field in fields.values())
    shown = repr(build(SMALL).settings)
    assert SECRET not in shown


def test_a_message_of_the_standard_is_accepted() -> None:
    key = "whsec_" + base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    seconds = int(NOW.timestamp())
    signature = standard_webhooks_signature("msg_1", seconds, BODY, SecretStr(key))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(seconds), "webhook-signature": f"v1,AAAA {signature}"}
    proven("[{standard_webhooks: {}}]", signing_secret=key).verify(request(BODY, headers))
