"""A stand-in for Salesforce's REST API: sign-in, records, queries, upserts, composite calls, files.

Built from Salesforce's public documentation (https://developer.salesforce.com/docs/apis) and bodies seen in public
client code; no capture of a live org was at hand. Texts of errors are examples: only their codes are documented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from vendors.reading import json_object, query_of, raw_path
from vendors.salesforce.composite import Composite
from vendors.salesforce.errors import SalesforceError
from vendors.salesforce.org import Org
from vendors.salesforce.rest import Ask, Rest, Result
from vendors.salesforce.tokens import Tokens

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError, Refused, StandIn

_JSON: Final = {"Content-Type": "application/json;charset=UTF-8"}
_RESOURCE: Final = re.compile(r"/services/data/v([0-9]+\.0)(/.+)")
_LONGEST_URI: Final = 16_384
_PARAMETERS: Final = ("q", "fields", "updateOnly")


class SalesforceStandIn(StandIn):
    """`org` holds the records, `tokens` the app and its sessions, `rest` some switches; all may change in a run."""

    title: ClassVar[str] = "Salesforce"

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.org = Org(clock)
        self.tokens = Tokens(clock)
        self.rest = Rest(self.org)
        self.versions = ("66.0", "67.0")
        self.instance_url: str | None = None
        """What the token answer names as the base of the API; our own address when None."""
        self.api_enabled = True
        self.api_used, self.api_total = 0, 100_000

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return self.url + "/services/oauth2/token"

    def end_sessions(self) -> None:
        """Makes every token invalid."""
        with self.lock:
            self.tokens.end_sessions()

    def answer(self, call: Call) -> Answer:
        """Answers one call."""
        path = raw_path(call.target)
        if path == "/services/oauth2/token":
            return self.tokens.answer(call, self.instance_url or self.url)
        if call.method == "GET" and path.rstrip("/") == "/services/data":
            return _answered(Result(200, [_version(one) for one in self.versions]))
        try:
            return self._counted(self._resource(call, path))
        except SalesforceError as error:
            answer = self._counted(Result(error.status, error.body))
            if error.ours:
                raise RefusalError(f"{error.code}: {error}", answer) from error
            return answer

    def _resource(self, call: Call, path: str) -> Result:
        self._session(call)
        if len(call.target) > _LONGEST_URI:
            raise SalesforceError("URI_TOO_LONG", f"the address has more than {_LONGEST_URI} characters")
        found = _RESOURCE.fullmatch(path)
        if found is None or found[1] not in self.versions:
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist", ours=True)
        try:
            query = query_of(call, _PARAMETERS)
            body = self._body(call)
        except ValueError as error:
            raise SalesforceError("JSON_PARSER_ERROR", str(error)) from error
        if found[2] == "/composite" and call.method == "POST":
            return self._composite(call, body or {})
        return self.rest.answer(Ask(call.method, found[1], found[2], query, body, call.headers))

    def _body(self, call: Call) -> dict[str, Any] | None:
        if not call.body:
            return None
        kind = call.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/json":
            raise SalesforceError("UNSUPPORTED_MEDIA_TYPE", f"Content-Type not supported: {kind}")
        return json_object(call)

    def _composite(self, call: Call, body: dict[str, Any]) -> Result:
        composite = Composite(self.rest)
        result = composite.answer(body)
        self.refused += [Refused(call, reason) for reason in composite.refused]
        return result

    def _session(self, call: Call) -> None:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens.sessions:
            raise SalesforceError("INVALID_SESSION_ID", "Session expired or invalid")
        if not self.api_enabled:
            raise SalesforceError("API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization")
        if self.api_used >= self.api_total:
            raise SalesforceError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.api_used += 1

    def _counted(self, result: Result) -> Answer:
        answer = _answered(result)
        usage = {"Sforce-Limit-Info": f"api-usage={self.api_used}/{self.api_total}"}
        return replace(answer, headers={**answer.headers, **usage})


def _answered(result: Result) -> Answer:
    if result.body is None:
        return Answer(result.status)
    if isinstance(result.body, bytes):
        return Answer(result.status, result.body, {"Content-Type": "application/octetstream"})
    return Answer(result.status, json.dumps(result.body, ensure_ascii=False).encode("utf-8"), _JSON)


def _version(number: str) -> dict[str, str]:
    season = ("Winter", "Spring", "Summer")[(int(number.partition(".")[0]) - 65) % 3]
    return {"label": f"{season} '26", "url": f"/services/data/v{number}", "version": number}
