"""Calls the Moodle stand-in over a real connection, and replays what was captured from a real one."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode

from vendors_selftest.captures import capture

from bridge.demo.vendors.moodle import MoodleStandIn

TOKEN = "SAMPLE-TOKEN-WSUSER"


def post(
    moodle: MoodleStandIn,
    body: str,
    *,
    method: str = "POST",
    path: str = "/webservice/rest/server.php",
    kind: str = "application/x-www-form-urlencoded",
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", moodle.port, timeout=10)
    try:
        connection.request(method, path, body.encode() if body else None, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def call(moodle: MoodleStandIn, function: str, **form: str) -> Any:
    fields = {"wstoken": TOKEN, "wsfunction": function, "moodlewsrestformat": "json"}
    status, _, body = post(moodle, urlencode(fields | form))
    assert status == 200
    return json.loads(body)


def replay(moodle: MoodleStandIn, name: str) -> tuple[Any, Any]:
    """Sends the captured form as it is, with our token; returns (real answer, ours)."""
    exchange = capture(name)
    form = [(key, TOKEN if key == "wstoken" else value) for key, value in exchange["request"]["form"]]
    status, headers, body = post(moodle, urlencode(form))
    assert status == exchange["response"]["status"]
    assert headers["content-type"] == "application/json"
    return exchange["response"]["body_json"], json.loads(body)
