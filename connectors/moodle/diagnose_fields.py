"""Tries what writing into profile fields needs, without changing any: the right to write, and that to see all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.core.answers import sections
from bridge.core.connector import Finding
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject
from connectors.moodle.rest import Rest
from connectors.moodle.rights import SEES_ALL, sees_all
from connectors.moodle.settings import WriteBack

_NOBODY = {"users[0][id]": "0"}
"""Moodle checks the capability first, and has no such user."""


def findings(rest: Rest, users: Sequence[JsonObject], wanted: WriteBack) -> Iterator[Finding]:
    """Yields what can be told from some learners' records about the fields that are written, if any are.

    Raises PermanentError, TemporaryError.
    """
    names = [name for name in (wanted.profile_field, wanted.profile_list) if name]
    if not names:
        return
    yield _may_write(rest)
    if not any(sees_all(user) for user in users):
        yield Finding(
            "error",
            f"The role lacks {SEES_ALL} at site level: a profile field that is hidden then looks like an empty one, so "
            f"certbridge holds what it would write into {' and '.join(names)}.",
        )
    seen = {field.get("shortname") for user in users for field in sections(user.get("customfields"))}
    for name in names:
        yield Finding("ok", _SEEN.format(name) if name in seen else _UNSEEN.format(name))


_SEEN = "The profile field {} is there and can be seen."
_UNSEEN = "Whether there is a profile field {} shows when it is first written: no learner looked at has it filled."


def _may_write(rest: Rest) -> Finding:
    try:
        rest.call("core_user_update_users", _NOBODY)
    except PermanentError as error:
        if error.stable_code != "nopermissions":
            raise
        return Finding("error", "The role lacks moodle/user:update at site level: no profile field can be written.")
    return Finding("ok", "Profile fields may be written.")
