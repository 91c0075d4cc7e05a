"""Several calls in one request (composite): what is asked, and what became of each.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_composite.htm
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from bridge.core.answers import sections
from bridge.core.errors import TemporaryError
from bridge.core.models import JsonObject


@dataclass(frozen=True, slots=True)
class Part:
    """One call of a composite; `path` is below the version."""

    name: str
    method: str
    path: str
    body: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """What became of one call of a composite."""

    name: str
    status: int
    body: object

    @property
    def failed(self) -> bool:
        refused = isinstance(self.body, dict) and self.body.get("success") is False
        return refused or not 200 <= self.status < 300


def query_all_path(query: str) -> str:
    """Returns the path of a query, as a part of a composite, that finds what is archived or deleted, too."""
    return f"/queryAll?q={quote(query, safe='')}"


def records(answer: PartAnswer) -> list[JsonObject]:
    """Returns the records that a query as a part of a composite found. Raises TemporaryError where it lists none."""
    found = answer.body.get("records") if isinstance(answer.body, dict) else None
    if not isinstance(found, list):
        raise TemporaryError("Salesforce answered a query without records.", code="unexpected_answer")
    return sections(found)


def call(base: str, part: Part) -> JsonObject:
    """Returns one call as the composite wants it; `base` is the path of the version."""
    made: JsonObject = {"method": part.method, "url": base + part.path, "referenceId": part.name}
    return made if part.body is None else {**made, "body": part.body}


def part_answer(answer: JsonObject) -> PartAnswer | None:
    """Reads what became of one call; None where the answer does not say."""
    name, status = answer.get("referenceId"), answer.get("httpStatusCode")
    if not isinstance(name, str) or not isinstance(status, int) or isinstance(status, bool):
        return None
    return PartAnswer(name, status, answer.get("body"))
