"""A HubSpot token with no more than the guide's scopes: what cannot be seen is neither written over nor confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest
from flow.guide_rights import needed
from flow.rig import Rig
from flow.rig_hubspot import ADA, COMPLETED, DONE_AT, Hub, connected
from flow.test_flow_amend import correct

from bridge.core import certificate_id
from bridge.core.models import State

SCOPES = needed("hubspot", "scope")
BASIC = {scope for scope, what in SCOPES.items() if not what.startswith("only")}
SENSITIVE = {scope for scope in SCOPES if ".sensitive." in scope}
READ, WRITE = "crm.objects.contacts.sensitive.read", "crm.objects.contacts.sensitive.write"
NAMES = ("certificate_id", "certificate_url", "certificate_issued_at")
REMARK = "HR remark: keep me"

Connect = Callable[..., AbstractContextManager[Hub]]


@pytest.fixture
def connect(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """A connected account whose token has these scopes and no others."""

    @contextmanager
    def made(scopes: set[str], **settings: Any) -> Iterator[Hub]:
        with connected(rig, monkeypatch, **settings) as hub:
            hub.vendor.scopes = set(scopes)
            yield hub

    return made


def told(hub: Hub, at: str = DONE_AT, **more: str) -> str:
    """Reports a completion; returns the certificate's number."""
    hub.complete(at=at, **{"course_id": "safety-1", **more})
    hub.report(hub.happened(COMPLETED))
    return certificate_id.grouped(hub.rig.certificates()[-1].certificate.id)


def make_sensitive(hub: Hub) -> None:
    for name in NAMES:
        hub.portal.contact_properties[name] = replace(hub.portal.contact_properties[name], sensitivity="sensitive")


def both_courses_corrected_and_taken_back(hub: Hub) -> None:
    told(hub)
    second = told(hub, at="2026-11-22T09:00:00.000Z", course_id="fire-2")
    hub.assert_through()
    assert hub.shown("certificate_id") == second
    assert len(hub.notes()) == 2
    older, newer = (hit.certificate.id for hit in hub.rig.certificates())
    correct(hub.rig, newer, recipient__name="Ada Ornek")
    hub.revoke(older)
    assert [hub.shown(name) != "" for name in NAMES] == [True] * 3
    assert hub.shown("certificate_id") == second
    hub.revoke(newer)
    hub.assert_through()
    assert [hub.shown(name) for name in NAMES] == [""] * 3


def test_with_exactly_the_scopes_of_the_guide_everything_is_written_corrected_and_taken_back(connect: Connect) -> None:
    with connect(BASIC) as hub, hub.rig.running():
        both_courses_corrected_and_taken_back(hub)


def test_with_the_scopes_for_sensitive_data_that_is_written_and_taken_back_as_well(connect: Connect) -> None:
    with connect(BASIC | SENSITIVE) as hub, hub.rig.running():
        make_sensitive(hub)
        both_courses_corrected_and_taken_back(hub)


@pytest.mark.parametrize("scope", sorted(BASIC | SENSITIVE))
def test_a_scope_that_is_missing_is_named_and_nothing_is_called_done(connect: Connect, scope: str) -> None:
    with connect((BASIC | SENSITIVE) - {scope}) as hub, hub.rig.running():
        make_sensitive(hub)
        hub.complete(course_id="safety-1")
        hub.report(hub.happened(COMPLETED))
        rows = [*hub.rig.events(), *hub.write_backs()]
        (stopped,) = [row for row in rows if row.state in (State.FAILED, State.HELD) and row.code != "waits_for"]
        assert scope in (stopped.reason or "")
        assert [row.step for row in hub.write_backs() if row.state is State.DONE] == []
        assert [hub.shown(name) for name in NAMES] == [""] * 3
        errors = [one for one in diagnosed(hub) if scope in one]
        assert errors, diagnosed(hub)
        assert hub.refusals()


@pytest.mark.parametrize("answers", ["left_out", "redacted"])
@pytest.mark.parametrize("before", [{}, {"certificate_id": REMARK}])
def test_case_moodle_1_and_2_at_hubspot_a_hidden_property_is_neither_written_over_nor_called_right(
    connect: Connect, answers: Literal["left_out", "redacted"], before: dict[str, str]
) -> None:
    with connect(BASIC | SENSITIVE) as hub, hub.rig.running():
        told(hub)
        hub.assert_through()
        hub.portal.set(ADA, **{name: before.get(name, hub.shown(name)) for name in NAMES})
        held = [hub.shown(name) for name in NAMES]
        make_sensitive(hub)
        hub.vendor.scopes = set(BASIC)
        hub.vendor.sensitive_answers = answers
        hub.revoke(hub.rig.certificate().certificate.id)
        row = hub.step("contact_property")
        assert (row.state, row.code) == (State.HELD, "hidden")
        assert READ in (row.reason or "")
        assert WRITE in (row.reason or "")
        assert [hub.shown(name) for name in NAMES] == held
        hub.vendor.scopes = BASIC | SENSITIVE
        hub.resend(row.id)
        assert hub.shown("certificate_id") == before.get("certificate_id", "")


def test_foreign_text_always_stays(connect: Connect) -> None:
    with connect(BASIC) as hub, hub.rig.running():
        hub.portal.set(ADA, certificate_id=REMARK)
        told(hub)
        row = hub.step("contact_property")
        assert (row.state, row.code) == (State.HELD, "foreign_text")
        hub.revoke(hub.rig.certificate().certificate.id)
        assert hub.shown("certificate_id") == REMARK


def test_courses_with_numbers_of_their_own_share_the_link_and_the_day(connect: Connect) -> None:
    back = {"property_by_course": {"fire-2": "company"}, "url_property": "certificate_url", "issued_property": NAMES[2]}
    with connect(BASIC, write_back=back) as hub, hub.rig.running():
        first = told(hub)
        second = told(hub, at="2026-11-22T09:00:00.000Z", course_id="fire-2")
        hub.assert_through()
        assert (hub.shown("certificate_id"), hub.shown("company")) == (first, second)
        assert hub.shown("certificate_url").endswith(second)
        older, newer = (hit.certificate.id for hit in hub.rig.certificates())
        hub.revoke(older)
        assert (hub.shown("certificate_id"), hub.shown("company")) == ("", second)
        assert hub.shown("certificate_url").endswith(second)
        assert hub.shown("certificate_issued_at") != ""
        hub.revoke(newer)
        assert [hub.shown(name) for name in (*NAMES, "company")] == [""] * 4


def diagnosed(hub: Hub) -> list[str]:
    source = hub.rig.bridge.sources["hubspot"]
    found = source.connector.diagnose(hub.rig.bridge.api("hubspot"))
    return [one.message for one in found if one.level == "error"]
