"""The web service functions of Moodle 4.5 that read people and courses, with the traps of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Final

from bridge.demo.vendors.moodle_parameters import MoodleError, invalid
from bridge.demo.vendors.moodle_report import REPORT_HEADERS
from bridge.demo.vendors.moodle_shapes import Writer
from bridge.demo.vendors.moodle_site import ADMIN, Course, Site, User

_IDENTITY: Final = ("email", "idnumber")
_SEES_ALL: Final = "moodle/user:viewalldetails"
_ALL_DETAILS: Final = ("username", "auth", "confirmed", "lang", "theme", "timezone", "mailformat")
_OPTIONS: Final = frozenset(
    {
        *("onlyactive", "onlysuspended", "userfields", "limitfrom", "limitnumber", "sortby", "sortdirection"),
        *("withcapability", "groupid"),
    }
)


@dataclass
class Settings:
    """Switches of the site and of the service account; a test turns them."""

    rights: bool = True
    """False: the account may call web services and nothing else, as in the captures named min-*."""
    granted: set[str] | None = None
    """The only capabilities that the account has; None: all of them."""
    lacks: set[str] = field(default_factory=set)
    """Capabilities that the account does not have, like "moodle/user:viewdetails"; most of them fail silently."""
    notes: bool = True
    messaging: bool = True
    multilang: bool = False
    """The multi-language filter, applied to headings too."""
    webservices: bool = True
    maintenance: bool = False
    debugging: bool = False
    """Adds `debuginfo` to exceptions."""
    token_expired: bool = False
    """Moodle deletes a token when somebody uses it after its end: the first answer differs from all later ones."""
    account: int = 7
    zone: tzinfo = UTC
    """Of the service account; report dates are written in it."""
    language: str = "en"
    """Of the service account, "en" or "de"; reports are written in it."""
    missing: set[str] = field(default_factory=set)
    """Functions that the admin forgot to put into the service."""
    unwilling: set[int] = field(default_factory=set)
    """Users whose privacy settings forbid messages."""
    report: str = "Recent completions"
    report_columns: list[str] = field(default_factory=lambda: list(REPORT_HEADERS))
    """What the admin put into the report, by the English titles."""
    report_everyone: bool = False
    """The admin forgot the condition: the report also lists those who have not completed."""

    def may(self, capability: str) -> bool:
        """Tells whether the service account has a capability."""
        given = self.granted is None or capability in self.granted
        return self.rights and given and capability not in self.lacks


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
        found = [user for user in self.site.users.values() if str(getattr(user, name)) in values]
        shown = [
            self._permitted(writer.user(user, self.settings.account))
            for user in sorted(found, key=lambda user: user.id)
            # A missing capability looks like "no such user".
            if self.settings.may("moodle/user:viewdetails") or user.id == self.settings.account
        ]
        return [one for one in shown if one.get(name)]  # and so does one that hides what was searched by

    def courses_by_field(self, asked: dict[str, Any], writer: Writer) -> object:
        name, value = asked["field"], asked["value"]
        if name not in ("", "id", "ids", "shortname", "idnumber"):
            raise invalid(f"field {name!r}")
        wanted = value.split(",") if name == "ids" else [value]
        if name in ("id", "ids") and not all(part.isdigit() for part in wanted):
            raise invalid(f"value {value!r} must be a number")
        attribute = "id" if name == "ids" else name
        found = [
            writer.course(course, everything=self.settings.may("moodle/course:view"))
            for course in self.site.courses.values()
            if not name or str(getattr(course, attribute)) in wanted
        ]
        return {"courses": found, "warnings": []}

    def get_courses(self, asked: dict[str, Any], writer: Writer) -> object:
        wanted = asked["options"]["ids"] or sorted(self.site.courses)
        for courseid in wanted:
            self._check_context(courseid)
        return [writer.plain_course(self.site.courses[one]) for one in wanted if one in self.site.courses]

    def enrolled_users(self, asked: dict[str, Any], writer: Writer) -> object:
        courseid = asked["courseid"]
        self._course(courseid)
        self._check_context(courseid)
        self._want("moodle/course:viewparticipants", "View participants")
        options = {option["name"]: option["value"] for option in asked["options"]}
        if unknown := set(options) - _OPTIONS:
            raise invalid(f"options {', '.join(sorted(unknown))}")
        found = self._participants(courseid, options)
        start = int(options.get("limitfrom", "0"))
        count = int(options.get("limitnumber", "0")) or len(found)
        # Those who may not be seen drop out after the page was cut, so that pages come back short.
        page = [
            self._permitted(writer.participant(user, courseid))
            for user in found[start : start + count]
            if self._sees_participant(user.id, courseid)
        ]
        if fields := options.get("userfields"):
            page = [{key: one[key] for key in fields.split(",") if key in one} for one in page]
        return page

    def my_courses(self, asked: dict[str, Any], writer: Writer) -> object:
        if not self.settings.may("moodle/course:viewparticipants") or asked["userid"] not in self.site.users:
            return []
        return [writer.my_course(course, asked["userid"]) for course in writer.courses_of(asked["userid"])]

    # -- rules -------------------------------------------------------------------------------------

    def _user(self, userid: int) -> User:
        if userid not in self.site.users:
            raise moodle_error("dml_missing_record_exception", "invaliduser", "Invalid user")
        return self.site.users[userid]

    def _course(self, courseid: int) -> Course:
        if courseid not in self.site.courses:
            raise no_record("course")
        return self.site.courses[courseid]

    def _enter_course(self) -> None:
        if not self.settings.may("moodle/course:view"):
            text = "Course or activity not accessible."
            raise MoodleError("core\\exception\\require_login_exception", "requireloginerror", text)

    def _check_context(self, courseid: int) -> None:
        """Is `_enter_course` as some functions word it."""
        if not self.settings.may("moodle/course:view"):
            text = f"You cannot execute functions in the course context (course id:{courseid}). The context error"
            text += " message was: Course or activity not accessible."
            raise moodle_error("moodle_exception", "errorcoursecontextnotvalid", text)

    def _want(self, capability: str, name: str) -> None:
        if not self.settings.may(capability):
            text = f"Sorry, but you do not currently have permissions to do that ({name})."
            raise moodle_error("required_capability_exception", "nopermissions", text)

    def _permitted(self, found: dict[str, Any]) -> dict[str, Any]:
        """Leaves out what the account may not see; the keys are missing then, not empty."""
        hidden: list[str] = []
        if found["id"] != self.settings.account:
            hidden += () if self.settings.may("moodle/site:viewuseridentity") else _IDENTITY
            hidden += () if self.settings.may(_SEES_ALL) else _ALL_DETAILS
            found = self._visible_fields(found)
        return {key: value for key, value in found.items() if key not in hidden}

    def _visible_fields(self, found: dict[str, Any]) -> dict[str, Any]:
        """Leaves out the profile fields that the account may not see: they look like empty ones.

        As `is_visible` in Moodle's user/profile/lib.php has it.
        """
        definitions, everything = self.site.profile_fields, self.settings.may(_SEES_ALL)
        fields = [
            field
            for field in found.get("customfields", ())
            if everything or definitions[field["shortname"]].visible == "everyone"
        ]
        others = {key: value for key, value in found.items() if key != "customfields"}
        return {**found, "customfields": fields} if fields else others

    def _participants(self, courseid: int, options: dict[str, str]) -> list[User]:
        wanted = {option for option in ("onlyactive", "onlysuspended") if options.get(option) == "1"}
        if len(wanted) == 2:
            text = "Coding error detected, it must be fixed by a programmer: onlyactive and onlysuspended"
            raise MoodleError("core\\exception\\coding_exception", "codingerror", text, our_fault=True)
        found = [
            self.site.users[userid]
            for (userid, course), enrolment in self.site.enrolments.items()
            if course == courseid and not (wanted and enrolment.suspended == ("onlyactive" in wanted))
        ]
        order = options.get("sortby", "id")
        if order not in ("id", "firstname", "lastname", "siteorder"):
            raise invalid(f"sortby {order!r}")
        key = "lastname" if order == "siteorder" else order
        backwards = options.get("sortdirection", "ASC").upper() == "DESC"
        return sorted(found, key=lambda user: (getattr(user, key), user.id), reverse=backwards)

    def _sees_participant(self, userid: int, courseid: int) -> bool:
        teaches = self.site.enrolments[userid, courseid].role == "editingteacher"  # course contacts are public
        return self.settings.may("moodle/user:viewdetails") or teaches or userid == self.settings.account

    def _tracked(self, userid: int, courseid: int) -> bool:
        enrolment = self.site.enrolments.get((userid, courseid))
        return enrolment is not None and not enrolment.suspended and enrolment.role == "student"

    def _notes_on(self) -> None:
        if not self.settings.notes:
            raise moodle_error("moodle_exception", "notesdisabled", "Notes are disabled")
