"""Writes a certificate's number into `src`, the one text of a user that Teachable's API lets anybody change.

`src` is the sign-up source on the user's Information tab; schools use it for marketing. So it is written only where an
admin asked for it, and one that is set already is left alone. https://docs.teachable.com/reference (PATCH /users/{id})
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.core import certificate_id
from bridge.core.answers import line
from bridge.core.connector import Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate, SourceEvent
from connectors.teachable.rest import Rest

STEP: Final = "src"
_MARK: Final = "cert:"


def steps(certificate: Certificate, event: SourceEvent) -> Sequence[Step]:
    """Plans the one step; nothing where the event names no learner."""
    if event.subject is None:
        return ()
    title = f"sign-up source (src) of {certificate.data.recipient.name}"
    return (Step(STEP, {"user": event.subject}, title, lock_key=f"user:{event.subject}", latest=True),)


def write(step: Step, certificate: Certificate, rest: Rest, *, overwrite: bool) -> Receipt:
    """Makes `src` hold the number (once revoked or erased: no longer hold it), and reads it back.

    Raises PermanentError when something else stands there (unless `overwrite`) or the user is gone, TemporaryError when
    Teachable did not keep the value.
    """
    user = step.target["user"]
    ours = _MARK + certificate_id.grouped(certificate.id)
    before = line(rest.user(user).get("src")) or ""
    wanted = ours if certificate.state == "issued" else ""
    if before == wanted or (wanted == "" and before != ours):
        return Receipt(f"Teachable's src of user {user} is right already", confirmed=True)
    if before not in ("", ours) and not _is_number(before) and not overwrite:
        raise PermanentError(
            f"The sign-up source (src) of user {user} is set already, to {before[:60]!r}, so it was left alone. Empty "
            "it in Teachable and replay, or set `write_back: {overwrite: yes}`; the certificate is not affected.",
            code="src_taken",
        )
    rest.change(f"/users/{user}", {"src": wanted})
    after = line(rest.user(user).get("src")) or ""
    if after != wanted:
        raise TemporaryError(
            f"Teachable took the number for user {user}, but src does not show it.", code="not_confirmed"
        )
    return Receipt(f"Teachable's src of user {user}", confirmed=True, details={"value": wanted, "before": before[:200]})


def _is_number(text: str) -> bool:
    """Tells whether a certificate's number stands there: that of an earlier one may be replaced."""
    return text.startswith(_MARK) and certificate_id.read(text.removeprefix(_MARK)) is not None
