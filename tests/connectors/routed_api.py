"""Stands in for a vendor's API in the connectors' tests: answers by method and path, and remembers what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scripted_api import Answer, Asked

from bridge.core.connector import ApiResponse, Connector

Route = Answer | Mapping[str, Any] | list[Any] | Callable[[Asked], Any]
"""An answer, the JSON of one, several that are given in turn, or what makes one."""


class RoutedApi:
    """Every answer passes the connector's `check`, as with the real client; an unexpected request fails the test."""

    def __init__(self, connector: Connector[Any], routes: Mapping[str, Route]) -> None:
        """`routes` by method and path: `GET /users/1`."""
        self._connector = connector
        self._routes = dict(routes)
        self.asked: list[Asked] = []
        self.headers: list[dict[str, str]] = []

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
        asked = Asked(method, path, dict(query or {}), dict(form or ()), json)
        self.asked.append(asked)
        self.headers.append(dict(headers or {}))
        assert f"{method} {path}" in self._routes, f"nobody expected {asked}"
        response = self._answer(f"{method} {path}", asked).response()
        response = ApiResponse(response.status, response.headers, response.body, path)
        self._connector.check(response)
        return response

    def calls(self, method: str) -> list[Asked]:
        """Returns what was asked with one method."""
        return [asked for asked in self.asked if asked.method == method]

    def paths(self) -> list[str]:
        """Returns what was asked, in order."""
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def _answer(self, route: str, asked: Asked) -> Answer:
        found: Any = self._routes[route]
        if isinstance(found, list):
            assert found, f"nothing was left to answer {asked}"
            found = found.pop(0)
        if callable(found):
            found = found(asked)
        return found if isinstance(found, Answer) else Answer(found)
