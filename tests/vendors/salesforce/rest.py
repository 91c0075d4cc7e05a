"""Salesforce's REST resources below /services/data/v67.0: records, queries, descriptions.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_list.htm
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vendors.reading import unescaped
from vendors.salesforce.errors import SalesforceError
from vendors.salesforce.org import Org, Row
from vendors.salesforce.schema import ObjectType
from vendors.salesforce.selecting import Selecting
from vendors.salesforce.soql import Query, read_query
from vendors.salesforce.values import read

_BATCH: Final = re.compile(r"batchSize=([0-9]+)")


@dataclass(frozen=True)
class Ask:
    """One request for a resource, alone or as part of a composite call."""

    method: str
    version: str
    path: str
    """Below the version, as it was escaped."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What comes of it; bytes are a file, None is an empty body."""

    status: int
    body: Any = None


class Rest:
    """The resources of one org."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.upsert_status = 200
        """What an upsert that changed something answers: 200, or 204 as older versions do."""
        self.page_size = 2000
        self._cursors: dict[str, tuple[list[dict[str, Any]], int]] = {}

    def expire_cursors(self) -> None:
        """Forgets the queries whose next pages nobody has fetched."""
        self._cursors.clear()

    def answer(self, ask: Ask) -> Result:
        """Raises SalesforceError."""
        others = []
        for method, pattern, handler, known in self._routes():
            found = re.fullmatch(pattern, ask.path)
            if found is None:
                continue
            if method != ask.method:
                others.append(method)
                continue
            if unknown := set(ask.query) - set(known):
                raise SalesforceError("INVALID_QUERY_PARAMETER", f"unknown parameters {sorted(unknown)}")
            if (ask.body is None) != (method in ("GET", "DELETE")):
                raise SalesforceError("JSON_PARSER_ERROR", f"{method} with the wrong body: {ask.body!r}")
            return handler(ask, *(_segment(part) for part in found.groups()))
        if others:
            raise SalesforceError("METHOD_NOT_ALLOWED", f"HTTP Method '{ask.method}' not allowed. Allowed are {others}")
        raise SalesforceError("NOT_FOUND", "The requested resource does not exist", ours=True)

    def _routes(self) -> Iterable[tuple[str, str, Callable[..., Result], tuple[str, ...]]]:
        one = r"/sobjects/(\w+)/([^/]+)"
        return (
            ("GET", "/query/?", self._query, ("q",)),
            ("GET", "/queryAll/?", self._query_all, ("q",)),
            ("GET", "/query/([^/]+)", self._next_page, ()),
            ("GET", "/limits", self._limits, ()),
            ("GET", r"/sobjects/(\w+)/describe", self._describe, ()),
            ("POST", r"/sobjects/(\w+)/?", self._create, ()),
            ("GET", one + "/VersionData", self._file, ()),
            ("GET", one, self._get, ("fields",)),
            ("PATCH", one, self._update, ()),
            ("DELETE", one, self._delete, ()),
            ("GET", one + "/([^/]+)", self._get_by_key, ("fields",)),
            ("PATCH", one + "/([^/]+)", self._upsert, ("updateOnly",)),
        )

    # -- queries -----------------------------------------------------------------------------------

    def _query(self, ask: Ask) -> Result:
        return self._queried(ask, deleted=False)

    def _query_all(self, ask: Ask) -> Result:
        return self._queried(ask, deleted=True)

    def _queried(self, ask: Ask, *, deleted: bool) -> Result:
        query = read_query(ask.query.get("q", ""))
        selecting = Selecting(self.org, query, ask.version)
        if query.grouped:
            groups = selecting.groups()
            return Result(200, {"totalSize": len(groups), "done": True, "records": groups})
        rows = selecting.found(deleted=deleted)
        if not query.fields:
            return Result(200, {"totalSize": len(rows), "done": True, "records": []})
        size = self._size(ask)
        return self._page(ask, [selecting.shown(row) for row in rows], 0, size)

    def _size(self, ask: Ask) -> int:
        asked = ask.headers.get("sforce-query-options")
        if asked is None:
            return self.page_size
        found = _BATCH.fullmatch(asked.strip())
        if found is None or not 200 <= int(found[1]) <= 2000:
            raise SalesforceError("INVALID_QUERY_OPTION", f"batchSize is 200 to 2000, not {asked}")
        return min(self.page_size, int(found[1]))

    def _page(self, ask: Ask, records: list[dict[str, Any]], first: int, size: int) -> Result:
        last = first + size
        body: dict[str, Any] = {"totalSize": len(records), "done": last >= len(records)}
        if not body["done"]:
            locator = f"01g8d{len(self._cursors):010d}AAA-{last}"
            self._cursors[locator] = (records, size)
            body["nextRecordsUrl"] = f"/services/data/v{ask.version}/query/{locator}"
        return Result(200, {**body, "records": records[first:last]})

    def _next_page(self, ask: Ask, locator: str) -> Result:
        if locator not in self._cursors:
            raise SalesforceError("INVALID_QUERY_LOCATOR", "invalid query locator")
        records, size = self._cursors[locator]
        return self._page(ask, records, int(locator.rpartition("-")[2]), size)

    # -- records -----------------------------------------------------------------------------------

    def _kind(self, name: str) -> ObjectType:
        found = self.org.types.get(name)
        if found is None or found.hidden:
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist", ours=True)
        return found

    def _describe(self, _: Ask, name: str) -> Result:
        return Result(200, self._kind(name).described())

    def _limits(self, _: Ask) -> Result:
        return Result(200, {"DailyApiRequests": {"Max": 100_000, "Remaining": 99_000}})

    def _get(self, ask: Ask, name: str, record_id: str) -> Result:
        kind = self._kind(name)
        return self._shown(ask, kind, self.org.find(kind, record_id))

    def _get_by_key(self, ask: Ask, name: str, key: str, value: str) -> Result:
        kind = self._kind(name)
        found = self._by_key(kind, key, value)
        if len(found) > 1:
            return self._several(ask, kind, found)
        if not found:
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist")
        return self._shown(ask, kind, found[0])

    def _shown(self, ask: Ask, kind: ObjectType, row: Row) -> Result:
        names = [one.name for one in kind.fields.values() if not one.hidden]
        if "fields" in ask.query:
            names = ask.query["fields"].split(",")
        selecting = Selecting(self.org, Query([(name,) for name in names], kind.name), ask.version)
        return Result(200, selecting.shown(row))

    def _file(self, _: Ask, name: str, record_id: str) -> Result:
        kind = self._kind(name)
        row = self.org.find(kind, record_id)
        if "VersionData" not in row:
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist", ours=True)
        return Result(200, row["VersionData"])

    def _create(self, ask: Ask, name: str) -> Result:
        row = self.org.create(self._kind(name), self._fields(ask, "Id"))
        return Result(201, {"id": row["Id"], "success": True, "errors": []})

    def _update(self, ask: Ask, name: str, record_id: str) -> Result:
        kind, values = self._kind(name), self._fields(ask, "Id")
        self.org.update(kind, self.org.find(kind, record_id), values)
        return Result(204)

    def _delete(self, _: Ask, name: str, record_id: str) -> Result:
        kind = self._kind(name)
        self.org.remove(kind, self.org.find(kind, record_id))
        return Result(204)

    def _upsert(self, ask: Ask, name: str, key: str, value: str) -> Result:
        kind = self._kind(name)
        found = self._by_key(kind, key, value)
        values = self._fields(ask, key)
        if len(found) > 1:
            return self._several(ask, kind, found)
        if found:
            self.org.update(kind, found[0], values)
            body = {"id": found[0]["Id"], "success": True, "errors": [], "created": False}
            return Result(200, body) if self.upsert_status == 200 else Result(204)
        if ask.query.get("updateOnly") == "true":
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist")
        row = self.org.create(kind, {**values, key: value})
        return Result(201, {"id": row["Id"], "success": True, "errors": [], "created": True})

    def _by_key(self, kind: ObjectType, key: str, value: str) -> list[Row]:
        found = kind.field(key)
        if found is None or not found.external_id:
            message = f"Provided external ID field does not exist or is not accessible: {key}"
            raise SalesforceError("NOT_FOUND", message, ours=True)
        return self.org.matching(kind, found.name, read(found, value))

    def _several(self, ask: Ask, kind: ObjectType, rows: list[Row]) -> Result:
        return Result(300, [f"/services/data/v{ask.version}/sobjects/{kind.name}/{row['Id']}" for row in rows])

    def _fields(self, ask: Ask, of_address: str) -> Mapping[str, Any]:
        """Returns the body of a record; what the address says must not be said again."""
        body = dict(ask.body or {})
        for name in ("Id", of_address):
            if name.casefold() in {one.casefold() for one in body}:
                message = f"The {name} field should not be specified in the sobject data."
                raise SalesforceError("INVALID_FIELD", message, [name])
        body.pop("attributes", None)
        return body


def _segment(part: str) -> str:
    try:
        return unescaped(part)
    except ValueError as error:
        raise SalesforceError("INVALID_FIELD", f"{part} is not escaped UTF-8: {error}") from error
