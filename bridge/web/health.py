"""Says whether the process lives (no database) and whether it is ready for work (and if not, why)."""

from __future__ import annotations

import json

from flask import Blueprint, Response

from bridge.web.doors import Doors

NAME = "health"


def blueprint(doors: Doors) -> Blueprint:
    """Returns `/healthz`, which asks nobody, and `/readyz`, which asks `doors.readiness`."""
    health = Blueprint(NAME, __name__)

    @health.get("/healthz")
    def healthz() -> Response:
        return _json(200, {"status": "ok"})

    @health.get("/readyz")
    def readyz() -> Response:
        problems = list(doors.readiness())
        return _json(503 if problems else 200, {"ready": not problems, "problems": problems})

    return health


def _json(status: int, body: dict[str, object]) -> Response:
    response = Response(json.dumps(body) + "\n", status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
