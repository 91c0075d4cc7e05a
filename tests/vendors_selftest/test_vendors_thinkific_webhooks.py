"""The webhooks of the Thinkific stand-in: registered as documented, and signed as the real ones are."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from vendors_selftest.asking import Answered, ask
from vendors_selftest.captures import differences

from bridge.demo.vendors.thinkific import ThinkificStandIn

BEARER = {"Authorization": "Bearer sample-thinkific-key"}
TARGET = "https://certificates.acme.example/hooks/school/SAMPLE-TOKEN"
WEBHOOK = {"topic": "enrollment.completed", "target_url": TARGET}
# The documented example of a webhook: ids and users are text, times have nanoseconds and an offset.
DOCUMENTED = {
    "id": "20200227213233625839530", "status": "active", "topic": "order.created",
    "created_at": "2020-02-27T21:32:33.62583953-05:00", "created_by": "156118",
    "updated_at": "2020-02-27T21:32:33.62583953-05:00", "updated_by": "156118", "target_url": "https://x.example/",
}  # fmt: skip
COMPLETED_AT = datetime(2026, 3, 1, 8, 30, 0, 250000, tzinfo=UTC)


@pytest.fixture
def thinkific() -> Iterator[ThinkificStandIn]:
    with ThinkificStandIn(clock=lambda: 1772354000.5) as stand_in:
        yield stand_in


def send(thinkific: ThinkificStandIn, method: str, path: str, body: object = None, **options: Any) -> Answered:
    return ask(thinkific, method, "/api/v2" + path, body, **{"headers": BEARER} | options)


def test_registers_a_webhook_in_the_documented_shape(thinkific: ThinkificStandIn) -> None:
    created = send(thinkific, "POST", "/webhooks", WEBHOOK)
    assert created.status == 201
    assert differences(DOCUMENTED, created.body) == []
    assert (created.body["topic"], created.body["target_url"]) == ("enrollment.completed", TARGET)
    assert len(created.body["id"]) == len(DOCUMENTED["id"])
    assert send(thinkific, "GET", f"/webhooks/{created.body['id']}").body == created.body


def test_lists_webhooks_by_next_and_limit(thinkific: ThinkificStandIn) -> None:
    for number in range(5):
        thinkific.webhooks.add("user.signup", f"{TARGET}/{number}")
    found, query = [], {"limit": "2"}
    while True:
        answer = send(thinkific, "GET", "/webhooks", query=query).body
        found += [one["target_url"][-1] for one in answer["items"]]
        if not answer["meta"]["page"]["has_next"]:
            break
        query["next"] = answer["meta"]["page"]["next_page"]
    assert found == ["0", "1", "2", "3", "4"]
    assert answer["meta"]["page"] == {"has_next": False, "next_page": "", "page_items": 1, "total_items": 5}


def test_registering_twice_makes_two(thinkific: ThinkificStandIn) -> None:
    numbers = {send(thinkific, "POST", "/webhooks", WEBHOOK).body["id"] for _ in range(2)}
    assert set(thinkific.webhooks.all) == numbers
    assert len(thinkific.complete(97473, COMPLETED_AT)) == 2


def test_changes_and_deletes_a_webhook(thinkific: ThinkificStandIn) -> None:
    number = send(thinkific, "POST", "/webhooks", WEBHOOK).body["id"]
    changed = send(thinkific, "PUT", f"/webhooks/{number}", WEBHOOK | {"topic": "order.created"})
    assert (changed.status, changed.body["topic"]) == (200, "order.created")
    assert thinkific.complete(97473, COMPLETED_AT) == []
    deleted = send(thinkific, "DELETE", f"/webhooks/{number}")
    assert (deleted.status, deleted.body) == (204, None)
    for method, body in (("GET", None), ("PUT", WEBHOOK), ("DELETE", None)):
        assert send(thinkific, method, f"/webhooks/{number}", body).status == 404


@pytest.mark.parametrize("secret", [None, "another secret"])
def test_a_completion_is_sent_signed_over_its_raw_bytes(secret: str | None) -> None:
    thinkific = ThinkificStandIn(signing_secret=secret)
    thinkific.webhooks.add("enrollment.completed", TARGET)
    thinkific.webhooks.add("enrollment.created", TARGET + "/other")
    thinkific.school.users[123457].last_name = "Żółć"
    (delivery,) = thinkific.complete(97473, COMPLETED_AT)
    key = (secret or thinkific.api_key).encode()
    assert delivery.url == TARGET
    assert delivery.headers == {
        "Content-Type": "application/json",
        "X-Thinkific-Hmac-Sha256": hmac.new(key, delivery.body, hashlib.sha256).hexdigest(),
        "X-Thinkific-Topic": "enrollment.completed",
        "X-Thinkific-Subdomain": "acme",
    }
    event = delivery.json()
    assert event["payload"]["completed_at"] == "2026-03-01T08:30:00.250Z"
    assert event["payload"]["user"]["last_name"] == "Żółć"
    assert event["id"].startswith("20260301033000")  # five hours behind


def test_keeps_the_event_for_those_who_ask_again(thinkific: ThinkificStandIn) -> None:
    thinkific.webhooks.add("enrollment.completed", TARGET)
    (delivery,) = thinkific.complete(97473, COMPLETED_AT)
    answer = send(thinkific, "GET", f"/events/{delivery.json()['id']}")
    assert answer.body["payload"] == delivery.json()["payload"]
    assert set(answer.body) == {"id", "resource", "action", "created_at", "payload"}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({**WEBHOOK, "topic": "course.completed"}, {"topic": "invalid format"}),
        ({**WEBHOOK, "topic": 5}, {"topic": "invalid format"}),
        ({**WEBHOOK, "target_url": TARGET.replace("https", "http")}, {"url": "is not valid"}),
        ({**WEBHOOK, "target_url": "https://localhost/hooks"}, {"url": "is not valid"}),
        ({**WEBHOOK, "target_url": "https://www.example.com/hooks"}, {"url": "is not valid"}),
        ({**WEBHOOK, "target_url": "https://acme.thinkific.com/hooks"}, {"url": "is not valid"}),
        ({**WEBHOOK, "target_url": None}, {"url": "is not valid"}),
        ({"topic": "enrollment.completed"}, {"target_url": "can't be blank"}),
        ({**WEBHOOK, "secret": "x"}, {"secret": ["is unknown"]}),
    ],
)
def test_says_what_is_wrong_with_a_webhook(thinkific: ThinkificStandIn, body: object, errors: object) -> None:
    answer = send(thinkific, "POST", "/webhooks", body)
    assert (answer.status, answer.body) == (422, {"errors": errors})
    assert len(thinkific.refused) == 1
    assert thinkific.webhooks.all == {}


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/webhooks", {"headers": {}}, 401),
        ("GET", "/webhooks", {"headers": {"X-Auth-API-Key": "sample-thinkific-key", "X-Auth-Subdomain": "acme"}}, 401),
        ("GET", "/webhooks", {"query": {"page": "1"}}, 400),
        ("GET", "/webhooks", {"query": {"next": "5"}}, 400),
        ("GET", "/webhooks", {"query": {"limit": "251"}}, 400),
        ("POST", "/webhooks", {"body": WEBHOOK, "kind": "application/x-www-form-urlencoded"}, 415),
        ("DELETE", "/webhooks/5", {"body": {"id": 5}}, 400),
        ("PATCH", "/webhooks/5", {"body": WEBHOOK}, 404),
    ],
)
def test_remembers_what_it_refused_and_why(
    thinkific: ThinkificStandIn, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    assert send(thinkific, method, path, **options).status == status
    (refused,) = thinkific.refused
    assert refused.reason
    assert thinkific.calls == []
