"""Writing certificates into HubSpot: properties, a note that is never written twice, an event; what `doctor` says."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from pydantic import ValidationError
from scripted_api import Answer, KeptMemo, ScriptedApi, certificate
from test_hubspot_connector import SETTINGS, batch, change, contact, enriched, hubspot

from bridge.core.certificate_id import grouped, new
from bridge.core.connector import ApiResponse, Receipt, Step
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.models import Certificate, SourceEvent

NUMBER = grouped(certificate().id)
URL = certificate().url
CONTACT = "/crm/v3/objects/contacts/70000000101"
WRITTEN = {"certificate_id": NUMBER, "certificate_url": URL, "certificate_issued_at": "2026-11-22"}
PATCHED = (f"PATCH {CONTACT}", Answer(contact()))


def event() -> SourceEvent:
    (thin,) = batch(change())
    return enriched(thin, contact())


def steps(state: str = "issued", **back: Any) -> dict[str, Step]:
    connector = hubspot(write_back={**SETTINGS["write_back"], **back})
    return {step.name: step for step in connector.write_back_steps(certificate(state), event())}


def shown(number: str = "70000000101", **properties: Any) -> tuple[str, Answer]:
    """Returns the contact as HubSpot shows it: an empty property is null."""
    return f"GET {CONTACT}", Answer(contact(number, **{**dict.fromkeys(WRITTEN), **properties}))


def write(
    step: Step, *script: tuple[str, Answer], state: str = "issued", memo: Any = None, **changes: Any
) -> tuple[Receipt, ScriptedApi]:
    api = ScriptedApi(hubspot(), *script)
    receipt = hubspot().write_back(step, certificate(state, **changes), memo if memo is not None else KeptMemo(), api)
    assert api.done
    return receipt, api


# -- what is planned -----------------------------------------------------------------------------------------


def test_the_properties_come_first_and_then_the_note_one_writer_at_a_time() -> None:
    planned = steps()
    assert list(planned) == ["contact_property", "note"]
    assert {step.lock_key for step in planned.values()} == {"contact:70000000101"}
    assert planned["contact_property"].latest


def test_everything_can_be_switched_off_or_on() -> None:
    off = {"certificate_property": None, "url_property": None, "issued_property": None, "note": False}
    assert steps(**off) == {}
    assert list(steps(event="pe50100100_certificate_issued")) == ["contact_property", "note", "custom_event"]


def test_a_course_may_have_a_property_of_its_own_and_link_and_day_are_then_a_place_that_all_courses_share() -> None:
    planned = steps(property_by_course={"Fire Safety": "fire_certificate"})
    assert dict(planned["contact_property"].target) == {"contact": "70000000101", "property": "fire_certificate"}
    shared = {"url_property": "certificate_url", "issued_property": "certificate_issued_at"}
    assert dict(planned["contact_link"].target) == {"contact": "70000000101", **shared}
    assert planned["contact_property"].latest
    assert planned["contact_link"].latest
    assert steps(property_by_course={"Forklift": "x"})["contact_link"].target == planned["contact_link"].target


@pytest.mark.parametrize(
    "back",
    [
        {"certificate_property": None, "url_property": None, "issued_property": "day"},
        {"property_by_course": {"a": "x"}, "url_property": None, "issued_property": "day"},
    ],
)
def test_a_day_alone_would_not_say_whose_it_is(back: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="issued_property needs url_property"):
        hubspot(write_back=back)


def test_an_erased_certificate_leaves_no_new_note() -> None:
    assert list(steps("erased", event="pe50100100_certificate_issued")) == ["contact_property"]


def test_nothing_is_planned_without_a_token_or_a_contact() -> None:
    assert hubspot(token=None).write_back_steps(certificate(), event()) == ()
    by_address = event().model_copy(update={"subject": "ada@example.org"})
    assert hubspot().write_back_steps(certificate(), by_address) == ()


def test_a_step_of_somebody_else_is_refused() -> None:
    with pytest.raises(LookupError):
        hubspot().write_back(Step("other", {}, ""), certificate(), KeptMemo(), ScriptedApi(hubspot()))


# -- properties ----------------------------------------------------------------------------------------------


def test_writes_number_link_and_day_and_reads_them_back() -> None:
    receipt, api = write(steps()["contact_property"], shown(), PATCHED, shown(**WRITTEN))
    assert receipt.confirmed
    assert api.asked[1].json == {"properties": WRITTEN}


@pytest.mark.parametrize("day", ["2026-11-22", "2026-11-22T00:00:00Z", "1795305600000"])
def test_what_is_there_already_is_not_written_again_however_the_day_is_shown(day: str) -> None:
    receipt, api = write(steps()["contact_property"], shown(**{**WRITTEN, "certificate_issued_at": day}))
    assert receipt.confirmed
    assert len(api.asked) == 1


def test_case_06_a_contact_that_was_merged_is_written_under_its_new_number() -> None:
    patched = ("PATCH /crm/v3/objects/contacts/70000000199", Answer(contact("70000000199")))
    write(steps()["contact_property"], shown("70000000199"), patched, shown("70000000199", **WRITTEN))


def test_a_contact_that_is_gone_needs_attention_and_the_certificate_stays_valid() -> None:
    gone = (f"GET {CONTACT}", Answer({"message": "resource not found"}, 404))
    with pytest.raises(PermanentError, match="stays valid") as caught:
        write(steps()["contact_property"], gone)
    assert caught.value.stable_code == "contact_gone"


def test_case_19_a_renamed_property_fails_for_good_and_is_named() -> None:
    without = contact(**{name: None for name in WRITTEN if name != "certificate_id"})
    unknown = ("GET /crm/v3/properties/contacts/certificate_id", Answer({"message": "no such property"}, 404))
    with pytest.raises(PermanentError, match="no contact property with the internal name certificate_id") as told:
        write(steps()["contact_property"], (f"GET {CONTACT}", Answer(without)), unknown)
    assert told.value.stable_code == "no_property"


@pytest.mark.parametrize("state", ["issued", "revoked"])
@pytest.mark.parametrize("kind", ["sensitive", "highly_sensitive"])
@pytest.mark.parametrize("value", ["REDACTED", None])
def test_a_hidden_property_is_neither_written_nor_called_right(state: str, kind: str, value: str | None) -> None:
    held = {name: None for name in WRITTEN if name != "certificate_url"} | ({"certificate_url": value} if value else {})
    asked = ("GET /crm/v3/properties/contacts/certificate_url", Answer({"dataSensitivity": kind}))
    with pytest.raises(HeldError, match=rf"crm\.objects\.contacts\.{kind}\.read") as told:
        write(steps()["contact_property"], (f"GET {CONTACT}", Answer(contact(**held))), asked, state=state)
    assert told.value.stable_code == "hidden"


@pytest.mark.parametrize("name", ["certificate_id", "certificate_url"])
def test_foreign_text_is_never_overwritten(name: str) -> None:
    remark = shown(**{name: "HR remark: keep me"})
    with pytest.raises(HeldError, match=f"The HubSpot property {name} holds") as told:
        write(steps()["contact_property"], remark)
    assert told.value.stable_code == "foreign_text"
    receipt, _ = write(steps()["contact_property"], remark, state="revoked")
    assert receipt.confirmed


def test_a_day_that_stands_beside_no_number_is_somebody_elses() -> None:
    with pytest.raises(HeldError, match="no certificate number stands beside it"):
        write(steps()["contact_property"], shown(certificate_issued_at="2020-01-01"))
    older = {"certificate_id": grouped(new()), "certificate_issued_at": "2020-01-01"}
    _, api = write(steps()["contact_property"], shown(**older), PATCHED, shown(**WRITTEN))
    assert api.asked[1].json == {"properties": WRITTEN}


def test_a_value_that_does_not_stick_is_noticed() -> None:
    with pytest.raises(TemporaryError, match="does not show them"):
        write(steps()["contact_property"], shown(), PATCHED, shown(certificate_id=NUMBER))


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_revoked_number_leaves_the_contact_and_another_one_stays(state: str) -> None:
    _, api = write(steps(state)["contact_property"], shown(**WRITTEN), PATCHED, shown(), state=state)
    assert api.asked[1].json == {"properties": dict.fromkeys(WRITTEN, "")}
    another = {**WRITTEN, "certificate_id": "0000-0000-0000-00000", "certificate_url": f"{URL[:-17]}{'0' * 17}"}
    write(steps(state)["contact_property"], shown(**another), state=state)


def test_a_revoked_link_leaves_the_contact_where_there_is_no_number() -> None:
    step = steps("revoked", certificate_property=None, issued_property=None)["contact_property"]
    _, api = write(step, shown(certificate_url=URL), PATCHED, shown(), state="revoked")
    assert api.asked[1].json == {"properties": {"certificate_url": ""}}


# -- the note ------------------------------------------------------------------------------------------------


def notes(*numbers: str) -> tuple[str, Answer]:
    results = [{"id": number, "type": "contact_to_note"} for number in numbers]
    return f"GET {CONTACT}", Answer({**contact(), "associations": {"notes": {"results": results}}})


def bodies(**texts: str) -> tuple[str, Answer]:
    results = [{"id": name.removeprefix("n"), "properties": {"hs_note_body": text}} for name, text in texts.items()]
    return "POST /crm/v3/objects/notes/batch/read", Answer({"status": "COMPLETE", "results": results})


CREATED = ("POST /crm/v3/objects/notes", Answer({"id": "90000000001", "properties": {}}, 201))
OURS = f"<p>Certificate {NUMBER} issued: Health &amp; Safety</p>"


def test_writes_a_note_on_the_timeline_and_reads_it_back() -> None:
    script = (shown(), notes("5"), bodies(n5="A call"), CREATED, notes("5", "90000000001"))
    receipt, api = write(steps()["note"], *script, bodies(n5="A call", n90000000001=OURS))
    assert (receipt.confirmed, receipt.details) == (True, {"note": "90000000001"})
    note = api.asked[3].json
    assert note["associations"][0]["to"] == {"id": "70000000101"}
    assert note["associations"][0]["types"][0]["associationTypeId"] == 202
    assert note["properties"]["hs_timestamp"] == "2026-11-22T12:00:00Z"
    assert api.asked[1].query == {"associations": "notes"}


def test_case_20_a_note_whose_answer_was_lost_is_found_and_not_written_again() -> None:
    receipt, api = write(steps()["note"], shown(), notes("90000000001"), bodies(n90000000001=OURS))
    assert receipt.confirmed
    assert "POST /crm/v3/objects/notes" not in [f"{asked.method} {asked.path}" for asked in api.asked]


def test_case_20_a_note_that_was_taken_but_is_not_shown_is_not_written_again() -> None:
    memo = KeptMemo()
    with pytest.raises(TemporaryError, match="90000000001"):
        write(steps()["note"], shown(), notes(), CREATED, notes(), memo=memo)
    with pytest.raises(TemporaryError, match="90000000001"):
        write(steps()["note"], shown(), notes(), memo=memo)


def test_the_newest_notes_are_looked_at_first_and_an_old_one_is_found_all_the_same() -> None:
    numbers = [str(number) for number in range(150, 0, -1)]
    _, api = write(steps()["note"], shown(), notes(*reversed(numbers)), bodies(n150=OURS))
    assert [one["id"] for one in api.asked[2].json["inputs"]] == numbers[:100]
    _, api = write(steps()["note"], shown(), notes(*numbers), bodies(n149="A call"), bodies(n3=OURS))
    assert [one["id"] for one in api.asked[3].json["inputs"]] == numbers[100:]


def test_case_24_what_people_wrote_is_escaped() -> None:
    course = {"title": "Intro to \"Safety\" <script>alert('x')</script>", "id": "2"}
    data = {**certificate().data.model_dump(), "course": course}
    script = (shown(), notes(), CREATED, notes("90000000001"), bodies(n90000000001=OURS))
    _, api = write(steps()["note"], *script, data=data)
    text = api.asked[2].json["properties"]["hs_note_body"]
    assert "<script>" not in text
    assert "Intro to &quot;Safety&quot; &lt;script&gt;" in text


def test_a_revocation_has_a_note_of_its_own_with_the_reason() -> None:
    revoked = f"<p>Certificate {NUMBER} revoked</p>"
    script = (shown(), notes("5"), bodies(n5=OURS), CREATED, notes("5", "90000000001"))
    _, api = write(
        steps("revoked")["note"],
        *script,
        bodies(n5=OURS, n90000000001=revoked),
        state="revoked",
        revoke_reason="Wrong <b>person</b>",
        revoked_at="2026-11-25T10:00:00Z",
    )
    properties = api.asked[3].json["properties"]
    assert f"Certificate {NUMBER} revoked" in properties["hs_note_body"]
    assert "Wrong &lt;b&gt;person&lt;/b&gt;" in properties["hs_note_body"]
    assert properties["hs_timestamp"] == "2026-11-25T10:00:00+00:00"


@pytest.mark.parametrize(
    "odd", [{}, {"associations": []}, {"associations": {"notes": {"results": [None, {"id": "x"}]}}}]
)
def test_odd_lists_of_notes_are_no_notes(odd: dict[str, Any]) -> None:
    listed = (f"GET {CONTACT}", Answer({**contact(), **odd}))
    write(steps()["note"], shown(), listed, CREATED, notes("90000000001"), bodies(n90000000001=OURS))


# -- the event -----------------------------------------------------------------------------------------------


def send(made: Certificate) -> dict[str, Any]:
    step = steps(event="pe50100100_certificate_issued")["custom_event"]
    api = ScriptedApi(hubspot(), shown(), ("POST /events/v3/send", Answer(b"", 204)))
    receipt = hubspot().write_back(step, made, KeptMemo(), api)
    assert not receipt.confirmed
    found: dict[str, Any] = api.asked[1].json
    return found


def test_an_event_is_the_same_one_however_often_it_is_sent() -> None:
    first, again, corrected = send(certificate()), send(certificate()), send(certificate(version=2))
    assert first == again
    assert uuid.UUID(first["uuid"]).version == 5
    assert corrected["uuid"] != first["uuid"]
    assert first["eventName"] == "pe50100100_certificate_issued"
    assert (first["objectId"], first["properties"]) == ("70000000101", {"certificate_id": NUMBER})


# -- what doctor says ------------------------------------------------------------------------------------------


class Account:
    """Answers what `diagnose` and `courses` ask."""

    def __init__(self, info: Answer, *properties: str, options: object = (), **types: dict[str, Any]) -> None:
        self.info = info
        self.types = types
        self.properties = properties
        self.options = options

    def request(self, method: str, path: str, *, json: Any = None, **_: object) -> ApiResponse:
        if path == "/oauth/v2/private-apps/get/access-token-info":
            assert (method, json) == ("POST", {"tokenKey": SETTINGS["token"]})
            answer = self.info
        else:
            name = path.removeprefix("/crm/v3/properties/contacts/")
            kind = self.types.get(name, {})
            answer = Answer({"name": name, "options": self.options, **kind}, 200 if name in self.properties else 404)
        hubspot().check(answer.response())
        return answer.response()


SCOPES = ["crm.objects.contacts.read", "crm.objects.contacts.write"]
ALL = ("course_completed_at", "course_name", "course_score", *WRITTEN)


def findings(account: Account, **changes: Any) -> dict[str, str]:
    return {finding.message: finding.level for finding in hubspot(**changes).diagnose(account)}


def test_doctor_is_content_with_a_source_that_is_complete() -> None:
    found = findings(Account(Answer({"hubId": 50100100, "scopes": SCOPES}), *ALL))
    assert set(found.values()) == {"ok"}
    assert len(found) == 1 + len(ALL)


def test_doctor_names_missing_scopes_and_properties() -> None:
    found = findings(Account(Answer({"hubId": 50100100, "scopes": SCOPES[:1]}), *ALL[:-1]))
    errors = [message for message, level in found.items() if level == "error"]
    assert len(errors) == 2
    assert "crm.objects.contacts.write" in errors[0]
    assert "certificate_issued_at" in errors[1]


STATUS: dict[str, Any] = {"type": "enumeration", "options": [{"value": "started"}, {"value": "completed"}]}


@pytest.mark.parametrize(
    ("changes", "types", "level", "said"),
    [
        ({}, {"certificate_id": {"type": "number"}}, "error", "certificate_id has to be single-line text"),
        ({}, {"certificate_issued_at": {"type": "bool"}}, "error", "certificate_issued_at has to be a date"),
        ({}, {"course_completed_at": STATUS}, "warning", "type enumeration, which tells no date. Name a date property"),
        (
            {"completed_at_property": "course_score"},
            {"course_score": {"type": "number"}},
            "warning",
            "type number, which tells no date",
        ),
        (
            {"completed_at_property": "course_on", "completed_value": "finished"},
            {"course_completed_at": STATUS, "course_on": {"type": "date"}},
            "error",
            "no option with the internal name finished (completed_value); it has: started, completed.",
        ),
    ],
)
def test_doctor_names_a_property_of_the_wrong_type(
    changes: dict[str, Any], types: dict[str, Any], level: str, said: str
) -> None:
    account = Account(Answer({"hubId": 50100100, "scopes": SCOPES}), "course_on", *ALL, **types)
    ((message, found),) = [(told, found) for told, found in findings(account, **changes).items() if found != "ok"]
    assert found == level
    assert said in message


def test_doctor_is_content_with_properties_of_the_right_types() -> None:
    text, day = {"type": "string"}, {"type": "date"}
    types = {"certificate_id": text, "certificate_url": text, "certificate_issued_at": day, "course_on": day}
    account = Account(
        Answer({"hubId": 50100100, "scopes": SCOPES}), "course_on", *ALL, course_completed_at=STATUS, **types
    )
    found = findings(account, completed_at_property="course_on", completed_value="completed")
    assert set(found.values()) == {"ok"}


def test_doctor_says_where_no_property_tells_of_a_completion() -> None:
    found = findings(Account(Answer({"hubId": 50100100, "scopes": SCOPES}), *ALL), completed_property=None)
    assert [message for message, level in found.items() if level == "warning"] == [
        "Neither completed_property nor courses is set: only workflow webhooks bring completions."
    ]


@pytest.mark.parametrize(
    ("kind", "scopes", "missing"),
    [
        ("sensitive", [], ["sensitive.read", "sensitive.write"]),
        ("sensitive", ["sensitive.read.v2"], ["sensitive.write"]),
        ("highly_sensitive", [], ["highly_sensitive.read", "highly_sensitive.write"]),
        ("sensitive", ["sensitive.read", "sensitive.write"], []),
        ("non_sensitive", [], []),
    ],
)
def test_doctor_names_the_scopes_without_which_a_property_is_hidden(
    kind: str, scopes: list[str], missing: list[str]
) -> None:
    given = [*SCOPES, *(f"crm.objects.contacts.{scope}" for scope in scopes)]
    account = Account(Answer({"hubId": 50100100, "scopes": given}), *ALL, certificate_url={"dataSensitivity": kind})
    errors = [message for message, level in findings(account).items() if level == "error"]
    assert [f"crm.objects.contacts.{scope}." in told for told, scope in zip(errors, missing, strict=True)] == [
        True for _ in missing
    ]


def test_doctor_names_a_property_that_hubspot_itself_fills() -> None:
    fixed = {"modificationMetadata": {"readOnlyValue": True}}
    account = Account(Answer({"hubId": 50100100, "scopes": SCOPES}), *ALL, certificate_id=fixed)
    assert [level for told, level in findings(account).items() if "certificate_id cannot be written" in told] == [
        "error"
    ]


def test_doctor_names_a_token_of_another_account() -> None:
    found = findings(Account(Answer({"hubId": 60200200, "scopes": SCOPES}), *ALL))
    assert [message for message, level in found.items() if level == "error"] == [
        "The token belongs to the HubSpot account 60200200, but portal_id is 50100100."
    ]


def test_doctor_says_that_the_token_is_refused() -> None:
    assert list(findings(Account(Answer({"message": "expired"}, 401))).values()) == ["error"]


def test_doctor_goes_on_where_hubspot_does_not_tell_about_the_token() -> None:
    found = findings(Account(Answer(b"", 404), *ALL))
    assert sorted(set(found.values())) == ["ok", "warning"]


def test_doctor_has_nothing_to_try_without_a_token() -> None:
    assert list(findings(Account(Answer(b"", 500)), token=None).values()) == ["ok"]


def test_the_courses_are_the_options_of_a_dropdown_or_those_that_are_set() -> None:
    options = [{"value": "fire", "label": "Fire Safety"}, {"value": None}, 3, {"value": "forklift"}]
    listed = list(hubspot().courses(Account(Answer(), "course_name", options=options)))
    assert [(one.id, one.title) for one in listed] == [("fire", "Fire Safety"), ("forklift", "forklift")]
    own = hubspot(completed_property=None, courses={"a_on": "a", "a2_on": "a", "b_on": "b"})
    assert [one.id for one in own.courses(Account(Answer()))] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "course_name (course_property) is no dropdown. Write what it holds under `courses` in the mapping"),
        ({"course_property": None}, "Set course_property"),
        ({"course_property": "course_nome"}, "no contact property with the internal name course_nome"),
    ],
)
def test_where_there_is_no_list_of_courses_it_says_why(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PermanentError) as caught:
        list(hubspot(**changes).courses(Account(Answer(), "course_name")))
    assert said in str(caught.value)
