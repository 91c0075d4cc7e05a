"""The web service functions of Moodle 4.5 that a certificate bridge needs, with the answers and traps of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Final

from bridge.demo.vendors.moodle_parameters import INT, RAW, Many, MoodleError, One, Value, invalid, optional
from bridge.demo.vendors.moodle_shapes import (
    REPORT_HEADERS,
    Writer,
    completion_status,
    grade_items,
    report_details,
)
from bridge.demo.vendors.moodle_site import ADMIN, GUEST, TEXT_LIMIT, Completion, Note, Site, User

_FORMATS: Final = ("0", "1", "2", "4")
_STATES: Final = {"personal": "draft", "course": "public", "site": "site"}


@dataclass
class Settings:
    """Switches of the site and of the service account; a test turns them."""

    rights: bool = True
    """False: the account may call web services and nothing else, as in the captures named min-*."""
    notes: bool = True
    messaging: bool = True
    multilang: bool = False
    """The multi-language filter, applied to headings too."""
    webservices: bool = True
    maintenance: bool = False
    debugging: bool = False
    """Adds `debuginfo` to exceptions."""
    account: int = 7
    zone: tzinfo = UTC
    """Of the service account; report dates are written in it."""
    missing: set[str] = field(default_factory=set)
    """Functions that the admin forgot to put into the service."""
    report: str = "Recent completions"


def _error(kind: str, code: str, message: str, *, our_fault: bool = False) -> MoodleError:
    prefix = "core\\exception\\" if kind in ("moodle_exception", "required_capability_exception") else ""
    return MoodleError(f"{prefix}{kind}", code, message, our_fault=our_fault)


def no_record(table: str, *, our_fault: bool = False) -> MoodleError:
    """Returns the error for a row that is not there."""
    text = f"Can't find data record in database table {table}."
    return _error("dml_missing_record_exception", "invalidrecord", text, our_fault=our_fault)


class Functions:
    """Each method is one function: typed parameters in, what is written as JSON out. Raises MoodleError."""

    def __init__(self, site: Site, settings: Settings, clock: Callable[[], float]) -> None:
        self.site = site
        self.settings = settings
        self._clock = clock

    # -- reading -----------------------------------------------------------------------------------

    def site_info(self, _: dict[str, Any], writer: Writer) -> object:
        user = self.site.users[self.settings.account]
        names = sorted(set(TABLE) - self.settings.missing)
        return {
            "sitename": "Capture Site",
            "username": user.username,
            "firstname": user.firstname,
            "lastname": user.lastname,
            "fullname": user.fullname,
            "lang": "en",
            "userid": user.id,
            "siteurl": self.site.root,
            "userpictureurl": f"{self.site.root}/theme/image.php/boost/core/1795353874/u/f1",
            "functions": [{"name": name, "version": "2024100706"} for name in names],
            "downloadfiles": 0,
            "uploadfiles": 0,
            "release": "4.5.6 (Build: 20250811)",
            "version": "2024100706",
            "mobilecssurl": "",
            "advancedfeatures": [
                {"name": "enablenotes", "value": int(self.settings.notes)},
                {"name": "messaging", "value": int(self.settings.messaging)},
                {"name": "enablecompletion", "value": 1},
                {"name": "enablecustomreports", "value": 1},
            ],
            "usercanmanageownfiles": True,
            "userquota": 0,
            "usermaxuploadfilesize": -1,
            "userhomepage": 1,
            "userprivateaccesskey": "0123456789abcdef0123456789abcdef",
            "siteid": 1,
            "sitecalendartype": "gregorian",
            "usercalendartype": "gregorian",
            "userissiteadmin": user.id == ADMIN,
            "theme": "boost",
            "limitconcurrentlogins": 0,
            "policyagreed": 0,
        }

    def users_by_field(self, asked: dict[str, Any], writer: Writer) -> object:
        name, values = asked["field"], asked["values"]
        if name not in ("id", "idnumber", "username", "email"):
            text = "Coding error detected, it must be fixed by a programmer: invalid field parameter"
            raise MoodleError("core\\exception\\coding_exception", "codingerror", text, our_fault=True)
        if name == "id" and not all(value.lstrip("-").isdigit() for value in values):
            raise invalid("values must be whole numbers when field is id")
        if not self.settings.rights:
            return []  # a missing capability looks like "no such user"
        found = [user for user in self.site.users.values() if str(getattr(user, name)) in values]
        return [writer.user(user, self.settings.account) for user in sorted(found, key=lambda user: user.id)]

    def courses_by_field(self, asked: dict[str, Any], writer: Writer) -> object:
        name, value = asked["field"], asked["value"]
        if name not in ("", "id", "ids", "shortname", "idnumber"):
            raise invalid(f"field {name!r}")
        wanted = value.split(",") if name == "ids" else [value]
        if name in ("id", "ids") and not all(part.isdigit() for part in wanted):
            raise invalid(f"value {value!r} must be a number")
        attribute = "id" if name == "ids" else name
        found = [
            writer.course(course, everything=self.settings.rights)
            for course in self.site.courses.values()
            if not name or str(getattr(course, attribute)) in wanted
        ]
        return {"courses": found, "warnings": []}

    def completion(self, asked: dict[str, Any], writer: Writer) -> object:
        user, courseid = self._user(asked["userid"]), asked["courseid"]
        self._course(courseid)
        self._enter_course()
        if user.deleted:
            raise _error("moodle_exception", "userdeleted", "error/userdeleted")
        if not self._tracked(user.id, courseid):
            raise _error("moodle_exception", "usernotenroled", "User is not enrolled in this course")
        found = self.site.completions.get((user.id, courseid))
        if found is None:
            others = [one for (_, course), one in self.site.completions.items() if course == courseid]
            if not others:
                raise _error("moodle_exception", "nocriteriaset", "No criteria set for this course")
            open_criteria = [type(c)(c.type, c.title, c.details) for c in others[0].criteria]
            found = Completion(0, open_criteria)
        return {"completionstatus": completion_status(found), "warnings": []}

    def enrolled_users(self, asked: dict[str, Any], writer: Writer) -> object:
        courseid = asked["courseid"]
        self._course(courseid)
        if not self.settings.rights:
            text = f"You cannot execute functions in the course context (course id:{courseid}). The context error"
            raise _error(
                "moodle_exception",
                "errorcoursecontextnotvalid",
                f"{text} message was: Course or activity not accessible.",
            )
        options = {option["name"]: option["value"] for option in asked["options"]}
        known = {"onlyactive", "onlysuspended", "userfields", "limitfrom", "limitnumber", "sortby", "sortdirection"}
        if unknown := set(options) - known:
            raise invalid(f"options {', '.join(sorted(unknown))}")
        found = [
            writer.participant(self.site.users[userid], courseid)
            for (userid, course), enrolment in sorted(self.site.enrolments.items())
            if course == courseid and not (enrolment.suspended and options.get("onlyactive") == "1")
        ]
        start = int(options.get("limitfrom", "0"))
        count = int(options.get("limitnumber", "0")) or len(found)
        page = found[start : start + count]
        if fields := options.get("userfields"):
            page = [{key: one[key] for key in fields.split(",") if key in one} for one in page]
        return page

    def my_courses(self, asked: dict[str, Any], writer: Writer) -> object:
        if not self.settings.rights or asked["userid"] not in self.site.users:
            return []
        return [writer.my_course(course, asked["userid"]) for course in writer.courses_of(asked["userid"])]

    def grade_items(self, asked: dict[str, Any], writer: Writer) -> object:
        course = self._course(asked["courseid"])
        self._enter_course()
        users: Iterable[User]
        if asked["userid"]:
            users = [self._user(asked["userid"])]
            if not self._tracked(asked["userid"], course.id):
                raise _error("moodle_exception", "notenrolled", "The user is not enrolled in the course")
        else:
            users = (
                self.site.users[userid] for userid, courseid in sorted(self.site.enrolments) if courseid == course.id
            )
        return {"usergrades": [grade_items(self.site, user, course) for user in users], "warnings": []}

    def overview_grades(self, asked: dict[str, Any], writer: Writer) -> object:
        if not self.settings.rights:
            raise self._no_permission("View grades of other users")
        user = self._user(asked["userid"] or self.settings.account)
        found = []
        for course in writer.courses_of(user.id):
            grade = self.site.grades.get((user.id, course.id))
            shown, raw = ("-", None) if grade is None else (f"{grade:.2f}", f"{grade:.5f}")
            found.append({"courseid": course.id, "grade": shown, "rawgrade": raw})
        return {"grades": found, "warnings": []}

    def list_reports(self, asked: dict[str, Any], writer: Writer) -> object:
        reports = [report_details(self.site, 1, self.settings.report)] if self.settings.rights else []
        return {"reports": reports if asked["page"] == 0 else [], "warnings": []}

    def report(self, asked: dict[str, Any], writer: Writer) -> object:
        if asked["reportid"] != 1:
            raise no_record("reportbuilder_report")
        if not self.settings.rights:
            text = "You cannot view this report"
            raise MoodleError("core_reportbuilder\\exception\\report_access_exception", "errorreportview", text)
        done = [
            (completion, self.site.users[userid], self.site.courses[courseid])
            for (userid, courseid), completion in self.site.completions.items()
            if completion.done and not self.site.users[userid].deleted
        ]
        done.sort(key=lambda entry: (-entry[0].completed_at, -entry[1].id))
        start = asked["page"] * asked["perpage"]
        rows = [
            writer.report_row(user, course, completion, self.settings.zone)
            for completion, user, course in done[start : start + asked["perpage"]]
        ]
        data = {"headers": REPORT_HEADERS, "rows": rows, "totalrowcount": len(done)}
        return {"details": report_details(self.site, 1, self.settings.report), "data": data, "warnings": []}

    # -- writing -----------------------------------------------------------------------------------

    def update_users(self, asked: dict[str, Any], writer: Writer) -> object:
        if not self.settings.rights:
            raise self._no_permission("Update user profiles")
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
                result["noteid"] = self._new_note(wanted)
            results.append(result)
        return results

    def course_notes(self, asked: dict[str, Any], writer: Writer) -> object:
        self._notes_on()
        if asked["courseid"]:
            self._course(asked["courseid"])
        self._enter_course()
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
            note.content, note.format = change["text"], int(change["format"])
            note.publishstate, note.modified = _STATES[change["publishstate"]], int(self._clock())
        return warnings

    def delete_notes(self, asked: dict[str, Any], writer: Writer) -> object:
        self._notes_on()
        self._enter_course()
        return [_no_note(number) for number in asked["notes"] if self.site.notes.pop(number, None) is None]

    def override_activity(self, asked: dict[str, Any], writer: Writer) -> object:
        user = self._user(asked["userid"])
        self._enter_course()
        if asked["newstate"] not in (0, 1):
            raise invalid("newstate must be 0 or 1")
        now = int(self._clock())
        self.site.activities[asked["cmid"], user.id] = asked["newstate"]
        return {
            "cmid": asked["cmid"],
            "userid": user.id,
            "state": asked["newstate"],
            "timecompleted": now if asked["newstate"] else 0,
            "overrideby": self.settings.account,
            "tracking": 1,
        }

    def send_messages(self, asked: dict[str, Any], writer: Writer) -> object:
        if not self.settings.messaging:
            raise _error("moodle_exception", "disabled", "Messaging is disabled on this site")
        results: list[dict[str, Any]] = []
        for wanted in asked["messages"]:
            if not self.settings.rights:
                text = "You can't message this user due to their message preferences. Try adding them as a contact."
                results.append({"msgid": -1, "errormessage": text, "candeletemessagesforallusers": False})
                continue
            self.site.messages.append((wanted["touserid"], wanted["text"]))
            number = len(self.site.messages)
            results.append(
                {
                    "msgid": number,
                    **({"clientmsgid": wanted["clientmsgid"]} if wanted["clientmsgid"] is not None else {}),
                    "text": f"<p>{wanted['text']}</p>",
                    "timecreated": int(self._clock()),
                    "conversationid": 1,
                    "useridfrom": self.settings.account,
                    "candeletemessagesforallusers": True,
                }
            )
        return results

    # -- rules -------------------------------------------------------------------------------------

    def _user(self, userid: int) -> User:
        if userid not in self.site.users:
            raise _error("dml_missing_record_exception", "invaliduser", "Invalid user")
        return self.site.users[userid]

    def _course(self, courseid: int) -> Any:
        if courseid not in self.site.courses:
            raise no_record("course")
        return self.site.courses[courseid]

    def _enter_course(self) -> None:
        if not self.settings.rights:
            text = "Course or activity not accessible."
            raise MoodleError("core\\exception\\require_login_exception", "requireloginerror", text)

    def _tracked(self, userid: int, courseid: int) -> bool:
        enrolment = self.site.enrolments.get((userid, courseid))
        return enrolment is not None and not enrolment.suspended and enrolment.role == "student"

    def _notes_on(self) -> None:
        if not self.settings.notes:
            raise _error("moodle_exception", "notesdisabled", "Notes are disabled")

    def _no_permission(self, capability: str) -> MoodleError:
        text = f"Sorry, but you do not currently have permissions to do that ({capability})."
        return _error("required_capability_exception", "nopermissions", text)

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


_TEXT: Final = Value("text")
_ALPHA: Final = Value("alpha")
_PAGE: Final = {"page": Value("int", 0), "perpage": Value("int", 10)}
_NOTE: Final = {"publishstate": _ALPHA, "text": RAW, "format": Value("raw", "1")}
_PERSON: Final = {key: optional(_TEXT) for key in ("firstname", "lastname", "email", "idnumber", "city", "country")}
_LEARNER: Final = One({"courseid": INT, "userid": INT})

TABLE: Final[dict[str, tuple[One, Callable[[Functions, dict[str, Any], Writer], object]]]] = {
    "core_webservice_get_site_info": (One({}), Functions.site_info),
    "core_user_get_users_by_field": (One({"field": _ALPHA, "values": Many(RAW)}), Functions.users_by_field),
    "core_course_get_courses_by_field": (
        One({"field": Value("raw", ""), "value": Value("raw", "")}),
        Functions.courses_by_field,
    ),
    "core_completion_get_course_completion_status": (_LEARNER, Functions.completion),
    "core_enrol_get_enrolled_users": (
        One({"courseid": INT, "options": Many(One({"name": _TEXT, "value": RAW}), ())}),
        Functions.enrolled_users,
    ),
    "core_enrol_get_users_courses": (
        One({"userid": INT, "returnusercount": Value("bool", True)}),
        Functions.my_courses,
    ),
    "gradereport_user_get_grade_items": (
        One({"courseid": INT, "userid": Value("int", 0), "groupid": Value("int", 0)}),
        Functions.grade_items,
    ),
    "gradereport_overview_get_course_grades": (One({"userid": Value("int", 0)}), Functions.overview_grades),
    "core_reportbuilder_list_reports": (One(_PAGE), Functions.list_reports),
    "core_reportbuilder_retrieve_report": (One({"reportid": INT, **_PAGE}), Functions.report),
    "core_user_update_users": (
        One(
            {
                "users": Many(
                    One(
                        {
                            "id": INT,
                            **_PERSON,
                            "customfields": Many(One({"type": Value("alphanumext"), "value": RAW}), ()),
                        }
                    )
                )
            }
        ),
        Functions.update_users,
    ),
    "core_notes_create_notes": (
        One(
            {"notes": Many(One({"userid": INT, "courseid": INT, **_NOTE, "clientnoteid": Value("alphanumext", None)}))}
        ),
        Functions.create_notes,
    ),
    "core_notes_get_course_notes": (One({"courseid": INT, "userid": Value("int", 0)}), Functions.course_notes),
    "core_notes_update_notes": (One({"notes": Many(One({"id": INT, **_NOTE}))}), Functions.update_notes),
    "core_notes_delete_notes": (One({"notes": Many(INT)}), Functions.delete_notes),
    "core_completion_override_activity_completion_status": (
        One({"userid": INT, "cmid": INT, "newstate": INT}),
        Functions.override_activity,
    ),
    "core_message_send_instant_messages": (
        One(
            {
                "messages": Many(
                    One(
                        {
                            "touserid": INT,
                            "text": RAW,
                            "textformat": Value("raw", "0"),
                            "clientmsgid": Value("alphanumext", None),
                        }
                    )
                )
            }
        ),
        Functions.send_messages,
    ),
}
