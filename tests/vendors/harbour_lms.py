"""A stand-in for Harbour LMS, the platform of the stranger's connector: completions in pages, learners, webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from bridge.core.models import JsonObject
from bridge.demo.vendors.json_vendor import JsonStandIn, Route
from bridge.demo.vendors.stand_in import Answer, Call


class HarbourStandIn(JsonStandIn):
    """`completions` are told in this order, `per_page` at a time; change them while holding the lock."""

    title: ClassVar[str] = "Harbour"

    def __init__(self) -> None:
        super().__init__()
        self.api_key = "harbour-api-key-0001"
        self.completions: list[JsonObject] = []
        self.learners: dict[str, JsonObject] = {}
        self.webhooks: list[str] = []
        self.per_page = 2

    # -- what happens ------------------------------------------------------------------------------

    def complete(
        self, learner: str, at: datetime | str | None, *, name: str = "", course: str = "68", enrolment: str | None = ""
    ) -> JsonObject:
        """Lets a learner complete a course; returns the completion as poll and webhook tell it."""
        with self.lock:
            known = {"id": learner, "name": name or f"Maria {_word(learner)}", "email": f"m{learner}@example.invalid"}
            known = self.learners.setdefault(learner, known)
            said: JsonObject = {
                "learner": {key: known[key] for key in ("id", "name", "email")},
                "course": {"id": course, "title": f"Course {course}"},
                "completed_at": at.isoformat() if isinstance(at, datetime) else at,
            }
            if enrolment is not None:
                said["enrolment"] = enrolment or f"{learner}-{course}-{len(self.completions)}"
            self.completions.append(said)
        return said

    @staticmethod
    def event(number: int | str, kind: str, **data: Any) -> bytes:
        """Returns a webhook."""
        return json.dumps({"id": number, "type": kind, "data": data}).encode()

    def completed(self, number: int | str, said: JsonObject) -> bytes:
        """Returns the webhook about a completion."""
        return self.event(number, "course.completed", **said)

    # -- asking ------------------------------------------------------------------------------------

    def routes(self) -> Iterable[Route]:
        """Names everything that can be asked."""
        return (
            ("GET", "/completions", self._completions),
            ("GET", "/courses", self._courses),
            ("GET", "/learners/([^/]+)", lambda call, key: self._learner(key, {})),
            ("PUT", "/learners/([^/]+)", lambda call, key: self._learner(key, self.entries(call))),
            ("GET", "/webhooks", lambda call: self.json(200, {"rows": self.webhooks})),
            ("POST", "/webhooks", self._register),
        )

    def problem(self, status: int, reason: str) -> Answer:
        """Writes an error."""
        return self.json(status, {"error": reason})

    def admit(self, call: Call) -> Answer | None:
        """Wants the key."""
        if call.headers.get("x-api-key") != self.api_key:
            self.refuse("wrong key", 401)
        return None

    def _completions(self, call: Call) -> Answer:
        query = self.query(call, {"after", "since", "learner"})
        rows = [{"number": number, "completion": one} for number, one in enumerate(self.completions, start=1)]
        if "learner" in query:
            wanted = {query["learner"]}
            return self.json(
                200, {"rows": [one for one in rows if wanted & set(one["completion"]["learner"].values())]}
            )
        self.moment("since", query["since"])
        rows = [one for one in rows if one["number"] > int(query["after"])]
        return self.json(200, {"rows": rows[: self.per_page], "more": len(rows) > self.per_page})

    def _courses(self, call: Call) -> Answer:
        found = {one["course"]["id"]: one["course"] for one in self.completions}
        return self.json(200, {"rows": list(found.values())})

    def _learner(self, key: str, change: JsonObject) -> Answer:
        if key not in self.learners:
            return self.problem(404, "no such learner")
        self.learners[key] |= change
        return self.json(200, self.learners[key])

    def _register(self, call: Call) -> Answer:
        self.webhooks.append(self.entries(call)["address"])
        return self.json(201, {"ok": True})


def _word(learner: str) -> str:
    # Digits in a name would be held as "looks incomplete" by a school that asks for it.
    return "Nov" + "".join("abcdefghij"[int(sign)] if sign.isdigit() else "x" for sign in learner)
