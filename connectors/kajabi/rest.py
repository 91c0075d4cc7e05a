"""Speaks JSON:API with Kajabi, always about one site, and says what its refusals mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bridge.core.answers import answered, check_known, line, section, sections
from bridge.core.connector import ApiClient, ApiResponse
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_object
from bridge.core.retry import retry_after

MEDIA_TYPE: Final = "application/vnd.api+json"
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 (an address)
_PER_PAGE: Final = "100"
MOST_PAGES: Final = 2_000

# Stays wrong until a person acts.
_PERMANENT: Final = MappingProxyType(
    {
        401: "Kajabi refused the token, also a fresh one. Check the API key's user and permissions in Kajabi",
        403: "Kajabi does not allow this: the API key lacks a permission, or the plan does not include the API",
        404: "Kajabi has no such record (any more)",
        422: "Kajabi refused the values",
    }
)
_KEY_REFUSED: Final = (
    "Kajabi refused `client_id` and `client_secret`: the key was rotated or deleted, or it was copied incompletely. "
    "Make a key under Settings, Public API (owners only) and set both anew"
)
_AT_SIGN_IN: Final = MappingProxyType({**_PERMANENT, **dict.fromkeys((400, 401, 403), _KEY_REFUSED)})


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
        """Yields the pages of a list of this site. Raises PermanentError, TemporaryError."""
        before: list[JsonObject] = []
        for number in range(1, MOST_PAGES + 1):
            place = {"page[number]": str(number), "page[size]": _PER_PAGE}
            answer = self.get(path, {**self._of_site(path), **(query or {}), **place})
            rows = sections(answer.get("data"))
            if rows == before:  # also a vendor that answers every page with the same rows
                return
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
        """Returns the document of one contact. Raises PermanentError (contact_gone)."""
        try:
            return self.get(f"/contacts/{number}", {"include": "tags"} if with_tags else None)
        except PermanentError as error:
            raise gone(error, number) from error

    def tags_of(self, contact: str) -> set[str]:
        """Returns the ids of a contact's tags. Raises PermanentError (contact_gone)."""
        try:
            answer = self.get(f"/contacts/{contact}/relationships/tags")
        except PermanentError as error:
            raise gone(error, contact) from error
        return {str(tag.get("id")) for tag in sections(answer.get("data"))}


def gone(error: PermanentError, contact: str) -> PermanentError:
    """Returns the error in words about the contact where Kajabi answered that it has no such record."""
    if error.stable_code != "http_404":
        return error
    return PermanentError(
        f"Kajabi has no contact {contact} (any more). Certificates that were issued stay valid.", code="contact_gone"
    )


def check(response: ApiResponse) -> None:
    """Raises the error an answer stands for: PermanentError, or TemporaryError with the wait Kajabi asks for."""
    if response.status == 429:
        wait = retry_after(response.headers)
        raise TemporaryError("Kajabi asks to slow down.", code="http_429", retry_after=wait)
    signing_in = response.url.rstrip("/").endswith(TOKEN_PATH)
    check_known(response, _AT_SIGN_IN if signing_in else _PERMANENT, complaint)


def complaint(body: bytes) -> str:
    """Returns Kajabi's words: `{"errors": [{title, detail, source}]}`, or `{"error": "text"}` at sign-in."""
    try:
        answer = read_object(body)
    except PayloadError:
        return ""
    parts = [line(answer.get("error"))]
    for error in sections(answer.get("errors"))[:10]:
        words = (error.get("title"), error.get("detail"), section(error.get("source")).get("pointer"))
        parts.append(" ".join(word for word in map(line, words) if word))
    return "; ".join(" ".join(part.split()) for part in parts if part)[:300]


def _is_last(number: int, answer: JsonObject) -> bool:
    links, pages = section(answer.get("links")), section(answer.get("meta")).get("total_pages")
    told = "next" in links and not links["next"]
    counted = isinstance(pages, int) and 1 <= pages <= number
    return told or counted or not sections(answer.get("data"))
