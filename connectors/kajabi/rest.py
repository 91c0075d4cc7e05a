"""Speaks JSON:API with Kajabi, always about one site, and says what its refusals mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic import SecretStr

from bridge.core.answers import answered, line, section, sections
from bridge.core.connector import Access, ApiClient, ApiResponse
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject
from bridge.core.payload import read_object
from bridge.core.retry import check_status, retry_after

MEDIA_TYPE: Final = "application/vnd.api+json"
_TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 (an address)
_TOKEN_SECONDS: Final = 7200.0
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


def sign_in(api: ApiClient, base_url: str, client_id: str, client_secret: SecretStr) -> Access:
    """Returns a token for client credentials, sent as a form. Raises PermanentError when they are refused."""
    secret = client_secret.get_secret_value()
    form = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)]
    answer = answered(api.request("POST", f"{base_url}{_TOKEN_PATH}", form=form), "Kajabi")
    token, seconds = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not token:
        raise TemporaryError("Kajabi's answer to the sign-in holds no token.", code="unexpected_answer")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds > 0:
        seconds = _TOKEN_SECONDS
    return Access(base_url, {"Authorization": f"Bearer {token}"}, float(seconds))


def check(response: ApiResponse) -> None:
    """Raises the error an answer stands for: PermanentError, or TemporaryError with the wait Kajabi asks for."""
    if response.status == 429:
        wait = retry_after(response.headers)
        raise TemporaryError("Kajabi asks to slow down.", code="http_429", retry_after=wait)
    text = _PERMANENT.get(response.status)
    if response.url.rstrip("/").endswith(_TOKEN_PATH) and response.status in (400, 401, 403):
        text = _KEY_REFUSED
    if text is not None:
        said = complaint(response.body)
        raise PermanentError(f"{text}: {said}" if said else f"{text}.", code=f"http_{response.status}")
    check_status(response.status, response.headers)


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
