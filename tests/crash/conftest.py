"""A site for each crash test: on SQLite and PostgreSQL, or on PostgreSQL alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from crash_daemon import free_port
from crash_site import FIELD, Site

from bridge.app import read_config
from bridge.demo.stage import stage
from bridge.store.engine import open_store

_numbers = itertools.count(1)


@contextmanager
def _site(folder: Path, database_url: str) -> Iterator[Site]:
    port = free_port()
    with stage(folder, port=port) as stands:
        config = folder / "config.yaml"
        text = config.read_text(encoding="utf-8").replace(
            "    connector: moodle\n", f"    connector: moodle\n    write_back: {{profile_field: {FIELD}}}\n"
        )
        # A poll would bring the same completion as another event, sooner or later.
        text = text.replace("    connector: ", "    poll_every: off\n    connector: ")
        # One rendering process: the tests run many daemons one after the other, and each must be up quickly.
        config.write_text(f"{text}database: {database_url}\nlimits: {{render_workers: 1}}\n", encoding="utf-8")
        stands = replace(stands, config=read_config(config, {}))
        with open_store(database_url, owner=False) as store:
            site = Site(stands, store, port)
            try:
                yield site
            finally:
                site.close()


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site on a fresh database, once on SQLite and once on PostgreSQL."""
    with _site(tmp_path / "site", database_url) as one:
        yield one


@pytest.fixture
def kept_site(tmp_path: Path) -> Iterator[Site]:
    """A site whose database is a SQLite file in a folder of its own, which nobody but the daemon has open."""
    (tmp_path / "data").mkdir()
    with _site(tmp_path / "site", f"sqlite:///{tmp_path}/data/certbridge.db") as one:
        yield one


@pytest.fixture
def shared_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site on PostgreSQL, for several nodes."""
    request.getfixturevalue("postgres_url")
    server = request.getfixturevalue("postgres_server")
    name = f"crash_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template_certbridge")
    try:
        with _site(tmp_path / "site", server.url(name)) as one:
            yield one
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
