"""What Salesforce says when it does not do what it was asked: a code, words, sometimes the fields.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_STATUS: Final[Mapping[str, int]] = {
    "NOT_FOUND": 404,
    "ENTITY_IS_DELETED": 404,
    "INVALID_SESSION_ID": 401,
    "REQUEST_LIMIT_EXCEEDED": 403,
    "API_DISABLED_FOR_ORG": 403,
    "METHOD_NOT_ALLOWED": 405,
    "URI_TOO_LONG": 414,
    "UNSUPPORTED_MEDIA_TYPE": 415,
}
_NOT_OUR_FAULT: Final = frozenset(
    {
        *("NOT_FOUND", "ENTITY_IS_DELETED", "DUPLICATE_VALUE", "UNABLE_TO_LOCK_ROW", "PROCESSING_HALTED"),
        *("INVALID_QUERY_LOCATOR", "SERVER_UNAVAILABLE"),
    }
)


class SalesforceError(Exception):
    """`ours` is true when the request itself was wrong, not only unlucky."""

    def __init__(
        self, code: str, message: str, fields: Sequence[str] | None = None, *, ours: bool | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.fields = fields
        self.ours = code not in _NOT_OUR_FAULT if ours is None else ours

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return _STATUS.get(self.code, 400)

    @property
    def body(self) -> list[dict[str, Any]]:
        """Always a list; `fields` is there only where the error is about some."""
        error: dict[str, Any] = {"message": str(self), "errorCode": self.code}
        return [error if self.fields is None else {**error, "fields": list(self.fields)}]
