"""Builds the Flask application: doors in, WSGI out."""

from __future__ import annotations

import re
from typing import Final

from flask import Flask, Response, abort, request
from jinja2 import StrictUndefined

from bridge.web import health, hooks, pages, refusals
from bridge.web.doors import Doors, WebSettings
from bridge.web.headers import strict_headers

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_LONGEST_TARGET: Final = 2048


def create_app(doors: Doors) -> Flask:
    """Returns the application; it knows nothing of the bridge but its doors."""
    app = Flask("bridge.web", static_folder="static", template_folder="templates")
    # A request body is bytes for the connector; nothing of it is ever parsed as a form.
    app.config.update(
        MAX_CONTENT_LENGTH=doors.settings.body_bytes,
        PROVIDE_AUTOMATIC_OPTIONS=False,
        TEMPLATES_AUTO_RELOAD=False,
        SEND_FILE_MAX_AGE_DEFAULT=86_400,
    )
    app.jinja_env.undefined = StrictUndefined
    # No redirect may be made from the slashes of a hostile path.
    app.url_map.merge_slashes = False
    _guard(app, doors.settings)
    refusals.register(app, doors)
    for blueprint in (hooks.blueprint(doors), pages.blueprint(doors), health.blueprint(doors)):
        app.register_blueprint(blueprint)
    return app


def _guard(app: Flask, settings: WebSettings) -> None:
    hosts = frozenset(name.lower() for name in (settings.host, *settings.allowed_hosts, *_LOOPBACK))
    headers = strict_headers(https=settings.https)

    @app.before_request
    def refuse_odd_requests() -> None:
        target = request.environ.get("REQUEST_URI", "")
        if len(target) > _LONGEST_TARGET:
            abort(414, f"The address is longer than {_LONGEST_TARGET} characters.")
        # A probe by address (Kubernetes, load balancers) gives any Host; health says nothing that could be abused.
        if request.blueprint != health.NAME and not _known(request.environ.get("HTTP_HOST", ""), hosts):
            abort(400, "This host name is not known here. Only those of public_url and allowed_hosts are answered.")

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response


def _known(host: str, hosts: frozenset[str]) -> bool:
    match = _HOST.fullmatch(host.lower())
    return match is not None and match.group(1) in hosts
