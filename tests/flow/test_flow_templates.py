"""Certificate templates in the running bridge: a good edit is picked up, a broken one is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow.rig import Rig
from flow.test_flow_mapping import event

from bridge.core.models import State
from bridge.store import inbox

PAGE = "<html><body><p>{{ name }} completed {{ course }}. WORD</p></body></html>"


@pytest.fixture
def page(rig: Rig) -> Path:
    """A template of the school's own, and a mapping that uses it."""
    rig.mapping("thinkific", "extends: thinkific\nevery_course:\n  template: own\ncourses:\n  68: Forklift Operator\n")
    path = rig.folder / "templates" / "own" / "certificate.html"
    path.parent.mkdir(parents=True)
    path.write_text(PAGE.replace("WORD", "FIRST"))
    return path


def issue(rig: Rig, number: int) -> Any:
    """Issues for another learner, with what the template's files say by now."""
    user = {**event(rig)["payload"]["user"], "id": number}
    rig.bridge.templates.refresh()  # the running bridge does it every two seconds
    posted = rig.post_signed(event(rig, f"e-{number}", id=number, user=user)).event
    rig.wait(lambda: rig.event(posted).state not in (State.READY, State.RUNNING))
    return rig.event(posted)


def test_a_broken_edit_of_a_template_keeps_the_version_in_force(rig: Rig, page: Path) -> None:
    with rig.running():
        assert issue(rig, 1).state is State.DONE, rig.story()
        for broken in ("<p>{% if %}</p>", "<p>{{ nmae }}</p>", None):
            if broken is None:
                page.unlink()
            else:
                page.write_text(broken)
            assert issue(rig, 2 + len(rig.certificates())).state is State.DONE, rig.story()
            assert "FIRST" in rig.pdf_text(rig.certificates()[-1].certificate.id)
            assert "own" in rig.bridge.templates.problems
        page.write_text(PAGE.replace("WORD", "SECOND"))
        assert issue(rig, 99).state is State.DONE
        assert "SECOND" in rig.pdf_text(rig.certificates()[-1].certificate.id)
        assert rig.bridge.templates.problems == {}


def test_a_template_that_never_worked_fails_the_event_until_it_is_mended_and_replayed(rig: Rig, page: Path) -> None:
    page.write_text("<p>{{ nmae }}</p>")
    with rig.running():
        row = issue(rig, 1)
        assert row.state is State.FAILED
        assert 'There is no word "nmae" for templates' in str(row.reason)
        page.write_text(PAGE)
        rig.bridge.templates.refresh()
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, row.id, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.certificate().certificate.state == "issued"
