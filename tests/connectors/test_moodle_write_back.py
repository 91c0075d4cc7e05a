"""Writing certificate numbers into Moodle: once, read back, and with every silent failure of Moodle noticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from moodle_captures import USERS, answer, moodle, parsed
from scripted_api import Answer, KeptMemo, ScriptedApi, certificate

from bridge.core.certificate_id import grouped, new
from bridge.core.connector import Receipt
from bridge.core.errors import HeldError, PermanentError, TemporaryError

NUMBER = grouped(certificate().id)
OLDER = grouped(new())
GET_NOTES, CREATE_NOTES, UPDATE_USERS = (
    "core_notes_get_course_notes",
    "core_notes_create_notes",
    "core_user_update_users",
)
NO_NOTES = (GET_NOTES, Answer({"coursenotes": [], "warnings": []}))
NO_WARNING = (UPDATE_USERS, answer("wb-profile-field"))


def note(text: str, number: int = 17) -> tuple[str, Answer]:
    return GET_NOTES, Answer({"coursenotes": [{"id": number, "content": text}], "warnings": []})


def shown(value: str | None, name: str = "certificateid", *, sees_all: bool = True, **more: Any) -> tuple[str, Answer]:
    """Returns a user's record: how they sign in is shown with the capability that shows every profile field."""
    fields = {} if value is None else {"customfields": [{"shortname": name, "value": value}]}
    return USERS, Answer([{"id": 3, **fields, **({"auth": "manual"} if sees_all else {}), **more}])


def profile(value: str | None) -> tuple[str, Answer]:
    return shown(value)


def write(step: str, *script: tuple[str, Answer], state: str = "issued", memo: KeptMemo | None = None) -> ScriptedApi:
    connector = moodle()
    held = certificate(state)
    planned = {planned.name: planned for planned in connector.write_back_steps(certificate(), parsed())}
    api = ScriptedApi(connector, *script)
    receipt = connector.write_back(planned[step], held, KeptMemo() if memo is None else memo, api)
    assert receipt.confirmed
    assert api.done
    return api


def test_plans_a_note_and_a_profile_field_that_nobody_else_writes_meanwhile() -> None:
    note_step, field_step = moodle().write_back_steps(certificate(), parsed())
    assert (note_step.name, dict(note_step.target)) == ("note", {"user": "3", "course": "2"})
    assert (field_step.name, field_step.lock_key) == ("profile_field", "user:3")
    assert moodle(write_back={"note": False}).write_back_steps(certificate(), parsed()) == []


def test_what_is_not_switched_on_or_not_of_this_course_is_not_planned() -> None:
    everything = {"note": True, "profile_list": "all", "activities": {"2": "31"}, "message": True}
    names = [step.name for step in moodle(write_back=everything).write_back_steps(certificate(), parsed())]
    assert names == ["note", "profile_list", "activity", "message"]
    elsewhere = moodle(write_back={**everything, "activities": {"4": "31"}})
    assert "activity" not in [step.name for step in elsewhere.write_back_steps(certificate(), parsed())]
    revoked = moodle(write_back=everything).write_back_steps(certificate("revoked"), parsed())
    assert "message" not in [step.name for step in revoked]


def test_a_note_is_made_once_and_read_back() -> None:
    memo = KeptMemo()
    made = (CREATE_NOTES, Answer([{"clientnoteid": "x", "noteid": 17}]))
    api = write("note", NO_NOTES, made, note(f"Certificate {NUMBER} issued: https://..."), memo=memo)
    sent = api.asked[1].form
    assert sent["notes[0][text]"] == f"Certificate {NUMBER} issued: {certificate().url}"
    assert (sent["notes[0][userid]"], sent["notes[0][courseid]"]) == ("3", "2")
    assert list(memo.values()) == ["17"]


def test_a_note_that_an_earlier_attempt_left_is_found_and_not_made_twice() -> None:
    write("note", note(f"<p>Certificate {NUMBER} issued: https://...</p>"))


def test_a_note_that_moodle_took_but_does_not_show_is_never_made_twice() -> None:
    memo = KeptMemo()
    with pytest.raises(TemporaryError, match="moodle/notes:view"):
        write("note", NO_NOTES, (CREATE_NOTES, answer("wb-note")), NO_NOTES, memo=memo)
    with pytest.raises(TemporaryError, match="moodle/notes:view"):
        write("note", NO_NOTES, memo=memo)


@pytest.mark.parametrize("odd", [{}, [], {"warnings": []}], ids=str)
def test_an_answer_that_does_not_list_the_notes_is_not_a_list_of_none(odd: object) -> None:
    with pytest.raises(TemporaryError, match="did not say which notes"):
        write("note", (GET_NOTES, Answer(odd)))


def test_a_revoked_certificate_gets_a_note_of_its_own() -> None:
    made = (CREATE_NOTES, Answer([{"noteid": 18}]))
    first, second = f"Certificate {NUMBER} issued: x", f"Certificate {NUMBER} revoked: x"
    api = write("note", note(first), made, note(second, 18), state="revoked")
    assert api.asked[1].form["notes[0][text]"].startswith(f"Certificate {NUMBER} revoked")


def test_a_note_holds_nothing_that_a_learner_wrote() -> None:
    made = (CREATE_NOTES, Answer([{"noteid": 17}]))
    api = write("note", NO_NOTES, made, note(f"Certificate {NUMBER} issued"))
    assert not set("<>&'\"") & set(api.asked[1].form["notes[0][text]"])


def test_case_25_a_note_with_the_number_minus_1_was_not_made() -> None:
    with pytest.raises(PermanentError, match="Invalid user id: 99999"):
        write("note", NO_NOTES, (CREATE_NOTES, answer("wb-note-unknown-user")))


def test_case_25_notes_that_are_switched_off_say_how_to_switch_them_on() -> None:
    off = Answer({"exception": "moodle_exception", "errorcode": "notesdisabled", "message": "Notes are disabled"})
    with pytest.raises(PermanentError, match="Advanced features"):
        write("note", (GET_NOTES, off))


def test_a_profile_field_is_written_and_read_back() -> None:
    api = write("profile_field", profile(None), NO_WARNING, profile(NUMBER))
    sent: Mapping[str, str] = api.asked[1].form
    assert sent["users[0][id]"] == "3"
    assert sent["users[0][customfields][0][type]"] == "certificateid"
    assert sent["users[0][customfields][0][value]"] == NUMBER


def test_a_profile_field_that_is_right_already_is_not_written() -> None:
    write("profile_field", profile(NUMBER))


def test_case_24_an_unknown_profile_field_is_noticed_although_moodle_reports_success() -> None:
    unknown = (UPDATE_USERS, answer("wb-profile-field-unknown"))
    with pytest.raises(PermanentError, match="no profile field with the short name 'certificateid'"):
        write("profile_field", profile(None), unknown, profile(None))


def test_case_24_a_value_that_moodle_cut_is_noticed() -> None:
    with pytest.raises(PermanentError, match="cut it"):
        write("profile_field", profile(OLDER), NO_WARNING, profile(NUMBER[:10]), NO_WARNING)


def test_case_24_a_value_that_moodle_did_not_take_is_noticed() -> None:
    with pytest.raises(PermanentError, match="kept something else"):
        write("profile_field", profile(OLDER), NO_WARNING, profile(OLDER), NO_WARNING)


def test_what_moodle_made_of_a_value_does_not_stay_where_the_earlier_one_stood() -> None:
    connector = moodle()
    planned = {step.name: step for step in connector.write_back_steps(certificate(), parsed())}
    script = (profile(OLDER), NO_WARNING, profile(NUMBER[:10]), NO_WARNING)
    api = ScriptedApi(connector, *script)
    with pytest.raises(PermanentError, match="put back"):
        connector.write_back(planned["profile_field"], certificate(), KeptMemo(), api)
    assert api.asked[-1].form["users[0][customfields][0][value]"] == OLDER
    assert api.done


@pytest.mark.parametrize("state", ["issued", "revoked"])
def test_a_field_that_may_be_hidden_is_neither_written_nor_called_right(state: str) -> None:
    with pytest.raises(HeldError, match="moodle/user:viewalldetails") as told:
        write("profile_field", shown(None, sees_all=False), state=state)
    assert told.value.stable_code == "hidden"
    # Seen through a course, the capability may hold there only: profile fields stay hidden.
    with pytest.raises(HeldError, match="moodle/user:viewalldetails"):
        write("profile_field", shown(None, roles=[]), state=state)


def test_a_field_that_was_seen_needs_no_further_right() -> None:
    write("profile_field", shown(OLDER, sees_all=False), NO_WARNING, shown(NUMBER, sees_all=False))
    write("profile_field", shown(NUMBER, sees_all=False), NO_WARNING, shown(None, sees_all=False), state="revoked")


@pytest.mark.parametrize("text", ["HR remark: keep me", "0", "old"])
def test_foreign_text_in_a_profile_field_is_never_written_over(text: str) -> None:
    with pytest.raises(HeldError, match="not overwritten") as told:
        write("profile_field", profile(text))
    assert told.value.stable_code == "foreign_text"
    write("profile_field", profile(text), state="revoked")


def test_a_user_that_cannot_be_changed_is_named() -> None:
    with pytest.raises(PermanentError, match="Invalid user ID"):
        write("profile_field", profile(None), (UPDATE_USERS, answer("wb-profile-unknown-user")))


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_revoked_number_leaves_the_profile_field_and_another_one_stays(state: str) -> None:
    api = write("profile_field", profile(NUMBER), NO_WARNING, profile(None), state=state)
    assert api.asked[1].form["users[0][customfields][0][value]"] == ""
    write("profile_field", profile("0000-0000-0000-00000"), state=state)


# -- the list of all certificates ----------------------------------------------------------------------

OVERRIDE, MESSAGE, INFO = (
    "core_completion_override_activity_completion_status",
    "core_message_send_instant_messages",
    "core_webservice_get_site_info",
)
ENTRY = {"certificate": NUMBER, "course": "2", "on": "2026-11-22", "url": certificate().url}
OTHER = {"certificate": "0000-0000-0000-00000", "course": "9", "on": "2025-01-01", "url": "x", "by hand": 1}


def carried(
    wanted: dict[str, Any], *script: tuple[str, Answer], state: str = "issued", memo: KeptMemo | None = None
) -> tuple[Receipt, ScriptedApi]:
    connector = moodle(write_back={"note": False, **wanted})
    (step,) = connector.write_back_steps(certificate(), parsed())
    api = ScriptedApi(connector, *script)
    receipt = connector.write_back(step, certificate(state), KeptMemo() if memo is None else memo, api)
    assert api.done
    return receipt, api


def listed(value: object, *, sees_all: bool = True) -> tuple[str, Answer]:
    text = value if isinstance(value, str) else json.dumps(value)
    return shown(text or None, "certificates", sees_all=sees_all)


LIST = {"profile_list": "certificates"}


@pytest.mark.parametrize("before", ["", " ", []])
def test_the_list_begins_with_the_first_certificate(before: object) -> None:
    _, api = carried(LIST, listed(before), NO_WARNING, listed([ENTRY]))
    assert json.loads(api.asked[1].form["users[0][customfields][0][value]"]) == [ENTRY]


def test_the_list_keeps_every_other_entry_and_is_written_by_one_at_a_time() -> None:
    _, api = carried(LIST, listed([OTHER]), NO_WARNING, listed([OTHER, ENTRY]))
    assert json.loads(api.asked[1].form["users[0][customfields][0][value]"]) == [OTHER, ENTRY]
    (step,) = moodle(write_back={"note": False, **LIST}).write_back_steps(certificate(), parsed())
    assert (step.lock_key, step.latest) == ("user:3", False)


def test_a_certificate_that_is_listed_already_is_not_written_again() -> None:
    receipt, _ = carried(LIST, listed([OTHER, ENTRY]))
    assert receipt.confirmed


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_revoked_certificate_leaves_the_list(state: str) -> None:
    _, api = carried(LIST, listed([ENTRY, OTHER]), NO_WARNING, listed([OTHER]), state=state)
    assert json.loads(api.asked[1].form["users[0][customfields][0][value]"]) == [OTHER]
    _, api = carried(LIST, listed([ENTRY]), NO_WARNING, listed(""), state=state)
    assert api.asked[1].form["users[0][customfields][0][value]"] == ""


@pytest.mark.parametrize(
    "text", ["<p>my notes</p>", "{}", "[1]", "[", "null", f"HR remark: keep me {json.dumps([OTHER])}"]
)
def test_a_field_that_holds_something_else_is_never_written_over(text: str) -> None:
    with pytest.raises(HeldError, match="holds something else") as told:
        carried(LIST, listed(text))
    assert told.value.stable_code == "foreign_text"
    receipt, _ = carried(LIST, listed(text), state="revoked")
    assert "holds nothing of this certificate" in receipt.summary


def test_a_revoked_certificate_between_foreign_text_is_for_a_person_to_take_out() -> None:
    with pytest.raises(HeldError, match="holds something else"):
        carried(LIST, listed(f"HR remark: keep me {json.dumps([ENTRY])}"), state="revoked")


@pytest.mark.parametrize("state", ["issued", "revoked"])
def test_a_list_that_may_be_hidden_is_neither_written_nor_called_right(state: str) -> None:
    with pytest.raises(HeldError, match="moodle/user:viewalldetails"):
        carried(LIST, listed("", sees_all=False), state=state)
    carried(LIST, listed([OTHER], sees_all=False), NO_WARNING, listed([OTHER, ENTRY], sees_all=False))


def test_the_list_is_in_the_order_of_the_days_whatever_arrived_first() -> None:
    later = {**OTHER, "on": "2027-01-01"}
    _, api = carried(LIST, listed([OTHER, later]), NO_WARNING, listed([OTHER, ENTRY, later]))
    assert json.loads(api.asked[1].form["users[0][customfields][0][value]"]) == [OTHER, ENTRY, later]


def test_case_24_a_list_that_moodle_cut_is_noticed() -> None:
    with pytest.raises(PermanentError, match="text area for the list"):
        carried(LIST, listed([OTHER]), NO_WARNING, listed(json.dumps([OTHER, ENTRY])[:40]), NO_WARNING)


# -- an activity that is ticked --------------------------------------------------------------------------

TICK = {"activities": {"2": "3"}}


def test_an_activity_is_ticked_and_the_answer_shows_it() -> None:
    receipt, api = carried(TICK, (OVERRIDE, answer("wb-override-activity-completion")))
    assert receipt.confirmed
    assert {key: api.asked[0].form[key] for key in ("userid", "cmid", "newstate")} == {
        "userid": "3",
        "cmid": "3",
        "newstate": "1",
    }


def test_a_revoked_certificate_opens_the_activity_again() -> None:
    _, api = carried(TICK, (OVERRIDE, Answer({"cmid": 3, "userid": 3, "state": 0})), state="revoked")
    assert api.asked[0].form["newstate"] == "0"


@pytest.mark.parametrize("odd", [None, [], {}, {"state": 0}, {"state": "1"}], ids=str)
def test_an_activity_that_did_not_change_is_noticed(odd: object) -> None:
    with pytest.raises(PermanentError, match="did not mark activity 3"):
        carried(TICK, (OVERRIDE, Answer(odd)))


# -- a message to the learner ----------------------------------------------------------------------------

TELL = {"message": True}
SITE = (INFO, answer("site-info"))


def test_a_message_is_sent_once_with_number_and_link() -> None:
    memo = KeptMemo()
    receipt, api = carried(TELL, SITE, (MESSAGE, answer("wb-message")), memo=memo)
    assert not receipt.confirmed  # Moodle offers nothing to read it back with
    sent = api.asked[1].form
    assert sent["messages[0][touserid]"] == "3"
    assert sent["messages[0][text]"] == f"Your certificate {NUMBER} is ready: {certificate().url}"
    receipt, api = carried(TELL, memo=memo)
    assert "Moodle message" in receipt.summary
    assert api.asked == []


def test_a_message_that_may_have_been_sent_is_not_sent_twice_and_the_receipt_says_so() -> None:
    memo = KeptMemo()
    with pytest.raises(TemporaryError):
        carried(TELL, SITE, (MESSAGE, Answer(b"<html>")), memo=memo)
    receipt, _ = carried(TELL, memo=memo)
    assert not receipt.confirmed
    assert "not sent twice" in receipt.summary


def test_a_message_is_not_tried_while_moodle_is_away() -> None:
    memo = KeptMemo()
    with pytest.raises(TemporaryError):
        carried(TELL, (INFO, answer("http-503-maintenance")), memo=memo)
    carried(TELL, SITE, (MESSAGE, answer("wb-message")), memo=memo)


def test_case_25_a_message_that_the_learner_does_not_take_is_said_and_may_be_tried_again() -> None:
    memo = KeptMemo()
    with pytest.raises(PermanentError, match=r"message preferences.*moodle/site:messageanyuser"):
        carried(TELL, SITE, (MESSAGE, answer("min-message")), memo=memo)
    off = Answer({"exception": "x", "errorcode": "disabled", "message": "Messaging is disabled"})
    with pytest.raises(PermanentError, match="Messaging is switched off"):
        carried(TELL, SITE, (MESSAGE, off), memo=memo)
    carried(TELL, SITE, (MESSAGE, answer("wb-message")), memo=memo)
