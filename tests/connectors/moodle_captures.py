"""The captured exchanges with a real Moodle 4.5.6, and a Moodle source that is configured for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from contract import SAMPLES, inbound
from scripted_api import Answer

from bridge.core.connector import ApiResponse, Connector
from bridge.core.models import SourceEvent
from connectors.moodle import Moodle, MoodleSettings

SETTINGS = {
    "url": "http://127.0.0.1:8080",
    "token": "SAMPLE-TOKEN-ADMIN",
    "webhook_token": "sample-shared-token",
    "write_back": {"note": True, "profile_field": "certificateid"},
}
# Not part of what is asked: the credential, and settings that only change the form of the answer.
_ASIDE = {"wstoken", "moodlewssettingraw"}
COMPLETION = "core_completion_get_course_completion_status"
USERS = "core_user_get_users_by_field"
COURSES = "core_course_get_courses_by_field"
GRADES = "gradereport_user_get_grade_items"


def captured(name: str) -> dict[str, Any]:
    """Returns one captured exchange."""
    found: dict[str, Any] = json.loads((SAMPLES / "moodle" / "rest" / f"{name}.json").read_text())
    return found


def answer(name: str) -> Answer:
    """Returns the answer of one captured exchange."""
    response = captured(name)["response"]
    headers = {key.lower(): value for key, value in response["headers"]}
    return Answer(response["body_raw"].encode(), response["status"], headers)


class Replay:
    """Answers what was asked when the exchanges were captured, and nothing else."""

    def __init__(self, connector: Connector[Any], names: Sequence[str]) -> None:
        self._connector = connector
        self._known = {_question(captured(name)["request"]["form"]): answer(name) for name in names}

    def request(self, method: str, path: str, *, form: Sequence[tuple[str, str]], **_: object) -> ApiResponse:
        assert (method, path) == ("POST", "/webservice/rest/server.php")
        assert ("wstoken", SETTINGS["token"]) in form
        response = self._known[_question(form)].response()
        self._connector.check(response)
        return response


def _question(form: Sequence[Sequence[str]]) -> frozenset[tuple[str, str]]:
    return frozenset((key, value) for key, value in form if key not in _ASIDE)


def moodle(**changes: Any) -> Moodle:
    return Moodle(MoodleSettings.model_validate({**SETTINGS, **changes}))


def body(**changes: Any) -> dict[str, Any]:
    """Returns the captured completion with changed fields; `...` leaves one out."""
    fields = json.loads((SAMPLES / "moodle" / "course_completed-by-learner" / "body").read_bytes())
    return {key: value for key, value in {**fields, **changes}.items() if value is not ...}


def parsed(**changes: Any) -> SourceEvent:
    (event,) = moodle().parse(inbound(json.dumps(body(**changes)).encode(), {}))
    return event
