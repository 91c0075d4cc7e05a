"""The people, courses and completions of a small Moodle; the seed is the site our captures come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal

GUEST: Final = 1
ADMIN: Final = 2
TEXT_LIMIT: Final = 2048
"""Characters a profile field of type text keeps by default; the rest is cut without a word."""


@dataclass
class User:
    """One account."""

    id: int
    username: str
    firstname: str
    lastname: str
    email: str
    idnumber: str = ""
    city: str = ""
    country: str = ""
    suspended: bool = False
    deleted: bool = False
    profile: dict[str, str] = field(default_factory=dict)
    """Values of profile fields by short name."""

    @property
    def fullname(self) -> str:
        """As Moodle shows it; not escaped."""
        return f"{self.firstname} {self.lastname}"


@dataclass
class Course:
    """One course; names as stored, tags and all."""

    id: int
    fullname: str
    shortname: str
    idnumber: str = ""
    summary: str = "<p>Summary &amp; text</p>"
    category: str = "Compliance & Safety"
    context: int = 18
    created: int = 1795353431
    started: int = 1792761431


@dataclass
class Criterion:
    """One thing that has to be done."""

    type: int
    title: str
    details: dict[str, str]
    completed_at: int | None = None
    status: str = ""
    """As shown; empty for Yes or No."""


@dataclass
class Completion:
    """Where one learner stands in one course; `done` is what cron or the last click made of the criteria."""

    id: int
    criteria: list[Criterion]
    done: bool = False

    @property
    def completed_at(self) -> int:
        """Moodle's own rule: the latest of the criteria's times."""
        return max(criterion.completed_at or 0 for criterion in self.criteria)


@dataclass
class Module:
    """One activity of a course that a learner can tick."""

    id: int
    courseid: int
    name: str
    criterion: bool = False
    """The course is complete when this is."""


@dataclass(frozen=True)
class ActivityState:
    """Where a learner stands in one activity; `by` is who set it for the learner."""

    state: int = 0
    at: int = 0
    by: int | None = None


@dataclass
class Enrolment:
    """A learner (or teacher) in a course."""

    role: str = "student"
    suspended: bool = False


@dataclass
class Note:
    """A note about a learner."""

    id: int
    userid: int
    courseid: int
    content: str
    format: int
    publishstate: str
    created: int
    modified: int


@dataclass
class ProfileField:
    """A custom profile field, made by an admin."""

    shortname: str
    name: str
    datatype: str = "text"
    visible: Literal["everyone", "user", "nobody"] = "user"
    """Who sees it without moodle/user:viewalldetails; everybody may write it who may change users."""


def activity(cmid: int, name: str, root: str, at: int | None = None) -> Criterion:
    """Returns the criterion "this activity has to be complete"."""
    link = f'<a href="{root}/mod/page/view.php?id={cmid}">{name}</a>'
    details = {
        "type": "Activity completion",
        "criteria": link,
        "requirement": "Marking yourself complete",
        "status": "",
    }
    return Criterion(4, "Activity completion", details, at)


def passed_date(at: int | None) -> Criterion:
    """Returns the criterion "this date has passed"."""
    details = {
        "type": "Date passed",
        "criteria": "Remaining enrolled until a specified date",
        "requirement": "19 Nov 2026",
        "status": "",
    }
    return Criterion(2, "Date", details, at)


def course_grade(grade: str, at: int | None) -> Criterion:
    """Returns the criterion "at least 50 of 100"."""
    details = {"type": "Course grade", "criteria": "Required course grade", "requirement": "50.00", "status": grade}
    return Criterion(6, "Course grade", details, at, f"{grade} (50.00 required)")


class Site:
    """Everything the stand-in knows; change it freely while holding the stand-in's lock."""

    def __init__(self, root: str = "http://127.0.0.1:8080") -> None:
        self.root = root
        self.users: dict[int, User] = {}
        self.courses: dict[int, Course] = {}
        self.enrolments: dict[tuple[int, int], Enrolment] = {}
        self.completions: dict[tuple[int, int], Completion] = {}
        self.grades: dict[tuple[int, int], float] = {}
        self.graded_at: dict[tuple[int, int], int] = {}
        self.notes: dict[int, Note] = {}
        self.messages: list[tuple[int, str]] = []
        self.modules: dict[int, Module] = {}
        self.activities: dict[tuple[int, int], ActivityState] = {}
        """What was set for a learner, by (cmid, userid)."""
        self.profile_fields: dict[str, ProfileField] = {}
        self._last_number = 0
        self._seed()

    def add(self, *records: User | Course | Module | ProfileField) -> None:
        """Adds or replaces records."""
        for record in records:
            if isinstance(record, User):
                self.users[record.id] = record
            elif isinstance(record, Course):
                self.courses[record.id] = record
            elif isinstance(record, Module):
                self.modules[record.id] = record
            else:
                self.profile_fields[record.shortname] = record

    def enrol(self, userid: int, courseid: int, role: str = "student") -> None:
        """Puts somebody into a course."""
        self.enrolments[userid, courseid] = Enrolment(role)

    def complete(self, userid: int, courseid: int, at: int) -> Completion:
        """Makes a learner complete a course at this Unix time; after a reset this is a new completion with a new id."""
        # A row's number is never given again, not even after the row was deleted by a reset.
        self._last_number = 1 + max([self._last_number, *(one.id for one in self.completions.values())])
        modules = (one for one in self.modules.values() if one.courseid == courseid and one.criterion)
        module = next(modules, Module(4, courseid, "Read me"))
        completion = Completion(self._last_number, [activity(module.id, module.name, self.root, at)], done=True)
        self.completions[userid, courseid] = completion
        return completion

    def state_of(self, module: Module, userid: int) -> ActivityState:
        """Returns where a learner stands in an activity, which may be a criterion of the course."""
        if (module.id, userid) in self.activities:
            return self.activities[module.id, userid]
        completion = self.completions.get((userid, module.courseid))
        for criterion in completion.criteria if completion else ():
            if criterion.completed_at and f'view.php?id={module.id}"' in criterion.details["criteria"]:
                return ActivityState(1, criterion.completed_at)
        return ActivityState()

    def reset(self, userid: int, courseid: int) -> None:
        """Forgets a completion, as a course reset does; the learner stays enrolled."""
        self.completions.pop((userid, courseid), None)

    def delete(self, userid: int, at: int = 1795354121) -> None:
        """Deletes a user as Moodle does: the row stays, with a hash for an address and no flag anybody can see."""
        user = self.users[userid]
        user.username = f"{user.email}.{at}"
        user.email = hashlib.md5(user.username.encode(), usedforsecurity=False).hexdigest()
        user.idnumber = ""
        user.deleted = True
        for key in [key for key in self.enrolments if key[0] == userid]:
            del self.enrolments[key]

    def _seed(self) -> None:
        self.add(
            User(GUEST, "guest", "Guest user", " ", "root@localhost"),
            User(ADMIN, "admin", "Admin", "User", "admin@example.invalid"),
            User(3, "learner1", "José", "O'Brien & Sons", "jose.obrien@example.invalid", "EMP-0042", "Lyon", "FR"),
            User(4, "learner2", "李", "小龍", "li.xiaolong@example.invalid"),
            User(5, "learner3", "Ana Bold", '"Quoted"', "ana@example.invalid"),
            User(6, "teacher1", "Tina", "Teacher", "tina@example.invalid"),
            User(7, "wsuser", "Web", "Service", "ws@example.invalid"),
            User(8, "susp1", "Sue", "Suspended", "sue@example.invalid"),
            ProfileField("certificateid", "Certificate ID"),
            ProfileField("certificates", "Certificates", "textarea"),
            ProfileField("certhidden", "Hidden certificate", visible="nobody"),
        )
        basics = '<span lang="en" class="multilang">Basics</span><span lang="fr" class="multilang">Bases</span>'
        self.add(
            Course(1, "Capture Site", "capture", summary="", category="", context=2),
            Course(2, f"Health & Safety {basics}", "SAFE101", "HS-101"),
            Course(3, 'R&D "Advanced" {mlang en}Course{mlang}{mlang fr}Cours{mlang} – été', "R&D-2", context=19),
            Course(4, "DATE1 course", "DATE1", summary="", context=25, created=1795353563, started=1792761563),
            Course(5, "GRADE1 course", "GRADE1", summary="", context=26, created=1795354500, started=1792761563),
        )
        self.add(
            Module(3, 2, "Certificate issued"),
            Module(4, 2, "Read me", criterion=True),
            Module(5, 3, "Read me too", criterion=True),
            Module(6, 3, "Certificate issued"),
        )
        for courseid, learners in ((2, (3, 4, 5, 8)), (3, (3, 4, 5, 8)), (4, (3, 4, 5, 8)), (5, (3,))):
            for userid in learners:
                self.enrol(userid, courseid)
        self.enrol(6, 2, "editingteacher")
        self.enrol(6, 3, "editingteacher")
        self._seed_completions()

    def _seed_completions(self) -> None:
        # Ids as in the captured webhooks: object 1 is learner 3 in course 2.
        self.completions = {
            (3, 2): Completion(1, [activity(4, "Read me", self.root, 1795353871)], done=True),
            (4, 3): Completion(2, [activity(5, "Read me too", self.root, 1795353510)], done=True),
            (5, 2): Completion(7, [activity(4, "Read me", self.root)]),
            (3, 5): Completion(12, [course_grade("87.50", 1795354569)]),  # cron has not run yet
        }
        for number, userid in enumerate((3, 4, 5, 8), start=3):
            self.completions[userid, 4] = Completion(number, [passed_date(1795094363)], done=True)
        self.grades[3, 5] = 87.5
        self.graded_at[3, 5] = 1795354569
