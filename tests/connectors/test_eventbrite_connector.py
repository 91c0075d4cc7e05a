"""The declared connector for Eventbrite: webhooks that only point, and attendees that are fetched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract import SAMPLES, Case, ConnectorContract, inbound, load
from scripted_api import Answer, ScriptedApi

from bridge.core.connector import ApiClient
from bridge.core.errors import PermanentError, UnconfirmedError

FOLDER = SAMPLES / "eventbrite" / "checked_in.SYNTHETIC"
ATTENDEE = json.loads((FOLDER / "expected.json").read_bytes())["attendee"]
URL = "https://www.eventbriteapi.com/v3/events/1234567890/attendees/987654321/"
SETTINGS = {"url_token": "eventbrite-test-url-token", "api_token": "eventbrite-api-token"}


class TestEventbrite(ConnectorContract):
    connector = "eventbrite"
    settings = SETTINGS
    rotated = {"url_token": "the-next-url-token", "previous_url_token": SETTINGS["url_token"]}
    signs_body = False
    admin = 'courses:\n  "1234567890": First Aid at Work\n'

    def api(self, case: Case) -> ApiClient:
        return ScriptedApi(self.build(), (f"GET {URL}", Answer(case.expected["attendee"])))


def eventbrite() -> Any:
    found = load("eventbrite")
    return found(found.Settings.model_validate(SETTINGS))


def pointing(url: object = URL, action: str = "barcode.checked_in") -> Any:
    body = {"api_url": url, "config": {"action": action, "webhook_id": "222"}}
    (event,) = eventbrite().parse(inbound(json.dumps(body).encode(), {}))
    return event


def fetched(**changes: Any) -> Any:
    connector = eventbrite()
    api = ScriptedApi(connector, (f"GET {URL}", Answer({**ATTENDEE, **changes})))
    return connector.enrich(pointing(), api)


def test_the_attendee_is_fetched_with_the_private_token() -> None:
    event = fetched()
    assert (event.subject, event.course, event.keys) == ("987654321", "1234567890", ("attendee:987654321",))
    access = eventbrite().authenticate(ScriptedApi(eventbrite()))
    assert access.headers == {"Authorization": "Bearer eventbrite-api-token"}
    assert eventbrite().hosts() == ("www.eventbriteapi.com",)


@pytest.mark.parametrize(
    "url",
    [
        "https://eventbriteapi.com/v3/x/",
        "https://www.eventbriteapi.com.evil.example/v3/x/",
        "https://www.eventbriteapi.com@evil.example/",
        "http://www.eventbriteapi.com/v3/x/",
        "https://169.254.169.254/latest/meta-data/",
        "https://www.eventbriteapi.com:444/",
    ],
)
def test_a_pointer_to_another_host_is_never_followed(url: str) -> None:
    with pytest.raises(PermanentError, match="was not called"):
        eventbrite().enrich(pointing(url), ScriptedApi(eventbrite()))


@pytest.mark.parametrize("state", [False, None, "no"])
def test_who_is_not_checked_in_is_asked_about_again_later(state: object) -> None:
    with pytest.raises(UnconfirmedError, match="checked in"):
        fetched(checked_in=state)


def test_attendees_of_one_order_with_one_address_are_several_learners() -> None:
    assert fetched().subject != fetched(id="987654322").subject


@pytest.mark.parametrize("change", [{"cancelled": True}, {"refunded": True}])
def test_a_cancelled_ticket_is_ignored_after_all(change: dict[str, bool]) -> None:
    assert fetched(**change).skip


def test_the_other_spelling_of_the_action_is_the_same() -> None:
    assert pointing(action="attendee.checked_in").event_id == pointing().event_id


def test_an_order_is_no_attendance() -> None:
    assert pointing(action="order.placed").skip
