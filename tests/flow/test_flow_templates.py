"""Certificate templates in the running bridge: a good edit is picked up, a broken one is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow.rig import Rig
from flow.test_flow_mapping import event

import bridge.flow.templates
from bridge.core.errors import MappingError
from bridge.core.models import State
from bridge.store import inbox

PAGE = "<html><body><p>{{ name }} completed {{ course }}. WORD {{ certificate_id }}</p></body></html>"


@pytest.fixture(autouse=True)
def _take_edits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.flow.templates, "SETTLED", 0.0)


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
        for broken in ("<p>{% if %}</p>", "<p>{{ nmae }}</p>", "", "<p>{{ name }} completed {{ course }}.</p>", None):
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


def test_a_template_that_never_worked_holds_the_event_until_it_is_mended_and_replayed(rig: Rig, page: Path) -> None:
    page.write_text("<p>{{ nmae }}</p>")
    with rig.running():
        row = issue(rig, 1)
        assert (row.state, row.code) == (State.HELD, "template")
        assert 'There is no word "nmae" for templates' in str(row.reason)
        page.write_text(PAGE)
        rig.bridge.templates.refresh()
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, row.id, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        assert rig.certificate().certificate.state == "issued"


def test_an_edit_is_not_looked_at_while_it_is_being_saved(
    rig: Rig, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig.running():
        assert issue(rig, 1).state is State.DONE
        monkeypatch.setattr(bridge.flow.templates, "SETTLED", 3600.0)
        page.write_text(PAGE.replace("WORD", "HALF"))
        assert issue(rig, 2).state is State.DONE
        assert "FIRST" in rig.pdf_text(rig.certificates()[-1].certificate.id)
        assert rig.bridge.templates.problems == {}


def test_a_mapping_that_names_a_template_nobody_has_is_refused(rig: Rig) -> None:
    rig.mapping("thinkific", "extends: thinkific\nevery_course:\n  template: safty\ncourses:\n  68: Forklift\n")
    with pytest.raises(MappingError, match=r"thinkific-courses.yaml:3:13 .*safty"), rig.running():
        pass
