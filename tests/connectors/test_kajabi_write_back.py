"""Writing certificate numbers to a contact of Kajabi: custom field, note, and last the tag that says "issued"."""

from __future__ import annotations

from typing import Any

import pytest
from routed_api import Route, RoutedApi
from scripted_api import Answer, Asked, KeptMemo, certificate
from test_kajabi_connector import CONTACT, TOKEN, contact, kajabi, parsed, tag
from test_kajabi_contacts import DETAILS, KNOWN_TAGS, MARKED, NOT_FOUND, TAGS, listed

from bridge.core.certificate_id import grouped
from bridge.core.connector import Receipt
from bridge.core.errors import HeldError, PermanentError, TemporaryError

NUMBER = grouped(certificate().id)
PATCH, NOTES = f"PATCH /contacts/{CONTACT}", "GET /contact_notes"
MEDIA_TYPE = "application/vnd.api+json"


def custom_field(title: str, handle: str = "custom_1", **more: Any) -> dict[str, Any]:
    return {"id": "5", "type": "custom_fields", "attributes": {"title": title, "handle": handle, **more}}


FIELDS: dict[str, Route] = {
    "GET /custom_fields": listed(custom_field("Company", "custom_2"), custom_field("Certificate ID"))
}


def shown(**attributes: Any) -> dict[str, Any]:
    return {"data": contact(**attributes)}


def step(name: str, state: str = "issued", event: Any = None) -> Any:
    steps = kajabi().write_back_steps(certificate(state), event or parsed())
    return next(one for one in steps if one.name == name)


def write(name: str, routes: dict[str, Route], state: str = "issued", memo: Any = None) -> tuple[Receipt, RoutedApi]:
    api = RoutedApi(kajabi(), routes)
    return kajabi().write_back(step(name), certificate(state), KeptMemo() if memo is None else memo, api), api


# -- what is planned -----------------------------------------------------------------------------------


def test_the_tag_comes_last_because_it_ends_the_poll() -> None:
    steps = kajabi().write_back_steps(certificate(), parsed())
    assert [one.name for one in steps] == ["field", "note", "issued_tag"]
    assert {one.lock_key for one in steps} == {f"contact:{CONTACT}"}
    assert [one.latest for one in steps] == [True, False, False]


def test_each_course_has_a_mark_of_its_own() -> None:
    other = parsed(contact(), tag("124", "completed: Fire Safety"))
    assert step("issued_tag").target["tag"] == "789"
    assert step("issued_tag", event=other).target["tag"] == "certificate: Fire Safety"


def test_only_what_is_switched_on_is_planned() -> None:
    bare = kajabi(write_back={"note": False}, tags={"123": None})
    assert bare.write_back_steps(certificate(), parsed()) == []


def test_a_revoked_certificate_changes_field_and_note_an_erased_one_the_field() -> None:
    plans = [kajabi().write_back_steps(certificate(state), parsed()) for state in ("revoked", "erased")]
    assert [[one.name for one in steps] for steps in plans] == [["field", "note"], ["field"]]


# -- the custom field ----------------------------------------------------------------------------------


def test_writes_the_number_under_the_handle_of_this_site_and_reads_it_back() -> None:
    found: list[Any] = [shown(custom_1=None), shown(custom_1=NUMBER)]
    receipt, api = write("field", {**FIELDS, DETAILS: found, PATCH: shown()})
    assert receipt.confirmed
    assert api.asked[0].query["filter[site_id]"] == "2"
    (patched,) = api.calls("PATCH")
    assert patched.json == {"data": {"type": "contacts", "id": CONTACT, "attributes": {"custom_1": NUMBER}}}
    assert api.headers[2] == {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}


def test_a_number_that_is_there_already_is_not_written_again() -> None:
    receipt, api = write("field", {**FIELDS, DETAILS: shown(custom_1=NUMBER)})
    assert receipt.confirmed
    assert api.calls("PATCH") == []


@pytest.mark.parametrize("state", ["issued", "revoked", "erased"])
def test_a_field_that_kajabi_does_not_show_is_neither_written_nor_said_to_be_right(state: str) -> None:
    api = RoutedApi(kajabi(), {**FIELDS, DETAILS: shown(), PATCH: shown(custom_1=NUMBER)})
    with pytest.raises(HeldError, match="does not show custom field 'Certificate ID'") as caught:
        kajabi().write_back(step("field"), certificate(state), KeptMemo(), api)
    assert (caught.value.stable_code, api.calls("PATCH")) == ("not_shown", [])
    assert "by hand" in str(caught.value)


def test_a_field_that_only_the_answer_to_the_change_shows_was_not_read_back() -> None:
    with pytest.raises(HeldError):
        write("field", {**FIELDS, DETAILS: [shown(custom_1=None), shown()], PATCH: shown(custom_1=NUMBER)})


def test_text_of_somebody_else_is_held_and_stays() -> None:
    with pytest.raises(HeldError, match="HR remark") as caught:
        write("field", {**FIELDS, DETAILS: shown(custom_1="HR remark")})
    assert caught.value.stable_code == "foreign_text"
    receipt, api = write("field", {**FIELDS, DETAILS: shown(custom_1="HR remark")}, "revoked")
    assert (receipt.confirmed, api.calls("PATCH")) == (True, [])


def test_a_number_that_does_not_stick_is_noticed() -> None:
    with pytest.raises(TemporaryError, match="does not show it"):
        write("field", {**FIELDS, DETAILS: shown(custom_1=None), PATCH: shown()})


@pytest.mark.parametrize(
    "fields", [[], [custom_field("certificate id", archived=True)], [custom_field("Company"), None]]
)
def test_case_10_a_field_that_is_not_there_is_named(fields: list[Any]) -> None:
    with pytest.raises(PermanentError, match="no custom field titled 'Certificate ID'") as caught:
        write("field", {"GET /custom_fields": listed(*fields)})
    assert caught.value.stable_code == "field_missing"


def test_case_10_two_fields_of_one_title_are_refused() -> None:
    twice = listed(custom_field("Certificate ID"), custom_field("Certificate ID", "custom_9"))
    with pytest.raises(PermanentError, match="2 custom fields"):
        write("field", {"GET /custom_fields": twice})


def test_case_10_a_handle_that_is_no_custom_field_is_never_written() -> None:
    with pytest.raises(PermanentError):
        write("field", {"GET /custom_fields": listed(custom_field("Certificate ID", "email"))})


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_revoked_number_leaves_the_field_and_another_one_stays(state: str) -> None:
    routes: dict[str, Route] = {**FIELDS, DETAILS: [shown(custom_1=NUMBER), shown(custom_1=None)], PATCH: shown()}
    _, api = write("field", routes, state)
    assert api.calls("PATCH")[0].json["data"]["attributes"] == {"custom_1": ""}
    for other in ("0000-0000-0000-00000", None):
        _, api = write("field", {**FIELDS, DETAILS: shown(custom_1=other)}, state)
        assert api.calls("PATCH") == []


def test_case_08_a_contact_that_is_gone_is_said_and_the_certificate_stays_valid() -> None:
    routes: dict[str, dict[str, Route]] = {
        "field": {**FIELDS, DETAILS: NOT_FOUND},
        "note": {NOTES: listed(), "POST /contact_notes": NOT_FOUND},
        "issued_tag": {TAGS: NOT_FOUND},
    }
    for name, answers in routes.items():
        with pytest.raises(PermanentError, match="stay valid") as caught:
            write(name, answers)
        assert caught.value.stable_code == "contact_gone"


# -- the note ------------------------------------------------------------------------------------------


def note(body: str, number: str = "31") -> dict[str, Any]:
    return {"id": number, "type": "contact_notes", "attributes": {"body": body}}


WRITTEN = note(f"Certificate {NUMBER} issued: https://certificates.example/c/{certificate().id}")


def test_writes_one_note_and_finds_it_again() -> None:
    notes: list[Any] = [listed(note("met at the fair")), listed(WRITTEN)]
    memo = KeptMemo()
    receipt, api = write("note", {NOTES: notes, "POST /contact_notes": {"data": WRITTEN}}, memo=memo)
    assert receipt.confirmed
    assert receipt.details == {"note": "31"}
    assert list(memo.values()) == ["31"]
    (posted,) = api.calls("POST")
    assert posted.json["data"]["attributes"]["body"] == WRITTEN["attributes"]["body"]
    assert posted.json["data"]["relationships"] == {"contact": {"data": {"type": "contacts", "id": CONTACT}}}
    assert api.asked[0].query["filter[contact_id]"] == CONTACT


def test_a_note_whose_answer_was_lost_is_found_and_not_repeated() -> None:
    receipt, api = write("note", {NOTES: listed(WRITTEN)})
    assert receipt.confirmed
    assert api.calls("POST") == []


def test_a_note_that_was_taken_is_not_sent_twice_while_kajabi_does_not_show_it() -> None:
    memo = KeptMemo()
    answers: list[Any] = [{"data": WRITTEN}]
    for _ in range(2):
        with pytest.raises(TemporaryError, match="does not show it"):
            write("note", {NOTES: listed(), "POST /contact_notes": answers}, memo=memo)
    assert answers == []


def test_notes_whose_text_is_not_shown_are_not_taken_for_others() -> None:
    hidden = {"id": "31", "type": "contact_notes", "attributes": {}}
    with pytest.raises(HeldError, match="the text of the notes") as caught:
        write("note", {NOTES: listed(hidden)})
    assert caught.value.stable_code == "not_shown"


def test_a_revocation_is_a_note_of_its_own() -> None:
    revoked = note(WRITTEN["attributes"]["body"].replace("issued", "revoked"), "32")
    notes: list[Any] = [listed(WRITTEN), listed(WRITTEN, revoked)]
    receipt, _ = write("note", {NOTES: notes, "POST /contact_notes": {"data": revoked}}, "revoked")
    assert receipt.details == {"note": "32"}


# -- the tag -------------------------------------------------------------------------------------------


def related(*tags: str) -> dict[str, Any]:
    return {"data": [{"type": "contact_tags", "id": number} for number in tags]}


def test_adds_the_mark_and_reads_it_back() -> None:
    receipt, api = write("issued_tag", {TAGS: [related("123"), related("123", "789")], f"POST {TAGS[4:]}": related()})
    assert receipt.confirmed
    assert api.calls("POST")[0].json == {"data": [{"type": "contact_tags", "id": "789"}]}


def test_a_mark_that_is_there_already_is_not_added_again() -> None:
    assert write("issued_tag", {TAGS: related("123", "789")})[1].calls("POST") == []


def test_a_mark_that_does_not_stick_is_noticed() -> None:
    with pytest.raises(TemporaryError, match="does not show it"):
        write("issued_tag", {TAGS: related("123"), f"POST {TAGS[4:]}": related()})


def test_a_mark_known_by_its_name_is_looked_up_on_this_site() -> None:
    connector = kajabi()
    other = step("issued_tag", event=parsed(contact(), tag("124", "completed: Fire Safety")))
    routes: dict[str, Route] = {"GET /contact_tags": listed(*KNOWN_TAGS, MARKED), TAGS: related("790")}
    assert connector.write_back(other, certificate(), KeptMemo(), RoutedApi(connector, routes)).details == {
        "tag": "790"
    }
    missing = RoutedApi(connector, {"GET /contact_tags": listed(*KNOWN_TAGS)})
    with pytest.raises(PermanentError, match="no tag 'certificate: Fire Safety'"):
        connector.write_back(other, certificate(), KeptMemo(), missing)


def test_the_mark_stays_when_the_certificate_was_revoked_meanwhile() -> None:
    receipt, api = write("issued_tag", {}, "revoked")
    assert (receipt.confirmed, api.asked) == (False, [])  # nobody has looked


# -- registering the webhook -----------------------------------------------------------------------------

ADDRESS = f"https://certificates.example/hooks/school/{TOKEN}"


def hook(resource: object, url: str = ADDRESS, site: str = "2", event: str = "tag_added") -> dict[str, Any]:
    return {
        "id": "61",
        "type": "hooks",
        "attributes": {"target_url": url, "event": event, "resource_id": resource},
        "relationships": {"site": {"data": {"type": "sites", "id": site}}},
    }


def connected(hooks: Any, post: Any = None) -> tuple[list[Any], RoutedApi]:
    routes: dict[str, Route] = {"GET /contact_tags": listed(*KNOWN_TAGS, MARKED), "GET /hooks": hooks}
    api = RoutedApi(kajabi(), {**routes, "POST /hooks": post or {"data": hook(123)}})
    return list(kajabi().connect(api, ADDRESS)), api


def test_registers_one_webhook_for_each_tag_of_a_course() -> None:
    findings, api = connected(listed())
    assert [finding.level for finding in findings] == ["ok", "ok"]
    assert [asked.json["data"] for asked in api.calls("POST")] == [
        {
            "type": "hooks",
            "attributes": {"target_url": ADDRESS, "event": "tag_added", "resource_id": number},
            "relationships": {"site": {"data": {"type": "sites", "id": "2"}}},
        }
        for number in (123, 124)
    ]
    assert next(asked.query for asked in api.asked if asked.path == "/hooks")["filter[event_eq]"] == "tag_added"


@pytest.mark.parametrize("resource", [123, "123"])
def test_case_15_a_webhook_that_is_there_already_is_found_as_number_and_as_text(resource: object) -> None:
    _, api = connected(listed(hook(resource)))
    assert [asked.json["data"]["attributes"]["resource_id"] for asked in api.calls("POST")] == [124]


def test_a_webhook_for_all_tags_is_enough() -> None:
    assert connected(listed(hook(None)))[1].calls("POST") == []


@pytest.mark.parametrize(
    "other", [hook(None, "https://other.example/x"), hook(None, site="3"), hook(None, event="purchase")]
)
def test_a_webhook_of_somebody_else_is_not_ours(other: Any) -> None:
    assert len(connected(listed(other))[1].calls("POST")) == 2


@pytest.mark.parametrize("status", [400, 422])
def test_case_contracts_5_an_id_is_sent_as_the_schema_says_and_as_the_example_does_where_that_is_refused(
    status: int,
) -> None:
    def answer(asked: Asked) -> Any:
        number = isinstance(asked.json["data"]["attributes"]["resource_id"], int)
        return Answer({"errors": [{"title": "Invalid"}]}, status) if number else {"data": hook(1)}

    _, api = connected(listed(), answer)
    assert [asked.json["data"]["attributes"]["resource_id"] for asked in api.calls("POST")] == [123, "123", 124, "124"]


def test_a_webhook_that_does_not_show_its_tag_is_not_taken_for_one_of_all_tags() -> None:
    bare = hook(123)
    del bare["attributes"]["resource_id"]
    with pytest.raises(PermanentError, match="does not show for which tag webhook 61"):
        connected(listed(bare))
    assert "error" in diagnosed(hooks=listed(bare)).values()


def test_a_plan_without_webhooks_is_said() -> None:
    with pytest.raises(PermanentError, match="plan"):
        connected(listed(), Answer({"errors": [{"title": "Forbidden"}]}, 403))


def test_a_tag_that_is_missing_is_said_beside_those_that_were_registered() -> None:
    routes: dict[str, Route] = {
        "GET /contact_tags": listed(tag()),
        "GET /hooks": listed(),
        "POST /hooks": {"data": hook(1)},
    }
    findings = list(kajabi().connect(RoutedApi(kajabi(), routes), ADDRESS))
    assert [finding.level for finding in findings] == ["ok", "error"]


# -- what doctor says ----------------------------------------------------------------------------------


def diagnosed(**changed: Route) -> dict[str, str]:
    names = {"tags": "GET /contact_tags", "hooks": "GET /hooks", "fields": "GET /custom_fields"}
    names |= {"contacts": "GET /contacts", "details": DETAILS}
    routes: dict[str, Route] = {
        "GET /contact_tags": listed(*KNOWN_TAGS, MARKED),
        "GET /hooks": listed(hook(None)),
        "GET /contacts": listed(contact()),
        DETAILS: shown(custom_1=None),
        **FIELDS,
        **{names[name]: route for name, route in changed.items()},
    }
    found = list(kajabi().diagnose(RoutedApi(kajabi(), routes)))
    assert TOKEN not in str(found)
    return {finding.message: finding.level for finding in found}


def test_everything_that_is_needed_is_looked_at() -> None:
    found = diagnosed()
    assert set(found.values()) == {"ok"}
    for part in ("5 tags", "Tag 123 is called 'completed: Safety Basics'", "custom_1", "webhook for tag 124"):
        assert any(part in message for message in found), part


@pytest.mark.parametrize(("contacts", "level"), [([], "warning"), ([contact()], "error")])
def test_doctor_looks_whether_a_contact_shows_the_field(contacts: list[Any], level: str) -> None:
    found = diagnosed(contacts=listed(*contacts), details=shown())
    assert next(one for message, one in found.items() if "custom field 'Certificate ID'" in message) == level


def test_case_04_a_tag_that_is_missing_is_an_error() -> None:
    text = next(message for message, level in diagnosed(tags=listed(tag(), tag("789"))).items() if level == "error")
    assert "'completed: fire safety'" in text
    assert "an id survives renaming" in text


def test_case_10_a_field_that_is_missing_is_an_error() -> None:
    assert "error" in diagnosed(fields=listed()).values()


def test_a_webhook_that_is_missing_is_a_warning_that_names_the_command() -> None:
    found = diagnosed(hooks=listed(hook(123)))
    assert [message for message, level in found.items() if level == "warning" and "sources connect" in message]


def test_case_09_a_refused_key_is_one_error() -> None:
    found = diagnosed(tags=Answer({"errors": [{"title": "Unauthorized"}]}, 401))
    assert list(found.values()) == ["error"]
