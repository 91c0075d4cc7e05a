"""Writes a certificate's number into one of the learner's custom profile fields."""

from __future__ import annotations

from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import ApiClient, Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate
from connectors.thinkific.admin_api import objects, pages, read

STEP: Final = "profile_field"
_PAGES: Final = 20


def write(step: Step, certificate: Certificate, api: ApiClient) -> Receipt:
    """Makes the field hold the number (or, once revoked or erased, no longer hold it), and reads it back.

    Raises PermanentError when the learner or the field is gone, TemporaryError when Thinkific did not keep the value.
    """
    user, label = step.target["user"], step.target["label"]
    number = certificate_id.grouped(certificate.id)
    fields = definitions(api)
    if label not in fields:
        known = ", ".join(repr(name) for name in sorted(fields)) or "none"
        raise PermanentError(
            f"Thinkific has no custom profile field labelled {label!r} (there are: {known}). Create it in Thinkific's "
            "settings, or correct `profile_field`.",
            code="field_missing",
        )
    before = _values(user, api)
    current = before.get(fields[label], "")
    wanted = number if certificate.state == "issued" else ""
    if current == wanted or (wanted == "" and current != number):
        return Receipt(f"Thinkific profile field {label!r} of user {user} is right already", confirmed=True)
    _put(user, {**before, fields[label]: wanted}, api)
    if _values(user, api).get(fields[label], "") != wanted:
        raise TemporaryError(
            f"Thinkific took the number for user {user}, but profile field {label!r} does not show it.",
            code="not_confirmed",
        )
    return Receipt(f"Thinkific profile field {label!r} of user {user}", confirmed=True, details={"value": wanted})


def definitions(api: ApiClient) -> dict[str, int]:
    """Returns the ids of the custom profile fields by label. Raises PermanentError, TemporaryError."""
    found: dict[str, int] = {}
    for page in pages(api, "/custom_profile_field_definitions", {}, most=_PAGES):
        for item in page:
            if isinstance(item.get("label"), str) and isinstance(item.get("id"), int):
                found.setdefault(item["label"].strip(), item["id"])
    return found


def _values(user: str, api: ApiClient) -> dict[int, str]:
    """Returns the learner's values by definition id."""
    try:
        answer = read(api.request("GET", _path(user)))
    except PermanentError as error:
        if error.stable_code != "http_404":
            raise
        raise PermanentError(
            f"Thinkific has no user {user} any more to write the number to. The certificate stays valid.",
            code="user_gone",
        ) from error
    fields = objects(answer.get("custom_profile_fields"))
    return {
        field["custom_profile_field_definition_id"]: str(field.get("value") or "")
        for field in fields
        if isinstance(field.get("custom_profile_field_definition_id"), int)
    }


def _put(user: str, values: dict[int, str], api: ApiClient) -> None:
    # All fields go along: whether a PUT leaves the ones it does not name alone is not documented.
    fields = [{"custom_profile_field_definition_id": number, "value": value} for number, value in values.items()]
    api.request("PUT", _path(user), json={"custom_profile_fields": fields})


def _path(user: str) -> str:
    if not (user.isascii() and user.isdigit()):
        raise PermanentError(f"{user[:40]!r} is no user id of Thinkific.", code="user_gone")
    return f"/users/{user}"
