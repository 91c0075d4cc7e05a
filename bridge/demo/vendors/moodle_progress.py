"""How Moodle 4.5 writes what a learner has done: grades, the criteria of a course, its activities."""

from __future__ import annotations

from typing import Any

from bridge.demo.vendors.moodle_site import Completion, Course, Module, Site, User


def grade_items(site: Site, user: User, course: Course) -> dict[str, Any]:
    """Returns what gradereport_user_get_grade_items tells about one learner; the course total is the last row."""
    grade = site.grades.get((user.id, course.id))
    shown = "-" if grade is None else f"{grade:.2f}"
    highest = 0 if grade is None else 100
    total = {
        "id": course.id,
        "itemname": None,
        "itemtype": "course",
        "itemmodule": None,
        "iteminstance": course.id - 1,
        "itemnumber": None,
        "idnumber": None,
        "categoryid": None,
        "outcomeid": None,
        "scaleid": None,
        "locked": False,
        "graderaw": grade,
        "gradedatesubmitted": None,
        "gradedategraded": site.graded_at.get((user.id, course.id)),
        "gradehiddenbydate": False,
        "gradeneedsupdate": False,
        "gradeishidden": False,
        "gradeislocked": False,
        "gradeisoverridden": False,
        "gradeformatted": shown,
        "grademin": 0,
        "grademax": highest,
        "rangeformatted": f"0&ndash;{highest}",
        "percentageformatted": "-" if grade is None else f"{grade:.2f} %",
        "feedback": "",
        "feedbackformat": 0 if grade is None else 2,
    }
    return {
        "courseid": course.id,
        "courseidnumber": course.idnumber,
        "userid": user.id,
        "userfullname": user.fullname,
        "useridnumber": user.idnumber,
        "maxdepth": 2,
        "gradeitems": [total],
    }


def completion_status(completion: Completion) -> dict[str, Any]:
    """Returns what core_completion_get_course_completion_status tells; the overall time is not part of it."""
    return {
        "completed": completion.done,
        "aggregation": 1,
        "completions": [
            {
                "type": criterion.type,
                "title": criterion.title,
                "status": criterion.status or ("No" if criterion.completed_at is None else "Yes"),
                "complete": criterion.completed_at is not None,
                "timecompleted": criterion.completed_at,
                "details": criterion.details,
            }
            for criterion in completion.criteria
        ],
    }


def activity_status(site: Site, module: Module, user: User) -> dict[str, Any]:
    """Returns one entry of core_completion_get_activities_completion_status."""
    state = site.state_of(module, user.id)
    return {
        "cmid": module.id,
        "modname": "page",
        "instance": module.id - 2,
        "state": state.state,
        "timecompleted": state.at,
        "tracking": 1,
        "overrideby": state.by,
        "valueused": False,
        "hascompletion": True,
        "isautomatic": False,
        "istrackeduser": True,
        "uservisible": True,
        "details": [],
        "isoverallcomplete": bool(state.state),
    }
