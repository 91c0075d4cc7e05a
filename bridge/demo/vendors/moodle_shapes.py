"""How Moodle 4.5 writes its records: the same keys, types and escaping as in the answers we captured."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any, Final

from bridge.demo.vendors.moodle_site import ADMIN, Course, Note, Site, User

THEME: Final = "theme/image.php/boost/core/1795353874"
_FILTERS: Final = ("displayh5p", "activitynames", "mathjaxloader", "emoticon", "urltolink", "mediaplugin")
_SPANS: Final = re.compile(r'(?:<span lang="([a-z_]+)" class="multilang">(.*?)</span>\s*)+')
_SPAN: Final = re.compile(r'<span lang="([a-z_]+)" class="multilang">(.*?)</span>')


class Writer:
    """Writes records for one call, whose `moodlewssetting…` fields decide about escaping."""

    def __init__(self, site: Site, *, raw: bool = False, filtered: bool = False, language: str = "en") -> None:
        self._site = site
        self._raw = raw
        self._filtered = filtered
        self._language = language

    def name(self, text: str) -> str:
        """Returns a course or category name: as stored with raw, else without tags and with `&amp;`."""
        if self._raw:
            return text
        if self._filtered:
            text = _SPANS.sub(lambda found: _one_language(found[0], self._language), text)
        return re.sub(r"&(?!amp;)", "&amp;", re.sub(r"<[^>]*>", "", text))

    def user(self, user: User, viewer: int) -> dict[str, Any]:
        """Returns what core_user_get_users_by_field tells; keys without a value are missing."""
        found = self._person(user)
        found |= {
            "firstaccess": 0,
            "lastaccess": 0,
            "auth": "manual",
            "suspended": user.suspended,
            "confirmed": True,
            "lang": "en",
            "theme": "",
            "timezone": "99",
            "mailformat": 1,
            "trackforums": 0,
        }
        if user.id == 1:
            found["description"] = "This user is a special user that allows read-only access to some courses."
            found["descriptionformat"] = 1
        found |= self._place(user) | self._pictures()
        if fields := self._profile(user, display=True):
            found["customfields"] = fields
        if user.id == viewer:
            found["preferences"] = [{"name": "last_time_enrolments_synced", "value": "1795353917"}]
        return found

    def participant(self, user: User, courseid: int) -> dict[str, Any]:
        """Returns what core_enrol_get_enrolled_users tells."""
        found = self._person(user) | {"firstaccess": 0, "lastaccess": 0, "lastcourseaccess": 0}
        found |= self._place(user) | self._pictures()
        if fields := self._profile(user, display=False):
            found["customfields"] = fields
        role = self._site.enrolments[user.id, courseid].role
        number = {"student": 5, "editingteacher": 3}[role]
        found["roles"] = [{"roleid": number, "name": "", "shortname": role, "sortorder": 0}]
        found["enrolledcourses"] = [
            {"id": course.id, "fullname": self.name(course.fullname), "shortname": self.name(course.shortname)}
            for course in self.courses_of(user.id)
        ]
        return found

    def courses_of(self, userid: int) -> list[Course]:
        """Returns the courses with an active enrolment, newest first."""
        numbers = [
            courseid
            for (learner, courseid), enrolment in self._site.enrolments.items()
            if learner == userid and not enrolment.suspended
        ]
        return [self._site.courses[number] for number in sorted(numbers, reverse=True)]

    def course(self, course: Course, *, everything: bool) -> dict[str, Any]:
        """Returns what core_course_get_courses_by_field tells; less without rights in the course."""
        found: dict[str, Any] = {
            "id": course.id,
            "fullname": self.name(course.fullname),
            "displayname": self.name(course.fullname),
            "shortname": self.name(course.shortname),
            "courseimage": self._image(course),
            "categoryid": 2,
            "categoryname": self.name(course.category),
            "sortorder": 20005 - course.id,
            "summary": course.summary,
            "summaryformat": 1,
            "summaryfiles": [],
            "overviewfiles": [],
            "showactivitydates": False,
            "showcompletionconditions": True,
            "contacts": [
                {"id": userid, "fullname": self._site.users[userid].fullname}
                for (userid, courseid), enrolment in self._site.enrolments.items()
                if courseid == course.id and enrolment.role == "editingteacher"
            ],
            "enrollmentmethods": ["manual"],
        }
        return found | _course_settings(course) if everything else found

    def my_course(self, course: Course, userid: int) -> dict[str, Any]:
        """Returns what core_enrol_get_users_courses tells; no completion time among it."""
        completion = self._site.completions.get((userid, course.id))
        return {
            "id": course.id,
            "shortname": self.name(course.shortname),
            "fullname": self.name(course.fullname),
            "displayname": self.name(course.fullname),
            "enrolledusercount": sum(courseid == course.id for _, courseid in self._site.enrolments),
            "idnumber": course.idnumber,
            "visible": 1,
            "summary": course.summary,
            "summaryformat": 1 if course.summary else 0,
            "format": "topics",
            "courseimage": self._image(course),
            "showgrades": True,
            "lang": "",
            "enablecompletion": True,
            "completionhascriteria": True,
            "completionusertracked": True,
            "category": 2,
            "progress": 100 if completion and completion.completed_at else 0,
            "completed": bool(completion and completion.done),
            "startdate": course.started,
            "enddate": 0,
            "marker": 0,
            "lastaccess": None,
            "isfavourite": False,
            "hidden": False,
            "overviewfiles": [],
            "showactivitydates": False,
            "showcompletionconditions": True,
            "timemodified": course.created,
        }

    def plain_course(self, course: Course) -> dict[str, Any]:
        """Returns what core_course_get_courses tells; its keys are not those of the other function."""
        found = {key: value for key, value in _course_settings(course).items() if key not in _ONLY_BY_FIELD}
        return found | {
            "id": course.id,
            "shortname": self.name(course.shortname),
            "categoryid": 2,
            "categorysortorder": 20005 - course.id,
            "fullname": self.name(course.fullname),
            "displayname": self.name(course.fullname),
            "summary": course.summary,
            "summaryformat": 1,
            "numsections": 1,
            "hiddensections": 1,
            "forcetheme": "",
            "courseformatoptions": [{"name": "hiddensections", "value": 1}, {"name": "coursedisplay", "value": 0}],
            "showactivitydates": False,
            "showcompletionconditions": True,
        }

    def note(self, note: Note) -> dict[str, Any]:
        """Returns a note; plain text is turned into HTML unless raw was asked for."""
        plain = note.format == 2 and not self._raw
        return {
            "id": note.id,
            "courseid": note.courseid,
            "userid": note.userid,
            "content": escape(note.content).replace("\n", "<br />\n") if plain else note.content,
            "format": 1 if plain else note.format,
            "created": note.created,
            "lastmodified": note.modified,
            "usermodified": ADMIN,
            "publishstate": note.publishstate,
        }

    def _person(self, user: User) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": user.id,
            "username": user.username,
            "firstname": user.firstname,
            "lastname": user.lastname,
            "fullname": user.fullname,
            "email": user.email,
            "department": "",
        }
        return found | ({"idnumber": user.idnumber} if user.idnumber else {})

    def _place(self, user: User) -> dict[str, Any]:
        return {key: value for key, value in (("city", user.city), ("country", user.country)) if value}

    def _pictures(self) -> dict[str, str]:
        return {
            "profileimageurlsmall": f"{self._site.root}/{THEME}/u/f2",
            "profileimageurl": f"{self._site.root}/{THEME}/u/f1",
        }

    def _profile(self, user: User, *, display: bool) -> list[dict[str, str]]:
        found = []
        for shortname, value in user.profile.items():
            definition = self._site.profile_fields[shortname]
            if value:
                entry = {"type": definition.datatype, "value": value}
                if display:
                    entry["displayvalue"] = value
                found.append(entry | {"name": definition.name, "shortname": shortname})
        return found

    def _image(self, course: Course) -> str:
        return f"{self._site.root}/pluginfile.php/{course.context}/course/generated/course.svg"


def php_json(value: object) -> bytes:
    """Writes JSON as PHP does: ASCII only, no spaces, slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def _one_language(spans: str, language: str) -> str:
    texts: dict[str, str] = dict(_SPAN.findall(spans))
    return texts.get(language) or next(iter(texts.values()))


_ONLY_BY_FIELD: Final = frozenset(
    {"theme", "marker", "legacyfiles", "calendartype", "requested", "cacherev", "filters"}
)


def _course_settings(course: Course) -> dict[str, Any]:
    return {
        "idnumber": course.idnumber,
        "format": "topics",
        "showgrades": 1,
        "newsitems": 1,
        "startdate": course.started,
        "enddate": 0,
        "maxbytes": 0,
        "showreports": 0,
        "visible": 1,
        "groupmode": 0,
        "groupmodeforce": 0,
        "defaultgroupingid": 0,
        "enablecompletion": 1,
        "completionnotify": 0,
        "lang": "",
        "theme": "",
        "marker": 0,
        "legacyfiles": 0,
        "calendartype": "",
        "timecreated": course.created,
        "timemodified": course.created,
        "requested": 0,
        "cacherev": 1795353874,
        "filters": [{"filter": name, "localstate": 0, "inheritedstate": 1} for name in _FILTERS],
        "courseformatoptions": [
            {"name": "hiddensections", "value": 1},
            {"name": "coursedisplay", "value": 0},
            {"name": "indentation", "value": "1"},
        ],
    }
