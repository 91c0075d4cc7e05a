"""Teachable through a whole bridge: unsigned webhooks that are asked back, a sweep on a budget, one text to write to.

The numbers of the cases are those of the pain list that the connector was built from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flow.rig import Rig
from flow.rig_vendors_b import ADDRESS_TOKEN, NOON, Place, number, teachable
from vendors.faults import Mode
from vendors.teachable import TeachableStandIn
from vendors.teachable_school import Student, TeachableCourse

from bridge.core import certificate_id
from bridge.core.models import State

School = Place[TeachableStandIn]
DANA, MARIA, NAMELESS = 15747624, 15747625, 15747626
SAFETY, FORKLIFT = 302950, 302951


@pytest.fixture
def school(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """A school with one webhook; Dana completed Safety Basics in February, and nobody was told."""
    with teachable(rig, monkeypatch) as made:
        made.vendor.school.add_webhook(made.address)
        yield made


def completes(school: School, user: int = DANA, course: int = FORKLIFT, **ago: float) -> None:
    """Lets somebody complete a course, and Teachable tell of it."""
    at = school.clock.ago(**(ago or {"minutes": 1}))
    assert all(answer.status == 200 for answer in school.deliver(school.vendor.school.complete(user, course, at)))


def completes_unheard(school: School, user: int = DANA, course: int = FORKLIFT, **ago: float) -> None:
    """Lets somebody complete a course while the bridge cannot be reached."""
    school.vendor.school.complete(user, course, school.clock.ago(**(ago or {"hours": 2})), answered=503)


def src(school: School, user: int = DANA) -> str | None:
    """Returns what Teachable shows as the sign-up source."""
    with school.vendor.lock:
        return school.vendor.school.users[user].src


# -- from webhook to write-back ------------------------------------------------------------------


def test_case_01_a_webhook_becomes_a_certificate_a_mail_and_the_number_in_src(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with teachable(any_rig, monkeypatch) as school, school.running() as rig:
        school.vendor.school.add_webhook(school.address, as_array=True)
        completes(school)
        school.assert_loop_closed()
        said = rig.certificate().version.data
        assert (said.recipient.name, said.recipient.email) == ("Dana Okafor", "dana@example.invalid")
        assert (said.course.title, said.completed_on) == ("Forklift Operator", NOON.date())
        assert src(school) == f"cert:{number(rig)}"


def test_nothing_is_written_to_a_learner_unless_somebody_asked_for_it(school: School) -> None:
    school.set("write_back", None)
    with school.running() as rig:
        completes(school)
        assert rig.certificate().certificate.state == "issued"
        assert (school.steps(), src(school)) == ([], None)
        assert not school.vendor.named("PATCH")


def test_case_07_and_14_two_webhooks_to_one_address_tell_of_one_completion(school: School) -> None:
    school.vendor.school.add_webhook(school.address, "All events", as_array=True)
    with school.running() as rig:
        completes(school)
        assert rig.event().deliveries == 2
        school.assert_loop_closed()


def test_case_09_a_bundle_brings_a_certificate_for_each_course_and_the_latest_number_stays(school: School) -> None:
    bundle = school.vendor.school
    bundle.enrol(MARIA, FORKLIFT, school.clock.ago(days=9))
    bundle.users[MARIA].src = None
    told = [bundle.complete(MARIA, course, school.clock.ago(minutes=5))[0].json() for course in (SAFETY, FORKLIFT)]
    with school.running() as rig:
        rig.post("teachable", json.dumps(told).encode(), token=ADDRESS_TOKEN)
        school.settle()
        school.assert_loop_closed(2)
        ours = {f"cert:{certificate_id.grouped(hit.certificate.id)}" for hit in rig.certificates()}
        assert src(school, MARIA) in ours


def test_case_10_an_event_without_the_time_of_completion_gets_it_from_the_api(school: School) -> None:
    school.vendor.school.bare_events = True
    with school.running() as rig:
        completes(school, days=3)
        school.assert_loop_closed()
        assert rig.certificate().version.data.completed_on == NOON.date() - timedelta(days=3)


def test_case_13_a_description_of_a_megabyte_is_taken_and_not_kept(school: School) -> None:
    school.vendor.school.add(TeachableCourse(FORKLIFT, "Forklift Operator", description="<p>wordy</p>" * 75_000))
    with school.running() as rig:
        completes(school)
        school.assert_loop_closed()
        row = rig.event()
        assert "wordy" not in str((row.event, row.record))


def test_case_02_and_05_other_events_are_answered_200_and_ask_nobody(school: School) -> None:
    vendor = school.vendor.school
    vendor.add_webhook(school.address, "All events")
    reasons = {
        "Enrollment.created": "A learner was enrolled; nothing is completed yet.",
        "enrollment.disabled": "A learner was unenrolled; certificates stay valid.",
        "User.updated": "A user's profile changed; certbridge causes this itself when it writes a number.",
    }
    with school.running() as rig:
        for kind, reason in reasons.items():
            (answer,) = school.deliver(vendor.deliveries(kind, vendor.enrolments[DANA, FORKLIFT], NOON))
            assert (answer.status, answer.json()["reason"]) == (200, reason)
        assert rig.certificates() == []
        assert school.vendor.calls == []


# -- is it true ----------------------------------------------------------------------------------


def test_case_03_and_04_a_forged_webhook_is_refused_and_the_token_is_written_nowhere(
    school: School, caplog: pytest.LogCaptureFixture
) -> None:
    (real,) = school.vendor.school.complete(DANA, FORKLIFT, NOON)
    with school.running() as rig:
        for token in (None, "another-token-of-24-chars"):
            assert rig.post("teachable", real.body, token=token).status == 401
        assert rig.request("POST", "/hooks/teachable?token=wrong", real.body).status == 401
        assert rig.events() == []
        # Some schools can only enter an address with a query; it proves as much, and is kept as little.
        assert rig.request("POST", f"/hooks/teachable?token={ADDRESS_TOKEN}", real.body).status == 200
        school.settle()
        school.assert_loop_closed()
        assert ADDRESS_TOKEN not in rig.dump()
        assert ADDRESS_TOKEN not in caplog.text


def test_case_03_fifty_five_per_cent_are_asked_again_for_half_an_hour_and_then_held(school: School) -> None:
    (forged,) = school.vendor.school.complete(MARIA, SAFETY, NOON)
    school.vendor.school.reopen(MARIA, SAFETY, percent=55)
    with school.running() as rig:
        school.deliver([forged])
        row = rig.event()
        assert (row.state, row.code) == (State.RETRYING, "unconfirmed")
        assert f"learner {MARIA} completed 55 % of course {SAFETY}" in (row.reason or "")
        for _ in range(6):
            school.tried_again()
        assert (rig.event().state, rig.event().attempts) == (State.HELD, 7)
        assert rig.certificates() == []
        # Maria gets to the end some time later: that is another completion, and a true one.
        school.vendor.school.users[MARIA].src = None
        completes(school, MARIA, SAFETY)
        school.assert_loop_closed()


def test_an_event_that_is_ahead_of_the_api_is_issued_as_soon_as_it_is_confirmed(school: School) -> None:
    at = school.clock.ago(seconds=5)
    (early,) = school.vendor.school.complete(DANA, FORKLIFT, at)
    school.vendor.school.reopen(DANA, FORKLIFT, percent=99)
    with school.running():
        school.deliver([early])
    school.vendor.school.complete(DANA, FORKLIFT, at)
    with school.running():
        school.tried_again()
        school.assert_loop_closed()


@pytest.mark.parametrize("policy", ["hold", "issue", "skip"])
def test_case_12_a_learner_who_was_unenrolled_meanwhile_is_decided_by_the_setting(school: School, policy: str) -> None:
    school.set("unenrolled", policy)
    told = school.vendor.school.complete(DANA, FORKLIFT, NOON)
    school.vendor.school.unenrol(DANA, FORKLIFT)
    with school.running() as rig:
        school.deliver(told)
        row = rig.event()
        if policy == "skip":
            assert (row.state, rig.certificates()) == (State.IGNORED, [])
            assert "unenrolled" in (row.reason or "")
            return
        if policy == "hold":
            assert (row.state, row.code) == (State.HELD, "hold_if")
            assert "was unenrolled before certbridge could ask" in (row.reason or "")
            school.command("events", "release", str(row.id), "--reason", "checked with the trainer")
        school.assert_loop_closed()


def test_case_08_a_learner_without_a_name_waits_for_somebody_who_knows_it(school: School) -> None:
    with school.running() as rig:
        completes(school, NAMELESS, SAFETY)
        row = rig.event()
        assert row.state is State.HELD
        assert "name" in (row.reason or "")
        name = "recipient.name=Nadia Silva"
        school.command("events", "release", str(row.id), "--set", name, "--reason", "asked her")
        assert rig.certificate().version.data.recipient.name == "Nadia Silva"
        school.assert_loop_closed()


@pytest.mark.parametrize(("again", "codes"), [("reuse", ["issued", "reused"]), ("renew", ["issued", "issued"])])
def test_case_11_new_lectures_that_make_somebody_complete_the_course_again(
    school: School, again: str, codes: list[str]
) -> None:
    school.rig.mapping("teachable", f"extends: teachable\nother_courses: issue\nevery_course: {{again: {again}}}\n")
    with school.running() as rig:
        completes(school, days=20)
        school.vendor.school.reopen(DANA, FORKLIFT, percent=92)
        completes(school)
        assert [row.code for row in rig.events()] == codes
        school.assert_loop_closed(codes.count("issued"))
        newest = rig.certificates()[-1].certificate.id
        assert src(school) == f"cert:{certificate_id.grouped(newest)}"


# -- the sweep -----------------------------------------------------------------------------------


def test_case_06_webhook_and_sweep_in_any_order_and_a_restart_make_one_certificate_and_one_mail(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with teachable(any_rig, monkeypatch, sweep_courses=[str(FORKLIFT)]) as school:
        school.vendor.school.add_webhook(school.address)
        with school.running():
            completes(school)
            assert school.poll().new == ()
        told = school.vendor.school.complete(DANA, FORKLIFT, NOON - timedelta(minutes=1))
        with school.running():
            school.clock.forward(days=1)
            assert school.poll().new == ()
            school.deliver(told)
            school.assert_loop_closed()


def test_a_webhook_that_comes_after_the_sweep_finds_the_certificate_made(school: School) -> None:
    told = school.vendor.school.complete(DANA, FORKLIFT, school.clock.ago(minutes=1))
    with school.running() as rig:
        assert len(school.poll().new) == 2
        school.deliver(told)
        assert [row.code for row in rig.events()] == ["issued", "issued", "already_issued"]
        school.assert_loop_closed(2)


def test_case_17_a_webhook_that_was_switched_off_is_noticed_and_the_next_look_finds_what_it_lost(
    school: School,
) -> None:
    with school.running() as rig:
        completes(school, course=SAFETY)
        school.poll()
        school.vendor.calls.clear()
        # Nothing was lost: between two sweeps a look costs two requests.
        school.clock.forward(hours=6)
        assert school.poll().new == ()
        assert len(school.vendor.calls) == 2
        school.clock.forward(hours=1)
        completes_unheard(school, minutes=30)
        advice = "switched off by Teachable because its deliveries failed"
        assert advice in school.command("doctor", "teachable", fails=True)
        told = school.command("poll", "teachable")
        assert "1 new (1 of them no webhook told of)" in told
        school.settle()
        school.assert_loop_closed(2)
        assert school.reconciled() == [{"source": "teachable", "events": [rig.events()[-1].id], "count": 1}]


def test_a_sweep_keeps_within_its_budget_and_goes_on_the_next_day_after_a_restart(school: School) -> None:
    vendor = school.vendor.school
    for course in range(400001, 400014):
        vendor.add(TeachableCourse(course, f"Course {course}"))
        vendor.enrol(DANA, course, school.clock.ago(days=30))
    completes_unheard(school, course=400001)
    completes_unheard(school, course=400013)
    school.set("calls_per_day", 10)
    listed = []
    with school.running():
        listed.append(len(school.poll().new))
        assert school.poll().new == ()
        assert len(school.vendor.named("GET /v1/courses")) - len(school.vendor.named("progress")) == 10
    # A course that is deleted while the sweep sleeps ends nothing.
    vendor.delete_course(400012)
    school.clock.forward(days=1)
    with school.running():
        listed.append(len(school.poll().new))
        assert listed == [2, 1]
        assert len(school.vendor.named("/enrollments")) == 15
        school.assert_loop_closed(3)
        assert school.row().cursor["cursor"]["swept"].startswith("2026-11-23")


def test_a_look_into_the_past_says_where_the_budget_ended_before_the_list(school: School) -> None:
    vendor = school.vendor.school
    for course in range(400001, 400014):
        vendor.add(TeachableCourse(course, f"Course {course}"))
        vendor.enrol(MARIA, course, school.clock.ago(days=300))
    completes_unheard(school, MARIA, course=400001, days=200)
    completes_unheard(school, MARIA, course=400013, days=200)
    school.set("since", "2026-11-20")
    school.set("calls_per_day", 10)
    looking = ("past", "teachable", "--since", "2025-11-01")
    with school.running():
        said = school.command(*looking)
        assert "Course 400001" in said
        assert "Course 400013" not in said
        assert "This list is not whole: teachable may make no more requests today" in said
        # A poll says so, too, and goes on the next day.
        assert "Not everything was looked at yet" in school.command("poll", "teachable")
    school.set("calls_per_day", 40)
    with school.running():
        said = school.command(*looking)
        assert "Course 400013" in said
        assert "not whole" not in said
        assert "Not everything" not in school.command("poll", "teachable")


def test_case_15_a_pager_that_claims_zero_rows_is_not_believed(school: School) -> None:
    vendor = school.vendor.school
    school.vendor.totals_are_zero = True
    for learner in range(1, 46):
        vendor.add(Student(learner, f"Learner {learner}", f"learner{learner}@example.invalid"))
        vendor.enrol(learner, FORKLIFT, school.clock.ago(days=60 - learner))
    completes_unheard(school, 45)
    with school.running():
        assert len(school.poll().new) == 2
        school.assert_loop_closed(2)


def test_a_completion_before_the_start_line_is_left_for_somebody_to_choose(school: School) -> None:
    school.set("since", "2026-11-01")
    with school.running():
        polled = school.poll()
        assert (polled.new, polled.older) == ((), 0)
        assert "Dana Okafor" in school.command("past", "teachable", "--since", "2026-01-01")
        school.command("past", "teachable", "--since", "2026-01-01", "--issue", "all", "--yes")
        school.assert_loop_closed()


def test_a_burst_is_held_above_the_number_that_is_usual_and_released_by_a_person(school: School) -> None:
    school.set("hold_above", 2)
    school.rig.set("limits.workers", 1)
    vendor = school.vendor.school
    for learner in range(1, 5):
        vendor.add(Student(learner, f"Learner Number{learner}", f"learner{learner}@example.invalid"))
        vendor.enrol(learner, FORKLIFT, school.clock.ago(days=9))
        completes_unheard(school, learner)
    with school.running() as rig:
        assert len(school.poll().new) == 5
        held = [row for row in rig.events() if row.state is State.HELD]
        assert [row.code for row in held] == ["flood"] * 3
        school.command(
            "events", "release", "--code", "flood", "--source", "teachable", "--yes", "--reason", "an exam day"
        )
        school.assert_loop_closed(5)


# -- Teachable in trouble ------------------------------------------------------------------------


def test_case_16_too_many_requests_let_the_source_rest_as_long_as_teachable_says(school: School) -> None:
    school.vendor.per_minute = 1
    with school.running() as rig:
        completes(school)
        assert (rig.event().state, rig.event().code) == (State.RETRYING, "http_429")
        assert 50 < (school.rests_for() or 0) <= 61
        school.vendor.per_minute = 100
        school.tried_again()
        school.assert_loop_closed()


def test_case_16_a_month_that_is_used_up_is_said_and_waited_for(school: School) -> None:
    school.vendor.quota = 0
    with school.running() as rig:
        completes(school)
        assert "the school's monthly quota is used up" in (rig.event().reason or "")
        assert 5.9 * 3600 < (school.rests_for() or 0) <= 6 * 3600
        # A poll keeps the rest as well, and says why.
        asked = len(school.vendor.calls)
        assert "quota is used up" in str(school.fails_to_poll())
        assert len(school.vendor.calls) == asked
        school.vendor.quota = None
        school.tried_again(hours=7)
        assert len(school.poll().new) == 1
        school.assert_loop_closed(2)


@pytest.mark.parametrize(("mode", "code"), [("503-html", "http_503"), ("html-200", "not_json"), ("drop", "connection")])
def test_a_teachable_in_trouble_is_asked_again(school: School, mode: Mode, code: str) -> None:
    school.faults.next(1, mode, "/progress")
    school.faults.next(1, mode, "PATCH")
    with school.running() as rig:
        completes(school)
        assert (rig.event().state, rig.event().code) == (State.RETRYING, code)
    with school.running():
        school.tried_again()
        school.tried_again()
        school.assert_loop_closed()
        assert not school.faults.pending


def test_a_teachable_that_is_silent_is_asked_again(school: School) -> None:
    school.rig.set("limits.read_seconds", 2)
    school.faults.next(1, "slow", "/users/", seconds=5)
    with school.running() as rig:
        completes(school)
        assert (rig.event().state, rig.event().code) == (State.RETRYING, "timeout")
        school.tried_again()
        school.assert_loop_closed()


def test_a_key_that_was_revoked_stops_everything_with_advice_until_there_is_a_new_one(school: School) -> None:
    school.set("api_key", "the-key-that-was-revoked")
    with school.running() as rig:
        completes(school)
        assert (rig.event().state, rig.event().code) == (State.FAILED, "http_401")
        assert "Teachable refused the API key" in school.command("doctor", "teachable", fails=True)
        assert "Teachable refused the API key" in str(school.fails_to_poll())
    school.vendor.refused.clear()
    school.set("api_key", school.vendor.api_key)
    with school.running() as rig:
        school.command("events", "replay", "--failed", "--source", "teachable", "--yes")
        school.assert_loop_closed()


def test_a_number_that_was_written_while_the_connection_broke_is_not_written_twice(school: School) -> None:
    school.faults.next(1, "commit-then-drop", "PATCH")
    with school.running():
        completes(school)
        assert school.steps() == [("src", State.RETRYING, "connection")]
        school.tried_again()
        school.assert_loop_closed()
        assert len(school.vendor.named("PATCH")) == 1


def test_a_sweep_that_broke_off_goes_on_where_it_was(school: School) -> None:
    completes_unheard(school)
    school.faults.next(1, "502", f"/{FORKLIFT}/enrollments")
    with school.running():
        assert school.fails_to_poll().stable_code == "http_502"
        assert len(school.rig.certificates()) == 1
    with school.running():
        school.clock.forward(minutes=10)
        polled = school.poll()
        assert len(polled.new) == 1
        school.assert_loop_closed(2)
        assert len(school.vendor.named(f"/{SAFETY}/enrollments")) == 1


def test_a_learner_who_was_deleted_before_certbridge_could_ask_fails_and_says_who(school: School) -> None:
    told = school.vendor.school.complete(DANA, FORKLIFT, NOON)
    del school.vendor.school.users[DANA]
    with school.running() as rig:
        school.deliver(told)
        row = rig.event()
        assert (row.state, row.code) == (State.FAILED, "user_gone")
        assert row.reason == f"Teachable has no user {DANA} (any more)."


def test_a_learner_who_was_deleted_before_the_write_back_keeps_the_certificate(school: School) -> None:
    school.faults.next(1, "503-html", lambda call: call.method == "PATCH")
    with school.running() as rig:
        completes(school)
        del school.vendor.school.users[DANA]
        school.tried_again()
        assert school.steps() == [("src", State.FAILED, "user_gone")]
        assert rig.certificate().certificate.state == "issued"
        assert len(rig.mails()) == 1


def test_a_sign_up_source_that_is_set_is_left_alone_until_somebody_decides(school: School) -> None:
    with school.running() as rig:
        completes(school, MARIA, SAFETY)
        assert school.steps() == [("src", State.HELD, "foreign_text")]
        assert "spring-campaign" in (school.write_backs()[0].reason or "")
        assert "`write_back: {overwrite: yes}` replaces it" in (school.write_backs()[0].reason or "")
        assert src(school, MARIA) == "spring-campaign"
    school.set("write_back.overwrite", value=True)
    with school.running() as rig:
        school.command("outbox", "replay", "--held", "--yes")
        school.assert_loop_closed()
        assert src(school, MARIA) == f"cert:{number(rig)}"


def test_a_revoked_number_is_taken_out_again(school: School) -> None:
    with school.running() as rig:
        completes(school)
        identifier = number(rig)
        school.command("certificates", "revoke", identifier, "--yes", "--reason", "Issued to the wrong person")
        assert [state for _, state, _ in school.steps()] == [State.DONE, State.DONE]
        assert src(school) == ""


def test_case_contracts_1_a_sign_up_source_that_teachable_does_not_show_is_not_taken_for_an_empty_one(
    school: School,
) -> None:
    school.vendor.shows_src = False
    school.set("write_back.overwrite", value=False)
    with school.running() as rig:
        completes(school, MARIA, SAFETY)
        (row,) = school.write_backs()
        assert (row.state, row.code) == (State.HELD, "not_shown")
        assert "Teachable does not show the sign-up source (src) of user" in (row.reason or "")
        assert "`write_back: {src: no}`" in (row.reason or "")
        assert src(school, MARIA) == "spring-campaign"
        assert (school.vendor.named("PATCH"), len(rig.mails())) == ([], 1)
        assert "does not show the sign-up source (src)" in school.command("doctor", "teachable", fails=True)
        # A school whose answers do show it goes on where it was held.
        school.vendor.shows_src = True
        with school.vendor.lock:
            school.vendor.school.users[MARIA].src = None
        assert "Teachable shows the sign-up source (src)" in school.command("doctor", "teachable")
        school.command("outbox", "replay", "--held", "--yes")
        school.assert_loop_closed()
        assert src(school, MARIA) == f"cert:{number(rig)}"


@pytest.mark.parametrize("overwrite", [False, True])
def test_case_contracts_1_a_revocation_says_nothing_of_a_sign_up_source_that_was_not_seen(
    school: School, overwrite: bool
) -> None:
    school.set("write_back.overwrite", value=overwrite)
    with school.running() as rig:
        completes(school)
        school.vendor.shows_src = False
        school.command("certificates", "revoke", number(rig), "--yes", "--reason", "Issued to the wrong person")
        assert school.steps()[1] == ("src", State.HELD, "not_shown")
        assert "take it out by hand" in (school.write_backs()[1].reason or "")
        assert src(school) == f"cert:{number(rig)}"
        school.vendor.shows_src = True
        school.command("outbox", "replay", "--held", "--yes")
        assert src(school) == ""


def enrolled(school: School, learners: int, *, apart: float) -> None:
    """Enrols so many learners, so many seconds apart; the last one completed the course, and nobody was told."""
    vendor = school.vendor.school
    for learner in range(1, learners + 1):
        vendor.add(Student(learner, f"Ana Learner{learner}", f"learner{learner}@example.invalid"))
        vendor.enrol(learner, FORKLIFT, school.clock.ago(days=30, seconds=-apart * learner))
    completes_unheard(school, learners)


@pytest.mark.parametrize("pages_enrolments", [False, True])
@pytest.mark.parametrize(("apart", "totals_are_zero"), [(60, False), (0.2, True), (1, True)])
def test_case_contracts_3_a_sweep_goes_through_sixty_learners_by_what_teachable_describes(
    school: School, apart: float, totals_are_zero: bool, pages_enrolments: bool
) -> None:
    school.vendor.totals_are_zero, school.vendor.pages_enrolments = totals_are_zero, pages_enrolments
    enrolled(school, 60, apart=apart)
    with school.running():
        assert len(school.poll().new) == 2
        school.assert_loop_closed(2)
        lists = [dict(call.query) for call in school.vendor.named("/enrollments")]
        assert all(not {"page", "per"} & set(query) for query in lists)
        assert school.row().cursor["cursor"]["swept"]


def test_case_contracts_3_a_list_that_repeats_itself_is_an_error_and_the_course_does_not_count_as_swept(
    school: School,
) -> None:
    enrolled(school, 60, apart=0)
    completes_unheard(school, NAMELESS, SAFETY)
    with school.running() as rig:
        error = school.fails_to_poll()
        assert error.stable_code == "list"
        assert f"enrolments of course {FORKLIFT} does not go on" in str(error)
        assert "more than 20 learners were enrolled within one second" in str(error)
        assert "swept" not in school.row().cursor["cursor"]
        # The other course was looked at all the same, and the next poll tries again.
        assert [row.event.subject for row in rig.events()] == [str(DANA), str(NAMELESS)]
        assert "does not go on" in (school.poll_error() or "")
        school.vendor.pages_enrolments = True
        assert len(school.poll().new) == 1
        assert school.row().cursor["cursor"]["swept"]
        assert not school.vendor.refused


# -- what people do at the command line ----------------------------------------------------------


def test_an_admin_is_told_what_to_click_lists_the_courses_and_asks_about_one_learner(school: School) -> None:
    with school.running():
        told = school.command("sources", "connect", "teachable", fails=True)
        assert "Teachable has no API to register webhooks" in told
        assert school.address in told
        assert school.command("sources", "courses", "teachable") == (
            "courses: 302950: Safety Basics 302951: Forklift Operator"
        )
        assert "knows no completion of 'nobody@example.invalid'" in school.command(
            "sources", "ask", "teachable", "nobody@example.invalid"
        )
        school.command("sources", "ask", "teachable", "Dana@Example.invalid")
        school.assert_loop_closed()
        assert school.command("sources", "ask", "teachable", str(DANA))
        school.assert_loop_closed()
        assert "never sent anything yet" in school.command("doctor", "teachable")
        completes(school)
        assert "Webhook 77 works." in school.command("doctor", "teachable")
