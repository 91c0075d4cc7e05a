"""Writes certificate numbers into profile fields: the latest one, and the list of all."""

from __future__ import annotations

import json

from bridge.core import certificate_id
from bridge.core.answers import sections
from bridge.core.connector import Receipt, Step
from bridge.core.errors import PayloadError, PermanentError
from bridge.core.models import Certificate, JsonObject
from bridge.core.payload import read_json
from connectors.moodle.rest import Rest


def write_latest(step: Step, certificate: Certificate, rest: Rest) -> Receipt:
    """Holds the number of the latest certificate; emptied when that very certificate is revoked or erased."""
    user, field = step.target["user"], step.target["field"]
    number = certificate_id.grouped(certificate.id)
    before = _field(user, field, rest)
    wanted = number if certificate.state == "issued" else ""
    if before == wanted or (wanted == "" and before != number):
        return Receipt(f"Moodle profile field {field} of user {user} is right already", confirmed=True)
    _set(user, field, wanted, rest)
    return Receipt(f"Moodle profile field {field} of user {user}", confirmed=True, details={"value": wanted})


def write_list(step: Step, certificate: Certificate, rest: Rest) -> Receipt:
    """Adds the certificate to the JSON list in a text area, or takes it out once revoked or erased.

    Everything else in the list stays. The entry holds nothing that a learner wrote: Moodle may show it as HTML.
    """
    user, field = step.target["user"], step.target["field"]
    number = certificate_id.grouped(certificate.id)
    before = _entries(user, field, _field(user, field, rest))
    others = [entry for entry in before if entry.get("certificate") != number]
    data = certificate.data
    entry = {
        "certificate": number,
        "course": step.target["course"],
        "on": f"{data.completed_on}",
        "url": certificate.url,
    }
    wanted = [*others, entry] if certificate.state == "issued" else others
    if wanted == before:
        return Receipt(f"Moodle profile field {field} of user {user} is right already", confirmed=True)
    _set(user, field, json.dumps(wanted, ensure_ascii=False) if wanted else "", rest)
    return Receipt(
        f"Moodle profile field {field} of user {user}", confirmed=True, details={"certificates": len(wanted)}
    )


def _entries(user: str, field: str, text: str | None) -> list[JsonObject]:
    """Returns the list that stands there. Raises PermanentError rather than write over what is none of ours."""
    if not (text or "").strip():
        return []
    try:
        value = read_json((text or "").encode())
    except PayloadError:
        value = None
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return value
    raise PermanentError(
        f"Profile field {field!r} of user {user} holds something else than certbridge's list (was it edited by hand?). "
        "Empty it in the user's profile, then let this delivery try again.",
        code="field_occupied",
    )


def _set(user: str, field: str, wanted: str, rest: Rest) -> None:
    """Writes the value and reads it back. Raises PermanentError."""
    path = "users[0][customfields][0]"
    arguments = {"users[0][id]": user, f"{path}[type]": field, f"{path}[value]": wanted}
    answer = rest.call("core_user_update_users", arguments)
    for warning in sections(answer.get("warnings")) if isinstance(answer, dict) else []:
        said = str(warning.get("message") or warning.get("warningcode"))[:200]
        raise PermanentError(
            f"Moodle did not change user {user}: {said}. Usual cause: the user was deleted.", code="user_refused"
        )
    _confirm(user, field, wanted, _field(user, field, rest))


def _field(user: str, field: str, rest: Rest) -> str | None:
    fields = sections(rest.user(user).get("customfields"))
    values = [str(item.get("value") or "") for item in fields if item.get("shortname") == field]
    return values[0] if values else None


def _confirm(user: str, field: str, wanted: str, after: str | None) -> None:
    """Raises PermanentError unless Moodle kept the value: it drops unknown fields and cuts long values silently."""
    if after == wanted or (wanted == "" and after is None):
        return
    if after is None:
        raise PermanentError(
            f"Moodle shows no profile field with the short name {field!r} for user {user}. Create it under Site "
            "administration, Users, User profile fields, visible to the user, or let the service account see it "
            "(moodle/user:viewalldetails).",
            code="field_missing",
        )
    cut = "cut it" if after and wanted.startswith(after) else "kept something else"
    raise PermanentError(
        f"Moodle {cut}: profile field {field!r} of user {user} now holds {after[:60]!r}. Check the field's type "
        "(text; text area for the list) and maximum length.",
        code="field_changed",
    )
