"""Writing into Salesforce: looked for first, read back, every part of a composite judged, nothing made twice."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from salesforce_samples import (
    CONTACT,
    LEAD,
    PATH,
    RECORD,
    WITHOUT_API,
    failure,
    notification,
    page,
    parsed,
    salesforce,
)
from scripted_api import Answer, KeptMemo, ScriptedApi, certificate

from bridge.core.certificate_id import grouped, new, read
from bridge.core.connector import Receipt, Step
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.models import Certificate

NUMBER = grouped(certificate().id)
COMPOSITE = f"POST {PATH}/composite"
PDF = b"%PDF-1.7 a certificate"
TASK_ID = "00T8d00000aBcDeEAK"
SUBJECT = f"Certificate {NUMBER} issued: Health & Safety"
CREATED = ("task", 201, {"id": TASK_ID, "success": True, "errors": []})
PATCHED = ("record", 204, None)


def composite(*parts: tuple[str, int, Any]) -> tuple[str, Answer]:
    """Returns the answer to a composite: name, status and body of its part; as a whole it is always 200."""
    found = [
        {"referenceId": name, "httpStatusCode": status, "httpHeaders": {}, "body": body} for name, status, body in parts
    ]
    return COMPOSITE, Answer({"compositeResponse": found})


def holds(value: object, name: str = "Certificate_Id__c") -> tuple[str, int, Any]:
    return "record", 200, {"attributes": {}, name: value}


def tasks(*found: str) -> tuple[str, int, Any]:
    records = [{"Id": one, "Subject": SUBJECT} for one in found]
    return "task", 200, {"totalSize": len(records), "done": True, "records": records}


def refusal(name: str, code: str, status: int = 400, **more: Any) -> tuple[str, int, Any]:
    return name, status, [{"message": "said by Salesforce", "errorCode": code, **more}]


def planned(held: Certificate | None = None, wanted: dict[str, Any] | None = None, **changes: Any) -> dict[str, Step]:
    event = parsed(notification(**changes.pop("fields", {})))[0]
    steps = salesforce(write_back=wanted or {}, **changes).write_back_steps(held or certificate(), event)
    return {step.name: step for step in steps}


def write(
    *script: tuple[str, Answer],
    step: str = "record",
    held: Certificate | None = None,
    memo: KeptMemo | None = None,
    fields: dict[str, Any] | None = None,
    **wanted: Any,
) -> tuple[Receipt, ScriptedApi]:
    connector, held = salesforce(write_back=wanted), held or certificate()
    api = ScriptedApi(connector, *script)
    todo = replace(planned(certificate(), wanted, fields=fields or {})[step], pdf=PDF)
    receipt = connector.write_back(todo, held, KeptMemo() if memo is None else memo, api)
    assert api.done
    return receipt, api


def calls(api: ScriptedApi, place: int) -> dict[str, Any]:
    """Returns the calls inside one composite by their name."""
    body = api.asked[place].json
    assert body["allOrNone"] is False
    return {one["referenceId"]: one for one in body["compositeRequest"]}


def soql(call: dict[str, Any]) -> str:
    return parse_qs(urlsplit(call["url"]).query)["q"][0]


# -- what is planned ---------------------------------------------------------------------------------


def test_plans_the_record_and_its_task_and_by_choice_the_learner_and_the_file() -> None:
    assert list(planned()) == ["record", "task"]
    every = planned(wanted={"learner_field": "Last_Certificate_Id__c", "pdf": "record"})
    assert list(every) == ["record", "task", "learner", "file"]
    assert dict(every["task"].target) == {"id": RECORD, "learner": CONTACT}
    assert every["record"].lock_key == every["task"].lock_key == f"record:{RECORD}"
    assert every["learner"].lock_key == f"record:{CONTACT}"
    assert every["file"].with_pdf
    assert planned(wanted={"certificate_field": None, "task": "no"}) == {}
    assert list(planned(certificate("erased"))) == ["record"]


def test_a_place_for_one_number_is_told_by_its_record_alone_and_a_task_is_of_one_certificate() -> None:
    every = planned(wanted={"learner_field": "Last_Certificate_Id__c"})
    assert dict(every["record"].target) == {"id": RECORD}
    assert dict(every["learner"].target) == {"learner": CONTACT}
    assert [step.latest for step in every.values()] == [True, False, True]


def test_the_file_goes_to_the_learner_by_choice_and_only_while_the_certificate_is_valid() -> None:
    assert planned(wanted={"pdf": "learner"})["file"].target["place"] == CONTACT
    assert planned(wanted={"pdf": "learner"}, fields={"Contact__c": None})["file"].target["place"] == RECORD
    assert "file" not in planned(certificate("revoked"), wanted={"pdf": "record"})


def test_nothing_is_planned_without_api_or_without_a_record() -> None:
    assert salesforce(WITHOUT_API).write_back_steps(certificate(), parsed(base=WITHOUT_API)[0]) == ()
    for kind, number in (("Account", RECORD), ("Course_Completion__c", None)):
        event = parsed(notification(kind=kind, Id=number))[0]
        assert salesforce().write_back_steps(certificate(), event) == ()


def test_a_learner_of_another_kind_gets_no_number() -> None:
    assert "learner" not in planned(wanted={"learner_field": "X__c"}, fields={"Contact__c": "ada@example.org"})


def test_a_step_of_another_connector_is_unknown() -> None:
    connector = salesforce()
    with pytest.raises(LookupError):
        connector.write_back(Step("note", {}, "x"), certificate(), KeptMemo(), ScriptedApi(connector))


# -- the record --------------------------------------------------------------------------------------

OLDER = grouped(new())


def test_looks_writes_and_reads_back() -> None:
    receipt, api = write(composite(holds(None)), composite(PATCHED), composite(holds(NUMBER)))
    assert receipt.confirmed
    assert calls(api, 0)["record"]["method"] == "GET"
    assert calls(api, 0)["record"]["url"] == (f"{PATH}/sobjects/Course_Completion__c/{RECORD}?fields=Certificate_Id__c")
    assert calls(api, 1)["record"] == {
        "method": "PATCH",
        "url": f"{PATH}/sobjects/Course_Completion__c/{RECORD}",
        "referenceId": "record",
        "body": {"Certificate_Id__c": NUMBER},
    }


def test_case_14_what_is_right_already_is_not_touched_so_that_no_message_follows() -> None:
    receipt, api = write(composite(holds(NUMBER)))
    assert receipt.confirmed
    assert len(api.asked) == 1


def test_an_earlier_number_is_replaced_and_only_what_is_wrong_is_written() -> None:
    link = {"Certificate_Id__c": NUMBER, "Link__c": f"https://certificates.example/c/{OLDER}"}
    done = {"Certificate_Id__c": NUMBER, "Link__c": certificate().url}
    _, api = write(
        composite(("record", 200, link)), composite(PATCHED), composite(("record", 200, done)), url_field="Link__c"
    )
    assert calls(api, 1)["record"]["body"] == {"Link__c": certificate().url}
    _, api = write(composite(holds(OLDER)), composite(PATCHED), composite(holds(NUMBER)))
    assert calls(api, 1)["record"]["body"] == {"Certificate_Id__c": NUMBER}


def test_names_are_the_same_whatever_their_case() -> None:
    write(composite(holds(NUMBER)), certificate_field="certificate_id__c")


@pytest.mark.parametrize("held", [certificate(), certificate("revoked")], ids=["issued", "revoked"])
@pytest.mark.parametrize("body", [None, [], "x", {}, {"attributes": {}}, {"Other__c": "x"}], ids=str)
def test_a_field_that_is_left_out_of_the_answer_is_neither_written_nor_called_right(
    held: Certificate, body: object
) -> None:
    with pytest.raises(HeldError, match=r"Read Access and Edit Access.*field-level security") as told:
        write(composite(("record", 200, body)), held=held)
    assert told.value.stable_code == "hidden"


def test_foreign_text_is_never_overwritten() -> None:
    with pytest.raises(HeldError, match="not overwritten") as told:
        write(composite(holds("HR remark: keep me")))
    assert told.value.stable_code == "foreign_text"
    receipt, _ = write(composite(holds("HR remark: keep me")), held=REVOKED)
    assert receipt.confirmed


# -- the task ----------------------------------------------------------------------------------------


def test_the_task_is_made_by_its_key_and_read_back() -> None:
    key = "Certificate_Key__c"
    receipt, api = write(
        composite(tasks()), composite(CREATED), composite(tasks(TASK_ID)), step="task", task_key_field=key
    )
    assert receipt.confirmed
    assert soql(calls(api, 0)["task"]) == (
        f"SELECT Id, Subject FROM Task WHERE {key} = '{certificate().id}' AND IsDeleted = false LIMIT 2"
    )
    assert calls(api, 1)["task"] == {
        "method": "PATCH",
        "url": f"{PATH}/sobjects/Task/{key}/{certificate().id}",
        "referenceId": "task",
        "body": {
            "Subject": SUBJECT,
            "Status": "Completed",
            "ActivityDate": "2026-11-22",
            "Description": f"Certificate {NUMBER} issued. Verify it at {certificate().url}",
            "WhoId": CONTACT,
        },
    }


def test_case_19_without_a_key_the_task_is_found_again_by_its_subject_before_it_is_made_again() -> None:
    memo = KeptMemo()
    _, api = write(composite(tasks()), composite(CREATED), composite(tasks(TASK_ID)), step="task", memo=memo)
    assert soql(calls(api, 0)["task"]) == (
        f"SELECT Id, Subject FROM Task WHERE WhoId = '{CONTACT}' "
        f"AND Subject LIKE 'Certificate {NUMBER} issued%' AND IsDeleted = false LIMIT 2"
    )
    assert calls(api, 1)["task"]["method"] == "POST"
    assert list(memo.values()) == [TASK_ID]
    # The answer was lost, and with it the memo: the task is found, and no second one is made.
    _, api = write(composite(tasks(TASK_ID)), step="task")
    assert len(api.asked) == 1


def test_a_task_that_was_archived_since_is_not_made_again() -> None:
    _, api = write(composite(tasks(TASK_ID)), step="task")
    assert f"{PATH}/queryAll?q=" in calls(api, 0)["task"]["url"]


def test_case_19_a_task_that_was_made_but_is_not_shown_is_not_made_again() -> None:
    memo = KeptMemo()
    with pytest.raises(TemporaryError, match="does not show it") as caught:
        write(composite(tasks()), composite(CREATED), composite(tasks()), step="task", memo=memo)
    assert caught.value.stable_code == "not_confirmed"
    with pytest.raises(TemporaryError, match=TASK_ID):
        write(composite(tasks()), step="task", memo=memo)


@pytest.mark.parametrize(
    ("learner", "task", "place"),
    [
        (CONTACT, "learner", {"WhoId": CONTACT}),
        (CONTACT, "both", {"WhoId": CONTACT, "WhatId": RECORD}),
        (LEAD, "both", {"WhoId": LEAD}),
        ("ada@example.org", "learner", {"WhatId": RECORD}),
        ("0058d000000000A", "learner", {"WhatId": RECORD}),
        (None, "learner", {"WhatId": RECORD}),
    ],
)
def test_the_task_hangs_where_salesforce_allows_it(learner: str | None, task: str, place: dict[str, str]) -> None:
    _, api = write(
        composite(tasks()), composite(CREATED), composite(tasks(TASK_ID)),
        step="task", fields={"Contact__c": learner}, task=task, task_status="Erledigt",
    )  # fmt: skip
    sent = calls(api, 1)["task"]["body"]
    assert {name: value for name, value in sent.items() if name.endswith("Id")} == place
    assert sent["Status"] == "Erledigt"


def test_the_subject_fits_and_is_one_line() -> None:
    data = certificate().data
    long = data.model_copy(update={"course": data.course.model_copy(update={"title": "R&D\n" + "x" * 400})})
    held = certificate().model_copy(update={"data": long})
    _, api = write(composite(tasks()), composite(CREATED), composite(tasks(TASK_ID)), step="task", held=held)
    subject = calls(api, 1)["task"]["body"]["Subject"]
    assert subject.startswith(f"Certificate {NUMBER} issued: R&D x")
    assert len(subject) == 255


@pytest.mark.parametrize("body", [None, [], "x", {}, {"records": None}], ids=str)
def test_an_answer_without_records_is_not_one_that_found_none(body: object) -> None:
    with pytest.raises(TemporaryError, match="without records"):
        write(composite(("task", 200, body)), step="task")


# -- when it fails -----------------------------------------------------------------------------------


def test_case_20_a_part_that_failed_is_seen_though_the_answer_is_200() -> None:
    with pytest.raises(PermanentError, match="Certificate_Id__c") as caught:
        write(
            composite(holds(None)),
            composite(refusal("record", "INVALID_FIELD_FOR_INSERT_UPDATE", fields=["Certificate_Id__c"])),
        )
    assert caught.value.stable_code == "invalid_field_for_insert_update"


def test_case_17_a_locked_record_is_tried_again() -> None:
    with pytest.raises(TemporaryError) as caught:
        write(composite(holds(None)), composite(refusal("record", "UNABLE_TO_LOCK_ROW")))
    assert caught.value.stable_code == "unable_to_lock_row"


def test_case_16_a_limit_inside_a_composite_rests_the_source() -> None:
    with pytest.raises(TemporaryError) as caught:
        write(composite(refusal("task", "REQUEST_LIMIT_EXCEEDED", 403)), step="task")
    assert caught.value.stable_code == "http_429"


def test_case_21_several_tasks_with_one_key_are_reported() -> None:
    doubled = ("task", 300, [f"{PATH}/sobjects/Task/1", f"{PATH}/sobjects/Task/2"])
    with pytest.raises(PermanentError) as caught:
        write(composite(tasks()), composite(doubled), step="task", task_key_field="Certificate_Key__c")
    assert caught.value.stable_code == "several_records"


def test_an_upsert_that_lost_a_race_is_tried_again_and_then_found() -> None:
    lost = composite(refusal("task", "DUPLICATE_VALUE"))
    with pytest.raises(TemporaryError) as caught:
        write(composite(tasks()), lost, step="task", task_key_field="Certificate_Key__c")
    assert caught.value.stable_code == "duplicate_value"


def test_a_number_that_stands_in_another_record_is_reported() -> None:
    with pytest.raises(PermanentError, match="another record holds this number"):
        write(composite(holds(None)), composite(refusal("record", "DUPLICATE_VALUE")))


@pytest.mark.parametrize("body", [{"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "message": "m"}]}])
def test_a_failure_that_calls_itself_201_is_one(body: object) -> None:
    with pytest.raises(PermanentError) as caught:
        write(composite(tasks()), composite(("task", 201, body)), step="task")
    assert caught.value.stable_code == "string_too_long"


def test_case_24_a_record_that_is_gone_is_reported() -> None:
    with pytest.raises(PermanentError) as caught:
        write(composite(refusal("record", "ENTITY_IS_DELETED", 404)))
    assert caught.value.stable_code == "entity_is_deleted"


def test_a_number_that_does_not_stick_is_noticed() -> None:
    with pytest.raises(TemporaryError, match=r"changes it back|shorter") as caught:
        write(composite(holds(None)), composite(PATCHED), composite(holds(None)))
    assert caught.value.stable_code == "not_confirmed"


def test_a_created_task_without_an_id_is_no_success() -> None:
    with pytest.raises(TemporaryError, match="what it created"):
        write(composite(tasks()), composite(("task", 201, None)), step="task")


@pytest.mark.parametrize("answer", [Answer({}), Answer([]), Answer(b"<html>"), failure("UNABLE_TO_LOCK_ROW")])
def test_a_composite_that_is_none_is_tried_again(answer: Answer) -> None:
    with pytest.raises(TemporaryError):
        write((COMPOSITE, answer))


# -- taken back --------------------------------------------------------------------------------------

REVOKED = certificate("revoked", revoked_at="2026-12-01T09:00:00Z", revoke_reason="Exam annulled")


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_number_that_is_not_valid_any_more_leaves_the_record(state: str) -> None:
    script = composite(holds(NUMBER)), composite(PATCHED), composite(holds(None))
    _, api = write(*script, held=certificate(state))
    assert calls(api, 1)["record"]["body"] == {"Certificate_Id__c": None}
    earlier = read(OLDER)
    assert earlier is not None
    script = composite(holds(OLDER)), composite(PATCHED), composite(holds(None))
    _, api = write(*script, held=certificate(state, withdrawn=(earlier,)))
    assert calls(api, 1)["record"]["body"] == {"Certificate_Id__c": None}


def test_a_second_task_says_that_it_was_revoked() -> None:
    _, api = write(
        composite(tasks()), composite(CREATED), composite(tasks(TASK_ID)),
        step="task", held=REVOKED, task_key_field="Certificate_Key__c",
    )  # fmt: skip
    task = calls(api, 1)["task"]
    assert task["url"].endswith(f"/Task/Certificate_Key__c/{certificate().id}R")
    assert task["body"]["Subject"] == f"Certificate {NUMBER} revoked: Health & Safety"
    assert task["body"]["ActivityDate"] == "2026-12-01"


def test_another_certificates_number_stays_when_one_is_revoked() -> None:
    _, api = write(composite(holds("0000-0000-0000-00000")), held=REVOKED)
    assert len(api.asked) == 1


def test_no_task_is_made_for_a_certificate_that_was_erased_meanwhile() -> None:
    receipt, api = write(step="task", held=certificate("erased"))
    assert (receipt.confirmed, api.asked) == (False, [])


# -- the learner's own record ------------------------------------------------------------------------


@pytest.mark.parametrize(("learner", "kind"), [(CONTACT, "Contact"), (LEAD, "Lead")])
def test_the_latest_number_goes_to_the_learners_record(learner: str, kind: str) -> None:
    field = "Last_Certificate_Id__c"
    receipt, api = write(
        composite(holds(OLDER, field)), composite(PATCHED), composite(holds(NUMBER, field)),
        step="learner", fields={"Contact__c": learner}, learner_field=field,
    )  # fmt: skip
    assert receipt.confirmed
    assert calls(api, 1)["record"]["url"] == f"{PATH}/sobjects/{kind}/{learner}"
    assert calls(api, 1)["record"]["body"] == {field: NUMBER}


# -- the file ----------------------------------------------------------------------------------------

QUERY = f"GET {PATH}/query"
UPLOAD = f"POST {PATH}/sobjects/ContentVersion"
FILE_ID = "0688d00000aBcDeAAK"


def test_the_pdf_is_attached_once_and_read_back() -> None:
    memo = KeptMemo()
    made = (UPLOAD, Answer({"id": FILE_ID, "success": True, "errors": []}, 201))
    receipt, api = write((QUERY, page()), made, (QUERY, page({"Id": FILE_ID})), step="file", pdf="record", memo=memo)
    assert receipt.details == {"file": FILE_ID, "place": RECORD}
    assert api.asked[0].query["q"] == (
        f"SELECT Id FROM ContentVersion WHERE FirstPublishLocationId = '{RECORD}' "
        f"AND Title = 'Certificate {NUMBER} version 1' LIMIT 1"
    )
    assert api.asked[1].json == {
        "Title": f"Certificate {NUMBER} version 1",
        "PathOnClient": f"{NUMBER}.pdf",
        "FirstPublishLocationId": RECORD,
        "VersionData": base64.b64encode(PDF).decode(),
    }
    assert list(memo.values()) == [FILE_ID]


def test_a_file_that_is_there_already_is_not_attached_again() -> None:
    receipt, api = write((QUERY, page({"Id": FILE_ID})), step="file", pdf="record")
    assert receipt.confirmed
    assert len(api.asked) == 1


def test_a_file_that_was_made_but_is_not_shown_is_not_made_again() -> None:
    memo = KeptMemo({f"Certificate {NUMBER} version 1": FILE_ID})
    with pytest.raises(TemporaryError, match=FILE_ID):
        write((QUERY, page()), step="file", pdf="record", memo=memo)


def test_a_corrected_certificate_brings_a_file_of_its_own() -> None:
    second = certificate(version=2)
    _, api = write((QUERY, page({"Id": FILE_ID})), step="file", pdf="record", held=second)
    assert "version 2" in api.asked[0].query["q"]


def test_no_file_is_attached_of_a_certificate_that_was_taken_back_meanwhile() -> None:
    receipt, api = write(step="file", pdf="record", held=REVOKED)
    assert (receipt.confirmed, api.asked) == (False, [])
