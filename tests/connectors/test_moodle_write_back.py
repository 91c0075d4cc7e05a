"""Writing certificate numbers into Moodle: once, read back, and with every silent failure of Moodle noticed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from moodle_captures import USERS, answer, moodle, parsed
from scripted_api import Answer, KeptMemo, ScriptedApi, certificate

from bridge.core.certificate_id import grouped
from bridge.core.errors import PermanentError, TemporaryError

NUMBER = grouped(certificate().id)
GET_NOTES, CREATE_NOTES, UPDATE_USERS = (
    "core_notes_get_course_notes",
    "core_notes_create_notes",
    "core_user_update_users",
)
NO_NOTES = (GET_NOTES, Answer({"coursenotes": [], "warnings": []}))
NO_WARNING = (UPDATE_USERS, answer("wb-profile-field"))


def note(text: str, number: int = 17) -> tuple[str, Answer]:
    return GET_NOTES, Answer({"coursenotes": [{"id": number, "content": text}], "warnings": []})


def profile(value: str | None) -> tuple[str, Answer]:
    fields = [] if value is None else [{"shortname": "certificateid", "value": value}]
    return USERS, Answer([{"id": 3, "customfields": fields}])


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
        write("profile_field", profile("old"), NO_WARNING, profile(NUMBER[:10]))


def test_case_24_a_value_that_moodle_did_not_take_is_noticed() -> None:
    with pytest.raises(PermanentError, match="kept something else"):
        write("profile_field", profile("old"), NO_WARNING, profile("old"))


def test_a_user_that_cannot_be_changed_is_named() -> None:
    with pytest.raises(PermanentError, match="Invalid user ID"):
        write("profile_field", profile(None), (UPDATE_USERS, answer("wb-profile-unknown-user")))


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_revoked_number_leaves_the_profile_field_and_another_one_stays(state: str) -> None:
    api = write("profile_field", profile(NUMBER), NO_WARNING, profile(None), state=state)
    assert api.asked[1].form["users[0][customfields][0][value]"] == ""
    write("profile_field", profile("0000-0000-0000-00000"), state=state)
