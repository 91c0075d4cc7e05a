"""HubSpot's way of answering: records, and errors with a category and a correlation id.

https://developers.hubspot.com/docs/api-reference/error-handling
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from bridge.demo.vendors.stand_in import Answer, RefusalError

JSON: Final = {"Content-Type": "application/json;charset=utf-8"}


def ok(value: object, status: int = 200) -> Answer:
    """Returns an answer with a JSON body."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode("utf-8"), JSON)


def error(
    status: int,
    message: str,
    category: str,
    *,
    errors: Sequence[Mapping[str, Any]] = (),
    context: Mapping[str, Sequence[str]] | None = None,
) -> Answer:
    """Returns an error; parts without content are left out, as HubSpot does."""
    body: dict[str, Any] = {"status": "error", "message": message, "correlationId": str(uuid.uuid4())}
    if context:
        body["context"] = context
    if errors:
        body["errors"] = list(errors)
    return ok({**body, "category": category}, status)


def rate_limited(policy: str) -> Answer:
    """Returns the 429 of a policy: DAILY, TEN_SECONDLY_ROLLING or SECONDLY. HubSpot sends no Retry-After."""
    body = {
        "status": "error",
        "message": "You have reached your daily limit."
        if policy == "DAILY"
        else f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": policy,
    }
    return ok(body, 429)


def bad_request(message: str = "Bad request") -> Answer:
    """Returns the 400 for a request that says nothing sensible."""
    return error(400, message, "VALIDATION_ERROR")


def refuse(reason: str, status: int = 400, category: str = "VALIDATION_ERROR", message: str = "") -> NoReturn:
    """Refuses a request; the message to the client is the reason unless another is given."""
    raise RefusalError(reason, error(status, message or reason, category))


def invalid_values(faults: Sequence[tuple[str, str, str]]) -> Answer:
    """Returns the 400 for values of properties: (property, code, message) each. Nothing was written."""
    listed = [{"isValid": False, "message": message, "error": code, "name": name} for name, code, message in faults]
    return error(
        400,
        f"Property values were not valid: {json.dumps(listed, separators=(',', ':'))}",
        "VALIDATION_ERROR",
        errors=[
            {"message": message, "code": code, "context": {"propertyName": [name]}} for name, code, message in faults
        ],
    )


def not_found(message: str = "resource not found") -> Answer:
    """Returns the 404 for a record that is not there; asking for one is no mistake."""
    return error(404, message, "OBJECT_NOT_FOUND")
