"""Who sent it: HubSpot's three signatures and the API key; case numbers are those of our notes.

The vectors were computed after HubSpot's description with a secret of our own, not by the connector.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from contract import NOW, SAMPLES, inbound
from test_hubspot_connector import SECRET, hubspot

from bridge.core.errors import SignatureError, UnavailableError
from bridge.core.models import InboundRequest

VECTORS = json.loads((SAMPLES / "hubspot" / "signatures.SYNTHETIC.json").read_text())
STAMP = VECTORS["timestamp"]
URL = "https://certificates.example/hooks/school"
KEY = "a-workflow-api-key"


def request(version: str, signature: str, body: bytes, url: str = URL, **changes: Any) -> InboundRequest:
    if version == "v3":
        headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": STAMP}
    else:
        headers = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version}
    return inbound(body, {**headers, **changes.pop("headers", {})}, url=url, **changes)


def signed_3(body: bytes, stamp: str = STAMP, url: str = URL, method: str = "POST") -> str:
    message = f"{method}{url}".encode() + body + stamp.encode()
    return base64.b64encode(hmac.digest(SECRET.encode(), message, hashlib.sha256)).decode()


def vector(number: int) -> InboundRequest:
    one = VECTORS["vectors"][number]
    return request(one["version"], one["signature"], one["body"].encode(), one["url"])


@pytest.mark.parametrize("number", range(len(VECTORS["vectors"])), ids=[one["name"] for one in VECTORS["vectors"]])
def test_case_11_accepts_each_signature_over_the_address_as_it_was_called(number: int) -> None:
    hubspot().verify(vector(number))


@pytest.mark.parametrize("number", range(len(VECTORS["vectors"])), ids=[one["name"] for one in VECTORS["vectors"]])
def test_case_11_refuses_each_signature_for_another_address_or_method(number: int) -> None:
    one = VECTORS["vectors"][number]
    if one["version"] == "v1":
        return  # signs the body only
    for url, method in ((one["url"] + "x", "POST"), (one["url"], "PUT"), (one["url"].replace("https", "http"), "POST")):
        with pytest.raises(SignatureError):
            hubspot().verify(request(one["version"], one["signature"], one["body"].encode(), url, method=method))


def test_case_11_what_is_not_among_the_twelve_escapes_stays_encoded() -> None:
    encoded = f"{URL}?x=%20%26%3D%25"
    for decoded in (f"{URL}?x= %26%3D%25", f"{URL}?x=%20&%3D%25", f"{URL}?x=%20%26=%25", f"{URL}?x=%20%26%3D%"):
        with pytest.raises(SignatureError):
            hubspot().verify(request("v3", signed_3(b"[]", url=decoded), b"[]", encoded))


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_case_12_a_body_that_was_written_anew_is_refused(version: str) -> None:
    found = next(one for one in VECTORS["vectors"] if one["version"] == version)
    again = json.dumps(json.loads(found["body"]), indent=1).encode()
    with pytest.raises(SignatureError):
        hubspot().verify(request(version, found["signature"], again + b" ", found["url"]))


@pytest.mark.parametrize("skew", [-300_000, 0, 300_000])
def test_case_13_five_minutes_either_way_are_accepted(skew: int) -> None:
    stamp = str(int(STAMP) + skew)
    hubspot().verify(request("v3", signed_3(b"[]", stamp), b"[]", headers={"X-HubSpot-Request-Timestamp": stamp}))


@pytest.mark.parametrize(
    "stamp",
    [
        str(int(STAMP) - 300_001),
        str(int(STAMP) + 300_001),
        str(int(STAMP) // 1000),
        "",
        "soon",
        f"+{STAMP}",
        f"-{STAMP}",
        f"{STAMP}.0",
        f" {STAMP}",
        "\u0661\u0667\u0669\u0665\u0664\u0663\u0665\u0662\u0660\u0660\u0660\u0660\u0660",
        "9" * 400,
        "0",
    ],
)
def test_case_13_a_time_that_is_stale_ahead_or_none_is_refused(stamp: str) -> None:
    refused = request("v3", signed_3(b"[]", stamp), b"[]", headers={"X-HubSpot-Request-Timestamp": stamp})
    with pytest.raises(SignatureError) as caught:
        hubspot().verify(refused)
    assert caught.value.stable_code == "timestamp"


def test_case_13_an_older_signature_beside_a_stale_one_does_not_help() -> None:
    plain = hashlib.sha256(SECRET.encode() + b"[]").hexdigest()
    beside = {"X-HubSpot-Signature": plain, "X-HubSpot-Signature-Version": "v1"}
    hubspot().verify(request("v3", signed_3(b"[]"), b"[]", headers=beside))
    stale = {**beside, "X-HubSpot-Request-Timestamp": str(int(STAMP) - 300_001)}
    with pytest.raises(SignatureError):
        hubspot().verify(request("v3", signed_3(b"[]", stale["X-HubSpot-Request-Timestamp"]), b"[]", headers=stale))
    with pytest.raises(SignatureError):
        hubspot().verify(request("v3", "wrong", b"[]", headers=beside))


@pytest.mark.parametrize("version", ["", "v9", "V2"])
def test_a_version_that_is_not_said_is_found_out(version: str) -> None:
    workflow = next(one for one in VECTORS["vectors"] if one["version"] == "v2")
    headers = {"X-HubSpot-Signature-Version": version}
    hubspot().verify(request("v2", workflow["signature"], workflow["body"].encode(), headers=headers))


def test_a_signature_counts_only_for_the_version_it_says() -> None:
    plain = hashlib.sha256(SECRET.encode() + b"[]").hexdigest()
    with pytest.raises(SignatureError):
        hubspot().verify(request("v2", plain, b"[]"))


@pytest.mark.parametrize("signature", ["", "00", "x" * 64, "é" * 64, "0" * 64, "0" * 100_000])
@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_a_signature_that_is_none_is_refused(version: str, signature: str) -> None:
    with pytest.raises(SignatureError):
        hubspot().verify(request(version, signature, b"[]"))


def test_both_secrets_are_accepted_while_the_secret_is_changed() -> None:
    for number, one in enumerate(VECTORS["vectors"]):
        changed = hubspot(client_secret="the-next-client-secret", previous_client_secret=SECRET)
        changed.verify(vector(number))
        with pytest.raises(SignatureError):
            hubspot(client_secret="the-next-client-secret").verify(vector(number))
        assert one["signature"]


def test_a_refusal_names_the_public_address_but_not_the_path_with_its_token() -> None:
    with pytest.raises(SignatureError, match=r"https://certificates\.example,") as caught:
        hubspot().verify(request("v2", "00", b"{}", f"{URL}/a-secret-token"))
    assert "a-secret-token" not in str(caught.value)


# -- an API key instead ----------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [KEY, f"Bearer {KEY}", f"bearer {KEY}"])
def test_an_api_key_is_accepted_in_the_header_that_is_set(written: str) -> None:
    connector = hubspot(client_secret=None, api_key=KEY, api_key_header="Authorization")
    connector.verify(inbound(b"{}", {"Authorization": written}))


def test_both_keys_are_accepted_while_the_key_is_changed() -> None:
    connector = hubspot(client_secret=None, api_key="the-next-api-key", previous_api_key=KEY)
    for key in (KEY, "the-next-api-key"):
        connector.verify(inbound(b"{}", {"X-API-Key": key}))


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "another-api-key"}, {"Authorization": KEY}])
def test_another_key_or_none_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureError) as caught:
        hubspot(client_secret=None, api_key=KEY).verify(inbound(b"{}", headers))
    assert KEY not in str(caught.value)


def test_one_source_may_take_signatures_and_keys() -> None:
    connector = hubspot(api_key=KEY)
    connector.verify(inbound(b"{}", {"X-API-Key": KEY}))
    connector.verify(vector(0))
    with pytest.raises(SignatureError):
        connector.verify(request("v1", "00", b"{}", headers={"X-API-Key": KEY}))


def test_a_sample_can_be_made_authentic_by_either() -> None:
    for connector in (hubspot(), hubspot(client_secret=None, api_key=KEY)):
        made = connector.sign(b"{}", {"X-API-Key": "old", "X-HubSpot-Signature-v3": "old"}, NOW)
        connector.verify(inbound(made.body, made.headers))


def test_the_address_must_fit_as_well_where_it_holds_a_token() -> None:
    connector = hubspot(client_secret=None, api_key=KEY, url_token="address-token-1")
    connector.verify(inbound(b"{}", {"X-API-Key": KEY}, "address-token-1"))
    for token in (None, "address-token-2"):
        with pytest.raises(SignatureError, match="webhook address"):
            connector.verify(inbound(b"{}", {"X-API-Key": KEY}, token))


# -- when it is this side that cannot tell ------------------------------------------------------------------


def test_case_15_a_signed_request_waits_while_there_is_no_secret_to_check_it() -> None:
    with pytest.raises(UnavailableError, match="client_secret") as caught:
        hubspot(client_secret=None, api_key=KEY).verify(vector(0))
    assert caught.value.stable_code == "no_secret"


def test_case_15_any_request_waits_while_a_source_that_polls_has_no_secret_at_all() -> None:
    with pytest.raises(UnavailableError, match="client_secret or api_key"):
        hubspot(client_secret=None).verify(inbound(b"{}", {"X-API-Key": KEY}))


def test_case_15_a_request_with_a_key_waits_while_there_is_none_to_compare_it_with() -> None:
    with pytest.raises(UnavailableError, match="set api_key") as caught:
        hubspot().verify(inbound(b"{}", {"X-API-Key": KEY}))
    assert caught.value.stable_code == "no_secret"
    with pytest.raises(SignatureError):
        hubspot().verify(inbound(b"{}", {"Authorization": KEY}))
