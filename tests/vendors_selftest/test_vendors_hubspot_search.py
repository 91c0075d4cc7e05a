"""The HubSpot stand-in's search: every operator, its limits, and an index that lags behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from vendors.hubspot import HubSpotStandIn
from vendors_selftest.calls import Clock
from vendors_selftest.hubspot_calls import ADA, BEN, CONTACTS, NOBODY, ask, ids, search, send, where


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hubspot(clock: Clock) -> Iterator[HubSpotStandIn]:
    with HubSpotStandIn(clock=clock) as stand_in:
        yield stand_in


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (where("email", "EQ", value="ADA@example.org"), [ADA]),
        (where("email", "NEQ", value="ada@example.org"), [BEN]),
        (where("course_score", "LT", value="100"), [ADA]),
        (where("course_score", "LTE", value="92.5"), [ADA]),
        (where("course_score", "GT", value="92.5"), [BEN]),
        (where("course_score", "GTE", value="92.5"), [ADA, BEN]),
        (where("course_score", "BETWEEN", value="90", highValue="95"), [ADA]),
        (where("firstname", "IN", values=["ada", "eve"]), [ADA]),
        (where("firstname", "NOT_IN", values=["ada"]), [BEN]),
        (where("email", "HAS_PROPERTY"), [ADA, BEN]),
        (where("email", "NOT_HAS_PROPERTY"), [NOBODY]),
        (where("course_id", "NOT_HAS_PROPERTY"), [BEN]),
        (where("email", "CONTAINS_TOKEN", value="ben*"), [BEN]),
        (where("email", "NOT_CONTAINS_TOKEN", value="ben"), [ADA]),
        (where("course_completed_at", "GTE", value="1789948800000"), [ADA]),
        (where("course_completed_at", "LT", value="2026-09-21T02:00:00+02:00"), [BEN]),
    ],
)
def test_searches_with_every_operator(hubspot: HubSpotStandIn, condition: dict[str, Any], found: list[str]) -> None:
    hubspot.portal.set(ADA, course_score="92.5", course_completed_at="2026-09-21T00:00:00Z")
    hubspot.portal.set(BEN, course_score="100", course_completed_at="2026-09-20T23:59:59Z", course_id="")
    assert ids(search(hubspot, condition)) == found


def test_search_shows_what_was_asked_for_and_sorts(hubspot: HubSpotStandIn) -> None:
    sort = [{"propertyName": "hs_object_id", "direction": "DESCENDING"}]
    page = search(hubspot, sorts=sort, properties=["email", "nothing"])
    assert (page["total"], ids(page)) == (3, [NOBODY, BEN, ADA])
    assert set(page["results"][0]["properties"]) == {"email", "hs_object_id", "createdate", "lastmodifieddate"}
    assert page["results"][0]["properties"]["email"] is None


def test_search_pages_and_ends_without_next(hubspot: HubSpotStandIn) -> None:
    page = search(hubspot, limit=2)
    assert page["paging"] == {"next": {"after": "2"}}
    page = search(hubspot, limit="2", after="2")
    assert ids(page) == [NOBODY]
    assert "paging" not in page


def test_search_never_goes_beyond_its_cap(hubspot: HubSpotStandIn) -> None:
    assert send(hubspot, "POST", f"{CONTACTS}/search", {"limit": 200, "after": "9800"})[0] == 200
    status, found = send(hubspot, "POST", f"{CONTACTS}/search", {"limit": 200, "after": "9801"})
    assert (status, found["category"]) == (400, "VALIDATION_ERROR")
    assert "10000" in hubspot.refused[0].reason


def test_the_index_learns_of_a_change_a_moment_later(hubspot: HubSpotStandIn, clock: Clock) -> None:
    hubspot.search_lag = timedelta(seconds=30)
    hubspot.portal.set(ADA, course_id="forklift")
    assert search(hubspot, where("course_id", "EQ", value="forklift"))["total"] == 0
    assert search(hubspot, where("course_id", "EQ", value="safety-1"))["total"] == 3
    clock.later(seconds=30)
    assert ids(search(hubspot, where("course_id", "EQ", value="forklift"))) == [ADA]


def test_search_may_be_limited_to_so_many_a_second_and_sends_no_rate_headers(
    hubspot: HubSpotStandIn, clock: Clock
) -> None:
    hubspot.search_per_second = 2
    statuses = [send(hubspot, "POST", f"{CONTACTS}/search", {})[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    clock.later(seconds=1)
    found = ask(hubspot, "POST", f"{CONTACTS}/search", {})
    assert found.status == 200
    assert not [name for name in found.headers if "ratelimit" in name]
