"""Databases without tables, for the tests of the migrations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes empty databases; returns their URLs."""
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path / f'empty{next(_numbers)}.db'}"
        return
    server = request.getfixturevalue("postgres_server")
    made: list[str] = []

    def make() -> str:
        made.append(f"empty_{next(_numbers)}")
        server.execute(f"CREATE DATABASE {made[-1]}")
        return str(make_url(server.url(made[-1])))

    yield make
    for name in made:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
