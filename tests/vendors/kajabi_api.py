"""How Kajabi's API is spoken: tokens, the media type, errors, pages and bodies of JSON:API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, ClassVar, Final, NoReturn, TypeGuard

from vendors import kajabi_shapes as shapes
from vendors.kajabi_account import Account
from vendors.kajabi_tokens import Tokens

from bridge.demo.vendors.json_vendor import JSON, JsonStandIn, Slice
from bridge.demo.vendors.stand_in import Answer, Call

BASE: Final = "/v1"
_PAGING: Final = frozenset({"page[number]", "page[size]"})
_TITLES: Final = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 422: "Invalid"}


class KajabiApi(JsonStandIn):
    """Everything but the routes."""

    title: ClassVar[str] = "Kajabi"
    media_type: ClassVar[str] = "application/vnd.api+json"

    def __init__(
        self,
        *,
        client_id: str = "sample-kajabi-client",
        client_secret: str = "sample-kajabi-secret",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.account = Account(clock)
        self.tokens = Tokens(clock, client_id, client_secret)
        self.largest_page = 100
        """Rows a page has at most, whatever `page[size]` asks for."""
        self.rights: set[str] | None = None
        """What the API key may do, of `contacts: view`, `contacts: edit` and `webhooks`; None: everything."""
        self._clock = clock

    @property
    def base_url(self) -> str:
        """The root of the API."""
        return self.url + BASE

    def problem(self, status: int, reason: str, pointer: str | None = None) -> Answer:
        """Writes an error as JSON:API does."""
        source = {"pointer": pointer} if pointer else None
        title = _TITLES.get(status, "Error")
        return self.json(
            status, {"errors": [{"status": str(status), "source": source, "title": title, "detail": reason}]}
        )

    def admit(self, call: Call) -> Answer | None:
        """Wants a token that is still good."""
        if call.path == BASE + "/oauth/token":
            return None
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not token:
            self.refuse("no Bearer token", 401)
        # A token that ran out is an everyday matter and no mistake of ours.
        if not self.tokens.good(token):
            return self.problem(401, "The access token is invalid or expired")
        allowed = self.rights is None or _right(call) in self.rights
        return None if allowed else self.problem(403, "Insufficient permission to access the resource")

    # -- tokens ------------------------------------------------------------------------------------

    def _grant(self, call: Call) -> Answer:
        kind = call.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/x-www-form-urlencoded" or call.query:
            self.refuse(f"a token is asked for with a form, not {kind!r}", 400, self._oauth(400, "invalid_request"))
        try:
            form = dict(call.form())
        except ValueError as error:
            self.refuse(f"the body is no form: {error}", 400, self._oauth(400, "invalid_request"))
        status, body = self.tokens.grant(form)
        if status == 400:
            self.refuse(f"token request with {sorted(form)}", 400, self._oauth(400, body["error"]))
        return Answer(status, self.json(status, body).body, {"Content-Type": JSON})

    def _oauth(self, status: int, code: str) -> Answer:
        return Answer(status, self.json(status, {"error": code}).body, {"Content-Type": JSON})

    # -- requests and answers ----------------------------------------------------------------------

    def _query(self, call: Call, known: Set[str] = frozenset()) -> dict[str, str]:
        return self.query(call, known | _PAGING)

    def _resource(
        self, call: Call, kind: str, number: str | None = None, related: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Reads a resource that is to be made or changed; `related` gets the ids of the relationships."""
        body = self.entries(call)
        data = body.get("data")
        if set(body) != {"data"} or not isinstance(data, dict):
            self._refuse_at("the body must be {data: {...}}", "/data", 400)
        expected = {"type", "attributes"} | ({"id"} if number else set()) | ({"relationships"} if related else set())
        if set(data) != expected or data["type"] != kind or not isinstance(data["attributes"], dict):
            self._refuse_at(f"data must have {sorted(expected)} and be of type {kind}", "/data", 400)
        if data.get("id") != number:
            self._refuse_at("id does not match the address", "/data/id", 400)
        links = data.get("relationships", {})
        if not isinstance(links, dict) or set(links) != set(related):
            self._refuse_at(f"relationships must be {list(related)}", "/data/relationships", 400)
        found = {name: self._related(name, links[name]) for name in related}
        return {"attributes": data["attributes"], "related": found}

    def _related(self, name: str, link: object) -> str:
        target = link.get("data") if isinstance(link, dict) else None
        if not self._identifies(target, f"{name}s"):
            self._refuse_at(f"{name} must be {{data: {{type: {name}s, id}}}}", f"/data/relationships/{name}", 400)
        return str(target["id"])

    def _identifies(self, entry: Any, kind: str) -> TypeGuard[dict[str, str]]:
        return (
            isinstance(entry, dict)
            and set(entry) == {"type", "id"}
            and entry["type"] == kind
            and type(entry["id"]) is str
        )

    def _refuse_at(self, reason: str, pointer: str, status: int = 422) -> NoReturn:
        self.refuse(reason, status, self.problem(status, reason, pointer))

    def _page(self, call: Call, query: dict[str, str], resources: list[dict[str, Any]]) -> Answer:
        size = min(self.number(query, "page[size]", 20), self.largest_page)
        cut = Slice(self.number(query, "page[number]", 1), size, len(resources))
        return self.json(200, shapes.page(self.url + call.path, query, cut, resources))

    def _one(self, records: Mapping[str, Any], number: str, shape: Callable[[Any], dict[str, Any]]) -> Answer:
        found = records.get(number)
        return self.json(200, {"data": shape(found)}) if found else self._missing()

    def _missing(self) -> Answer:
        return self.problem(404, "The record could not be found")


def _right(call: Call) -> str:
    if call.path.startswith(BASE + "/hooks"):
        return "webhooks"
    return "contacts: view" if call.method == "GET" else "contacts: edit"
