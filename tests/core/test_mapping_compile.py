"""Reading mapping files: layers, every refusal with its place, and what `check` and `fields` show."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_examples import SCHOOL, SHIPPED, completion, event, mapping, refused

from bridge.core.errors import MappingError
from bridge.core.mapping import MappingBundle, compile_mapping, gather

# -- layers --------------------------------------------------------------------------------------


def test_gathers_the_file_and_what_it_extends() -> None:
    bundle = gather("school.yaml", SCHOOL, {"lms": SHIPPED}.get)
    assert bundle.files == (("school.yaml", SCHOOL), ("mappings/lms.yaml", SHIPPED))
    made = compile_mapping(bundle)
    assert (made.name, made.connector, made.sha256) == ("school.yaml", "lms", bundle.sha256)


def test_a_packed_bundle_is_the_same_mapping() -> None:
    bundle = gather("school.yaml", SCHOOL, {"lms": SHIPPED}.get)
    again = MappingBundle.unpack(bundle.pack())
    assert (again, again.sha256) == (bundle, bundle.sha256)
    assert bundle.sha256 != gather("school.yaml", SCHOOL + "\n", {"lms": SHIPPED}.get).sha256


@pytest.mark.parametrize("packed", [b"", b"{}x", b"[1]", b"\xff", b'[["a"]]'])
def test_refuses_bytes_that_are_no_bundle(packed: bytes) -> None:
    with pytest.raises(MappingError):
        MappingBundle.unpack(packed)


def test_refuses_an_unknown_base_and_a_circle() -> None:
    assert refused("extends: lsm\n") == ['school.yaml:1:10 There is no shipped mapping "lsm".']
    assert "extends itself" in refused("extends: lms\n", "extends: lms\n")[0]
    assert refused("extends: ../../etc/passwd\n") == [
        "school.yaml:1:10 Write the name of one shipped mapping after extends."
    ]


def test_the_admins_file_replaces_single_words_of_the_shipped_one() -> None:
    school = SCHOOL + 'events: {course_completed: {completion: {name: "{{ data.user.lastname }} M"}}}\n'
    made = completion(event(), school=school)
    assert (made.recipient.name, made.recipient.email) == ("Silva M", "Maria@acme.example")


def test_refuses_a_mapping_without_a_connector() -> None:
    assert refused("courses: {68: A}\n") == [
        "school.yaml:1:1 The mapping extends nothing. Write the first line: extends: NAME."
    ]


def test_refuses_another_connector_than_the_extended_one() -> None:
    assert refused("extends: lms\nconnector: crm\n") == [
        'school.yaml:2:12 "connector: crm" differs from that of mappings/lms.yaml. Remove it.'
    ]


# -- refusals --------------------------------------------------------------------------------------


def test_a_misspelt_setting_is_refused_with_the_promised_message() -> None:
    school = SCHOOL.replace("    template: safety", "    valid_fro: 2 years")
    assert refused(school) == [
        'school.yaml:13:5 Course "FORKLIFT-*" has "valid_fro: 2 years". There is no such setting; '
        "did you mean valid_for?"
    ]


MISTAKES = [
    (
        "valid_for: 2 years",
        "valid_for: 2 yeers",
        'every_course has "valid_for: 2 yeers". Write a number and a unit: '
        "2 years, 18 months, 6 weeks, 90 days (or forever).",
    ),
    (
        "again: renew",
        "again: renev",
        'every_course has "again: renev". Allowed: reuse, renew, hold; did you mean renew?',
    ),
    (
        "score: at least 80",
        "score: atleast 80",
        'Course "FORKLIFT-*", issue_if has "score: atleast 80". This is not a condition; did you mean at least?',
    ),
    (
        "score: at least 80",
        "score: 80",
        'Course "FORKLIFT-*", issue_if has "score: 80". This is not a condition; '
        'did you mean "at least 80" or "is 80"?',
    ),
    (
        "score: at least 80",
        'score: ">= 80"',
        'Course "FORKLIFT-*", issue_if has "score: >= 80". This is not a condition; did you mean "at least 80"?',
    ),
    (
        "score: at least 80",
        "score: at least 80 %",
        'Course "FORKLIFT-*", issue_if has "score: at least 80 %". A plain '
        'number must follow "at least", such as: at least 80. For dates: before, after.',
    ),
    (
        "score: at least 80",
        "skore: at least 80",
        'issue_if has "skore: at least 80". There is no such word; did you mean score?',
    ),
    (
        "name: looks incomplete",
        "email: looks incomplete",
        '"looks incomplete" is for the name, not for email. Use: is empty.',
    ),
    ("cc: manager", "cc: manger", 'mail has "cc: manger". There is no such field; did you mean manager?'),
    (
        "training@acme.example",
        "training@acme",
        'Course "FORKLIFT-*", mail has "reply_to: training@acme". '
        '"training@acme" is not an e-mail address. Its domain is not one that mail can reach.',
    ),
    (
        "hours: 8",
        "email: 8",
        'Course "FORKLIFT-*", fields has "email: 8". "email" is already a word of ours. '
        "Choose another name for the field.",
    ),
    (
        "de: Staplerfahrer",
        'de: "{{ corse.title }}"',
        'Course "FORKLIFT-*", title has "de: {{ corse.title }}". "corse" is not known; did you mean course?',
    ),
    (
        "{name: looks incomplete}",
        '{expression: "data.x ** 2"}',
        'hold_if has "expression: data.x ** 2". Powers ("**") are not available.',
    ),
    (
        "{name: looks incomplete}",
        "{because: I say so}",
        "every_course.hold_if gives a reason but no condition. Write a line such as: score: at least 80.",
    ),
    (
        "template: safety",
        "template: ../safety",
        'Course "FORKLIFT-*" has "template: ../safety". The name of a template has letters, digits, - and _.',
    ),
    (
        "valid_for: 2 years",
        "valid_for: 2 years\n  valid_until: 31 December",
        "Either valid_for or valid_until, not both.",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES, ids=[wrong.strip() for _, wrong, _ in MISTAKES])
def test_every_mistake_has_its_place_and_advice(right: str, wrong: str, message: str) -> None:
    assert right in SCHOOL
    school = SCHOOL.replace(right, wrong, 1)
    found = refused(school)
    assert len(found) == 1
    assert found[0].startswith("school.yaml:")
    assert found[0].endswith(message)


def test_all_mistakes_are_reported_at_once_with_their_places() -> None:
    school = SCHOOL.replace("2 years", "2 yeers").replace("at least 80", "atleast 80").replace("renew", "renev")
    assert [line.split(" ")[0] for line in refused(school)] == [
        "school.yaml:4:14",
        "school.yaml:5:10",
        "school.yaml:15:23",
    ]


def test_an_empty_setting_is_refused() -> None:
    assert refused(SCHOOL.replace("template: safety", "template:")) == [
        'school.yaml:13:5 Course "FORKLIFT-*" has "template:" without a value. Write one, or remove the line.'
    ]


def test_an_event_without_a_name_is_refused_with_the_likely_typing_error() -> None:
    assert refused(SCHOOL + "events: {course_complete: {skip_if: {email: is empty}}}\n") == [
        'school.yaml:17:10 Event "course_complete" has no name under completion. A certificate needs one. If the event '
        "type is misspelt; did you mean course_completed?"
    ]


def test_two_entries_that_differ_only_in_case_are_refused() -> None:
    assert refused(SCHOOL + "  forklift-*: Other\n") == [
        'school.yaml:17:3 Course "forklift-*" stands here twice; the first one, "FORKLIFT-*", is at school.yaml:11:3.'
    ]


@pytest.mark.parametrize(
    "expression",
    ["{{ 2 ** 9 }}", "{{ 'a' * 10 ** 9 }}", "{{ 'a' * 1000000000 }}", "{{ range(10) }}", "{{ data.__class__ }}",
     "{{ data | tojson }}", "{{ data | attr('x') }}", "{% for x in data %}{{ x }}{% endfor %}", "{% set x = 1 %}",
     "{{ data.items() }}", "{{ '%999999999d' % 1 }}", "{{ self }}", "{{ data['__init__'] }}", "{{ lipsum }}"],
)  # fmt: skip
def test_dangerous_expressions_are_refused_with_their_place(expression: str) -> None:
    shipped = SHIPPED.replace('"{{ data.user.email }}"', f'"{expression}"')
    found = refused(SCHOOL, shipped)
    assert len(found) == 1
    assert found[0].startswith('mappings/lms.yaml:6:14 Event "course_completed", completion has "email: ')


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_never_fails_otherwise_than_with_a_mapping_error(text: str) -> None:
    for school in (text, SCHOOL.replace("Fire Safety", text), SCHOOL.replace("2 years", text)):
        try:
            mapping(school)
        except MappingError:
            continue


# -- what the commands show ------------------------------------------------------------------------


def test_lists_courses_with_template_title_and_fields() -> None:
    first, second = mapping().courses()
    assert (first.key, first.title, first.template, first.fields) == (
        "68",
        "Fire Safety",
        "classic",
        {"manager", "score"},
    )
    assert (second.template, str(second.template_mark)) == ("safety", "school.yaml:13:15")
    assert second.fields == {"manager", "score", "hours", "trainer"}


def test_lists_the_other_courses_only_when_they_are_issued() -> None:
    listed = mapping(SCHOOL.replace("other_courses: hold", "other_courses: issue")).courses()
    assert [course.key for course in listed] == ["68", "FORKLIFT-*", ""]


def test_explains_where_each_line_of_a_course_came_from() -> None:
    found = {line.setting: (line.value, str(line.mark)) for line in mapping().explain("forklift-2026")}
    assert found["courses"] == ("FORKLIFT-*", "school.yaml:11:3")
    assert found["template"] == ("safety", "school.yaml:13:15")
    assert found["valid_for"] == ("2 years", "school.yaml:4:14")
    assert found["skip_if email (course_completed)"][1] == "school.yaml:6:20"
    assert found["issue_if score (course_completed)"] == ("at least 80", "school.yaml:15:23")
    assert found["mail.send"] == ("true", "None")


def test_explains_a_course_that_is_not_listed() -> None:
    found = mapping().explain("99")
    assert (found[0].setting, found[0].value, str(found[0].mark)) == ("other_courses", "hold", "school.yaml:8:16")


def test_lists_the_words_of_each_event_type() -> None:
    words = {word.word: word for word in mapping().words()}
    assert words["score"].expression == "{{ data.grade.score }}"
    assert words["fields.manager"].help == "a custom field"
    assert mapping().event_types() == ["course_completed"]
