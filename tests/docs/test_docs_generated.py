"""What the documentation says is what the code does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bridge

ROOT = Path(__file__).parents[2]


def build():  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = ["config.example.yaml", "docs/mapping.md", "docs/declaring-a-source.md", "docs/connect/README.md", "README.md"]


@pytest.mark.parametrize("path", MADE)
def test_the_parts_made_from_the_code_are_current(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == build().built()[path], "run `make docs` and commit the result"


def shape(text: str) -> list[str]:
    """Returns the lines with everything that differs from run to run taken out."""
    identifier = r"(?i)\b[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{5}\b"
    lines = (re.sub(identifier, "ID", line) for line in text.splitlines())
    lines = (re.sub(r"\S*/certbridge-demo-\w+|/tmp/\S+?(?=/mail|/certificates|$)", "DIR", one) for one in lines)
    lines = (re.sub(r"127\.0\.0\.1:\d+", "HOST", one) for one in lines)
    lines = (re.sub(r"\s+\d+ ms", " N ms", re.sub(r"\d+ kB", "N kB", one)) for one in lines)
    found = [one.rstrip() for one in lines if one.strip()]
    # Which of two certificates is listed first depends on nothing a reader cares about.
    return sorted(found)


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    shown = re.search(r"<!-- demo -->\n```text\n(.*?)```\n<!-- /demo -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    ran = subprocess.run(
        [sys.executable, "-m", "bridge", "demo", "--once", "--keep", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "140", "PYTHONWARNINGS": "error", "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ran.stdout.replace(str(tmp_path / "out"), "/tmp/certbridge-demo-x")
    assert shape(said) == shape(shown[1])
    assert len(list((tmp_path / "out" / "certificates").glob("*.pdf"))) == 2
    assert len(list((tmp_path / "out" / "mail").glob("*.eml"))) == 2


def test_the_changelog_begins_with_the_version() -> None:
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading is not None
    assert heading[1] == bridge.__version__


def test_every_command_named_in_the_documents_exists() -> None:
    from click.testing import CliRunner

    from bridge.cli.commands import certbridge

    known = set(re.findall(r"^  (\w+) ", CliRunner().invoke(certbridge, ["--help"]).output, re.MULTILINE))
    named: set[str] = set()
    for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "CONTRIBUTING.md"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"`certbridge(?: -c \S+)? ([a-z]+)", text))
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            named |= set(re.findall(r"^(?:\S*/)?certbridge ([a-z]+)", block, re.MULTILINE))
    assert len(named) > 8
    assert named <= known


def test_the_declarations_shown_in_the_documents_are_accepted() -> None:
    from bridge.config.declared import TAKEN, shipped_mapping
    from bridge.core.declared import read_declared
    from bridge.core.mapping import compile_mapping, gather

    text = (ROOT / "docs" / "declaring-a-source.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    shown = [block for block in blocks if re.search(r"^source:", block, re.MULTILINE)]
    assert len(shown) >= 3
    for number, block in enumerate(shown):
        made = read_declared(f"shown-{number}", block, f"shown-{number}.yaml", taken=TAKEN, texts=shipped_mapping)
        assert compile_mapping(gather(f"shown-{number}.yaml", block, shipped_mapping)).connector == made.name


def test_every_setting_of_a_declaration_is_explained() -> None:
    found = list(build()._models(build().Declaration, "source"))
    assert len({model for model, _ in found}) > 25
    unexplained = [(model.__name__, name) for model, _ in found for name, info in model.model_fields.items()
                   if not info.description]  # fmt: skip
    assert unexplained == []


def test_the_yaml_shown_in_the_readme_is_accepted() -> None:
    from bridge.config import shipped_mapping
    from bridge.core.mapping import compile_mapping, gather

    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    indented = re.findall(r"   ```yaml\n(.*?)   ```", (ROOT / "README.md").read_text(), re.DOTALL)
    mappings = [block for block in (*blocks, *indented) if "extends:" in block]
    assert len(mappings) >= 2
    for text in mappings:
        lines = text.splitlines()
        margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        compile_mapping(gather("readme.yaml", "\n".join(line[margin:] for line in lines), shipped_mapping))
