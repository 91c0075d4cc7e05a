"""Stands in for a vendor's API in the connectors' tests: answers by method and path, and remembers what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scripted_api import Answer, Asked, FakeApi

from bridge.core.connector import ApiResponse, Connector

Route = Answer | Mapping[str, Any] | list[Any] | Callable[[Asked], Any]
"""An answer, the JSON of one, several that are given in turn, or what makes one."""


class RoutedApi(FakeApi):
    """Answers by method and path."""

    def __init__(self, connector: Connector[Any], routes: Mapping[str, Route]) -> None:
        """`routes` by method and path: `GET /users/1`."""
        super().__init__(connector)
        self._routes = dict(routes)

    def answer(self, asked: Asked) -> ApiResponse:
        route = f"{asked.method} {asked.path}"
        assert route in self._routes, f"nobody expected {asked}"
        response = self._answer(route, asked).response()
        return ApiResponse(response.status, response.headers, response.body, asked.path)

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
