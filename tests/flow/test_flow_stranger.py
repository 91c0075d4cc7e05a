"""Adding a source by Python is four new things: a connector, a mapping, samples, a test; and no file of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flow.harbour_site import AT, MAPPING, STRANGER, block, installed
from flow.rig import Rig
from vendors.harbour_lms import HarbourStandIn

from bridge.config import installed_mapping
from bridge.core.certificate_id import grouped

ROOT = Path(__file__).parents[2]
DIST_INFO = "harbour-1.0.dist-info"
TEST = """\
from contract import ConnectorContract

class TestHarbour(ConnectorContract):
    connector = "harbour"
    settings = {"api_key": "harbour-test-api-key", "signing_secret": "harbour-test-signing-secret"}
    rotated = {"signing_secret": "the-next-signing-secret", "previous_signing_secret": "harbour-test-signing-secret"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The four things in a folder of their own, and beside them what pip leaves behind when it installs them."""
    made = tmp_path / "stranger"
    (made / "mappings").mkdir(parents=True)
    (made / "tests" / "connectors").mkdir(parents=True)
    shutil.copy(STRANGER / "harbour.py", made / "harbour.py")
    shutil.copy(STRANGER / "mappings" / "harbour.yaml", made / "mappings" / "harbour.yaml")
    shutil.copytree(STRANGER / "samples" / "harbour", made / "tests" / "samples" / "harbour")
    (made / "tests" / "connectors" / "test_harbour.py").write_text(TEST)
    shutil.copytree(STRANGER / DIST_INFO, made / DIST_INFO)
    return made


def test_a_source_by_python_is_four_new_things_and_no_edited_file(folder: Path) -> None:
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    sample = Path("tests/samples/harbour")
    things = {sample if path.is_relative_to(sample) else path for path in files if path.parts[0] != DIST_INFO}
    assert things == {
        Path("harbour.py"),
        Path("mappings/harbour.yaml"),
        sample,
        Path("tests/connectors/test_harbour.py"),
    }
    assert len([line for line in TEST.splitlines() if line]) == 5
    known = [ROOT / name for name in ("setup.cfg", "pyproject.toml", "config.example.yaml")]
    for room in ("bridge", "connectors", "mappings"):
        known += [path for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".yaml", ".html")]
    assert [path for path in known if "harbour" in path.read_text(encoding="utf-8").casefold()] == []


def test_its_test_inherits_the_contract_and_finds_its_own_samples(folder: Path) -> None:
    paths = os.pathsep.join(map(str, (folder, ROOT, ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[completed.SYNTHETIC]" not in done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_once_installed_it_is_checked_and_takes_a_webhook_to_certificate_and_write_back(rig: Rig, folder: Path) -> None:
    with installed(folder), HarbourStandIn() as vendor:
        rig.settings["sources"] = {"harbour": block(vendor, mapping=None)}
        del rig.settings["sources"]["harbour"]["mapping"]
        said = vendor.complete("7", AT, name="Maria Silva")
        rig.config()
        assert "harbour" in rig.certbridge("check")
        # The shipped mapping alone holds what nobody listed; one line of the admin's own extends it.
        rig.settings["sources"]["harbour"]["mapping"] = "harbour-courses.yaml"
        rig.mapping("harbour", MAPPING)
        rig.config()
        assert "harbour" in rig.certbridge("check")
        with rig.running():
            assert rig.post_signed(vendor.completed(1, said), "harbour").status == 200
            rig.wait_settled()
            number = grouped(rig.certificate().certificate.id)
            assert vendor.learners["7"]["certificate"] == number
            assert "Maria Silva" in rig.page(rig.certificate().certificate.id).text
            assert "Maria Silva" in rig.pdf_text(rig.certificate().certificate.id)
            assert "data.learner.name" in rig.certbridge("fields", "harbour")


def test_the_mapping_of_a_strangers_connector_lies_beside_its_module(folder: Path) -> None:
    assert installed_mapping("harbour") is None
    with installed(folder):
        assert installed_mapping("harbour") == (folder / "mappings" / "harbour.yaml").read_text()
        (folder / "mappings" / "harbour.yaml").unlink()
        assert installed_mapping("harbour") is None
    assert installed_mapping("thinkific") == (ROOT / "mappings" / "thinkific.yaml").read_text()
