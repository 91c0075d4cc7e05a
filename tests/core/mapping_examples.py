"""A small shipped mapping, an admin's file over it, and events to try them with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.core.errors import MappingError
from bridge.core.mapping import Decision, Defaults, compile_mapping, gather
from bridge.core.mapping import Mapping as CompiledMapping
from bridge.core.models import Completion, Held, Ignored, SourceEvent

SHIPPED = """\
connector: lms
events:
  course_completed:
    completion:
      name: "{{ data.user.firstname }} {{ data.user.lastname }}"
      email: "{{ data.user.email }}"
      course:
        id: "{{ data.course.id }}"
        title: "{{ data.course.fullname | multilang(locale) | unescape }}"
        short_name: "{{ data.course.shortname }}"
      completed_at: "{{ data.completion.completed_at }}"
      score: "{{ data.grade.score }}"
      locale: "{{ data.user.lang }}"
      fields: {manager: "{{ data.user.manager }}"}
    skip_if: {email: "contains [TEST]"}
    hold_if: {expression: "data.user.suspended"}
"""

SCHOOL = """\
extends: lms
every_course:
  template: classic
  valid_for: 2 years
  again: renew
  skip_if: {email: ends with @test.acme.example}
  hold_if: {name: looks incomplete}
other_courses: hold
courses:
  68: Fire Safety
  FORKLIFT-*:
    title: {en: Forklift Operator, de: Staplerfahrer}
    template: safety
    fields: {hours: 8, trainer: Ana Silva}
    issue_if: {score: at least 80}
    mail: {cc: manager, reply_to: training@acme.example}
"""

DEFAULTS = Defaults(zone="Europe/Lisbon", locale="en")


def mapping(school: str = SCHOOL, shipped: str = SHIPPED) -> CompiledMapping:
    return compile_mapping(gather("school.yaml", school, {"lms": shipped}.get))


def refused(school: str, shipped: str = SHIPPED) -> list[str]:
    with pytest.raises(MappingError) as caught:
        mapping(school, shipped)
    return [str(problem) for problem in caught.value.problems]


def event(**changes: object) -> SourceEvent:
    """The completion of Maria Silva; `user__email=None` changes a value, by its path."""
    data: dict[str, Any] = {
        "user": {
            "firstname": "Maria",
            "lastname": "Silva",
            "email": " Maria@ACME.example ",
            "lang": "en",
            "suspended": False,
            "manager": "boss@acme.example",
        },
        "course": {"id": 7, "fullname": "Forklift &amp; Co", "shortname": "forklift-2026"},
        "completion": {"completed_at": "2026-03-01T23:30:00Z"},
        "grade": {"score": 87.5},
    }
    for path, value in changes.items():
        *enclosing, last = path.split("__")
        part = data
        for step in enclosing:
            part = part[step]
        part[last] = value
    return event_of(data, course=str(data["course"]["id"]))


def event_of(data: dict[str, Any], course: str | None = "7", **other: Any) -> SourceEvent:
    given = {"event_id": "1", "event_type": "course_completed", "subject": "17", "keys": ("c:1",)}
    given |= {"occurred_at": datetime(2026, 3, 2, 9, 0, tzinfo=UTC), "course": course, "data": data}
    return SourceEvent(**(given | other))


def decide(event: SourceEvent, *, school: str = SCHOOL, overrides: Mapping[str, str] | None = None) -> Decision:
    return mapping(school).apply(event, defaults=DEFAULTS, overrides=overrides or {})


def completion(event: SourceEvent, *, school: str = SCHOOL, overrides: Mapping[str, str] | None = None) -> Completion:
    outcome = decide(event, school=school, overrides=overrides).outcome
    assert isinstance(outcome, Completion), outcome
    return outcome


def held(event: SourceEvent, *, school: str = SCHOOL, overrides: Mapping[str, str] | None = None) -> tuple[str, str]:
    outcome = decide(event, school=school, overrides=overrides).outcome
    assert isinstance(outcome, Held), outcome
    return outcome.code, outcome.reason


def ignored(event: SourceEvent, *, school: str = SCHOOL, overrides: Mapping[str, str] | None = None) -> tuple[str, str]:
    outcome = decide(event, school=school, overrides=overrides).outcome
    assert isinstance(outcome, Ignored), outcome
    return outcome.code, outcome.reason
