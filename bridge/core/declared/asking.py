"""One request of a declaration to the vendor's API, and the answer to it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from bridge.core.connector import ApiClient
from bridge.core.declared.addresses import WebAddress, host_of
from bridge.core.declared.texts import Formula, JsonTree, Scope, Unclear, Words, line
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.payload import read_json
from bridge.core.section import Section

_MOST: Final = 50
_LONGEST: Final = 2_000
# What the client or the server decides; a declaration that set them could split one request into two.
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "authorization", "cookie"})


def _header(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise ValueError("The name of a header has letters, digits and -.")
    if name.lower() in _OURS:
        raise ValueError(f"{name} is not set here; how to sign in stands under api.")
    return name


def _host(name: str) -> str:
    bare = name.removeprefix("*.")
    if not bare or any(sign not in "abcdefghijklmnopqrstuvwxyz0123456789.-" for sign in bare) or "." not in bare:
        raise ValueError("Write the name of a host in small letters, such as api.school.example or *.school.example.")
    return name


HeaderName = Annotated[str, AfterValidator(_header)]
Host = Annotated[str, AfterValidator(_host)]
Headers = Annotated[dict[HeaderName, Words], Field(max_length=_MOST)]
Parameters = Annotated[dict[str, Words], Field(max_length=_MOST)]


class Ask(Section):
    """A request to the API."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(default="GET", description="The method.")
    url: WebAddress | None = Field(
        default=None, description="A path below api.base_url; each value becomes one part of it, percent-encoded."
    )
    query: Parameters = Field(default={}, description="What stands behind the question mark; an empty one is left out.")
    headers: Headers = Field(default={}, description="Further headers.")
    body: JsonTree | None = Field(default=None, alias="json", description="The body, as JSON.")
    form: Parameters | None = Field(default=None, description="The body, as a form, instead of json.")

    @model_validator(mode="after")
    def _one_body(self) -> Ask:
        if self.body is not None and self.form is not None:
            raise ValueError("needs either json or form, not both")
        if self.method == "GET" and (self.body is not None or self.form is not None):
            raise ValueError("has a body, which a GET cannot have; write method: POST")
        if not self.reaches():
            raise ValueError('has no "url". It is required')
        return self

    def reaches(self) -> bool:
        """Tells whether it says where to ask."""
        return self.url is not None

    def where(self, scope: Scope) -> str:
        """Returns the address to ask. Raises Unclear, PermanentError."""
        assert self.url is not None
        return self.url.at(scope)

    def send(self, api: ApiClient, scope: Scope, *, at: str | None = None) -> object:
        """Sends it and returns the answer's JSON, None for an empty one; `at` is another address (of the next page).

        Raises Unclear for values that are missing, TemporaryError for an answer that cannot be read, and what the
        client raises.
        """
        response = api.request(
            self.method,
            at or self.where(scope),
            query=None if at else self._filled(self.query, scope),
            headers=self._filled(self.headers, scope),
            json=self.body.value(scope) if self.body is not None else None,
            form=list(self._filled(self.form, scope, blank=True).items()) if self.form is not None else None,
        )
        if not response.body.strip():
            return None
        try:
            return read_json(response.body, max_bytes=50 << 20, mend=True)
        except PayloadError as error:
            if self.method != "GET":
                return None  # what was written is looked at, not what the answer says about it
            raise TemporaryError(f"The answer cannot be read. {error}", code="not_json") from error

    @staticmethod
    def _filled(texts: dict[str, Any], scope: Scope, *, blank: bool = False) -> dict[str, str]:
        found = {name: line(text, scope, longest=_LONGEST) for name, text in texts.items()}
        return found if blank else {name: value for name, value in found.items() if value}


class Follow(Ask):
    """A request to the API, or to the very address that an event points to."""

    follow: Formula | None = Field(
        default=None, description="Where the event holds the address to ask (data.api_url), instead of url; GET only."
    )
    hosts: tuple[Host, ...] = Field(
        default=(), max_length=5, description="The hosts that such an address may have; exactly these, and https."
    )

    @model_validator(mode="after")
    def _pinned(self) -> Follow:
        if self.follow is not None and (self.url is not None or self.method != "GET" or self.query):
            raise ValueError("has follow: the event's own address is asked as it is, with GET, without url or query")
        if (self.follow is not None) != bool(self.hosts):
            raise ValueError("needs follow and hosts together: the hosts that the event's address may have")
        if any(host.startswith("*") for host in self.hosts):
            raise ValueError("has a * in hosts: an address from an event may have exactly the hosts named")
        return self

    def reaches(self) -> bool:
        return self.url is not None or self.follow is not None

    def where(self, scope: Scope) -> str:
        if self.follow is None:
            return super().where(scope)
        found = line(self.follow, scope)
        if not _leads_to(found, self.hosts):
            raise PermanentError(
                f"The event points to {found[:100]!a}, which is no address at {' or '.join(self.hosts)}; it was not "
                "called.",
                code="host_refused",
            )
        return found


def _leads_to(url: str, hosts: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    odd = not url.isascii() or any(sign in url for sign in "\\ @#") or not url.isprintable()
    return parts.scheme == "https" and port in (None, 443) and host_of(url) in hosts and not odd


def unclear(failure: Unclear, what: str) -> PermanentError:
    """Returns the error for a request that cannot be made."""
    return PermanentError(f"{what} cannot be asked for: {failure}.", code="missing_value")
