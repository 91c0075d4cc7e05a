"""Reads and writes one profile field of a Moodle user, and never takes what is hidden for empty."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core.answers import sections
from bridge.core.errors import HeldError, PermanentError
from bridge.core.models import JsonObject
from connectors.moodle.rest import Rest
from connectors.moodle.rights import SEES_ALL, sees_all


@dataclass(frozen=True, slots=True)
class ProfileField:
    """One profile field of one user."""

    rest: Rest
    user: str
    name: str

    def __str__(self) -> str:
        return f"Moodle profile field {self.name} of user {self.user}"

    def read(self) -> str:
        """Returns what stands there. Raises HeldError where nobody can tell: an empty field looks like a hidden one."""
        user = self.rest.user(self.user)
        value = self._of(user)
        if value is None and not sees_all(user):
            raise HeldError(
                f"{self} is empty or hidden from the service account, and Moodle does not tell which, so nothing was "
                f"written and nothing is confirmed. Give the account's role {SEES_ALL} at site level, then replay this "
                "delivery.",
                code="hidden",
            )
        return value or ""

    def write(self, wanted: str, before: str) -> None:
        """Writes the value and reads it back. Raises PermanentError; what Moodle made of it does not stay then."""
        self._set(wanted)
        after = self._of(self.rest.user(self.user))
        # It was seen, or everything can be: what is not shown now is empty.
        if after == wanted or (wanted == "" and after is None):
            return
        if after is None:
            raise PermanentError(
                f"Moodle shows no profile field with the short name {self.name!r} for user {self.user}. Create it "
                "under Site administration, Users, User profile fields, visible to the user.",
                code="field_missing",
            )
        self._set(before)
        cut = "cut it" if after and wanted.startswith(after) else "kept something else"
        raise PermanentError(
            f"Moodle {cut}: of what was written into profile field {self.name!r} of user {self.user}, {after[:60]!r} "
            "came back. What stood there before was put back. Check the field's type (text; text area for the list) "
            "and maximum length.",
            code="field_changed",
        )

    def _of(self, user: JsonObject) -> str | None:
        """Returns the value; None where Moodle shows none. It drops unknown fields and cuts long values silently."""
        fields = sections(user.get("customfields"))
        values = [str(item.get("value") or "") for item in fields if item.get("shortname") == self.name]
        return values[0] if values else None

    def _set(self, wanted: str) -> None:
        path = "users[0][customfields][0]"
        arguments = {"users[0][id]": self.user, f"{path}[type]": self.name, f"{path}[value]": wanted}
        answer = self.rest.call("core_user_update_users", arguments)
        for warning in sections(answer.get("warnings")) if isinstance(answer, dict) else []:
            said = str(warning.get("message") or warning.get("warningcode"))[:200]
            raise PermanentError(
                f"Moodle did not change user {self.user}: {said}. Usual cause: the user was deleted.",
                code="user_refused",
            )
