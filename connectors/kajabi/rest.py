"""Speaks JSON:API with Kajabi, always about one site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.core.answers import answered, listed, section
from bridge.core.connector import ApiClient
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import JsonObject
from connectors.kajabi.refusals import gone, no_contact

MEDIA_TYPE: Final = "application/vnd.api+json"
_PER_PAGE: Final = "100"
MOST_PAGES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Rest:
    """Calls Kajabi's API for one site (https://developers.kajabi.com)."""

    api: ApiClient
    site: str

    def get(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        """Returns the answer. Raises PermanentError, TemporaryError."""
        response = self.api.request("GET", path, query=query, headers={"Accept": MEDIA_TYPE})
        return answered(response, "Kajabi")

    def pages(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[list[JsonObject]]:
        """Yields the pages of a list of this site.

        Raises PermanentError, and TemporaryError also for a list that does not go on: that is not its end.
        """
        before: list[JsonObject] = []
        for number in range(1, MOST_PAGES + 1):
            place = {"page[number]": str(number), "page[size]": _PER_PAGE}
            answer = self.get(path, {**self._of_site(path), **(query or {}), **place})
            rows = listed(answer, "data", "Kajabi")
            if not rows:
                return
            if rows == before:
                raise TemporaryError(
                    f"Kajabi's list {path} does not go on: page {number} is the one before again. The rest was not "
                    "looked at.",
                    code="list",
                )
            yield rows
            if _is_last(number, answer):
                return
            before = rows
        raise TemporaryError(
            f"Kajabi's list has more than {MOST_PAGES:,} pages; the rest was not looked at.", code="list"
        )

    def rows(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[JsonObject]:
        """Yields the rows of a list of this site. Raises PermanentError, TemporaryError."""
        for page in self.pages(path, query):
            yield from page

    def _of_site(self, path: str) -> dict[str, str]:
        # Hooks and sites know no such filter; hooks name their site.
        return {} if path in ("/hooks", "/sites") else {"filter[site_id]": self.site}

    def send(self, method: str, path: str, data: Any, **more: Any) -> JsonObject:
        """Sends a document with this `data`; returns the answer, an empty one where there is no body."""
        headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
        response = self.api.request(method, path, json={"data": data, **more}, headers=headers)
        return answered(response, "Kajabi") if response.body.strip() else {}

    def send_about(self, contact: str, method: str, path: str, data: Any) -> JsonObject:
        """Sends a document about a contact; returns the answer. Raises PermanentError (contact_gone)."""
        try:
            return self.send(method, path, data)
        except PermanentError as error:
            raise gone(error, contact) from error

    def contact(self, number: str, *, with_tags: bool = False) -> JsonObject:
        """Returns the document of one contact. Raises PermanentError (contact_gone), TemporaryError."""
        try:
            document = self.get(f"/contacts/{number}", {"include": "tags"} if with_tags else None)
        except PermanentError as error:
            raise gone(error, number) from error
        if "data" in document and document["data"] is None:
            raise no_contact(number)  # how JSON:API says that there is none
        if not isinstance(document.get("data"), dict):
            raise TemporaryError(f"Kajabi's answer does not show contact {number}.", code="unexpected_answer")
        return document

    def tags_of(self, contact: str) -> set[str]:
        """Returns the ids of a contact's tags. Raises PermanentError (contact_gone)."""
        try:
            answer = self.get(f"/contacts/{contact}/relationships/tags")
        except PermanentError as error:
            raise gone(error, contact) from error
        return {str(tag.get("id")) for tag in listed(answer, "data", "Kajabi")}


def _is_last(number: int, answer: JsonObject) -> bool:
    links, pages = section(answer.get("links")), section(answer.get("meta")).get("total_pages")
    told = "next" in links and not links["next"]
    counted = isinstance(pages, int) and 1 <= pages <= number
    return told or counted
