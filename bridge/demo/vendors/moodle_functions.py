"""The reading web service functions of Moodle 4.5, with the answers and traps of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from bridge.demo.vendors.moodle_parameters import MoodleError, invalid
from bridge.demo.vendors.moodle_shapes import (
    REPORT_HEADERS,
    Writer,
    completion_status,
    grade_items,
    report_details,
)
from bridge.demo.vendors.moodle_site import ADMIN, Completion, Site, User


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


def moodle_error(kind: str, code: str, message: str, *, our_fault: bool = False) -> MoodleError:
    prefix = "core\\exception\\" if kind in ("moodle_exception", "required_capability_exception") else ""
    return MoodleError(f"{prefix}{kind}", code, message, our_fault=our_fault)


def no_record(table: str, *, our_fault: bool = False) -> MoodleError:
    """Returns the error for a row that is not there."""
    text = f"Can't find data record in database table {table}."
    return moodle_error("dml_missing_record_exception", "invalidrecord", text, our_fault=our_fault)


class Reading:
    """Each method is one function: typed parameters in, what is written as JSON out. Raises MoodleError."""

    def __init__(self, site: Site, settings: Settings, clock: Callable[[], float], names: Sequence[str]) -> None:
        self.site = site
        self.settings = settings
        self._clock = clock
        self._names = names

    # -- reading -----------------------------------------------------------------------------------

    def site_info(self, _: dict[str, Any], writer: Writer) -> object:
        user = self.site.users[self.settings.account]
        names = [name for name in self._names if name not in self.settings.missing]
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
            raise moodle_error("moodle_exception", "userdeleted", "error/userdeleted")
        if not self._tracked(user.id, courseid):
            raise moodle_error("moodle_exception", "usernotenroled", "User is not enrolled in this course")
        found = self.site.completions.get((user.id, courseid))
        if found is None:
            others = [one for (_, course), one in self.site.completions.items() if course == courseid]
            if not others:
                raise moodle_error("moodle_exception", "nocriteriaset", "No criteria set for this course")
            open_criteria = [type(c)(c.type, c.title, c.details) for c in others[0].criteria]
            found = Completion(0, open_criteria)
        return {"completionstatus": completion_status(found), "warnings": []}

    def enrolled_users(self, asked: dict[str, Any], writer: Writer) -> object:
        courseid = asked["courseid"]
        self._course(courseid)
        if not self.settings.rights:
            text = f"You cannot execute functions in the course context (course id:{courseid}). The context error"
            raise moodle_error(
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
                raise moodle_error("moodle_exception", "notenrolled", "The user is not enrolled in the course")
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

    # -- rules -------------------------------------------------------------------------------------

    def _user(self, userid: int) -> User:
        if userid not in self.site.users:
            raise moodle_error("dml_missing_record_exception", "invaliduser", "Invalid user")
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
            raise moodle_error("moodle_exception", "notesdisabled", "Notes are disabled")

    def _no_permission(self, capability: str) -> MoodleError:
        text = f"Sorry, but you do not currently have permissions to do that ({capability})."
        return moodle_error("required_capability_exception", "nopermissions", text)
