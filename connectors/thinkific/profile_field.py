"""Writes a certificate's number into one of the learner's custom profile fields.

https://developers.thinkific.com/api/api-documentation/ (PUT /users/{id}). Whether it leaves fields alone that it does
not name is not described, so all of them go along, and nothing is written unless Thinkific shows them.
"""

from __future__ import annotations

from typing import Any, Final

from bridge.core import certificate_id
from bridge.core.answers import digits, not_shown, seen
from bridge.core.connector import ApiClient, Receipt, Step
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.latest import needs_writing
from bridge.core.models import Certificate
from connectors.thinkific.admin_api import pages, read

STEP: Final = "profile_field"
_PAGES: Final = 20
_HIDDEN: Final = (
    "Usual cause: an access token that may not see everything of a user. Use the site's API key, or give the token the "
    "right to read and write users, then replay this delivery. `certbridge doctor` looks whether they are shown."
)


def write(step: Step, certificate: Certificate, api: ApiClient) -> Receipt:
    """Makes the field hold the number (or, once revoked or erased, no longer hold it), and reads it back.

    Raises HeldError where Thinkific does not show the learner's fields, or text of somebody else stands in this one;
    PermanentError when the learner or the field is gone, TemporaryError when Thinkific did not keep the value.
    """
    user, label = step.target["user"], step.target["label"]
    fields = definitions(api)
    if label not in fields:
        known = ", ".join(repr(name) for name in sorted(fields)) or "none"
        raise PermanentError(
            f"Thinkific has no custom profile field labelled {label!r} (there are: {known}). Create it in Thinkific's "
            "settings, or correct `profile_field`.",
            code="field_missing",
        )
    before = values(user, api)
    where = f"Thinkific profile field {label!r} of user {user}"
    wanted = certificate_id.grouped(certificate.id) if certificate.state == "issued" else ""
    if not needs_writing(_text(before, fields[label]), wanted, certificate, where=where):
        return Receipt(f"{where} is right already", confirmed=True)
    _put(user, {**before, fields[label]: wanted}, api)
    if _text(values(user, api), fields[label]) != wanted:
        raise TemporaryError(
            f"Thinkific took the number for user {user}, but profile field {label!r} does not show it.",
            code="not_confirmed",
        )
    return Receipt(where, confirmed=True, details={"value": wanted})


def definitions(api: ApiClient) -> dict[str, int]:
    """Returns the ids of the custom profile fields by label. Raises PermanentError, TemporaryError."""
    found: dict[str, int] = {}
    for page in pages(api, "/custom_profile_field_definitions", {}, most=_PAGES):
        for item in page:
            if isinstance(item.get("label"), str) and isinstance(item.get("id"), int):
                found.setdefault(item["label"].strip(), item["id"])
    return found


def values(user: str, api: ApiClient) -> dict[int, Any]:
    """Returns the learner's values by definition id, as Thinkific shows them; one that is not filled is not among them.

    Raises HeldError where the answer does not show them all, PermanentError, TemporaryError.
    """
    try:
        answer = read(api.request("GET", _path(user)))
    except PermanentError as error:
        if error.stable_code != "http_404":
            raise
        raise PermanentError(
            f"Thinkific has no user {user} any more to write the number to. The certificate stays valid.",
            code="user_gone",
        ) from error
    fields = answer.get("custom_profile_fields")
    if not isinstance(fields, list):
        raise _hidden(user)
    found: dict[int, Any] = {}
    for field in fields:
        number = digits(field.get("custom_profile_field_definition_id")) if isinstance(field, dict) else None
        if number is None or "value" not in field:
            raise _hidden(user)  # left out of what is sent back, it could be lost
        found[int(number)] = field["value"]
    return found


def _text(held: dict[int, Any], number: int) -> str:
    return (seen({"value": held.get(number)}, "value") or "").strip()


def _hidden(user: str) -> HeldError:
    return not_shown("Thinkific", f"all custom profile fields of user {user}", _HIDDEN)


def _put(user: str, held: dict[int, Any], api: ApiClient) -> None:
    fields = [
        {"custom_profile_field_definition_id": number, "value": "" if value is None else value}
        for number, value in held.items()
    ]
    api.request("PUT", _path(user), json={"custom_profile_fields": fields})


def _path(user: str) -> str:
    if not (user.isascii() and user.isdigit()):
        raise PermanentError(f"{user[:40]!r} is no user id of Thinkific.", code="user_gone")
    return f"/users/{user}"
