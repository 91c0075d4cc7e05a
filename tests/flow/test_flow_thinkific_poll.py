"""Thinkific through a whole bridge: its webhook registered by command, and the poll that finds what got lost.

The numbers of the cases are those of the pain list that the connector was built from.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flow.rig import Rig
from flow.rig_vendors_b import NOON, Place, number, thinkific
from vendors.faults import Mode

from bridge.core import certificate_id
from bridge.core.models import State
from bridge.demo.vendors.json_vendor import Delivery
from bridge.demo.vendors.thinkific import ThinkificStandIn
from bridge.demo.vendors.thinkific_school import Definition, Enrolment

School = Place[ThinkificStandIn]
LUKASZ, MARIA = 123456, 123457
EARLIER, OF_LUKASZ, OF_MARIA = 97472, 97480, 97473


@pytest.fixture
def school(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """A site with a webhook to us; Łukasz completed a course on 20 November, before anybody listened."""
    with thinkific(rig, monkeypatch) as made:
        prepare(made)
        yield made


def prepare(school: School) -> None:
    school.set("since", "2026-11-21")
    school.vendor.webhooks.add("enrollment.completed", school.address)
    site = school.vendor.school
    site.courses[69] = "Crane Operator"
    site.enrolments[OF_LUKASZ] = Enrolment(OF_LUKASZ, LUKASZ, 69)


def unheard(school: School, enrolment: int = OF_LUKASZ, **ago: float) -> list[Delivery]:
    """Lets somebody reach 100 %; the webhook is on its way, or got lost."""
    return school.vendor.complete(enrolment, school.clock.ago(**(ago or {"hours": 1})).replace(microsecond=421_000))


def completes(school: School, enrolment: int = OF_LUKASZ, **ago: float) -> None:
    """Lets somebody reach 100 %, and Thinkific tell of it."""
    assert [answer.status for answer in school.deliver(unheard(school, enrolment, **ago))] == [200]


# -- registered by command -----------------------------------------------------------------------


def test_the_webhook_is_registered_once_and_what_it_brings_closes_the_loop(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with thinkific(any_rig, monkeypatch) as school, school.running() as rig:
        assert "Registered: Thinkific sends enrollment.completed" in school.command("sources", "connect", "thinkific")
        assert "to this address already" in school.command("sources", "connect", "thinkific")
        assert [hook.target_url for hook in school.vendor.webhooks.all.values()] == [school.address]
        completes(school, OF_MARIA)
        school.assert_loop_closed()
        assert rig.certificate().version.data.recipient.name == "Maria Silva"
        assert rig.fields(MARIA) == {"Certificate ID": number(rig)}


# -- the safety net ------------------------------------------------------------------------------


def test_a_webhook_that_got_lost_is_found_by_the_poll_and_told_as_reconciled(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with thinkific(any_rig, monkeypatch) as school:
        prepare(school)
        with school.running() as rig:
            completes(school, OF_MARIA, minutes=1)
            school.poll()
            school.clock.forward(hours=2)
            unheard(school)
            told = school.command("poll", "thinkific")
            assert "thinkific: 1 new (1 of them no webhook told of)" in told
            school.assert_loop_closed(2)
            said = rig.certificates()[-1].version.data
            # The list has one name only; first and last name are asked for.
            assert (said.recipient.name, said.course.title) == ("Łukasz Żółć-Dziewulski", "Crane Operator")
            assert rig.fields() == {"Team": "Warehouse North", "Certificate ID": number(rig)}
            assert school.reconciled() == [{"source": "thinkific", "events": [rig.events()[-1].id], "count": 1}]


def test_a_poll_a_minute_after_the_completion_calls_no_webhook_lost(school: School) -> None:
    with school.running():
        completes(school, OF_MARIA, minutes=30)
        school.poll()
        unheard(school, minutes=1)
        polled = school.poll()
        assert (len(polled.new), polled.lost) == (1, ())
        assert school.reconciled() == []


def test_webhook_and_poll_in_any_order_and_a_restart_make_one_certificate(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with thinkific(any_rig, monkeypatch) as school:
        prepare(school)
        with school.running():
            completes(school)
            assert school.poll().new == ()
        late = unheard(school, OF_MARIA)
        with school.running():
            assert len(school.poll().new) == 1
            school.deliver(late)
            assert school.poll().new == ()
            school.assert_loop_closed(2)


def test_a_source_is_asked_by_itself_as_soon_as_it_runs(school: School) -> None:
    school.set("poll_every", None)
    unheard(school)
    with school.running() as rig:
        rig.wait(lambda: school.row().cursor.get("ended_at"))
        school.settle()
        school.assert_loop_closed()


def test_a_filter_that_looks_at_the_day_only_loses_nothing(school: School) -> None:
    school.vendor.filters_by_day = True
    with school.running():
        school.poll()
        school.clock.forward(minutes=15)
        unheard(school, minutes=14)
        assert len(school.poll().new) == 1
        school.assert_loop_closed()


def test_a_long_list_that_breaks_off_is_read_again_from_the_start(school: School) -> None:
    site = school.vendor.school
    for enrolment in range(1, 256):  # changed lately, but completed before the start line
        site.enrolments[enrolment] = Enrolment(enrolment, MARIA, 68)
        site.complete(enrolment, school.clock.ago(days=3))
    site.enrolments[OF_LUKASZ] = site.enrolments.pop(OF_LUKASZ)
    unheard(school)
    school.faults.next(1, "502", lambda call: ("page", "2") in call.query)
    with school.running():
        assert school.fails_to_poll().stable_code == "http_502"
        assert "answered HTTP 502" in (school.poll_error() or "")
    with school.running():
        polled = school.poll()
        assert (len(polled.new), polled.older) == (1, 256)
        assert school.poll_error() is None
        school.assert_loop_closed()


# -- what a person decides -----------------------------------------------------------------------


def test_case_06_a_free_preview_waits_for_a_person_whichever_way_it_came(school: School) -> None:
    site = school.vendor.school
    site.enrolments[OF_LUKASZ].is_free_trial = site.enrolments[OF_MARIA].is_free_trial = True
    with school.running() as rig:
        completes(school)
        unheard(school, OF_MARIA)
        school.poll()
        assert [(row.state, row.code) for row in rig.events()] == [(State.HELD, "hold_if")] * 2
        school.command("events", "release", str(rig.events()[0].id), "--reason", "a voucher")
        school.assert_loop_closed()


def test_case_03_completing_once_more_after_new_lessons_keeps_the_certificate(school: School) -> None:
    with school.running() as rig:
        completes(school, days=1)
        unheard(school, minutes=20)
        school.poll()
        assert [row.code for row in rig.events()] == ["issued", "reused"]
        school.assert_loop_closed()


def test_case_03_with_renew_the_poll_brings_the_second_one_and_its_number_stands_in_the_field(school: School) -> None:
    school.rig.mapping("thinkific", "extends: thinkific\nother_courses: issue\nevery_course: {again: renew}\n")
    with school.running() as rig:
        completes(school, days=1)
        unheard(school, minutes=20)
        school.poll()
        school.assert_loop_closed(2)
        assert rig.fields()["Certificate ID"] == number(rig)


def test_case_12_a_learner_who_was_deleted_before_the_poll_is_held_whatever_else_the_school_holds(
    school: School,
) -> None:
    school.rig.mapping(
        "thinkific", "extends: thinkific\nother_courses: issue\nevery_course: {hold_if: {email: ends with .example}}\n"
    )
    unheard(school)
    del school.vendor.school.users[LUKASZ]
    with school.running() as rig:
        school.poll()
        assert (rig.event().state, rig.event().code) == (State.HELD, "hold_if")
        assert "The learner's account was deleted in Thinkific since." in (rig.event().reason or "")
        assert rig.certificates() == []


def test_case_10_and_11_the_courses_of_a_bundle_have_fields_of_their_own_and_the_name_of_the_day(
    school: School,
) -> None:
    site = school.vendor.school
    site.definitions[9] = Definition(9, "Certificate Crane")
    site.enrolments[97481] = Enrolment(97481, LUKASZ, 68)
    school.set("profile_field_by_course", {"69": "Certificate Crane"})
    told = [*unheard(school), *unheard(school, 97481)]
    site.courses[69] = "Crane Operator 2027"
    with school.running() as rig:
        school.deliver(told)
        school.assert_loop_closed(2)
        by_title = {
            hit.version.data.course.title: certificate_id.grouped(hit.certificate.id) for hit in rig.certificates()
        }
        assert rig.fields() == {
            "Team": "Warehouse North",
            "Certificate Crane": by_title["Crane Operator"],
            "Certificate ID": by_title["Forklift Operator"],
        }


# -- Thinkific in trouble ------------------------------------------------------------------------


def test_case_18_too_many_requests_let_the_source_rest_until_the_time_that_thinkific_names(school: School) -> None:
    school.faults.next(1, "429-reset-ms", "/enrollments", seconds=90)
    school.faults.next(1, "429-reset", "/custom_profile_field_definitions", seconds=90)
    unheard(school)
    with school.running():
        assert school.fails_to_poll().stable_code == "http_429"
        assert 80 < (school.rests_for() or 0) <= 91
        school.clock.forward(seconds=60)
        assert not school.due()
        school.clock.forward(minutes=15)
        assert school.due()
        school.poll()
        assert school.steps() == [("profile_field", State.RETRYING, "http_429")]
        school.tried_again()
        school.assert_loop_closed()


@pytest.mark.parametrize(("mode", "code"), [("html-200", "not_json"), ("drop", "connection")])
def test_a_thinkific_in_trouble_is_asked_again(school: School, mode: Mode, code: str) -> None:
    school.faults.next(1, mode, "/enrollments")
    school.faults.next(1, mode, f"GET /api/public/v1/users/{LUKASZ}")
    unheard(school)
    with school.running() as rig:
        assert school.fails_to_poll().stable_code == code
        school.poll()
        assert (rig.event().state, rig.event().code) == (State.RETRYING, code)
        school.tried_again()
        school.assert_loop_closed()
        assert not school.faults.pending


def test_a_number_that_was_written_while_the_connection_broke_is_not_written_twice(school: School) -> None:
    school.faults.next(1, "commit-then-drop", "PUT")
    with school.running() as rig:
        completes(school)
        assert school.steps() == [("profile_field", State.RETRYING, "connection")]
    with school.running() as rig:
        school.tried_again()
        school.assert_loop_closed()
        assert len(school.vendor.named("PUT")) == 1
        assert rig.fields() == {"Team": "Warehouse North", "Certificate ID": number(rig)}


def test_a_profile_with_a_required_field_that_is_empty_is_refused_in_thinkifics_words(school: School) -> None:
    school.vendor.insists = True
    school.vendor.school.definitions[10] = Definition(10, "Employee number", required=True)
    with school.running() as rig:
        completes(school)
        (row,) = school.write_backs()
        assert (row.state, row.code) == (State.FAILED, "http_422")
        assert "Employee number can't be blank" in (row.reason or "")
        assert rig.certificate().certificate.state == "issued"


def test_case_14_a_plan_without_the_api_is_said_and_not_tried_for_a_day(school: School) -> None:
    school.vendor.plan_has_api = False
    with school.running() as rig:
        completes(school)
        assert school.steps() == [("profile_field", State.FAILED, "http_403")]
        assert "not available on your plan" in str(school.fails_to_poll())
        assert "not available on your plan" in school.command("doctor", "thinkific", fails=True)
        assert len(rig.mails()) == 1
        school.vendor.plan_has_api = True
        school.command("outbox", "replay", "--failed", "--yes")
        school.assert_loop_closed()


def test_case_15_a_new_api_key_makes_webhooks_and_polls_fail_until_both_are_set_and_nothing_is_lost(
    school: School,
) -> None:
    with school.running() as rig:
        completes(school, OF_MARIA, hours=3)
        school.poll()
        school.vendor.api_key = "thinkific-api-key-renewed"
        (answer,) = school.deliver(unheard(school))
        assert answer.status == 401
        assert "set both `api_key` and `signing_secret` anew" in str(school.fails_to_poll())
        assert len(rig.certificates()) == 1
    school.vendor.refused.clear()
    for setting in ("api_key", "signing_secret"):
        school.set(setting, "thinkific-api-key-renewed")
    with school.running():
        assert len(school.poll().lost) == 1
        school.assert_loop_closed(2)


# -- what people do at the command line ----------------------------------------------------------


def test_an_admin_lists_the_courses_asks_about_one_learner_and_tries_everything(school: School) -> None:
    school.set("since", "2026-01-01")
    with school.running() as rig:
        assert "68: Forklift Operator 69: Crane Operator" in school.command("sources", "courses", "thinkific")
        told = school.command("doctor", "thinkific")
        assert "Enrolments can be read with this key." in told
        assert "has a custom profile field labelled 'Certificate ID'" in told
        assert "knows no completion" in school.command("sources", "ask", "thinkific", "maria.silva@example.com")
        school.command("sources", "ask", "thinkific", "LUKASZ@example.invalid")
        school.command("sources", "ask", "thinkific", str(LUKASZ))
        school.assert_loop_closed()
        assert rig.certificate().version.data.completed_on < NOON.date()
        del school.vendor.school.definitions[8]
        assert "has no custom profile field labelled" in school.command("doctor", "thinkific", fails=True)
