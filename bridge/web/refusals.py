"""How a request is refused: as JSON for machines, as a page for people, never with a traceback."""

from __future__ import annotations

import json
import traceback

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from bridge.core.errors import UnavailableError
from bridge.observe import put_off
from bridge.web.doors import Doors
from bridge.web.pages import render_refusal

log = structlog.get_logger(__name__)

_MACHINES = ("/hooks", "/healthz", "/readyz")


def register(app: Flask, doors: Doors) -> None:
    """Answers every error of the app in the form its reader understands."""

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        return _answer(error, doors)

    @app.errorhandler(UnavailableError)
    def unavailable(error: UnavailableError) -> Response:
        put_off(log, "unavailable", error, door=request.endpoint)
        return _answer(ServiceUnavailable(error.public, retry_after=max(1, round(error.retry_after))), doors)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        # Flask's own log line names the path, and a traceback with local values would show it too: it may hold a token.
        log.error("unexpected", door=request.endpoint, trace="".join(traceback.format_exception(error)))
        return _answer(InternalServerError("Something went wrong here. It was noted; please try again later."), doors)


def _answer(error: HTTPException, doors: Doors) -> Response:
    response = _as_json(error) if request.path.startswith(_MACHINES) else _as_page(error, doors)
    if request.path.startswith("/hooks/") and (error.code or 500) < 500:
        doors.refused(
            request.path.split("/")[2],
            status=error.code or 400,
            reason=error.description or "",
            method=request.method,
            size=request.content_length or 0,
            peer=request.remote_addr or "",
        )
    for name, value in error.get_headers(request.environ):
        if name.lower() != "content-type":
            response.headers[name] = value
    response.headers["Cache-Control"] = "no-store"
    return response


def _as_json(error: HTTPException) -> Response:
    status = error.code or 500
    outcome = "unavailable" if status >= 500 else "rejected"
    log.warning("refused", door=request.endpoint, status=status, peer=request.remote_addr, reason=error.description)
    body = json.dumps({"outcome": outcome, "reason": error.description, "events": []})
    return Response(body, status, content_type="application/json")


def _as_page(error: HTTPException, doors: Doors) -> Response:
    page = render_refusal(error.code or 500, doors.settings)
    return Response(page, error.code, content_type="text/html; charset=utf-8")
