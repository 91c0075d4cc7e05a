"""Reads what Moodle's REST protocol answers: the value asked for, or which refusal it is and what to do about it."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from bridge.core.answers import MAX_BYTES
from bridge.core.connector import ApiResponse
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_json
from bridge.core.retry import check_status

_TAG: Final = re.compile(r"<[^>]{0,200}>")
_LONGEST: Final = 2_000

RIGHTS: Final = (
    "The service account lacks a permission: compare its role, given at site level, with certbridge's guide to Moodle."
)
_GONE: Final = "Moodle has no such record (any more)."
_SETTLE: Final = "Log in once as the service account and finish what Moodle asks for."

# Moodle's errorcode -> what an admin can do. These stay wrong until a person acts; every other code is tried again.
# Codes, not class names or messages: classes move between versions, messages are translated.
_PERMANENT: Final = MappingProxyType(
    {
        "invalidtoken": "Moodle does not know the token (it deletes tokens that have expired). Make a new one under "
        "Site administration, Server, Web services, Manage tokens, and set `token`.",
        "accessexception": "The token may not call this function. Add the function to the external service of the "
        "token; also check the token's expiry date and IP restriction.",
        "nopermissions": RIGHTS,
        "requireloginerror": RIGHTS,
        "errorcoursecontextnotvalid": RIGHTS,
        "cannotviewreport": RIGHTS,
        "cannotviewprofile": RIGHTS,
        "coursehidden": RIGHTS,
        "invalidparameter": "Moodle does not understand a value that certbridge sent.",
        "invalidrecord": _GONE,
        "invalidrecordunknown": _GONE,
        "invaliduser": _GONE,
        "userdeleted": "The user was deleted in Moodle.",
        "usernotenroled": "The learner is not enrolled (or the enrolment is suspended).",
        "nocriteriaset": "The course has no completion criteria.",
        "errorreportview": "The service account may not see this report. Give its role moodle/reportbuilder:viewall, "
        "or put the account into the report's audience.",
        "notesdisabled": "Notes are switched off. Switch them on under Site administration, Advanced features, or set "
        "`write_back: {note: no}`.",
        "disabled": "Messaging is switched off. Switch it on under Site administration, Advanced features, or set "
        "`write_back: {message: no}`.",
        "usernotfullysetup": _SETTLE,
        "sitepolicynotagreed": _SETTLE,
        "forcepasswordchangenotice": _SETTLE,
    }
)


def check(response: ApiResponse) -> None:
    """Raises the error that an answer of Moodle stands for; Moodle reports most of them with status 200.

    Raises TemporaryError when another attempt may help (database down, maintenance, output that is no JSON).
    """
    if response.status == 403:
        raise PermanentError(
            "Moodle answered 403: web services or the REST protocol are switched off. Switch them on under Site "
            "administration, Server, Web services.",
            code="http_403",
        )
    check_status(response.status, response.headers)
    answer = answer_of(response)
    if isinstance(answer, dict) and "exception" in answer:
        raise _refusal(answer)


def answer_of(response: ApiResponse) -> object:
    """Returns the JSON value of an answer. Raises TemporaryError when it is none."""
    try:
        return read_json(response.body, max_bytes=MAX_BYTES, mend=True)
    except PayloadError as error:
        # Text in front of the JSON is not skipped: what is half an answer might be half a truth.
        raise TemporaryError(
            "Moodle's answer is not pure JSON. Usual causes: a proxy or error page in between, or debugging messages "
            f"shown on the site (Site administration, Development, Debugging: do not display). {error}",
            code="not_json",
        ) from error


def _refusal(answer: JsonObject) -> PermanentError | TemporaryError:
    code = str(answer.get("errorcode"))
    said = " ".join(_TAG.sub(" ", str(answer.get("message") or "")[:_LONGEST]).split())[:200]
    if code in _PERMANENT:
        return PermanentError(f"{_PERMANENT[code]} Moodle says: {said}", code=code)
    return TemporaryError(f"Moodle could not answer ({code[:40]}): {said}", code="moodle_error")
