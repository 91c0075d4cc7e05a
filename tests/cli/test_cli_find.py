"""Why did Maria get none? Each answer, from the real command."""

from __future__ import annotations

from cli_school import School, completed


def test_a_learner_with_a_certificate_is_told_from_the_first_event_to_the_last_mail(busy: School) -> None:
    result = busy.certbridge("find", "maria", "silva")
    assert result.exit_code == 0
    shown = result.output
    parts = (
        "Event 1 from school: enrollment.completed",
        "Certificate ",
        "https://certificates.acme.example/c/",
        "Mail to 1001@example.org",
        "Event 4 from school",
    )
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)


def test_a_held_learner_is_told_why_and_what_to_do(busy: School) -> None:
    shown = busy.certbridge("find", "1002@example.org").output
    assert "No certificate (yet)" in shown
    assert "X, Fire Safety: event 2 is held." in shown
    assert 'The name "X" looks incomplete' in shown
    assert "certbridge events release 2" in shown


def test_a_course_that_is_not_listed_is_the_reason(busy: School) -> None:
    shown = busy.certbridge("find", "knitting").output
    assert "Maria Silva, Knitting: event 4 is held. The course is not listed." in shown


def test_a_learner_of_whom_only_a_lesson_came_is_told_so(busy: School) -> None:
    shown = busy.certbridge("find", "Berg").output
    assert "No certificate (yet)" in shown
    assert "event 6 is ignored. One lesson was completed, not the course." in shown


def test_a_lesson_is_no_reason_where_there_is_a_certificate(school: School) -> None:
    school.arrives(completed("Nora", "Berg", user=2001))
    school.arrives(
        b'{"id":"l-1","resource":"lesson","action":"completed",'
        b'"payload":{"user":{"id":2001,"first_name":"Nora","last_name":"Berg"}}}'
    )
    shown = school.certbridge("find", "Berg").output
    assert "One lesson was completed" in shown
    assert "No certificate (yet)" not in shown


def test_a_learner_of_whom_nothing_came_is_told_who_was_refused(busy: School) -> None:
    result = busy.certbridge("find", "Nobody")
    assert result.exit_code == 0
    assert "Nothing is known about 'Nobody'." in result.output
    assert "school: last heard of 20" in result.output
    assert "Refused at the door" in result.output
    assert "The request is not signed" in result.output
    assert "203.0.113.9" in result.output
    assert "401" in result.output


def test_a_mistyped_certificate_id_is_recognised_as_one(busy: School) -> None:
    assert "it is mistyped" in busy.certbridge("find", "ABCD-EFGH-JKMN-PQRSU").output


def test_a_certificate_is_found_by_its_id(busy: School) -> None:
    certificates = busy.json("certificates", "list")
    assert isinstance(certificates, list)
    shown = busy.certbridge("find", certificates[0]["shown_id"].lower()).output
    assert "Maria Silva" in shown
    assert "Event 1 from school" in shown


def test_what_people_decided_stands_in_the_timeline(school: School) -> None:
    school.arrives(completed("X", ""))
    words = ("--set", "recipient.name=Xenia Novak", "--reason", "asked her")
    assert school.certbridge("events", "release", "1", *words).exit_code == 0
    certificates = school.json("certificates", "list")
    assert isinstance(certificates, list)
    identifier = certificates[0]["id"]
    assert school.certbridge("certificates", "revoke", identifier, "--reason", "mix-up", "--yes").exit_code == 0
    shown = school.certbridge("find", "Novak").output
    places = [shown.index(part) for part in ("Event 1", "Event released by", "asked her", "revoked", "mix-up")]
    assert places == sorted(places)


def test_programs_get_events_certificates_and_refusals(busy: School) -> None:
    found = busy.json("find", "silva")
    assert isinstance(found, dict)
    assert {row["id"] for row in found["events"]} == {1, 4}
    assert [one["deliveries"][0]["state"] for one in found["certificates"]] == ["done"]
    assert [row["status"] for row in found["last_refused"]] == [401]


def test_an_empty_question_is_answered_with_what_to_ask(busy: School) -> None:
    for words in ((), ("  ",), ("\u200b",)):
        result = busy.certbridge("find", *words)
        assert result.exit_code == 2
    assert "a name, an address, a certificate id or a course" in result.output


def test_signs_with_a_meaning_in_sql_are_only_signs(busy: School) -> None:
    for text in ("%%", "a%z", "' OR 1=1 --"):
        result = busy.certbridge("find", text)
        assert result.exit_code == 0
        assert "Nothing is known" in result.output
