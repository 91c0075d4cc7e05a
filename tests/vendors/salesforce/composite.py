"""Salesforce's composite call: up to 25 requests in one, each with a status of its own, the whole always 200.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_composite.htm
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl, quote

from vendors.salesforce.errors import SalesforceError
from vendors.salesforce.rest import Ask, Rest, Result

_REFERENCE: Final = re.compile(r"@\{(\w+)((?:\.\w+|\[[0-9]+\])*)\}")
_URL: Final = re.compile(r"/services/data/v([0-9]+\.0)(/[^?]*)(?:\?(.*))?")
_MOST: Final = 25
_MOST_QUERIES: Final = 5
_HALTED: Final = "The transaction was rolled back since another operation in the same transaction failed."


class Composite:
    """One composite call; `refused` says afterwards which parts were wrong, and why."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._done: dict[str, Result] = {}
        self.refused: list[str] = []

    def answer(self, body: Mapping[str, Any]) -> Result:
        """Raises SalesforceError when the call as a whole is wrong."""
        parts = _parts(body)
        before = self._rest.org.snapshot()
        for part in parts:
            name = part["referenceId"]
            self._done[name] = self._result(part)
            if body.get("allOrNone", False) and self._done[name].status >= 300:
                self._rest.org.restore(before)
                halted = Result(400, SalesforceError("PROCESSING_HALTED", _HALTED).body)
                self._done = {one["referenceId"]: halted for one in parts} | {name: self._done[name]}
                break
        return Result(200, {"compositeResponse": [_shown(name, one) for name, one in self._done.items()]})

    def _result(self, part: Mapping[str, Any]) -> Result:
        try:
            return self._rest.answer(self._ask(part))
        except SalesforceError as error:
            if error.ours:
                self.refused.append(f"{part['referenceId']}: {error.code}: {error}")
            return Result(error.status, error.body)

    def _ask(self, part: Mapping[str, Any]) -> Ask:
        url = _REFERENCE.sub(lambda found: quote(str(self._referred(found)), safe=""), part["url"])
        found = _URL.fullmatch(url)
        if found is None:
            raise SalesforceError("NOT_FOUND", f"{url} is no address of a resource", ours=True)
        query = dict(parse_qsl(found[3] or "", keep_blank_values=True))
        headers = {name.lower(): value for name, value in part.get("httpHeaders", {}).items()}
        return Ask(part["method"], found[1], found[2], query, self._filled(part.get("body")), headers)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        if not isinstance(value, str):
            return value
        return _REFERENCE.sub(lambda found: str(self._referred(found)), value)

    def _referred(self, found: re.Match[str]) -> Any:
        """Returns what `@{task.id}` or `@{completion.records[0].Id}` stands for."""
        result = self._done.get(found[1])
        value: Any = result.body if result is not None and result.status < 300 else None
        for name, place in re.findall(r"\.(\w+)|\[([0-9]+)\]", found[2]):
            try:
                value = value[int(place)] if place else value[name]
            except (TypeError, KeyError, IndexError):
                value = None
        if not isinstance(value, str | int | float):
            message = f"Invalid reference specified. No value for {found[0]} found."
            raise SalesforceError("PROCESSING_HALTED", message, ours=result is None or result.status < 300)
        return value


def _shown(name: str, result: Result) -> dict[str, Any]:
    return {"body": result.body, "httpHeaders": {}, "httpStatusCode": result.status, "referenceId": name}


def _parts(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if unknown := set(body) - {"allOrNone", "collateSubrequests", "compositeRequest"}:
        _wrong(f"unknown parts: {sorted(unknown)}")
    if not isinstance(body.get("allOrNone", False), bool):
        _wrong("allOrNone is true or false")
    parts = body.get("compositeRequest")
    if not isinstance(parts, list) or not parts or not all(isinstance(one, dict) for one in parts):
        _wrong("compositeRequest is a list of requests")
    if len(parts) > _MOST:
        raise SalesforceError("LIMIT_EXCEEDED", f"The composite request may hold {_MOST} subrequests at most")
    names = set()
    for one in parts:
        _check(one)
        names.add(one["referenceId"])
    if len(names) != len(parts):
        _wrong("Duplicate reference ids")
    if sum("/query" in one["url"] for one in parts) > _MOST_QUERIES:
        raise SalesforceError("LIMIT_EXCEEDED", f"The composite request may hold {_MOST_QUERIES} queries at most")
    return parts


def _check(one: dict[str, Any]) -> None:
    if not {"method", "url", "referenceId"} <= set(one) <= {"method", "url", "referenceId", "body", "httpHeaders"}:
        _wrong(f"a subrequest has method, url and referenceId, not {sorted(one)}")
    if not isinstance(one.get("body", {}), dict):
        _wrong("the body of a subrequest is an object")
    if not all(isinstance(one[name], str) for name in ("method", "url", "referenceId")):
        _wrong("method, url and referenceId are text")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", one["referenceId"]):
        _wrong(f"{one['referenceId']!r} is no reference id")


def _wrong(message: str) -> NoReturn:
    raise SalesforceError("JSON_PARSER_ERROR", message)
