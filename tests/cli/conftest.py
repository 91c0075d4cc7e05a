"""Schools for the tests of the command line: a fresh one for each test, and a busy one to look at."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from cli_harbour import Harbour, make_harbour
from cli_school import HOSTILE, School, completed, make_school
from flow.harbour_site import installed
from flow.lending import Lent
from vendors.harbour_lms import HarbourStandIn

import bridge.app
from bridge.issuing.renderer import Renderer


@pytest.fixture
def school(tmp_path: Path) -> School:
    """A school before anything happened."""
    return make_school(tmp_path / "school")


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> School:
    """A school with events of every kind, to look at and never to change.

    1 Maria is done, 2 X looks incomplete, 3 is hostile, 4 is of a course that is not listed, 5 cannot be printed,
    6 is a lesson, 7 cannot be read; then one request without a signature.
    """
    school = make_school(tmp_path_factory.mktemp("busy") / "school")
    school.arrives(completed(event="e-1"))
    school.arrives(completed("X", "", user=1002, event="e-2"))
    school.arrives(completed(HOSTILE, "Santos :smile:", user=1003, event="e-3", course=99))
    school.arrives(completed(course=7, title="Knitting", event="e-4"))
    school.arrives(completed("\u674e", "\u5c0f\u9f99", user=1005, event="e-5"))
    school.arrives(LESSON)
    school.arrives(b"{nope")
    assert school.arrives(completed(event="e-8"), signed=False) == 401
    return school


LESSON = (
    b'{"id":"l-1","resource":"lesson","action":"completed","tenant_id":"12345",'
    b'"payload":{"user":{"id":2001,"first_name":"Nora","last_name":"Berg"}}}'
)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands set logging up for their own streams, which end with them."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def vendor() -> Iterator[HarbourStandIn]:
    """Harbour LMS, the platform of the stranger's connector, which is installed."""
    with installed(), HarbourStandIn() as made:
        yield made


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    """Real rendering processes; starting them for every command would take longer than the commands."""
    with Renderer(workers=1) as made:
        yield made


@pytest.fixture(scope="package", autouse=True)
def _lent_renderer(renderer: Renderer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bridge.app, "_renderer", lambda config: Lent(renderer))
        yield


@pytest.fixture
def harbour(tmp_path: Path, vendor: HarbourStandIn) -> Harbour:
    """A school with Harbour as its source, live, and one for tables; nothing has happened yet."""
    return make_harbour(tmp_path / "school", vendor)
