"""The one way out to a vendor over HTTP: pinned hosts, checked addresses, limits, redaction, one token refresh."""

from __future__ import annotations

import json as jsonlib
import ssl
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import unquote

import requests
import urllib3
from requests.adapters import HTTPAdapter

from bridge import __version__
from bridge.clients.network import Deadline, checked_pools
from bridge.clients.pace import Pace
from bridge.clients.pins import host_of, pin, without_query
from bridge.clients.sign_in import SignedIn
from bridge.clients.summary import Observer, Redactor, answer_summary, capped, hiding, request_summary
from bridge.core.connector import Access, ApiClient, ApiResponse, Connector
from bridge.core.errors import BridgeError, PermanentError, TemporaryError

_CHUNK: Final = 65_536
_REDIRECTS: Final = frozenset({301, 302, 303, 305, 307, 308})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost: seconds to connect, seconds between two bytes, seconds in all, bytes of answer."""

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0
    max_bytes: int = 5 * 1024 * 1024


class HttpClient:
    """Implements `bridge.core.connector.ApiClient` for one source; may be used by many threads at once.

    `redactor` hides the secrets of the configuration in texts; the values of `Access.headers` are hidden besides.
    `ca_file` names a PEM file with the certificate authority of a system inside the own network.
    Proxy settings, `.netrc` and other surroundings are not read: what is reached is what the configuration says.
    """

    def __init__(
        self,
        connector: Connector[Any],
        *,
        allow_private: bool,
        redactor: Redactor,
        timeout: tuple[float, float] = (5.0, 30.0),
        max_bytes: int = 5 * 1024 * 1024,
        total_deadline: float = 60.0,
        user_agent: str = f"certbridge/{__version__}",
        observer: Observer | None = None,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._allow_private = allow_private
        self._redactor = redactor
        self._limits = Limits(timeout[0], timeout[1], total_deadline, max_bytes)
        self._observer = observer
        self._signed_in = SignedIn(connector, clock)
        self._session = _session(user_agent, ca_file)
        self._pace = Pace(connector.rate)

    # What connectors call.
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Sequence[tuple[str, str]] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        """Sends one request; see `ApiClient.request`. Raises TemporaryError, PermanentError and what `check` raises."""
        return self._request(_Ask(method, path, query, form, json, headers or {}), self._observer)

    # What the flow calls.
    def observed_by(self, observer: Observer) -> ApiClient:
        """Returns the same client (same token, same connections) that tells another observer, for one attempt."""
        return _Observed(self, observer)

    def sign_out(self) -> None:
        """Forgets the credentials in use: those of the configuration have changed."""
        self._signed_in.forget()

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._session.close()

    # How it is done.
    def _request(self, ask: _Ask, observer: Observer | None) -> ApiResponse:
        access = self._signed_in.access(_BeforeSignIn(self, observer))
        response = self._exchange(ask, access, observer)
        if response.status == 401 and access.headers:
            self._signed_in.forget(access)
            access = self._signed_in.access(_BeforeSignIn(self, observer))
            response = self._exchange(ask, access, observer)
        return self._checked(response)

    def _checked(self, response: ApiResponse) -> ApiResponse:
        if response.status in _REDIRECTS:
            raise PermanentError(self._redirected(response), code="redirect")
        try:
            self._connector.check(response)
        except BridgeError as error:
            # The reading of plain statuses says "answered HTTP 503"; who answered is known here.
            if str(error).startswith("answered "):
                error.args = (f"{self._connector.title} ({host_of(response.url)}) {error}.",)
            raise
        return response

    def _redirected(self, response: ApiResponse) -> str:
        target = host_of(response.headers.get("location", "")) or host_of(response.url)
        return (
            f"{host_of(response.url)} wants to send certbridge on to {target} (HTTP {response.status}). Redirects are"
            f" not followed, because the credentials would go along. Set the final address of {self._connector.title}"
            " in the configuration (often https:// instead of http://, or with www)."
        )

    def _exchange(self, ask: _Ask, access: Access | None, observer: Observer | None) -> ApiResponse:
        request = self._prepare(ask, access)
        redact = hiding(self._redactor, access.headers.values() if access else ())
        shown = request_summary(
            ask.method, without_query(request.url), query=ask.query, form=ask.form, payload=ask.json, redact=redact
        )
        if access is None:  # signing in: every field may be a secret nobody knows yet
            shown = {"method": ask.method, "url": shown["url"], "note": "signing in; contents not shown"}
        self._pace.wait()
        started = time.monotonic()
        outcome: dict[str, Any] = {}
        try:
            response = self._send(request)
            outcome = answer_summary(response.status, response.headers, response.body if access else b"", redact=redact)
            return response
        except BridgeError as error:
            outcome = capped({"error": redact(str(error)), "code": error.stable_code})
            raise
        finally:
            if observer is not None:
                observer(shown, outcome, time.monotonic() - started)

    # -- what is sent, and whether it may be -------------------------------------------------------

    def _prepare(self, ask: _Ask, access: Access | None) -> requests.PreparedRequest:
        url = self._url(ask.path, access)
        given = {**(access.headers if access else {}), **ask.headers}
        # One that is given as empty is left out: another part of a vendor's API may want other credentials.
        headers = {name: value for name, value in given.items() if value} | {"Accept-Encoding": "identity"}
        body: bytes | None = None
        if ask.json is not None:
            body = jsonlib.dumps(ask.json, ensure_ascii=False, allow_nan=False).encode("utf-8")
            headers.setdefault("Content-Type", "application/json")
        request = requests.Request(
            ask.method, url, params=ask.query, data=body if body is not None else _form(ask.form), headers=headers
        )
        try:
            prepared = self._session.prepare_request(request)
            for value in prepared.headers.values():
                value.encode("latin-1")
        except (requests.RequestException, UnicodeError):
            # Without its cause: the original message quotes the header, which is the secret.
            raise PermanentError(
                f"The request to {self._connector.title} could not be built: an address or a credential contains"
                " characters that HTTP does not allow. Check that the token was copied without line breaks or quotes."
            ) from None
        pin(prepared.url or "", self._connector, access, allow_private=self._allow_private)
        return prepared

    def _url(self, path: str, access: Access | None) -> str:
        if any(segment in (".", "..") for segment in unquote(path.partition("?")[0]).replace("\\", "/").split("/")):
            raise PermanentError(f"The address {path[:100]!r} climbs out of its folder; it was not called.")
        if path.startswith(("http://", "https://")):
            return path
        if access is None:
            raise PermanentError(f"{self._connector.title}: signing in needs a full address, not {path[:100]!r}.")
        return access.base_url.rstrip("/") + "/" + path.lstrip("/")

    # -- the exchange itself -----------------------------------------------------------------------

    def _send(self, request: requests.PreparedRequest) -> ApiResponse:
        host = host_of(request.url or "")
        with Deadline(self._limits.total, allow_private=self._allow_private) as deadline:
            try:
                response = self._session.send(
                    request,
                    stream=True,
                    allow_redirects=False,
                    timeout=(self._limits.connect, self._limits.read),
                )
                with response:
                    body = self._read(response, host, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if deadline.expired:
                    raise self._too_slow(host) from None
                # Without its cause: the original message quotes the address with its query.
                raise _network_error(error, host, self._limits) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ApiResponse(response.status_code, headers, body, without_query(request.url))

    def _read(self, response: requests.Response, host: str, deadline: Deadline) -> bytes:
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > self._limits.max_bytes:
                raise self._too_large(host)
        if deadline.expired:  # a cut connection can look like the end of a body of unknown length
            raise self._too_slow(host)
        return self._decoded(bytes(body), response.headers.get("content-encoding", "").strip().lower(), host)

    def _decoded(self, body: bytes, encoding: str, host: str) -> bytes:
        if encoding in ("", "identity") or not body:
            return body
        if encoding not in ("gzip", "x-gzip"):
            raise PermanentError(f"{host} answered in the encoding {encoding[:40]!r}, which was not asked for.")
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            inflated = inflater.decompress(body, self._limits.max_bytes + 1)
        except zlib.error as error:
            raise TemporaryError(f"{host} sent an answer whose compression is damaged.") from error
        if len(inflated) > self._limits.max_bytes:
            raise self._too_large(host)
        return inflated

    def _too_large(self, host: str) -> TemporaryError:
        return TemporaryError(f"{host} sent more than {self._limits.max_bytes:,} bytes.", code="too_large")

    def _too_slow(self, host: str) -> TemporaryError:
        return TemporaryError(
            f"{host} had not finished its answer after {self._limits.total:g} seconds.", code="timeout"
        )


# -- to a bridge of our own ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """What a running bridge answered: status, and at most 64 KiB of body."""

    status: int
    body: bytes


def post_local(url: str, body: bytes, headers: Mapping[str, str]) -> LocalAnswer:
    """Posts a signed sample to a bridge's webhook address, for `certbridge send`. Raises TemporaryError.

    The address is the operator's own word, so any host is reached; redirects are not followed.
    """
    host = host_of(url) or url
    limits = Limits(total=30.0)
    with requests.Session() as session:
        session.trust_env = False
        try:
            with session.post(
                url, data=body, headers=dict(headers), timeout=(limits.connect, limits.read), allow_redirects=False,
                stream=True,
            ) as answer:  # fmt: skip
                return LocalAnswer(answer.status_code, answer.raw.read(_CHUNK, decode_content=True) or b"")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _network_error(error, host, limits) from error


# -- signing in ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ask:
    method: str
    path: str
    query: Mapping[str, str] | None
    form: Sequence[tuple[str, str]] | None
    json: object
    headers: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ValueError(f"{self.method!r} is not a method certbridge uses")
        if self.form is not None and self.json is not None:
            raise ValueError("a request has a form or JSON, not both")


class _Observed:
    """An HttpClient seen by another observer."""

    def __init__(self, client: HttpClient, observer: Observer) -> None:
        self._client = client
        self._observer = observer

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Sequence[tuple[str, str]] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        return self._client._request(_Ask(method, path, query, form, json, headers or {}), self._observer)


class _BeforeSignIn:
    """The client that `authenticate` gets: full addresses only, no credentials, contents not shown."""

    def __init__(self, client: HttpClient, observer: Observer | None) -> None:
        self._client = client
        self._observer = observer

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Sequence[tuple[str, str]] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        ask = _Ask(method, path, query, form, json, headers or {})
        return self._client._checked(self._client._exchange(ask, None, self._observer))


# -- small things --------------------------------------------------------------------------------


class _Adapter(HTTPAdapter):
    """Opens connections to checked addresses only."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = checked_pools(connections=maxsize, block=block, **options)


def _session(user_agent: str, ca_file: str | None) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_file or True
    session.headers["User-Agent"] = user_agent
    session.headers["Accept"] = "application/json"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no state but what the connector sends
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(max_retries=0))
    return session


def _form(form: Sequence[tuple[str, str]] | None) -> list[tuple[str, str]] | None:
    return None if form is None else list(form)


def _network_error(error: Exception, host: str, limits: Limits) -> BridgeError:
    """Says in plain words what the network did."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return PermanentError(
            f"{host} shows a certificate that cannot be trusted (expired, self-signed, or made for another name). "
            "Have it renewed, or give this source the certificate authority of your network; then replay.",
            code="tls",
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return TemporaryError(f"{host} broke off the encrypted connection (TLS).", code="tls")
    if any(isinstance(cause, urllib3.exceptions.NameResolutionError) for cause in causes):
        return TemporaryError(f"The name {host} could not be found (DNS). Is it spelled correctly?", code="dns")
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        return TemporaryError(f"{host} refused the connection. Is the server running?", code="connection")
    if any(isinstance(cause, requests.ConnectTimeout | urllib3.exceptions.ConnectTimeoutError) for cause in causes):
        return TemporaryError(f"{host} did not accept a connection within {limits.connect:g} seconds.", code="timeout")
    if any(isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError) for cause in causes):
        return TemporaryError(f"{host} sent nothing for {limits.read:g} seconds.", code="timeout")
    return TemporaryError(f"The connection to {host} broke off before the answer was complete.", code="connection")


def _causes(error: BaseException | None) -> Sequence[BaseException]:
    """Returns the error and everything it wraps (requests and urllib3 keep causes in args and `reason`)."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 20:
        current = waiting.pop()
        if not isinstance(current, BaseException) or current in found:
            continue
        found.append(current)
        waiting += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
    return found
