"""Reads a learner's total of a course from Moodle's gradebook."""

from __future__ import annotations

from bridge.core.answers import sections
from bridge.core.models import JsonObject
from connectors.moodle.rest import Rest


def course_total(rest: Rest, learner: str, course: str) -> JsonObject:
    """Returns the course total as `{raw, min, max, percent, text}`, each null where there is none."""
    answer = rest.call("gradereport_user_get_grade_items", {"courseid": course, "userid": learner})
    grades = sections(answer.get("usergrades")) if isinstance(answer, dict) else []
    rows = [row for grade in grades for row in sections(grade.get("gradeitems")) if row.get("itemtype") == "course"]
    row = rows[0] if rows else {}
    raw, low, high = (_number(row.get(name)) for name in ("graderaw", "grademin", "grademax"))
    percent = None
    if raw is not None and low is not None and high is not None and high > low:
        percent = round(100 * (raw - low) / (high - low), 2)
    return {"raw": raw, "min": low, "max": high, "percent": percent, "text": row.get("gradeformatted")}


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
