"""The webhooks of the Kajabi stand-in: registered as documented, sent with nothing that proves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vendors.kajabi import KajabiStandIn
from vendors_selftest.asking import Answered, ask
from vendors_selftest.captures import differences

JSON_API = "application/vnd.api+json"
TARGET = "https://certificates.acme.example/hooks/kajabi/SAMPLE-TOKEN"
SAFETY, FORKLIFT, ISSUED = "123", "124", "789"
RESOURCES = ["contacts", "contact_tags"]
# The vendor's sample of `tag_added`, shortened to its keys.
SAMPLE = {
    "id": "hash_id", "event": "tag_added",
    "payload": [
        {
            "id": "0", "type": "contacts",
            "attributes": {
                "name": "n", "email": "e", "address_line_1": None, "address_line_2": None, "address_city": None,
                "address_country": None, "address_state": None, "address_zip": None, "phone_number": None,
                "business_number": None, "subscribed": True, "external_user_id": None, "created_at": "t",
                "updated_at": "t",
            },
            "links": {"customer": ""}, "relationships": {"site": {"data": {"id": "2", "type": "sites"}}},
        },
        {
            "id": "0", "type": "contact_tags", "attributes": {"name": "Tag"},
            "relationships": {"site": {"data": {"id": "2", "type": "sites"}}},
        },
    ],
}  # fmt: skip


@pytest.fixture
def kajabi() -> Iterator[KajabiStandIn]:
    with KajabiStandIn(clock=lambda: 1772354000.0) as stand_in:
        yield stand_in


def send(kajabi: KajabiStandIn, method: str, path: str, body: object = None, **options: Any) -> Answered:
    _, granted = kajabi.tokens.grant(
        {
            "grant_type": "client_credentials",
            "client_id": kajabi.tokens.client_id,
            "client_secret": kajabi.tokens.client_secret,
        }
    )
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    return ask(kajabi, method, "/v1" + path, body, headers=headers, kind=JSON_API, **options)


def hook(**attributes: object) -> dict[str, Any]:
    wanted = {"target_url": TARGET, "event": "tag_added"} | attributes
    site = {"site": {"data": {"type": "sites", "id": "2"}}}
    return {"data": {"type": "hooks", "attributes": wanted, "relationships": site}}


@pytest.mark.parametrize("resource", [123, "123"])
def test_registers_a_hook_for_one_tag_given_as_number_or_text(kajabi: KajabiStandIn, resource: object) -> None:
    kajabi.takes_text_ids = isinstance(resource, str)
    created = send(kajabi, "POST", "/hooks", hook(resource_id=resource))
    assert created.status == 201
    assert created.body["data"]["attributes"]["resource_id"] == 123
    number = created.body["data"]["id"]
    assert send(kajabi, "GET", f"/hooks/{number}").body == created.body
    assert len(kajabi.account.add_tag("457", SAFETY)) == 1
    assert kajabi.account.add_tag("457", FORKLIFT) == []


def test_lists_and_deletes_hooks(kajabi: KajabiStandIn) -> None:
    number = send(kajabi, "POST", "/hooks", hook()).body["data"]["id"]
    send(kajabi, "POST", "/hooks", hook(event="tag_removed"))
    listed = send(kajabi, "GET", "/hooks", query={"filter[event_eq]": "tag_added"}).body
    assert [one["id"] for one in listed["data"]] == [number]
    deleted = send(kajabi, "DELETE", f"/hooks/{number}")
    assert (deleted.status, deleted.body) == (204, None)
    assert kajabi.account.add_tag("457", SAFETY) == []


def test_a_tag_is_told_in_the_shape_of_the_vendors_sample(kajabi: KajabiStandIn) -> None:
    kajabi.account.add_hook(TARGET)
    (delivery,) = kajabi.account.add_tag("457", SAFETY)
    assert (delivery.url, delivery.headers) == (TARGET, {"Content-Type": "application/json"})
    event = delivery.json()
    assert differences(SAMPLE, event) == []
    assert [one["id"] for one in event["payload"]] == ["457", SAFETY]
    assert event["payload"][0]["attributes"]["name"] == "maria.silva"


def test_the_resources_come_in_any_order(kajabi: KajabiStandIn) -> None:
    kajabi.account.add_hook(TARGET)
    kajabi.account.tag_first = True
    (delivery,) = kajabi.account.add_tag("457", SAFETY)
    assert [one["type"] for one in delivery.json()["payload"]] == RESOURCES[::-1]


def test_two_tags_of_one_contact_have_the_same_envelope_id(kajabi: KajabiStandIn) -> None:
    kajabi.account.add_hook(TARGET)
    first, second = (kajabi.account.add_tag("457", tag)[0].json() for tag in (SAFETY, FORKLIFT))
    assert first["id"] == second["id"]
    assert first["payload"] != second["payload"]


def test_a_tag_may_go_and_come_back(kajabi: KajabiStandIn) -> None:
    kajabi.account.add_hook(TARGET)
    kajabi.account.add_hook(TARGET, "tag_removed")
    kajabi.account.add_tag("457", SAFETY)
    assert kajabi.account.add_tag("457", SAFETY) == []  # it is there already
    (removed,) = kajabi.account.remove_tag("457", SAFETY)
    assert removed.json()["event"] == "tag_removed"
    assert len(kajabi.account.add_tag("457", SAFETY)) == 1


def test_our_own_tag_is_told_as_well(kajabi: KajabiStandIn) -> None:
    kajabi.account.add_hook(TARGET)
    send(kajabi, "POST", "/contacts/457/relationships/tags", {"data": [{"type": "contact_tags", "id": ISSUED}]})
    (delivery,) = kajabi.account.sent
    assert delivery.json()["payload"][1]["id"] == ISSUED


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (hook(event="course.completed"), 422, "/data/attributes/event"),
        (hook(target_url="http://certificates.acme.example/"), 422, "/data/attributes/target_url"),
        (hook(resource_id="completed"), 422, "/data/attributes/resource_id"),
        (hook(secret="x"), 400, "/data/attributes"),
        ({"data": hook()["data"] | {"relationships": {}}}, 400, "/data/relationships"),
        ({"data": hook()["data"] | {"type": "webhooks"}}, 400, "/data"),
        (hook()["data"], 400, "/data"),
    ],
)
def test_says_where_a_hook_is_wrong(kajabi: KajabiStandIn, body: object, status: int, pointer: str) -> None:
    answer = send(kajabi, "POST", "/hooks", body)
    assert answer.status == status
    assert answer.body["errors"][0]["source"] == {"pointer": pointer}
    assert len(kajabi.refused) == 1
    assert kajabi.account.hooks == {}
