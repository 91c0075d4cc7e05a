"""Moodle's REST protocol: how a function is called, and what each of its refusals means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import SecretStr

from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_json
from bridge.core.retry import check_status
from connectors.moodle.rights import capabilities

_MAX_BYTES: Final = 8 * 1024 * 1024
_TAG: Final = re.compile(r"<[^>]{0,200}>")

_RIGHTS: Final = (
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
        "nopermissions": _RIGHTS,
        "requireloginerror": _RIGHTS,
        "errorcoursecontextnotvalid": _RIGHTS,
        "cannotviewreport": _RIGHTS,
        "cannotviewprofile": _RIGHTS,
        "coursehidden": _RIGHTS,
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


@dataclass(frozen=True, slots=True)
class Site:
    """What the connection test says."""

    name: str
    release: str
    account: str
    """The user id of the service account."""
    functions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rest:
    """Calls functions of one Moodle with one token (https://docs.moodle.org/dev/Web_service_API_functions)."""

    api: ApiClient
    token: SecretStr

    def call(self, function: str, arguments: Mapping[str, str]) -> object:
        """Returns the answer of one function; arguments are PHP-style keys such as `values[0]`.

        Raises PermanentError, with Moodle's errorcode as its code and the function named, and TemporaryError.
        """
        form = [("wstoken", self.token.get_secret_value()), ("wsfunction", function), ("moodlewsrestformat", "json")]
        try:
            response = self.api.request(
                "POST", "/webservice/rest/server.php", form=[*form, *((key, arguments[key]) for key in arguments)]
            )
        except PermanentError as error:
            needs = f", which needs {', '.join(capabilities(function))}" if _RIGHTS in str(error) else ""
            text = f"{error} (Moodle function: {function}{needs})"
            raise PermanentError(text, code=error.stable_code) from error
        return _answer(response)

    def user(self, user_id: str) -> JsonObject:
        """Returns the record of one user, also of a deleted one. Raises PermanentError when Moodle shows none."""
        return self.user_by("id", user_id)

    def user_by(self, field: str, value: str) -> JsonObject:
        """Returns the user whose id, username or email is this. Raises PermanentError when Moodle shows none."""
        answer = self.call("core_user_get_users_by_field", {"field": field, "values[0]": value})
        for user in objects(answer):
            # Moodle compares addresses with or without their case, depending on its database.
            if str(user.get(field, value)).casefold() == value.casefold() and isinstance(user.get("id"), int):
                return user
        named = value if field == "id" else f"with the {field} {value!r}"
        raise PermanentError(
            f"Moodle shows no user {named}. Usual cause: the service account lacks moodle/user:viewdetails, and "
            "Moodle then answers as if the user did not exist. If every learner is missing, it is this. When it is "
            "mended, replay the event.",
            code="user_not_shown",
        )

    def site(self) -> Site:
        """Returns which Moodle this is and what the token may call."""
        answer = self.call("core_webservice_get_site_info", {})
        info = answer if isinstance(answer, dict) else {}
        functions = frozenset(str(function.get("name")) for function in objects(info.get("functions")))
        return Site(str(info.get("sitename", "?")), str(info.get("release", "?")), str(info.get("userid")), functions)


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
    answer = _answer(response)
    if isinstance(answer, dict) and "exception" in answer:
        raise _refusal(answer)


def objects(value: object) -> list[JsonObject]:
    """Returns the objects in a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _answer(response: ApiResponse) -> object:
    try:
        return read_json(response.body, max_bytes=_MAX_BYTES, mend=True)
    except PayloadError as error:
        # Text in front of the JSON is not skipped: what is half an answer might be half a truth.
        raise TemporaryError(
            "Moodle's answer is not pure JSON. Usual causes: a proxy or error page in between, or debugging messages "
            f"shown on the site (Site administration, Development, Debugging: do not display). {error}",
            code="not_json",
        ) from error


def _refusal(answer: JsonObject) -> PermanentError | TemporaryError:
    code = str(answer.get("errorcode"))
    said = " ".join(_TAG.sub(" ", str(answer.get("message") or "")).split())[:200]
    if code in _PERMANENT:
        return PermanentError(f"{_PERMANENT[code]} Moodle says: {said}", code=code)
    return TemporaryError(f"Moodle could not answer ({code[:40]}): {said}", code="moodle_error")
