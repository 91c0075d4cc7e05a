"""Writes a certificate's number into `src`, the one text of a user that Teachable's API lets anybody change.

`src` is the sign-up source on the user's Information tab; schools use it for marketing. So it is written only where an
admin asked for it and Teachable shows what stands there, and one that is set already is left alone.
https://docs.teachable.com/reference (PATCH /users/{id}; no published answer of GET /users/{id} has `src`)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.answers import digits, listed, not_shown, seen
from bridge.core.connector import Finding, Receipt, Step
from bridge.core.errors import HeldError, TemporaryError
from bridge.core.latest import needs_writing
from bridge.core.models import Certificate, JsonObject, SourceEvent
from connectors.teachable.rest import Rest

STEP: Final = "src"
_MARK: Final = "cert:"
_HIDDEN: Final = (
    "Usual cause: by Teachable's description no answer of its API has it, and few schools see it. If an earlier number "
    "stands there, take it out by hand (Users, the learner, Information), and switch this off: `write_back: {src: no}`."
)


def steps(certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
    """Plans the one step; nothing where the event names no learner."""
    if event.subject is None:
        return ()
    title = f"sign-up source (src) of {certificate.data.recipient.name}"
    return (Step(STEP, {"user": event.subject}, title, lock_key=f"user:{event.subject}", latest=True),)


def write(step: Step, certificate: Certificate, rest: Rest, *, overwrite: bool) -> Receipt:
    """Makes `src` hold the number (once revoked or erased: no longer hold it), and reads it back.

    Raises HeldError where Teachable does not show `src`, or something else stands there (unless `overwrite`),
    PermanentError when the user is gone, TemporaryError when Teachable did not keep the value.
    """
    user = step.target["user"]
    number = certificate_id.grouped(certificate.id) if certificate.state == "issued" else ""
    before = _shown(rest.user(user), user)
    if not _has_to_change(before, number, certificate, user, overwrite=overwrite):
        return Receipt(f"Teachable's src of user {user} is right already", confirmed=True)
    wanted = f"{_MARK}{number}" if number else ""
    rest.change(f"/users/{user}", {"src": wanted})
    if _shown(rest.user(user), user) != wanted:
        raise TemporaryError(
            f"Teachable took the number for user {user}, but src does not show it.", code="not_confirmed"
        )
    return Receipt(f"Teachable's src of user {user}", confirmed=True, details={"value": wanted, "before": before[:200]})


def visible(rest: Rest) -> Iterator[Finding]:
    """Looks at one user and says whether this school's answers show `src`. Raises PermanentError, TemporaryError."""
    users = listed(rest.get("/users", page="1", per="1"), "users", "Teachable")
    number = digits(users[0].get("id")) if users else None
    if number is None:
        yield Finding(
            "warning", "Whether Teachable shows the sign-up source (src) cannot be told: there is no user yet."
        )
    elif seen(rest.user(number), "src") is None:
        yield Finding("error", str(not_shown("Teachable", "the sign-up source (src) of a user", _HIDDEN)))
    else:
        yield Finding("ok", "Teachable shows the sign-up source (src) of a user.")


def _shown(record: JsonObject, user: str) -> str:
    held = seen(record, "src")
    if held is None:
        raise not_shown("Teachable", f"the sign-up source (src) of user {user}", _HIDDEN)
    return held.strip()


def _has_to_change(before: str, number: str, certificate: Certificate, user: str, *, overwrite: bool) -> bool:
    held = before.removeprefix(_MARK)
    if overwrite and number:
        return before != f"{_MARK}{number}"
    try:
        return needs_writing(held, number, certificate, where=f"The sign-up source (src) of user {user}")
    except HeldError as error:
        raise HeldError(
            f"{error} `write_back: {{overwrite: yes}}` replaces it; what stands there is lost then.",
            code=error.stable_code,
        ) from error
