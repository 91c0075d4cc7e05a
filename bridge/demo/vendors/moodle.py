"""A stand-in for Moodle 4.5: `/webservice/rest/server.php` with the users and courses of our captures.

https://docs.moodle.org/dev/Web_services_API and the answers of a real 4.5.6.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, Self

from bridge.demo.vendors.moodle_functions import Settings, no_record
from bridge.demo.vendors.moodle_parameters import MoodleError, nested, read
from bridge.demo.vendors.moodle_shapes import Writer, php_json
from bridge.demo.vendors.moodle_site import Site
from bridge.demo.vendors.moodle_table import TABLE
from bridge.demo.vendors.moodle_writing import Functions
from bridge.demo.vendors.stand_in import Answer, Call, RefusalError, StandIn

PATH: Final = "/webservice/rest/server.php"
_JSON: Final = {
    "Content-type": "application/json",
    "Cache-Control": "private, must-revalidate, pre-check=0, post-check=0, max-age=0",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    "Pragma": "no-cache",
    "Accept-Ranges": "none",
    "Access-Control-Allow-Origin": "*",
}
_EXCEPTION: Final = "core\\exception\\moodle_exception"
_SWITCHES: Final = ("moodlewssettingraw", "moodlewssettingfilter", "moodlewssettinglang", "moodlewssettingfileurl")
MAINTENANCE: Final = Answer(
    503,
    b'<!DOCTYPE html>\n<html lang="en"><head><title>Capture Site under maintenance</title></head>'
    b"<body><h1>Capture Site under maintenance</h1></body></html>\n",
    {"Retry-After": "300", "Content-type": "text/html; charset=utf-8"},
)


class MoodleStandIn(StandIn):
    """`site` holds the records, `settings` the switches; both may be changed while it runs."""

    title: ClassVar[str] = "Moodle"

    def __init__(self, *, token: str = "SAMPLE-TOKEN-WSUSER", clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.token = token
        self.site = Site()
        self.settings = Settings()
        self._deleted = False
        self._functions = Functions(self.site, self.settings, clock, sorted(TABLE))

    def __enter__(self) -> Self:
        super().__enter__()
        self.site.root = self.url
        return self

    def name_of(self, call: Call) -> str:
        """Returns the web service function, else method and path."""
        try:
            return dict(call.form()).get("wsfunction") or super().name_of(call)
        except ValueError:
            return super().name_of(call)

    def answer(self, call: Call) -> Answer:
        """Answers as server.php does: 200 for nearly everything, errors as exception objects."""
        self._check_transport(call)
        if self.settings.maintenance:
            return MAINTENANCE
        if not self.settings.webservices:
            return Answer(403, b"", {"Content-type": "text/html; charset=utf-8"})
        try:
            return _json(self._call(nested(call.form())))
        except MoodleError as error:
            answer = _json(error.body | ({"debuginfo": error.reason} if self.settings.debugging else {}))
            if error.our_fault:
                raise RefusalError(error.reason, answer) from error
            return answer

    def completed_event(
        self, userid: int, courseid: int, *, token: str, at: int, by: int | None = None
    ) -> dict[str, Any]:
        """Returns the body that the plugin local_webhooks 3 posts for a completion, ids as strings as the real one.

        `by` is the acting user: cron acts as the admin (2), a learner's last click as the learner.
        """
        completion = self.site.completions[userid, courseid]
        return {
            "eventname": "\\core\\event\\course_completed",
            "component": "core",
            "action": "completed",
            "target": "course",
            "objecttable": "course_completions",
            "objectid": str(completion.id),
            "crud": "u",
            "edulevel": 2,
            "contextid": self.site.courses[courseid].context,
            "contextlevel": 50,
            "contextinstanceid": str(courseid),
            "userid": str(userid if by is None else by),
            "courseid": str(courseid),
            "relateduserid": str(userid),
            "anonymous": 0,
            "other": {"relateduserid": str(userid)},
            "timecreated": at,
            "host": "127.0.0.1",
            "token": token,
            "extra": "",
        }

    def _check_transport(self, call: Call) -> None:
        """Refuses what our client must never do, although parts of it would work on a real Moodle."""
        if call.path != PATH:
            page = b"<!DOCTYPE html><html><body><h1>Not Found</h1></body></html>"
            raise RefusalError(f"path {call.path}", Answer(404, page, {"Content-type": "text/html"}))
        if call.method != "POST":
            raise RefusalError(f"method {call.method}: a GET would put the token into logs", Answer(405))
        if call.query:
            raise RefusalError("parameters in the URL end up in logs", Answer(400))
        kind = call.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/x-www-form-urlencoded":
            raise RefusalError(f"Content-Type {kind!r}: Moodle reads forms only", _NO_TOKEN)
        try:
            call.form()
        except ValueError as error:
            raise RefusalError(f"the body is no form: {error}", _NO_TOKEN) from error

    def _call(self, form: dict[str, Any]) -> object:
        if form.pop("moodlewsrestformat", None) != "json":
            raise MoodleError("xml", "xml", "without moodlewsrestformat=json Moodle answers in XML", our_fault=True)
        self._check_token(form.pop("wstoken", None))
        name = form.pop("wsfunction", "")
        switches: dict[str, str] = {key: form.pop(key) for key in _SWITCHES if key in form}
        if name not in TABLE:
            raise no_record("external_functions", our_fault=True)
        calls = self.settings.granted is None or "webservice/rest:use" in self.settings.granted
        if name in self.settings.missing or not calls:
            raise _no_access()
        shape, function = TABLE[name]
        return function(self._functions, read(shape, form), self._writer(switches))

    def _check_token(self, token: object) -> None:
        expired, known = self.settings.token_expired, token == self.token
        if expired and known and not self._deleted:
            self._deleted = True  # the first call with an expired token is the last one that knows it
            raise _no_access()
        if not known or self._deleted:
            text = "Invalid token - token not found"
            raise MoodleError(_EXCEPTION, "invalidtoken", text, our_fault=not expired)

    def _writer(self, switches: dict[str, str]) -> Writer:
        return Writer(
            self.site,
            raw=switches.get("moodlewssettingraw") in ("1", "true"),
            filtered=self.settings.multilang and switches.get("moodlewssettingfilter") in ("1", "true"),
            language=switches.get("moodlewssettinglang", "en"),
        )


def _no_access() -> MoodleError:
    return MoodleError("webservice_access_exception", "accessexception", "Access control exception")


def _json(value: object) -> Answer:
    return Answer(200, php_json(value), _JSON)


_NO_TOKEN: Final = _json(MoodleError(_EXCEPTION, "missingparam", "A required parameter (wstoken) was missing").body)
