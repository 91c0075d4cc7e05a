"""What a mapping makes of an event: completions, and the reasons for holding and ignoring."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_examples import DEFAULTS, SCHOOL, completion, decide, event, event_of, held, ignored, mapping

from bridge.core.models import Completion, Held, Ignored

# -- completions -----------------------------------------------------------------------------------


def test_makes_a_completion_from_both_layers() -> None:
    made = completion(event())
    assert made.recipient.name == "Maria Silva"
    assert made.recipient.email == "Maria@acme.example"
    assert (made.course.id, made.course.title, made.course.short_name) == ("7", "Forklift Operator", "forklift-2026")
    assert (made.subject, made.keys) == ("17", ("c:1",))
    assert made.completed_at == datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    assert (made.completed_on, made.expires_on) == (date(2026, 3, 1), date(2028, 3, 1))
    assert (made.zone, made.locale, made.template, made.again) == ("Europe/Lisbon", "en", "safety", "renew")
    assert made.fields == {"score": "87.5", "manager": "boss@acme.example", "hours": "8", "trainer": "Ana Silva"}
    assert (made.mail.send, made.mail.cc, made.mail.reply_to) == (True, ("boss@acme.example",), "training@acme.example")


def test_a_course_of_one_line_takes_everything_else_from_every_course() -> None:
    made = completion(event(course__id=68, course__shortname="X"))
    assert (made.course.title, made.template, made.again) == ("Fire Safety", "classic", "renew")
    assert made.mail.cc == ()


def test_the_title_is_in_the_learners_language() -> None:
    assert completion(event(user__lang="de_AT")).course.title == "Staplerfahrer"
    assert completion(event(user__lang="fr")).course.title == "Forklift Operator"


def test_the_date_is_the_one_that_calendars_showed_in_the_zone() -> None:
    late = event(completion__completed_at="2026-07-01T23:30:00Z")
    assert completion(late).completed_on == date(2026, 7, 2)


def test_a_source_that_knows_only_the_date_gives_no_instant() -> None:
    made = completion(event(completion__completed_at="2026-03-01"))
    assert (made.completed_at, made.completed_on) == (None, date(2026, 3, 1))


def test_without_a_date_of_completion_the_day_of_the_event_counts() -> None:
    made = completion(event(completion__completed_at=None))
    assert (made.completed_at, made.completed_on) == (None, date(2026, 3, 2))


def test_without_any_date_the_event_is_held() -> None:
    code, reason = held(event_of(event(completion__completed_at=None).data, occurred_at=None))
    assert code == "missing_value"
    assert reason.startswith("Maria Silva, Forklift Operator. The event brought no date of completion. Usual cause:")


@pytest.mark.parametrize("lang", [None, "", "99", "x"])
def test_an_unknown_language_falls_back_to_the_issuers(lang: object) -> None:
    assert completion(event(user__lang=lang)).locale == "en"


def test_text_from_outside_is_never_an_expression() -> None:
    made = completion(event(user__firstname="{{7*7}}", user__lastname="{% raw %}"), overrides={"released": "yes"})
    assert made.recipient.name == "{{7*7}} {% raw %}"


def test_a_name_is_cleaned_but_keeps_its_case() -> None:
    made = completion(event(user__firstname="  MARIA\u202e\n", user__lastname="e\u0301 \u200bSilva\x00"))
    assert made.recipient.name == "MARIA \u00e9 Silva"


def test_a_mapping_without_a_line_for_the_address_gives_none() -> None:
    bare = 'connector: lms\nevents: {course_completed: {completion: {name: "{{ data.user.firstname }} S"}}}\n'
    made = mapping(bare + "other_courses: issue\ncourses: {7: A}\n").apply(event(), defaults=DEFAULTS).outcome
    assert isinstance(made, Completion)
    assert made.recipient.email is None


# -- promised messages -------------------------------------------------------------------------------


def test_a_missing_score_is_held_with_the_promised_message() -> None:
    assert held(event(grade__score=None)) == (
        "missing_value",
        "Maria Silva, Forklift Operator. At least 80 is needed, but the event brought no score. Usual cause: the "
        "course is not graded, or the grade came later than the event. (data.grade.score is null; "
        "mappings/lms.yaml:12:14) (Rule: school.yaml:15:23)",
    )


def test_a_score_in_words_is_held_with_the_promised_message() -> None:
    assert held(event(grade__score="Passed")) == (
        "not_a_number",
        'Maria Silva, Forklift Operator. At least 80 is needed, but the score is "Passed", which is not a number. '
        "Usual cause: the platform grades in words here; then compare words, such as: is Passed. "
        "(Rule: school.yaml:15:23)",
    )


@pytest.mark.parametrize("score", ["87,5", "80 %", True])
def test_a_score_that_is_not_plainly_a_number_is_held(score: object) -> None:
    assert held(event(grade__score=score))[0] == "not_a_number"


def test_a_null_name_is_held_with_the_promised_message() -> None:
    assert held(event(course__id=68, user__firstname=None), school=SCHOOL.replace("  hold_if:", "  # hold_if:")) == (
        "missing_value",
        "Maria@acme.example, Fire Safety. The event brought no name. Usual cause: the learner's profile is not filled "
        "in, or the source's account may not read it. (data.user.firstname is null; mappings/lms.yaml:5:13)",
    )


def test_a_missing_section_is_named_where_the_path_breaks() -> None:
    data = event().data
    del data["user"]
    assert "(data.user is missing; mappings/lms.yaml:6:14)" in held(event_of(data))[1]


def test_without_name_and_address_the_reason_names_the_learners_id() -> None:
    assert held(event(user__firstname=None, user__email=None))[1].startswith("Learner 17, Forklift Operator. ")


@pytest.mark.parametrize("address", [None, "", "   "])
def test_a_missing_address_is_held(address: object) -> None:
    code, reason = held(event(user__email=address))
    assert code == "missing_value"
    assert reason.startswith("Maria Silva, Forklift Operator. The event brought no e-mail address. Usual cause: the ")


@pytest.mark.parametrize(
    "address",
    [
        "maria",
        "maria@",
        "@acme.example",
        "root@localhost",
        "a@b.example, c@d.example",
        "a@b.example\r\nBcc: x@y.example",
        "Maria <m@acme.example>",
        "m@acme..example",
        "m@127.0.0.1",
        "a" * 65 + "@acme.example",
        "m@" + "a." * 130 + "example",
    ],
)
def test_an_address_that_mail_cannot_reach_is_held(address: str) -> None:
    code, reason = held(event(user__email=address))
    assert code == "bad_email"
    assert "is not an e-mail address." in reason
    assert "\n" not in reason


# -- rules -------------------------------------------------------------------------------------------


def test_a_skip_rule_gives_the_reason_and_its_place() -> None:
    assert ignored(event(user__email="x@test.acme.example")) == (
        "skip_if",
        'Maria Silva, Forklift Operator. The e-mail address is "x@test.acme.example" (ends with @test.acme.example), '
        "so it is skipped. (Rule: school.yaml:6:20)",
    )


def test_skip_rules_of_both_layers_add_up() -> None:
    assert ignored(event(user__email="[TEST]a@b.example"))[0] == "skip_if"


def test_a_skip_rule_counts_before_the_course_list_and_missing_names() -> None:
    odd = event(user__email="[TEST]a@b.example", user__firstname=None, course__id=1, course__shortname="none")
    assert ignored(odd)[0] == "skip_if"


def test_none_clears_inherited_rules() -> None:
    school = SCHOOL.replace("    issue_if:", "    skip_if: none\n    issue_if:")
    assert completion(event(user__email="x@test.acme.example"), school=school)


def test_an_unmet_condition_is_ignored_with_the_value() -> None:
    assert ignored(event(grade__score=62)) == (
        "issue_if",
        "Maria Silva, Forklift Operator. At least 80 is needed, but the score is 62. (Rule: school.yaml:15:23)",
    )


def test_an_incomplete_name_is_held_for_a_person() -> None:
    assert held(event(user__firstname="")) == (
        "hold_if",
        'Silva, Forklift Operator. The name "Silva" looks incomplete: it is one word, so a person has to decide. '
        "(Rule: school.yaml:7:19)",
    )


def test_an_expression_can_hold() -> None:
    assert held(event(user__suspended=True)) == (
        "hold_if",
        'Maria Silva, Forklift Operator. The expression "data.user.suspended" is true, so a person has to decide. '
        "(Rule: mappings/lms.yaml:16:27)",
    )


def test_an_expression_without_its_value_is_held_and_says_what_to_write() -> None:
    code, reason = held(event(user__suspended=None))
    assert code == "missing_value"
    assert "data.user.suspended is null." in reason
    assert "write data.user.suspended | default(false)." in reason


def test_an_expression_that_gives_text_is_held() -> None:
    assert held(event(user__suspended="false"))[0] == "bad_value"


def test_because_replaces_the_reason() -> None:
    school = SCHOOL.replace("{score: at least 80}", "{score: at least 80, because: The exam counts.}")
    assert ignored(event(grade__score=3), school=school) == (
        "issue_if",
        "Maria Silva, Forklift Operator. The exam counts. (Rule: school.yaml:15:23)",
    )


def test_every_line_of_issue_if_must_be_true() -> None:
    school = SCHOOL.replace("{score: at least 80}", "{score: at least 80, locale: one of de, hours: at least 8}")
    school = school.replace("one of de", '"one of de, fr"')
    assert ignored(event(), school=school)[1].startswith(
        "Maria Silva, Forklift Operator. One of de, fr is needed, but "
    )
    assert completion(event(user__lang="de"), school=school)


def test_a_course_line_replaces_the_issue_if_of_every_course() -> None:
    school = SCHOOL.replace("  again: renew", "  again: renew\n  issue_if: {score: at least 99}")
    assert completion(event(), school=school)
    assert ignored(event(course__id=68), school=school)[0] == "issue_if"


def test_dates_are_compared_as_dates_in_the_zone() -> None:
    school = SCHOOL.replace("{score: at least 80}", "{completed_at: after 2026-03-01}")
    assert ignored(event(), school=school)[0] == "issue_if"
    assert completion(event(completion__completed_at="2026-03-02T00:10:00Z"), school=school)
    assert completion(event(completion__completed_at="2026-03-05"), school=school)


def test_is_empty_is_true_for_what_is_missing() -> None:
    school = SCHOOL.replace("{score: at least 80}", "{score: is not empty}")
    assert ignored(event(grade__score=None), school=school)[1].startswith(
        "Maria Silva, Forklift Operator. A value is needed, but there is no score."
    )


# -- what is not for us --------------------------------------------------------------------------------


def test_an_unknown_event_type_is_ignored_with_the_known_ones() -> None:
    assert ignored(event_of({}, event_type="course_viewed")) == (
        "event_type",
        'The mapping has no entry for "course_viewed" events; it has one for: course_completed.',
    )


def test_what_the_connector_skips_is_ignored_with_its_reason() -> None:
    assert ignored(event_of({}, skip="A guest.")) == ("not_wanted", "A guest.")


def test_a_course_that_is_not_listed_is_held_with_the_line_to_write() -> None:
    assert held(event(course__id=99, course__shortname="X")) == (
        "course_not_listed",
        "Maria Silva, Forklift & Co. The course is not listed. If it shall have certificates, write "
        '"99: Forklift & Co" under courses. (school.yaml:8:16)',
    )


def test_the_line_to_write_is_one_that_can_stand_in_the_file() -> None:
    _, reason = held(event(course__id='Safety: "Level 1"', course__shortname="X"))
    line = reason.partition('write "')[2].partition('" under courses')[0]
    assert yaml.safe_load(line) == {'Safety: "Level 1"': "Forklift & Co"}


def test_other_courses_may_be_skipped_or_issued() -> None:
    other = event(course__id=99, course__shortname="X")
    skip = SCHOOL.replace("other_courses: hold", "other_courses: skip")
    assert ignored(other, school=skip)[0] == "course_not_listed"
    issue = SCHOOL.replace("other_courses: hold", "other_courses: issue")
    assert completion(other, school=issue).course.title == "Forklift & Co"


def test_an_entry_of_digits_is_an_id_and_never_a_short_name() -> None:
    assert held(event(course__id=5, course__shortname="68"))[0] == "course_not_listed"


def test_the_most_exact_entry_counts() -> None:
    school = SCHOOL + '  FORKLIFT-2026: Exact\n  "*-2026": Any of 2026\n  "F*": F\n'
    assert completion(event(), school=school).course.title == "Exact"
    assert completion(event(course__shortname="X-2026"), school=school).course.title == "Any of 2026"
    assert completion(event(course__shortname="Forklift-1"), school=school).course.title == "Forklift Operator"
    assert completion(event(course__shortname="forest"), school=school).course.title == "F"


def test_an_event_without_a_learner_is_held() -> None:
    assert held(event_of(event().data, subject=None)) == (
        "missing_value",
        "Maria Silva, Forklift Operator. The event names no learner: it has no id to know them by.",
    )


# -- values that cannot be used ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment", [1700000000, "2026-03-01T10:00:00", "01/03/2026", "0000-00-00", True, ["x"], {"a": 1}]
)
def test_a_date_that_cannot_be_read_is_held(moment: object) -> None:
    code, reason = held(event(completion__completed_at=moment))
    assert code == "bad_date"
    assert reason.endswith("(mappings/lms.yaml:11:21)")


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_date_that_stands_for_no_date_is_held(moment: str) -> None:
    assert held(event(completion__completed_at=moment))[0] == "bad_date"


def test_a_section_where_text_belongs_is_held() -> None:
    code, reason = held(event(user__firstname={"a": 1}))
    assert code == "bad_value"
    assert "The name cannot be used: it is a section, not a text. (mappings/lms.yaml:5:13)" in reason


def test_a_name_that_fits_no_certificate_is_held() -> None:
    assert held(event(user__lastname="x" * 400))[0] == "too_long"


def test_a_missing_field_is_left_out_unless_it_is_asked_for() -> None:
    unlisted = event(course__id=68, user__manager=None)
    assert completion(unlisted).fields == {"score": "87.5"}
    code, reason = held(event(user__manager=None))
    assert code == "missing_value"
    assert "The event brought no manager." in reason


def test_a_copy_for_a_broken_address_is_held() -> None:
    assert held(event(user__manager="boss"))[0] == "bad_email"


def test_a_blank_copy_is_left_out() -> None:
    school = SCHOOL.replace("cc: manager", "cc: \"{{ data.user.boss | default('') }}\"")
    assert completion(event(), school=school).mail.cc == ()


def test_a_fixed_end_before_the_completion_is_held() -> None:
    school = SCHOOL.replace("valid_for: 2 years", "valid_until: 2026-01-31")
    assert held(event(), school=school) == (
        "already_expired",
        "Maria Silva, Forklift Operator. Valid_until 2026-01-31 is not after the completion (2026-03-01): the "
        "certificate would be expired from the start. (school.yaml:4:16)",
    )


# -- values that a person set --------------------------------------------------------------------------


def test_a_person_sets_values_when_releasing() -> None:
    given = {
        "recipient.name": " Maria  Silva ",
        "recipient.email": "m@acme.example",
        "course.title": "Forklift",
        "completed_on": "2026-02-28",
        "fields.hours": "12",
        "fields.score": "91",
    }
    made = completion(event(user__firstname=None, user__email="broken", grade__score=None), overrides=given)
    assert (made.recipient.name, made.recipient.email) == ("Maria Silva", "m@acme.example")
    assert (made.course.title, made.completed_on, made.expires_on) == ("Forklift", date(2026, 2, 28), date(2028, 2, 28))
    assert (made.fields["hours"], made.fields["score"]) == ("12", "91")


def test_a_released_event_is_not_held_by_the_same_rule_again() -> None:
    released = {"released": "yes"}
    assert completion(event(user__firstname=""), overrides=released).recipient.name == "Silva"
    assert completion(event(course__id=99, course__shortname="X"), overrides=released).course.id == "99"
    assert completion(event(grade__score=None), overrides=released)
    assert completion(event(user__suspended=None), overrides=released)


def test_a_released_event_without_a_name_is_still_held() -> None:
    assert held(event(user__firstname=None), overrides={"released": "yes"})[0] == "missing_value"


def test_an_emptied_address_means_no_mail() -> None:
    assert completion(event(user__email="broken"), overrides={"recipient.email": ""}).recipient.email is None


def test_a_value_that_cannot_be_set_is_refused() -> None:
    assert held(event(), overrides={"recipient.phone": "1"})[0] == "bad_override"
    assert held(event(), overrides={"completed_on": "yesterday"})[0] == "bad_override"


# -- trace -----------------------------------------------------------------------------------------------


def test_the_trace_shows_each_word_with_expression_value_and_place() -> None:
    lines = {line.word: line for line in decide(event()).trace}
    name = lines["name"]
    assert (name.expression, name.value) == ("{{ data.user.firstname }} {{ data.user.lastname }}", "Maria Silva")
    assert str(name.mark) == "mappings/lms.yaml:5:13"
    assert (lines["completed_on"].value, lines["completed_on"].note) == ("2026-03-01", "in Europe/Lisbon")
    assert (lines["issue_if score"].value, lines["issue_if score"].note) == ("87.5", "true")
    assert str(lines["template"].mark) == "school.yaml:13:15"


def test_the_trace_ends_with_the_rule_that_decided() -> None:
    last = decide(event(user__email="x@test.acme.example")).trace[-1]
    assert (last.word, last.note, str(last.mark)) == ("skip_if email", "decided", "school.yaml:6:20")


def test_the_trace_says_why_a_word_has_no_value() -> None:
    lines = {line.word: line for line in decide(event(user__firstname=None)).trace}
    assert (lines["name"].value, lines["name"].note) == ("", "data.user.firstname is null; mappings/lms.yaml:5:13")


# -- whatever arrives ------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)
    | st.sampled_from(
        ["2026-03-01", "9999-12-31T23:59:59Z", "{{ 7*7 }}", "a@b.example", "<![x[", "{mlang de}x{mlang}"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_LEAVES = [
    "user__firstname",
    "user__lastname",
    "user__email",
    "user__lang",
    "user__suspended",
    "user__manager",
    "user",
    "course__fullname",
    "course__shortname",
    "course",
    "completion__completed_at",
    "grade__score",
    "grade",
]
_MAPPING = mapping()


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(_LEAVES), _JSON, max_size=4), st.booleans())
def test_never_raises_for_what_an_event_holds(changes: dict[str, Any], released: bool) -> None:
    data: dict[str, Any] = event().data
    for path in sorted(changes, reverse=True):
        first, _, last = path.partition("__")
        if last and isinstance(data[first], dict):
            data[first][last] = changes[path]
        else:
            data[first] = changes[path]
    overrides = {"released": "yes"} if released else {}
    decision = _MAPPING.apply(event_of(data), defaults=DEFAULTS, overrides=overrides)
    assert isinstance(decision.outcome, Completion | Held | Ignored)
    if isinstance(decision.outcome, Held | Ignored):
        assert decision.outcome.code
        assert decision.outcome.reason
    decision.outcome.model_dump_json()


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.text(max_size=8), _JSON, max_size=4), st.dictionaries(st.text(max_size=12), st.text(max_size=12))
)
def test_never_raises_for_arbitrary_data_and_overrides(data: dict[str, Any], overrides: dict[str, str]) -> None:
    outcome = _MAPPING.apply(event_of(data, course=None), defaults=DEFAULTS, overrides=overrides).outcome
    assert isinstance(outcome, Held)
    outcome.model_dump_json()
