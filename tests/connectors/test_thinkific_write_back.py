"""Writing certificate numbers into a profile field of Thinkific, beside the fields that are there already."""

from __future__ import annotations

import pytest
from scripted_api import Answer, ScriptedApi, certificate
from test_thinkific_connector import body, parsed, thinkific

from bridge.core.certificate_id import grouped
from bridge.core.connector import Receipt
from bridge.core.errors import HeldError, PermanentError, TemporaryError

NUMBER = grouped(certificate().id)
LABELS = {"items": [{"id": 1, "label": "Company"}, {"id": 2, "label": "Certificate ID"}], "meta": {"pagination": {}}}
DEFINITIONS = ("GET /custom_profile_field_definitions", Answer(LABELS))
PUT = ("PUT /users/123456", Answer(b"", 204))


def user(**values: object) -> tuple[str, Answer]:
    """Returns the learner's record; values by label."""
    numbers = {"Company": 1, "Certificate": 2}
    fields = [
        {"id": 7, "custom_profile_field_definition_id": numbers[label], "label": label, "value": value}
        for label, value in values.items()
    ]
    return "GET /users/123456", Answer({"id": 123456, "custom_profile_fields": fields})


def write(*script: tuple[str, Answer], state: str = "issued") -> tuple[Receipt, ScriptedApi]:
    connector = thinkific()
    (step,) = connector.write_back_steps(certificate(), parsed(body()))
    api = ScriptedApi(connector, *script)
    receipt = connector.write_back(step, certificate(state), {}, api)  # type: ignore[arg-type]
    assert api.done
    return receipt, api


def test_plans_one_writer_at_a_time_for_each_learner() -> None:
    (step,) = thinkific().write_back_steps(certificate(), parsed(body()))
    assert dict(step.target) == {"user": "123456", "label": "Certificate ID"}
    assert step.lock_key == "user:123456"


def test_a_course_may_have_a_field_of_its_own() -> None:
    (step,) = thinkific().write_back_steps(certificate(), parsed(body(course_id=70)))
    assert step.target["label"] == "Fire certificate"


def test_writes_the_number_leaves_the_other_fields_and_reads_it_back() -> None:
    receipt, api = write(DEFINITIONS, user(Company="Acme"), PUT, user(Company="Acme", Certificate=NUMBER))
    assert receipt.confirmed
    assert api.asked[2].json == {
        "custom_profile_fields": [
            {"custom_profile_field_definition_id": 1, "value": "Acme"},
            {"custom_profile_field_definition_id": 2, "value": NUMBER},
        ]
    }


def test_a_number_that_is_there_already_is_not_written_again() -> None:
    receipt, api = write(DEFINITIONS, user(Certificate=NUMBER))
    assert receipt.confirmed
    assert len(api.asked) == 2


def test_finds_the_field_on_a_later_page() -> None:
    first = {"items": [{"id": 1, "label": "Company"}], "meta": {"pagination": {"next_page": 2}}}
    page = ("GET /custom_profile_field_definitions", Answer(first))
    _, api = write(page, DEFINITIONS, user(Certificate=NUMBER))
    assert [asked.query.get("page") for asked in api.asked] == ["1", "2", None]


def test_pages_that_never_end_are_left_after_a_while() -> None:
    endless = {"items": [], "meta": {"pagination": {"next_page": 2}}}
    page = ("GET /custom_profile_field_definitions", Answer(endless))
    with pytest.raises(PermanentError, match="no custom profile field"):
        write(*[page] * 20)


def test_a_field_that_was_never_created_is_named_with_those_there_are() -> None:
    other = {"items": [{"id": 1, "label": "Company"}, {"id": "x", "label": 3}, None]}
    with pytest.raises(PermanentError, match=r"labelled 'Certificate ID'.*'Company'"):
        write(("GET /custom_profile_field_definitions", Answer(other)))


def test_case_12_a_learner_who_is_gone_needs_attention_and_the_certificate_stays_valid() -> None:
    gone = ("GET /users/123456", Answer({"error": "Record not found."}, 404))
    with pytest.raises(PermanentError, match="stays valid") as caught:
        write(DEFINITIONS, gone)
    assert caught.value.stable_code == "user_gone"


def test_a_number_that_does_not_stick_is_noticed() -> None:
    with pytest.raises(TemporaryError, match="does not show it"):
        write(DEFINITIONS, user(), PUT, user())


def test_an_answer_that_is_no_json_is_temporary() -> None:
    with pytest.raises(TemporaryError, match="cannot be read"):
        write(("GET /custom_profile_field_definitions", Answer(b"<html>")))


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_revoked_number_leaves_the_field_and_another_one_stays(state: str) -> None:
    _, api = write(DEFINITIONS, user(Certificate=NUMBER), PUT, user(), state=state)
    assert api.asked[2].json["custom_profile_fields"] == [{"custom_profile_field_definition_id": 2, "value": ""}]
    write(DEFINITIONS, user(Certificate="0000-0000-0000-00000"), state=state)


@pytest.mark.parametrize("state", ["issued", "revoked", "erased"])
@pytest.mark.parametrize(
    "answer",
    [
        {"id": 123456},
        {"id": 123456, "custom_profile_fields": None},
        {"custom_profile_fields": [{"custom_profile_field_definition_id": 1, "label": "Company"}]},
        {"custom_profile_fields": [{"value": "Acme", "label": "Company"}]},
        {"custom_profile_fields": ["Acme"]},
    ],
)
def test_fields_that_are_not_shown_are_not_taken_for_empty_ones(answer: object, state: str) -> None:
    with pytest.raises(HeldError, match="does not show") as caught:
        write(DEFINITIONS, ("GET /users/123456", Answer(answer)), state=state)
    assert caught.value.stable_code == "not_shown"


def test_text_of_somebody_else_is_held_and_stays() -> None:
    with pytest.raises(HeldError, match="HR remark") as caught:
        write(DEFINITIONS, user(Certificate="HR remark"))
    assert caught.value.stable_code == "foreign_text"
    assert len(write(DEFINITIONS, user(Certificate="HR remark"), state="revoked")[1].asked) == 2


def test_a_field_whose_id_comes_as_text_is_found_and_nothing_else_is_lost() -> None:
    as_text = {"custom_profile_fields": [{"custom_profile_field_definition_id": "1", "value": "Acme"}]}
    read = ("GET /users/123456", Answer(as_text))
    _, api = write(DEFINITIONS, read, PUT, user(Company="Acme", Certificate=NUMBER))
    assert [one["value"] for one in api.asked[2].json["custom_profile_fields"]] == ["Acme", NUMBER]


def test_a_user_id_that_is_none_never_becomes_part_of_an_address() -> None:
    connector = thinkific()
    (step,) = connector.write_back_steps(certificate(), parsed(body(user={"id": "../courses/1"})))
    with pytest.raises(PermanentError, match="no user id"):
        connector.write_back(step, certificate(), {}, ScriptedApi(connector, DEFINITIONS))  # type: ignore[arg-type]


def test_diagnose_says_which_field_is_missing() -> None:
    connector = thinkific()
    enrolled = ("GET /enrollments", Answer({"items": [{"user_id": 123456}]}))
    api = ScriptedApi(connector, enrolled, DEFINITIONS, user())
    findings = {finding.message: finding.level for finding in connector.diagnose(api)}
    assert findings == {
        "A learner's custom profile fields are shown.": "ok",
        "Enrolments can be read with this key.": "ok",
        "Thinkific has a custom profile field labelled 'Certificate ID'.": "ok",
        "Thinkific has no custom profile field labelled 'Fire certificate'.": "error",
    }


@pytest.mark.parametrize(("rows", "level"), [([], "warning"), ([{"user_id": 123456}], "error")])
def test_diagnose_looks_whether_the_fields_of_a_learner_are_shown(rows: list[object], level: str) -> None:
    connector = thinkific()
    hidden = ("GET /users/123456", Answer({"id": 123456}))
    script = [("GET /enrollments", Answer({"items": rows})), DEFINITIONS, *([hidden] if rows else [])]
    found = list(connector.diagnose(ScriptedApi(connector, *script)))
    assert found[-1].level == level
    assert "profile fields" in found[-1].message


def test_diagnose_reports_a_key_that_does_not_work_instead_of_failing() -> None:
    connector = thinkific()
    api = ScriptedApi(connector, ("GET /enrollments", Answer({"error": "Unauthorized"}, 401)))
    (finding,) = connector.diagnose(api)
    assert finding.level == "error"
    assert "api_key" in finding.message


def test_diagnose_warns_where_no_key_means_no_safety_net() -> None:
    connector = thinkific(api_key=None, subdomain=None, profile_field=None, profile_field_by_course={})
    (finding,) = connector.diagnose(ScriptedApi(connector))
    assert finding.level == "warning"
    assert not connector.polls()
