"""The Kajabi stand-in against the shapes of the vendor's OpenAPI description, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from vendors.kajabi import KajabiStandIn
from vendors.kajabi_account import Contact, CustomField
from vendors_selftest.asking import Answered, ask
from vendors_selftest.captures import differences

JSON_API = "application/vnd.api+json"
FORM = "application/x-www-form-urlencoded"
SECRET = {
    "grant_type": "client_credentials",
    "client_id": "sample-kajabi-client",
    "client_secret": "sample-kajabi-secret",
}
COMPLETED, ISSUED = "123", "789"
TAGS = "/contacts/457/relationships/tags"

# The documented page of contacts (shortened to its keys), with the custom fields of its schema.
CONTACT = {
    "id": "456", "type": "contacts",
    "attributes": {
        "name": "n", "email": "e", "address_line_1": None, "address_line_2": None, "address_city": None,
        "address_country": None, "address_state": None, "address_zip": None, "phone_number": None,
        "business_number": None, "subscribed": True, "external_user_id": None, "created_at": "t", "updated_at": "t",
        "custom_1": None, "custom_2": None,
    },
    "links": {"customer": ""},
    "relationships": {"site": {"data": {"id": "2", "type": "sites"}}},
}  # fmt: skip
PAGE = {
    "data": [CONTACT], "links": {"self": "u", "first": "u", "prev": None, "next": None, "last": "u"},
    "meta": {"total_pages": 1, "total_count": 1, "current_page": 1},
}  # fmt: skip
ERROR = {"errors": [{"status": "422", "source": {"pointer": "/data/attributes/email"}, "title": "t", "detail": "d"}]}


@pytest.fixture
def now() -> list[float]:
    return [1772354000.0]


@pytest.fixture
def kajabi(now: list[float]) -> Iterator[KajabiStandIn]:
    with KajabiStandIn(clock=lambda: now[0]) as stand_in:
        yield stand_in


def token(kajabi: KajabiStandIn, form: dict[str, str] | None = None, *, kind: str = FORM) -> Answered:
    return ask(kajabi, "POST", "/v1/oauth/token", urlencode(form or SECRET).encode(), kind=kind)


def send(kajabi: KajabiStandIn, method: str, path: str, body: object = None, **options: Any) -> Answered:
    if "headers" not in options:
        options["headers"] = {"Authorization": f"Bearer {token(kajabi).body['access_token']}"}
    return ask(kajabi, method, "/v1" + path, body, **{"kind": JSON_API} | options)


# -- tokens --------------------------------------------------------------------------------------


def test_grants_a_token_for_the_secret_and_another_for_the_refresh_token(
    kajabi: KajabiStandIn, now: list[float]
) -> None:
    first = token(kajabi).body
    assert set(first) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (first["token_type"], first["expires_in"]) == ("Bearer", 7200)
    headers = {"Authorization": f"Bearer {first['access_token']}"}
    assert send(kajabi, "GET", "/sites", headers=headers).status == 200
    now[0] += 7200
    ended = send(kajabi, "GET", "/sites", headers=headers)
    assert (ended.status, ended.body["errors"][0]["status"]) == (401, "401")
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = token(kajabi, form).body
    assert send(kajabi, "GET", "/sites", headers={"Authorization": f"Bearer {second['access_token']}"}).status == 200
    assert kajabi.tokens.granted == ["client_credentials", "refresh_token"]


def test_a_rotated_key_ends_every_token(kajabi: KajabiStandIn) -> None:
    first = token(kajabi).body
    kajabi.tokens.rotate("another secret")
    assert send(kajabi, "GET", "/sites", headers={"Authorization": f"Bearer {first['access_token']}"}).status == 401
    answer = token(kajabi, {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})
    assert (answer.status, answer.body) == (401, {"error": "invalid_grant"})
    assert (token(kajabi).status, token(kajabi).body) == (401, {"error": "invalid_client"})


def test_may_say_nothing_about_the_lifetime(kajabi: KajabiStandIn) -> None:
    kajabi.tokens.tells_lifetime = False
    assert "expires_in" not in token(kajabi).body


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (SECRET, "application/json"),
        (SECRET | {"scope": "all"}, FORM),
        (SECRET | {"grant_type": "password"}, FORM),
        ({"grant_type": "client_credentials", "client_id": "sample-kajabi-client"}, FORM),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "y"}, FORM),
    ],
)
def test_refuses_a_token_request_that_is_not_as_documented(
    kajabi: KajabiStandIn, form: dict[str, str], kind: str
) -> None:
    answer = token(kajabi, form, kind=kind)
    assert answer.status == 400
    assert set(answer.body) == {"error"}
    assert len(kajabi.refused) == 1


# -- contacts ------------------------------------------------------------------------------------


def test_lists_contacts_in_the_documented_shape_newest_first(kajabi: KajabiStandIn) -> None:
    answer = send(kajabi, "GET", "/contacts")
    assert answer.headers["content-type"].startswith(JSON_API)
    assert differences(PAGE, answer.body) == []
    assert [one["id"] for one in answer.body["data"]] == ["458", "457", "456"]


def ids(kajabi: KajabiStandIn, **filters: str) -> list[str]:
    query = {f"filter[{name}]": value for name, value in filters.items()}
    return [one["id"] for one in send(kajabi, "GET", "/contacts", query=query | {"sort": "created_at"}).body["data"]]


def test_the_tags_are_a_queue_of_work(kajabi: KajabiStandIn) -> None:
    assert ids(kajabi, site_id="2", has_tag_id=COMPLETED, has_no_tag_id=ISSUED) == ["456"]
    kajabi.account.add_tag("456", ISSUED)
    assert ids(kajabi, site_id="2", has_tag_id=COMPLETED, has_no_tag_id=ISSUED) == []
    assert ids(kajabi, has_all_tag_id=f"{COMPLETED},{ISSUED}") == ["456"]


def test_filters_by_search_address_age_and_assessment(kajabi: KajabiStandIn) -> None:
    kajabi.account.contacts["458"].assessments["9"] = "failed"
    assert ids(kajabi, search="SILVA") == ["457"]
    assert ids(kajabi, email_contains="dana@") == ["456"]
    assert ids(kajabi, created_in_last="54") == ["457", "458"]
    assert ids(kajabi, completed_assessment_id="9") == ["458"]
    assert ids(kajabi, passed_assessment_id="9") == []


def test_pages_by_links(kajabi: KajabiStandIn) -> None:
    for number in range(600, 645):
        kajabi.account.add(Contact(str(number), "x", f"{number}@example.invalid"))
    kajabi.largest_page = 20
    target: str | None = "/v1/contacts?filter%5Bsite_id%5D=2&page%5Bsize%5D=100"
    seen: list[str] = []
    while target:
        parts = urlsplit(target)
        answer = send(kajabi, "GET", parts.path.removeprefix("/v1"), query=dict(parse_qsl(parts.query))).body
        seen += [one["id"] for one in answer["data"]]
        target = answer["links"]["next"]
    assert len(seen) == len(set(seen)) == 48
    assert answer["meta"] == {"total_pages": 3, "total_count": 48, "current_page": 3}


def test_with_several_sites_the_list_must_name_one(kajabi: KajabiStandIn) -> None:
    kajabi.account.sites["3"] = "Second Academy"
    kajabi.account.add(Contact("500", "Dana", "dana@example.invalid", site="3"))
    answer = send(kajabi, "GET", "/contacts")
    assert answer.status == 400
    assert "filter[site_id]" in answer.body["errors"][0]["detail"]
    assert ids(kajabi, site_id="3") == ["500"]
    assert [one["id"] for one in send(kajabi, "GET", "/sites").body["data"]] == ["2", "3"]


def test_addresses_are_lower_case_and_names_are_made_from_them(kajabi: KajabiStandIn) -> None:
    attributes = send(kajabi, "GET", "/contacts/457").body["data"]["attributes"]
    assert (attributes["email"], attributes["name"]) == ("maria.silva@example.invalid", "maria.silva")


def test_writes_a_custom_field_of_the_contacts_own_site(kajabi: KajabiStandIn) -> None:
    kajabi.account.add(CustomField("61", "custom_7", "Certificate ID", site="3"))
    change = {"data": {"type": "contacts", "id": "456", "attributes": {"custom_1": "CERT-1"}}}
    answer = send(kajabi, "PATCH", "/contacts/456", change)
    assert (answer.status, answer.body["data"]["attributes"]["custom_1"]) == (200, "CERT-1")
    assert kajabi.account.contacts["456"].custom == {"custom_1": "CERT-1"}
    change["data"]["attributes"] = {"custom_7": "CERT-1"}
    answer = send(kajabi, "PATCH", "/contacts/456", change)
    assert answer.status == 400
    assert differences(ERROR, answer.body) == []


def test_custom_fields_and_tags_are_found_by_their_names(kajabi: KajabiStandIn) -> None:
    (first, _) = send(kajabi, "GET", "/custom_fields", query={"filter[site_id]": "2"}).body["data"]
    assert first["attributes"] == {
        "title": "Certificate ID",
        "handle": "custom_1",
        "type": "TextField",
        "required": False,
    }
    (tag,) = send(kajabi, "GET", "/contact_tags", query={"filter[name_cont]": "ISSUED"}).body["data"]
    assert (tag["id"], tag["type"]) == (ISSUED, "contact_tags")
    assert send(kajabi, "GET", f"/contact_tags/{ISSUED}").body["data"] == tag
    courses = send(kajabi, "GET", "/courses", query={"filter[site_id]": "2"}).body["data"]
    assert [one["attributes"]["title"] for one in courses] == ["Safety Basics", "Forklift Operator"]


# -- tags and notes of a contact -----------------------------------------------------------------


def test_tags_are_added_and_taken_away(kajabi: KajabiStandIn) -> None:
    identifier = {"type": "contact_tags", "id": ISSUED}
    for _ in range(2):
        answer = send(kajabi, "POST", TAGS, {"data": [identifier]})
        assert (answer.status, answer.body) == (200, {"data": [identifier]})
    assert send(kajabi, "GET", TAGS).body == {"data": [identifier]}
    found = send(kajabi, "GET", "/contacts/457", query={"include": "tags"}).body
    assert found["data"]["relationships"]["tags"]["data"] == [identifier]
    assert found["included"][0]["attributes"] == {"name": "certificate issued"}
    assert send(kajabi, "DELETE", TAGS, {"data": [identifier]}).body == {"data": []}


def note_for(contact: str, body: str = "Certificate CERT-1") -> dict[str, Any]:
    related = {"contact": {"data": {"type": "contacts", "id": contact}}}
    return {"data": {"type": "contact_notes", "attributes": {"body": body}, "relationships": related}}


def test_notes_are_written_listed_and_changed(kajabi: KajabiStandIn) -> None:
    created = send(kajabi, "POST", "/contact_notes", note_for("457"))
    assert created.status == 201
    assert created.body["data"]["relationships"]["contact"]["data"] == {"id": "457", "type": "contacts"}
    send(kajabi, "POST", "/contact_notes", note_for("456"))
    (listed,) = send(kajabi, "GET", "/contact_notes", query={"filter[contact_id]": "457"}).body["data"]
    assert listed == created.body["data"]
    number = listed["id"]
    change = {"data": {"type": "contact_notes", "id": number, "attributes": {"body": "revoked"}}}
    assert send(kajabi, "PATCH", f"/contact_notes/{number}", change).body["data"]["attributes"]["body"] == "revoked"
    assert send(kajabi, "GET", f"/contact_notes/{number}").body["data"]["attributes"]["body"] == "revoked"


# -- what is not there, and what is refused ------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/contacts/9", None),
        ("PATCH", "/contacts/9", {"data": {"type": "contacts", "id": "9", "attributes": {}}}),
        ("GET", "/contacts/9/relationships/tags", None),
        ("POST", "/contacts/9/relationships/tags", {"data": [{"type": "contact_tags", "id": ISSUED}]}),
        ("POST", TAGS, {"data": [{"type": "contact_tags", "id": "9"}]}),
        ("GET", "/contact_notes/9", None),
        ("DELETE", "/hooks/9", None),
    ],
)
def test_what_is_not_there_is_a_404(kajabi: KajabiStandIn, method: str, path: str, body: object) -> None:
    answer = send(kajabi, method, path, body)
    assert (answer.status, answer.body["errors"][0]["status"]) == (404, "404")
    assert kajabi.refused == []


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/contacts", {"headers": {}}, 401),
        ("GET", "/contacts", {"headers": {"Authorization": "Basic x"}}, 401),
        ("GET", "/contacts", {"query": {"filter[email]": "x"}}, 400),
        ("GET", "/contacts", {"query": {"filter[updated_after]": "2026-01-01"}}, 400),
        ("GET", "/contacts", {"query": {"filter[has_tag_id]": "completed"}}, 400),
        ("GET", "/contacts", {"query": {"sort": "-updated_at"}}, 400),
        ("GET", "/contacts", {"query": {"page": "2"}}, 400),
        ("GET", "/contact_notes", {"query": {"page[size]": "101"}}, 400),
        ("POST", "/contact_tags", {"body": {"data": {"type": "contact_tags"}}}, 404),
        ("POST", "/contact_notes", {"body": note_for("457"), "kind": "application/json"}, 415),
        ("POST", "/contact_notes", {"body": note_for("9")}, 422),
        ("POST", "/contact_notes", {"body": note_for("457", "")}, 422),
        ("POST", "/contact_notes", {"body": {"body": "x"}}, 400),
        ("PATCH", "/contacts/457", {"body": {"data": {"type": "contacts", "attributes": {}}}}, 400),
        ("PATCH", "/contacts/457", {"body": {"data": {"type": "contacts", "id": "456", "attributes": {}}}}, 400),
        ("PATCH", "/contacts/457", {"body": {"custom_fields": {"custom_1": "x"}}}, 400),
        ("POST", TAGS, {"body": {"data": {"type": "contact_tags", "id": ISSUED}}}, 400),
        ("POST", TAGS, {"body": {"data": [{"type": "tags", "id": ISSUED}]}}, 400),
        ("POST", TAGS, {"body": {"data": [{"type": "contact_tags", "id": 789}]}}, 400),
    ],
)
def test_remembers_what_it_refused_and_why(
    kajabi: KajabiStandIn, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = send(kajabi, method, path, **options)
    assert answer.status == status
    assert answer.body["errors"][0]["status"] == str(status)
    (refused,) = kajabi.refused
    assert refused.reason
    assert kajabi.account.contacts["457"].tags == []
