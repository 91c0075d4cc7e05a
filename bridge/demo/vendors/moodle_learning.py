"""The web service functions of Moodle 4.5 that tell what learners have done: completions, grades, reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.demo.vendors.moodle_functions import Reading, moodle_error, no_record
from bridge.demo.vendors.moodle_parameters import MoodleError
from bridge.demo.vendors.moodle_progress import activity_status, completion_status, grade_items
from bridge.demo.vendors.moodle_report import REPORT, details, headers, row
from bridge.demo.vendors.moodle_shapes import Writer
from bridge.demo.vendors.moodle_site import Completion, Course, User


class Learning(Reading):
    """Adds what learners have done."""

    def completion(self, asked: dict[str, Any], writer: Writer) -> object:
        user, courseid = self._user(asked["userid"]), asked["courseid"]
        self._course(courseid)
        self._enter_course()
        self._want_report()
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

    def grade_items(self, asked: dict[str, Any], writer: Writer) -> object:
        course = self._course(asked["courseid"])
        self._enter_course()
        self._want("gradereport/user:view", "View your own grade report")
        self._want("moodle/grade:viewall", "View grades of other users")
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
        self._want("moodle/grade:viewall", "View grades of other users")
        user = self._user(asked["userid"] or self.settings.account)
        found = []
        for course in writer.courses_of(user.id):
            grade = self.site.grades.get((user.id, course.id))
            shown, raw = ("-", None) if grade is None else (f"{grade:.2f}", f"{grade:.5f}")
            found.append({"courseid": course.id, "grade": shown, "rawgrade": raw})
        return {"grades": found, "warnings": []}

    def activities(self, asked: dict[str, Any], writer: Writer) -> object:
        user, courseid = self._user(asked["userid"]), asked["courseid"]
        self._course(courseid)
        self._enter_course()
        self._want_report()
        modules = (module for module in self.site.modules.values() if module.courseid == courseid)
        return {"statuses": [activity_status(self.site, module, user) for module in modules], "warnings": []}

    def list_reports(self, asked: dict[str, Any], writer: Writer) -> object:
        visible = self.settings.may("moodle/reportbuilder:viewall") and asked["page"] == 0
        return {"reports": [details(self.site, self.settings.report)] if visible else [], "warnings": []}

    def report(self, asked: dict[str, Any], writer: Writer) -> object:
        if asked["reportid"] != REPORT:
            raise no_record("reportbuilder_report")
        if not self.settings.may("moodle/reportbuilder:viewall"):
            text = "You cannot view this report"
            raise MoodleError("core_reportbuilder\\exception\\report_access_exception", "errorreportview", text)
        settings, start = self.settings, asked["page"] * asked["perpage"]
        people = self._people_of_the_report()
        rows = [
            row(self.site, *entry, settings.report_columns, settings.zone, settings.language)
            for entry in people[start : start + asked["perpage"]]
        ]
        titles = headers(settings.language, settings.report_columns)
        data = {"headers": titles, "rows": rows, "totalrowcount": len(people)}
        return {"details": details(self.site, settings.report), "data": data, "warnings": []}

    def _people_of_the_report(self) -> list[tuple[User, Course, Completion | None]]:
        """Returns the newest completions first, then, if the report lists them, those without one."""
        found: dict[tuple[int, int], Completion | None] = {
            key: one for key, one in self.site.completions.items() if one.done
        }
        if self.settings.report_everyone:
            found = dict.fromkeys(self.site.enrolments) | found
        entries = [
            (self.site.users[userid], self.site.courses[courseid], one)
            for (userid, courseid), one in found.items()
            if not self.site.users[userid].deleted
        ]
        return sorted(entries, key=lambda entry: (-entry[2].completed_at if entry[2] else 0, -entry[0].id))

    def _want_report(self) -> None:
        if not self.settings.may("report/completion:view"):
            raise moodle_error("moodle_exception", "cannotviewreport", "You cannot view this report")
