"""The connector for Kajabi on bodies written after its own samples; case numbers are those of our notes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract import DEFAULTS, NOW, SAMPLES, Case, ConnectorContract, inbound
from pydantic import ValidationError
from routed_api import RoutedApi
from scripted_api import Answer

from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, PermanentError, SignatureError, TemporaryError
from bridge.core.models import Outcome, SourceEvent
from connectors.kajabi import Kajabi, KajabiSettings

TOKEN = "kajabi-test-address-token"
SETTINGS: dict[str, Any] = {
    "url_token": TOKEN,
    "client_id": "kajabi-test-client",
    "client_secret": "kajabi-test-client-secret",
    "site_id": "2",
    "tags": {"123": "789", "completed: fire safety": "certificate: Fire Safety"},
    "write_back": {"field": "Certificate ID"},
}
CONTACT, TAG = "456", "123"
TOKEN_URL = "https://api.kajabi.com/v1/oauth/token"


class TestKajabi(ConnectorContract):
    connector = "kajabi"
    settings = SETTINGS
    rotated = {"url_token": "the-next-address-token", "previous_url_token": TOKEN}
    signs_body = False

    def api(self, case: Case) -> ApiClient:
        return RoutedApi(self.build(), case.expected.get("api", {}))

    def enriched(self, case: Case) -> list[SourceEvent]:
        # Kajabi sends no time: the flow's own, of the arrival, is the only one there is.
        return [event.model_copy(update={"received_at": NOW}) for event in super().enriched(case)]


def kajabi(**changes: Any) -> Kajabi:
    return Kajabi(KajabiSettings.model_validate({**SETTINGS, **changes}))


def sample(case: str = "tag_added") -> dict[str, Any]:
    """Returns the body of a sample."""
    found: dict[str, Any] = json.loads((SAMPLES / "kajabi" / f"{case}.SYNTHETIC" / "body").read_bytes())
    return found


def contact(number: object = CONTACT, **attributes: Any) -> dict[str, Any]:
    """Returns a contact as Kajabi writes it."""
    found = sample()["payload"][0]
    return {**found, "id": number, "attributes": {**found["attributes"], **attributes}}


def tag(number: object = TAG, name: object = "completed: Safety Basics") -> dict[str, Any]:
    return {**sample()["payload"][1], "id": number, "attributes": {"name": name}}


def events(*payload: Any, event: str = "tag_added", **envelope: Any) -> list[SourceEvent]:
    body = {"id": "hash_id", "event": event, "payload": list(payload), **envelope}
    return list(kajabi().parse(inbound(json.dumps(body).encode(), {}, TOKEN)))


def parsed(*payload: Any, event: str = "tag_added") -> SourceEvent:
    (found,) = events(*(payload or (contact(), tag())), event=event)
    return found


def outcome(event: SourceEvent) -> Outcome:
    """Returns what the shipped mapping makes of an event that has just arrived."""
    arrived = event.model_copy(update={"received_at": NOW})
    decided: Outcome = TestKajabi().mapping().apply(arrived, defaults=DEFAULTS).outcome
    return decided


# -- who sent it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "", "kajabi-test-address-toke", "tökén"])
def test_case_12_a_forged_event_without_the_right_token_is_refused(token: str | None) -> None:
    with pytest.raises(SignatureError):
        kajabi().verify(inbound(json.dumps(sample()).encode(), {}, token))


# -- what it says ------------------------------------------------------------------------------------


def test_case_01_resources_are_found_by_their_type_in_any_order_beside_others() -> None:
    assert events(tag(), {"id": "1", "type": "sites"}, None, contact()) == events(contact(), tag())


@pytest.mark.parametrize("payload", [(), (contact(),), (tag(),), (contact(None), tag()), (contact(), tag(None))])
def test_case_01_a_missing_contact_or_tag_leaves_the_event_without_learner_and_course(payload: Any) -> None:
    (event,) = events(*payload)
    assert event.course is None
    assert event.keys == ()


def test_case_02_a_tag_that_is_added_again_is_the_same_completion() -> None:
    later = parsed(contact(updated_at="2027-01-01T00:00:00.000Z"), tag())
    assert later == parsed()
    assert later.keys == (f"tag:2:{CONTACT}:{TAG}",)


def test_case_02_a_tag_that_is_taken_away_is_another_event_about_the_same_completion() -> None:
    removed = parsed(event="tag_removed")
    assert removed.event_id != parsed().event_id
    assert removed.keys == parsed().keys
    assert outcome(removed).kind == "ignored"  # certificates stay valid unless the admin's mapping revokes


def test_case_04_a_renamed_tag_is_the_same_course() -> None:
    renamed = parsed(contact(), tag(TAG, "done: Safety"))
    assert renamed.course == parsed().course == TAG
    assert renamed.skip is None


def test_case_04_a_tag_known_by_its_name_is_found_whatever_its_capitals() -> None:
    assert parsed(contact(), tag("124", " Completed: FIRE safety ")).skip is None


def test_a_tag_that_stands_for_no_course_is_skipped_and_nobody_is_kept() -> None:
    event = parsed(contact(), tag("9", "newsletter"))
    assert event.skip
    assert "'newsletter'" in event.skip
    assert event.data == {}


def test_a_name_of_digits_is_an_id() -> None:
    assert parsed(contact(), tag("9", TAG)).skip


def test_case_07_a_contact_of_another_site_is_skipped() -> None:
    other = contact()
    other["relationships"] = {"site": {"data": {"type": "sites", "id": 3}}}
    event = parsed(other, tag())
    assert event.skip
    assert "site 3" in event.skip


def test_case_13_the_id_of_the_envelope_tells_nothing_apart() -> None:
    first, second = parsed(), parsed(contact(), tag("124", "completed: Fire Safety"))
    assert first.event_id != second.event_id
    assert not set(first.keys) & set(second.keys)


def test_several_contacts_in_one_body_are_several_events() -> None:
    assert [event.subject for event in events(contact("1"), contact("2"), tag())] == ["1", "2"]


@pytest.mark.parametrize("name", ["purchase.created", "purchase", "Form_Submission", "contact.celebrated"])
def test_case_14_other_events_are_no_errors_and_keep_nothing_about_people(name: str) -> None:
    (event,) = events(event=name, payload={"member_email": "dana@example.invalid"})
    assert event.data == {}
    assert event.subject is None


def test_case_14_an_object_where_a_list_should_be_is_read_as_an_event_without_a_learner() -> None:
    (event,) = events(payload={"member_email": "dana@example.invalid"})
    assert event.subject is None


@pytest.mark.parametrize("name", [None, 3, "", " ", "x" * 101])
def test_a_body_without_an_event_is_refused(name: Any) -> None:
    with pytest.raises(PayloadError, match="no webhook of Kajabi"):
        events(event=name)


@pytest.mark.parametrize("odd", ["../456", -1, True, 1.5, {}, "9" * 30])
def test_an_id_that_is_none_never_becomes_part_of_an_address(odd: object) -> None:
    assert parsed(contact(odd), tag()).subject is None


# -- how Kajabi refuses ------------------------------------------------------------------------------


def refused(status: int, answer: object = None, url: str = "https://api.kajabi.com/v1/contacts", **headers: str) -> Any:
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises((PermanentError, TemporaryError)) as caught:
        kajabi().check(ApiResponse(status, headers, raw, url))
    return caught.value


def test_a_refusal_repeats_the_words_of_kajabi() -> None:
    answer = {"errors": [{"status": "422", "title": "Invalid", "detail": "is taken", "source": {"pointer": "/data"}}]}
    assert "Invalid is taken /data" in str(refused(422, answer))
    for odd in ({"errors": [None, 3]}, {"errors": "x"}, [], b"<html>"):
        assert str(refused(422, odd)) == "Kajabi refused the values."


def test_case_09_a_key_that_was_rotated_is_permanent_and_says_where_to_make_a_new_one() -> None:
    error = refused(401, {"error": "invalid_client"}, TOKEN_URL)
    assert isinstance(error, PermanentError)
    assert "Public API" in str(error)
    assert "invalid_client" in str(error)


def test_case_09_a_token_that_is_refused_also_when_fresh_is_permanent() -> None:
    assert isinstance(refused(401, {"errors": []}), PermanentError)


def test_the_wait_that_kajabi_asks_for_is_kept() -> None:
    error = refused(429, b"", **{"retry-after": "12"})
    assert isinstance(error, TemporaryError)
    assert (error.stable_code, error.retry_after) == ("http_429", 12)


# -- how it is reached -------------------------------------------------------------------------------


def signed_in(answer: Any) -> Any:
    api = RoutedApi(kajabi(), {f"POST {TOKEN_URL}": answer})
    return kajabi().authenticate(api), api


def test_signs_in_with_a_form() -> None:
    access, api = signed_in({"access_token": "jwt", "token_type": "Bearer", "expires_in": 600})
    assert api.asked[0].form == {
        "grant_type": "client_credentials",
        "client_id": "kajabi-test-client",
        "client_secret": "kajabi-test-client-secret",
    }
    assert access.base_url == "https://api.kajabi.com/v1"
    assert access.headers == {"Authorization": "Bearer jwt"}
    assert access.expires_in == 600


@pytest.mark.parametrize("seconds", [None, "x", True, 0, -5])
def test_a_token_without_an_end_is_kept_for_two_hours(seconds: object) -> None:
    assert signed_in({"access_token": "jwt", "expires_in": seconds})[0].expires_in == 7200


@pytest.mark.parametrize("answer", [{}, {"access_token": None}, Answer(b"<html>")])
def test_a_sign_in_without_a_token_is_tried_again(answer: Any) -> None:
    with pytest.raises(TemporaryError):
        signed_in(answer)


@pytest.mark.parametrize(
    "changes",
    [
        {"url_token": "short"},
        {"client_secret": None},
        {"site_id": None},
        {"site_id": "school"},
        {"tags": {}},
        {"tags": {" ": None}},
        {"tags": {"1": "1"}},
        {"api_url": "api.kajabi.com"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kajabi(**changes)


def test_one_mark_for_two_courses_is_refused_because_it_would_hide_the_second() -> None:
    with pytest.raises(ValidationError, match="issued"):
        kajabi(tags={"1": "issued", "2": "Issued"})


def test_a_course_needs_no_mark() -> None:
    assert kajabi(tags={"1": None, "2": ""}).settings.tags == {"1": None, "2": None}
