"""Which web service functions the stand-in has, and their parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bridge.demo.vendors.moodle_parameters import INT, RAW, Many, One, Value, optional
from bridge.demo.vendors.moodle_shapes import Writer
from bridge.demo.vendors.moodle_writing import Functions

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
    "core_course_get_courses": (
        One({"options": One({"ids": Many(INT, ())}, {"ids": ()})}),
        Functions.get_courses,
    ),
    "core_completion_get_course_completion_status": (_LEARNER, Functions.completion),
    "core_completion_get_activities_completion_status": (_LEARNER, Functions.activities),
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
