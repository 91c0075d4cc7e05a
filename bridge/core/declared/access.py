"""How a declared source signs in to its vendor's API."""

from __future__ import annotations

import base64
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from bridge.core.connector import Access, ApiClient, ApiResponse, Rate
from bridge.core.declared.addresses import WebAddress
from bridge.core.declared.asking import HeaderName, Host
from bridge.core.declared.settings import everything
from bridge.core.declared.signed import Duration
from bridge.core.declared.texts import Formula, Unclear, Words, line, worked_out
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.payload import read_object
from bridge.core.retry import check_status, reset_after
from bridge.core.section import Section

_MOST: Final = 20


class BasicLogin(Section):
    """A user name and a password for the API."""

    username: Words = Field(description='The user name: "{{ settings.api_user }}".')
    password: Words | None = Field(default=None, description="The password; none: an empty one.")


class ClientCredentials(Section):
    """A token that is asked for with an id and a secret (OAuth 2 client credentials)."""

    token_url: WebAddress = Field(description="The whole address that gives tokens.")
    client_id: Words = Field(description="The id of the API client.")
    client_secret: Words = Field(description="Its secret.")
    scope: Words | None = Field(default=None, description="The scope, if one is needed.")
    send: Literal["form", "basic"] = Field(default="form", description="Where id and secret go: the form, or a login.")
    extra: dict[str, Words] = Field(default={}, max_length=_MOST, description="More fields of the form.")
    token: Formula | None = Field(
        default=None, description="Where the answer holds the token (default: answer.access_token)."
    )


class RateWords(Section):
    """The most requests that the vendor allows."""

    requests: int = Field(ge=1, le=100_000, description="So many requests ...")
    per: Duration = Field(description="... in this time, such as 10 seconds.")


class Api(Section):
    """The vendor's API."""

    base_url: WebAddress = Field(description="The whole address below which its paths are.")
    headers: dict[HeaderName, Words] = Field(
        default={}, max_length=_MOST, description='Sent with every request: X-API-Key: "{{ settings.api_key }}".'
    )
    basic: BasicLogin | None = Field(default=None, description="Sign in with a user name and a password.")
    bearer: Words | None = Field(default=None, description="Sign in with this token.")
    client_credentials: ClientCredentials | None = Field(default=None, description="Sign in with a token asked for.")
    hosts: tuple[Host, ...] = Field(
        default=(), max_length=10, description="Other hosts that requests may go to; they get the credentials, too."
    )
    rate: RateWords | None = Field(default=None, description="The most requests that the vendor allows.")
    wait_header: str | None = Field(
        default=None, description="The header of an answer 429 that says until when to wait, beside Retry-After."
    )
    explain: dict[str, str] = Field(
        default={},
        max_length=_MOST,
        description="What an answer means, by its HTTP status: {403: The plan is too small.}",
    )
    probe: WebAddress | None = Field(default=None, description="A path that answers when the credentials are right.")

    @model_validator(mode="after")
    def _one_way(self) -> Api:
        ways = [name for name in ("basic", "bearer", "client_credentials") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"needs one way to sign in, not {' and '.join(ways)}")
        if wrong := [status for status in self.explain if not (status.isdigit() and len(status) == 3)]:
            raise ValueError(f"has {wrong[0]} under explain, which is no HTTP status")
        return self

    def pace(self) -> Rate | None:
        """Returns the rate as the client knows it."""
        return Rate(self.rate.requests, self.rate.per.total_seconds()) if self.rate else None


def sign_in(words: Api, settings: Any, api: ApiClient) -> Access:
    """Returns the credentials, asking for a token if need be. Raises PermanentError, TemporaryError."""
    scope = {"settings": everything(settings)}
    try:
        base_url = words.base_url.at(scope)
        headers = {name: line(text, scope) for name, text in words.headers.items()}
        if words.bearer is not None:
            return Access(base_url, {**headers, "Authorization": f"Bearer {line(words.bearer, scope, longest=8000)}"})
        if words.basic is not None:
            name = line(words.basic.username, scope)
            password = line(words.basic.password, scope) if words.basic.password else ""
            return Access(base_url, {**headers, "Authorization": _login(name, password)})
        if words.client_credentials is None:
            return Access(base_url, headers)
        token, lasts = _token(words.client_credentials, scope, headers, api)
    except Unclear as unclear:
        raise PermanentError(f"certbridge cannot sign in: {unclear}.", code="sign_in") from None
    return Access(base_url, {**headers, "Authorization": f"Bearer {token}"}, expires_in=lasts)


def _login(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")


def _token(
    words: ClientCredentials, scope: dict[str, Any], headers: dict[str, str], api: ApiClient
) -> tuple[str, float | None]:
    client, secret = line(words.client_id, scope), line(words.client_secret, scope, longest=8000)
    form = {"grant_type": "client_credentials", **{name: line(text, scope) for name, text in words.extra.items()}}
    if words.scope is not None:
        form["scope"] = line(words.scope, scope)
    if words.send == "basic":
        headers = {**headers, "Authorization": _login(client, secret)}
    else:
        form |= {"client_id": client, "client_secret": secret}
    response = api.request("POST", words.token_url.at(scope), form=list(form.items()), headers=headers)
    try:
        answer = read_object(response.body)
        token = worked_out(words.token, {"answer": answer}) if words.token else answer.get("access_token")
    except (PayloadError, Unclear):
        token = None
    if not isinstance(token, str) or not token.strip():
        raise TemporaryError("The vendor gave no token that could be read when certbridge signed in.", code="sign_in")
    lasts = answer.get("expires_in")
    usable = isinstance(lasts, int | float) and not isinstance(lasts, bool) and 0 < lasts < 10**9
    return token.strip(), (float(lasts) if usable else None)  # type: ignore[arg-type]


def check(words: Api | None, title: str, response: ApiResponse) -> None:
    """Raises the error that an answer stands for, in the declaration's own words where it has some."""
    if words is None or 200 <= response.status < 300:
        check_status(response.status, response.headers)
        return
    if response.status == 429:
        wait = reset_after(response.headers, (words.wait_header,) if words.wait_header else ())
        raise TemporaryError(f"{title} asks to slow down.", code="http_429", retry_after=wait)
    try:
        check_status(response.status, response.headers)
    except (PermanentError, TemporaryError) as error:
        said = words.explain.get(str(response.status))
        if said:
            error.args = (f"{title}: {said} (HTTP {response.status})",)
        raise
