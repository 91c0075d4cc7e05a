"""The writing functions of the Moodle stand-in, against what a real Moodle 4.5.6 answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from vendors_selftest.captures import differences
from vendors_selftest.moodle_calls import TOKEN, call, replay

from bridge.demo.vendors.moodle import MoodleStandIn


@pytest.fixture
def moodle() -> Iterator[MoodleStandIn]:
    with MoodleStandIn(token=TOKEN, clock=lambda: 1795353993.0) as stand_in:
        yield stand_in


def test_the_same_note_twice_is_two_notes(moodle: MoodleStandIn) -> None:
    replay(moodle, "wb-note")
    real, ours = replay(moodle, "wb-note-again")
    assert ours == real == [{"noteid": 2}]
    real, ours = replay(moodle, "wb-note-readback")
    assert differences(real, ours) == []
    assert [(note["id"], note["content"], note["format"]) for note in ours["coursenotes"]] == [
        (note["id"], note["content"], note["format"]) for note in real["coursenotes"]
    ]


def test_notes_can_be_changed_and_deleted(moodle: MoodleStandIn) -> None:
    replay(moodle, "wb-note")
    change = {"id": "1", "publishstate": "course", "text": "a & b", "format": "2"}
    fields = {f"notes[0][{key}]": value for key, value in change.items()}
    assert call(moodle, "core_notes_update_notes", **fields) == []
    shown = call(moodle, "core_notes_get_course_notes", courseid="2", userid="3")
    assert shown["coursenotes"][0]["content"] == "a &amp; b"
    raw = call(moodle, "core_notes_get_course_notes", courseid="2", userid="3", moodlewssettingraw="true")
    assert raw["coursenotes"][0]["content"] == "a & b"
    assert call(moodle, "core_notes_delete_notes", **{"notes[0]": "1", "notes[1]": "9"}) == [
        {"item": "note", "itemid": 9, "warningcode": "badid", "message": "Note does not exist"}
    ]


def test_notes_may_be_switched_off(moodle: MoodleStandIn) -> None:
    moodle.settings.notes = False
    assert replay(moodle, "wb-note")[1]["errorcode"] == "notesdisabled"


def test_a_profile_field_is_written_cut_and_read_back(moodle: MoodleStandIn) -> None:
    replay(moodle, "wb-profile-field")
    real, ours = replay(moodle, "wb-profile-field-readback")
    assert differences(real, ours) == []
    assert ours[0]["customfields"] == real[0]["customfields"]
    long = {"users[0][id]": "3", "users[0][customfields][0][value]": "x" * 3000}
    for kind, length in (("certificateid", 2048), ("certificates", 3000)):
        call(moodle, "core_user_update_users", **long, **{"users[0][customfields][0][type]": kind})
        assert len(moodle.site.users[3].profile[kind]) == length


def test_a_field_may_be_writable_but_not_readable(moodle: MoodleStandIn) -> None:
    first = "users[0][customfields][0]"
    fields = {"users[0][id]": "3", f"{first}[type]": "certhidden", f"{first}[value]": "x"}
    moodle.settings.lacks.add("moodle/user:viewalldetails")
    assert call(moodle, "core_user_update_users", **fields) == {"warnings": []}
    assert "customfields" not in call(moodle, "core_user_get_users_by_field", field="id", **{"values[0]": "3"})[0]


def test_a_textarea_keeps_kilobytes_of_json_unchanged(moodle: MoodleStandIn) -> None:
    text = '[{"course": 0, "t": "R&D <b>\\"x\\"</b>"}]' * 250
    first = "users[0][customfields][0]"
    fields = {"users[0][id]": "3", f"{first}[type]": "certificates", f"{first}[value]": text}
    assert call(moodle, "core_user_update_users", **fields) == {"warnings": []}
    (entry,) = call(moodle, "core_user_get_users_by_field", field="id", **{"values[0]": "3"})[0]["customfields"]
    assert (entry["type"], entry["shortname"], entry["value"]) == ("textarea", "certificates", text)


def test_an_activity_is_ticked_for_a_learner_once(moodle: MoodleStandIn) -> None:
    asked = {"userid": "3", "cmid": "3", "newstate": "1"}
    first = call(moodle, "core_completion_override_activity_completion_status", **asked)
    moodle._functions._clock = lambda: 1795359999.0
    assert call(moodle, "core_completion_override_activity_completion_status", **asked) == first
    shown = call(moodle, "core_completion_get_activities_completion_status", courseid="2", userid="3")["statuses"]
    states = [(one["cmid"], one["state"], one["timecompleted"], one["overrideby"]) for one in shown]
    assert states == [(3, 1, 1795353993, 7), (4, 1, 1795353871, None)]


def test_an_unknown_activity_is_no_record(moodle: MoodleStandIn) -> None:
    asked = {"userid": "3", "cmid": "99", "newstate": "1"}
    answer = call(moodle, "core_completion_override_activity_completion_status", **asked)
    assert answer["errorcode"] == "invalidrecordunknown"


@pytest.mark.parametrize(("userid", "reason"), [("3", "message preferences"), ("99", "doesn't exist")])
def test_a_message_may_not_arrive_although_the_call_succeeds(moodle: MoodleStandIn, userid: str, reason: str) -> None:
    moodle.settings.unwilling.add(3)
    asked = {"messages[0][touserid]": userid, "messages[0][text]": "x", "messages[0][clientmsgid]": "a-1"}
    (result,) = call(moodle, "core_message_send_instant_messages", **asked)
    assert (result["msgid"], result["clientmsgid"]) == (-1, "a-1")
    assert reason in result["errormessage"]
    assert moodle.site.messages == []
