"""Writing a certificate back by declaration: look, write, read back; a repeat does no harm."""

from __future__ import annotations

from typing import Any

import pytest
from declared_examples import API, EVENT, EVENTS, HEAD, SITE, WEBHOOK, KeptMemo, Script, build, certificate, event

from bridge.core.certificate_id import grouped
from bridge.core.connector import Connector, Receipt
from bridge.core.errors import HeldError, PermanentError, TemporaryError

NUMBER = grouped(certificate().id)
FIELD = """\
  write_back:
    - name: profile_field
      title: "certificate number of {{ certificate.name }}"
      when: [issued, revoked]
      target: {user: "{{ event.subject }}"}
      lock: "user:{{ target.user }}"
      one_number: true
      look_up:
        url: "/users/{{ target.user }}"
        holds: answer.number
      write:
        method: PUT
        url: "/users/{{ target.user }}"
        json:
          number: "{{ certificate.number if certificate.state == 'issued' else '' }}"
          by: {name: "{{ certificate.name }}"}
"""
NOTE = """\
  write_back:
    - name: note
      title: note
      target: {user: "{{ event.subject }}"}
      look_up:
        url: /notes
        query: {user: "{{ target.user }}", about: "{{ certificate.number }}"}
        already: answer.count > 0
      write:
        method: POST
        url: /notes
        json: {user: "{{ target.user }}", score: "{{ 5 }}", public: "{{ true }}", none: }
      remember: {id: answer.id}
      read_back: {url: "/notes/{{ memo.id }}", confirm: answer.user == target.user}
"""


def acme(steps: str) -> Connector[Any]:
    return build(HEAD + WEBHOOK + API + steps + EVENT + EVENTS, **SITE)


def write(
    steps: str, *answers: object, state: str = "issued", planned: str = "issued", memo: Any = None
) -> tuple[Receipt, Script]:
    connector = acme(steps)
    (step,) = connector.write_back_steps(certificate(planned), event())
    script = Script(connector, *answers)
    receipt = connector.write_back(step, certificate(state), KeptMemo() if memo is None else memo, script)
    assert not script.answers
    return receipt, script


def test_plans_what_is_needed_to_find_the_record_later() -> None:
    (step,) = acme(FIELD).write_back_steps(certificate(), event())
    assert (step.name, dict(step.target), step.lock_key, step.latest) == (
        "profile_field",
        {"user": "7"},
        "user:7",
        True,
    )
    assert step.title == 'certificate number of Dana "D" O\'Kafor'


def test_looks_writes_and_looks_again() -> None:
    receipt, script = write(FIELD, {"number": None}, {}, {"number": NUMBER})
    assert receipt.confirmed
    assert [asked["method"] for asked in script.asked] == ["GET", "PUT", "GET"]
    assert script.asked[1]["json"] == {"number": NUMBER, "by": {"name": 'Dana "D" O\'Kafor'}}


def test_what_is_there_already_is_not_written_again() -> None:
    receipt, script = write(FIELD, {"number": NUMBER})
    assert receipt.confirmed
    assert len(script.asked) == 1


def test_what_does_not_show_afterwards_is_tried_again() -> None:
    for after in ("cut", None, ""):
        with pytest.raises(TemporaryError, match="does not show") as caught:
            write(FIELD, {"number": None}, {}, {"number": after})
        assert caught.value.stable_code == "not_confirmed"


def test_a_revoked_number_is_taken_out_by_the_same_step() -> None:
    receipt, script = write(FIELD, {"number": NUMBER}, {}, {"number": ""}, state="revoked", planned="revoked")
    assert receipt.confirmed
    assert script.asked[1]["json"]["number"] == ""


def test_a_step_that_runs_late_writes_what_is_true_by_then() -> None:
    _, script = write(FIELD, {"number": NUMBER}, {}, {"number": ""}, state="revoked")
    assert script.asked[1]["json"]["number"] == ""


def test_a_step_for_issued_certificates_does_nothing_once_it_is_revoked() -> None:
    receipt, script = write(NOTE, state="revoked")
    assert not receipt.confirmed  # nobody has looked
    assert "by now" in receipt.summary
    assert script.asked == []


@pytest.mark.parametrize("state", ["issued", "revoked"])
@pytest.mark.parametrize("answer", [{}, {"other": NUMBER}, {"data": {"number": NUMBER}}, None, []])
def test_a_place_that_the_answer_does_not_show_is_neither_written_nor_said_to_be_right(
    answer: object, state: str
) -> None:
    with pytest.raises(HeldError, match="does not show what stands there") as caught:
        write(FIELD, answer, state=state)
    assert caught.value.stable_code == "not_shown"


@pytest.mark.parametrize("holds", ["answer.user.number", "(answer.fields | find('name', 'No')).number"])
@pytest.mark.parametrize(
    "answer", [{"user": None}, {"user": {}}, {"fields": None}, {"fields": []}, {"fields": [{"name": "No"}]}]
)
def test_null_on_the_way_to_a_place_is_not_an_empty_place(answer: object, holds: str) -> None:
    with pytest.raises(HeldError):
        write(FIELD.replace("answer.number", holds), answer)


def test_null_in_the_place_itself_is_an_empty_place() -> None:
    for holds, shown in (
        ("answer.user.number", lambda value: {"user": {"number": value}}),
        ("(answer.fields | find('name', 'No')).number", lambda value: {"fields": [{"name": "No", "number": value}]}),
    ):
        steps = FIELD.replace("holds: answer.number", f'holds: "{holds}"')
        assert write(steps, shown(None), {}, shown(NUMBER))[0].confirmed


def test_a_place_that_is_hidden_after_the_writing_confirms_nothing() -> None:
    with pytest.raises(HeldError):
        write(FIELD, {"number": None}, {}, {})


@pytest.mark.parametrize("status", [404, 410])
def test_a_place_whose_record_is_gone_is_not_an_empty_one(status: int) -> None:
    with pytest.raises(PermanentError) as caught:
        write(FIELD, (status, {}))
    assert caught.value.stable_code == f"http_{status}"


@pytest.mark.parametrize("held", ["HR remark", "0", 17, NUMBER[:-1]])
def test_text_that_is_not_ours_is_held_and_stays(held: object) -> None:
    with pytest.raises(HeldError, match="not overwritten") as caught:
        write(FIELD, {"number": held})
    assert caught.value.stable_code == "foreign_text"
    receipt, script = write(FIELD, {"number": held}, state="revoked")
    assert receipt.confirmed
    assert len(script.asked) == 1


def test_the_number_of_another_certificate_gives_way_and_is_not_taken_out_by_a_revocation() -> None:
    other = grouped("00000000000000000")
    _, script = write(FIELD, {"number": other}, {}, {"number": NUMBER})
    assert script.asked[1]["json"]["number"] == NUMBER
    _, script = write(FIELD, {"number": other}, state="revoked")
    assert len(script.asked) == 1


def test_a_link_with_the_number_is_the_number() -> None:
    receipt, script = write(FIELD, {"number": certificate().url})
    assert receipt.confirmed
    assert len(script.asked) == 1


@pytest.mark.parametrize("answer", [{}, {"total": 0}, {"count": None}])
def test_a_post_that_would_be_repeated_is_held_where_the_look_shows_nothing(answer: object) -> None:
    with pytest.raises(HeldError) as caught:
        write(NOTE, answer)
    assert caught.value.stable_code == "not_shown"


def test_nothing_is_planned_for_a_state_that_is_not_named() -> None:
    assert acme(NOTE).write_back_steps(certificate("revoked"), event()) == []


def test_a_note_that_an_earlier_attempt_left_behind_is_found() -> None:
    receipt, script = write(NOTE, {"count": 1})
    assert receipt.confirmed
    assert [asked["method"] for asked in script.asked] == ["GET"]


def test_numbers_yes_and_nothing_are_written_as_json_knows_them() -> None:
    memo = KeptMemo()
    receipt, script = write(NOTE, {"count": 0}, {"id": 17}, {"user": "7"}, memo=memo)
    assert receipt.confirmed
    assert script.asked[1]["json"] == {"user": "7", "score": 5, "public": True, "none": None}
    assert memo == {"id": "17"}
    assert script.asked[2]["path"] == "/notes/17"


def test_nothing_found_is_an_answer_too() -> None:
    receipt, _ = write(NOTE, (404, b""), {"id": 17}, {"user": "7"})
    assert receipt.confirmed


@pytest.mark.parametrize(("answer", "error"), [((500, b""), TemporaryError), ((422, b""), PermanentError)])
def test_a_refusal_decides_as_its_status_says(answer: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        write(FIELD, {"number": None}, answer)


def test_a_status_that_means_done_is_accepted() -> None:
    step = "  write_back: [{name: gone, title: gone, when: revoked, accept: [404], write: {method: DELETE, url: /x}}]\n"
    receipt, _ = write(step, (404, b""), state="revoked", planned="revoked")
    assert not receipt.confirmed
    with pytest.raises(PermanentError):
        write(step, (403, b""), state="revoked", planned="revoked")


def test_a_record_that_cannot_be_found_is_said_and_not_passed_over() -> None:
    connector = acme(FIELD)
    (step,) = connector.write_back_steps(certificate(), event(subject=None))
    with pytest.raises(PermanentError, match=r"no user to find the record by \(event\.subject is null\)"):
        connector.write_back(step, certificate(), KeptMemo(), Script(connector))


def test_an_optional_step_is_left_out_where_its_target_is_missing() -> None:
    steps = FIELD.replace("      when:", "      optional: true\n      when:")
    assert acme(steps).write_back_steps(certificate(), event(subject=None)) == []


def test_a_subject_cannot_pass_for_our_own_mark() -> None:
    connector = acme(FIELD)
    (step,) = connector.write_back_steps(certificate(), event(subject="?x"))
    with pytest.raises(PermanentError, match="to find the record by"):
        connector.write_back(step, certificate(), KeptMemo(), Script(connector))


@pytest.mark.parametrize("odd", ["../../admin", "7?x=1", "7#", "7/roles", "ü"])
def test_a_learners_id_is_one_part_of_the_address(odd: str) -> None:
    connector = acme(FIELD)
    (step,) = connector.write_back_steps(certificate(), event(subject=odd))
    script = Script(connector, {"number": NUMBER})
    connector.write_back(step, certificate(), KeptMemo(), script)
    assert script.asked[0]["path"].count("/") == 2
    assert not set(script.asked[0]["path"]) & set("?#")


def test_a_foreign_step_is_refused() -> None:
    from bridge.core.connector import Step

    connector = acme(FIELD)
    with pytest.raises(LookupError):
        connector.write_back(Step("other", {}, "x"), certificate(), KeptMemo(), Script(connector))


def test_without_an_api_nothing_is_planned() -> None:
    optional = API.replace("url: true", "url: true, optional: true").replace(
        "secret: true", "secret: true, optional: true"
    )
    connector = build(HEAD + WEBHOOK + optional + FIELD + EVENT + EVENTS, header_token=SITE["header_token"])
    assert connector.write_back_steps(certificate(), event()) == []
