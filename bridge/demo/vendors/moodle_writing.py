"""The writing web service functions of Moodle 4.5, silent failures included."""

from __future__ import annotations

from typing import Any, Final

from bridge.demo.vendors.moodle_functions import moodle_error
from bridge.demo.vendors.moodle_learning import Learning
from bridge.demo.vendors.moodle_parameters import invalid
from bridge.demo.vendors.moodle_shapes import Writer
from bridge.demo.vendors.moodle_site import ADMIN, GUEST, TEXT_LIMIT, ActivityState, Note

_FORMATS: Final = ("0", "1", "2", "4")
_STATES: Final = {"personal": "draft", "course": "public", "site": "site"}


class Functions(Learning):
    """All functions: those that read and those that write."""

    def update_users(self, asked: dict[str, Any], writer: Writer) -> object:
        self._want("moodle/user:update", "Update user profiles")
        warnings = []
        for change in asked["users"]:
            code, message = self._why_not(change["id"])
            if code:
                warnings.append({"item": "user", "itemid": change["id"], "warningcode": code, "message": message})
                continue
            user = self.site.users[change["id"]]
            for entry in change["customfields"]:
                definition = self.site.profile_fields.get(entry["type"])
                if definition is not None:  # an unknown short name is ignored without a word
                    limit = TEXT_LIMIT if definition.datatype == "text" else None
                    user.profile[definition.shortname] = entry["value"][:limit]
            for key in ("firstname", "lastname", "email", "idnumber", "city", "country"):
                if change[key] is not None:
                    setattr(user, key, change[key])
        return {"warnings": warnings}

    def create_notes(self, asked: dict[str, Any], writer: Writer) -> object:
        self._notes_on()
        results = []
        for wanted in asked["notes"]:
            result: dict[str, Any] = {}
            if wanted["clientnoteid"] is not None:
                result["clientnoteid"] = wanted["clientnoteid"]
            user = self.site.users.get(wanted["userid"])
            _check_format(wanted["format"])
            if wanted["courseid"] not in self.site.courses:
                result |= {"noteid": -1, "errormessage": "You are trying to use an invalid course ID"}
            elif user is None or user.deleted:
                self._enter_course()
                result |= {"noteid": -1, "errormessage": f"Invalid user id: {wanted['userid']}"}
            else:
                self._enter_course()
                self._want("moodle/notes:manage", "Manage notes")
                result["noteid"] = self._new_note(wanted)
            results.append(result)
        return results

    def course_notes(self, asked: dict[str, Any], writer: Writer) -> object:
        self._notes_on()
        if asked["courseid"]:
            self._course(asked["courseid"])
        self._enter_course()
        self._want("moodle/notes:view", "View notes")
        found: dict[str, list[dict[str, Any]]] = {"site": [], "public": [], "draft": []}
        for note in sorted(self.site.notes.values(), key=lambda note: -note.id):
            if note.userid == asked["userid"] and (note.publishstate == "site" or note.courseid == asked["courseid"]):
                found[note.publishstate].append(writer.note(note))
        return {
            "sitenotes": found["site"],
            "coursenotes": found["public"],
            "personalnotes": found["draft"],
            "canmanagesystemnotes": True,
            "canmanagecoursenotes": True,
            "warnings": [],
        }

    def update_notes(self, asked: dict[str, Any], writer: Writer) -> object:
        self._notes_on()
        warnings = []
        for change in asked["notes"]:
            _check_format(change["format"])
            note = self.site.notes.get(change["id"])
            if note is None:
                warnings.append(_no_note(change["id"]))
                continue
            self._enter_course()
            self._want("moodle/notes:manage", "Manage notes")
            note.content, note.format = change["text"], int(change["format"])
            note.publishstate, note.modified = _STATES[change["publishstate"]], int(self._clock())
        return warnings

    def delete_notes(self, asked: dict[str, Any], writer: Writer) -> object:
        self._notes_on()
        self._enter_course()
        self._want("moodle/notes:manage", "Manage notes")
        return [_no_note(number) for number in asked["notes"] if self.site.notes.pop(number, None) is None]

    def override_activity(self, asked: dict[str, Any], writer: Writer) -> object:
        user, module = self._user(asked["userid"]), self.site.modules.get(asked["cmid"])
        if module is None:
            text = "Can't find data record in database."
            raise moodle_error("dml_missing_record_exception", "invalidrecordunknown", text)
        self._enter_course()
        self._want("moodle/course:overridecompletion", "Override activity completion status")
        if asked["newstate"] not in (0, 1):
            raise invalid("newstate must be 0 or 1")
        state = self.site.state_of(module, user.id)
        if state.state != asked["newstate"]:  # the same once more changes nothing, not even the time
            at = int(self._clock()) if asked["newstate"] else 0
            state = self.site.activities[module.id, user.id] = ActivityState(
                asked["newstate"], at, self.settings.account
            )
        return {
            "cmid": module.id,
            "userid": user.id,
            "state": state.state,
            "timecompleted": state.at,
            "overrideby": state.by,
            "tracking": 1,
        }

    def send_messages(self, asked: dict[str, Any], writer: Writer) -> object:
        if not self.settings.messaging:
            raise moodle_error("moodle_exception", "disabled", "Messaging is disabled on this site")
        return [self._send_message(wanted) for wanted in asked["messages"]]

    def _send_message(self, wanted: dict[str, Any]) -> dict[str, Any]:
        named = {"clientmsgid": wanted["clientmsgid"]} if wanted["clientmsgid"] is not None else {}
        if refusal := self._why_no_message(wanted["touserid"]):
            return {"msgid": -1, **named, "errormessage": refusal, "candeletemessagesforallusers": False}
        self.site.messages.append((wanted["touserid"], wanted["text"]))
        return {
            "msgid": len(self.site.messages),
            **named,
            "text": f"<p>{wanted['text']}</p>",
            "timecreated": int(self._clock()),
            "conversationid": 1,
            "useridfrom": self.settings.account,
            "candeletemessagesforallusers": True,
        }

    def _why_no_message(self, userid: int) -> str:
        user = self.site.users.get(userid)
        if user is None or user.deleted:
            return f"You can not send a message to a user id ({userid}) that doesn't exist"
        if userid in self.settings.unwilling or not self.settings.may("moodle/site:messageanyuser"):
            return "You can't message this user due to their message preferences. Try adding them as a contact."
        return ""

    def _why_not(self, userid: int) -> tuple[str, str]:
        user = self.site.users.get(userid)
        if user is None:
            return "invaliduserid", "Invalid user ID"
        if user.deleted:
            return "usernotupdateddeleted", "error/usernotupdateddeleted"
        if user.id == GUEST:
            return "usernotupdatedguest", "error/usernotupdatedguest"
        if user.id == ADMIN and self.settings.account != ADMIN:
            return "usernotupdatedadmin", "error/usernotupdatedadmin"
        return "", ""

    def _new_note(self, wanted: dict[str, Any]) -> int:
        if wanted["publishstate"] not in _STATES:
            raise invalid(f"publishstate {wanted['publishstate']!r}")
        number, now = 1 + max(self.site.notes, default=0), int(self._clock())
        self.site.notes[number] = Note(
            number,
            wanted["userid"],
            wanted["courseid"],
            wanted["text"],
            int(wanted["format"]),
            _STATES[wanted["publishstate"]],
            now,
            now,
        )
        return number


def _check_format(value: str) -> None:
    if value not in _FORMATS:
        raise invalid(f"format {value!r}")


def _no_note(number: int) -> dict[str, Any]:
    return {"item": "note", "itemid": number, "warningcode": "badid", "message": "Note does not exist"}
