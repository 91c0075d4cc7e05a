"""Calls the REST API of one organisation: records, queries page by page, and several calls in one (composite)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.core.answers import sections
from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_json
from connectors.salesforce.composite import Part, PartAnswer, call, part_answer

_MAX_BYTES: Final = 16 * 1024 * 1024
_PAGE_SIZE: Final = {"Sforce-Query-Options": "batchSize=500"}
_MOST_PAGES: Final = 10_000
# The next page is a path of this API at the same organisation, or it is not called.
_NEXT: Final = re.compile(r"/services/data/v\d{2,3}\.0/query/[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True, slots=True)
class Rest:
    """The API of one organisation in one version."""

    api: ApiClient
    version: str

    @property
    def base(self) -> str:
        """The path in front of everything but the list of versions."""
        return f"/services/data/v{self.version}"

    def get(self, path: str) -> JsonObject:
        """Returns the object at a path below the version. Raises PermanentError, TemporaryError."""
        return _object(self.api.request("GET", self.base + path))

    def create(self, kind: str, fields: Mapping[str, object]) -> str:
        """Creates a record and returns its id. Raises PermanentError, TemporaryError."""
        response = self.api.request("POST", f"{self.base}/sobjects/{kind}", json=dict(fields))
        return created_id(_object(response))

    def first_page(self, query: str) -> list[JsonObject]:
        """Returns the first records that a query finds."""
        return next(self.pages(query), [])

    def pages(self, query: str) -> Iterator[list[JsonObject]]:
        """Yields what a query finds, page by page.

        https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_query.htm
        """
        response = self.api.request("GET", f"{self.base}/query", query={"q": query}, headers=_PAGE_SIZE)
        seen: set[str] = set()
        while True:
            answer = _object(response)
            yield _found(answer)
            if answer.get("done") is True:
                return
            following = answer.get("nextRecordsUrl")
            if not isinstance(following, str) or not _NEXT.fullmatch(following) or following in seen:
                raise TemporaryError("Salesforce names a next page that is none of its own.", code="odd_page")
            seen.add(following)
            if len(seen) > _MOST_PAGES:
                raise TemporaryError("Salesforce's list does not end.", code="odd_page")
            response = self.api.request("GET", following, headers=_PAGE_SIZE)

    def groups(self, query: str) -> list[JsonObject]:
        """Returns what a query with GROUP BY finds; such an answer has one page."""
        return _found(_object(self.api.request("GET", f"{self.base}/query", query={"q": query})))

    def composite(self, parts: Sequence[Part]) -> dict[str, PartAnswer]:
        """Makes several calls in one and returns what became of each; the answer as a whole is always 200.

        One that fails undoes no other: every part is looked for before it is written again.
        https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_composite.htm
        """
        calls = [call(self.base, part) for part in parts]
        body = {"allOrNone": False, "compositeRequest": calls}
        answer = _object(self.api.request("POST", f"{self.base}/composite", json=body))
        found = {one.name: one for one in map(part_answer, sections(answer.get("compositeResponse"))) if one}
        missing = [part.name for part in parts if part.name not in found]
        if missing:
            raise TemporaryError(f"Salesforce did not say what became of {missing[0]}.", code="unexpected_answer")
        return found


def created_id(answer: object) -> str:
    """Returns the id of what was created. Raises TemporaryError when the answer names none."""
    number = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(number, str) or not number:
        raise TemporaryError("Salesforce did not say what it created.", code="unexpected_answer")
    return number


def _found(answer: JsonObject) -> list[JsonObject]:
    if not isinstance(answer.get("records"), list):
        raise TemporaryError("Salesforce answered a query without records.", code="unexpected_answer")
    return sections(answer["records"])


def _object(response: ApiResponse) -> JsonObject:
    try:
        value = read_json(response.body, max_bytes=_MAX_BYTES, max_values=2_000_000, mend=True)
    except PayloadError as error:
        text = f"Salesforce's answer is no JSON; during maintenance it may be a page for people. {error}"
        raise TemporaryError(text, code="not_json") from error
    if not isinstance(value, dict):
        raise TemporaryError("Salesforce answered something else than was asked for.", code="unexpected_answer")
    return value
