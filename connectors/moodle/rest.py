"""Moodle's REST protocol: how a function is called, and what each of its refusals means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from bridge.core.answers import sections
from bridge.core.connector import ApiClient
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject
from connectors.moodle.refusals import RIGHTS, answer_of
from connectors.moodle.rights import capabilities


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
            needs = f", which needs {', '.join(capabilities(function))}" if RIGHTS in str(error) else ""
            text = f"{error} (Moodle function: {function}{needs})"
            raise PermanentError(text, code=error.stable_code) from error
        return answer_of(response)

    def user(self, user_id: str) -> JsonObject:
        """Returns the record of one user, also of a deleted one. Raises PermanentError when Moodle shows none."""
        return self.user_by("id", user_id)

    def user_by(self, field: str, value: str) -> JsonObject:
        """Returns the user whose id, username or email is this. Raises PermanentError when Moodle shows none."""
        answer = self.call("core_user_get_users_by_field", {"field": field, "values[0]": value})
        for user in sections(answer):
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
        functions = frozenset(str(function.get("name")) for function in sections(info.get("functions")))
        return Site(str(info.get("sitename", "?")), str(info.get("release", "?")), str(info.get("userid")), functions)
