"""How Moodle 4.5 writes a custom report "Course participants": display strings in the language of the token's user.

The English ones are those of our captures. The German ones follow Moodle's language pack as far as we know it; they are
there so that somebody who reads English only can be seen to fail.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Final

from bridge.demo.vendors.moodle_shapes import THEME, Writer
from bridge.demo.vendors.moodle_site import ADMIN, Completion, Course, Site, User

REPORT: Final = 1
"""The report's number."""
REPORT_HEADERS: Final = [
    "Full name with link",
    "Username",
    "Email address",
    "ID number",
    "Course full name with link",
    "Course short name",
    "Course ID number",
    "Completed",
    "Time completed",
    "Grade",
    "Student progress",
]
_GERMAN_HEADERS: Final = [
    "Vollständiger Name mit Link",
    "Anmeldename",
    "E-Mail-Adresse",
    "ID-Nummer",
    "Vollständiger Kursname mit Link",
    "Kurzer Kursname",
    "Kurs-ID",
    "Abgeschlossen",
    "Abschlusszeit",
    "Bewertung",
    "Fortschritt der Teilnehmer/innen",
]
_DAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS: Final = {
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    "de": (
        *("Januar", "Februar", "März", "April", "Mai", "Juni"),
        *("Juli", "August", "September", "Oktober", "November", "Dezember"),
    ),
}


def headers(language: str, shown: list[str]) -> list[str]:
    """Returns the titles of the columns."""
    if language == "en":
        return list(shown)
    return [_GERMAN_HEADERS[REPORT_HEADERS.index(header)] for header in shown]


def row(
    site: Site, user: User, course: Course, completion: Completion | None, shown: list[str], zone: tzinfo, language: str
) -> dict[str, Any]:
    """Returns one row; ids are only inside the links, times have no seconds and no zone."""
    done = completion is not None and completion.done
    grade = site.grades.get((user.id, course.id))
    yes, no = ("Yes", "No") if language == "en" else ("Ja", "Nein")
    values = [
        f'<a href="{site.root}/user/profile.php?id={user.id}">{user.fullname}</a>',
        user.username,
        user.email,
        user.idnumber,
        f'<a href="{site.root}/course/view.php?id={course.id}">{Writer(site).name(course.fullname)}</a>',
        course.shortname,
        course.idnumber,
        yes if done else no,
        _day_and_time(datetime.fromtimestamp(completion.completed_at, zone), language) if completion and done else "",
        "" if grade is None else f"{grade:.2f}",
        "100.0%" if done else "0.0%",
    ]
    by_header = dict(zip(REPORT_HEADERS, values, strict=True))
    return {"columns": [by_header[header] for header in shown]}


def _day_and_time(at: datetime, language: str) -> str:
    day, month = _DAYS[language][at.weekday()], _MONTHS[language][at.month - 1]
    if language == "en":
        return (
            f"{day}, {at.day} {month} {at.year}, {at.hour % 12 or 12}:{at.minute:02d} {'AM' if at.hour < 12 else 'PM'}"
        )
    return f"{day}, {at.day}. {month} {at.year}, {at.hour:02d}:{at.minute:02d}"


def details(site: Site, name: str, number: int = REPORT) -> dict[str, Any]:
    """Returns the head of a custom report."""
    admin = site.users[ADMIN]
    return {
        "name": name,
        "source": "core_course\\reportbuilder\\datasource\\participants",
        "type": 0,
        "uniquerows": False,
        "conditiondata": "{}",
        "settingsdata": None,
        "contextid": 1,
        "component": "",
        "area": "",
        "itemid": 0,
        "usercreated": ADMIN,
        "id": number,
        "timecreated": 1795354034,
        "timemodified": 1795354034,
        "usermodified": ADMIN,
        "sourcename": "Course participants",
        "tags": [],
        "modifiedby": {
            "id": ADMIN,
            "email": admin.email,
            "idnumber": "",
            "phone1": "",
            "phone2": "",
            "department": "",
            "institution": "",
            "fullname": admin.fullname,
            "identity": admin.email,
            "profileurl": f"{site.root}/user/profile.php?id={ADMIN}",
            "profileimageurl": f"{site.root}/{THEME}/u/f1",
            "profileimageurlsmall": f"{site.root}/{THEME}/u/f2",
        },
    }
