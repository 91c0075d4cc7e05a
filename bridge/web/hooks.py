"""The receiver's HTTP side: turns a POST into an InboundRequest and hands it on, unread."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from bridge.core.models import InboundRequest, Reply
from bridge.web.doors import Doors

NAME = "hooks"
_NOT_A_PAGE = (
    "This address is there for the platform, which sends to it (POST). A browser reaches it, which is good; whether "
    "the name and the token in it are right shows only when something is sent."
)


def blueprint(doors: Doors) -> Blueprint:
    """Returns `POST /hooks/<source>` and `/hooks/<source>/<token>`, and with `?event=` a GET for what became of it."""
    hooks = Blueprint(NAME, __name__)

    @hooks.post("/hooks/<source>", strict_slashes=False)
    @hooks.post("/hooks/<source>/<token>", strict_slashes=False)
    def receive(source: str, token: str | None = None) -> Response:
        _refuse_encoded()
        return _response(doors.receive(source, _inbound(doors, token), peer=request.remote_addr or ""))

    @hooks.get("/hooks/<source>", strict_slashes=False)
    @hooks.get("/hooks/<source>/<token>", strict_slashes=False)
    def status(source: str, token: str | None = None) -> Response:
        number = request.args.get("event", "")
        if not (number.isascii() and number.isdigit() and len(number) <= 18):
            abort(405, valid_methods=["POST"], description=_NOT_A_PAGE)
        return _response(doors.status(source, _inbound(doors, token), int(number), peer=request.remote_addr or ""))

    return hooks


def _refuse_encoded() -> None:
    # Ten kilobytes of gzip can hold a gigabyte, and a signature is over the bytes as they came.
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        abort(415, "Compressed bodies are not read here. Send the body without a Content-Encoding.")


def _inbound(doors: Doors, token: str | None) -> InboundRequest:
    return InboundRequest(
        method=request.method,
        url=doors.settings.public_url.rstrip("/") + _raw_target(),
        headers={name.lower(): value for name, value in request.headers.items()},
        # Above the limit Werkzeug raises 413; cache=False: the bytes are needed once.
        body=request.get_data(cache=False, parse_form_data=False),
        received_at=doors.clock(),
        path_token=token,
    )


def _raw_target() -> str:
    # What a vendor signed is the target as it was sent, percent signs and all; PATH_INFO is decoded already.
    target = request.environ.get("REQUEST_URI") or request.environ.get("RAW_URI")
    return str(target or request.full_path.rstrip("?"))


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(dict(reply.headers))
    return response
