"""Every fault, seen by our own client through a stand-in."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from vendors.faults import Faults

from bridge.clients.http import HttpClient
from bridge.core.connector import Access, ApiClient, ApiResponse, Connector, ConnectorSettings
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import InboundRequest, SignedRequest, SourceEvent
from bridge.demo.vendors.moodle import MoodleStandIn
from bridge.demo.vendors.thinkific import ThinkificStandIn

NOTE = [
    ("wstoken", "SAMPLE-TOKEN-WSUSER"),
    ("wsfunction", "core_notes_create_notes"),
    ("moodlewsrestformat", "json"),
    ("notes[0][userid]", "3"),
    ("notes[0][publishstate]", "course"),
    ("notes[0][courseid]", "2"),
    ("notes[0][text]", "Certificate"),
    ("notes[0][format]", "2"),
]


class Plain(Connector[ConnectorSettings]):
    """Reads statuses only."""

    name = "plain"
    title = "Vendor"
    docs_url = "https://vendor.example"
    Settings = ConnectorSettings
    event_types = frozenset({"done"})

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        super().__init__(ConnectorSettings())
        self._access = Access(base_url, headers)

    def verify(self, request: InboundRequest) -> None:
        return None

    def parse(self, request: InboundRequest) -> Sequence[SourceEvent]:
        return []

    def sign(self, body: bytes, headers: Mapping[str, str], now: datetime) -> SignedRequest:
        return SignedRequest(body, headers)

    def hosts(self) -> Sequence[str]:
        return ["127.0.0.1"]

    def authenticate(self, api: ApiClient) -> Access:
        return self._access


def client(base_url: str, headers: Mapping[str, str] | None = None, **options: Any) -> HttpClient:
    return HttpClient(Plain(base_url, headers or {}), allow_private=True, redactor=lambda text: text, **options)


@pytest.fixture
def moodle() -> Iterator[MoodleStandIn]:
    with MoodleStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def thinkific() -> Iterator[ThinkificStandIn]:
    with ThinkificStandIn() as stand_in:
        yield stand_in


def write_note(moodle: MoodleStandIn, **options: Any) -> ApiResponse:
    api = client(moodle.url, **options)
    try:
        return api.request("POST", "/webservice/rest/server.php", form=NOTE)
    finally:
        api.close()


def test_a_fault_is_used_up(moodle: MoodleStandIn) -> None:
    faults = Faults(moodle)
    faults.next(2, "500", match="core_notes")
    for _ in range(2):
        with pytest.raises(TemporaryError, match="HTTP 500"):
            write_note(moodle)
    assert write_note(moodle).json() == [{"noteid": 1}]
    assert faults.pending == []
    assert [mode for mode, _ in faults.met] == ["500", "500"]


def test_a_fault_waits_for_its_call(moodle: MoodleStandIn) -> None:
    faults = Faults(moodle)
    faults.next(1, "500", match=lambda call: "core_user" in call.name)
    write_note(moodle)
    assert faults.pending == ["500"]


def test_a_call_may_take_effect_without_an_answer(moodle: MoodleStandIn) -> None:
    Faults(moodle).next(1, "commit-then-drop")
    with pytest.raises(TemporaryError, match="broke off"):
        write_note(moodle)
    assert len(moodle.site.notes) == 1
    write_note(moodle)
    assert len(moodle.site.notes) == 2


def test_a_dropped_call_takes_no_effect(moodle: MoodleStandIn) -> None:
    Faults(moodle).next(1, "drop")
    with pytest.raises(TemporaryError, match="broke off"):
        write_note(moodle)
    assert moodle.site.notes == {}


def test_silence_and_drip_feed_and_endless_answers(moodle: MoodleStandIn) -> None:
    faults = Faults(moodle)
    faults.next(1, "slow", seconds=5)
    with pytest.raises(TemporaryError, match="sent nothing"):
        write_note(moodle, timeout=(1, 0.3))
    faults.next(1, "drip")
    with pytest.raises(TemporaryError, match="had not finished"):
        write_note(moodle, total_deadline=0.4)
    faults.next(1, "huge")
    with pytest.raises(TemporaryError, match="more than"):
        write_note(moodle, max_bytes=200_000)


@pytest.mark.parametrize("mode", ["html-200", "debug-before-json"])
def test_an_answer_may_be_no_json(moodle: MoodleStandIn, mode: Any) -> None:
    Faults(moodle).next(1, mode)
    with pytest.raises(ValueError):
        write_note(moodle).json()


@pytest.mark.parametrize("mode", ["dbconnectionfailed", "invalidtoken"])
def test_moodle_says_200_to_its_own_troubles(moodle: MoodleStandIn, mode: Any) -> None:
    Faults(moodle).next(1, mode)
    answer: Any = write_note(moodle).json()
    assert answer["errorcode"] == mode
    assert moodle.site.notes == {}


def test_maintenance_asks_for_five_minutes(moodle: MoodleStandIn) -> None:
    Faults(moodle).next(1, "503-html")
    with pytest.raises(TemporaryError) as caught:
        write_note(moodle)
    assert caught.value.retry_after == 300


def test_switched_off_web_services_are_an_empty_403(moodle: MoodleStandIn) -> None:
    Faults(moodle).next(1, "403-empty")
    with pytest.raises(PermanentError, match="403"):
        write_note(moodle)


def thinkific_client(thinkific: ThinkificStandIn) -> HttpClient:
    return client(thinkific.base_url, {"X-Auth-API-Key": thinkific.api_key, "X-Auth-Subdomain": thinkific.subdomain})


def test_a_401_goes_away_after_one_renewal(thinkific: ThinkificStandIn) -> None:
    faults = Faults(thinkific)
    faults.next(1, "401")
    assert thinkific_client(thinkific).request("GET", "/users/123456").status == 200
    assert faults.pending == []


def test_429_in_each_dialect(thinkific: ThinkificStandIn) -> None:
    seen: list[Any] = []
    api = thinkific_client(thinkific).observed_by(lambda _asked, answered, _seconds: seen.append(answered["headers"]))
    with Faults(thinkific) as faults:
        for mode in ("429", "429-reset", "429-reset-ms", "429-reset-in"):
            faults.next(1, mode, seconds=30)  # type: ignore[arg-type]
            with pytest.raises(TemporaryError, match="429"):
                api.request("GET", "/users/123456")
    assert seen[0]["retry-after"] == "30"
    assert "retry-after" not in seen[1]
    assert abs(int(seen[1]["ratelimit-reset"]) - time.time()) < 100
    assert abs(int(seen[2]["ratelimit-reset"]) / 1000 - time.time()) < 100
    assert seen[3]["ratelimit-reset"] == "30"
    assert api.request("GET", "/users/123456").status == 200


@pytest.mark.parametrize(
    ("mode", "status", "body", "headers"),
    [
        ("429-rolling", 429, {"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}, {}),
        ("429-daily", 429, {"errorType": "RATE_LIMIT", "policyName": "DAILY"}, {}),
        ("423", 423, {"category": "LOCKED"}, {}),
        ("477", 477, {"status": "error"}, {"Retry-After": "40"}),
        ("REQUEST_LIMIT_EXCEEDED", 403, {"errorCode": "REQUEST_LIMIT_EXCEEDED"}, {}),
        ("INVALID_SESSION_ID", 401, {"errorCode": "INVALID_SESSION_ID"}, {}),
        ("UNABLE_TO_LOCK_ROW", 400, {"errorCode": "UNABLE_TO_LOCK_ROW"}, {}),
        ("SERVER_UNAVAILABLE", 503, {"errorCode": "SERVER_UNAVAILABLE"}, {}),
    ],
)
def test_each_vendor_fails_in_its_own_words(
    thinkific: ThinkificStandIn, mode: Any, status: int, body: dict[str, str], headers: dict[str, str]
) -> None:
    Faults(thinkific).next(1, mode, seconds=40)
    connection = http.client.HTTPConnection("127.0.0.1", thinkific.port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        found = json.loads(answer.read())
    finally:
        connection.close()
    assert answer.status == status
    assert answer.getheader("Retry-After") == headers.get("Retry-After")
    assert body.items() <= (found[0] if isinstance(found, list) else found).items()


def test_a_maintenance_page_may_name_no_time(moodle: MoodleStandIn) -> None:
    Faults(moodle).next(1, "503-html-bare")
    with pytest.raises(TemporaryError) as caught:
        write_note(moodle)
    assert caught.value.retry_after is None


def test_two_stand_ins_live_side_by_side(moodle: MoodleStandIn, thinkific: ThinkificStandIn) -> None:
    Faults(moodle).next(1, "500")
    assert thinkific_client(thinkific).request("GET", "/users/123456").status == 200
    assert moodle.port != thinkific.port
